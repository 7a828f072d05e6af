# SPDX-License-Identifier: MIT
"""Every message of the wire: field names, types, units, ranges, and the protocol version that brought them.

For hosts only: no board imports this file, and it is never put on one. Each message is a `TypedDict` whose fields are
`Annotated` with a `Field`, so that one definition is the static type, the check at reception (`problem`) and the source of
the tables in firmware/PROTOCOL.md.
"""

from __future__ import annotations

import functools
import re
from enum import IntFlag
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict, get_args, get_origin, get_type_hints, is_typeddict

YEAR_2020, YEAR_2100 = 1_577_836_800_000, 4_102_444_800_000  # Unix time in milliseconds
U8, U16, U32, U48 = (2**bits - 1 for bits in (8, 16, 32, 48))
TEXT_MAX = 1024  # characters of a string without a pattern, all of them printable


class Field(NamedTuple):
    """What a field means and what it may hold.

    Attributes:
        meaning: for PROTOCOL.md.
        unit: of a number; empty for a plain count.
        low: the least value of an integer.
        high: its greatest value.
        pattern: regular expression that the whole of a string matches; empty for any printable text.
        since: the protocol version that brought it. What came after the first is `NotRequired`: older boards lack it.
    """

    meaning: str
    unit: str = ""
    low: int = 0
    high: int = U32
    pattern: str = ""
    since: int = 1


def _hex(digits: int, meaning: str) -> Field:
    return Field(meaning, pattern=f"[0-9a-f]{{{digits}}}")


# --- fields that several messages share ------------------------------------------------------------------------------

LidState = Literal["muted", "closed", "open", "fault"]
Board = Annotated[str, _hex(16, "the board's identifier: random, made at its first start")]
Firmware = Annotated[str, Field("firmware version, as `0.1.0`", pattern=r"[0-9A-Za-z.+-]{1,24}")]
Boot = Annotated[int, Field("number of the board's start")]
Uptime = Annotated[int, Field("time since that start; never wraps", "ms", high=U48)]
State = Annotated[LidState, Field("state of the lid")]
Head = Annotated[int, Field("number of the newest journal record, 0 for none; the board's first ever is 1")]
Link = Annotated[str, _hex(24, "chain link of a record: first 96 bits of SHA-256(previous link, 40-byte body, mac)")]
HeadLink = Annotated[str, _hex(24, "chain link of record `seq`; of no record: `lid.record.genesis(board)`")]
Oldest = Annotated[int, Field("number of the oldest record still kept")]
Digest = Annotated[str, _hex(8, "digest of the configuration in force: first 32 bits of its SHA-256")]
Maintenance = Annotated[bool, Field("whether the board stopped for its REPL: talk button held through a reset")]
GuardedMv = Annotated[int, Field("guarded microphone's rail, behind the contact", "mV")]
Energy = Annotated[int, Field("log2 of the speech band's mean square, 125 to 7500 Hz", "1/256", high=U16)]
Score = Annotated[int, Field("sliding mean of the network's outputs, or its look's score", "1/255", high=U8)]
DropTime = Annotated[int, Field("from the last pump edge to a dead rail; 0: not measured", "ms")]
Settings = Annotated[dict[str, int], Field("settings of `lid.config.SCHEMA` by name")]
SETTINGS = {
    "cutoff_q8": "score that opens, of 255, in the scale of `decision`; 0: the word's own",
    "decision": "1: the look decides, for a word that has one; 0: microWakeWord's own mean, as the network's maker says",
    "near_miss_q8": "mean score worth a near-miss record, of 255",
    "rearm_q8": "mean score that must be left before the word counts again, of 255; never above 3/4 of the cutoff",
    "gain_q8": "microphone gain, in 1/256",
    "open_ms": "how long the lid stays open",
    "silence_ms": "silence that closes it early, from the first second of it on; not where it is too loud to tell",
    "refractory_ms": "how long the score must have been low before the word counts again",
    "telemetry_ms": "live numbers every so often; 0: none unless a host asks",
    "dim": "1: status light dim",
}
RequestId = Annotated[int, Field("`id` of the request", high=999_999)]
Nonce = Annotated[str, Field("what the next signed request is signed with", pattern="[0-9a-f]{16}", since=2)]
Epoch = Annotated[int, Field("which key is in force: 0 for the first, one more for each that followed it", since=2)]
RequestDigest = Annotated[
    str, Field("digest of the request: first 32 bits of SHA-256(its canonical text)", pattern="[0-9a-f]{8}", since=2)
]


