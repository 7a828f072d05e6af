# SPDX-License-Identifier: MIT
"""A time stamp authority of the tests' own: certificates, `openssl ts` behind a small HTTP server, and answers gone wrong."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
SETTINGS = """
[t]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/{name}.pem
signer_key = {folder}/{name}.key
certs = {folder}/above.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = {digests}
ess_cert_id_alg = sha256
"""
TST_INFO = "1.2.840.113549.1.9.16.1.4"


class Authority:
    """Certificates below one root: `stamps` is an authority's, `expired` was one's, `server` is a web server's.

    `below` is an authority's too, below the certificate `between`; `orphan`, below `lapsed`, which had expired.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "serial").write_text("01\n")
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.root = self._certify("root", None, 3650 * DAY)
        self._certify("between", None, 300 * DAY)
        self._certify("lapsed", None, -DAY)
        self._certify("stamps", ExtendedKeyUsageOID.TIME_STAMPING, 30 * DAY)
        self._certify("expired", ExtendedKeyUsageOID.TIME_STAMPING, -DAY)
        self._certify("server", ExtendedKeyUsageOID.SERVER_AUTH, 30 * DAY)
        self._certify("below", ExtendedKeyUsageOID.TIME_STAMPING, 30 * DAY, "between")
        self._certify("orphan", ExtendedKeyUsageOID.TIME_STAMPING, 30 * DAY, "lapsed")
        self.ca = folder / "root.pem"

    def _certify(
        self, name: str, usage: x509.ObjectIdentifier | None, left: datetime.timedelta, issuer: str = "root"
    ) -> x509.Certificate:
        key = self._keys[name] = ec.generate_private_key(ec.SECP256R1())
        names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Test {who}")]) for who in (issuer, name)]
        builder = x509.CertificateBuilder(*names, key.public_key(), len(self._keys), NOW - 60 * DAY, NOW + left)
        builder = builder.add_extension(x509.BasicConstraints(ca=usage is None, path_length=None), critical=True)
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
        made = builder.sign(self._keys[issuer], hashes.SHA256())
        (self.folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        kind = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (self.folder / f"{name}.key").write_bytes(key.private_bytes(*kind))
        return made

    def reply(self, query: bytes, name: str = "stamps", digests: str = "sha256") -> bytes:
        """What `openssl ts` answers; also where it refuses."""
        settings, asked, answer = (self.folder / part for part in ("ts.cnf", "query", "answer"))
        above = {"below": ("between", "root"), "orphan": ("lapsed",)}.get(name, ("root",))
        (self.folder / "above.pem").write_bytes(b"".join((self.folder / f"{one}.pem").read_bytes() for one in above))
        settings.write_text(SETTINGS.format(folder=self.folder, name=name, digests=digests))
        asked.write_bytes(query)
        self._run("ts", "-reply", "-config", settings, "-section", "t", "-queryfile", asked, "-out", answer)
        return answer.read_bytes()

    def sign_as(self, answer: bytes, name: str) -> bytes:
        """The same time stamp, signed by a certificate for which `openssl ts` would not."""
        from earlid.witness.timestamp import in_der_order
        from rfc3161_client import decode_timestamp_response

        info, token = self.folder / "info", self.folder / "token"
        info.write_bytes(decode_timestamp_response(in_der_order(answer)).tst_info.as_bytes())
        signer = ("-signer", self.folder / f"{name}.pem", "-inkey", self.folder / f"{name}.key", "-md", "sha256")
        kind = ("-econtent_type", TST_INFO, "-nodetach", "-binary", "-cades", "-outform", "DER")
        self._run("cms", "-sign", "-in", info, *signer, *kind, "-out", token)
        inner = bytes.fromhex("3003020100") + token.read_bytes()
        return b"\x30\x82" + len(inner).to_bytes(2, "big") + inner

    @staticmethod
    def _run(*words: object) -> None:
        done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)
        assert done.returncode in (0, 1), done.stderr


@contextmanager
def serving(answer: Callable[[bytes], tuple[int, bytes]]) -> Iterator[str]:
    """The address of an HTTP server that answers every POST like this."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, body = answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "http://127.0.0.1:1/")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
