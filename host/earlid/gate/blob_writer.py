# SPDX-License-Identifier: MIT
"""Writes a network as the blob that the firmware runs. `firmware/lid/gate/model_file.py` is the reader.

Layout, little endian (version 3; 4 with a look):

    0   magic "ELWW", u16 version, u16 bytes of this header, u32 bytes of the whole blob, u32 CRC-32 of bytes 16 on
    16  u8 stride, u8 window, u8 buffers, u8 layers, u32 cutoff sum (a hit is a window sum above it)
    24  i32 x 4 feature formula (quantise.feature_scale), 32 bytes SHA-256 of the .tflite file
    72  u16 bytes of name, u16 bytes of languages, u16 features a column, u16 zero, then the two texts, padded to 4
        buffers, 8 bytes each: u16 channels, u16 rows, u8 first value, u8 sliding, u16 bytes a row
        layers, 36 bytes each: u8 kind, in, second in, out; u16 first channel of in, second in, out; u16 rows, outputs,
        lanes to skip; u8 zero, bytes from record to record; u16 zero; u32 least, reversed_below (see below), weights, records
        256 output bytes, one a logit; then weights and records, each layer's on a multiple of 4

A dense layer's weights come 32 outputs after the other, each input by input (16 bytes an input where no more outputs are left).

Activations and weights are biased by 128 to be unsigned; the corrections are folded into the records' bias. A record is
i32 x 4, none negative: bias + 2**29, multiplier, addend, right shift. With x = sum + bias, an output is

    zero                                            where x <= least - 2**29, else, clamped to 0 .. 255,
    ((x * multiplier >> 30) + addend) >> shift      where 2 is taken from the product if it is below reversed_below - 2**29.

A look is the last layer, of kind LOOK: in is the network's logit, out the look's, which the layers behind the network's own
make, and the record is u16 window, scale, u32 lowest, cutoff (network.Look).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from earlid.gate.blob_format import DENSE_LANES, HEADER_BYTES, LANES, LAYER_BYTES, LOOK, LOOK_VERSION, MAGIC, VERSION
from earlid.gate.network import Buffer, Layer, Look, Network
from earlid.gate.quantise import add_tables, feature_scale, layer_multipliers, logistic_table
from earlid.gate.tflite import ModelError

DENSE, DOT, DEPTHWISE, ADD, MAXPOOL, AVGPOOL = 1, 2, 3, 4, 5, 6
DOT_OUTPUTS = 4  # up to this many outputs, one sum each is cheaper than 16 lanes
ACCUMULATOR_LIMIT = 1 << 28  # the board's multiplication takes no more
BIAS_OFFSET = 1 << 29  # keeps records positive
ADD_OFFSET = 1 << 28  # keeps the tables of an ADD positive
RECORD_BYTES = 16


def _round_up(count: int, step: int) -> int:
    return -(-count // step) * step


def row_bytes(buffer: Buffer, network: Network) -> int:
    """Bytes a row takes on the board: whole groups of 16 lanes, except for columns that only a convolution reads."""
    by_lanes = any(layer.kind == "depthwise" and layer.inputs[0].buffer is buffer for layer in network.layers)
    return buffer.channels if buffer.index == 0 and not by_lanes else _round_up(buffer.channels, LANES)


def _rows_kept(buffer: Buffer, network: Network) -> int:
    """Rows a buffer must hold: those looked at, and for a depthwise layer one more, which the format demands."""
    rows = buffer.rows
    for layer in network.layers:
        if layer.kind == "depthwise" and layer.inputs[0].buffer is buffer:
            rows = max(rows, layer.inputs[0].rows + 1)
    return rows


def _slides(buffer: Buffer, network: Network) -> bool:
    return buffer.sliding or _rows_kept(buffer, network) > 1


class _DataSection:
    """The weights part of a blob, each piece on a multiple of 4."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.parts = bytearray()

    def add(self, piece: bytes) -> int:
        while len(self.parts) % 4:
            self.parts.append(0)
        position = self.start + len(self.parts)
        self.parts += piece
        return position


