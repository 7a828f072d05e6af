# SPDX-License-Identifier: MIT
"""Bring-up of a virtual board as it comes from the soldering iron: each fault has its finding, a healthy board passes.

The board runs the deployed firmware in simulated time, which passes only while the host reads its port.
"""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, Literal, cast

import pytest
from earlid import firmware
from earlid.board.link import Link
from earlid.cli import main
from earlid.doctor import bring_up_rules as rules
from earlid.doctor.board_watch import BoardWatch
from earlid.doctor.bring_up import BringUp
from earlid.doctor.bring_up_rules import Senses
from earlid.doctor.check_sheet import FIGURES, CheckSheet
from earlid.doctor.model import Diagnosis
from earlid.doctor.operators import Person
from earlid.errors import UserError
from earlid.virtual.adc import CORNERS, Adc
from earlid.virtual.board import VirtualBoard
from earlid.virtual.fault_injection import ChannelName
from lid import circuit
from lid.wire_schema import SelfTestBit, Telemetry

from tests.doctor.at_the_board import Onlooker, PortInSimulatedTime, open_link
from tests.firmware.kit import FIRST_HOP_MS, Bench
from tests.outputs import parse_output
from tests.terminal import Terminal

Fault = Callable[[VirtualBoard], None]


def kill_every_light(board: VirtualBoard) -> None:
    for name in board.leds:
        board.dead_lamp(name)


def reversed_and_silent(board: VirtualBoard) -> None:
    board.reverse_flyback("guarded")
    board.relay_open("guarded")


def take_microphone_out(board: VirtualBoard) -> None:
    board.microphone = "dead"


def cross(first: str, second: str) -> Fault:
    return lambda board: board.cross_pins(getattr(circuit, first), getattr(circuit, second))


FAULTS: list[tuple[str, Fault, set[str]]] = [
    ("reversed-d105", lambda board: board.reverse_flyback("sentinel"), {"flyback-reversed-1"}),
    ("reversed-d205", lambda board: board.reverse_flyback("guarded"), {"flyback-reversed-2"}),
    ("reversed-d205-on-a-weak-board", reversed_and_silent, {"flyback-reversed-2"}),
    ("dead-coil-1", lambda board: board.relay_open("sentinel"), {"coil-silent-1"}),
    ("dead-coil-2", lambda board: board.relay_open("guarded"), {"coil-silent-2"}),
    ("swapped-throws-1", lambda board: board.swap_throws("sentinel"), {"rail-live-1"}),
    ("swapped-throws-2", lambda board: board.swap_throws("guarded"), {"rail-live-2"}),
    ("crossed-rail-senses", cross("SENTINEL_RAIL_PIN", "GUARDED_RAIL_PIN"), {"channels-crossed"}),
    ("crossed-pumps", cross("SENTINEL_PUMP_PIN", "GUARDED_PUMP_PIN"), {"channels-crossed"}),
    ("swapped-senses", cross("ARM_SENSE_PIN", "MUTE_SENSE_PIN"), {"senses-swapped"}),
    ("open-arm-sense", lambda board: board.stuck_pin(circuit.ARM_SENSE_PIN, 0), {"arm-silent"}),
    ("open-mute-sense", lambda board: board.stuck_pin(circuit.MUTE_SENSE_PIN, 0), {"mute-silent"}),
    ("dead-lights", kill_every_light, {"red-dead", "amber-dead-1", "amber-dead-2", "status-dead", "buzzer-dead"}),
    (
        "rail-sense-at-3v3",
        lambda board: board.stuck_pin(circuit.SENTINEL_RAIL_PIN, 1),
        {"rail-live-muted-1", "rail-live-1", "amber-dead-1"},
    ),
    ("open-talk", lambda board: board.stuck_pin(circuit.TALK_BUTTON_PIN, 1), {"talk-silent"}),
    ("shorted-pump", lambda board: board.short_pump("guarded"), {"pump-stuck-high"}),
]  # fmt: skip


def bring_up(
    fault: Fault | None = None, copper: Mapping[str, Any] | None = None, **options: object
) -> tuple[CheckSheet, Onlooker, Bench]:
    """The sheet of one bring-up, who stood at the board, and the board. copper: options of the virtual board."""
    with Bench(start=False, **(copper or {})) as bench:
        if fault:
            fault(bench.board)
        bench.board.start()
        bench.board.run_ms(FIRST_HOP_MS)
        person = Onlooker(bench.board, **options)  # type: ignore[arg-type]
        sheet = CheckSheet("bring-up", "2026-11-27T01:02:03+00:00", "0")
        with open_link(PortInSimulatedTime(bench.board)) as link, suppress(KeyboardInterrupt):
            BringUp(BoardWatch(link), person, sheet).run()
        bench.board.run_ms(500)
        bench.messages()
        return sheet, person, bench


