# SPDX-License-Identifier: MIT
"""A look: its layers and its score equal the formulas, the network's own outputs stay as they are, damaged ones are refused."""

from __future__ import annotations

import random
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest
import reference
import signals
from earlid.errors import UserError
from earlid.gate import blob_writer, look, models, score
from earlid.gate.graph import build_network
from earlid.gate.network import Look
from earlid.gate.tflite import ModelError, read
from machines import SEED, Checked

from tests.bench.detection import look as maker

SHIPPED = models.load("alexa")


def encoded(second: Look | None) -> models.Model:
    sums = SHIPPED.manifest.window, SHIPPED.cutoff_sum
    blob = blob_writer.encode(SHIPPED.network, "alexa", [], *sums, SHIPPED.digest, second)
    return replace(SHIPPED, blob=blob, look=second)


ALEXA = encoded(None)


def entry(**changed: int) -> dict[str, Any]:
    """How two networks decide; not what any look says."""
    return {"window": 12, "lowest": 12 * 220, "scale": 4, "cutoff": 300, **changed}


def with_look(second: str, **changed: int) -> models.Model:
    """`alexa` with another published network as its second."""
    return encoded(look.build(entry(**changed), ALEXA.network, models.load(second).network))


def recording() -> signals.Samples:
    rng = np.random.default_rng(SEED)
    pause = np.zeros(16000)
    sound = np.concatenate([pause, pause, signals.at_dbfs(signals.flite("Alexa", "rms"), -24), pause])
    return signals.to_int16(sound + rng.normal(0, 6, len(sound)))


@pytest.mark.parametrize("second_name", ["alexa", "hey_jarvis", "okay_nabu"])
def test_look_equals_the_oracle_and_leaves_the_network_alone(second_name: str) -> None:
    model = with_look(second_name)
    second = model.look
    assert second
    pcm = recording()
    found = [item for item in score.run(pcm, model, decision=1) if isinstance(item, score.Inference)]
    plain = [item for item in score.run(pcm, ALEXA, decision=0) if isinstance(item, score.Inference)]
    assert list(score.run(pcm, model, decision=0)) == plain, "bit for bit as without a look"
    assert list(score.run(pcm, ALEXA, decision=1)) == plain, "a network without one has no other decision"
    assert [item.prob for item in found] == [item.prob for item in plain]

    network = ALEXA.network
    oracle = reference.StreamingNetwork(
        replace(network, buffers=network.buffers + second.buffers, layers=network.layers + second.layers)
    )
    scale, zero = network.input_scale, network.input_zero
    columns = [[reference.quantised_feature(int(value), scale, zero) for value in row] for row in networks.features(pcm)]
    cold = score.COLD_COLUMNS // network.stride
    logits: list[int] = []
    for number, item in enumerate(found):
        oracle.infer(columns[number * network.stride : (number + 1) * network.stride])
        both = oracle.rows[network.layers[-1].output.buffer.index][-1][0] + oracle.rows[-1][-1][0] + 256
        logits.append(0 if number < cold else both)
        total = reference.fused_score(logits, second)
        expected = total, total // second.scale, total > second.cutoff
        assert (item.total, item.mean_q8, item.hit) == expected, number
    assert any(item.total for item in found)


