# SPDX-License-Identifier: MIT
"""A broker's address, and with what a bridge shows who it is: from files, environment or keyring, never from a command line."""

from __future__ import annotations

import os
import ssl
import stat
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from earlid.door import plain
from earlid.errors import USAGE, UserError

LOOPBACK = ("localhost", "127.0.0.1", "::1")
KEYRING_SERVICE = "earlid-mqtt"


class Broker(NamedTuple):
    """Where a broker is."""

    host: str
    port: int
    tls: bool


def parse_broker(text: str, plain_allowed: bool) -> Broker:
    """A broker's address, as `mqtts://host:8883`; without TLS only on this computer, unless that is allowed.

    Raises:
        UserError: code 2.
    """
    try:
        url = urlsplit(text if "://" in text else f"mqtts://{text}")
        port = url.port
    except ValueError:
        raise UserError(f"{plain(text)!r} is no broker's address: write mqtts://HOST[:PORT].", USAGE) from None
    if url.username is not None or url.password is not None:
        raise UserError(
            "no user or password in an address: others can read command lines. See `earlid bridge mqtt --help`.", USAGE
        )
    if url.scheme not in ("mqtt", "mqtts") or not url.hostname or url.path.strip("/"):
        raise UserError(f"{plain(text)!r} is no broker's address: write mqtts://HOST[:PORT].", USAGE)
    tls = url.scheme == "mqtts"
    if not tls and url.hostname not in LOOPBACK and not plain_allowed:
        raise UserError(
            f"mqtt:// to {plain(url.hostname)} sends everything, the password too, so that the network can read and alter it: "
            "use mqtts://, or say --plain.",
            USAGE,
        )
    return Broker(url.hostname, port or (8883 if tls else 1883), tls)


def tls_context(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """TLS that verifies the broker's certificate and name; `ca`: whom to believe, the system's authorities when None."""
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
        if certificate:
            if key:
                _check_private(key)
            context.load_cert_chain(certificate, key)
    except OSError as error:
        named = ", ".join(str(path) for path in (ca, certificate, key) if path)
        raise UserError(f"cannot use {named}: {error.strerror or error}.", USAGE) from error
    return context


def find_credentials(file: Path | None, use_keyring: bool, host: str) -> tuple[str, str] | None:
    """User and password: of the file, the keyring, or EARLID_MQTT_USER and EARLID_MQTT_PASSWORD; None where nothing is given.

    Args:
        file: two lines, user and password, readable by its owner alone.
        use_keyring: ask the platform's keyring for `earlid-mqtt` and the host.
    """
    if file:
        _check_private(file)
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise UserError(f"cannot read {file}: {error}.", USAGE) from error
        if len(lines) < 2 or not lines[0]:
            raise UserError(f"{file} must have two lines: user, then password.", USAGE)
        return lines[0], lines[1]
    if use_keyring:
        import keyring

        found = keyring.get_credential(KEYRING_SERVICE, host)
        if found is None:
            raise UserError(
                f"the keyring has nothing for it: `keyring set {KEYRING_SERVICE} {host}`; see the bridge's page.", USAGE
            )
        user, _, word = (found.password or "").partition(":")
        return user, word
    name = os.environ.get("EARLID_MQTT_USER")
    return (name, os.environ.get("EARLID_MQTT_PASSWORD", "")) if name else None


def _check_private(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}.", USAGE) from error
    laid = os.environ.get("CREDENTIALS_DIRECTORY")  # by systemd, which lets this service alone read it, by an ACL too
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077 and not (laid and path.is_relative_to(laid)):
        raise UserError(f"others can read {path}: `chmod 600 {path}`.", USAGE)