def outcomes(sheet: CheckSheet) -> dict[str, str]:
    return {check.key: check.outcome for check in sheet.checks}


def test_healthy_board_passes_every_check_and_the_journal_tells_it_all() -> None:
    sheet, person, bench = bring_up()
    print("\n".join(sheet.lines()))
    assert sheet.result == "passed"
    assert set(outcomes(sheet).values()) == {"passed"}
    assert set(sheet.figures) == {name for name, _, _ in FIGURES}
    figures = sheet.figures
    assert circuit.DROP_EARLY_MS <= figures["drop1_ms"] <= circuit.DROP_LATE_MS
    assert figures["drop2_least_ms"] <= 130 <= figures["drop2_most_ms"], "of the nominal board"
    assert figures["mute_least_ms"] == 0
    assert figures["mute_most_ms"] <= circuit.MUTE_MAX_MS + 60
    opened = [(entry.event, entry.reason) for entry in bench.records() if entry.event in ("open", "close")]
    assert opened == [("open", "button"), ("close", "host"), ("open", "button"), ("close", "mute")]
    assert len(bench.records("selftest")) == 2, "one of the start, one that was asked for"
    assert person.pressed == 2


IN_THE_SOAK = {"crossed-rail-senses", "shorted-pump", "reversed-d205-on-a-weak-board"}  # whose likes are tried each time


@pytest.mark.parametrize(
    ("fault", "keys"),
    [pytest.param(fault, keys, id=name, marks=[pytest.mark.soak] if name in IN_THE_SOAK else []) for name, fault, keys in FAULTS],
)
def test_fault_of_soldering_is_named(fault: Fault, keys: set[str]) -> None:
    sheet, person, bench = bring_up(fault)
    print("\n".join(sheet.lines()))
    assert {finding.key for finding in sheet.findings} == keys
    assert sheet.result == "failed"
    openings = len(bench.records("open"))
    assert openings <= person.pressed, "the lid opened without a press"
    if not keys & {"rail-live-2", "channels-crossed"}:
        assert not bench.guarded_live()
    if keys == {"flyback-reversed-2"} and openings and bench.board.events("guarded_relay"):
        pulled, fell = (at for at, _ in bench.board.events("guarded_relay"))
        assert fell - pulled < 400, "it was fed for longer than it takes to see it"


def test_board_without_its_microphone_passes_and_says_what_was_skipped() -> None:
    sheet, _, bench = bring_up(take_microphone_out)
    assert sheet.result == "passed"
    assert outcomes(sheet)["microphone"] == "skipped"
    assert ("selftest", "failed") in bench.events(), "the board's own word about it stays"
    (line,) = [line for line in sheet.lines() if "microphone's samples" in line]
    assert line == "  skipped  the microphone's samples move: no microphone in its socket"


RECIPES = [
    pytest.param(recipe, fault, corner, marks=[pytest.mark.soak] if fault or corner != CORNERS[0] else [])
    for recipe in firmware.RECIPES[1:]
    for fault in ("", "sentinel", "guarded")
    for corner in (CORNERS[0], CORNERS[-1])
]


@pytest.mark.parametrize(("recipe", "fault", "corner"), RECIPES)
def test_bring_up_knows_every_recipe(recipe: str, fault: ChannelName | Literal[""], corner: tuple[int, int]) -> None:
    def solder(board: VirtualBoard) -> None:
        take_microphone_out(board)
        if fault:
            board.reverse_flyback(fault)

    sheet, _, _ = bring_up(solder, {"recipe": recipe, "adc": Adc(*corner)})
    print("\n".join(sheet.lines()))
    lid = 1 if recipe == firmware.ONE_CHANNEL else 2
    named = {"": [], "sentinel": ["flyback-reversed-1"], "guarded": [f"flyback-reversed-{lid}"]}[fault]
    assert [finding.key for finding in sheet.findings] == named
    if not fault:
        assert sheet.result == "passed"
        assert outcomes(sheet)["open"] == outcomes(sheet)["mute"] == "passed"


def test_microphone_that_is_there_and_dead_is_named() -> None:
    sheet, _, _ = bring_up(take_microphone_out, says={"microphone": True})
    assert [finding.key for finding in sheet.findings] == ["microphone-dead"]


