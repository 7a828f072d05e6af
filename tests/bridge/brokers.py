# SPDX-License-Identifier: MIT
"""What a bridge is tested with: brokers, other clients, a bridge in a thread, and ledgers that fill as a test wants it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from earlid.bridge.bridge import Bridge
from earlid.bridge.credentials import Broker, tls_context
from earlid.bridge.entities import Topics
from earlid.ledger.store import Ledger
from lid import record

from tests.ledger.synthetic_chains import BOARD, fields, seal_all

paho = pytest.importorskip("paho.mqtt.client")
from earlid.bridge.client import Client  # noqa: E402

MOSQUITTO = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
LIMIT_S = 60.0
TOPICS = Topics("earlid")


def until(condition):
    end_s = time.monotonic() + LIMIT_S
    while not (found := condition()):
        assert time.monotonic() < end_s
        time.sleep(0.02)
    return found


def certify(folder, stem="", *, days=9, client=False):
    """A certificate for `localhost` that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "earlid" if client else "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now - timedelta(99), now + timedelta(days)
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    (folder / f"{stem}cert.pem").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    kind = serialization.PrivateFormat.PKCS8
    (folder / f"{stem}key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()))
    # Mosquitto, started by root, reads it as another user; ours must be our own alone.
    (folder / f"{stem}key.pem").chmod(0o600 if client else 0o644)


PORTS = itertools.count(10_000 + 500 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]))


def free_port():
    """One at which nobody listens, now or soon: below those that the system hands out, and of this process alone."""
    while True:
        port = next(PORTS)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port


class Mosquitto:
    """Debian's Mosquitto, with TLS.

    Args:
        listeners: lines of further ones; each begins at a port of `ports`.
    """

    def __init__(self, folder, *listeners):
        self.folder = folder
        certify(folder)
        self.port, *self.ports = (free_port() for _ in range(1 + len(listeners)))
        more = "".join(
            f"listener {port} 127.0.0.1\n{lines.format(folder=folder)}\n"
            for port, lines in zip(self.ports, listeners, strict=True)
        )
        (folder / "conf").write_text(
            f"per_listener_settings true\nuser root\npersistence true\npersistence_location {folder}/\nmax_queued_messages 0\n"
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\n{tls_lines(folder)}\n{more}"
        )
        self.start()

    def start(self):
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen([MOSQUITTO, "-c", str(self.folder / "conf")], stdout=log, stderr=log)
        log.close()
        until(self.answers)

    def answers(self):
        """Whether every listener does: Mosquitto opens them one after the other."""
        try:
            for port in (self.port, *self.ports):
                socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            return False
        return True

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def tls_lines(folder, stem=""):
    """Of a listener with TLS."""
    return f"cafile {folder}/{stem}cert.pem\ncertfile {folder}/{stem}cert.pem\nkeyfile {folder}/{stem}key.pem"


class MuteBroker:
    """A broker that answers some packets of MQTT 5 and never the others, though it takes pings.

    Args:
        answers: of "connect", "subscribe", "publish".
    """

    def __init__(self, *answers):
        self._answers = answers
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.connections, self.published = 0, 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        with connection, connection.makefile("rb") as stream:
            try:
                while head := stream.read(1):
                    size, shift = 0, 0
                    while True:
                        byte = stream.read(1)[0]
                        size |= (byte & 127) << shift
                        shift += 7
                        if byte < 128:
                            break
                    connection.sendall(self._reply(head[0] >> 4, stream.read(size)))
            except OSError:
                pass

    def _reply(self, kind, body):
        if kind == 1 and "connect" in self._answers:
            return b"\x20\x03\x00\x00\x00"
        if kind == 3:
            self.published += 1
            at = 2 + int.from_bytes(body[:2])
            return b"\x40\x02" + body[at : at + 2] if "publish" in self._answers else b""
        if kind == 8 and "subscribe" in self._answers:
            topics = body[3 + body[2] :]
            count = 0
            while topics:
                topics, count = topics[2 + int.from_bytes(topics[:2]) + 1 :], count + 1
            return bytes((0x90, 3 + count)) + body[:2] + b"\x00" + b"\x01" * count
        return b"\xd0\x00" if kind == 12 else b""

    def close(self):
        self._server.close()


class Listener:
    """Another client, which keeps what it hears, also while it is away."""

    def __init__(self, broker):
        self.retained, self.events, self.raw = {}, [], []
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, "listener", clean_session=False)
        self.client.tls_set_context(tls_context(broker.folder / "cert.pem", None, None))
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = lambda client, *_: client.subscribe([("earlid/#", 1), ("homeassistant/#", 1)])
        self.client.on_message = self.take
        self.client.connect("localhost", broker.port)
        self.client.loop_start()

    def take(self, _client, _data, message):
        if message.topic.endswith("/event"):
            self.raw.append((message.topic, message.payload))
            if not message.payload.startswith(b"{"):
                return
            self.events.append(json.loads(message.payload))
        else:
            self.retained[message.topic] = message.payload.decode()

    def state(self):
        return json.loads(self.retained.get(f"earlid/{BOARD}/state", "null"))

    def seqs(self):
        return [event["seq"] for event in self.events]

    def stop(self):
        self.client.disconnect()
        self.client.loop_stop()


class Running:
    """A bridge in a thread."""

    def __init__(self, broker, location, names=(), answer_s=3.0, name="test", **options):
        self.lines, self.closed = [], threading.Event()

        def make_client(bridge):
            where = Broker("localhost", broker.port, True)
            tls = tls_context(broker.folder / "cert.pem", None, None) if hasattr(broker, "folder") else None
            return Client(where, "earlid", (TOPICS.status, "offline"), bridge.subscriptions, bridge.take, bridge.wake,
                          self.lines.append, tls=tls, answer_s=answer_s)  # fmt: skip

        self.bridge = Bridge(location, name, TOPICS, names, make_client, self.close, self.lines.append, **options)
        self.thread = threading.Thread(target=self.bridge.run)
        self.thread.start()

    def close(self):
        self.closed.set()
        return [{"port": "p", "closed": True}]

    def stop(self):
        self.bridge.stop()
        self.thread.join(LIMIT_S)
        assert not self.thread.is_alive()


class Home:
    """A ledger with boards, whose records come as a test wants them."""

    def __init__(self, location, boards=(BOARD,)):
        self.location = location
        self.ledger = Ledger(location)
        self._ends = {board: (0, record.genesis(board)) for board in boards}
        for board in boards:
            self.add("boot", "power-on", board=board, a=0x000200)

    def add(self, event, reason="", *, board=BOARD, count=1, **values):
        seq, prev = self._ends[board]
        rows = [fields(i, 1000 * i, event, reason, **values) for i in range(seq + 1, seq + count + 1)]
        slots = seal_all(rows, board, prev=prev)
        self._ends[board] = (seq + count, slots[-1][40:52])
        self.ledger.add(board, slots)
