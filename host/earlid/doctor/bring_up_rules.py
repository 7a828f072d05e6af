# SPDX-License-Identifier: MIT
"""Rules for a freshly soldered board: from what was read, seen and heard to the part or joint to look at. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lid import circuit
from lid.wire_schema import Record, SelfTestBit

from earlid.doctor import board_rules
from earlid.doctor.model import Diagnosis

SAG_MV = 250  # as lid.selftest has it: a healthy coil takes 150 at most, a reversed flyback diode 400 at least
RED_OPEN_MV = 4100  # the red light's node: 4.0 V at most when the light burns, over 4.3 V when it is open

# key: what was seen, what it means, what to do. {n}: the channel, {h}: its hundreds of references.
_TEXTS = {
    "senses-swapped": (
        "In MUTE the coils' supply is read as present, in ARM as absent, and the red light is right",
        "ARMSENSE and MUTESENSE are swapped: the board would take MUTE for ARM",
        "Swap the wires at GPIO 36 (R4, R5) and GPIO 39 (R6, R7)."),
    "switch-turned": (
        "The switch does the opposite of what is written on it",
        "its ARM and MUTE lugs are swapped on every pole, or the label is the wrong way round",
        "Turn the label, or swap the lugs of all poles of SW1; commons stay where they are."),
    "coil-not-cut": (
        "The coils' supply stays in MUTE",
        "pole A of the switch does not leave ARM, or a wire goes round it",
        "Do not use this board. Check pole A of SW1 (VARM, VCOIL, AMUTE) and look for a bridge from 5 V to VCOIL."),
    "arm-silent": (
        "The coils' supply is not read in ARM",
        "F1 or pole A of the switch is not connected, or the sense divider is open",
        "Measure VCOIL in ARM: with 5 V there, check R4, R5 and GPIO 36; without, F1 and pole A of SW1."),
    "mute-silent": (
        "The red light burns in MUTE and its node is read as dead",
        "the red light's sense line is open or grounded", "Check R6, R7, C3 and GPIO 39."),
    "red-held": (
        "In MUTE the red light's node stays low",
        "the light is shorted, R2 is open, or a transistor holds it down because VCOIL or a rail is not dead",
        "Check LED1, R2 and R3; then Q1 to Q3 (flat side, left to right: source, gate, drain), and GPIO 39."),
    "red-dead": (
        "The red light's node is high and the light stays dark",
        "the red light is open, dead or the wrong way round", "Check LED1 (short leg to GND) and R3."),
    "red-stays": (
        "The red light's node stays high in ARM",
        "the transistors that shunt the light do not",
        "Check Q1 and Q2 (flat side, left to right: source, gate, drain), R11 and R12."),
    "rail-live": (
        "Rail {n} is live with the lid closed",
        "the resting and the working contact of K{n} are swapped, it is welded, or a bridge goes round it",
        "Unplug the board. Compare K{n}'s NO1, NC1 and COM1 with the drawing (the source goes to NO1); then look for a bridge."),
    "rail-live-muted": (
        "Rail {n} is live in MUTE",
        "a supply reaches it round the contact and the switch, or its sense line if its amber light is dark",
        "Do not connect a microphone. Repeat steps 2 and 4 with the multimeter."),
    "channels-crossed": (
        "While the board feeds its own relay, the guarded rail is read as live and its own as dead",
        "the two channels' wires are crossed: the rails' sense lines, or the pumps",
        "If K1 clicked and the first amber light came on, swap GPIO 34 and 35; if it was K2 and the second, GPIO 18 and 19."),
    "flyback-reversed": (
        "The coils' supply breaks down while K{n} is fed",
        "D{n}05 is the wrong way round, and the driver shorts the supply through D{n}06 and it, past the coil; or F1 has tripped",
        "Unplug the board before it gets hot. Turn D{n}05 (its bar towards D{n}06's bar); check F1 afterwards. "
        "A reversed D{n}06 shows in no reading: look at its bar too."),
    "relay-silent": (
        "K{n} does not bring up its rail",
        "its coil is not driven, or its contact, pole or sense line is not connected",
        "Listen for the click. Without one: the coil's pins, Q{n}01, the bars of D{n}01 to D{n}04, U1. "
        "With one: R{n}13, K{n}'s NO1 "
        "and COM1, the switch's pole, R{n}15 and R{n}16."),
    "coil-silent": (
        "K{n} does not click",
        "its coil is not driven: a part of its pump is the wrong way round or open, or the relay itself is turned round",
        "Check K{n} (turned by half, its coil hangs on the NO pads), Q{n}01 (flat side, left to right: source, gate, drain), "
        "the bars of "
        "D{n}01 to D{n}04, U1's notch, and 5 V at VCOIL."),
    "contact-silent": (
        "K{n} clicks and its rail stays dead",
        "the feed is open behind or before the contact, or the rail's sense line is",
        "Measure RAIL{n} while it is fed. With a voltage there: R{n}15, R{n}16 and the sense wire. "
        "Without: the source and its series "
        "part ({feed}), K{n}'s NO1 and COM1, the pole of SW1. A usb or electret board needs its host's side on."),
    "rail-low": (
        "Rail {n} is lower than it should be while it is fed",
        "a cold joint in its feed, a wrong series part, or a load on it",
        "Check {feed}, K{n}'s NO1 and COM1, the pole of SW1, and R{n}14."),
    "timing-moved": (
        "K{n} comes or goes too early or too late",
        "a part of its pumps has a wrong value", "Check R{n}03, R{n}04, C{n}02, C{n}04 and their marks."),
    "talk-silent": (
        "The board noticed no press of the talk button",
        "the button or its wire is open", "Check SW2: one side to GND, the other to GPIO 32."),
    "mute-slow": (
        "MUTE with the lid open did not take both rails away in time",
        "a pole of the switch or a clamp does not do its part",
        "Do not use this board. Check all poles of SW1, R{n}12, and step 2."),
    "amber-dead": (
        "Rail {n} is live and its amber light stays dark",
        "the light is open, dead or the wrong way round", "Check LED{n}01 (short leg to GND) and R{n}17."),
    "status-dead": (
        "The status light stays dark", "the light is open, dead or the wrong way round, or its wire is",
        "Check LED2 (short leg to GND), R25 and GPIO 27."),
    "buzzer-dead": (
        "The buzzer is silent", "the buzzer is dead or the wrong way round, or its wire is open",
        "Check BZ1 (plus to GPIO 23) and GND."),
    "microphone-dead": (
        "The microphone's samples do not move", "it has no supply, no clock, or its data line is not connected",
        "Check VDD, SCK (GPIO 26), WS (GPIO 25), SD (GPIO 33) and L/R of the INMP441."),
    "restarted": (
        "The board restarted", "its supply breaks down, most often when a relay is fed, or a wire is loose",
        "Use a short, thick cable or a 1 A supply; look for a short behind the relay that was fed last."),
}  # fmt: skip
NO_COPPER = ("overrun", "model-damaged", "no-memory")  # faults that no soldering iron mends
_OF_CHANNEL = {1: "R113", 2: "R213, F201"}
# Self-test: what a bit that is missing is called here, and what follows from it and is therefore not told beside it.
_RAILS_LIVE = SelfTestBit.STUCK_HIGH_SAFE | SelfTestBit.SLOW_SAFE | SelfTestBit.CLAMPED
OF_RELAY = (
    SelfTestBit.SENTINEL_RISES | SelfTestBit.SENTINEL_DROPS | SelfTestBit.DROP_UNCHANGED | SelfTestBit.MICROPHONE_LIVES
    | SelfTestBit.COIL_HOLDS
)  # fmt: skip


class Senses(NamedTuple):
    """The mute switch's sense lines, mV: the coils' supply, and the red light's node."""

    arm_mv: int
    mute_mv: int


