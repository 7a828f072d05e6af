# SPDX-License-Identifier: MIT
"""A board in a thread behind a pseudo-terminal: it keeps sealed records and speaks the protocol, well or badly."""

from __future__ import annotations

import os
import pty
import random
import select
import threading
import time
import tty
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from lid import record, signing, wire

KEY = bytes(range(32))
BRIEF = ("board", "boot", "ms", "seq", "oldest", "link", "nonce", "epoch")  # what a short greeting has
CONSENT_MS = 60_000
LOOK_MS = 20  # how often a board with nothing to do looks whether it shall stop


def seal_records(
    board: str,
    count: int,
    *,
    first: int = 1,
    boot: int = 1,
    prev: bytes | None = None,
    key: bytes = KEY,
    step_ms: int = 1000,
) -> list[bytes]:
    """`count` slots of one chain, opens and closes by turns, `step_ms` apart."""
    prev = record.genesis(board) if prev is None else prev
    slots = []
    for seq in range(first, first + count):
        event, reason, a, b = ("open", "word", 80, 200) if seq % 2 else ("close", "timeout", 8000, 12)
        ms = (seq - first + 1) * step_ms
        body = record.make_body([seq, boot, ms, event, reason, 230, 0, 5000, 3300, 3300, 0, 65535, a, b])
        slot, prev = record.seal(key, prev, body)
        slots.append(slot)
    return slots