def test_fused_score_equals_the_formula(rng: random.Random) -> None:
    second = with_look("alexa", lowest=2500).look
    assert second
    fields = second.window, second.lowest, 255 * second.scale, second.scale
    recent, state = [0] * second.window, [0, 0, 0, *fields]
    fused_score = Checked().module("smoothing").fused_score
    logits: list[int] = []
    seen = set()
    for number in range(400):
        loud = number // 40 % 2
        logits.append(rng.randint(180 * loud, 510 if loud else 300))
        found = fused_score(logits[-1], recent, state, second.cutoff)
        total = reference.fused_score(logits, second)
        assert (found >> 1, found & 1) == (total // second.scale, total > second.cutoff), f"inference {number}, seed {SEED}"
        seen.add((bool(total), found & 1))
    assert seen == {(False, 0), (True, 0), (True, 1)}


def test_damaged_look_is_refused() -> None:
    blob = with_look("okay_nabu").blob
    tables = 80 + (sum(struct.unpack_from("<HH", blob, 72)) + 3 & -4)
    last = tables + 8 * blob[18] + 36 * (blob[19] - 1)
    record = len(blob) - 12

    def changed(edits: dict[int, bytes]) -> bytes:
        data = bytearray(blob)
        for at, piece in edits.items():
            data[at : at + len(piece)] = piece
        struct.pack_into("<I", data, 12, zlib.crc32(data[16:]))
        return bytes(data)

    wrong: list[dict[int, bytes]] = [
        {record: b"\0\0"}, {record: b"\x41\0"}, {record + 2: b"\0\0"}, {record + 4: b"\xff\xff"}, {record + 8: b"\xff\xff"},
        {last + 1: b"\xff"}, {last + 1: bytes([blob[18] - 1])},
        {last + 1: b"\0"}, {last - 36: b"\x07"}, {last: b"\x01"}, {last + 32: b"\xff" * 4},
    ]  # fmt: skip
    rng = random.Random(SEED)
    places = [*range(tables, last + 36), *range(record, len(blob))]
    some = [{rng.choice(places): rng.randbytes(1)} for _ in range(60)]
    data = [changed(edits) for edits in [{}, *wrong, *some]]
    stream = b"".join(struct.pack("<I", len(item)) + item for item in data)
    lines = networks.micropython("mp_blobs.py", stream).decode().splitlines()
    assert lines[0].startswith("ran")
    for edits, line in zip(wrong, lines[1:], strict=False):
        assert "damaged" in line, f"{edits}: {line}"
    assert len(lines) == len(data), "none ends the loader otherwise"
    with pytest.raises(ModelError, match="never be reached"):
        with_look("alexa", cutoff=1021)


@pytest.mark.parametrize("name", models.builtin_names())
def test_look_that_ships_decides_as_the_maker_says(name: str) -> None:
    model = models.load(name)
    shipped = look.find(model.digest)
    assert shipped in (None, maker.entry(name, model.digest, model.network))
    assert (shipped is None) == (model.look is None)


def test_second_network_that_hears_other_columns_is_refused() -> None:
    network = models.load("alexa").network
    with pytest.raises(ModelError, match="hears"):
        look.build(entry(), network, replace(network, stride=2))
    with pytest.raises(ModelError, match="hears"):
        look.build(entry(), network, replace(network, input_zero=0))


def test_maker_of_second_networks_makes_one_that_the_first_takes_and_twice_the_same(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the extra `train`")
    rng = np.random.default_rng(SEED)
    columns = tmp_path / "columns"
    columns.mkdir()
    for part in ("fit", "stop"):
        for kind, count in (("word", 3), ("near", 2)):
            np.save(columns / f"{part}-{kind}.npy", rng.integers(0, 250, (400 * count, 40)).astype(np.uint8))
            np.save(columns / f"{part}-{kind}-ends.npy", 400 * np.arange(count) + 300)
            np.save(columns / f"{part}-{kind}-shares.npy", np.ones(count))
        np.save(columns / f"{part}-unsaid.npy", rng.integers(0, 100, (8000, 40)).astype(np.uint8))
    settings = replace(maker.settings_of("okay_nabu"), steps=2, words=2, near=2, negatives=4)
    files = [tmp_path / "first.tflite", tmp_path / "second.tflite"]
    for path in files:
        maker.make(tmp_path, path, settings)
        for checkpoint in (tmp_path / "checkpoints").iterdir():
            checkpoint.unlink()
    first, second = (path.read_bytes() for path in files)
    assert first == second
    assert look.build(entry(), ALEXA.network, build_network(read(first))).layers
    with pytest.raises(UserError, match="earlid model train"):
        maker.make(tmp_path / "elsewhere", files[0], settings)