@pytest.mark.parametrize("options", [{"consent": False}, {"idle": ("press",)}], ids=["no consent", "no press"])
def test_lid_opens_by_nothing_but_the_operators_press(options: dict[str, object]) -> None:
    sheet, person, bench = bring_up(**options)
    assert person.pressed == 0
    assert not bench.board.events("guarded_relay")
    assert not bench.records("open")
    assert outcomes(sheet)["open"] == ("skipped" if "consent" in options else "failed")
    assert outcomes(sheet)["mute"] == "skipped"


def test_light_that_does_not_go_out_at_once_is_the_switch_whatever_was_read() -> None:
    sheet, _, _ = bring_up(says={"muted": False})
    assert [finding.key for finding in sheet.findings] == ["mute-slow-2"]


def test_firmware_that_tells_nothing_of_its_sense_lines_is_to_be_updated() -> None:
    watch = BoardWatch(cast(Link, SimpleNamespace(restarts=0)))
    with pytest.raises(UserError, match="`earlid flash`"):
        watch._take(cast(Telemetry, {"ms": 1, "rail": 0}))


def test_switch_that_is_not_thrown_in_time_is_skipped_after_two_tries() -> None:
    sheet, person, _ = bring_up(idle=("throw",))
    assert outcomes(sheet)["mute"] == "skipped"
    assert person.pressed == 3


@pytest.mark.parametrize("question", [pytest.param("amber1", marks=pytest.mark.soak), "open", "status"])
def test_ctrl_c_leaves_the_lid_closed_and_nothing_waiting(question: str) -> None:
    sheet, _, bench = bring_up(interrupted_at=question)
    assert sheet.result == "not ended"
    assert not bench.guarded_live()
    seen = len(bench.messages())
    board = bench.board
    assert board.leds["amber_guarded"] == 0
    assert not any("tm" in body for body in bench.messages()[seen:])
    assert not [entry for entry in bench.records("config") if entry.reason == "refused"], "the request was not withdrawn"


def test_board_that_restarts_under_its_relay_is_told() -> None:
    sheet, _, _ = bring_up(resets_at="amber1")
    assert [finding.key for finding in sheet.findings] == ["restarted"]
    assert not sheet.ended


MUTED, ARMED = Senses(0, 3700), Senses(4900, 0)
HEALTHY = SelfTestBit.ALL
PURE: list[tuple[str, list[Diagnosis]]] = [
    ("switch-turned", list(rules.senses(ARMED, MUTED, False))),
    ("coil-not-cut", list(rules.senses(ARMED, ARMED, False))),
    ("red-held", list(rules.senses(Senses(0, 0), ARMED, False))),
    ("red-stays", list(rules.senses(MUTED, Senses(4900, 3700), True))),
    ("red-dead", list(rules.senses(Senses(0, 4900), ARMED, None))),
    ("relay-silent-1", list(rules.self_test(HEALTHY & ~SelfTestBit.SENTINEL_RISES, (), False, None))),
    ("contact-silent-1", list(rules.self_test(HEALTHY & ~SelfTestBit.SENTINEL_RISES, (), False, True))),
    ("timing-moved-1", list(rules.self_test(HEALTHY & ~SelfTestBit.DROP_UNCHANGED, (), False, None))),
    ("clamp-lost", list(rules.self_test(HEALTHY & ~SelfTestBit.CLAMPED, (), False, None))),
    ("relay-silent-2", list(rules.opening("no-close", "fault", 0, None))),
    ("contact-silent-2", list(rules.opening("no-close", "fault", 0, True))),
    ("rail-low-2", list(rules.opening("sagging", "fault", 0, None))),
    ("timing-moved-2", list(rules.timing(circuit.ARM_MAX_MS + 1, 100, 130))),
    ("timing-moved-2", list(rules.timing(90, circuit.DROP_LATE_MS + 1, circuit.DROP_LATE_MS + 30))),
    ("timing-moved-2", list(rules.timing(90, 0, circuit.DROP_EARLY_MS - 1))),
]


@pytest.mark.parametrize(("key", "findings"), PURE, ids=[f"{key}-{n}" for n, (key, _) in enumerate(PURE)])
def test_rule_names_one_thing(key: str, findings: list[Diagnosis]) -> None:
    assert [finding.key for finding in findings] == [key]


def test_healthy_figures_have_no_finding() -> None:
    assert not list(rules.senses(MUTED, ARMED, True))
    assert not list(rules.self_test(HEALTHY, (), True, None))
    assert not list(rules.opening("", "host", 150, None))
    assert not list(rules.timing(60, 100, 130))


