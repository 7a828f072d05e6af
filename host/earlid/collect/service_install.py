# SPDX-License-Identifier: MIT
"""Service installation: puts service files where systemd, launchd and udev look for them, and begins or ends the service."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import platformdirs

from earlid.collect.service import label
from earlid.collect.service_call import is_hidden
from earlid.door import plain
from earlid.errors import FAILED, USAGE, UserError
from earlid.files import write_atomically

KINDS = ("systemd", "systemd-system", "launchd", "udev")


class Places(NamedTuple):
    """Where a kind's file and its secrets lie; which commands begin and end it."""

    file: Path
    secrets: Path | None
    begin: tuple[str, ...]
    end: tuple[str, ...]
    reload: str = ""


def places(kind: str, verb: str, root: Path = Path("/")) -> Places:
    """Of one of KINDS and a verb that runs as a service; `root` is where `/etc` lies."""
    name = f"earlid-{verb}.service"
    config = Path(platformdirs.user_config_dir())
    if kind == "systemd":
        folder = config / "systemd" / "user"
        control = "systemctl --user"
    else:
        folder = root / "etc" / "systemd" / "system"
        control = "systemctl"
    if kind in ("systemd", "systemd-system"):
        secrets = (config if kind == "systemd" else root / "etc") / "earlid" / f"{verb}.env"
        begin = (f"{control} daemon-reload", f"{control} enable {name}", f"{control} restart {name}")
        end = (f"{control} disable --now {name}",)
        return Places(folder / name, secrets, begin, end, f"{control} daemon-reload")
    if kind == "launchd":
        path = Path.home() / "Library" / "LaunchAgents" / f"{label(verb)}.plist"
        domain = f"gui/{os.getuid()}"
        return Places(path, None, (f"launchctl bootstrap {domain} {path}",), (f"launchctl bootout {domain}/{label(verb)}",))
    rule = root / "etc" / "udev" / "rules.d" / "70-earlid.rules"
    look = ("udevadm control --reload", "udevadm trigger --subsystem-match=tty")
    return Places(rule, None, look, (), look[0])


def check_may(kind: str, words: str) -> None:
    """Raises UserError where only root may install this kind, or where the service's own user could not read the program.

    Args:
        words: of the verb, as `watch`.
    """
    if kind not in ("systemd-system", "udev"):
        return
    if os.geteuid() != 0:
        raise UserError(f"only root installs this: `sudo {sys.executable} -m earlid.cli {words} --service {kind} ...`.", USAGE)
    if kind == "systemd-system":
        for path in (Path(sys.prefix), Path(sys.base_prefix), Path(__file__).resolve()):
            if is_hidden(path):
                raise UserError(
                    f"{path} is hidden from a system service: install Earlid elsewhere, as with `python3 -m venv /opt/earlid`, "
                    "or install the user's service (`--service systemd`).",
                    USAGE,
                )


def install(kind: str, verb: str, text: str, secrets: str, root: Path = Path("/")) -> str:
    """Write a service's files and begin it; one that is there already begins anew with them.

    Args:
        kind, verb, root: as of `places`.
        text: of its file.
        secrets: text of its environment file; empty for none.
    Returns:
        What was done, for people.
    """
    found = places(kind, verb, root)
    if found.secrets:
        if secrets:
            write_atomically(found.secrets, secrets, private=True, make_folder=True)
        else:
            found.secrets.unlink(missing_ok=True)
    if kind == "launchd" and found.file.exists():
        _run(found.end[0], tolerant=True)
    write_atomically(found.file, text, make_folder=True)
    found.file.chmod(0o644)  # whatever the umask says: it holds no secret
    for line in found.begin:
        _run(line)
    return f"installed {plain(found.file)}" + (f" and {plain(found.secrets)}" if secrets else "")


def uninstall(kind: str, verb: str, root: Path = Path("/")) -> str:
    """End a service and remove its files; the ledger stays. Returns what was done, for people."""
    found = places(kind, verb, root)
    if not found.file.exists():
        raise UserError(f"there is no {plain(found.file)}: nothing to remove.", USAGE)
    for line in found.end:
        _run(line, tolerant=True)
    try:
        found.file.unlink()
        if found.secrets:
            found.secrets.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot remove {plain(found.file)}: {error.strerror}.", FAILED) from error
    if found.reload:
        _run(found.reload, tolerant=True)
    return f"removed {plain(found.file)}"


def _run(line: str, tolerant: bool = False) -> None:
    words = line.split(" ")
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=90, check=False)
        text = "" if done.returncode == 0 else done.stderr.strip() or f"it ended with {done.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        text = str(error)
    if text and not tolerant:
        raise UserError(
            f"`{line}` failed: {plain(text).rstrip('.')}. The files are in place: see to it, and run the command.", FAILED
        )
