# SPDX-License-Identifier: MIT
"""Service call: what a service carries of the command line and the environment that it is made from."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from earlid import config_file
from earlid.collect.service import STATE_DIR, ServiceCall, credential
from earlid.config_keys import HOOKS, KEYS, LEDGER, PATH, PORT, VARIABLES
from earlid.door import plain
from earlid.errors import USAGE, UserError
from earlid.ledger.location import locate

SYSTEM_CONFIG = "/etc/earlid/config.toml"
_PASSWORD = re.compile(r"://[^/@]*:[^/]*@|[?&]password=")
SECRETS = ("EARLID_MQTT_USER", "EARLID_MQTT_PASSWORD")
_HIDDEN = ("home", "root", "tmp", "run")  # from a system service


def watch_call(
    ports: Sequence[str], hooks: Sequence[Sequence[str]], ledger: str | None, environ: Mapping[str, str], *, system: bool
) -> ServiceCall:
    """How a service runs `watch`: with full paths, and no password in its command.

    Args:
        ports, hooks, ledger: of the command line.
        environ: variables of which `EARLID_` ones (and ESPTOOL_PORT) are carried.
        system: it runs as a user of its own, who sees no home folder.

    Raises:
        UserError: a system service could not reach what is named.
    """
    words = ["--quiet"]
    for port in ports:
        words += ["--port", port]
    for event, line in hooks:
        words += ["--on", event, line]
    chosen = [*ports, config_file.get(PORT) or ""]
    network = bool(hooks or config_file.find(HOOKS) or any("://" in port for port in chosen))
    return _call("watch", words, ledger, environ, lambda name: "MQTT" not in name, {}, system=system, network=network)


def bridge_call(
    words: Sequence[str], files: Mapping[str, Path], ledger: str | None, environ: Mapping[str, str], *, system: bool
) -> ServiceCall:
    """How a service runs `bridge`; arguments and errors as of `watch_call`.

    Args:
        words: the kind and options that name no file.
        files: option -> file, of the command line, the environment or the configuration: a system service is given it by
            systemd, who reads it as root.
    """
    laid = {option.removeprefix("--"): path.expanduser().absolute() for option, path in files.items()}
    line = list(words)
    for option in files:
        name = option.removeprefix("--")
        line += [option, credential(name) if system else str(laid[name])]
    of_files = {variable for key in KEYS if key.option in files for variable in key.variables}
    carry = lambda name: name not in of_files and "HOOK" not in name  # noqa: E731
    return _call("bridge", line, ledger, environ, carry, laid if system else {}, system=system, network=True)


def _call(
    verb: str, words: Sequence[str], ledger: str | None, environ: Mapping[str, str], carry: Callable[[str], bool],
    files: Mapping[str, Path], *, system: bool, network: bool,
) -> ServiceCall:  # fmt: skip
    environment = {name: text for name, text in _carried(environ).items() if carry(name)}
    command = [sys.executable, "-m", "earlid.cli", verb, *words]
    secrets = {name: environment.pop(name) for name in SECRETS if name in environment}
    named = bool(ledger or environ.get("EARLID_LEDGER"))
    location = locate(ledger)
    if location.url and _PASSWORD.search(location.url):
        secrets["EARLID_LEDGER"] = location.url
    elif named:
        command += ["--ledger", str(location.path.absolute()) if location.path else location.url]
    if system:
        if environment.pop("EARLID_DATA_DIR", STATE_DIR) != STATE_DIR or (named and not _is_below(location.path, STATE_DIR)):
            raise UserError(f"a system service runs as a user of its own: ledger and keys lie below {STATE_DIR}.", USAGE)
        for name in ("EARLID_CONFIG", "EARLID_CACHE"):
            if is_hidden(Path(environment.get(name, "/"))):
                raise UserError(f"{name}={plain(environment[name])} is hidden from a system service: see {SYSTEM_CONFIG}.", USAGE)
    return ServiceCall(verb, tuple(command), environment, secrets, network or bool(location.url), _port_group(), files)


def is_hidden(path: Path) -> bool:
    """Whether a system service does not see it: homes and temporary files."""
    return path.parts[1:2] != () and (path.parts[1] in _HIDDEN or path.parts[1:3] == ("var", "tmp"))


def _port_group() -> str:
    """To whom serial ports belong here: `uucp` on Arch and some others."""
    try:
        import grp

        names = {entry.gr_name for entry in grp.getgrall()}
    except ImportError:
        names = set()
    return "uucp" if "uucp" in names and "dialout" not in names else "dialout"


def _carried(environ: Mapping[str, str]) -> dict[str, str]:
    names = [name for key in KEYS if key is not LEDGER for name in key.variables]
    names += [name for name, _ in VARIABLES if name.startswith("EARLID_")]
    paths = {name for key in KEYS if key.kind is PATH for name in key.variables} | {"EARLID_CONFIG"}
    found = {name: environ[name] for name in names if environ.get(name)}
    return {name: str(Path(text).expanduser().absolute()) if name in paths else text for name, text in found.items()}


def _is_below(path: Path | None, folder: str) -> bool:
    return path is None or path.absolute().is_relative_to(folder)
