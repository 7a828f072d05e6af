# SPDX-License-Identifier: MIT
"""The signature over a release's `SHA256SUMS`: OpenSSH's, made and judged by `ssh-keygen -Y`, with a key on disk, in an agent or
in a piece of hardware. The format is OpenSSH's PROTOCOL.sshsig, the list of signers ALLOWED SIGNERS of ssh-keygen(1).
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from earlid.door import plain
from earlid.errors import FAILED, USAGE, UserError
from earlid.files import read_bytes
from earlid.release.sums import SIGNATURE, SUMS, Finding

NAMESPACE = "earlid-release"
_MAX_BYTES = 1 << 16  # of a signature, a public key, a list of signers
_TIMEOUT_S = 60
_NAMES_MAX = 10  # that one key has in a list of signers
_ARMOUR = re.compile(rb"-----BEGIN SSH SIGNATURE-----\n([A-Za-z0-9+/=\n]+)-----END SSH SIGNATURE-----\s*")
_PUBLIC_KEY = re.compile(r"((?:ssh|ecdsa|sk)-\S+ [A-Za-z0-9+/]+=*)(?: [^\n]*)?")
_KEY_OWNER = "named-key"  # the identity in the list that is made of a single public key


class Signed(NamedTuple):
    """What a signature says of itself."""

    key: bytes
    namespace: str

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` shows it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.key).digest()).decode().rstrip("=")


class Signer(NamedTuple):
    """Who signed: the name that the list of signers has for the key, or that of the file with the public key."""

    identity: str
    fingerprint: str


def parse(signature: bytes) -> Signed | None:
    """The public key and the namespace in a signature; None when it is none."""
    match = _ARMOUR.fullmatch(signature)
    try:
        data = base64.b64decode(match[1].replace(b"\n", b""), validate=True) if match else b""
        if data[:10] != b"SSHSIG\0\0\0\1":
            return None
        key_end = 14 + int.from_bytes(data[10:14], "big")
        name_end = key_end + 4 + int.from_bytes(data[key_end : key_end + 4], "big")
        namespace = data[key_end + 4 : name_end].decode()
    except ValueError:
        return None
    return Signed(data[14:key_end], namespace) if name_end < len(data) else None


def sign(path: Path, key: Path) -> None:
    """Write `path`.sig.

    Args:
        key: a private key, or the public one of a key that an agent or a piece of hardware has.

    Raises:
        UserError: what ssh-keygen said.
    """
    path.with_name(path.name + ".sig").unlink(missing_ok=True)
    program = shutil.which("ssh-keygen")
    if not program:
        raise UserError("there is no ssh-keygen here to sign with: install OpenSSH.", FAILED)
    done = subprocess.run(  # its questions (a passphrase, a touch) are the terminal's
        [program, "-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(path)], stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise UserError(f"{key} does not sign: {plain(done.stderr.strip().splitlines()[-1])}", FAILED)


def signers_of(key: Path) -> bytes:
    """A list of signers that has the one public key, for releases alone.

    Raises:
        UserError: code 2 when the file is no public key.
    """
    text = read_bytes(key, _MAX_BYTES).decode("utf-8", "replace").strip()
    match = _PUBLIC_KEY.fullmatch(text)
    if not match:
        raise UserError(f"{key} is no public key of OpenSSH: name the file that ends in .pub.", USAGE)
    return f'{_KEY_OWNER} namespaces="{NAMESPACE}" {match[1]}\n'.encode()


def judge(sums: bytes, signature: bytes | None, *, signers: Path | None, key: Path | None) -> Signer | Finding:
    """Who signed these `SHA256SUMS`, or why that cannot be said.

    Args:
        signature: what `SHA256SUMS.sig` holds; None: there is none.
        signers: a list of signers as ssh-keygen(1) has it.
        key: instead of a list, the one public key that is trusted.

    Raises:
        UserError: code 2 when the list or the key cannot be read, or is none.
    """
    trusted = signers_of(key) if key else read_bytes(signers, _MAX_BYTES) if signers else None
    if signature is None:
        return Finding(SIGNATURE, "unsigned", "the release is not signed: anybody can have made it")
    signed = parse(signature)
    if signed is None:
        return Finding(SIGNATURE, "malformed", f"{SIGNATURE} is no signature of OpenSSH")
    if signed.namespace != NAMESPACE:
        name = plain(signed.namespace, 60)
        return Finding(SIGNATURE, "other namespace", f"the signature was made for {name!r}, not for {NAMESPACE!r}")
    if trusted is None:
        return Finding(
            SIGNATURE, "no signer known", f"the key {signed.fingerprint} signed, and nobody says whose that is: "
            "name whom you trust, with --signers FILE or --key FILE.pub",
        )  # fmt: skip
    program = shutil.which("ssh-keygen")
    if not program:
        return Finding(SIGNATURE, "cannot judge", "there is no ssh-keygen here to judge the signature: install OpenSSH")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "signature").write_bytes(signature)
        (Path(folder) / "signers").write_bytes(trusted)
        for identity in _identities(signed, trusted, _run(program, folder, "find-principals") or ""):
            if _run(program, folder, "verify", "-I", identity, "-n", NAMESPACE, stdin=sums) is not None:
                return Signer(key.name if key else plain(identity), signed.fingerprint)
        if _run(program, folder, "check-novalidate", "-n", NAMESPACE, stdin=sums) is None:
            return Finding(SUMS, "altered", f"{SUMS} is not what the key {signed.fingerprint} signed")
    return _stranger(signed, trusted)


def _stranger(signed: Signed, trusted: bytes) -> Finding:
    lines = [line for line in trusted.splitlines() if line.strip() and not line.lstrip().startswith(b"#")]
    if not lines:
        return Finding(SIGNATURE, "no signer known", "the list of signers is empty")
    if base64.b64encode(signed.key) in trusted.split():
        return Finding(
            SIGNATURE, "not valid", f"the list of signers has the key {signed.fingerprint}, but not for releases, or not today "
            "(namespaces, valid-after and valid-before of ssh-keygen(1))",
        )  # fmt: skip
    return Finding(SIGNATURE, "other key", f"the key {signed.fingerprint} signed, which is none of those that are trusted")


def _identities(signed: Signed, trusted: bytes, found: str) -> list[str]:
    """Names that a list has for a key: ssh-keygen finds (also of a certificate) those of the first line with it, here are all."""
    lines = [line.split() for line in trusted.splitlines()]
    own = [line[0].decode("utf-8", "replace").strip('"') for line in lines if base64.b64encode(signed.key) in line]
    names = re.split(r"[,\n]", ",".join([found, *own]))
    return list(dict.fromkeys(name for name in names if name and not name.startswith(("!", "#"))))[:_NAMES_MAX]


def _run(program: str, folder: str, what: str, *words: str, stdin: bytes = b"") -> str | None:
    """What `ssh-keygen -Y what` printed; None when it said no."""
    line = [program, "-Y", what, "-s", "signature", "-f", "signers", *words]
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(line, input=stdin, cwd=folder, env=environment, capture_output=True, check=False, timeout=_TIMEOUT_S)
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
