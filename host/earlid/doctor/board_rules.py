# SPDX-License-Identifier: MIT
"""Rules for a board that replies: supply, relay, rails, switch, microphone, line. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lid import circuit
from lid.wire_schema import Telemetry

from earlid.board.detect import is_uncalibrated, no_word_text
from earlid.doctor.model import NOTICE, Diagnosis, ExaminedBoard, Observation, Rule

# Bits of the self-test's result in the order of lid.selftest (set: this held): key, what was seen, what it means, what
# to do.
SELF_TEST = (
    ("guarded-live", "the guarded rail is live although its relay rests",
     "the relay's contact is welded or bridged",
     "Take the guarded microphone off. Replace the relay; check for a solder bridge."),
    ("sentinel-live", "the sentinel rail is live although its relay rests",
     "the relay's contact is welded or bridged", "Replace the sentinel's relay; check for a solder bridge."),
    ("pump-stuck-high", "a pump pin held high energises a relay",
     "the pump's series capacitor is shorted or bridged: a hung chip would leave the lid open",
     "Do not use this board before the capacitor is replaced."),
    ("relay-silent", "the sentinel's relay does not bring up its rail",
     "no click: the coil has no supply, the pump's diodes or capacitor are the wrong way round, or the relay is dead",
     "Check 5 V at the coil with the mute switch off, then the pump's diodes; then swap the relay."),
    ("relay-sticks", "the sentinel's rail does not go away without pump edges",
     "the pump's bleed resistor is missing or the contact sticks", "Check the bleed resistor; then replace the relay."),
    ("drop-time", "the relay drops much faster or slower than this board's first time, or than healthy boards do",
     "the pump's capacitor or bleed resistor has changed, or the board is far warmer or colder",
     "Repeat at room temperature; then check the capacitor and the bleed resistor."),
    ("switch-poles", "the mute switch's two sense lines do not contradict each other",
     "a pole is not wired, broken, or both are bridged", "Check the wiring of the mute switch's third pole."),
    ("microphone-dead", "the sentinel microphone's samples do not move",
     "it has no supply, no clock, or its data line is not connected", "Check VDD, SCK, WS, SD and L/R of the INMP441."),
    ("pump-slow", "a pump fed far too slowly energises a relay",
     "the rate pump or its comparator does not veto: a loop that crawls would leave the lid open",
     "Check the rate pump's capacitors and the comparator; do not use this board before."),
    ("clamp-lost", "the sentinel's rail rises when its clocks stand high",
     "a clamp is open, so the microphone could be fed through its clock pins",
     "Check the clamp resistors, the relay's resting contact and the series resistors in SCK and WS."),
    ("coil-sags", "the coils' supply breaks down while the sentinel's relay is fed",
     "the flyback diode D105 is the wrong way round, so that the driver shorts the supply past the coil; or F1 has tripped",
     "Unplug the board. Turn D105 (its bar towards D106's bar); then check F1."),
)  # fmt: skip
NOT_WHILE_MUTED = ("relay-silent", "relay-sticks", "drop-time", "microphone-dead", "coil-sags")

FAULTS = {
    "welded": ("the guarded rail was live while the lid was closed", "the relay's contact is welded",
               "Take the guarded microphone off and replace the relay."),
    "no-close": ("the lid opened and its rail stayed dead", "the guarded relay does not close its contact",
                 "Check the coil's 5 V and the contact's wiring."),
    "sagging": ("the guarded rail was too low while the lid was open", "the guarded microphone draws too much, or a weak supply",
                "Measure 3.3 V at the contact with the microphone attached; use another supply."),
    "mute-poles": ("the mute switch's poles disagreed", "a pole is broken or not wired", "Check the mute switch."),
    "overrun": ("audio was lost", "the board was too slow for a moment", "Nothing, unless it comes often: then report it."),
    "flash-full": ("the journal had no room", "other files fill the flash", "Take other files off the board."),
    "flash-error": ("a record could not be written", "the flash is worn out or its supply unsteady", "Replace the module."),
    "boot-loop": ("four starts in a row failed", "the supply is weak or the firmware broken", "Run `earlid flash` again."),
    "exception": ("the firmware stopped itself", "a mistake in the firmware", "Report it with `earlid doctor --bundle`."),
    "config-damaged": ("the configuration was unreadable", "defaults are in force", "Run `earlid calibrate` again."),
    "model-damaged": ("there was no readable word", "only the button opens the lid", "Run `earlid flash --word NAME`."),
    "no-memory": ("memory ran out (bytes without a place, bytes free)",
                  "the word or the microphone was left out, and only the button opens the lid",
                  "Run `earlid flash --micropython`, or choose a smaller word: `earlid model list`."),
    "pump-stuck": ("a pump pin stuck", "the pin or its wiring is bridged", "Check the pump's wiring."),
    "coil-sags": ("the coils' supply broke down in the self-test",
                  "the flyback diode D105 is the wrong way round, or F1 has tripped",
                  "Unplug the board and turn D105; then check F1."),
}  # fmt: skip
MIC_FAULTS = ("mic-dead", "mic-stuck", "mic-clipped")
CLIPPED_SHARE = 0.05


def brown_out(observation: Observation) -> Iterator[Diagnosis]:
    """Starts in the journal after a brown-out or by the watchdog."""
    for board in observation.boards:
        starts = [row for row in board.records if row["event"] == "boot"]
        low = [row for row in starts if row["reason"] == "brown-out"]
        hung = [row for row in starts if row["reason"] == "watchdog"]
        if low:
            yield Diagnosis(
                "brown-out", board.port, f"{len(low)} of the last {len(starts)} starts followed a brown-out.",
                "The board's supply breaks down, most often when a relay is energised.",
                "Use a short, thick cable or a 1 A supply, no unpowered hub; check the capacitor at the relays' 5 V.",
            )  # fmt: skip
        if hung:
            yield Diagnosis(
                "watchdog", board.port, f"{len(hung)} of the last {len(starts)} starts were made by the watchdog.",
                "The firmware hung; the lid closed by itself each time.", "Report it with `earlid doctor --bundle`.",
            )  # fmt: skip


def self_test(observation: Observation) -> Iterator[Diagnosis]:
    """The circuit failed its own test just now."""
    for board in observation.boards:
        if board.self_test is None:
            continue
        muted = board.hello.get("mute") is True or board.hello.get("channels") == 1
        for bit, (key, what, means, do) in enumerate(SELF_TEST):
            if not board.self_test >> bit & 1 and not (muted and key in NOT_WHILE_MUTED):
                yield Diagnosis(key, board.port, f"Self-test: {what}.", _sentence(means), do)


def faults(observation: Observation) -> Iterator[Diagnosis]:
    """Faults in the journal since the present start."""
    for board in observation.boards:
        reported = set()
        for row in board.records:
            if row["event"] != "fault" or row["boot"] != board.hello.get("boot") or row["reason"] in reported:
                continue
            reported.add(row["reason"])
            if row["reason"] in FAULTS:
                what, means, do = FAULTS[row["reason"]]
                yield Diagnosis(
                    "fault-" + row["reason"], board.port, f"Since its start {what} ({row['a']}, limit {row['b']}).",
                    _sentence(means), do,
                )  # fmt: skip


def state(observation: Observation) -> Iterator[Diagnosis]:
    """The lid is in fault, muted, or in maintenance."""
    for board in observation.boards:
        if board.hello.get("state") == "fault":
            yield Diagnosis(
                "fault", board.port, f"The lid is in fault ({board.hello.get('why', '?')}).",
                "Both microphones are off until a power cycle.",
                "Deal with the other findings, then unplug the board and plug it in again.",
            )  # fmt: skip
        elif board.hello.get("mute"):
            yield Diagnosis(
                "muted", board.port, "The mute switch is on.", "Nothing can open the lid, and no self-test energises a relay.",
                "Switch it off to have everything tested.", NOTICE,
            )  # fmt: skip


def rails(observation: Observation) -> Iterator[Diagnosis]:
    """What is measured behind the contacts does not fit the state."""
    for board in observation.boards:
        guarded_mv, lid = board.hello.get("guarded_mv"), board.hello.get("state")
        sentinel_mv = board.hello.get("sentinel_mv")
        if not isinstance(guarded_mv, int) or not isinstance(sentinel_mv, int):
            continue
        if lid in ("closed", "muted") and guarded_mv > circuit.RAIL_LIVE_MV:
            yield Diagnosis(
                "rail-live", board.port, f"The guarded rail has {guarded_mv} mV while the lid is {lid}.",
                "The contact is bridged or welded, or the microphone is fed from somewhere else.",
                "Take the guarded microphone off: if the voltage goes, it has a second supply; if not, replace "
                "the relay.",
            )  # fmt: skip
        if lid == "closed" and sentinel_mv < circuit.RAIL_GOOD_MV and board.hello.get("channels") != 1:
            yield Diagnosis(
                "sentinel-low", board.port, f"The sentinel's rail has {sentinel_mv} mV, {circuit.RAIL_NOMINAL_MV} are due.",
                "Its relay is not closed, or the supply is weak: the board cannot hear its word.",
                "Listen for the click at a reset; measure 3.3 V at the module and at the sentinel's contact.",
            )  # fmt: skip


def microphone(observation: Observation) -> Iterator[Diagnosis]:
    """The sentinel microphone hears nothing, clips, or sits on a constant."""
    for board in observation.boards:
        hearing = ("open",) if board.hello.get("channels") == 1 else ("closed", "open")
        if board.hello.get("state") not in hearing or not board.telemetry:
            continue
        boot = board.hello.get("boot")
        told = [(row["reason"], row["boot"] == boot) for row in board.records if row["event"] == "fault"]
        past_faults = {reason for reason, _ in told if reason in MIC_FAULTS}
        present = [reason for reason, now in told if now and reason in (*MIC_FAULTS, "recovered")][-1:]
        live = board.telemetry
        silent = all(row["peak"] == 0 for row in live)
        if silent and present == ["mic-stuck"]:  # the board takes a constant off before it measures a peak
            yield Diagnosis(
                "mic-stuck", board.port, "Every sample has the same value, which is not 0.",
                "The data line is stuck.", "Check SD (GPIO 33): it must come from the microphone, not from a rail.",
            )  # fmt: skip
        elif silent:
            yield Diagnosis(
                "mic-silent", board.port, "Every sample is 0.",
                "The microphone sends on the other channel (its L/R pin is high), or sends nothing.",
                "Wire L/R to ground; then check SD (GPIO 33), WS (GPIO 25), SCK (GPIO 26) and VDD.",
            )  # fmt: skip
        elif _clips(live):
            yield Diagnosis(
                "mic-clipped", board.port, "The samples reach full scale again and again.",
                "Too much gain, a very loud room, or a bad ground.",
                "Run `earlid calibrate`; if it stays in silence, check the microphone's ground and its supply's "
                "capacitor.",
            )  # fmt: skip
        elif past_faults:
            yield Diagnosis(
                "mic-was", board.port, f"The journal tells of {', '.join(sorted(past_faults))}; it is well now.",
                "A loose wire, most often.", "Wiggle the microphone's wires while `earlid watch` shows its level.", NOTICE,
            )  # fmt: skip


def _clips(live: Sequence[Telemetry]) -> bool:
    return sum(row["clip"] > 0 for row in live) > CLIPPED_SHARE * len(live) + 1


def line(observation: Observation) -> Iterator[Diagnosis]:
    """The serial line loses lines."""
    for board in observation.boards:
        if board.hello.get("overruns", 0):
            yield Diagnosis(
                "overruns", board.port, f"{board.hello['overruns']} hops of audio were lost since the start.",
                "The board was too slow for moments; a word said then is missed.",
                "Report it with `earlid doctor --bundle`.", NOTICE,
            )  # fmt: skip


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def has_word(observation: Observation) -> Iterator[Diagnosis]:
    """The board has no word to listen for."""
    for board in observation.boards:
        why, reason = no_word_text(board.hello), board.hello.get("no_word")
        if _is_up(board) and why:
            yield Diagnosis(
                "no-word", board.port, f"No word: {why} ({board.hello.get('free', 0):,} bytes of memory are free).",
                "Only the talk button opens its lid.",
                FAULTS[reason][2] if reason in FAULTS else "Deal with the other findings.",
            )  # fmt: skip
        elif _is_up(board) and not board.hello.get("word"):
            yield Diagnosis(
                "no-word", board.port, "The board has no word.", "Only the talk button opens its lid.",
                "Choose one of `earlid model list` and put it on: `earlid flash --word NAME`.", NOTICE,
            )  # fmt: skip


def calibration(observation: Observation) -> Iterator[Diagnosis]:
    """The board has the settings that it came with."""
    for board in observation.boards:
        if _is_up(board) and board.hello.get("word") and is_uncalibrated(board.hello):
            yield Diagnosis(
                "not-calibrated", board.port, "The board is not calibrated: it has the settings that it came with.",
                "They suit many rooms, and are fitted to none.",
                "`earlid calibrate` measures the room and your voice, and shows what each choice costs.", NOTICE,
            )  # fmt: skip


def old_firmware(observation: Observation) -> Iterator[Diagnosis]:
    """The firmware is older than protocol version 2."""
    for board in observation.boards:
        if board.hello.get("proto", 2) < 2:
            yield Diagnosis(
                "old-firmware", board.port, f"The board's firmware is {board.hello.get('fw', '?')}.",
                "Its receipts are collected; pairing and changing its settings need a newer one.",
                "`earlid flash` updates it and keeps its journal.", NOTICE,
            )  # fmt: skip


def _is_up(board: ExaminedBoard) -> bool:
    return board.hello.get("state") in ("closed", "open", "muted") and not board.hello.get("maintenance")


def identity(observation: Observation) -> Iterator[Diagnosis]:
    """Another device under a board's name."""
    for board in observation.boards:
        if board.stranger:
            yield Diagnosis(
                "stranger", board.port, f"It says that it is board {board.hello.get('board', '?')}, and is {board.stranger}.",
                "Another device stands there, the board's flash was erased, or it has lost its key.",
                "Find out what is plugged in. If it is your board, `earlid pair` makes it known again.",
            )  # fmt: skip


RULES: tuple[Rule, ...] = (
    identity,
    state,
    self_test,
    rails,
    microphone,
    faults,
    brown_out,
    has_word,
    calibration,
    old_firmware,
    line,
)
