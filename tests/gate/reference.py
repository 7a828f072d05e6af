# SPDX-License-Identifier: MIT
"""Every stage of the gate as a formula on Python's unbounded integers: what the kernels of `lid.gate` must equal.

Nothing here is unrolled, split into halves or biased. Stages of the frontend are those of TensorFlow Lite Micro's audio
frontend ("microfrontend") and of kissfft's int16 build; layers are those of TensorFlow Lite's int8 reference kernels.
`x >> n` rounds towards minus infinity; a number in Qn stands for itself divided by 2**n.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from earlid.gate.network import Layer, Look, Network, View
from earlid.gate.quantise import add_tables, layer_multipliers, logistic_table, multiply_by_quantised

HOP = 160
CHANNELS = 40
Complex = tuple[int, int]  # real and imaginary part


def clamp(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))


# -- samples -----------------------------------------------------------------------------------------------------------


def dc_block(slots: Sequence[int], mean_q10: int, gain_q8: int) -> tuple[list[int], int]:
    """(samples before saturation, mean_q10 after them) of signed 32-bit I2S slots.

    The upper 20 bits of a slot, less their running mean, times the gain, in units of the upper 16 bits. The gain is cut
    to nine significant bits.
    """
    exponent = max(0, gain_q8.bit_length() - 9)
    gain, shift = gain_q8 >> exponent, 4 + 8 - exponent
    samples = []
    for slot in slots:
        sample = (slot >> 12) - (mean_q10 >> 10)
        mean_q10 += sample  # a first-order low pass: the mean moves by a 1024th of the distance
        samples.append(sample * gain >> shift)
    return samples, mean_q10


def saturate(sample: int) -> int:
    return clamp(sample, -32768, 32767)


# -- activity ----------------------------------------------------------------------------------------------------------


def level_q8(sums: Sequence[int], shift: int) -> int:
    """Level of the speech band: log2 of the mean square, in Q8, from the channels' sums of a window shifted so far left."""
    total = sum(value >> 16 for value in sums)
    if not total:
        return 0
    octave = total.bit_length() - 1
    fraction_q8 = (total << 8 >> octave) - 256
    log_q8 = octave * 256 + fraction_q8 + (fraction_q8 * (256 - fraction_q8) * 88 >> 16)  # log2(1 + f) = f + 0.344 f (1 - f)
    return max(0, log_q8 + 1711 - 512 * shift)


@dataclass
class Activity:
    """Whether the features, smoothed, stand above what noise makes of them; and whether a voice would show."""

    hops: int = 0
    smooth: int = 0
    peak: int = 0

    def follow(self, features: Sequence[int], level: int) -> tuple[bool, bool]:
        """(active, telling) after a column of this level."""
        self.hops += 1
        self.smooth += (sum(features) - self.smooth) >> 2
        self.peak -= self.peak >> 10
        if self.hops > 100:
            self.peak = max(self.peak, self.smooth)
        return self.smooth > 3340, level < 3427 or self.peak > 5011


# -- spectrum ----------------------------------------------------------------------------------------------------------


def windowed(samples: Sequence[int], window_q12: Sequence[int]) -> tuple[list[int], int]:
    """(480 samples times the window, how far left they can be shifted and stay in 16 bits)."""
    values = [sample * weight >> 12 for sample, weight in zip(samples, window_q12, strict=True)]
    # -32768 is overlooked: its magnitude does not fit 16 bits
    largest = max((abs(value) for value in values if value != -32768), default=0)
    return values, 15 - largest.bit_length()


def shifted(values: Sequence[int], shift: int) -> list[int]:
    """The values times 2**shift, in 16 bits: an overlooked -32768 is lost."""
    return [0 if value == -32768 and shift else value << shift for value in values]


def divided(value: Complex, by: int) -> Complex:
    """The quotient, rounded, by a factor in Q15."""
    factor = 32767 // by
    return (value[0] * factor + 16384) >> 15, (value[1] * factor + 16384) >> 15


def twiddle(numerator: int, denominator: int) -> Complex:
    """exp(-2 pi i numerator / denominator) in Q15."""
    angle = -2 * math.pi * numerator / denominator
    return math.floor(0.5 + 32767 * math.cos(angle)), math.floor(0.5 + 32767 * math.sin(angle))


def product(one: Complex, two: Complex) -> Complex:
    """The complex product in Q15, each part rounded."""
    (a, b), (c, d) = one, two
    return (a * c - b * d + 16384) >> 15, (a * d + b * c + 16384) >> 15