def find(key: str, n: int = 0) -> Diagnosis:
    """The finding of a name; `n`: of which channel, which becomes part of its key."""
    seen, means, do = (text.format(n=n, feed=_OF_CHANNEL.get(n, "")) for text in _TEXTS[key])
    return Diagnosis(f"{key}-{n}" if n else key, "", seen + ".", means[0].upper() + means[1:] + ".", do)


def senses(muted: Senses, armed: Senses, red_seen: bool | None) -> Iterator[Diagnosis]:
    """What both positions of the mute switch tell.

    Args:
        muted, armed: read in MUTE and in ARM.
        red_seen: whether the red light burned in MUTE; None where nobody looked.
    """
    high, low = circuit.SENSE_HIGH_MV, circuit.SENSE_LOW_MV
    if muted.arm_mv >= high and armed.arm_mv <= low:
        yield find("switch-turned" if red_seen is False else "senses-swapped")
        return
    if muted.arm_mv > low:
        yield find("coil-not-cut")
        return
    if armed.arm_mv < high:
        yield find("arm-silent")
    elif armed.mute_mv > low:
        yield find("red-stays")
    if muted.mute_mv < high:
        yield find("mute-silent" if red_seen else "red-held")
    elif red_seen is False or muted.mute_mv > RED_OPEN_MV:
        yield find("red-dead")