def test_every_finding_names_a_part_and_is_reached_by_a_test() -> None:
    reached = {key for _, _, keys in FAULTS for key in keys} | {key for key, _ in PURE}
    reached |= {"microphone-dead", "restarted", "mute-slow"}  # each has a test of its own
    assert {key.removesuffix("-1").removesuffix("-2") for key in reached} >= set(rules._TEXTS)
    for key in rules._TEXTS:
        finding = rules.find(key, 2)
        assert re.search(r"[A-Z]{1,4}\d|GPIO|step|cable|label", finding.do), key
        assert "{" not in finding.seen + finding.means + finding.do
        assert all(text.endswith(".") for text in (finding.seen, finding.means, finding.do)), key


def test_sheet_is_the_same_in_json() -> None:
    sheet = CheckSheet("bring-up", "2026-11-27T01:02:03+00:00", "0", "0011223344556677", "0.2.0")
    sheet.note("open", "K2 opens and closes", "failed", "closed by fault")
    sheet.note("mute", "MUTE", "skipped", "K2 does not open")
    assert sheet.find([rules.find("coil-silent", 2), rules.find("coil-silent", 2)])
    document = parse_output("doctor --bring-up", json.dumps(sheet.as_json()))
    assert (document["what"], document["result"]) == ("earlid bring-up, version 1", "failed")
    assert document["board"] == sheet.board
    assert "  skipped  MUTE: K2 does not open" in sheet.lines()
    assert [check["key"] for check in document["checks"]] == list(outcomes(sheet))
    assert document["findings"][0]["key"] == "coil-silent-2"


def test_person_is_asked_one_thing_at_a_time_in_plain_words() -> None:
    err = io.StringIO()
    person = Person(io.StringIO("maybe\ny\nNO\n\n"), err)
    assert person.consents() is True
    assert person.sees("red", "Is the red light on?") is False
    person.throw(True)
    person.press_talk()
    with pytest.raises(KeyboardInterrupt):  # the answers end: Ctrl-D
        person.sees("red", "Is the red light on?")
    asked = err.getvalue()
    assert asked.count("[y/n]") == 4
    assert "Throw the mute switch to MUTE, then press Enter." in asked


def test_bring_up_without_a_terminal_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["doctor", "--bring-up", "-p", "/dev/null"]) == 2
    assert "at a terminal" in capsys.readouterr().err


@pytest.mark.soak
@pytest.mark.parametrize("interrupted", [False, True])
def test_bring_up_at_a_terminal_in_real_time(interrupted: bool) -> None:
    with Bench(start=False) as bench:
        board = bench.board
        take_microphone_out(board)
        board.start()
        board.run_ms(FIRST_HOP_MS)
        board.run_background(speed=1.0)

        def press(length_s: float = 0.2) -> None:
            board.talk(True)
            time.sleep(length_s)
            board.talk(False)

        def throw_and_let_go() -> None:
            board.mute(True)
            time.sleep(0.3)
            board.talk(False)

        steps: list[tuple[str, Callable[[], None] | None, str]] = [
            ("may both relays be tried", None, "y\n"),
            ("to MUTE, then press Enter", lambda: board.mute(True), "\n"),
            ("Is the red light on", None, "y\n"),
            ("to ARM, then press Enter", lambda: board.mute(False), "\n"),
            ("Is the first amber light", None, "y\n"),
            ("the INMP441 module", None, "n\n"),
            ("Press the talk button once", press, ""),
            ("Did the lid's amber light", None, "\x03" if interrupted else "y\n"),
            ("with two hands", lambda: board.talk(True), ""),
            ("MUTE now", throw_and_let_go, ""),
            ("go out at once", None, "y\n"),
            ("to ARM, then press Enter", lambda: board.mute(False), "\n"),
            ("status light flash", None, "y\n"),
            ("buzzer chirp", None, "y\n"),
        ]  # fmt: skip
        with Terminal(["doctor", "--bring-up", "-p", board.serial_port]) as terminal:
            for shown, act, typed in steps[:8] if interrupted else steps:
                terminal.expect(shown)
                if act:
                    act()
                    time.sleep(0.3)
                terminal.keys(typed)
            assert terminal.end() == (130 if interrupted else 0)
            assert ("NOT ENDED" if interrupted else "PASSED") in terminal.text
        board.pause()
        board.run_ms(500)
        assert not bench.guarded_live()
