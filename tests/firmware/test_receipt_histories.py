# SPDX-License-Identifier: MIT
"""A receipt for every second: over random histories the journal's bounds hold what the copper measured.

Welds, sags, broken poles, a relay that does not pull, resets of each kind, hangs, a damaged RTC memory, unplugged cables and
hostile hosts. Left out is what leaves no trace: a weld that ends while the board does not run, and a rail that is live between
two readings only.
"""

import random
import tempfile
from pathlib import Path

import pytest
from earlid.ledger.boards import boards
from earlid.ledger.exposure import Bounds, live_bounds, live_time
from earlid.ledger.location import locate
from earlid.ledger.reader import Reader
from earlid.ledger.report import make_report
from earlid.ledger.store import Ledger, now_ms
from earlid.virtual.protocol import PHASE_REPL
from earlid.virtual.simulation import BOOTING, HUNG, OFF
from lid import config, record, wire

from tests.firmware.kit import FIRST_HOP_MS, Bench, JournalRecord
from tests.firmware.test_receipt import copper_ms

ACTIONS = {
    "wait": 6, "press": 10, "mute": 4, "host": 6, "weld": 3, "sag": 2, "relay": 1, "pole": 1,
    "hang": 1, "reset_pin": 1, "power_cut": 1, "brown_out": 1, "unplug": 1,
}  # fmt: skip
STARTED_MS = 3500  # an ordinary start; the first one takes longer
WATCHDOG_MS = 2500
FIRST_WALL_MS = 1_577_836_800_000  # 2020: no board's clock says an earlier year
READING_MS = 10  # the rail is read once a hop


class History:
    """One board's random life."""

    def __init__(self, seed: int) -> None:
        rng = self.rng = random.Random(seed)
        settings = {"open_ms": rng.choice((800, 3000, 60000)), "silence_ms": rng.choice((500, 2500, 60000))}
        self.bench = Bench(files={"config.json": config.dump(config.check(settings))}, seed=seed % 1000, start=False)
        self.board = self.bench.board
        self.circuit = self.board.simulation.circuit
        self.muted = self.welded = False
        self.script: list[tuple[float, str]] = []

    def live(self) -> None:
        if self.rng.random() < 0.05:
            self.weld()
        self.board.start()
        self.board.run_ms(self.rng.choice((2000, FIRST_HOP_MS - 2000)))
        self.board.simulation.flash.program_us_per_256 = self.rng.choice(
            (700, 12_000)
        )  # a record takes more than a hop on the chip
        for _ in range(self.rng.randrange(4, 12)):
            (action,) = self.rng.choices(tuple(ACTIONS), tuple(ACTIONS.values()))
            if self.welded:
                self.let_it_run()
            self.script.append((self.board.now_ms, action))
            getattr(self, action)()
            self.board.run_ms(self.rng.choice((0, 30, 200, 1000)))
        self.mend()
        self.bench.sync()

    def mend(self) -> None:
        """Everything whole again, and the board through its start."""
        self.board.run_ms(WATCHDOG_MS)
        self.let_it_run()
        self.board.rail_sag(None)
        self.board.relay_open("guarded", False)
        self.circuit.broken_poles.clear()
        self.board.weld("guarded", False)
        self.mute(latched=False)
        self.board.replug()
        self.board.run_ms(FIRST_HOP_MS)
        self.let_it_run()
        self.board.run_ms(FIRST_HOP_MS)

    def runs(self) -> bool:
        """Whether the board watches its rail: its `boot` record is out, and no reset came since."""
        console = self.board.console
        return self.board.simulation.state not in (OFF, BOOTING, HUNG) and console.rfind("rst:0x") < console.rfind('"boot","')

    def let_it_run(self) -> None:
        for _ in range(20):
            if self.runs():
                return
            self.board.run_ms(WATCHDOG_MS)
            # Maintenance: the button was held through a reset. Or it hung before the watchdog ran.
            if self.board.simulation.phase == PHASE_REPL or self.board.simulation.state == HUNG:
                self.board.reset_pin()
        raise AssertionError(f"the board does not start: {self.board.console[-300:]}")

    def down(self, more_ms: float) -> None:
        """After a reset was asked for. A welded contact stays welded until the board runs."""
        self.board.run_ms(WATCHDOG_MS if self.welded else more_ms)

    def wait(self) -> None:
        self.board.run_ms(self.rng.choice((100, 1000, 4000, 9000)))

    def press(self) -> None:
        self.bench.press(self.rng.choice((60, 150, 150, 3000)))
        self.board.run_ms(self.rng.choice((0, 50, 150, 1000, 6000)))

    def mute(self, latched: bool | None = None) -> None:
        self.muted = not self.muted if latched is None else latched
        self.board.mute(self.muted)
        self.board.run_ms(READING_MS)  # a rail that is live for its lever's travel alone is between two readings

    def weld(self) -> None:
        if self.welded:
            self.board.weld("guarded", False)
            self.welded = False
        elif not self.welded:
            self.board.weld("guarded")
            self.welded = True
            self.board.run_ms(self.rng.choice((30, 500, 3000)))

    def sag(self) -> None:
        self.board.rail_sag(self.rng.choice((0, 1000, 2000, 2500, None)))

    def relay(self) -> None:
        self.board.relay_open("guarded", self.rng.random() < 0.6)

    def pole(self) -> None:
        self.circuit.broken_poles ^= {self.rng.choice(("coil", "guarded", "sentinel"))}

    def hang(self) -> None:
        self.board.hang(self.rng.randrange(1, 30))
        self.board.run_ms(self.rng.choice((0, 400)))
        if self.rng.random() < 0.3:
            self.board.corrupt_rtc()
        self.down(self.rng.choice((0, 1000, WATCHDOG_MS, WATCHDOG_MS + STARTED_MS)))

    def reset_pin(self) -> None:
        self.board.reset_pin()
        self.down(self.rng.choice((0, 1000, STARTED_MS)))

    def power_cut(self) -> None:
        self.board.power_cut()
        self.board.run_ms(self.rng.choice((10, 300, 2000)))
        self.board.power_on()
        self.down(self.rng.choice((0, 1000, STARTED_MS)))

    def brown_out(self) -> None:
        self.board.brown_out(self.rng.choice((5, 50, 400)))
        self.down(self.rng.choice((500, STARTED_MS)))

    def unplug(self) -> None:
        self.board.unplug()
        self.board.run_ms(self.rng.choice((100, 2000)))
        self.board.replug()

    def host(self) -> None:
        """A host that closes, tests, tampers with clock and settings, and sends rubbish."""
        rng = self.rng
        for _ in range(rng.randrange(1, 6)):
            do, arguments = rng.choice(
                (
                    ("close", {}), ("selftest", {}), ("probe", {"ms": 500}), ("hello", {}), ("telemetry", {"every_ms": 30}),
                    ("clock", {"wall_ms": rng.randrange(1_577_836_800_000, 2**48), "unc_ms": 0}),
                    ("config-set", {"config": {"open_ms": rng.choice((500, 60000))}}), ("config-rollback", {}), ("pair", {}),
                    ("sync", {"from": 1, "max": 64}), ("ack", {"seq": 1, "link": "0" * 24}),
                )
            )  # fmt: skip
            self.board.send(wire.encode(1, {"id": rng.randrange(1000), "do": do, **arguments}))
            self.board.send(rng.choice((b"", b"#" * 300 + b"\n", b"\x03\x03")))
            self.board.run_ms(rng.choice((0, 20, 300)))