# --- board to host ---------------------------------------------------------------------------------------------------


class BriefHello(TypedDict):
    """A `hi` that fits a bad line: what a sync needs."""

    board: Board
    boot: Boot
    ms: Uptime
    seq: Head
    oldest: Oldest
    link: HeadLink
    nonce: NotRequired[Nonce]
    epoch: NotRequired[Epoch]


class Ask(TypedDict):
    """`ask`: a request that waits for somebody's consent. Sent when it is announced; in `hi` while it waits."""

    do: Annotated[str, Field("its name", pattern="[a-z-]{1,24}", since=2)]
    digest: RequestDigest
    ms: Annotated[int, Field("how long it still waits", "ms", high=60_000, since=2)]


class Hello(BriefHello):
    """`hi`: who the board is and how. Sent at every start, and in the reply to `hello`."""

    fw: Firmware
    proto: Annotated[int, Field("protocol version of this board", low=1)]
    state: State
    mute: Annotated[bool, Field("whether the mute switch is latched")]
    why: Annotated[str, Field("reason of the last change of state, as in a record", pattern="[a-z-]{0,24}")]
    acked: Annotated[int, Field("newest record that a host has acknowledged")]
    word: Annotated[str, Field("the word it listens for; empty for none")]
    model: Annotated[
        str, Field("first 16 hex digits of the SHA-256 of the word's `.tflite`; empty for none", pattern="([0-9a-f]{16})?")
    ]
    decision: NotRequired[Annotated[int, Field("what opens on the word: 1 its look, 0 microWakeWord's mean", high=1, since=2)]]
    config: Digest
    guarded_mv: GuardedMv
    sentinel_mv: Annotated[int, Field("sentinel microphone's rail", "mV")]
    dropped: Annotated[int, Field("lines dropped since the start because nobody read")]
    overruns: Annotated[int, Field("audio that was lost since the start", "hops of 10 ms")]
    maintenance: Maintenance
    presence: Annotated[bool, Field("whether the talk button is held")]
    no_word: NotRequired[
        Annotated[
            str,
            Field(
                "why it listens for no word: reason of a `fault`; empty when it does or has none", pattern="[a-z-]{0,24}", since=2
            ),
        ]
    ]
    missing: NotRequired[Annotated[int, Field("of `no_word`: memory that found no place; 0: not known", "bytes", since=2)]]
    free: NotRequired[Annotated[int, Field("free memory, as MicroPython counts it", "bytes", since=2)]]
    channels: NotRequired[Annotated[int, Field("1: both rails are the same, of a microphone that is behind the lid", since=2)]]
    ask: NotRequired[Annotated[Ask, Field("the request that waits for consent: table below; absent when none does", since=2)]]


class MaintenanceHello(TypedDict):
    """`hi` of a board that stops for maintenance: it answers no request until its next start."""

    board: Board
    fw: Firmware
    maintenance: Maintenance
    boot: Boot
    state: State
    config: Digest
    seq: Head
    link: HeadLink


class Telemetry(TypedDict):
    """`tm`: live numbers, in no journal."""

    ms: Uptime
    state: State
    live: Annotated[int, Field("time that openings took since the start, without one that still lasts", "ms")]
    rail: GuardedMv
    lvl: Energy
    score: Score
    prob: Annotated[int, Field("newest output of the network", "1/255", high=U8)]
    peak: Annotated[int, Field("largest magnitude of the hop's samples after the gain, before saturation", high=U16)]
    clip: Annotated[int, Field("how many of the hop's 160 samples were saturated", high=160)]
    drop: Annotated[int, Field("`dropped` of `hi`")]
    over: Annotated[int, Field("`overruns` of `hi`", "hops of 10 ms")]
    sentinel: NotRequired[Annotated[int, Field("sentinel microphone's rail", "mV", since=2)]]
    arm: NotRequired[Annotated[int, Field("the coils' supply behind the mute switch", "mV", since=2)]]
    quiet: NotRequired[
        Annotated[int, Field("1: nobody has talked for a second; 0: somebody may, or it is too loud to tell", high=1, since=2)]
    ]
    mute: NotRequired[Annotated[int, Field("the red light's node: high when it burns", "mV", since=2)]]


