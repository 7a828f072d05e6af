# SPDX-License-Identifier: MIT
"""A network's integers and file: what the board and the reference kernels make of it, and what they say beside the floats."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from earlid.cli import main
from earlid.errors import UserError
from earlid.flash import inputs, memory_plan
from earlid.gate import models, quantise
from earlid.train import integers, tflite_file
from earlid.train.manifest import arena_bytes, manifest
from earlid.train.network import Net, track_logits
from earlid.train.shape import INPUT_SCALE, INPUT_ZERO, Block, Shape
from numpy.typing import NDArray
from pymicro_wakeword import MicroWakeWord
from pymicro_wakeword.const import Model as Published
from torch.nn import functional

from tests.gate import networks
from tests.train.test_network import SEED, SHAPES, network

BYTES = quantise.quantised_features(INPUT_SCALE, INPUT_ZERO)  # of each feature
SMALL = Shape(3, 16, 5, (Block(24, (5,)), Block(24, (7,))), 5)
LARGEST_FEATURE = 65535


def feature_columns() -> NDArray[np.uint16]:
    """Random columns, quiet ones, and all at their largest or smallest, back and forth."""
    rng = np.random.default_rng(SEED)
    ends = rng.choice(np.array([0, 665, LARGEST_FEATURE], np.uint16), (60, 40))
    full, none = np.full((60, 40), LARGEST_FEATURE), np.zeros((60, 40))
    return np.concatenate([rng.integers(0, 700, (240, 40)), rng.random((240, 40)) ** 3 * 900, full, none, ends]).astype(np.uint16)


def calibration(net: Net, columns: NDArray[np.uint8]) -> NDArray[np.uint8]:
    hops = net.receptive_hops + 6 * net.shape.stride
    return np.stack([columns[at : at + hops] for at in range(0, len(columns) - hops + 1, 20)])


def features_of(columns: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Features that become these bytes."""
    found = np.rint(columns * (INPUT_SCALE / networks.FEATURE_SCALE)).astype(np.uint16)
    assert np.array_equal(BYTES[found], columns)
    return found


def written(net: Net, columns: NDArray[np.uint8], folder: Path, window: int = 5) -> tuple[models.Model, bytes]:
    """A network as the command leaves it: two files, which the gate's importer reads."""
    data = tflite_file.write(integers.quantise(net, calibration(net, columns)))
    (folder / "word.tflite").write_bytes(data)
    entries = manifest("open sesame", "nobody", "word.tflite", data, ["en"], 0.9, window)
    (folder / "word.json").write_text(json.dumps(entries))
    return models.load(str(folder / "word.json")), data


