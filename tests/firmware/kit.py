# SPDX-License-Identifier: MIT
"""Test bench: a virtual board in simulated time, and its line read with the firmware's own `lid.wire`."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lid
from earlid import firmware
from earlid.flash import firmware_build, memory_plan
from earlid.gate import models
from earlid.virtual import nor_cells
from earlid.virtual.board import VirtualBoard
from earlid.virtual.processor import heap_like
from earlid.virtual.timing import INFERENCE
from lid import record, signing, wire
from lid.wire_schema import Record as JournalRecord

GARBAGE_TIMES = 8  # a start that collects a quarter as often takes half the time; test_memory.py has it as on a chip
FIRST_HOP_MS = 7000  # ROM, MicroPython, the journal's first sectors and the self-test are over


@functools.cache
def deployed_files(recipe: str = firmware.RECIPES[0]) -> dict[str, bytes]:
    """What `earlid flash` puts on a board. Tests that plant code of their own run the sources instead."""
    build = firmware_build.build(firmware.root(), "x64", recipe)
    return {**build.files, **build.loaders}


@functools.cache
def deployed_inference(recipe: str = firmware.RECIPES[0]) -> tuple[str, str, str]:
    return firmware_build.deployed_method(firmware.root(), *INFERENCE, recipe)


@functools.cache
def chip_heap(blob: bytes | None) -> int:
    """The virtual board's heap, as small as a chip's for the deployed firmware with this word."""
    prompt = memory_plan.predict(memory_plan.deployed(), None)[0]
    try:
        sizes = memory_plan.word_sizes(blob) if blob else None
    except ValueError:
        sizes = None  # a damaged word is not loaded
    return heap_like(prompt.free, sum(sizes.pieces) + sizes.arena if sizes else 0)


@functools.cache
def word_blob() -> bytes:
    return models.load("alexa").blob


def run_on_micropython(script: str, *arguments: object) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run a script of this folder with the firmware's modules; what came of it, and the same as a report for people."""
    folders = Path(lid.__file__).parent.parent, Path(nor_cells.__file__).parent, Path(__file__).parent
    micropython = str(Path(sys.executable).parent / "micropython")
    done = subprocess.run(
        [micropython, "-X", "heapsize=64M", str(Path(__file__).parent / script), *map(str, arguments)],
        env={**os.environ, "MICROPYPATH": ":".join(map(str, folders))}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    print(script, *arguments, done.stdout.strip())
    return done, f"{script} {arguments}\n{done.stdout}\n{done.stderr[-3000:]}"


def sealing_key(image: bytes | bytearray) -> tuple[bytes, int]:
    """The newest key in a flash image, and its epoch, as `lid.segments` keeps it in the first slot of a block."""
    found = []
    for block in range(0, len(image), 4096):
        slot = image[block + 64 : block + 128]
        if int.from_bytes(slot[60:], "little") == zlib.crc32(slot[:60]) ^ 0xFFFFFFFF:
            found.append((int.from_bytes(slot[32:36], "little"), bytes(slot[:32])))
    epoch, key = max(found)
    return key, epoch


class Bench:
    """A virtual board whose time passes only on demand, with the messages it has sent."""

    def __init__(
        self, *, files: Mapping[str, bytes] | None = None, start: bool = True, word: bool = False, **options: Any
    ) -> None:
        content = {**({"model.bin": word_blob()} if word else {}), **(files or {})}
        if options.get("deploy", True) and not any(name.startswith("lid/") for name in content):
            recipe = (options["recipe"],) if "recipe" in options else ()
            options["firmware"], content = None, {**deployed_files(*recipe), **content}
            options.setdefault("inference", deployed_inference(*recipe))
            options.setdefault("heap_bytes", chip_heap(content.get("model.bin")))
        self.board = VirtualBoard(files=content, **options)
        self.board.simulation.timing.garbage_times = GARBAGE_TIMES
        self.board.noise(-70)  # a room is never silent, and a living microphone less so
        self._request = 500000
        self.sent: list[dict[str, Any]] = []  # requests
        self._decoder = wire.Decoder(wire.HOST_LINE_MAX)
        self._decoded = 0  # bytes of what the board has sent
        self._messages: list[dict[str, Any]] = []
        if start:
            self.board.start()
            self.board.run_ms(FIRST_HOP_MS)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *exc: object) -> None:
        self.board.stop()

    def messages(self) -> list[dict[str, Any]]:
        """Every good line that the board has sent since power-on; each piece of what it sent is read once."""
        sent = self.board.simulation.uart.transmitter
        fresh = sent.total - self._decoded
        assert fresh <= len(sent.text), "the console forgot what was not read yet"
        if fresh:
            self._decoded = sent.total
            self._messages += [body for _, body in self._decoder.feed(bytes(sent.text[-fresh:]))]
        return self._messages

    def records(self, event: str | None = None) -> list[JournalRecord]:
        """The journal records sent by themselves or in a sync, first sending of each, in order."""
        seen: dict[tuple[int, int], JournalRecord] = {}
        for body in self.messages():
            if "rec" in body:
                entry = JournalRecord(*body["rec"])
                seen.setdefault((entry.boot, entry.seq), entry)
        return [entry for entry in seen.values() if event in (None, entry.event)]

    def last_record(self, event: str) -> JournalRecord:
        records = self.records(event)
        assert records, f"no {event} record; there are {[(n.event, n.reason) for n in self.records()]}"
        return records[-1]

    def events(self) -> list[tuple[str, str]]:
        """(event, reason) of every record, in order."""
        return [(entry.event, entry.reason) for entry in self.records()]

    def request(self, do: str, limit_ms: float = 3000, **arguments: Any) -> dict[str, Any]:
        """Send a request as a host would; its reply's body."""
        self._request += 1
        number = self._request
        self.sent.append({"id": number, "do": do, **{k.rstrip("_"): v for k, v in arguments.items()}})
        self.board.send(wire.encode(number, self.sent[-1]))
        return self.wait_for_reply(number, limit_ms)

    def announce(self, do: str, **arguments: Any) -> int:
        """Send a request that needs consent, and see that it waits for it; its id."""
        reply = self.request(do, **arguments)
        assert reply["wait"]["ms"] <= 60_000, reply
        return int(reply["re"])

    def hold_to_consent(self, held_ms: float = 3300) -> None:
        """The gesture: the mute switch latched, and then the talk button held; both let go afterwards."""
        self.board.mute(True)
        self.board.run_ms(300)
        self.board.talk(True)
        self.board.run_ms(held_ms)
        self.board.talk(False)
        self.board.run_ms(200)
        self.board.mute(False)
        self.board.run_ms(600)

    def request_with_consent(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Announce a request and consent to it; its reply."""
        number = self.announce(do, **arguments)
        self.hold_to_consent()
        return self.wait_for_reply(number)

    def signed(self, key: bytes, do: str, limit_ms: float = 3000, **arguments: Any) -> dict[str, Any]:
        """A request as a paired host sends it; its reply."""
        body = {"do": do, "client": "5eed", **arguments}
        mac = signing.request_mac(key, self.hello()["nonce"], signing.canonical(body))
        return self.request(do, limit_ms, **arguments, client="5eed", mac=mac)

    def wait_for_reply(self, number: int, limit_ms: float = 3000) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        def arrived() -> bool:
            found[:] = [body for body in self.messages() if body.get("re") == number]
            return bool(found)

        self.board.run_until(arrived, limit_ms, step_ms=20)
        return found[-1]

    def hello(self) -> dict[str, Any]:
        return self.request("hello")["hi"]

    def sync(self, batch: int = 64) -> None:
        """Fetch the whole journal."""
        seq, head = 1, 1
        while seq <= head:
            reply = self.request("sync", from_=seq, max=batch)
            seq, head = reply["next"], reply["seq"]

    def press(self, hold_ms: float = 150) -> None:
        self.board.talk(True)
        self.board.run_ms(hold_ms)
        self.board.talk(False)
        self.board.run_ms(60)

    def open_by_button(self) -> None:
        self.press()
        assert self.board.rails[1] > 2500, "the button did not open the lid"

    def guarded_live(self) -> bool:
        return self.board.rails[1] > 300

    def ms_until_closed(self, limit_ms: float) -> float:
        """Run until the guarded rail is dead; how many ms that took (AssertionError beyond the limit)."""
        begun = self.board.now_ms
        self.board.run_until(lambda: not self.guarded_live(), limit_ms)
        return self.board.now_ms - begun


def check_chain(records: list[JournalRecord], board: str, key: bytes | None = None) -> None:
    """Assert that every record is linked to the one before it; with the key, that its mac is right too."""
    link = record.genesis(board)
    for entry in sorted(records, key=lambda n: n.seq):
        body = record.make_body(entry[:14])
        mac = bytes.fromhex(entry.mac)
        assert record.make_link(link, body, mac).hex() == entry.link, f"record {entry.seq} is not linked to {entry.seq - 1}"
        if key:
            assert record.make_mac(key, link, body) == mac, f"record {entry.seq} has a false mac"
        link = bytes.fromhex(entry.link)