class Record(NamedTuple):
    """`rec`: one journal record, a list in this order (`lid.record` packs it into 64 bytes of flash)."""

    seq: Annotated[int, Field("number in the journal, from 1")]
    boot: Boot
    ms: Uptime
    event: Annotated[str, Field("what happened: table below", pattern="[a-z-]{1,24}")]
    reason: Annotated[str, Field("why: table below", pattern="[a-z-]{0,24}")]
    score: Score
    flags: Annotated[
        int,
        Field("1 talk button held, 2 mute switch latched, 4 clock set, 8 by a paired host, 16 a look decided on a word", high=U8),
    ]
    energy_log2_q8: Energy
    guarded_mv: Annotated[
        int, Field("guarded rail when the record is written: of an `open`, before its contact closes", "mV", high=U16)
    ]
    sentinel_mv: Annotated[int, Field("sentinel rail when the record is written", "mV", high=U16)]
    wall_ms: Annotated[int, Field("Unix time; 0: no host has set the clock since the start", "ms", high=U48)]
    wall_unc_ms: Annotated[int, Field("uncertainty of `wall_ms`; 65535: that or more", "ms", high=U16)]
    a: Annotated[int, Field("depends on the event: table below")]
    b: Annotated[int, Field("depends on the event: table below")]
    link: Link
    mac: Annotated[str, _hex(16, "first 64 bits of HMAC-SHA-256(key, previous link, 40-byte body)")]


class Event(NamedTuple):
    """What a journal record can say: reasons, and the meaning of its two numbers."""

    reasons: tuple[str, ...]
    a: str = ""
    b: str = ""


EVENTS = {
    "boot": Event(
        ("power-on", "reset-pin", "watchdog", "soft-reset", "brown-out", "deep-sleep"),
        "firmware version (major << 16, minor << 8, patch)", "unclean starts in a row before this one",
    ),
    "mute": Event(("",)),
    "unmute": Event(("",)),
    "open": Event(("word", "button"), "window granted, ms", "cutoff, 1/255"),
    "close": Event(
        ("timeout", "silence", "button", "host", "mute", "fault", "reset"),
        "from `open` until the contact was let go, ms; of `reset`: least ms that the rail was live",
        "ms that the rail was live: most << 16, plus least; of `reset`: most ms; firmware 0.1: drop time of the rail, ms",
    ),
    "near-miss": Event(("word", "refractory"), "near-miss level, 1/255", "cutoff, 1/255"),
    "fault": Event(
        (
            "welded", "no-close", "sagging", "mute-poles", "mic-dead", "mic-stuck", "mic-clipped", "overrun", "flash-full",
            "flash-error", "clock-back", "boot-loop", "exception", "config-damaged", "model-damaged", "drop-time", "pump-stuck",
            "recovered", "no-memory", "coil-sags",
        ),
        "measured; of `no-memory`: bytes that found no place, 0: not known", "threshold; of `no-memory`: bytes of heap free",
    ),
    "selftest": Event(("passed", "failed"), "bits: table below", "drop time, ms"),
    "config": Event(
        ("changed", "rolled-back", "refused", "paired", "first-start", "repaired", "key-lost"),
        "digest before; of `refused`: place of the request in the table of requests, from 0; of `repaired`: which small file, "
        "from 0: settings, previous settings, identifier, starts, drop time, acknowledged; of `key-lost`: the new key's epoch",
        "digest after",
    ),
    "clock": Event(("set", "hint"), "correction, ms (two's complement)"),
    "maintenance": Event(("entered",)),
    "lost": Event(("overwritten", "torn"), "how many records", "number of the first of them"),
    "live": Event(
        ("welded", "start", "unexpected"),
        "rail, mV", "how long it may have been live before this record, ms; 4294967295: not known, since before this start",
    ),
    "dead": Event(
        ("", "mute", "reset"), "least ms that the rail was live since its `live`", "most ms of it; 4294967295: not known",
    ),
    "mark": Event(("open", "live"), "ms since the `open` or `live`, which lasts", "least ms that the rail was live since then"),
    "limited": Event(("",), "how many records of a host found no room", "since when, ms"),
}  # fmt: skip


