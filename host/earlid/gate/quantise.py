# SPDX-License-Identifier: MIT
"""The integer arithmetic of TensorFlow Lite's reference kernels, prepared for the board.

Sources: TensorFlow Lite's `QuantizeMultiplier`, `PopulateConvolutionQuantizationParams`, the int8 ADD of its reference
kernels, and its int8 LOGISTIC, which looks the output up in a table of 256 values computed in float32.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from earlid.gate.tflite import ModelError

FEATURE_SCALE = 0.0390625  # microWakeWord: a uint16 feature in units of the training data, 10 / 256
ADD_SHIFT = 20  # bits the int8 ADD gives its inputs before it scales them
PIECE_BITS = 15


def quantise_multiplier(real: float) -> tuple[int, int]:
    """(multiplier, shift) with real = multiplier * 2 ** (shift - 31) and the multiplier in 2**30 .. 2**31 - 1."""
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    scale_q30 = math.floor(fraction * (1 << 31) + 0.5)
    if scale_q30 == 1 << 31:
        scale_q30, shift = scale_q30 >> 1, shift + 1
    return (0, 0) if shift < -31 else (scale_q30, shift)


def multiply_by_quantised(value: int, multiplier: int, shift: int) -> int:
    """TensorFlow Lite's MultiplyByQuantizedMultiplier with its two roundings, in Python's integers."""
    high = ((value << max(shift, 0)) * multiplier + (1 << 30)) >> 31
    down = max(-shift, 0)
    return (high + (1 << (down - 1)) + (-1 if high < 0 else 0)) >> down if down else high


def layer_multipliers(
    scale_in: float, weight_scales: NDArray[np.float32], scale_out: float, dense: bool
) -> list[tuple[int, int]]:
    """One (multiplier, shift) a channel. The dense layer's reference kernel multiplies its scales in float32."""
    pairs = []
    for scale in weight_scales:
        if dense:
            product = float(np.float32(scale_in) * np.float32(scale))
        else:
            product = float(scale_in) * float(scale)
        pairs.append(quantise_multiplier(product / float(scale_out)))
    return pairs


def activation_minimum(activation: int, zero: int, where: str) -> int:
    """Lowest int8 output of a fused activation (schema: 0 none, 1 RELU)."""
    if activation == 0:
        return -128
    if activation == 1:
        return zero
    raise ModelError(f"{where}: activation {activation} is not supported: none and RELU are")


def round_half_away(value: float) -> int:
    """Round half away from zero, as C's round()."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def logistic_table(scale: float, zero: int, middle: tuple[float, int], final: tuple[float, int]) -> bytes:
    """The output byte for each int8 logit, -128 first: int8 LOGISTIC, then QUANTIZE to uint8.

    Args:
        scale, zero: quantisation of the logit.
        middle: (scale, zero point) of LOGISTIC's int8 output; final: of QUANTIZE's uint8 output.
    """
    table = bytearray()
    if final[0] != middle[0] or final[1] != middle[1] + 128:
        raise ModelError(f"the output's scale {final[0]} is not that of LOGISTIC ({middle[0]}): not supported")
    for logit in range(-128, 128):
        value = np.float32(np.float32(scale) * np.float32(logit - zero))
        with np.errstate(
            over="ignore"
        ):  # exp of a large number is infinite in float32, as there; of one above 709, an error here
            probability = np.float32(1) / (np.float32(1) + np.float32(math.exp(min(-float(value), 700.0))))
        scaled = float(np.float32(probability * (np.float32(1) / np.float32(middle[0]))))
        table.append(min(max(round_half_away(scaled) + middle[1], -128), 127) + 128)
    return bytes(table)


def quantised_features(scale: float, zero: int) -> NDArray[np.uint8]:
    """The int8 of each uint16 feature, plus 128: scaled and rounded half to even as pymicro-wakeword does, limited to int8 as
    ESPHome and TensorFlow Lite's QUANTIZE do, where pymicro-wakeword goes on from -128."""
    features = np.arange(65536, dtype=np.float64) * FEATURE_SCALE
    rounded = np.round(features / scale + zero).astype(np.int64)
    return np.clip(rounded + 128, 0, 255).astype(np.uint8)


def feature_scale(scale: float, zero: int) -> tuple[int, int, int, int]:
    """(scale_high, scale_low, offset_high, offset_low) such that each uint16 feature f becomes the byte
    min(255, (f * scale_high + offset_high + ((f * scale_low + offset_low) >> 15)) >> 15), exactly, with no step outside 31 bits.
    """
    features = np.arange(65536, dtype=np.int64)
    expected = np.round(features * FEATURE_SCALE / scale + zero).astype(np.int64) + 128
    scale_q30 = round(FEATURE_SCALE / scale * (1 << (2 * PIECE_BITS)))
    # the whole is (f * scale_q30 + offset_q30) >> 30: the constants that are right for every f form an interval
    lowest = int(((expected << (2 * PIECE_BITS)) - features * scale_q30).max())
    highest = int((((expected + 1) << (2 * PIECE_BITS)) - features * scale_q30).min()) - 1
    offset_q30 = (lowest + highest) // 2
    scale_high, scale_low = scale_q30 >> PIECE_BITS, scale_q30 & ((1 << PIECE_BITS) - 1)
    offset_high, offset_low = offset_q30 >> PIECE_BITS, offset_q30 & ((1 << PIECE_BITS) - 1)
    total = features * scale_high + offset_high + ((features * scale_low + offset_low) >> PIECE_BITS)
    exact = np.array_equal(np.minimum(total >> PIECE_BITS, 255), quantised_features(scale, zero))
    if lowest > highest or offset_high < 0 or total.max() >= 1 << 31 or not exact:
        raise ModelError(f"input scale {scale}, zero point {zero}: features cannot be converted exactly in 32 bits")
    return scale_high, scale_low, offset_high, offset_low


def add_tables(scales: list[float], zeros: list[int], scale_out: float) -> tuple[NDArray[np.int32], tuple[int, int]]:
    """Tables int32 [2, 256] of both inputs' scaled values, and the (multiplier, shift) for their sum (int8 ADD)."""
    largest = 2.0 * max(scales)
    tables = np.zeros((2, 256), np.int32)
    for number, (scale, zero) in enumerate(zip(scales, zeros, strict=True)):
        multiplier, shift = quantise_multiplier(scale / largest)
        for value in range(256):
            tables[number, value] = multiply_by_quantised((value - 128 - zero) << ADD_SHIFT, multiplier, shift)
    return tables, quantise_multiplier(largest / ((1 << ADD_SHIFT) * scale_out))
