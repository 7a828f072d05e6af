# SPDX-License-Identifier: MIT
"""The millisecond counter wraps: after 12.4 days as MicroPython's ticks (2 ** 30), after 49.7 as 32 bits. Nothing may notice.

The same script runs with the counter far from its wrap, and with the wrap laid on every moment that measures time. The virtual
board repeats itself to the microsecond, so what the copper did and what the journal says must be equal, not merely similar.
"""

from pathlib import Path
from typing import Any

import lid
import pytest
from earlid.demo.scenes import SPEECH
from earlid.virtual.sound import load
from lid import config

from tests.firmware.kit import FIRST_HOP_MS, Bench, JournalRecord, check_chain
from tests.firmware.test_receipt import copper_ms

FIRMWARE = Path(lid.__file__).parent.parent
TICKS_WRAP_MS = 2**30
WORD_WRAP_MS = 2**32
DAY_MS = 86_400_000
# A window and a silence that both end within the script
SHORT = config.dump(config.check({"open_ms": 3000, "silence_ms": 1200}))
Story = tuple[list[tuple[float, str, object]], list[JournalRecord], dict[str, Any]]


def live(start_ms: int, files: dict[str, bytes] | None = None) -> Story:
    """An eventful minute of a board whose counter stands at start_ms at power-on: (history, records, hello)."""
    with Bench(word=True, start=False, seed=5, files={"config.json": SHORT, **(files or {})}) as bench:
        board = bench.board
        board.step_clock(start_ms)
        board.start()
        board.run_ms(FIRST_HOP_MS)
        board.play(load(SPEECH / "word-slt.flac"))  # opened by the word, closed by silence
        board.run_ms(7000)
        board.play(load(SPEECH / "babble-awb.flac"))
        bench.press(100)  # opened by the button, closed by the window's end
        board.run_ms(4500)
        bench.press()  # and closed by the button: the drop is timed
        bench.press()
        board.run_ms(1500)
        board.mute(True)
        board.run_ms(700)
        board.mute(False)
        board.run_ms(1500)
        bench.press()
        board.hang()  # open, and the watchdog starts the board again
        board.run_ms(9000)
        bench.press()
        board.run_ms(3500)
        bench.request("clock", wall_ms=1_763_780_000_000, unc_ms=20)
        board.run_ms(500)
        hello = bench.hello()
        bench.sync()
        return list(board.history), bench.records(), hello


@pytest.fixture(scope="module")
def reference() -> Story:
    return live(0)


def moments(story: Story) -> dict[str, int]:
    """When, in ms since power-on, something is being timed."""
    history = story[0]

    def first(what: str, value: object, after_ms: float = FIRST_HOP_MS) -> float:
        return next(at for at, name, seen in history if (name, seen) == (what, value) and at > after_ms)

    word_ms = first("guarded_rail", True)
    press_ms = first("talk_button", True)
    closed_ms = first("guarded_rail", False)
    return {
        "start": 20,
        "self-test": 3000,
        "word": int(word_ms) - 300,
        "pump": int(word_ms) - 40,
        "silence": int(closed_ms) - 600,
        "drop": int(closed_ms) - 30,
        "refractory": int(closed_ms) + 300,
        "debounce": int(press_ms) + 15,
        "window": int(press_ms) + 2000,
        "mute": int(first("mute_switch", True)) + 300,
        "warm-up": int(first("mute_switch", False)) + 200,
        "hang": int(first("hang", next(value for _, name, value in history if name == "hang"))) + 900,
        "watchdog": int(first("reset", 3)) - 3,
    }


def test_reference_run_has_every_timed_event_and_is_repeatable(reference):
    reported = [(entry.event, entry.reason) for entry in reference[1]]
    for seen in (("open", "word"), ("close", "silence"), ("open", "button"), ("close", "timeout"), ("close", "button"),
                 ("mute", ""), ("unmute", ""), ("boot", "watchdog"), ("clock", "hint")):  # fmt: skip
        assert seen in reported, seen
    assert ("fault", "overrun") not in reported
    assert live(0) == reference, "the virtual board does not repeat itself: nothing here would mean anything"


MOMENTS = ("start", "self-test", "word", "pump", "silence", "drop", "refractory", "debounce", "window", "mute", "warm-up",
           "hang", "watchdog")  # fmt: skip


# The firmware sees ticks of 30 bits: 2 ** 32 is one more of their wraps. Two moments would show if it were not.
@pytest.mark.parametrize(
    ("wrap_ms", "moment"), [*((TICKS_WRAP_MS, m) for m in MOMENTS), (WORD_WRAP_MS, "word"), (WORD_WRAP_MS, "window")]
)
def test_counter_wrap_changes_nothing(reference, wrap_ms, moment):
    history, records, hello = live(wrap_ms - moments(reference)[moment])
    assert records == reference[1]
    assert history == reference[0]
    assert hello == reference[2]


def test_planted_clock_without_wrap_is_found(reference):
    source = (FIRMWARE / "lid" / "clock.py").read_text()
    careless = source.replace("step = self._diff(now, self._last)", "step = now - self._last")
    assert careless != source
    story = live(TICKS_WRAP_MS - moments(reference)["window"], {"lid/clock.py": careless.encode()})
    assert story[1] != reference[1]


def test_opening_across_32_bits_of_milliseconds_is_recorded_right():
    """The journal's milliseconds since boot pass 2 ** 32: fifty nights with the switch latched, then an opening across it."""
    with Bench() as bench:
        board = bench.board
        begun_ms = board.now_ms - bench.hello()["ms"]
        board.mute(True)
        board.run_ms(200)
        while (left_ms := WORD_WRAP_MS - 2000 - int(board.now_ms + board.simulation.clock_offset_us / 1000 - begun_ms)) > 0:
            board.step_clock(min(left_ms, 5 * DAY_MS))
            board.run_ms(200)
        board.mute(False)
        board.run_ms(600)
        bench.open_by_button()
        board.run_ms(9500)
        opened, closed = bench.last_record("open"), bench.last_record("close")
        assert opened.ms < WORD_WRAP_MS < closed.ms
        (least_ms, most_ms), (live_ms,) = (closed.b & 0xFFFF, closed.b >> 16), [copper_ms(board)]
        assert closed.reason == "silence"
        assert least_ms <= live_ms <= most_ms <= least_ms + 50
        assert closed.a == pytest.approx(2650, abs=200)
        assert 0 <= closed.ms - opened.ms - closed.a <= 250
        assert not [entry for entry in bench.records("fault") if entry.reason != "model-damaged"], "a night is no fault"
        head = bench.records()[-1]
        board.power_cut()
        board.run_ms(100)
        board.power_on()
        board.run_ms(FIRST_HOP_MS)
        bench.sync()
        assert head in bench.records()
        check_chain(bench.records(), bench.hello()["board"])