class SelfTestBit(IntFlag):
    """What a self-test found to hold."""

    GUARDED_DEAD = 1
    SENTINEL_DEAD = 2
    STUCK_HIGH_SAFE = 4
    SENTINEL_RISES = 8
    SENTINEL_DROPS = 16
    DROP_UNCHANGED = 32
    SENSE_AGREES = 64
    MICROPHONE_LIVES = 128
    SLOW_SAFE = 256
    CLAMPED = 512
    COIL_HOLDS = 1024
    ALL = 2047


SELF_TEST = {
    SelfTestBit.GUARDED_DEAD: "guarded rail dead at rest",
    SelfTestBit.SENTINEL_DEAD: "sentinel rail dead at rest",
    SelfTestBit.STUCK_HIGH_SAFE: "both pump pins held high for 300 ms energise nothing",
    SelfTestBit.SENTINEL_RISES: "the sentinel's relay closes and its rail rises",
    SelfTestBit.SENTINEL_DROPS: "and drops in time without pump edges",
    SelfTestBit.DROP_UNCHANGED: "as fast as at this board's first time, which had to be a healthy board's",
    SelfTestBit.SENSE_AGREES: "the mute switch's two throws contradict each other, as they should",
    SelfTestBit.MICROPHONE_LIVES: "the microphone's samples move",
    SelfTestBit.SLOW_SAFE: "pump edges every 50 ms, or every 0.25 ms, energise nothing",
    SelfTestBit.CLAMPED: "with the I2S clocks high the sentinel's rail stays below 220 mV",
    SelfTestBit.COIL_HOLDS: "the coils' supply stays up while the sentinel's relay is fed",
}


# --- host to board: arguments, and what the reply has beside `re` and `ok` -------------------------------------------


class Reply(TypedDict):
    """A request that was done."""

    re: RequestId
    ok: Annotated[Literal[True], Field("done")]
    nonce: NotRequired[Nonce]


class Wait(TypedDict):
    """`wait`: the request is announced, and waits for consent."""

    ask: RequestDigest
    ms: Annotated[int, Field("how long it waits at most", "ms", high=60_000, since=2)]


class WaitReply(Reply):
    """The first of two replies to a request that needs consent; the second follows the consent, or its refusal."""

    wait: Annotated[Wait, Field("announced; the reply proper comes later, with the same `re`", since=2)]


class Refusal(TypedDict):
    """A request that was not done."""

    re: RequestId
    ok: Annotated[Literal[False], Field("refused")]
    err: Annotated[
        Literal["presence", "unknown", "argument", "state", "flash", "consent", "mac", "busy"], Field("why: table below")
    ]
    say: Annotated[str, Field("the same for people, and what to do")]
    ms: NotRequired[Annotated[int, Field("of `busy`: when to ask again", "ms", since=2)]]
    nonce: NotRequired[Nonce]


ERRORS = {
    "presence": "of version 1: needs the talk button, and nobody holds it",
    "unknown": "this board knows no such request",
    "argument": "an argument is missing or out of range",
    "state": "not in this state of the lid",
    "flash": "what has to be durable first could not be written",
    "consent": "nobody consented in time, or another request took its place",
    "mac": "the request's `mac` is not right for the board's key and newest `nonce`; nothing was changed",
    "busy": "asked too often; `ms` says when to ask again",
}


class Signature(TypedDict):
    """What any request may carry beside its arguments."""

    client: NotRequired[Annotated[str, Field("who asks: random, of one run of one program", pattern="[0-9a-f]{1,16}", since=2)]]
    mac: NotRequired[
        Annotated[
            str,
            Field(
                'first 64 bits of HMAC-SHA-256(key, "earlid request ", `nonce`, " ", canonical text)',
                pattern="[0-9a-f]{16}",
                since=2,
            ),
        ]
    ]


class NoArguments(TypedDict):
    """Nothing."""


class HelloArguments(TypedDict):
    """Of `hello`."""

    brief: NotRequired[Annotated[int, Field("1: only the fields that a sync needs, a short line for a bad line", high=1)]]


