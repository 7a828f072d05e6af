# SPDX-License-Identifier: MIT
"""Memory: what the deployed firmware allocates after its first hop is small, and what finds no place is recorded."""

import errno
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from earlid import firmware
from earlid.flash import firmware_build, memory_plan
from earlid.gate import models
from earlid.virtual.timing import Timing
from lid import config, wire
from lid.wire_schema import SelfTestBit

from tests.firmware import kit
from tests.firmware.kit import FIRST_HOP_MS, Bench, check_chain, chip_heap, word_blob

LARGEST_BYTES = 512  # also on this 64-bit host, whose objects are twice those of a board
RECORDS = 1006  # of a segment
FILL = Path(__file__).parent / "fill_journal.py"
MICROPYTHON = str(Path(sys.executable).parent / "micropython")
LOOP = "        while True:\n            app.hop()\n"

# After the first hop no free block is larger than the limit, and room enough is left in small ones.
PLANT = f"""

_filling = []


def _fill_memory():
    filling = holes = None
    try:
        while True:
            holes = (bytearray({LARGEST_BYTES} - 64), holes)
            filling = (bytearray(32), filling)
    except MemoryError:
        pass
    holes = None
    gc.collect()
    try:
        while True:
            filling = (bytearray({LARGEST_BYTES} + 1), filling)
    except MemoryError:
        pass
    _filling.append(filling)
"""


@pytest.fixture(autouse=True)
def chip_garbage(monkeypatch):
    """Garbage is collected as often as on a chip."""
    monkeypatch.setattr(kit, "GARBAGE_TIMES", Timing.garbage_times)


