# SPDX-License-Identifier: MIT
"""RFC 3161 time stamps: what to send to an authority, and whether its answer holds. No input or output.

Format, signature and certificate chain are judged by rfc3161-client (OpenSSL underneath), the chain as of the stamp's own time,
so that a stamp outlives its certificate.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from earlid.door import plain

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

ANSWER_MAX_BYTES = 64 << 10
FAR_MS = 86_400_000  # so far from this computer's clock the authority's, or this computer's, is wrong
_CERTIFICATES, _TOKEN = 0xA0, (1, 1, 0)  # tag; place of SignedData below TimeStampResp: token, its content, what that is


class Stamp(NamedTuple):
    """A time stamp that holds: when (Unix ms), and the name in the certificate that signed it."""

    said_ms: int
    name: str


class BadStamp(Exception):
    """A time stamp that does not hold; the sentence says why."""


def request(text: bytes) -> tuple[bytes, int]:
    """What to send for a text (its SHA-256 goes, nothing else), and the nonce that the answer must have."""
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    builder = TimestampRequestBuilder().data(text).hash_algorithm(HashAlgorithm.SHA256).nonce(nonce=True)
    asked = builder.cert_request(cert_request=True).build()
    assert asked.nonce is not None
    return asked.as_bytes(), asked.nonce


def read_roots(pem: bytes) -> list[Certificate]:
    """The certificates of a PEM file; ValueError when there is none."""
    from cryptography.x509 import InvalidVersion, load_pem_x509_certificates

    try:
        return load_pem_x509_certificates(pem)
    except InvalidVersion as error:
        raise ValueError("a certificate of another version") from error


def check(answer: bytes, text: bytes, roots: Sequence[Certificate], nonce: int | None = None, now_ms: int | None = None) -> Stamp:
    """Whether an answer is a time stamp over a text, by an authority below one of the roots.

    Args:
        answer: TimeStampResp, DER.
        nonce: of the request; None for a stamp that was kept.
        now_ms: this computer's clock where the stamp should be new.

    Raises:
        BadStamp: it is not, and why.
    """
    try:
        with warnings.catch_warnings():  # oddly built certificates are foreign bytes like the others
            warnings.simplefilter("ignore")
            stamp = _check(answer, text, roots, nonce)
    except BadStamp:
        raise
    except BaseException as error:  # whatever three libraries make of foreign bytes; a panic of Rust's is no Exception
        if not isinstance(error, Exception) and type(error).__module__ != "pyo3_runtime":
            raise
        raise BadStamp("the answer is no time stamp") from error
    if now_ms is not None and abs(stamp.said_ms - now_ms) > FAR_MS:
        raise BadStamp("its time is more than a day from this computer's clock")
    return stamp


def _check(answer: bytes, text: bytes, roots: Sequence[Certificate], nonce: int | None) -> Stamp:
    from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

    response = decode_timestamp_response(in_der_order(answer))
    if response.status != 0:
        why = "; ".join(map(plain, response.status_string)) or "without a reason"
        raise BadStamp(f"the request was refused: {why}")
    info = response.tst_info
    if nonce is not None and info.nonce != nonce:
        raise BadStamp("the stamp answers another request than ours (wrong nonce)")
    if info.message_imprint.message != hashlib.sha256(text).digest():
        raise BadStamp("the stamp is for another message")
    if not roots:
        raise BadStamp("no root certificate is known to check it by")
    signer = _signer(response.signed_data)
    if not signer.not_valid_before_utc <= info.gen_time <= signer.not_valid_after_utc:
        raise BadStamp("the authority's certificate had expired, or was not valid yet, when it stamped")
    try:
        VerifierBuilder(roots=list(roots)).build().verify_message(response, text)
    except VerificationError as error:
        raise BadStamp(_reason(str(error))) from error
    return Stamp(int(info.gen_time.timestamp() * 1000), _name_of(signer))


def _signer(signed_data: object) -> Certificate:
    from cryptography.x509 import load_der_x509_certificate

    ((issuer, serial),) = {(info.issuer, info.serial_number) for info in signed_data.signer_infos}  # type: ignore[attr-defined]
    for data in signed_data.certificates:  # type: ignore[attr-defined]
        certificate = load_der_x509_certificate(data)
        if (certificate.issuer, certificate.serial_number) == (issuer, serial):
            return certificate
    raise ValueError("the signer's certificate is not in it")


def _name_of(certificate: Certificate) -> str:
    from cryptography.x509.oid import NameOID

    for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        for attribute in certificate.subject.get_attributes_for_oid(kind):
            return plain(attribute.value, 80)
    return "without a name"


def _reason(text: str) -> str:
    low = text.lower()
    if "eku" in low or "keypurpose" in low or "purpose" in low:
        return "the certificate is no time stamp authority's"
    if "expired" in low or "not yet valid" in low:
        return "a certificate above the authority's had expired, or was not valid yet, when it stamped"
    if chain := re.search(r'Verify error: ([^"]*)', text):
        return f"no root certificate that is trusted here stands above it ({plain(chain[1])})"
    if "signature failure" in low or "digest failure" in low:
        return "its signature does not hold"
    return f"it does not hold: {plain(text)}"


def in_der_order(answer: bytes) -> bytes:
    """An answer with its certificates in the order that DER wants of a set: OpenSSL's `ts` leaves them as they were named.

    Nothing of them is signed by the authority, and no length changes. What is built otherwise stays as it is.
    """
    try:
        _, begin, end = _parts(answer, 0, len(answer))[0]
        for place in _TOKEN:
            _, begin, end = _parts(answer, begin, end)[place]
        for tag, first, last in _parts(answer, begin, end):
            if answer[tag] == _CERTIFICATES:
                ordered = sorted(answer[start:stop] for start, _, stop in _parts(answer, first, last))
                return answer[:first] + b"".join(ordered) + answer[last:]
    except (IndexError, ValueError):
        pass
    return answer


def _parts(data: bytes, begin: int, end: int) -> list[tuple[int, int, int]]:
    """Tag, content and end of each DER value between two places; ValueError where there is none."""
    parts = []
    while begin < end:
        length, at = data[begin + 1], begin + 2
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(data[at : at + count], "big"), at + count
        if length == 0x80 or at + length > end:
            raise ValueError("no DER")
        parts.append((begin, at, at + length))
        begin = at + length
    return parts