def _encode_records(layer: Layer, biases: Iterable[int], pairs: Iterable[tuple[int, int]], largest: Iterable[int]) -> bytes:
    out = bytearray()
    for bias, (multiplier, shift), bound in zip(biases, pairs, largest, strict=True):
        if bound >= ACCUMULATOR_LIMIT or abs(bias) > BIAS_OFFSET or shift < -20:
            raise ModelError(f"{layer.where}: sums up to {bound} with scale 2**{shift} need more than 32 bits on the board")
        if shift > (0 if _rounds_once(layer) else -1):
            raise ModelError(f"{layer.where}: a scale of {multiplier * 2.0 ** (shift - 31):.3g} is not supported on the board")
        # both roundings at once: (((product + 1) >> 1) + half) >> shift, the zero point added
        down = 1 - shift
        addend = (1 << -shift) + (0 if _rounds_once(layer) else 1) + ((layer.zero_out + 128) << down)
        out += struct.pack("<4i", int(bias) + BIAS_OFFSET, multiplier, addend, down)
    return bytes(out)


def _rounds_once(layer: Layer) -> bool:
    """TensorFlow Lite's int8 FULLY_CONNECTED with one scale for all its weights rounds once, everything else twice."""
    return layer.fully_connected


def _requantise_limits(layer: Layer) -> tuple[int, int]:
    """(least, reversed_below), both with 2**29 added; 0 where they never apply."""
    relu = layer.lowest == layer.zero_out
    return (BIAS_OFFSET if relu else 0), (0 if relu or _rounds_once(layer) else BIAS_OFFSET - 1)


def _encode_weights(layer: Layer, network: Network, data: _DataSection) -> tuple[int, int, int]:
    """(kind, weights offset, records offset) of a convolution, dense or depthwise layer."""
    assert layer.weights is not None
    assert layer.bias is not None
    assert layer.weight_scales is not None
    weights = layer.weights.astype(np.int64)
    view, zero = layer.inputs[0], layer.zeros_in[0] + 128
    pairs = layer_multipliers(layer.scales_in[0], layer.weight_scales, layer.scale_out, layer.fully_connected)
    axes = 0 if layer.kind == "depthwise" else (1, 2)
    bias = layer.bias.astype(np.int64)
    largest = np.abs(weights).sum(axis=axes) * 255 + np.abs(bias)
    folded = bias - zero * weights.sum(axis=axes)
    if layer.kind == "depthwise":
        folded -= 128 * 255 * view.rows  # the board's sums have it added
    records = _encode_records(layer, folded.tolist(), pairs, largest.tolist())
    if layer.kind == "depthwise":
        return DEPTHWISE, data.add(_interleave_lanes(weights, _skipped_lanes(layer, network))), data.add(records)
    matrix = np.zeros((layer.output.width, view.rows, row_bytes(view.buffer, network)), np.uint8)
    matrix[:, :, : view.width] = (weights + 128).astype(np.uint8)
    flat = matrix.reshape(layer.output.width, -1)
    if flat.shape[1] * 255 * 255 >= 1 << 30:
        raise ModelError(f"{layer.where}: {flat.shape[1]} inputs: their sum needs more than 32 bits")
    if layer.output.width <= DOT_OUTPUTS:
        return DOT, data.add(flat.tobytes()), data.add(records)
    lanes = np.zeros((flat.shape[1], _round_up(flat.shape[0], LANES)), np.uint8)
    lanes[:, : flat.shape[0]] = flat.T
    blocks = b"".join(lanes[:, at : at + DENSE_LANES].tobytes() for at in range(0, lanes.shape[1], DENSE_LANES))
    return DENSE, data.add(blocks), data.add(records)


def _skipped_lanes(layer: Layer, network: Network) -> int:
    """Lanes in front of a depthwise layer's first channel, so that its last group of 16 stays inside the row."""
    view = layer.inputs[0]
    return max(0, view.first + _round_up(view.width, LANES) - row_bytes(view.buffer, network))


def _interleave_lanes(weights: NDArray[np.int64], skip: int) -> bytes:
    """Depthwise weights [taps, channels] as [group of 16][tap][lane], biased by 128; lanes without a channel are 0."""
    taps, channels = weights.shape
    padded = np.zeros((taps, _round_up(channels, LANES)), np.uint8)
    padded[:, skip : skip + channels] = (weights + 128).astype(np.uint8)
    return padded.reshape(taps, -1, LANES).transpose(1, 0, 2).tobytes()


