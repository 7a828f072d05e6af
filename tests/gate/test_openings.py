# SPDX-License-Identifier: MIT
"""Nothing opens that nobody meant: no host, reset, room or sleeping network makes an opening that an awake ear would not."""

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
AWAKE: dict[str, Any] = {"energy_gate": 0}
ASLEEP = {"energy_gate": 1, "gain_q8": 256}  # unless a test says otherwise; samples stand in the slots' upper halves
LOST = {"probe": (40, 330), "self-test": (200, 300), "room": (100, 100), "restart": (500, 700), "close": (0, 0), "mute": (0, 0)}


def run(folder: Path, name: str, pcm: signals.Samples, settings: dict[str, int], **options: Any) -> dict[str, Any]:
    """Gate and policy on MicroPython. `truth`: the network's output for each hop; else its own."""
    path = folder / f"{name}.elww"
    path.write_bytes(models.load(name).blob)
    if "truth" in options:
        (folder / "truth").write_bytes(options["truth"].astype(np.uint8).tobytes())
        options["truth"] = str(folder / "truth")
    arguments = folder / "arguments.json"  # too long for MicroPython's command line
    arguments.write_text(json.dumps({"settings": {**ASLEEP, **settings}, "events": [], **options}))
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


def thumps(rng: np.random.Generator, count: int) -> signals.Samples:
    """Thumps, bursts of hiss and steps of noise in a quiet room, far enough apart for the network to fall asleep."""
    pieces = [room(rng, 3)]
    for number in range(count):
        time_s = np.arange(int(rng.uniform(0.05, 0.4) * 16000)) / 16000
        loud = 32768 * 10 ** (rng.uniform(-30, -4) / 20) * np.exp(-time_s / rng.uniform(0.01, 0.15))
        tone = np.sin(2 * np.pi * rng.uniform(40, 400) * time_s)
        sound = (loud * tone, loud * rng.standard_normal(len(time_s)), room(rng, 1.5, rng.uniform(-55, -30)))[number % 3]
        pieces += [sound, room(rng, rng.uniform(2.5, 4))]
    return signals.to_int16(np.concatenate(pieces))


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


def within(hits: list[int], others: list[int], hops: int = 30) -> list[int]:
    """The hits that have none of the others so near in time."""
    return [hit for hit in hits if not others or np.abs(np.array(others) - hit).min() > hops]


@pytest.mark.parametrize("number", range(8))
def test_scripted_ear_opens_no_more_often_than_awake_and_alone(tmp_path: Path, number: int) -> None:
    """An opening that a host ends early lets the word count again, so that openings of the ear alone end at once."""
    rng = np.random.default_rng([SEED, number])
    pcm, truth = scripted_room(rng, 40)
    name = NAMES[number % len(NAMES)]
    settings = {"cutoff_q8": int(rng.choice([8, 40, 120, 230])), "open_ms": 500}
    alone = run(tmp_path, name, pcm, {**settings, **AWAKE}, truth=truth, at_once=True)
    assert alone["openings"], f"seed {SEED}, {number}: nothing opens at all"
    asleep = run(tmp_path, name, pcm, settings, truth=truth)
    assert within(asleep["hits"], alone["hits"]) == [], f"seed {SEED}, {number}"
    for energy_gate in (0, 1):
        events = random_events(rng, len(truth))
        found = run(tmp_path, name, pcm, {**settings, "energy_gate": energy_gate}, truth=truth, events=events)
        assert len(found["openings"]) <= len(alone["openings"]), f"seed {SEED}, {number}: {events}"
        for _, score, reason in (*found["openings"], *(miss for miss in found["misses"] if miss[2] == "refractory")):
            assert score >= found["cutoff_q8"], f"seed {SEED}, {number}: {reason} with another inference's score"


