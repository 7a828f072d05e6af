# SPDX-License-Identifier: MIT
"""This installation: the key with which it signs its acts, and how far it signed in each ledger. Kept outside any ledger.

`installation.key` holds 64 hex digits, the seed of an Ed25519 key. `heads/<id>`, one file for a ledger, holds number, place and
link of the newest act that this installation signed there, and on the next line where that ledger was. It only moves forward:
a ledger that ends earlier was cut, or restored from a backup.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from earlid.errors import FAILED, USAGE, UserError
from earlid.ledger import acts
from earlid.ledger.location import DATA_DIR_STEP, Location, data_dir

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SEED_BYTES = 32


class SignedHead(NamedTuple):
    """The newest act that this installation signed in a ledger."""

    number: int
    place: int
    link: bytes
    where: str = ""


class Installation:
    """The key of this installation. Read it with `installation()`."""

    def __init__(self, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._key: Ed25519PrivateKey = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._key.public_key().public_bytes_raw()
        self.name = acts.installation_of(self.public_key)

    def sign(self, link: bytes) -> bytes:
        """The signature (64 bytes) of an act's link."""
        return self.sign_message(acts.DOMAIN + link)

    def sign_message(self, message: bytes) -> bytes:
        """The signature (64 bytes) of a message, which begins with what kind it is."""
        return self._key.sign(message)


def key_path() -> Path:
    """Where this installation's key is kept."""
    return data_dir() / "installation.key"


def installation(*, make: bool = True) -> Installation | None:
    """This installation's key; made when there is none and `make`, else None then.

    Raises:
        UserError: it cannot be read or made, or the file holds something else.
    """
    path = key_path()
    try:
        if make and not path.exists():
            _make_key(path)
        seed = bytes.fromhex(path.read_text(encoding="ascii"))
        if len(seed) != SEED_BYTES:
            raise ValueError("not 64 hex digits")
        return Installation(seed)
    except FileNotFoundError:
        return None
    except ValueError as error:
        text = f"{path} holds no key of this installation ({error}): put it back from a backup, or remove it to begin anew."
        raise UserError(text, USAGE) from error
    except OSError as error:
        raise UserError(f"cannot use the key of this installation, {path}: {error.strerror}. {DATA_DIR_STEP}", FAILED) from error


def _make_key(path: Path) -> None:
    path.parent.mkdir(0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".earlid-{os.urandom(6).hex()}.new")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(os.urandom(SEED_BYTES).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another program was quicker: its key counts
            os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def verify_signature(public_key: bytes, link: bytes, signature: bytes) -> bool:
    """Whether a signature over an act's link is of this public key (32 bytes)."""
    return verify_message(public_key, acts.DOMAIN + link, signature)


def verify_message(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a signature is of this public key (32 bytes)."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _head_path(first_link: bytes) -> Path:
    return data_dir() / "heads" / first_link.hex()[:16]


def read_head(first_link: bytes) -> SignedHead | None:
    """How far this installation signed in the ledger whose act 1 of ours has this link; None when nothing tells."""
    with suppress(OSError):
        return _parse_head(_head_path(first_link).read_text(encoding="utf-8", errors="replace"))
    return None


def place_of(location: Location) -> str:
    """A ledger's place as the head files have it: the same however it was named."""
    return os.path.realpath(location.path) if location.path else str(location)


def heads_at(location: Location) -> dict[str, SignedHead]:
    """The heads of every ledger in which this installation signed at a place: file name -> head."""
    found, where = {}, place_of(location)
    folder = data_dir() / "heads"
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            head = _parse_head(path.read_text(encoding="utf-8", errors="replace"))
            if head and head.where == where:
                found[path.name] = head
    return found


def advance_head(first_link: bytes, head: SignedHead) -> None:
    """Remember the newest act that was signed and committed; one that is known as older changes nothing.

    Raises:
        UserError: code 1 when the file cannot be written.
    """
    path = _head_path(first_link)
    try:
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0) as file, locked(file.fileno()):
            known = _parse_head(file.read(4096).decode(errors="replace"))
            if known is None or known.number < head.number:
                file.seek(0)
                # One write of one length: a line torn by a crash is no line, and one whole counts.
                file.write(f"{head.number:020d} {head.place:020d} {head.link.hex()}\n{head.where}\n".encode(errors="replace"))
                file.truncate()
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}. {DATA_DIR_STEP}", FAILED) from error


def _parse_head(text: str) -> SignedHead | None:
    first, _, where = text.partition("\n")
    with suppress(ValueError):
        number, place, link = first.split(" ")
        head = SignedHead(int(number), int(place), bytes.fromhex(link), where.removesuffix("\n"))
        if len(head.link) == len(acts.NO_LINK):
            return head
    return None


@contextmanager
def locked(number: int, *, wait: bool = True) -> Iterator[bool]:
    """A lock among programs on an open file; False where another has it and nobody is to wait."""
    try:
        import fcntl
    except ImportError:  # Windows: two programs that commit within the same microseconds may leave the older of two heads
        yield True
        return
    try:
        fcntl.flock(number, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
        return
    try:
        yield True
    finally:
        fcntl.flock(number, fcntl.LOCK_UN)