class HelloReply(Reply):
    """Of `hello`."""

    hi: Annotated[Hello, Field("table above; with `brief` only its `board boot ms seq oldest link nonce`")]


class BriefHelloReply(Reply):
    """Of `hello` with `brief`."""

    hi: BriefHello


# `from` is no name that a class could have.
SyncArguments = TypedDict(
    "SyncArguments",
    {"from": Annotated[int, Field("number of the first record wanted")],
     "max": Annotated[int, Field("how many records at most", low=1, high=64)]},
)  # fmt: skip


class SyncReply(Reply):
    """Of `sync`; it follows the records."""

    next: Annotated[int, Field("what to ask for next")]
    seq: Head
    oldest: Oldest
    link: HeadLink


class AckArguments(TypedDict):
    """Of `ack`."""

    seq: Annotated[int, Field("newest record that the host has made durable; all before it are meant too")]
    link: Link


class AckReply(Reply):
    """Of `ack`."""

    acked: Annotated[int, Field("newest record that is acknowledged now")]


class ClockArguments(TypedDict):
    """Of `clock`."""

    wall_ms: Annotated[int, Field("Unix time", "ms", low=YEAR_2020, high=YEAR_2100)]
    unc_ms: Annotated[int, Field("its uncertainty", "ms", high=U16)]


class ClockReply(Reply):
    """Of `clock`."""

    step_ms: Annotated[int, Field("step against what the board believed; 0 at the first setting", "ms", low=-U48, high=U48)]


class CloseReply(Reply):
    """Of `close`."""

    state: Annotated[LidState, Field("state of the lid when the request was read: the next hop closes it")]


class TelemetryArguments(TypedDict):
    """Of `telemetry`."""

    every_ms: Annotated[int, Field("period of `tm`: 0 for none, else at least 30", "ms", high=60_000)]


class SelftestReply(Reply):
    """Of `selftest`."""

    bits: Annotated[int, Field("what held: table of the self-test's bits", high=U16)]
    drop_ms: DropTime


class ConfigGetReply(Reply):
    """Of `config-get`."""

    config: Settings
    digest: Digest
    previous: Annotated[
        str, Field("digest of the configuration that `config-rollback` brings back; empty for none", pattern="([0-9a-f]{8})?")
    ]


class ConfigSetArguments(TypedDict):
    """Of `config-set`."""

    config: Annotated[dict[str, int], Field("only the settings to change")]


class DigestReply(Reply):
    """Of `config-set` and `config-rollback`."""

    digest: Digest


class PairReply(Reply):
    """Of `pair`."""

    key: Annotated[str, _hex(64, "the key of the epoch: of records' and requests' `mac`")]
    epoch: NotRequired[Epoch]
    seq: NotRequired[Annotated[int, Field("number of the first record that it seals", low=1, since=2)]]


class ProbeArguments(TypedDict):
    """Of `probe`."""

    ms: Annotated[
        int, Field("how long to listen, rounded down to tenths of a second, after 300 ms of warming up", "ms", low=100, high=3000)
    ]


class ProbeReply(Reply):
    """Of `probe`."""

    ms: Annotated[int, Field("how long it listened", "ms")]
    hum_q4: Annotated[list[int], Field("amplitudes at 50, 60, 100 and 120 Hz", "1/16 of a 16-bit step")]
    dc_q4: Annotated[int, Field("mean", "1/16 of a 16-bit step", low=-(2**19), high=2**19)]
    low: Annotated[int, Field("least sample, 24 bits signed", low=-(2**23), high=2**23)]
    high: Annotated[int, Field("greatest sample, 24 bits signed", low=-(2**23), high=2**23)]
    any: Annotated[str, _hex(6, "OR of all samples: a bit that is 0 here never was 1")]
    all: Annotated[str, _hex(6, "AND of all samples: a bit that is 1 here never was 0")]
    clipped: Annotated[int, Field("samples at either end of the scale")]
    other: Annotated[int, Field("1 when the slot that should be empty carries sound: L/R is wired the other way", high=1)]


class Request(NamedTuple):
    """One request: its arguments, its reply, and what it does."""

    arguments: Any
    reply: Any
    meaning: str
    consent: str = "no"