@pytest.mark.parametrize("number", range(2))
@pytest.mark.parametrize("name", NAMES)
def test_published_word_opens_no_more_often_than_awake_and_alone(tmp_path: Path, name: str, number: int) -> None:
    rng = np.random.default_rng([SEED, number, NAMES.index(name)])
    pcm = talk(name)
    alone = run(tmp_path, name, pcm, {**AWAKE, "open_ms": 500}, at_once=True)
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
    for energy_gate in (0, 1):
        settings = {"energy_gate": energy_gate}
        assert len(run(tmp_path, "alexa", pcm, settings, truth=truth)["openings"]) == 1
        assert len(run(tmp_path, "alexa", pcm, settings, truth=truth, events=probes)["openings"]) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_waking_invents_no_hit(tmp_path: Path, name: str) -> None:
    """Ten thumps in a quiet room: the network just reset says the word at each, and none of it counts."""
    pcm = thumps(np.random.default_rng([SEED, NAMES.index(name)]), 10)
    quiet = np.zeros(len(pcm) // HOP + 1)
    found = run(tmp_path, name, pcm, {"cutoff_q8": 8}, truth=quiet)
    assert (found["hits"], found["openings"], found["misses"]) == ([], [], [])
    for cutoff_q8 in (0, 20, 128):
        settings = {"cutoff_q8": cutoff_q8}
        awake = run(tmp_path, name, pcm, {**settings, **AWAKE})
        assert within(run(tmp_path, name, pcm, settings)["hits"], awake["hits"]) == [], f"seed {SEED}"


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


@pytest.mark.parametrize("settings", [{}, AWAKE], ids=["asleep", "awake"])
@pytest.mark.parametrize("name", NAMES)
def test_word_right_after_unmute_opens(tmp_path: Path, name: str, settings: dict[str, int]) -> None:
    words = [signals.at_dbfs(signals.flite(WORDS[name], voice), -24) for voice in signals.FLITE_VOICES]
    pcm, events, begins = words_after_unmute(words)
    settings = {**settings, "open_ms": 500}
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
    settings = {**AWAKE, "open_ms": 500}
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
    found = run(tmp_path, name, signals.to_int16(np.concatenate(pieces)), {**AWAKE, "cutoff_q8": 128}, events=events)
    assert (found["hits"], found["openings"]) == ([], [])


@pytest.mark.parametrize("name", NAMES)
def test_hits_with_the_energy_gate_are_hits_without_it(tmp_path: Path, name: str) -> None:
    pcm = talk(name)
    for cutoff_q8 in (0, 20, 128):
        settings = {"cutoff_q8": cutoff_q8}
        awake, found = run(tmp_path, name, pcm, {**settings, **AWAKE}), run(tmp_path, name, pcm, settings)
        assert within(found["hits"], awake["hits"]) == [], f"seed {SEED}"
        assert cutoff_q8 or len(found["openings"]) == len(awake["openings"]), "the energy gate lost a word"


def test_hits_in_recordings_with_the_energy_gate_are_hits_without_it(tmp_path: Path) -> None:
    words, noises = sorted((DATA / "alexa").glob("*.flac"))[:40], sorted((DATA / "esc10").glob("*.flac"))[::7]
    if not words or not noises:
        pytest.skip(f"no recordings in {DATA} (set EARLID_DATA)")
    rng = np.random.default_rng(SEED)
    pieces = [room(rng, 3)]
    for path in (*words, *noises):
        pieces += [soundfile.read(path, dtype="int16")[0].astype(float), room(rng, rng.uniform(0.5, 4))]
    pcm = signals.to_int16(np.concatenate(pieces))
    for name, cutoff_q8 in (("alexa", 0), ("alexa", 60), ("hey_jarvis", 60), ("okay_nabu", 60)):
        settings = {"cutoff_q8": cutoff_q8}
        awake, found = run(tmp_path, name, pcm, {**settings, **AWAKE}), run(tmp_path, name, pcm, settings)
        assert within(found["hits"], awake["hits"]) == [], f"{name}, seed {SEED}"
        assert name != "alexa" or len(found["openings"]) >= len(awake["openings"]) - 1