@cache
def patched(*changes: tuple[str, str, str]) -> dict[str, bytes]:
    """The deployed files of a firmware with some text replaced: (module, old, new)."""
    with TemporaryDirectory() as scratch:
        root = Path(scratch)
        shutil.copytree(firmware.root(), root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        for name, old, new in changes:
            text = (root / name).read_text(encoding="utf-8")
            assert text.count(old) == 1, f"{name} has {text.count(old)} of {old!r}"
            (root / name).write_text(text.replace(old, new), encoding="utf-8")
        build = firmware_build.build(root, "x64")
    return {**build.files, **build.loaders}


def filled(*changes: tuple[str, str, str], then: str = "") -> dict[str, bytes]:
    return patched(
        *changes,
        ("lid/start.py", LOOP, "        app.hop()\n        _fill_memory()\n" + then + LOOP),
        ("lid/start.py", "\n\ndef _open_journal(", PLANT + "\n\ndef _open_journal("),
    )


def goes_on(bench: Bench) -> None:
    assert "stopped by" not in bench.board.console
    assert [reason for event, reason in bench.events() if event == "boot"] == ["power-on"]
    assert not [entry for entry in bench.records("fault") if entry.reason in ("no-memory", "exception")]
    check_chain(bench.records(), bench.hello()["board"])


def test_large_allocation_in_filled_memory_is_recorded_and_the_next_start_goes_without_the_word():
    files = filled(then=f"        if journal.boot == 1:\n            bytearray({LARGEST_BYTES} + 32)\n")
    with Bench(files=files, firmware=None, word=True) as bench:
        assert "stopped by MemoryError" in bench.board.console
        bench.board.run_ms(FIRST_HOP_MS)
        bench.sync()
        faults = bench.records("fault")
        assert [(fault.reason, fault.boot, fault.a) for fault in faults] == [
            ("no-memory", 1, LARGEST_BYTES + 32),
            ("no-memory", 2, LARGEST_BYTES + 32),
        ]
        assert min(fault.b for fault in faults) > 10_000
        hello = bench.hello()
        assert (hello["word"], hello["boot"]) == ("", 2)
        assert (hello["no_word"], hello["missing"]) == ("no-memory", LARGEST_BYTES + 32)
        assert 10_000 < hello["free"] < 512 * 1024
        bench.open_by_button()
        bench.board.reset_pin()
        bench.board.run_ms(FIRST_HOP_MS)
        hello = bench.hello()
        assert (hello["word"], hello["boot"], hello["no_word"], hello["missing"]) == ("Alexa", 3, "", 0)


def test_every_request_is_answered_from_small_blocks():
    with Bench(files=filled(), firmware=None, word=True) as bench:
        hello = bench.hello()
        assert hello["word"] == "Alexa"
        assert bench.request("hello", brief=1)["hi"]["boot"] == 1
        assert bench.request("telemetry", every_ms=30)["ok"]
        bench.board.run_ms(1000)
        assert sum("tm" in body for body in bench.messages()) > 20
        assert bench.request("clock", wall_ms=1763780000000, unc_ms=20)["ok"]
        settings = bench.request("config-get")["config"]
        tighter = {name: value - (way == config.TIGHTER_DOWN) for name, (value, _, _, way, *_) in config.SCHEMA.items()}
        assert bench.request_with_consent("config-set", config={**tighter, "open_ms": 9000, "telemetry_ms": 60000})["ok"]
        assert bench.request_with_consent("config-rollback")["ok"]
        key = bytes.fromhex(bench.request_with_consent("pair")["key"])
        assert bench.signed(key, "clock", wall_ms=1763780000000, unc_ms=20)["ok"]
        assert bench.signed(key, "config-set", config=tighter)["ok"]
        assert bench.request("config-get")["config"] == {**settings, **tighter}
        assert bench.request("config-set", config={"x" * 90: 1})["err"] == "argument"
        assert (
            bench.request("ack", seq=1, link="0" * 24, mac="0" * 16, **{"x" * 200: {str(n): n for n in range(9)}})["err"]
            == "argument"
        )
        assert bench.request("probe", 9000, ms=3000)["ms"] == 3000
        assert bench.request("selftest", 9000)["bits"] == SelfTestBit.ALL
        bench.request("telemetry", every_ms=0)
        longest = wire.encode(1, {"id": 1, "do": "hello", "x": ""})
        longest = wire.encode(1, {"id": 1, "do": "hello", "x": "x" * (wire.BOARD_LINE_MAX + 1 - len(longest))})
        for line in (longest[:-1] + b"0\n", b"x" * 600 + b"\n", longest):
            for at in range(0, len(line), 64):  # what a hop takes in
                bench.board.send(line[at : at + 64])
                bench.board.run_ms(20)
        assert bench.wait_for_reply(1)["ok"]
        assert bench.request("open-please")["err"] == "unknown"
        assert bench.request("config-set", config={"open_ms": 1})["err"] == "argument"
        bench.sync()
        head = bench.records()[-1]
        assert bench.signed(key, "ack", seq=head.seq, link=head.link)["acked"] == head.seq
        assert bench.request("close")["ok"]
        goes_on(bench)


def test_openings_mute_and_fault_need_only_small_blocks():
    with Bench(files=filled(), firmware=None, word=True) as bench:
        bench.open_by_button()
        bench.board.run_ms(1000)
        bench.press()
        bench.board.mute(True)
        bench.board.run_ms(500)
        bench.board.mute(False)
        bench.board.run_ms(40_000)  # collected and saved meanwhile, and the good minute
        assert bench.board.rails[0] > 2500
        bench.open_by_button()
        bench.board.weld("guarded")
        bench.press()
        bench.board.run_ms(1000)
        assert bench.hello()["why"] == "welded"
        goes_on(bench)


def test_full_journal_gives_way_and_is_synced_from_small_blocks(tmp_path):
    image = tmp_path / "flash.bin"
    with Bench(flash=image, files=filled(), firmware=None, word=True):
        pass
    done = subprocess.run(
        [MICROPYTHON, "-X", "heapsize=16M", str(FILL), str(image), str(22 * RECORDS - 11)],
        env={**os.environ, "MICROPYPATH": str(firmware.root())}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with Bench(flash=image, firmware=None, deploy=False) as bench:
        bench.board.run_ms(3000)
        oldest = bench.hello()["oldest"]
        for _ in range(5):
            bench.press()
            bench.board.run_ms(500)
            bench.press()
            bench.board.run_ms(1000)
        bench.board.run_ms(5000)
        assert ("lost", "overwritten") in bench.events(), "no room was made"
        assert bench.hello()["oldest"] == oldest + RECORDS
        seq = oldest + RECORDS
        for _ in range(16):
            seq = bench.request("sync", from_=seq, max=64)["next"]
        assert seq == oldest + RECORDS + 16 * 64
        assert "stopped by" not in bench.board.console
        assert len(bench.board.resets) == 1


def test_room_in_the_journal_is_made_from_small_blocks():
    late = ("lid/start.py", "    if journal.needs_room():\n        app.make_room()\n", "")
    files = filled(late, then="        app.make_room()\n        app.hearing.start()\n")
    with Bench(files=files, firmware=None, word=True) as bench:
        bench.board.run_ms(3000)
        assert sum(name.startswith("journal/0") for name in bench.board.read_files()) == 2
        bench.open_by_button()
        goes_on(bench)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("lid/start.py", "        return Detector(model_file.load(path))", "        return bytearray(1000000)"),
        (
            "lid/app.py",
            "        self.board = board\n",
            "        if detector:\n            bytearray(1000000)\n        self.board = board\n",
        ),
    ],
    ids=["word", "loop"],
)
def test_word_without_memory_is_recorded_and_the_button_opens(name, old, new):
    with Bench(files=patched((name, old, new)), firmware=None, word=True) as bench:
        hello = bench.hello()
        assert (hello["word"], hello["state"], hello["boot"]) == ("", "closed", 1)
        assert (hello["no_word"], hello["missing"]) == ("no-memory", 1000000)
        assert "earlid: no word to listen for (memory allocation failed, allocating 1000000 bytes);" in bench.board.console
        faults = bench.records("fault")
        assert [(fault.reason, fault.a) for fault in faults] == [("no-memory", 1000000)]
        assert 10_000 < faults[0].b < 1_000_000
        bench.open_by_button()
        bench.board.mute(True)
        assert bench.ms_until_closed(50) <= 50


