# SPDX-License-Identifier: MIT
"""Surroundings of the board's request reader (`lid.requests`) without a board: what a request may read, ask for and have written.

Policy, consent, settings, signing, records and the line itself are the firmware's own; flash, rails and microphone are not there.
Nobody presses anything: so nothing may open, loosen or give out the key.
"""

from __future__ import annotations

import gc
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

from lid import config, record

KEY = bytes(range(32))
BOARD = "00112233aabbccdd"
PROBED = {"dc_q4": 0, "low": 0, "high": 0, "any": "000000", "all": "000000", "clipped": 0, "other": 0}


def import_firmware() -> None:
    """Let modules that only boards load be imported here."""
    module = ModuleType("micropython")
    module.const = lambda value: value  # type: ignore[attr-defined]
    sys.modules.setdefault("micropython", module)
    probe = ModuleType("lid.mic_probe")
    probe.SHORTEST_MS, probe.LONGEST_MS = 100, 10000  # type: ignore[attr-defined]
    probe.run = lambda board, hearing, ms: {"ms": ms, "hum_q4": [0] * 4, **PROBED}  # type: ignore[attr-defined]
    sys.modules["lid.mic_probe"] = probe
    if not hasattr(gc, "mem_free"):
        gc.mem_free = lambda: 60_000  # type: ignore[attr-defined]


import_firmware()

from lid import clock, files, journal, link, messages, policy, requests, selftest, signing  # noqa: E402


class MemoryJournal(journal.NoJournal):
    """Records in memory, sealed and linked as a board's."""

    def __init__(self) -> None:
        super().__init__(BOARD, lambda size: KEY[:size])
        self.slots: list[bytes] = []
        self.boot = 1

    def append(self, ms, event, reason, score, flags, energy, rails, wall, a, b) -> int:
        body = record.make_body(
            [self.seq + 1, 1, ms, event, reason, score, flags, energy, *rails, *wall, a & 0xFFFFFFFF, b & 0xFFFFFFFF]
        )
        self.seq += 1
        slot, self.link = record.seal(self.key, self.link, body)
        self.slots.append(slot)
        return self.seq

    def find(self, seq: int) -> bytes | None:
        return self.slots[seq - 1] if 1 <= seq <= self.seq else None

    def holds(self, seq: int, chain_link: object) -> bool:
        slot = self.find(seq)
        return slot is not None and slot[40:52].hex() == chain_link

    def acknowledge(self, seq: int) -> None:
        self.acked = max(self.acked, seq)

    def nearly_full(self) -> bool:
        return self.seq > 500


class Port:
    """The serial line: what the host sends, and all that the board has sent."""

    def __init__(self, data: bytes) -> None:
        self.left, self.sent = data, b""

    def read_port(self, buffer: bytearray) -> int:
        part, self.left = self.left[: len(buffer)], self.left[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)

    def port_ready(self) -> bool:
        return True

    def write_port(self, data: memoryview) -> None:
        self.sent += bytes(data)


class RequestReader:
    """A board that was just started, and hears `data` on its line."""

    def __init__(self, data: bytes) -> None:
        self.port, self.now_ms = Port(data), 0
        self.settings: dict[str, int] = config.defaults()
        self.before = dict(self.settings)
        files.load_previous_config = lambda: {**self.before, "open_ms": 60000}
        files.save_config = lambda old, new, feed: None
        requests.selftest = SimpleNamespace(run_and_record=lambda *parts: (selftest._ALL, 40))
        board = SimpleNamespace(
            random_bytes=lambda size: bytes(size), feed=lambda: None, microphone_fault=None, rail=SimpleNamespace(mv=0),
            guarded_mv=lambda: 0, sentinel_mv=lambda: 3000, arm_mv=lambda: 3300, mute_mv=lambda: 0,
        )  # fmt: skip
        hearing = SimpleNamespace(
            configure=lambda settings: None, cutoff_q8=lambda: 200, no_word=None, word="alexa", model="00" * 8, decision=1,
            overruns=0, score=0, energy_log2_q8=0,
        )  # fmt: skip
        self.journal = MemoryJournal()
        self.policy = policy.Policy(self.settings, 200)
        switch = SimpleNamespace(muted=False, disagree=False)
        button = SimpleNamespace(presence=lambda: False)
        ticks = clock.Clock(lambda: self.now_ms, lambda now, then: now - then)
        self.link = link.Link(self.port)
        self.recorder = messages.Recorder(board, self.journal, self.link, ticks, self.policy, hearing, switch, button)
        self.clock = ticks
        status = messages.Status(self.recorder, SimpleNamespace(live_ms=0), self.settings)
        self.requests = requests.Requests(self.recorder, status, self.settings)

    def hop(self) -> None:
        """One turn of the board's loop, as far as it concerns requests."""
        self.now_ms += 10
        self.clock.tick()
        self.requests.poll()
        self.policy.step(self.clock.hops(), False, False, False, 0, True)
        self.link.drain()

    def sign(self, body: dict[str, Any]) -> dict[str, Any]:
        """The request as a paired host sends it."""
        return {**body, "mac": signing.request_mac(KEY, self.requests._nonce, signing.canonical(body))}
