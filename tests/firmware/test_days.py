# SPDX-License-Identifier: MIT
"""Random days: speech, presses, the switch, resets, power cuts. Every opening has its receipt, every receipt its opening.

What a day of the soak is made of, and what of it is simulated:

* a dense part, in full: a random event every few seconds;
* quiet hours, in full: every sample of a quiet room goes through the firmware; the first night of the
  calm days in one piece, eight hours;
* the rest of the 24 hours is skipped: the switch is latched, the board's millisecond counter is put ahead, the switch released.
  The skipped hours prove that the calendar goes on rightly (both wraps of the 30-bit counter come by), and nothing else.

Ten of the thirty days, in the middle, have no accident: one start lives through all of them, and its memory is watched.
"""

import os
import random
from pathlib import Path

import lid
import pytest
from earlid.demo.scenes import SPEECH
from earlid.ledger.exposure import live_bounds, live_time
from earlid.virtual.sound import load

from tests.firmware.ground_truth import WALL_AT_START_MS, GroundTruth
from tests.firmware.kit import FIRST_HOP_MS, Bench, JournalRecord, check_chain

FIRMWARE = Path(lid.__file__).parent.parent
CLIPS = [load(SPEECH / f"{name}.flac") for name in ("word-slt", "word-rms", "word-m3", "babble-awb", "babble-gb", "request-slt")]
DAY_MS = 86_400_000
MINUTE_MS = 60_000
TICKS_WRAP_MS = 2**30
CALM = range(10, 20)  # days without resets, cuts and hangs

PUMP_FILLS_MS = 300  # from a durable receipt to a live rail: 200 ms, and the hop that the flash took
DROPS_MS = 300  # from the last edge to a dead rail: 250 ms, and the hop
CLOCK_MS = 5  # between the reading of a record's time and its programming: four ADC readings and two digests
HOP_CLOCK_HOPS = 4  # sound comes in DMA buffers of 16 ms; a hello is made within one hop
REPLY_HOPS = 20  # a hello's way over the line, 100 ms, and the look at it every 20 ms
HEAP_BYTES = 4096  # what the free heap may differ by: names first seen, the journal's list of segments
UNCERTAIN_MS = 60  # how late a host's clock request may be read: its line takes 8 ms, and hops are 10
EVENTS = {"speech": 40, "press": 20, "mute": 10, "unplug": 5, "close": 5}
ACCIDENTS = {"reset": 2, "cut": 2, "hang": 1}


def with_gauges() -> dict[str, bytes]:
    """The firmware with two more numbers in its greeting: hops since the start, and what is free of the heap."""
    messages = (FIRMWARE / "lid" / "messages.py").read_text()
    app = (FIRMWARE / "lid" / "app.py").read_text()
    counting_status = messages.replace("class Status:\n", "class Status:\n    hops = 0\n\n")
    assert counting_status != messages
    gauged = counting_status.replace('"maintenance": False,', '"maintenance": False, "hops": self.hops, "heap": _free(),')
    counting = app.replace("        self._hops += 1\n", "        self._hops += 1\n        self.status.hops = self._hops\n")
    assert gauged != counting_status
    assert counting != app
    gauged += "\n\ndef _free():\n    import gc\n\n    gc.collect()\n    return gc.mem_free()\n"
    return {"lid/messages.py": gauged.encode(), "lid/app.py": counting.encode()}