class FakeBoard:
    """Serves `slots` at `path` until `stop()`. Knobs: noise, drop, double (chances), restart_every (records).

    Of protocol version 2 it takes signed requests, and announces others until `consent` or `refuse` is called.
    """

    def __init__(self, board: str, slots: list[bytes], *, seed: int = 1, proto: int = 1) -> None:
        self.board, self.slots, self.proto = board, slots, proto
        self.key, self.epoch, self.nonce = KEY, 0, "00" * 8
        self.waiting: dict[str, Any] | None = None  # the announced request
        self.clock_signed = False
        self.random = random.Random(seed)
        self.bit_error = self.drop = self.double = 0.0
        self.restart_every = 0
        self.chatter: list[bytes] = []
        self.acked = 0
        self.boot = 1
        self.wall_ms: int | None = None
        self.started_s = time.monotonic()
        self.requests: list[dict[str, Any]] = []
        self.received = b""
        self.before_reply: Callable[[dict[str, Any]], None] | None = None
        self._seq = 0
        self._done: dict[str, Any] = {}  # the reply to the newest request that was consented to
        self._records_sent = 0
        self.master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        os.set_blocking(self.master, False)  # nobody may be reading: no write may keep `stop` waiting
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()  # it must not be left to write into whatever gets this number next
        for handle in (self.master, self._slave):
            os.close(handle)

    def __enter__(self) -> FakeBoard:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def row(self, seq: int) -> bytes | None:
        """The slot with that number, if it is still kept."""
        if not self.slots:
            return None
        first = record.read_body(self.slots[0][:40])[0]
        return self.slots[seq - first] if first <= seq < first + len(self.slots) else None

    def hello(self) -> dict[str, Any]:
        oldest = record.read_body(self.slots[0][:40])[0] if self.slots else 1
        head = self.slots[-1] if self.slots else None
        second = {"nonce": self.nonce, "epoch": self.epoch} | ({"ask": self.ask()} if self.waiting else {})
        return {
            "board": self.board, "fw": f"0.{self.proto}.0", "proto": self.proto, "boot": self.boot,
            "ms": int((time.monotonic() - self.started_s) * 1000), "state": "closed", "mute": False, "why": "",
            "seq": oldest + len(self.slots) - 1, "link": (head[40:52] if head else record.genesis(self.board)).hex(),
            "oldest": oldest, "acked": self.acked, "word": "alexa", "model": "0" * 16, "config": "0" * 8,
            "guarded_mv": 0, "sentinel_mv": 3300, "dropped": 0, "overruns": 0, "maintenance": False,
            "presence": False, **(second if self.proto > 1 else {}),
        }  # fmt: skip

    def ask(self) -> dict[str, Any]:
        """The announced request as `hi` and the line of its own have it."""
        assert self.waiting is not None
        return {"do": self.waiting["do"], "digest": signing.digest(signing.canonical(self.waiting)), "ms": CONSENT_MS}

    def consent(self, **reply: Any) -> None:
        """Somebody makes the gesture: the request that waits gets this reply."""
        assert self.waiting is not None
        self._done = {"re": self.waiting["id"], "ok": True, **reply}
        self.waiting = None
        self.say(self._done)

    def refuse(self, say: str) -> None:
        """Nobody consents, or another program's request takes its place."""
        assert self.waiting is not None
        body, self.waiting = self.waiting, None
        self.say({"re": body["id"], "ok": False, "err": "consent", "say": say})

    def telemetry(self) -> dict[str, Any]:
        return {
            "ms": int((time.monotonic() - self.started_s) * 1000), "state": "closed", "live": 0, "rail": 0, "lvl": 2000,
            "score": 0, "prob": 0, "quiet": 0, "peak": 30, "clip": 0, "drop": 0, "over": 0,
        }  # fmt: skip

    def say(self, body: dict[str, Any]) -> None:
        """Send one message, with the line's faults."""
        with self._lock:
            line = wire.encode(self._seq, body)
            self._seq = (self._seq + 1) % wire.SEQ_WRAP
            if self.random.random() < self.drop:
                return
            self._send(line * (2 if self.random.random() < self.double else 1))

    def append(self, slot: bytes) -> None:
        """A record happens: kept, and sent unasked."""
        self.slots.append(slot)
        self.say({"rec": record.slot_to_wire(slot)})

    def lose(self, lines: int) -> None:
        """So many lines are said and never heard."""
        with self._lock:
            self._seq = (self._seq + lines) % wire.SEQ_WRAP

    def restart(self) -> None:
        """Reset in the middle of a line."""
        with self._lock:
            self._send(b'#77 {"rec":[1,2,3')
            self._seq = 0
            self.boot += 1
            self.started_s = time.monotonic()
        self.say({"hi": self.hello()})

    def _send(self, data: bytes) -> None:
        if self.bit_error:
            damaged = bytearray(data)
            at = self.random.expovariate(self.bit_error)
            while at < 8 * len(data):
                damaged[int(at) // 8] ^= 1 << int(at) % 8
                at += 1 + self.random.expovariate(self.bit_error)
            data = bytes(damaged)
        if self.chatter and self.random.random() < 0.05:
            data = self.random.choice(self.chatter) + data
        while data and not self._stop.is_set():
            if self._ready(select.POLLOUT):
                with suppress(BlockingIOError):  # another thread's line came first
                    data = data[os.write(self.master, data[:1024]) :]

    def _ready(self, event: int) -> bool:
        """Whether the port can be read or written, waiting a little for it."""
        poll = select.poll()
        poll.register(self.master, event)
        return bool(poll.poll(LOOK_MS))

    def _serve(self) -> None:
        decoder = wire.Decoder(wire.BOARD_LINE_MAX)
        while not self._stop.is_set():
            if not self._ready(select.POLLIN):
                continue
            try:
                data = os.read(self.master, 4096)
            except BlockingIOError:
                continue
            except OSError:
                return
            self.received += data
            for _, body in decoder.feed(data):
                self.requests.append(body)
                self._answer(body)

    def _answer(self, body: dict[str, Any]) -> None:
        if self.before_reply:
            self.before_reply(body)
        reply: dict[str, Any] = {"re": body["id"], "ok": True}
        do = body["do"]
        signed = self.proto > 1 and "mac" in body
        if body["id"] == self._done.get("re"):
            self.say(self._done)
            return
        if signed:
            text = signing.canonical(body)
            if body["mac"] != signing.request_mac(self.key, self.nonce, text):
                self.say({"re": body["id"], "ok": False, "err": "mac", "say": "not the right mac"})
                return
            reply["nonce"] = self.nonce = signing.digest(self.nonce) * 2
        if do == "hello":
            hello = self.hello()
            reply["hi"] = {name: hello[name] for name in BRIEF if name in hello} if body.get("brief") else hello
        elif do == "sync":
            seq = body["from"]
            while seq < body["from"] + body["max"] and (slot := self.row(seq)):
                self.say({"rec": record.slot_to_wire(slot)})
                seq += 1
                self._records_sent += 1
                if self.restart_every and self._records_sent % self.restart_every == 0:
                    self.restart()
                    return
            hello = self.hello()
            reply |= {"next": seq} | {name: hello[name] for name in ("seq", "oldest", "link")}
        elif do == "ack":
            slot = self.row(body["seq"])
            if slot is None or slot[40:52].hex() != body["link"]:
                reply = {"re": body["id"], "ok": False, "err": "argument", "say": "not that record's link"}
            else:
                if signed or self.proto == 1:
                    self.acked = body["seq"]
                reply["acked"] = self.acked
        elif do == "clock":
            self.wall_ms, self.clock_signed = body["wall_ms"], signed
            reply["step_ms"] = 0
        elif do in ("pair", "config-set", "config-rollback") and self.proto > 1:
            again, self.waiting = self.waiting == body, body
            reply["wait"] = {"ask": self.ask()["digest"], "ms": CONSENT_MS}
            if not again:
                self.say({"ask": self.ask()})
        elif do == "cancel":
            self.waiting = None
        elif do != "telemetry":
            reply = {"re": body["id"], "ok": False, "err": "unknown", "say": f"no request {do}"}
        self.say(reply)


class Lid(FakeBoard):
    """A fake board whose lid is open; it may be welded, or not reply."""

    def __init__(self, name: str = "00112233445566aa", slots: list[bytes] | None = None) -> None:
        self.state = "open"
        self.welded = self.deaf = False
        super().__init__(name, slots or [])

    def hello(self) -> dict[str, Any]:
        live = self.state == "open" or self.welded
        return super().hello() | {"state": self.state, "guarded_mv": 3300 if live else 180}

    def _answer(self, body: dict[str, Any]) -> None:
        if self.deaf:
            return
        if body["do"] == "close":
            self.state = "fault" if self.welded else "closed"
            self.say({"re": body["id"], "ok": True, "state": self.state})
        else:
            super()._answer(body)
