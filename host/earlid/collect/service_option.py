# SPDX-License-Identifier: MIT
"""The option `--service` of verbs that stay: prints, installs or removes what makes them a service of the system."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from earlid.errors import USAGE, UserError

if TYPE_CHECKING:
    from earlid.collect.service import ServiceCall


def run_service(kind: str | None, todo: str, words: str, make_call: Callable[[bool], ServiceCall]) -> None:
    """Do what `--service` asks for.

    Args:
        kind: `auto`, or one of `service_install.KINDS`; None where `--service` was forgotten.
        todo: `install`, `uninstall`, or `print`.
        words: of the verb, as `watch`.
        make_call: what the service runs; given whether it is the system's, not the user's.
    """
    from earlid.collect import service, service_install
    from earlid.collect.service_call import SYSTEM_CONFIG

    if not kind:
        raise UserError("--install and --uninstall go with --service.", USAGE)
    verb = words.partition(" ")[0]
    if kind == "auto":
        kind = "launchd" if sys.platform == "darwin" else "systemd"
    if todo != "print":
        service_install.check_may(kind, words)
    if todo == "uninstall":
        print(service_install.uninstall(kind, verb), file=sys.stderr)
        return
    if kind == "systemd-system":  # it reads that, and not what is in somebody's home
        os.environ.setdefault("EARLID_CONFIG", SYSTEM_CONFIG if os.path.exists(SYSTEM_CONFIG) else os.devnull)
    call = make_call(kind == "systemd-system")
    secrets = service.environment_file(call.secrets)
    if kind == "udev":
        text = service.udev_rules()
        secrets = ""
    elif kind == "launchd":
        if secrets:
            raise UserError(
                "launchd keeps no secrets: leave the password out of the ledger's URL and put it into ~/.pgpass, which PostgreSQL"
                " reads; that of a broker goes into a file for --credentials.",
                USAGE,
            )
        text = service.launchd_plist(call)
    else:
        path = str(service_install.places(kind, verb).secrets) if secrets else ""
        make = service.system_unit if kind == "systemd-system" else service.user_unit
        text = make(call, path)
    if todo == "print":
        if secrets:
            print(f"earlid: {path} is to hold {' and '.join(call.secrets)}, mode 0600; --install writes it.", file=sys.stderr)
        print(text, end="")
        return
    print(service_install.install(kind, verb, text, secrets), file=sys.stderr)
    if kind == "systemd":
        print("It runs while you are logged in; `loginctl enable-linger` lets it run always.", file=sys.stderr)