class Days:
    """A board, the person who lives with it, and the host that reads its journal every night."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench, self.board, self.truth = bench, bench.board, GroundTruth(bench)
        self.rng = random.Random(seed)
        self.synced = 0
        self.heap: dict[int, list[int]] = {}  # free bytes at each day's end, by start
        self.files: list[int] = []
        self.quiet_hops = 0
        self.worst_hops = 0
        self.wraps = 0

    def live_through(self, dense_ms: float, accidents: bool) -> None:
        """The day's events, packed into so much time."""
        end_ms = self.board.now_ms + dense_ms
        self.bench.press()
        chances = EVENTS | (ACCIDENTS if accidents else {})
        while self.board.now_ms < end_ms:
            what = self.rng.choices(list(chances), list(chances.values()))[0]
            self.suffer(what) if what in ACCIDENTS else self.do(what)
            self.board.run_ms(self.rng.uniform(200, 9000))

    def do(self, what: str) -> None:
        board, rng = self.board, self.rng
        if what == "speech":
            board.play(rng.choice(CLIPS))
        elif what == "press":
            self.bench.press(rng.uniform(80, 600))
        elif what == "mute":
            board.mute(True)
            board.run_ms(rng.uniform(50, 3000))
            board.mute(False)
        elif what == "unplug":
            board.unplug()
            board.run_ms(rng.uniform(100, 2000))
            board.replug()
        else:
            board.send(b'#1 {"id":1,"do":"close"}*6b3a55f0\n')  # a false crc: nothing must happen

    def suffer(self, what: str) -> None:
        board, rng = self.board, self.rng
        self.truth.accidents.append(board.now_ms)
        if what == "reset":
            board.reset_pin()
        elif what == "cut":
            board.power_cut()
            board.run_ms(rng.uniform(20, 1500))
            board.power_on()
        else:
            board.hang()
            board.run_ms(3000)
        # A good minute, so that the board does not take a busy tester for a boot loop.
        board.run_ms(rng.uniform(66_000, 70_000))

    def rest(self, quiet_ms: float) -> None:
        """A quiet room, in full. The hops that the firmware counts keep step with its milliseconds."""
        self.board.run_ms(12_000)  # whatever was open is closed, and nobody speaks
        capture, rooms = self.board.simulation.i2s.receiver, self.segments()
        before, frames = self.bench.hello(), capture.position
        self.board.run_ms(quiet_ms)
        after, frames = self.bench.hello(), capture.position - frames
        assert after["boot"] == before["boot"], f"a start in a quiet room: {self.bench.records()[-4:]}"
        if self.board.simulation.i2s.receiver is not capture:
            # Once in a thousand records the sentinel sleeps for a second: a new segment is erased ahead.
            assert self.segments() == rooms + 1, f"the microphone was stopped: {self.bench.records()[-4:]}"
            return
        hops, passed_ms = after["hops"] - before["hops"], after["ms"] - before["ms"]
        self.quiet_hops += hops
        self.worst_hops = max(self.worst_hops, abs(hops - passed_ms // 10))
        assert abs(passed_ms - quiet_ms) < 1000
        assert abs(hops - passed_ms // 10) <= HOP_CLOCK_HOPS, f"{hops} hops heard in {passed_ms} ms"
        assert abs(hops - frames / 160) <= REPLY_HOPS, f"{hops} hops heard of {frames} samples delivered"

    def segments(self) -> int:
        return sum(name.startswith("journal/0") for name in self.board.read_files())

    def skip_to(self, day_end_ms: float) -> None:
        """Sleep with the switch latched until then; where the counter wraps, wake before it and speak over it."""
        self.board.mute(True)
        self.board.run_ms(300)
        wrap_ms = (int(self.truth.calendar_ms) // TICKS_WRAP_MS + 1) * TICKS_WRAP_MS
        if day_end_ms > wrap_ms:
            self.skip(wrap_ms - 2000 - self.truth.calendar_ms)
            self.board.mute(False)
            self.board.run_ms(800)
            opened = len(self.bench.records("open"))
            self.bench.open_by_button()
            self.board.run_ms(12_000)
            assert len(self.bench.records("open")) == opened + 1
            assert self.truth.calendar_ms > wrap_ms
            self.wraps += 1
            self.board.mute(True)
            self.board.run_ms(300)
        self.skip(day_end_ms - self.truth.calendar_ms)
        self.board.mute(False)
        self.board.run_ms(1500)

    def skip(self, left_ms: float) -> None:
        if left_ms > 0:
            self.board.step_clock(int(left_ms))
            self.truth.skipped_ms += int(left_ms)
            self.board.run_ms(100)

    def read_journal(self) -> None:
        """What a host does every night: set the clock, fetch what is new, acknowledge it."""
        bench = self.bench
        head = self.synced + 1
        while self.synced < head:
            reply = bench.request("sync", from_=self.synced + 1, max=64)
            self.synced, head = reply["next"] - 1, reply["seq"]
        newest = next(entry for entry in bench.records() if entry.seq == self.synced)
        assert bench.request("ack", seq=newest.seq, link=newest.link)["ok"]
        assert bench.request("clock", wall_ms=WALL_AT_START_MS + int(self.truth.calendar_ms), unc_ms=UNCERTAIN_MS)["ok"]

    def gauge(self) -> None:
        self.board.run_ms(100)
        hello = self.bench.hello()
        assert hello["state"] == "closed"
        assert hello["overruns"] == 0
        assert self.board.simulation.i2s.lost_frames == 0, "sound was lost that nobody counted"
        self.heap.setdefault(hello["boot"], []).append(hello["heap"])
        self.files.append(len(self.board.read_files()))


def check_receipts(days: Days, records: list[JournalRecord]) -> dict[str, int]:
    """One receipt for each opening, durable before it; one opening for each receipt, or the reason why there was none."""
    truth = days.truth
    when = {key: record_time.simulated_ms for key, record_time in truth.record_times.items()}
    physical = truth.openings()
    receipts = [entry for entry in records if entry.event == "open"]
    unused = {(entry.boot, entry.seq) for entry in receipts}
    ends: dict[tuple[int, int], JournalRecord | None] = {}
    for i, entry in enumerate(records):
        if entry.event == "open":
            after = next((later for later in records[i + 1 :] if later.event in ("close", "open", "boot")), None)
            assert after is None or after.event != "open", (entry, after)
            ends[entry.boot, entry.seq] = after
    worst_ms = 0.0
    tails, gone_ms = 0, -DROPS_MS
    for rose_ms, fell_ms in physical:
        if fell_ms <= gone_ms + DROPS_MS and not any(rose_ms - PUMP_FILLS_MS <= when[key] < fell_ms for key in unused):
            # The switch or the supply was away for less time than the pump holds its charge: the rest of the same drop.
            tails += 1
            continue
        gone_ms = fell_ms
        # Closed and opened again before the rail was gone, two receipts share one opening.
        mine = sorted(key for key in unused if rose_ms - PUMP_FILLS_MS <= when[key] < fell_ms)
        assert mine, f"the rail was live from {rose_ms} to {fell_ms} ms without a receipt"
        assert when[mine[0]] < rose_ms, f"the rail was live at {rose_ms} ms, its receipt durable at {when[mine[0]]}"
        unused.difference_update(mine)
        after = ends[mine[-1]]
        if after is not None and after.event == "close":
            off_ms = fell_ms - max(rose_ms, when[mine[-1]]) - after.a
            assert -PUMP_FILLS_MS <= off_ms <= DROPS_MS, (rose_ms, fell_ms, after)
            worst_ms = max(worst_ms, abs(off_ms))
        else:
            assert any(rose_ms - PUMP_FILLS_MS <= at and fell_ms <= at + DROPS_MS for at in truth.accidents), (
                rose_ms,
                fell_ms,
            )
    for key in unused:  # a cut, the switch or a second press before the pump was full
        after = ends[key]
        short = after is not None and after.event == "close" and after.a < PUMP_FILLS_MS
        assert short or any(0 <= at - when[key] < PUMP_FILLS_MS for at in truth.accidents), (key, after)
    total, live_ms = live_time(live_bounds(records)), sum(fell_ms - rose_ms for rose_ms, fell_ms in physical)
    assert total.least_ms <= live_ms, (total, live_ms)
    assert total.most_ms is None or live_ms <= total.most_ms, (total, live_ms)
    return {
        "openings": len(physical) - tails, "tails": tails, "receipts": len(receipts), "never live": len(unused),
        "worst ms": round(worst_ms),
    }  # fmt: skip


def check_clocks(days: Days, records: list[JournalRecord]) -> float:
    """Every record's time is the calendar's; the widest spread of any start, in ms."""
    widest_ms = 0.0
    for boot, offsets in days.truth.offsets_ms(records).items():
        spread_ms = max(offsets) - min(offsets)
        assert spread_ms <= CLOCK_MS, f"start {boot}: the records' clock drifted by {spread_ms} ms"
        widest_ms = max(widest_ms, spread_ms)
    for entry in records:
        if entry.flags & 4:
            assert days.truth.wall_error_ms(entry) <= entry.wall_unc_ms, entry
    return widest_ms


def check_heap(days: Days) -> dict[int, list[int]]:
    for boot, free in days.heap.items():
        assert min(free) >= free[0] - HEAP_BYTES, f"start {boot}: free heap at each day's end {free}"
    return {boot: [free[0], free[-1]] for boot, free in days.heap.items() if len(free) > 1}


def check_days(seed: int, count: int, dense_ms: float, quiet_ms: float, night_ms: float = 0) -> None:
    with Bench(word=True, start=False, seed=seed, files=with_gauges()) as bench:
        days = Days(bench, seed)
        bench.board.start()
        bench.board.run_ms(FIRST_HOP_MS)
        bench.board.simulation.timing.hang_cpu_s = 0.3
        bench.board.noise(-62)
        for day in range(count):
            days.live_through(dense_ms, accidents=day not in CALM)
            days.rest(night_ms if night_ms and day == CALM[0] else quiet_ms)
            days.skip_to((day + 1) * DAY_MS)
            days.read_journal()
            days.gauge()
        records = sorted(bench.records())
        check_chain(records, bench.hello()["board"])
        assert [entry.seq for entry in records] == list(range(1, len(records) + 1)), f"seed {seed}"
        seen = check_receipts(days, records)
        words = sum(entry.reason == "word" for entry in records if entry.event == "open")
        faults = sorted({entry.reason for entry in records if entry.event == "fault"})
        spread_ms = check_clocks(days, records)
        simulated_h, calendar_d = bench.board.now_ms / 3.6e6, days.truth.calendar_ms / DAY_MS
        print(
            f"{calendar_d:.2f} days of calendar: {simulated_h:.2f} hours in full, {days.truth.skipped_ms / 3.6e6:.1f} skipped; "
            f"{seen}, {words} by word, {len(days.truth.accidents)} accidents, {len({n.boot for n in records})} starts, "
            f"{len(records)} records, faults {faults}; {days.wraps} wraps; record clock within {spread_ms:.2f} ms; "
            f"{days.quiet_hops} hops in quiet, worst {days.worst_hops} off; files {min(days.files)}..{max(days.files)}; "
            f"free heap {check_heap(days)}"
        )
        assert max(days.files) <= min(days.files) + 4, f"files at each day's end: {days.files}"
        assert not faults
        assert seen["receipts"] >= count


def test_two_random_days_have_a_receipt_for_each_opening(seed):
    check_days(seed, 2, 90_000, 30_000)


@pytest.mark.soak
def test_thirty_random_days_have_a_receipt_for_each_opening(seed):
    """Two dense minutes and twelve quiet ones for each of 30 days, a night of eight hours; EARLID_SOAK_MINUTES: longer."""
    scale = float(os.environ.get("EARLID_SOAK_MINUTES", "2")) / 2
    check_days(seed, 30, scale * 2 * MINUTE_MS, scale * 12 * MINUTE_MS, night_ms=scale * 480 * MINUTE_MS)