def reviewed(board: str, records: list[JournalRecord]) -> Bounds:
    """The live time that `review` of everything shows, once the records are in a ledger."""
    with tempfile.TemporaryDirectory() as folder:
        location = locate(str(Path(folder) / "ledger.sqlite"))
        with Ledger(location) as ledger:
            ledger.add(board, [record.wire_to_slot(list(entry)) for entry in records])
        with Reader(location) as reader:
            return make_report(reader, boards(reader), FIRST_WALL_MS, now_ms() + 1000).live


def check(seed: int) -> int | None:
    """Live one history and hold its bounds against the copper; their gap in ms, None when there is no upper bound."""
    history = History(seed)
    with history.bench as bench:
        history.live()
        records = sorted(bench.records(), key=lambda entry: entry.seq)
        assert [entry.seq for entry in records] == list(range(1, len(records) + 1)), (seed, history.script)
        total = live_time(live_bounds(records))
        shown = reviewed(bench.hello()["board"], records)
        copper = copper_ms(bench.board)
        known = (seed, total, copper, history.script, [entry[:5] + entry[12:14] for entry in records if entry.seq > 2])
        assert total.least_ms <= copper, known
        assert total.most_ms is None or copper <= total.most_ms, known
        # Where a start's time is in doubt, some of it may lie outside any range.
        assert shown.most_ms is None or copper <= shown.most_ms, (shown, known)
        assert total.most_ms is None or shown.most_ms == total.most_ms, (shown, known)
        assert shown.least_ms <= total.least_ms, known
        return None if total.most_ms is None else total.most_ms - total.least_ms


def check_all(seeds: range) -> None:
    gaps = [check(seed) for seed in seeds]
    bounded = [gap for gap in gaps if gap is not None]
    print(f"{len(gaps)} histories, {len(bounded)} with an upper bound; mean gap of those {sum(bounded) / len(bounded):.0f} ms")
    assert len(bounded) > len(gaps) * 0.6


def test_receipts_hold_the_copper_over_random_histories(seed):
    check_all(range(seed, seed + 8))


def test_receipt_holds_the_copper_where_the_switch_is_thrown_just_before_a_reset():
    check(284787024)


def test_receipt_holds_the_copper_of_a_lid_that_is_open_when_the_records_end():
    check(284787037)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(20))
def test_receipts_hold_the_copper_over_2000_random_histories(part, seed):
    check_all(range(seed + 100 * part, seed + 100 * (part + 1)))