REQUESTS = {
    "hello": Request(HelloArguments, HelloReply, "ask who the board is and how"),
    "sync": Request(SyncArguments, SyncReply, "send the records as `rec` lines, then the reply"),
    "ack": Request(AckArguments, AckReply, "signed: free records; refused when the link is not that record's"),
    "clock": Request(
        ClockArguments, ClockReply, "signed: set the clock; else a hint, where none was set so; steps over a second are journaled"
    ),
    "close": Request(NoArguments, CloseReply, "close the lid; ends nothing else"),
    "telemetry": Request(TelemetryArguments, Reply, "send `tm` lines, until the next start"),
    "selftest": Request(NoArguments, SelftestReply, "test the circuit; lid closed, not muted; 4 times, then once a minute"),
    "config-get": Request(NoArguments, ConfigGetReply, "ask for the settings"),
    "config-set": Request(ConfigSetArguments, DigestReply, "change settings", "**yes**; signed, not to tighten"),
    "config-rollback": Request(NoArguments, DigestReply, "bring back the settings before the last change", "**yes**"),
    "pair": Request(NoArguments, PairReply, "give out the key", "**yes**"),
    "probe": Request(ProbeArguments, ProbeReply, "measure the sentinel's wires; as `selftest`; a press or the switch ends it"),
    "cancel": Request(NoArguments, Reply, "withdraw the request of the same `client` that waits for consent"),
}  # fmt: skip


# --- the check at reception ------------------------------------------------------------------------------------------


@functools.cache
def fields(message: Any) -> dict[str, Any]:
    """The annotated types of a message's fields by name, in order."""
    return get_type_hints(message, include_extras=True)


def field_of(annotated: Any) -> tuple[Any, Field, bool]:
    """(plain type, Field, whether it may be absent) of a field's annotated type."""
    absent = get_origin(annotated) is NotRequired
    if absent:
        (annotated,) = get_args(annotated)
    if get_origin(annotated) is Annotated:
        plain, meta = get_args(annotated)
        return plain, meta, absent
    return annotated, Field(""), absent


def problem(value: object, expected: Any) -> str:
    """What is wrong with a received message, such as `seq is missing`; empty when nothing is.

    Fields that the schema does not know are tolerated: a newer board may send them.

    Args:
        value: what `lid.wire` decoded; anything.
        expected: a message of this module.
    """
    if not isinstance(value, dict):
        return "is no object"
    for name, annotated in fields(expected).items():
        plain, field, may_be_absent = field_of(annotated)
        if name not in value:
            if not may_be_absent:
                return f"{name} is missing"
        elif wrong := _value_problem(value[name], plain, field):
            return f"{name} {wrong}"
    return ""


def known_fields(value: object, message: Any) -> dict[str, Any]:
    """The fields of a received message that are as the schema has them, without any other: of whatever firmware it is."""
    if not isinstance(value, dict):
        return {}
    known = {name: field_of(annotated)[:2] for name, annotated in fields(message).items()}
    return {name: item for name, item in value.items() if name in known and not _value_problem(item, *known[name])}


def _value_problem(value: object, plain: Any, field: Field) -> str:
    origin = get_origin(plain)
    if is_typeddict(plain):
        return problem(value, plain)
    if origin is Literal:
        known = get_args(plain)
        return "" if any(value is one or (type(value) is str and value == one) for one in known) else f"is none of {known}"
    if origin is list or origin is dict:
        items: list[object] = []
        if origin is list and isinstance(value, list):
            items = value
        elif origin is dict and isinstance(value, dict):
            items = list(value.values())
        else:
            return f"is no {plain}"
        return next((wrong for item in items if (wrong := _value_problem(item, int, Field("")))), "")
    if type(value) is not plain:
        return f"is no {plain.__name__}"
    if isinstance(value, int) and not isinstance(value, bool) and not field.low <= value <= field.high:
        return f"is not from {field.low} to {field.high}"
    if isinstance(value, str) and (len(value) > TEXT_MAX or not value.isprintable()):
        return "is too long or not printable"
    if isinstance(value, str) and field.pattern and not re.fullmatch(field.pattern, value):
        return "has another form"
    return ""