def _encode_layer(layer: Layer, network: Network, data: _DataSection) -> bytes:
    first, second = layer.inputs[0], layer.inputs[-1]
    skip, step = 0, RECORD_BYTES
    if layer.kind in ("conv", "depthwise"):
        if layer.kind == "conv" and not first.whole():
            raise ModelError(f"{layer.where}: takes only some channels of its input: not supported on the board")
        kind, weights, records = _encode_weights(layer, network, data)
        skip = _skipped_lanes(layer, network) if layer.kind == "depthwise" else 0
    elif layer.kind == "add":
        tables, pair = add_tables(layer.scales_in, layer.zeros_in, layer.scale_out)
        bound = int(np.abs(tables.astype(np.int64)).max(axis=1).sum())
        kind, weights, step = ADD, data.add((tables + ADD_OFFSET).astype("<i4").tobytes()), 0
        records = data.add(_encode_records(layer, [-2 * ADD_OFFSET], [pair], [bound]))
    else:
        kind, weights, step = (MAXPOOL if layer.kind == "maxpool" else AVGPOOL), 0, 0
        records = data.add(struct.pack("<4i", BIAS_OFFSET, 1 << 30, 0, 0))  # the sums are the outputs
    least, reversed_below = _requantise_limits(layer) if layer.kind not in ("maxpool", "avgpool") else (0, 0)
    return struct.pack(
        "<4B6HBBHIIII", kind, first.buffer.index, second.buffer.index, layer.output.buffer.index, first.first - skip,
        second.first, layer.output.first, first.rows, layer.output.width, skip, layer.zero_out + 128, step, 0,
        least, reversed_below, weights, records,
    )  # fmt: skip


def _encode_look(look: Look, network: Network, logit: Buffer, data: _DataSection) -> bytes:
    if network.layers[-1].output.width != 1 or look.cutoff > 255 * look.scale:
        raise ModelError("the look has no single logit, or its cutoff can never be reached")
    record = struct.pack("<2H2I", look.window, look.scale, look.lowest, look.cutoff)
    out = network.layers[-1].output.buffer.index
    return struct.pack("<4B6HBBHIIII", LOOK, logit.index, 0, out, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, data.add(record))


def encode(
    network: Network, name: str, languages: list[str], window: int, cutoff_sum: int, digest: bytes, look: Look | None = None
) -> bytes:
    """The board's file for a network.

    Args:
        name: the wake word, shown to people. languages: codes such as "en".
        window: inferences averaged. cutoff_sum: the sum of their output bytes that a hit must exceed.
        digest: SHA-256 of the .tflite file.
        look: that decides in the network's stead where setting `decision` is 1.

    Raises:
        ModelError: when something in the network does not fit the board.
    """
    texts = [name.encode(), ",".join(languages).encode()]
    if not 1 <= window <= 255 or not 0 <= cutoff_sum < window * 256 or any(len(text) > 255 for text in texts):
        raise ModelError(f"window {window}, cutoff sum {cutoff_sum}: a window of 1 to 255 and a cutoff below 1 are needed")
    logit = network.layers[-1].output.buffer
    if look:
        network = replace(network, buffers=network.buffers + look.buffers, layers=network.layers + look.layers)
    layer_count = len(network.layers) + (look is not None)
    if layer_count > 64 or len(network.buffers) > 64:
        raise ModelError(f"{layer_count} layers: the board takes 64")
    front = _round_up(HEADER_BYTES + sum(map(len, texts)), 4)
    tables_end = front + 8 * len(network.buffers) + LAYER_BYTES * layer_count
    data = _DataSection(tables_end + 256)
    layers = b"".join(_encode_layer(layer, network, data) for layer in network.layers)
    if look:
        layers += _encode_look(look, network, logit, data)
    buffers = b"".join(
        struct.pack("<HHBBH", b.channels, _rows_kept(b, network), b.zero + 128, _slides(b, network), row_bytes(b, network))
        for b in network.buffers
    )
    logits = logistic_table(
        network.logit_scale, network.logit_zero, network.logistic_out, (network.output_scale, network.output_zero)
    )
    body = struct.pack("<4BI", network.stride, window, len(network.buffers), layer_count, cutoff_sum)
    body += struct.pack("<4i", *feature_scale(network.input_scale, network.input_zero)) + digest
    body += struct.pack("<4H", len(texts[0]), len(texts[1]), network.features, 0) + b"".join(texts)
    body = body.ljust(front - 16, b"\0") + buffers + layers + logits + bytes(data.parts)
    body += bytes(_round_up(len(body), 4) - len(body))
    head = MAGIC + struct.pack("<HHII", LOOK_VERSION if look else VERSION, HEADER_BYTES, 16 + len(body), zlib.crc32(body))
    return head + body