def logits(net: Net, columns: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Those of the inferences that a streaming network makes with its whole past."""
    return track_logits(net, columns[-net.receptive_hops % net.shape.stride :])


def toy(count: int, rng: np.random.Generator, hops: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Windows of noise, half of which end with a sweep; and which."""
    windows = rng.integers(0, 120, (count, hops, 40), np.uint8)
    has = rng.random(count) < 0.5
    sweep = np.abs(np.subtract.outer(np.arange(30), np.arange(40))) < 4
    for number in np.flatnonzero(has):
        first = hops - 36 + int(rng.integers(0, 6))
        windows[number, first : first + 30][sweep] = rng.integers(170, 256, sweep.sum())
    return windows, has.astype(np.float32)


def train(net: Net, steps: int, rate: float) -> None:
    rng, optimiser = np.random.default_rng(SEED), torch.optim.Adam(net.parameters(), rate)
    for _ in range(steps):
        windows, has = toy(48, rng, net.receptive_hops)
        found = net(torch.from_numpy(windows.astype(np.float32)) * INPUT_SCALE)[:, 0]
        loss = functional.binary_cross_entropy_with_logits(found, torch.from_numpy(has))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


@pytest.fixture(scope="module")
def trained() -> Net:
    """A network that tells sweeps from noise."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # beside other tests two are slower than one
    net = Net(SMALL)
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.momentum = 0.1
    train(net, 60, 3e-3)
    return net.eval()


@pytest.fixture(scope="module")
def track() -> NDArray[np.uint8]:
    """Windows of the toy, behind each other."""
    return toy(40, np.random.default_rng(SEED + 1), Net(SMALL).receptive_hops)[0].reshape(-1, 40)


@pytest.mark.parametrize("name", SHAPES)
def test_outputs_on_the_board_equal_the_reference_kernels(name: str, tmp_path: Path) -> None:
    columns = feature_columns()
    model, data = written(network(SHAPES[name]), BYTES[columns], tmp_path)
    expected = networks.reference(data, columns)
    assert len(set(expected)) > 8, f"the network says too little to be a test, seed {SEED}"
    assert networks.outputs_on_micropython(model.blob, columns) == expected, f"seed {SEED}"


def test_trained_network_says_the_same_in_floats_and_integers(trained: Net, track: NDArray[np.uint8], tmp_path: Path) -> None:
    _, data = written(trained, track, tmp_path)
    features = features_of(track)
    found = np.array(networks.reference(data, features)) / 256
    by_floats = 1 / (1 + np.exp(-logits(trained, track).astype(np.float64)))
    found = found[-len(by_floats) :]
    assert min(found) < 0.05
    assert max(found) > 0.95
    assert np.abs(found - by_floats).max() < 0.1
    assert np.abs(found - by_floats).mean() < 0.01


def test_same_weights_give_the_same_bytes(trained: Net, track: NDArray[np.uint8]) -> None:
    once, twice = (tflite_file.write(integers.quantise(trained, calibration(trained, track))) for _ in range(2))
    assert once == twice


def test_constants_lie_where_processors_read_them_in_place(trained: Net, track: NDArray[np.uint8]) -> None:
    made = integers.quantise(trained, calibration(trained, track))
    data = tflite_file.write(made)
    for layer in (made.first, made.last, made.blocks[0].mix[0], made.blocks[0].point):
        assert data.find(layer.weights.tobytes()) % 16 == 0


def test_pymicro_wakeword_loads_it_and_gives_its_probabilities(trained: Net, track: NDArray[np.uint8], tmp_path: Path) -> None:
    model, _ = written(trained, track, tmp_path, window=1)
    detector = MicroWakeWord.from_config(tmp_path / "word.json")
    features = features_of(track)
    expected = networks.outputs_on_micropython(model.blob, features)
    given = (features * np.float32(networks.FEATURE_SCALE))[:, None, None]
    found = [detector.process_streaming_prob(column) * 256 for column in given][SMALL.stride - 1 :: SMALL.stride]
    apart = np.abs(np.subtract(found, expected))  # its kernels are not the reference's: a few sums round to the other neighbour
    assert apart.mean() < 0.1
    assert apart.max() <= 8
    assert detector.wake_word == "open sesame"


def test_import_and_flash_take_the_pair(
    trained: Net, track: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = written(trained, track, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["model", "import", "word.tflite"]) == 0
    assert (tmp_path / "word.elww").read_bytes() == model.blob
    for name in ("word.json", "word.tflite", "word.elww"):
        assert inputs.read_word(name) == model.blob, name


def test_manifest_has_the_entries_of_the_published_ones(trained: Net, track: NDArray[np.uint8], tmp_path: Path) -> None:
    written(trained, track, tmp_path)
    ours = json.loads((tmp_path / "word.json").read_text())
    published = json.loads((models.builtin_dir() / f"{Published.ALEXA.value}.json").read_text())
    assert set(ours) == set(published) - {"website"}  # ESPHome wants an address there or nothing
    assert set(ours["micro"]) == set(published["micro"])


@pytest.mark.parametrize("name", ["as published", "groups of uneven width", "residual"])
def test_arena_that_the_manifest_states_is_enough_for_tensorflow_lite_micro(name: str, tmp_path: Path) -> None:
    runtime = pytest.importorskip("tflite_micro", reason="no wheel for this platform").runtime
    columns = feature_columns()
    net = network(SHAPES[name])
    _, data = written(net, BYTES[columns], tmp_path)
    arena = json.loads((tmp_path / "word.json").read_text())["micro"]["tensor_arena_size"]
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=arena)
    found, stride = [], net.shape.stride
    values = (BYTES[columns].astype(np.int16) - 128).astype(np.int8)
    for at in range(0, len(values) - stride + 1, stride):
        interpreter.set_input(values[None, at : at + stride], 0)
        interpreter.invoke()
        found.append(int(interpreter.get_output(0).item()))
    apart = np.abs(np.subtract(found, networks.reference(data, columns)))
    assert apart.mean() < 0.05  # of 255: its kernels round a few sums to the other neighbour
    assert apart.max() <= 4


def test_arena_of_the_published_networks_is_near_what_their_maker_states() -> None:
    for path in models.builtin_dir().glob("*.json"):
        stated = json.loads(path.read_text())["micro"]["tensor_arena_size"]
        assert 0.75 < arena_bytes(path.with_suffix(".tflite").read_bytes()) / stated < 1.1, path.name


def damaged(change: str) -> Net:
    """A network with one fault that training can leave."""
    net = network(SHAPES["residual"])
    block = net.blocks[0]
    with torch.no_grad():
        if change == "dead channels":
            for convolution in (net.first, block.point, block.beside):
                convolution.weight[::2] = 0
            block.mix.kernels[0][::3] = 0
        elif change == "nothing lives":
            for parameter in net.parameters():
                parameter.zero_()
        elif change == "steep batch norm":
            net.first.norm.running_var[:4] = 1e-12
            net.first.norm.weight[:4] = 300
            block.point.norm.running_mean[:4] = 1e5
        else:
            net.first.norm.bias += 1e6
            net.last *= 1e3
            net.last_bias += 1e5
    return net


@pytest.mark.parametrize("change", ["dead channels", "nothing lives", "steep batch norm", "huge biases"])
def test_damaged_network_is_a_file_that_the_board_takes(change: str, tmp_path: Path) -> None:
    columns = feature_columns()[::4]
    model, data = written(damaged(change), BYTES[columns], tmp_path)
    memory_plan.check_word(model.blob, "word.elww")
    assert networks.outputs_on_micropython(model.blob, columns) == networks.reference(data, columns)


@pytest.mark.parametrize("weight", [float("nan"), 1e38])
def test_network_that_diverged_is_refused(weight: float, track: NDArray[np.uint8]) -> None:
    net = network(SMALL)
    with torch.no_grad():
        net.blocks[0].point.weight[3] = weight
    with pytest.raises(UserError, match=r"diverged\. Train again with another --seed"):
        integers.quantise(net, calibration(net, track))


def test_network_as_published_fits_the_board(tmp_path: Path) -> None:
    model, _ = written(network(Shape()), BYTES[feature_columns()], tmp_path)
    memory_plan.check_word(model.blob, "word.elww")
    assert model.network.macs == models.load("alexa").network.macs
    kinds = [(layer.kind, layer.inputs[0].rows, layer.inputs[0].width, layer.output.width) for layer in model.network.layers]
    theirs = models.load("alexa").network.layers
    assert kinds == [(layer.kind, layer.inputs[0].rows, layer.inputs[0].width, layer.output.width) for layer in theirs]
