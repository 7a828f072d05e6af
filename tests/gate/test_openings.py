# SPDX-License-Identifier: MIT
"""Nothing opens that nobody meant: no host, reset or room makes an opening that an ear alone would not."""

from __future__ import annotations

import functools
import itertools
import json
import os
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest
import signals
import soundfile
from earlid.gate import models

from tests.xtensa import sounds

SEED = 20261126
DATA = Path(os.environ.get("EARLID_DATA", Path(__file__).parents[3] / "shared" / "data"))
HOP = 160
NAMES = models.builtin_names()
WORDS = {"alexa": "Alexa", "hey_jarvis": "Hey Jarvis", "hey_mycroft": "Hey Mycroft", "okay_nabu": "Okay Nabu"}
AS_IS = {"gain_q8": 256}  # samples stand in the slots' upper halves
LOST = {"probe": (40, 330), "self-test": (200, 300), "room": (100, 100), "restart": (500, 700), "close": (0, 0), "mute": (0, 0)}


def run(folder: Path, name: str, pcm: signals.Samples, settings: dict[str, int], **options: Any) -> dict[str, Any]:
    """Gate and policy on MicroPython. `truth`: the network's output for each hop; else its own."""
    path = folder / f"{name}.elww"
    path.write_bytes(models.load(name).blob)
    if "truth" in options:
        (folder / "truth").write_bytes(options["truth"].astype(np.uint8).tobytes())
        options["truth"] = str(folder / "truth")
    arguments = folder / "arguments.json"  # too long for MicroPython's command line
    arguments.write_text(json.dumps({"settings": {**AS_IS, **settings}, "events": [], **options}))
    done = networks.micropython("mp_openings.py", pcm.astype("<i2").tobytes(), str(path), str(arguments))
    found: dict[str, Any] = json.loads(done)
    return found


