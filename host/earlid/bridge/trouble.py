# SPDX-License-Identifier: MIT
"""Why a broker cannot be reached, as sentences with what to do. No input or output."""

from __future__ import annotations

import socket
import ssl

from earlid.bridge.credentials import Broker
from earlid.door import plain

# Of OpenSSL's complaint -> what it means here. The first that fits counts.
_TLS = (
    ("certificate has expired", "its certificate has expired, or this computer's clock is wrong"),
    ("not yet valid", "its certificate is not valid yet, or this computer's clock is wrong"),
    ("mismatch", "its certificate is for another name: give --broker the name that stands in it"),
    ("certificate verify failed", "nobody whom this computer believes has signed its certificate: name who did with --ca FILE"),
    ("certificate required", "it wants a client certificate: --cert FILE --key FILE"),
    ("handshake failure", "it wants a client certificate (--cert FILE --key FILE), or another version of TLS"),
    ("unknown ca", "it does not believe who signed the client certificate"),
    ("bad certificate", "it does not take the client certificate"),
    ("wrong version number", "it speaks no TLS at this port: MQTT with TLS is at 8883, as a rule"),
    ("record layer failure", "it speaks no TLS at this port: MQTT with TLS is at 8883, as a rule"),
)


def trouble_text(trouble: Exception | str, broker: Broker) -> str:
    """A line about an attempt that failed; it is made again."""
    return f"no connection to {plain(broker.host)}:{broker.port}: {_meaning(trouble)}. Tried again by and by"


def _meaning(trouble: Exception | str) -> str:
    text = str(trouble).lower().replace("_", " ")
    for part, meaning in _TLS:
        if part in text:
            return meaning
    if isinstance(trouble, (ConnectionResetError, ssl.SSLEOFError)):
        return "it ended the connection at once: perhaps it speaks no TLS at this port (MQTT with TLS is at 8883, as a rule)"
    if isinstance(trouble, socket.gaierror):
        return "no computer of this name is known"
    if isinstance(trouble, ConnectionRefusedError):
        return "nobody listens there"
    if isinstance(trouble, TimeoutError):
        return "it does not answer"
    if isinstance(trouble, ssl.SSLError):
        return f"TLS failed ({plain(trouble.reason or str(trouble))})"
    return plain(getattr(trouble, "strerror", None) or str(trouble))


def refusal_text(code: str, broker: Broker) -> str:
    """A line about a broker that says no."""
    hint = ": see --credentials, --keyring and EARLID_MQTT_USER" if "auth" in code.lower() or "password" in code.lower() else ""
    return f"{plain(broker.host)} refuses the connection ({code}){hint}"
