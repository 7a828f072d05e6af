"""Random days: speech, presses, the switch, resets, power cuts. Every opening has its receipt, every receipt its opening."""

import os
import random

import pytest
from earlid.virtual.sound import load
from earlid.virtual.story import SPEECH

from tests.firmware.kit import Bench, check_chain

CLIPS = [load(SPEECH / f"{name}.flac") for name in ("word-slt", "word-rms", "word-m3", "babble-awb", "babble-gb", "request-slt")]
BOUNCE_MS = 100  # a contact that opens and closes again within this is one opening
NEVER_MADE_MS = 300  # an opening ended sooner (mute, press) may have been over before the relay had closed its contact


def openings(bench: Bench) -> list[tuple[float, float]]:
    """(from, to) in board ms of every time the guarded rail was live, as the copper tells it."""
    found: list[list[float]] = []
    for at, live in bench.board.events("guarded_rail"):
        if live and found and at - found[-1][1] < BOUNCE_MS:
            found[-1][1] = bench.board.now_ms
        elif live:
            found.append([at, bench.board.now_ms])
        elif found:
            found[-1][1] = at
    return [(a, b) for a, b in found]


def live_through(bench: Bench, rng: random.Random, day_ms: float) -> int:
    """One day, packed into day_ms; how many accidents it had."""
    accidents = 0
    end_ms = bench.board.now_ms + day_ms
    while bench.board.now_ms < end_ms:
        what = rng.choices(("speech", "press", "mute", "unplug", "close", "reset", "cut", "hang"), (40, 20, 10, 5, 5, 2, 2, 1))[0]
        if what == "speech":
            bench.board.play(rng.choice(CLIPS))
        elif what == "press":
            bench.press(rng.uniform(80, 600))
        elif what == "mute":
            bench.board.mute(True)
            bench.board.run_ms(rng.uniform(50, 3000))
            bench.board.mute(False)
        elif what == "unplug":
            bench.board.unplug()
            bench.board.run_ms(rng.uniform(100, 2000))
            bench.board.replug()
        elif what == "close":
            bench.board.send(b'#1 {"id":1,"do":"close"}*6b3a55f0\n')  # a false crc: nothing must happen
        else:
            accidents += 1
            if what == "reset":
                bench.board.reset_pin()
            elif what == "cut":
                bench.board.power_cut()
                bench.board.run_ms(rng.uniform(20, 1500))
                bench.board.power_on()
            else:
                bench.board.hang()
                bench.board.run_ms(3000)
            # A good minute, so that the board does not take a busy tester for a boot loop.
            bench.board.run_ms(rng.uniform(66_000, 70_000))
        bench.board.run_ms(rng.uniform(200, 9000))
    return accidents


def check_days(days: int, day_ms: float) -> None:
    seed = random.SystemRandom().getrandbits(30)
    rng = random.Random(seed)
    with Bench(word=True, seed=seed) as bench:
        bench.board.engine.speeds.hang_cpu_s = 0.3
        bench.board.noise(-62)
        accidents = sum(live_through(bench, rng, day_ms) for _ in range(days))
        bench.board.mute(False)
        bench.board.run_ms(75_000)  # whatever was open is closed by now
        bench.sync()
        hello, notes = bench.hello(), bench.notes()
        check_chain(notes, hello["board"])
        assert [note.seq for note in sorted(notes)] == list(range(1, len(notes) + 1)), f"seed {seed}"
        physical, receipts, closes = openings(bench), bench.notes("open"), bench.notes("close")
        told = (
            f"seed {seed}: {days} days, {bench.board.now_ms / 3.6e6:.2f} simulated hours, {len(physical)} openings, "
            f"{len(receipts)} receipts ({sum(note.reason == 'word' for note in receipts)} by word), {len(closes)} closings, "
            f"{accidents} accidents, {len(bench.notes('boot'))} starts, {len(notes)} records, {hello['overruns']} overruns"
        )
        print(told)
        # A power cut or the switch, just after the record and before the contact, leaves a receipt without an opening.
        # There is never the reverse.
        short = sum(note.a < NEVER_MADE_MS for note in closes)
        assert len(physical) <= len(receipts) <= len(physical) + accidents + short, told
        assert len(receipts) - accidents <= len(closes) <= len(receipts), told
        live_ms = sum(b - a for a, b in physical)
        receipted_ms = sum(note.a for note in closes)
        assert abs(live_ms - receipted_ms) <= 150 * len(physical) + 9000 * accidents, (told, live_ms, receipted_ms)
        assert hello["state"] == "closed", told
        assert hello["overruns"] == 0, told
        assert len(receipts) > days, told


def test_a_random_day():
    check_days(1, 120_000)


@pytest.mark.soak
def test_thirty_random_days():
    """EARLID_SOAK_MINUTES of dense events for each of 30 days (4 unless set)."""
    check_days(30, 60_000 * float(os.environ.get("EARLID_SOAK_MINUTES", "4")))