def random_events(rng: np.random.Generator, hops: int) -> list[list[Any]]:
    """What a host and a person do: anything, now and then or all the time."""
    events: list[list[Any]] = []
    pause = int(rng.choice([60, 190, 400, 1500]))
    kinds = list(LOST) if rng.random() < 0.7 else ["probe"]
    at = 0
    while (at := at + int(rng.integers(pause // 2, 2 * pause))) < hops:
        what = str(rng.choice(kinds))
        events.append([at, what, int(rng.integers(LOST[what][0], LOST[what][1] + 1))])
        if what == "mute":  # and un-mute
            at += int(rng.integers(2, 300))
            events.append([at, what, 0])
    return events


def room(rng: np.random.Generator, seconds: float, dbfs: float = -70) -> np.ndarray:
    return signals.at_dbfs(rng.standard_normal(round(seconds * 16000)), dbfs).astype(float)


@functools.cache
def talk(name: str) -> signals.Samples:
    """The word in several voices, now close together, now far apart, and a sentence without it."""
    rng = np.random.default_rng(SEED)
    pieces = [room(rng, 2)]
    for gap, voice in zip(itertools.cycle((0.3, 2.5, 0.6, 4.0)), (*signals.FLITE_VOICES, *signals.FLITE_VOICES), strict=False):
        pieces += [signals.at_dbfs(signals.flite(WORDS[name], voice), -24).astype(float), room(rng, gap)]
    pieces += [signals.at_dbfs(signals.flite(signals.SENTENCES[1], "slt"), -24).astype(float), room(rng, 2)]
    whole = np.concatenate(pieces)
    return signals.to_int16(whole + room(rng, len(whole) / 16000, -72)[: len(whole)])


def scripted_room(rng: np.random.Generator, seconds: int) -> tuple[signals.Samples, np.ndarray]:
    """Sound, and what a network says of it: nothing while it is quiet, anything for a while when it is not."""
    hops = seconds * 100
    sound, truth = room(rng, seconds), np.zeros(hops)
    at = 150
    while at < hops - 200:
        length = int(rng.integers(10, 250))
        sound[at * HOP : (at + length) * HOP] += room(rng, length / 100, -30)[: length * HOP]
        inner = at
        while inner < at + length:
            spell = int(rng.choice([6, 15, 40, 100]))
            truth[inner : min(inner + spell, at + length)] = rng.choice([0, 0, 30, 80, 180, 255, 255])
            inner += spell
        at += length + int(rng.choice([5, 30, 100, 250, 500]))
    return signals.to_int16(sound), truth


@pytest.mark.parametrize("number", range(8))
def test_scripted_ear_opens_no_more_often_than_alone(tmp_path: Path, number: int) -> None:
    """An opening that a host ends early lets the word count again, so that openings of the ear alone end at once."""
    rng = np.random.default_rng([SEED, number])
    pcm, truth = scripted_room(rng, 40)
    name = NAMES[number % len(NAMES)]
    settings = {"cutoff_q8": int(rng.choice([8, 40, 120, 230])), "open_ms": 500}
    alone = run(tmp_path, name, pcm, settings, truth=truth, at_once=True)
    assert alone["openings"], f"seed {SEED}, {number}: nothing opens at all"
    for _ in range(2):
        events = random_events(rng, len(truth))
        found = run(tmp_path, name, pcm, settings, truth=truth, events=events)
        assert len(found["openings"]) <= len(alone["openings"]), f"seed {SEED}, {number}: {events}"
        for _, score, reason in (*found["openings"], *(miss for miss in found["misses"] if miss[2] == "refractory")):
            assert score >= found["cutoff_q8"], f"seed {SEED}, {number}: {reason} with another inference's score"


@pytest.mark.parametrize("number", range(2))
@pytest.mark.parametrize("name", NAMES)
def test_published_word_opens_no_more_often_than_alone(tmp_path: Path, name: str, number: int) -> None:
    rng = np.random.default_rng([SEED, number, NAMES.index(name)])
    pcm = talk(name)
    alone = run(tmp_path, name, pcm, {"open_ms": 500}, at_once=True)
    assert alone["openings"], "the room no longer holds the word"
    events = random_events(rng, len(pcm) // HOP)
    found = run(tmp_path, name, pcm, {"open_ms": 500}, events=events)
    assert len(found["openings"]) <= len(alone["openings"]), f"seed {SEED}, {number}: {events}"


def test_probe_every_1_9_s_during_talk_opens_nothing_more(tmp_path: Path) -> None:
    """A network that hits whenever it is reset: today's published ones do in silence, and a host can reset it at will."""
    pcm = sounds.speech_like(SEED, 88)
    truth = np.full(8800, 20)
    truth[3000:3060] = 255
    probes = [[at, "probe", 40] for at in range(190, 8800, 190)]
    assert len(run(tmp_path, "alexa", pcm, {}, truth=truth)["openings"]) == 1
    assert len(run(tmp_path, "alexa", pcm, {}, truth=truth, events=probes)["openings"]) <= 1


def words_after_unmute(words: list[signals.Samples]) -> tuple[signals.Samples, list[list[Any]], list[int]]:
    """Words in a quiet room, each beginning 310 ms after an un-mute; the switch's events; the hops where words begin."""
    rng = np.random.default_rng(SEED)
    pieces, events, begins = [room(rng, 3)], [], []
    for word in words:
        now = sum(map(len, pieces)) // HOP
        events += [[now, "mute", 0], [now + 50, "mute", 0]]
        pieces.append(room(rng, 0.81 + (sum(map(len, pieces)) % HOP) / 16000))
        begins.append(sum(map(len, pieces)) // HOP)
        pieces += [word.astype(float), room(rng, 1.5)]
    whole = np.concatenate(pieces)
    return signals.to_int16(whole + room(rng, len(whole) / 16000, -72)[: len(whole)]), events, begins


def opened(found: dict[str, Any], begins: list[int]) -> set[int]:
    """Which of the words that begin at these hops opened."""
    return {n for n, at in enumerate(begins) if any(at < hop < at + 230 for hop, *_ in found["openings"])}


@pytest.mark.parametrize("name", NAMES)
def test_word_right_after_unmute_opens(tmp_path: Path, name: str) -> None:
    words = [signals.at_dbfs(signals.flite(WORDS[name], voice), -24) for voice in signals.FLITE_VOICES]
    pcm, events, begins = words_after_unmute(words)
    settings = {"open_ms": 500}
    known = opened(run(tmp_path, name, pcm, settings), begins)
    assert len(known) >= 3, "the network no longer knows these voices"
    found = run(tmp_path, name, pcm, settings, events=events)
    # One voice scores 207 of 217 there: estimates of noise that have heard 50 ms of the room are not those of three seconds.
    assert len(known - opened(found, begins)) <= 1, found
    assert len(found["openings"]) <= len(begins)


def test_recorded_word_right_after_unmute_opens(tmp_path: Path) -> None:
    paths = sorted((DATA / "alexa").glob("*.flac"))[::4]
    if not paths:
        pytest.skip(f"no recordings in {DATA} (set EARLID_DATA)")
    pcm, events, begins = words_after_unmute([soundfile.read(path, dtype="int16")[0] for path in paths])
    settings = {"open_ms": 500}
    known = opened(run(tmp_path, "alexa", pcm, settings), begins)
    found = opened(run(tmp_path, "alexa", pcm, settings, events=events), begins)
    print(f"of {len(begins)} words {len(known)} open, {len(found)} right after an un-mute")
    assert len(known) >= 0.9 * len(begins)
    assert len(known - found) <= len(begins) // 40


@pytest.mark.parametrize("name", NAMES)
def test_unmute_invents_no_hit(tmp_path: Path, name: str) -> None:
    """In silence, noises and hum, some of which a network that was only reset takes for the word."""
    rng = np.random.default_rng(SEED)
    time_s = np.arange(24000) / 16000
    pieces, events = [room(rng, 3)], []
    for dbfs in (-90, -70, -50, -40, -30, -20):
        hum = 32768 * 10 ** (dbfs / 20) * 1.4 * np.sin(2 * np.pi * 100 * time_s)
        for sound in (np.zeros(24000), room(rng, 1.5, dbfs), hum, hum * np.sign(hum)):
            now = sum(map(len, pieces)) // HOP
            events += [[now - 20, "mute", 0], [now, "mute", 0]]
            pieces.append(sound)
    found = run(tmp_path, name, signals.to_int16(np.concatenate(pieces)), {"cutoff_q8": 128}, events=events)
    assert (found["hits"], found["openings"]) == ([], [])