SILENT = pytest.mark.parametrize("read_error", [0, -259], ids=["gives nothing", "refuses"])


def assert_lid_works_without_microphone(bench):
    assert len(bench.board.resets) == 1, "a restart"
    assert [entry.reason for entry in bench.records("fault") if entry.reason != "model-damaged"] == ["mic-dead"]
    bench.open_by_button()
    bench.press()
    bench.board.mute(True)
    assert bench.ms_until_closed(50) <= 50


@SILENT
@pytest.mark.parametrize("word", [True, False])
def test_silent_microphone_driver_at_start_is_a_fault_at_once_and_the_button_opens(read_error, word):
    with Bench(start=False, word=word) as bench:
        bench.board.i2s_silent(read_error=read_error)
        bench.board.start()
        bench.board.run_until(lambda: "selftest" in [kind for kind, _ in bench.events()], FIRST_HOP_MS + 1000, step_ms=100)
        bench.board.run_ms(700)
        assert bench.last_record("selftest").a == SelfTestBit.ALL & ~SelfTestBit.MICROPHONE_LIVES
        assert bench.last_record("fault").ms - bench.last_record("selftest").ms <= 540
        assert_lid_works_without_microphone(bench)


@SILENT
def test_microphone_driver_silent_after_unmute_is_a_fault_at_once_and_recovers(read_error):
    with Bench(word=True) as bench:
        bench.board.mute(True)
        bench.board.run_ms(500)
        bench.board.i2s_silent(read_error=read_error)
        bench.board.mute(False)
        bench.board.run_ms(700)
        assert bench.last_record("fault").ms - bench.last_record("unmute").ms <= 540
        assert bench.request("probe", ms=300)["err"] == "state"
        bench.board.run_ms(700)
        assert_lid_works_without_microphone(bench)
        bench.board.run_ms(500)
        bench.board.i2s_silent(False)
        bench.board.mute(False)
        bench.board.run_ms(1000)
        assert bench.last_record("fault").reason == "recovered"


@SILENT
def test_microphone_driver_silent_in_the_selftest_fails_it_and_the_button_opens(read_error):
    with Bench(word=True) as bench:
        bench.board.i2s_silent(read_error=read_error)
        assert bench.request("selftest", 9000)["bits"] == SelfTestBit.ALL & ~SelfTestBit.MICROPHONE_LIVES
        bench.board.run_ms(700)
        assert_lid_works_without_microphone(bench)


def test_microphone_driver_that_falls_silent_costs_one_reset():
    with Bench(word=True) as bench:
        bench.board.i2s_silent(at_once=True)
        bench.board.run_ms(10_000)
        assert [cause for _, cause in bench.board.resets] == [1, 3]
        assert bench.last_record("fault").reason == "mic-dead"
        bench.open_by_button()


def test_start_without_memory_for_the_word_goes_on_without_it():
    hungry = "    if type(weights._early['/model.bin']) is list:\n        bytearray(1000000)\n    board = Board()\n"
    with Bench(files=patched(("lid/start.py", "    board = Board()\n", hungry)), firmware=None, word=True) as bench:
        assert (
            "earlid: no memory left to start with the word (memory allocation failed, allocating 1000000" in bench.board.console
        )
        hello = bench.hello()
        assert (hello["word"], hello["state"], hello["boot"]) == ("", "closed", 1)
        assert (hello["no_word"], hello["missing"]) == ("no-memory", 1000000)
        assert [(fault.reason, fault.a) for fault in bench.records("fault")] == [("no-memory", 1000000)]
        bench.open_by_button()


