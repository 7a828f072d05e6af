# SPDX-License-Identifier: MIT
"""One table of all that detection is measured in: how words and negatives are made into streams.

Use::

    from tests.bench.detection import conditions
    for condition in conditions.TABLE:                # .name .group .about
        for piece in condition.pieces("held"):        # .key: condition, half, number; nothing is computed yet
            stream = piece.build()                    # seeded: the same samples every time
            stream.pcm      # int16 at 16 kHz; int32 of 24 bits when stream.bits == 24: conditions.to_int16(stream.pcm, gain)
            stream.spans    # where words lie: .start_ms .end_ms .speech_end_ms .name; empty without words

`conditions.named("hum-100-6db")` is one of them; `condition.pieces(half, quick=True)` its first words or minutes. What is
computed from streams is kept under `piece.key` with `conditions.code_digest()`. A detection belongs to a word between its
`start_ms` and 1 s after its `end_ms`; every other is a false opening. State is carried through each stream. A condition whose
recordings or programs are not there raises `data.Missing`. `EARLID_DATA` and `EARLID_BENCH_CACHE` are told by `data`.

A word's level is its loudest frame of 512 samples against the loudest of the noise around it (`earlid.sound.mixing`), unless a
condition says otherwise. Real levels are those of an INMP441 by its data sheet: a sine of 94 dB SPL at -26 dB of full scale,
noise of 33 dB(A); a word's sound pressure is that of its frames within 25 dB of the loudest, falling by 1/r.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from earlid.gate.audio import RATE_HZ
from earlid.sound import mixing, noises, rooms, speakers
from earlid.sound.mixing import Floats
from earlid.train import speech
from numpy.typing import NDArray

from tests.bench.detection import data, household, texts, voices
from tests.bench.detection.data import Clip, Half

SEED = 15
PIECE_WORDS = 42  # words of one stream
PIECE_S = 600  # of negatives in one stream
QUICK_WORDS = 12
QUICK_S = 120
SPEECH_END_DB = 25.0  # a word ends with the last 10 ms within this of its loudest
ROOM_M = 3.0
VOICE_DBFS = -26.0  # of synthetic voices, in quiet
START_DBFS = -35.0  # of a machine that starts, at its loudest
STEP_DBFS = -45.0
TELEVISION_DBFS = -35.0
TELEVISION_WORD_S = 44.0  # from one word to the next: 82 in an hour
_BEFORE_S, _AFTER_S = 12.0, 4.0  # of quiet before a machine starts; of its noise after a word
_NEAR_NOISE_S = 0.3  # around a word, in which the noise is measured when its level changes

MICROPHONE_DBFS = -26.0  # INMP441: of a sine of 94 dB SPL
MICROPHONE_NOISE_DBA = 33.0  # 94 less its signal-to-noise ratio
ROOM_NOISE_DBA = 30.0  # a quiet room, pink
TALKER_DB_SPL, TALKER_M = 75.0, 0.2
_FULL_24 = 1 << 23


@dataclass(frozen=True)
class Span:
    """Where a word lies in a stream, in milliseconds; `speech_end_ms`: where it is over to the ear."""

    start_ms: int
    end_ms: int
    speech_end_ms: int
    name: str


@dataclass(frozen=True)
class Stream:
    """Sound and the words in it."""

    pcm: NDArray[np.int16] | NDArray[np.int32]
    spans: tuple[Span, ...]
    bits: int = 16

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.pcm) / RATE_HZ


@dataclass(frozen=True)
class Piece:
    """A stream that is not made yet."""

    key: str
    clips: tuple[Clip, ...]
    _make: Callable[[Sequence[Clip], np.random.Generator, Half], Stream]
    _half: Half

    def build(self) -> Stream:
        """The stream; the same one every time."""
        rng = np.random.default_rng([SEED, zlib.crc32(self.key.encode())])
        return self._make(self.clips, rng, self._half)


@dataclass(frozen=True)
class Condition:
    """One row. `group`: words, negatives, near; `about`: what is heard, for a reader."""

    name: str
    group: str
    about: str
    clips: Callable[[Half], Sequence[Clip]]
    make: Callable[[Sequence[Clip], np.random.Generator, Half], Stream]
    whole: bool = False  # one stream, however long

    def pieces(self, half: Half, quick: bool = False) -> list[Piece]:
        """Its streams.

        Raises:
            data.Missing: recordings or programs are not there.
        """
        clips = self.clips(half)
        if self.group == "negatives":
            parts = _by_time(clips, QUICK_S if quick else PIECE_S)
        else:
            size = QUICK_WORDS if quick else len(clips) if self.whole else PIECE_WORDS
            parts = [tuple(clips[at : at + size]) for at in range(0, len(clips), size)]
        return [
            Piece(f"{self.name}/{half}/{'quick' if quick else number}", part, self.make, half)
            for number, part in enumerate(parts[:1] if quick else parts)
        ]


def code_digest() -> str:
    """SHA-256, in hex, over the code that streams are made by."""
    digest = hashlib.sha256()
    for module in (data, household, noises, rooms, speakers, speech, texts, voices, mixing):
        digest.update(Path(str(module.__file__)).read_bytes() + b"\0")
    return hashlib.sha256(digest.digest() + Path(__file__).read_bytes()).hexdigest()


def to_int16(pcm: NDArray[np.int32], gain: float) -> NDArray[np.int16]:
    """24-bit samples as the gate's 16 bits at a gain of 1 to 64, saturated; the board's DC block is left out.

    Gain 1 takes the top 16 bits.
    """
    return np.clip(np.floor(pcm * (gain / 256)), -32768, 32767).astype(np.int16)


def named(name: str) -> Condition:
    """The condition of this name."""
    return next(condition for condition in TABLE if condition.name == name)


# --- words ---


def _words(
    clips: Sequence[Clip],
    rng: np.random.Generator,
    half: Half,
    noise: Callable[[int, np.random.Generator], Floats] = mixing.pink_noise,
    snr_db: float | None = None,
    rt60_s: float | None = None,
) -> Stream:
    """Words one after the other in one background, perhaps each in a room."""
    dry = [clip.pcm() for clip in clips]
    words, tail_ms = dry, 0
    if rt60_s is not None:
        words = []
        for clip, word in zip(clips, dry, strict=True):
            response = rooms.impulse_response(rt60_s, ROOM_M, zlib.crc32(clip.name.encode()) % rooms.ROOMS)
            heard = rooms.reverberant(word.astype(np.float64), response)
            words.append(_unclipped(heard))
    background = noise(mixing.stream_samples(words), rng)
    pcm, places = mixing.word_stream(words, background, snr_db)
    spans = []
    for clip, word, heard, place in zip(clips, dry, words, places, strict=True):
        tail_ms = (len(heard) - len(word)) * 1000 // RATE_HZ
        spans.append(_span(clip, word, place.start_ms, place.end_ms - tail_ms))
    return Stream(pcm, tuple(spans))


def _followed(clips: Sequence[Clip], rng: np.random.Generator, half: Half, gap_ms: int) -> Stream:
    """Words in quiet after which somebody talks on, as loudly, so long after the word's end."""
    words = [clip.pcm() for clip in clips]
    heard = []
    for word in words:
        talker = household.speech(half, 4 * RATE_HZ, rng)
        talk = mixing.talk_piece([np.rint(talker / np.abs(talker).max() * 20000).astype(np.int16)], int(1.5 * RATE_HZ), rng)
        end = mixing.sound_end_ms(word) * RATE_HZ // 1000
        heard.append(_unclipped(mixing.followed(word, end, gap_ms * RATE_HZ // 1000, talk)))
    pcm, places = mixing.word_stream(heard, mixing.pink_noise(mixing.stream_samples(heard), rng), None)
    spans = [
        _span(clip, word, place.start_ms, place.start_ms + len(word) * 1000 // RATE_HZ)
        for clip, word, place in zip(clips, words, places, strict=True)
    ]
    return Stream(pcm, tuple(spans))


def _trials(
    clips: Sequence[Clip],
    rng: np.random.Generator,
    half: Half,
    noise: Callable[[int, np.random.Generator], Floats],
    level_dbfs: float,
    after_s: float,
    snr_db: float,
) -> Stream:
    """Each word in a stretch of its own: quiet, then noise that starts, the word so many seconds later."""
    parts, spans, start = [], [], 0
    quiet = 32768 * 10 ** (mixing.BACKGROUND_DBFS / 20)
    for clip in clips:
        word = clip.pcm()
        at = int((_BEFORE_S + after_s) * RATE_HZ)
        total = at + len(word) + int(_AFTER_S * RATE_HZ)
        begins = int(_BEFORE_S * RATE_HZ)
        sound = mixing.pink_noise(total, rng) * quiet
        sound[begins:] += noise(total - begins, rng) * (32768 * 10 ** (level_dbfs / 20))
        near = int(_NEAR_NOISE_S * RATE_HZ)
        gain = _snr_gain(word, sound[at - near : at + len(word) + near], snr_db)
        _add(sound, at, word * gain)
        parts.append(_to_int16(sound))
        spans.append(_span(clip, word, (start + at) * 1000 // RATE_HZ))
        start += total
    return Stream(np.concatenate(parts), tuple(spans))


def _steps(samples: int, rng: np.random.Generator, step_db: float) -> Floats:
    # The quiet before is nothing against it: the first level stands for 10 s.
    return household.level_steps(samples, rng, 0.0, step_db, 10.0)


def _television(clips: Sequence[Clip], rng: np.random.Generator, half: Half, above_db: float) -> Stream:
    """Somebody talks for an hour; words at even distances, their loudest frame so far above that talker's active level."""
    level = 32768 * 10 ** (TELEVISION_DBFS / 20)
    each = int(TELEVISION_WORD_S * RATE_HZ)
    pcm = np.zeros(each * len(clips), np.int16)
    spans = []
    for number, clip in enumerate(clips):
        word = clip.pcm()
        sound = household.speech(half, each, rng) * level + mixing.pink_noise(each, rng) * level / 100
        at = (each - len(word)) // 2
        _add(sound, at, word * (level * 10 ** (above_db / 20) / float(mixing.frame_rms(word).max())))
        pcm[number * each : (number + 1) * each] = _to_int16(sound)
        spans.append(_span(clip, word, (number * each + at) * 1000 // RATE_HZ))
    return Stream(pcm, tuple(spans))


def _real_levels(clips: Sequence[Clip], rng: np.random.Generator, half: Half, metres: float, db_spl: float) -> Stream:
    """What an INMP441 gives, in 24 bits: a talker of so many dB SPL at 0.2 m, so far away in the free field."""
    words = [clip.pcm() for clip in clips]
    samples = mixing.stream_samples(words)
    sound = noises.white(samples, rng) * _unweighted(noises.white, MICROPHONE_NOISE_DBA)
    sound += mixing.pink_noise(samples, rng) * _unweighted(mixing.pink_noise, ROOM_NOISE_DBA)
    spans = []
    at, gap = int(mixing.LEAD_S * RATE_HZ), int(mixing.GAP_S * RATE_HZ)
    heard_spl = db_spl - 20 * np.log10(metres / TALKER_M)
    for clip, word in zip(clips, words, strict=True):
        _add(sound, at, word * (_of_spl(heard_spl) / noises.active_rms(word.astype(np.float64))))
        spans.append(_span(clip, word, at * 1000 // RATE_HZ))
        at += len(word) + 2 * gap
    return Stream(np.clip(np.rint(sound), -_FULL_24, _FULL_24 - 1).astype(np.int32), tuple(spans), bits=24)


def _of_spl(db_spl: float) -> float:
    """RMS, in steps of 24 bits, of a sound pressure level: a sine of full scale has 120 dB SPL."""
    return float(_FULL_24 / np.sqrt(2) * 10 ** ((db_spl - (94 - MICROPHONE_DBFS)) / 20))


def _unweighted(noise: Callable[[int, np.random.Generator], Floats], dba: float) -> float:
    """RMS, in steps of 24 bits, of a noise that has so many dB(A) between 0 and 8 kHz."""
    power = np.abs(np.fft.rfft(noise(4 * RATE_HZ, np.random.default_rng(SEED)))) ** 2
    f2 = np.fft.rfftfreq(4 * RATE_HZ, 1 / RATE_HZ) ** 2
    # IEC 61672: the A curve
    weight = 12194.0**2 * f2**2 / ((f2 + 20.6**2) * np.sqrt((f2 + 107.7**2) * (f2 + 737.9**2)) * (f2 + 12194.0**2))
    weight_db = 10 * np.log10(float(np.sum(power * weight**2) / np.sum(power))) + 2.0
    return _of_spl(dba - weight_db)


# --- synthetic voices ---


def _spoken(clips: Sequence[Clip], rng: np.random.Generator, half: Half, snr_db: float | None = None) -> Stream:
    """Synthetic voices, all equally loud, in quiet or in household noise."""
    words = [_trimmed(clip.pcm()) for clip in clips]
    if snr_db is not None:
        pcm, places = mixing.word_stream(words, household.recorded("")(mixing.stream_samples(words), rng), snr_db)
        spans = [_span(clip, word, place.start_ms) for clip, word, place in zip(clips, words, places, strict=True)]
        return Stream(pcm, tuple(spans))
    sound = mixing.pink_noise(mixing.stream_samples(words), rng) * (32768 * 10 ** (mixing.BACKGROUND_DBFS / 20))
    at, gap = int(mixing.LEAD_S * RATE_HZ), int(mixing.GAP_S * RATE_HZ)
    spans = []
    for clip, word in zip(clips, words, strict=True):
        _add(sound, at, word * (32768 * 10 ** (VOICE_DBFS / 20) / noises.active_rms(word.astype(np.float64))))
        spans.append(_span(clip, word, at * 1000 // RATE_HZ))
        at += len(word) + 2 * gap
    return Stream(_to_int16(sound), tuple(spans))


def _trimmed(word: NDArray[np.int16]) -> NDArray[np.int16]:
    """Without the silence at its ends, but for 50 ms."""
    loud = np.flatnonzero(np.abs(word.astype(np.int32)) > np.abs(word.astype(np.int32)).max() * 0.01)
    return word[max(0, int(loud[0]) - 800) : int(loud[-1]) + 800] if len(loud) else word


# --- negatives ---


def _negatives(
    clips: Sequence[Clip], rng: np.random.Generator, half: Half, snr_db: float | None = None, rt60_s: float | None = None
) -> Stream:
    """Recordings end to end; in household noise; in a room."""
    sounds = [clip.pcm() for clip in clips]
    if rt60_s is not None:
        for place, clip in enumerate(clips):
            response = rooms.impulse_response(rt60_s, ROOM_M, zlib.crc32(clip.name.encode()) % rooms.ROOMS)
            heard = rooms.reverberant(sounds[place].astype(np.float64), response)
            sounds[place] = _unclipped(heard)
    if snr_db is None:
        return Stream(np.concatenate(sounds), ())
    noise = household.recorded("")(sum(map(len, sounds)), rng)
    return Stream(mixing.noisy_stream(sounds, noise, snr_db), ())


def _by_time(clips: Sequence[Clip], seconds: float) -> list[tuple[Clip, ...]]:
    """Clips in parts of about so many seconds each, in order."""
    parts: list[tuple[Clip, ...]] = []
    part: list[Clip] = []
    total = 0.0
    for clip in clips:
        part.append(clip)
        total += clip.seconds()
        if total >= seconds:
            parts.append(tuple(part))
            part, total = [], 0.0
    return [*parts, tuple(part)] if part else parts


# --- arithmetic ---


def _span(clip: Clip, word: NDArray[np.int16], start_ms: int, end_ms: int | None = None) -> Span:
    frame = RATE_HZ // 100
    power = np.mean(word[: len(word) // frame * frame].reshape(-1, frame).astype(np.float64) ** 2, axis=1)
    last = int(np.flatnonzero(power >= power.max() * 10 ** (-SPEECH_END_DB / 10))[-1]) + 1
    return Span(start_ms, start_ms + len(word) * 1000 // RATE_HZ if end_ms is None else end_ms, start_ms + 10 * last, clip.name)


def _add(sound: Floats, at: int, part: Floats) -> None:
    """Add with 20 ms of fade at both ends."""
    fade = min(mixing.FADE, len(part) // 4)
    ramp = np.ones(len(part))
    ramp[:fade] = np.linspace(0, 1, fade)
    ramp[len(part) - fade :] = np.linspace(1, 0, fade)
    sound[at : at + len(part)] += part * ramp


def _snr_gain(word: NDArray[np.int16], noise: Floats, snr_db: float) -> float:
    return float(mixing.frame_rms(noise).max()) * 10 ** (snr_db / 20) / max(1.0, float(mixing.frame_rms(word).max()))


def _unclipped(sound: Floats) -> NDArray[np.int16]:
    return _to_int16(sound * min(1.0, 32000 / max(1.0, float(np.abs(sound).max()))))


def _to_int16(sound: Floats) -> NDArray[np.int16]:
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


# --- the table ---


def _word_row(name: str, about: str, **how: object) -> Condition:
    return Condition(name, "words", about, data.words, partial(_words, **how))  # type: ignore[arg-type]


def _start_row(name: str, about: str, **how: object) -> Condition:
    return Condition(name, "words", about, data.words, partial(_trials, **how))  # type: ignore[arg-type]


def _table() -> tuple[Condition, ...]:
    in_household = household.recorded("")
    rows = [
        _word_row("clean", "quiet, pink noise at -65 dBFS"),
        _word_row("household-10db", "household noise", noise=in_household, snr_db=10.0),
        *(
            _word_row(f"household-10db-draw-{draw}", f"household noise, draw {draw}", noise=in_household, snr_db=10.0)
            for draw in (2, 3, 4, 5)
        ),
        _word_row("household-6db", "household noise", noise=in_household, snr_db=6.0),
        _word_row("household-5db", "household noise", noise=in_household, snr_db=5.0),
        _word_row("white-10db", "white noise", noise=noises.white, snr_db=10.0),
        _word_row("pink-10db", "pink noise", noise=mixing.pink_noise, snr_db=10.0),
    ]
    for rt60_s in (0.3, 0.5, 0.7):
        room = f"3 m away, RT60 {rt60_s} s"
        rows += [
            _word_row(f"room-{rt60_s}", f"{room}, quiet", rt60_s=rt60_s),
            _word_row(f"room-{rt60_s}-10db", f"{room}, household noise", rt60_s=rt60_s, noise=in_household, snr_db=10.0),
        ]
    rows.append(_word_row("room-0.5-pink-10db", "3 m away, RT60 0.5 s, pink noise", rt60_s=0.5, snr_db=10.0))
    for metres in (0.2, 0.5, 1, 2, 3, 4):
        rows.append(
            Condition(f"level-{metres}m", "words", f"75 dB SPL at 0.2 m, heard at {metres} m, 24 bits", data.words,
                      partial(_real_levels, metres=float(metres), db_spl=TALKER_DB_SPL))
        )  # fmt: skip
    for name, metres, spl in (
        ("loud-0.2m", 0.2, 85.0),
        ("quiet-0.5m", 0.5, 66.0),
        ("quiet-1m", 1.0, 66.0),
        ("quiet-2m", 2.0, 66.0),
    ):
        rows.append(
            Condition(f"level-{name}", "words", f"{spl:.0f} dB SPL at 0.2 m, heard at {metres} m, 24 bits", data.words,
                      partial(_real_levels, metres=metres, db_spl=spl))
        )  # fmt: skip
    for hertz in (50, 60, 100, 120):
        rows += [
            _word_row(
                f"hum-{hertz}-{snr_db}db",
                f"hum of {hertz} Hz",
                noise=partial(noises.hum, hertz=float(hertz)),
                snr_db=float(snr_db),
            )
            for snr_db in (20, 10, 6, 3, -6)
        ]
    rows += [
        _word_row(f"{name}-{snr_db}db", name, noise=noise, snr_db=float(snr_db))
        for name, noise in (("rumble", noises.rumble), ("fan", noises.fan))
        for snr_db in (10, 0 if name == "rumble" else 6)
    ]
    for name, noise in (("vacuum", household.vacuum_starting), ("kettle", household.kettle_starting)):
        rows += [
            _start_row(f"{name}-{after_s}s", f"{name} starts, the word {after_s} s later, 10 dB above it", noise=noise,
                       level_dbfs=START_DBFS, after_s=float(after_s), snr_db=10.0)
            for after_s in (3, 10)
        ]  # fmt: skip
    for step_db, way in ((12.0, "up"), (-12.0, "down")):
        rows += [
            _start_row(f"step-{way}-{after_s}s", f"pink noise steps {step_db:+.0f} dB, the word {after_s} s later, 10 dB above",
                       noise=partial(_steps, step_db=step_db), level_dbfs=STEP_DBFS, after_s=10.0 + after_s, snr_db=10.0)
            for after_s in (1, 3)
        ]  # fmt: skip
    rows += [
        Condition(f"talk-follows-{gap_ms}ms", "words", f"quiet; somebody talks on {gap_ms} ms after the word", data.words,
                  partial(_followed, gap_ms=gap_ms))
        for gap_ms in (50, 150, 300)
    ]  # fmt: skip
    rows += [
        Condition(f"television-{above_db}db", "words", f"somebody talks for an hour, the word {above_db} dB above", data.words,
                  partial(_television, above_db=float(above_db)), whole=True)
        for above_db in (15, 10, 5)
    ]  # fmt: skip
    rows += [
        Condition("negatives-clean", "negatives", "speech, music and noise without the word", data.negatives, _negatives),
        Condition("negatives-noisy-speech", "negatives", "speech in household noise, 10 dB",
                  lambda half: data.negatives(half, "speech"), partial(_negatives, snr_db=10.0)),
        Condition("negatives-room-speech", "negatives", "speech 3 m away, RT60 0.5 s",
                  lambda half: data.negatives(half, "speech"), partial(_negatives, rt60_s=0.5)),
    ]  # fmt: skip
    for kind, about in (("word", "the word"), ("near", "near words alone"), ("near-sentence", "near words in sentences"),
                        ("sentence", "sentences without the word")):  # fmt: skip
        for natural, whose in ((True, "natural"), (False, "other")):
            clips = partial(voices.spoken, kind=kind, natural=natural)
            group = "voices" if kind == "word" else "near"
            rows.append(Condition(f"{kind}-{whose}", group, f"{about}, {whose} voices", clips, _spoken))
            if kind in ("word", "near"):
                rows.append(Condition(f"{kind}-{whose}-10db", group, f"{about}, {whose} voices, household noise", clips,
                                      partial(_spoken, snr_db=10.0)))  # fmt: skip
    return tuple(rows)


TABLE = _table()