def dft(values: Sequence[Complex]) -> list[Complex]:
    """Discrete Fourier transform of 4**n values by radix-4 butterflies, divided by 4 at every stage."""
    count = len(values)
    if count == 1:
        return list(values)
    quarters = [dft(values[n::4]) for n in range(4)]
    out: list[Complex] = [(0, 0)] * count
    for k in range(count // 4):
        a, b, c, d = (divided(quarters[n][k], 4) for n in range(4))
        b, c, d = product(b, twiddle(k, count)), product(c, twiddle(2 * k, count)), product(d, twiddle(3 * k, count))
        even, odd = (a[0] + c[0], a[1] + c[1]), (b[0] + d[0], b[1] + d[1])
        left, right = (a[0] - c[0], a[1] - c[1]), (b[0] - d[0], b[1] - d[1])
        out[k] = even[0] + odd[0], even[1] + odd[1]
        out[k + count // 4] = left[0] + right[1], left[1] - right[0]
        out[k + count // 2] = even[0] - odd[0], even[1] - odd[1]
        out[k + 3 * count // 4] = left[0] - right[1], left[1] + right[0]
    return out


def power_spectrum(transform: Sequence[Complex]) -> list[int]:
    """Energies of bins 1..255 of 512 real values, from the transform of them taken as 256 complex ones; [0] is unused."""
    count = len(transform)
    energies = [0] * count
    for k in range(1, count // 2 + 1):
        a = divided(transform[k], 2)
        b = divided((transform[count - k][0], -transform[count - k][1]), 2)
        even = a[0] + b[0], a[1] + b[1]
        odd = product((a[0] - b[0], a[1] - b[1]), twiddle(2 * k + count, 4 * count))
        near = (even[0] + odd[0]) >> 1, (even[1] + odd[1]) >> 1
        far = (even[0] - odd[0]) >> 1, (odd[1] - even[1]) >> 1
        energies[k] = near[0] ** 2 + near[1] ** 2
        energies[count - k] = far[0] ** 2 + far[1] ** 2  # the middle bin is both: this is what stays
    return energies


# -- features ----------------------------------------------------------------------------------------------------------


def filterbank(energies: Sequence[int], widths: Sequence[int], weights_q12: Sequence[int]) -> list[int]:
    """40 overlapping triangles: in each slope the weight of one channel falls, and that of the next rises."""
    sums = [0] * (CHANNELS + 1)
    at = 0
    for channel, width in enumerate(widths):
        for energy, weight in zip(energies[at : at + width], weights_q12[at : at + width], strict=True):
            if channel:
                sums[channel - 1] += weight * energy
            sums[channel] += (4096 - weight) * energy
        at += width
    return sums[:CHANNELS]


def rounded_root(square: int) -> int:
    root = math.isqrt(square)
    return root + (square - root * root > root and root != 65535)


def reduced_noise(signal: int, estimate: int, channel: int) -> tuple[int, int]:
    """(signal less its slow estimate but at least a 20th, the new estimate in Q10)."""
    smoothing_q14 = 983 if channel % 2 else 409
    estimate += ((signal << 10) - estimate) * smoothing_q14 >> 14
    return max((signal << 10) - estimate >> 10, signal * 819 >> 14), estimate


def pcan_gain(estimate: int, curve: Sequence[int]) -> int:
    """The gain for a noise estimate: a quadratic in each octave. `curve`: two values, then 4 numbers an octave."""
    if estimate <= 2:
        return curve[estimate]
    octave = estimate.bit_length()
    value, slope, bend = curve[4 * octave - 6 : 4 * octave - 3]
    fraction_q10 = (estimate << 11 >> octave) & 1023
    return value + ((((bend * fraction_q10 >> 5) + (slope << 5)) * fraction_q10 + 16384) >> 15)


def amplified(signal: int, gain: int) -> int:
    """Signal to noise ratio: quadratic up to 2 in Q12, linear above; Q6."""
    ratio_q12 = signal * gain >> 6
    return ratio_q12 * ratio_q12 >> 20 if ratio_q12 < 2 << 12 else (ratio_q12 >> 6) - 64


def log_q6(value: int, segments: Sequence[int]) -> int:
    """Natural logarithm of eight times the value, 0 up to 1. `segments`: log2(1 + n / 128) - n / 128 in Q16."""
    value <<= 3
    if value <= 1:
        return 0
    octave = value.bit_length() - 1
    fraction_q16 = (value << 16 >> octave) - 65536
    segment, rest = divmod(fraction_q16, 512)
    curve = segments[segment] + ((segments[segment + 1] - segments[segment]) * rest >> 16)
    log2_q16 = (octave << 16) + fraction_q16 + curve
    ln_q16 = (log2_q16 * 45426 + 32768) >> 16  # ln 2 in Q16
    return (ln_q16 * 64 + 32768) >> 16


@dataclass
class Compressor:
    """Root, noise reduction, gain and logarithm of each channel's sum."""

    curve: Sequence[int]
    segments: Sequence[int]
    estimates: list[int] = field(default_factory=lambda: [0] * CHANNELS)

    def features(self, sums: Sequence[int], shift: int) -> list[int]:
        out = []
        for channel, square in enumerate(sums):
            signal, estimate = reduced_noise(rounded_root(square) >> shift, self.estimates[channel], channel)
            self.estimates[channel] = estimate
            out.append(log_q6(amplified(signal, pcan_gain(estimate, self.curve)), self.segments))
        return out


# -- network -----------------------------------------------------------------------------------------------------------


def quantised_feature(feature: int, scale: float, zero: int) -> int:
    """A uint16 feature as int8: half to even, as pymicro-wakeword does, and limited, as ESPHome does."""
    return clamp(round(feature * 0.0390625 / scale + zero), -128, 127)


def requantised(total: int, multiplier: int, shift: int, layer: Layer) -> int:
    """A 32-bit sum times multiplier * 2**(shift - 31), rounded (once by a dense layer, else twice), as int8."""
    if layer.fully_connected:
        scaled = (total * multiplier + (1 << (30 - shift))) >> (31 - shift)
    else:
        scaled = multiply_by_quantised(total, multiplier, shift)
    return clamp(scaled + layer.zero_out, layer.lowest, 127)


def layer_output(layer: Layer, rows: list[list[list[int]]]) -> list[int]:
    """One row of int8 outputs from the rows of each input, the oldest first."""
    if layer.kind == "maxpool":
        return [max(channel) for channel in zip(*rows[0], strict=True)]
    if layer.kind == "avgpool":
        return [rounded_mean(channel) for channel in zip(*rows[0], strict=True)]
    if layer.kind == "add":
        tables, (multiplier, shift) = add_tables(layer.scales_in, layer.zeros_in, layer.scale_out)
        pairs = zip(rows[0][0], rows[1][0], strict=True)
        totals = [int(tables[0][one + 128]) + int(tables[1][two + 128]) for one, two in pairs]
        return [requantised(total, multiplier, shift, layer) for total in totals]
    assert layer.weights is not None
    assert layer.bias is not None
    assert layer.weight_scales is not None
    out = []
    scales = layer_multipliers(layer.scales_in[0], layer.weight_scales, layer.scale_out, layer.fully_connected)
    for number, (bias, (multiplier, shift)) in enumerate(zip(layer.bias.tolist(), scales, strict=True)):
        total = bias
        for place, row in enumerate(rows[0]):
            if layer.kind == "depthwise":
                total += int(layer.weights[place][number]) * (row[number] - layer.zeros_in[0])
            else:
                weights = layer.weights[number][place].tolist()
                total += sum(weight * (value - layer.zeros_in[0]) for weight, value in zip(weights, row, strict=True))
        out.append(requantised(total, multiplier, shift, layer))
    return out


def rounded_mean(values: Sequence[int]) -> int:
    """The mean, half away from zero."""
    total, half = sum(values), len(values) // 2
    return (total + half) // len(values) if total > 0 else -((half - total) // len(values))


class StreamingNetwork:
    """A network that keeps every row that each buffer ever held."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.rows = [[[buffer.zero] * buffer.channels for _ in range(64)] for buffer in network.buffers]
        final = network.output_scale, network.output_zero
        self.logistic = logistic_table(network.logit_scale, network.logit_zero, network.logistic_out, final)

    def newest(self, view: View) -> list[list[int]]:
        return [row[view.first : view.last] for row in self.rows[view.buffer.index][-view.rows :]]

    def infer(self, columns: list[list[int]]) -> int:
        """The output byte after `stride` columns of int8 features."""
        self.rows[0] += columns
        for index in {layer.output.buffer.index for layer in self.network.layers}:
            self.rows[index].append([self.network.buffers[index].zero] * self.network.buffers[index].channels)
        for layer in self.network.layers:
            output = layer.output
            row = layer_output(layer, [self.newest(view) for view in layer.inputs])
            self.rows[output.buffer.index][-1][output.first : output.last] = row
        return self.logistic[self.rows[self.network.layers[-1].output.buffer.index][-1][0] + 128]


def sliding_mean(outputs: Sequence[int], window: int, cutoff_sum: int, needed: int) -> tuple[int, bool]:
    """(mean of the newest `window` outputs, whether their sum is above the cutoff): -1 while there are fewer than `needed`."""
    if len(outputs) < needed:
        return -1, False
    total = sum(outputs[-window:])
    return total // window, total > cutoff_sum


def fused_score(logits: Sequence[int], look: Look) -> int:
    """What a look says after the last of these inferences, not yet divided by its scale.

    Args:
        logits: of each inference, the network's byte and the look's, added up; 0 while cold.
    """
    return clamp(sum(logits[-look.window :]) - look.lowest, 0, 255 * look.scale)
