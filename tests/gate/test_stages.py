# SPDX-License-Identifier: MIT
"""Each kernel of the frontend equals its formula in reference.py: in checked integers and in the board's machine code."""

from __future__ import annotations

import random
from typing import Any

import pytest
import reference
from earlid.gate import tables
from lid.gate import tables as firmware_tables
from machines import SEED, as_int16, as_uint16, as_words, halves, words

EDGES = (0, 1, -1, 32767, -32767, -32768, 16384, 255, 256)
HALF_WORD_ZERO = (8192 << 16) + (1 << 15)  # what the transform's first three stages store for 0
LAST_ZERO = (16383 << 16) + (1 << 15)  # what its last stage stores
CURVE = [value - tables.GAIN_BIAS for value in tables.pcan_gain()]


def int16_lists(rng: random.Random, count: int, length: int) -> list[list[int]]:
    """Lists of 16-bit samples: constant extremes, alternating extremes, edges, and noise at every level."""
    lists = [[32767] * length, [-32768] * length, [0] * length, [(-32768, 32767)[n % 2] for n in range(length)]]
    lists += [[rng.choice(EDGES) for _ in range(length)], [rng.choice((-32768, 32767)) for _ in range(length)]]
    while len(lists) < count:
        largest = 1 << rng.randint(0, 15)
        lists.append([rng.randint(-largest, largest - 1) for _ in range(length)])
    return lists


# -- samples and energy ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gain_q8", [256, 300, 4095, 16384])
def test_dc_block_equals_the_formula(machine: Any, rng: random.Random, gain_q8: int) -> None:
    pcm_input = machine.module("pcm").PcmInput(gain_q8)
    slots = machine.buffer(bytes(640))
    mean_q10 = 0
    edges = (-(1 << 31), (1 << 31) - 1, 0, -1)
    for number in range(12):
        values = [rng.randrange(-(1 << 31), 1 << 31) >> rng.randint(0, 31) for _ in range(160)]
        if number % 3 == 0:
            values = [rng.choice(edges) for _ in range(160)]
        slots[:] = words(value & 0xFFFFFFFF for value in values)
        hop = pcm_input.push(slots)
        samples, mean_q10 = reference.dc_block(values, mean_q10, gain_q8)
        assert as_int16(hop) == [reference.saturate(sample) for sample in samples], f"hop {number}, seed {SEED}"
        assert (pcm_input.low(), pcm_input.high()) == (min(0, *samples), max(0, *samples))
        assert pcm_input.clipped == sum(sample != reference.saturate(sample) for sample in samples)