@pytest.mark.parametrize("missing", ["machine.WDT", "machine.Pin", "esp32.Partition"])
def test_start_without_what_the_firmware_relies_on_says_so_and_stays_closed(missing):
    loaders = {name: (firmware.root() / name).read_bytes() for name in firmware_build.LOADERS}
    loaders["boot.py"] += f"import esp32\ndel {missing}\n".encode()
    with Bench(files=loaders, word=True) as bench:
        assert re.search(
            rf"does not start the firmware \(AttributeError: .*'{missing.split('.')[1]}'\); the lid stays closed",
            bench.board.console,
        )
        bench.press()
        bench.board.run_ms(3000)
        assert not bench.guarded_live()
        assert "rst:" not in bench.board.console.split("does not start")[1], "a restart loop"


def test_driver_without_what_the_firmware_relies_on_leaves_the_button():
    with Bench(
        files=patched(("lid/board.py", "mode=machine.I2S.RX", "mode=machine.I2S.RECEIVE")), firmware=None, word=True
    ) as bench:
        assert bench.hello()["no_word"] == "mic-dead"
        assert len(bench.board.resets) == 1
        bench.open_by_button()


def test_chip_with_too_little_memory_says_so():
    source = (firmware.root() / "main.py").read_text()
    assert source.count("< 150000") == 1
    with Bench(files={"main.py": source.replace("< 150000", "< 15000000").encode()}) as bench:
        assert re.search(r"earlid: only \d{6} bytes of memory are free", bench.board.console)
        assert bench.hello()["state"] == "closed"


@pytest.mark.parametrize(("error", "reason"), [(errno.ENOMEM, "no-memory"), (errno.EIO, "mic-dead")])
@pytest.mark.parametrize("word", [True, False])
def test_microphone_driver_that_does_not_start_is_recorded_and_the_button_opens(error, reason, word):
    with Bench(start=False, word=word) as bench:
        bench.board.i2s_error(error)
        bench.board.start()
        bench.board.run_ms(FIRST_HOP_MS)
        hello = bench.hello()
        assert hello["boot"] == 1
        if word:
            assert (hello["word"], hello["no_word"], hello["missing"] > 10_000) == ("Alexa", reason, reason == "no-memory")
        assert bench.last_record("selftest").reason == "failed"
        assert bench.last_record("selftest").a == SelfTestBit.ALL & ~SelfTestBit.MICROPHONE_LIVES
        bench.open_by_button()
        bench.press()
        bench.board.mute(True)
        bench.board.run_ms(500)
        bench.board.mute(False)
        bench.board.run_ms(10_000)
        assert [entry.reason for entry in bench.records("fault") if entry.reason != "model-damaged"] == [reason]
        fault = bench.last_record("fault")
        assert (fault.a > 10_000) == (reason == "no-memory")
        assert fault.b > 10_000
        assert len(bench.board.resets) == 1
        bench.open_by_button()
        bench.press()
        bench.board.run_ms(500)
        bench.board.i2s_error(0)
        assert bench.request("selftest", 9000)["bits"] == SelfTestBit.ALL
        bench.board.run_ms(1000)
        assert bench.last_record("fault").reason == "recovered"


@pytest.mark.parametrize("name", models.builtin_names())
def test_virtual_board_has_twice_the_heap_left_that_the_plan_has(name):
    """Within 8 KB: garbage comes and goes (each answer leaves some), so the most of ten readings counts."""
    blob = models.load(name).blob
    with Bench(files={"model.bin": blob}) as bench:
        bench.board.run_ms(3000)
        readings = []
        for _ in range(10):
            bench.board.run_ms(137)
            readings.append(bench.hello()["free"])
        # Code that was given back is bytes: about as many on 64 bits, where all else is twice as large.
        given_back = memory_plan._READING_BYTES + memory_plan._START_BYTES
        planned = 2 * memory_plan.predict(memory_plan.deployed(), blob)[-1].free - given_back
        assert abs(planned - max(readings)) < 8192


def test_leak_in_the_loop_ends_as_on_the_chip():
    leaking = patched(
        ("lid/app.py", "        self._hops = 0\n", "        self._hops = 0\n        self.leak = None\n"),
        (
            "lid/app.py",
            "        self._hops += 1\n",
            "        self._hops += 1\n        self.leak = (self.leak, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)\n",
        ),
    )
    left = memory_plan.predict(memory_plan.deployed(), word_blob())[-1].free
    with Bench(files=leaking, firmware=None, word=True, heap_bytes=chip_heap(word_blob())) as bench:
        bench.board.run_until(lambda: ("fault", "no-memory") in bench.events(), 30_000, step_ms=200)
        hops = (bench.last_record("fault").ms - bench.last_record("selftest").ms) // 10
        assert 0.75 * left < 64 * hops < 1.1 * left, "a tuple of 64 bytes in every hop"