def self_test(bits: int, records: Iterable[Record], microphone: bool, clicked: bool | None) -> Iterator[Diagnosis]:
    """What a self-test in ARM tells of a new board.

    Args:
        bits: of its result.
        records: of this start.
        microphone: whether the board's own microphone is in its socket.
        clicked: whether a relay was heard; None where nobody listened.
    """
    told = bits | (0 if microphone else SelfTestBit.MICROPHONE_LIVES)
    missing = SelfTestBit.ALL & ~SelfTestBit(told)
    live = [record for record in records if record.event == "live"]
    for bit, n in ((SelfTestBit.SENTINEL_DEAD, 1), (SelfTestBit.GUARDED_DEAD, 2)):
        if bit in missing:
            yield find("rail-live", n)
            missing &= ~(bit | _RAILS_LIVE | OF_RELAY)
    if missing & (SelfTestBit.STUCK_HIGH_SAFE | SelfTestBit.SLOW_SAFE):
        missing &= ~OF_RELAY  # the board went no further
    if SelfTestBit.STUCK_HIGH_SAFE in missing:
        missing &= ~SelfTestBit.SLOW_SAFE
    if SelfTestBit.COIL_HOLDS in missing:
        yield find("flyback-reversed", 1)
        missing &= ~OF_RELAY
    elif SelfTestBit.SENTINEL_RISES in missing:
        if any(record.guarded_mv > circuit.RAIL_LIVE_MV >= record.sentinel_mv for record in live):
            yield find("channels-crossed")
        else:
            yield find({None: "relay-silent", False: "coil-silent", True: "contact-silent"}[clicked], 1)
        missing &= ~OF_RELAY
    if SelfTestBit.MICROPHONE_LIVES in missing:
        yield find("microphone-dead")
        missing &= ~SelfTestBit.MICROPHONE_LIVES
    if SelfTestBit.DROP_UNCHANGED in missing:
        yield find("timing-moved", 1)
        missing &= ~(SelfTestBit.DROP_UNCHANGED | SelfTestBit.SENTINEL_DROPS)
    for place, (key, seen, means, do) in enumerate(board_rules.SELF_TEST):
        if missing & 1 << place:
            yield Diagnosis(key, "", f"Self-test: {seen}.", means[0].upper() + means[1:] + ".", do)


def opening(fault: str, closed_by: str, sag_mv: int, clicked: bool | None, n: int = 2) -> Iterator[Diagnosis]:
    """What the first opening tells of the lid's relay.

    Args:
        fault: reason of a `fault` record that it made, or empty.
        closed_by: reason of its `close`.
        sag_mv: how far the coils' supply fell.
        clicked: whether the relay was heard; None where nobody listened.
        n: the lid's channel.
    """
    if sag_mv > SAG_MV or (closed_by == "mute" and not fault):
        yield find("flyback-reversed", n)
    elif fault == "no-close":
        yield find({None: "relay-silent", False: "coil-silent", True: "contact-silent"}[clicked], n)
    elif fault == "sagging":
        yield find("rail-low", n)


def timing(arm_least_ms: int, drop_least_ms: int, drop_most_ms: int, n: int = 2) -> Iterator[Diagnosis]:
    """Whether the lid's relay comes and goes as healthy boards do, from the bounds of its times; `n`: its channel."""
    if arm_least_ms > circuit.ARM_MAX_MS or drop_most_ms < circuit.DROP_EARLY_MS or drop_least_ms > circuit.DROP_LATE_MS:
        yield find("timing-moved", n)


def journal_faults(records: Iterable[Record], known: Iterable[str]) -> Iterator[Diagnosis]:
    """Faults in the journal that nothing else has told; `known`: keys of what was found."""
    lids = [
        f"{key}-{n}" for key in ("relay-silent", "coil-silent", "contact-silent", "flyback-reversed", "rail-low") for n in (1, 2)
    ]
    explained = {
        "welded": ("rail-live-1", "rail-live-2", "channels-crossed"),
        "mute-poles": ("senses-swapped", "switch-turned", "coil-not-cut", "arm-silent", "mute-silent", "red-held", "red-stays",
                       "flyback-reversed-2"),
        "coil-sags": ("flyback-reversed-1",),
        "pump-stuck": ("pump-stuck-high", "pump-slow", "rail-live-1", "rail-live-2"),
        "no-close": lids,
        "sagging": lids,
        "drop-time": ("timing-moved-1", "drop-time", "relay-silent-1", "coil-silent-1", "contact-silent-1"),
    }  # fmt: skip
    known = set(known)
    for reason in dict.fromkeys(record.reason for record in records if record.event == "fault"):
        if reason in board_rules.FAULTS and reason not in NO_COPPER and not known & set(explained.get(reason, ())):
            what, means, do = board_rules.FAULTS[reason]
            yield Diagnosis(f"fault-{reason}", "", f"Since its start {what}.", means[0].upper() + means[1:] + ".", do)