def test_activity_equals_the_formula(machine: Any, rng: random.Random) -> None:
    activity = machine.module("activity")
    model = reference.Activity()
    state, column, pairs = machine.buffer(bytes(activity.STATE_BYTES)), machine.buffer(bytes(80)), machine.buffer(bytes(320))
    seen = set()
    loud = 130
    for hop in range(1500):
        if hop > 100 and rng.random() < 0.02:  # from nothing to beyond anything
            loud = rng.choice((0, 5, 40, 80, 90, 130, 400, 1153))
        features = [rng.randint(loud // 2, loud) for _ in range(40)]
        sums = [rng.getrandbits(rng.randint(0, 34)) for _ in range(40)]
        shift = rng.randint(0, 15)
        column[:] = halves(features)
        pairs[:] = words(word for value in sums for word in (value >> 16, value & 0xFFFF))
        found = activity.follow(0, 0, column, pairs, state, shift)
        told = found & activity.ACTIVE != 0, found & activity.TELLING != 0
        level = reference.level_q8(sums, shift)
        assert (found >> activity.LEVEL_SHIFT, *told) == (level, *model.follow(features, level)), f"hop {hop}, seed {SEED}"
        seen.add(told)
    assert len(seen) == 4, f"not all that it may say was said, seed {SEED}"


# -- spectrum ----------------------------------------------------------------------------------------------------------


def test_window_equals_the_formula(machine: Any, rng: random.Random) -> None:
    apply_window = machine.module("window").apply_window
    history, state, out = machine.buffer(bytes(960)), machine.buffer(bytes(8)), machine.buffer(bytes(960))
    hop = machine.buffer(bytes(320))
    heard: list[int] = []
    hops = int16_lists(rng, 30, 160)
    for bits in range(15):  # the one value that has no magnitude, where the window is at its largest
        around = [[rng.randrange(-(1 << bits), 1 << bits) for _ in range(160)] for _ in range(4)]
        around[2][78:82] = [-32768] * 4
        hops += around
    for number, samples in enumerate(hops):
        hop[:] = halves(samples)
        shift = apply_window(0, 0, hop, history, firmware_tables.WINDOW, out, state)
        heard = [*heard, *samples][-480:]
        if number < 2:
            assert shift == -1
            continue
        values, room = reference.windowed(heard, tables.window_coefficients())
        assert shift == room, f"hop {number}, seed {SEED}"
        kept = [0 if value == -32768 and room else value for value in values]
        assert as_int16(out) == kept, f"hop {number}, seed {SEED}"


def transform_input(samples: list[int], shift: int) -> list[reference.Complex]:
    """480 samples as 256 complex values, of which the last 16 are 0."""
    values = [*reference.shifted(samples, shift), *[0] * 32]
    return list(zip(values[::2], values[1::2], strict=True))


def test_first_transform_stages_equal_the_formula(machine: Any, rng: random.Random) -> None:
    dft16 = machine.module("fft").dft16
    pcm, out = machine.buffer(bytes(2048)), machine.buffer(bytes(2048))
    for samples in int16_lists(rng, 10, 480):
        shift = 0 if max(map(abs, samples)) > 16383 else rng.randint(0, 15 - max(map(abs, samples)).bit_length())
        pcm[:960] = halves(samples)
        dft16(0, 0, pcm, out, (32767 // 4) << shift)
        stored = as_words(out)
        values = transform_input(samples, shift)
        for column in range(16):
            place = 4 * (column % 4) + column // 4
            for k, (re, im) in enumerate(reference.dft(values[column::16])):
                at = 2 * (16 * k + place)
                expected = [re * 16382 + HALF_WORD_ZERO, im * 16382 + HALF_WORD_ZERO]
                assert stored[at : at + 2] == expected, f"value {k} of column {column}, seed {SEED}"


def test_power_spectrum_equals_the_formula(machine: Any, rng: random.Random) -> None:
    fft, spectrum, twiddles = machine.module("fft"), machine.module("spectrum"), machine.module("twiddles")
    stage_twiddles, split_twiddles = twiddles.stage_twiddles(), twiddles.split_twiddles()
    a, b = machine.buffer(bytes(2048)), machine.buffer(bytes(2048))
    # tones at half the Nyquist frequency, whose bin is its own counterpart
    tones = [[0, level, 0, -level] * 120 for level in range(17460, 17492)]
    for samples in int16_lists(rng, 10, 480) + tones:
        a[:960] = halves(samples)
        fft.dft16(0, 0, a, b, 32767 // 4)
        spectrum.radix4_stages(0, 0, b, a, stage_twiddles)
        transform = reference.dft(transform_input(samples, 0))
        stored = as_words(b)
        for k, (re, im) in enumerate(transform):
            conjugate = 2 * (k >= 128)  # whose imaginary part rounds the other way
            expected = [re * 32766 + LAST_ZERO, im * 32766 + LAST_ZERO - conjugate]
            assert stored[2 * k : 2 * k + 2] == expected, f"value {k}, seed {SEED}"
        spectrum.power_spectrum(0, 0, b, split_twiddles)
        assert as_words(b)[10:482:2] == reference.power_spectrum(transform)[5:241], f"seed {SEED}"


# -- features ----------------------------------------------------------------------------------------------------------


def test_filterbank_equals_the_formula(machine: Any, rng: random.Random) -> None:
    filterbank = machine.module("channels").filterbank
    bins, sums = machine.buffer(bytes(8 * 236)), machine.buffer(bytes(320))
    widths, weights = tables.filterbank()
    for number in range(12):
        total = 1 << 28  # by Parseval, no window has more in all its bins
        energies = [0] * 236
        order = list(range(236))
        rng.shuffle(order)
        for at in order[: rng.randint(1, 236)]:
            energies[at] = rng.choice((rng.randrange(total), total - 1)) if number else 0
            total -= energies[at]
            if total < 2:
                break
        bins[:] = words(word for energy in energies for word in (energy, rng.getrandbits(32)))
        filterbank(0, 0, bins, firmware_tables.WEIGHTS, firmware_tables.WIDTHS, sums)
        pairs = as_words(sums)
        found = [high << 16 | low for high, low in zip(pairs[::2], pairs[1::2], strict=True)]
        assert found == reference.filterbank(energies, widths, weights), f"spectrum {number}, seed {SEED}"
        assert max(pairs[1::2]) < 1 << 16


def test_compression_equals_the_formula(machine: Any, rng: random.Random) -> None:
    channels = machine.module("channels")
    sums, estimates, features = machine.buffer(bytes(320)), machine.buffer(bytes(160)), machine.buffer(bytes(80))
    guesses, lengths = channels.root_guesses(), channels.bit_lengths()
    model = reference.Compressor(CURVE, tables.log_segments())
    roots = [root for bit in range(20) for root in ((1 << bit) - 1, 1 << bit, (1 << bit) + 1, 3 << bit)]
    edges = [root * root + apart for root in roots for apart in (-1, 0, 1, root, root + 1)]
    edges = [square for square in edges if 0 <= square < 1 << 40]
    levels = [rng.uniform(1, 1 << 20) for _ in range(20)]
    for hop in range(60):
        shift = rng.choice((0, rng.randint(0, 15)))
        # half of the channels jump from edge to edge, half wander, so that their noise estimates come near the signal
        levels = [min(level * rng.uniform(0.8, 1.2) + 1, (1 << 20) - 1) for level in levels]
        jumps = [rng.choice((rng.choice(edges), (1 << 40) - 1, rng.getrandbits(rng.randint(1, 40)))) for _ in range(20)]
        squares = [*jumps[:10], *(int(level * level) for level in levels), *jumps[10:]]
        sums[:] = words(word for square in squares for word in (square >> 16, square & 0xFFFF))
        channels.compress(
            0, 0, sums, estimates, guesses, firmware_tables.GAIN, lengths, firmware_tables.LOGS, features, shift
        )  # fmt: skip
        assert as_uint16(features) == model.features(squares, shift), f"hop {hop}, seed {SEED}"
        assert as_words(estimates) == model.estimates, f"hop {hop}, seed {SEED}"
