# SPDX-License-Identifier: MIT
"""Reads the root certificates that time stamps are checked by."""

from __future__ import annotations

import ssl
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from earlid import config_file
from earlid.config_keys import ANCHOR_TSA_CA
from earlid.errors import USAGE, UserError
from earlid.files import read_bytes
from earlid.witness import timestamp

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

FILE_MAX_BYTES = 4 << 20


def read_roots(named: str | None = None) -> list[Certificate]:
    """Those of the file that is named or configured, else the ones that this system trusts.

    Raises:
        UserError: code 2 when the file has none.
        ModuleNotFoundError: the package that checks time stamps is missing.
    """
    import rfc3161_client as rfc3161_client

    chosen = config_file.get(ANCHOR_TSA_CA, Path(named) if named else None)
    if chosen is None:
        return _system_roots()
    try:
        return timestamp.read_roots(read_bytes(chosen, FILE_MAX_BYTES))
    except ValueError as error:
        raise UserError(f"{chosen} holds no certificate in PEM.", USAGE) from error


def _system_roots() -> list[Certificate]:
    from cryptography.x509 import InvalidVersion, load_der_x509_certificate

    found = []
    with warnings.catch_warnings():  # an old root's serial number is no fault of the user's
        warnings.simplefilter("ignore")
        for data in ssl.create_default_context().get_ca_certs(binary_form=True):
            with suppress(ValueError, InvalidVersion):  # one that is built oddly is no root for us
                found.append(load_der_x509_certificate(data))
    return found
