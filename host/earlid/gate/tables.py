# SPDX-License-Identifier: MIT
"""Writes `lid/gate/tables.py`: the constant tables of the audio frontend.

The formulas are those of the TensorFlow Lite Micro audio frontend ("microfrontend") in the configuration that
microWakeWord uses: 16 kHz, window 30 ms, step 10 ms, 40 channels from 125 to 7500 Hz, PCAN strength 0.95, offset 80.
That code computes in single precision, so single precision is what is used here; the board, whose floats differ
from one port to the next, only ever reads the result.

Run `python -m earlid.gate.tables` to rewrite the file; a test holds the file against this module.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from earlid import firmware

WINDOW_SAMPLES = 480
FFT_SIZE = 512
SAMPLE_RATE_HZ = 16000
CHANNELS = 40
LOWER_HZ, UPPER_HZ = 125.0, 7500.0
FIRST_BIN = 5
PCAN_STRENGTH, PCAN_OFFSET, PCAN_GAIN_BITS = 0.95, 80.0, 21
PCAN_INPUT_BITS = 7  # ten bits of smoothing less three of the transform's correction
GAIN_BIAS = 8192  # viper reads 16 bits unsigned, the gain table has negative slopes


def window_coefficients() -> list[int]:
    """480 coefficients of the Hann window in Q12: 0..4096."""
    f = np.float32
    step = f(f(math.pi) * f(2)) / f(WINDOW_SAMPLES)
    phase = step * (np.arange(WINDOW_SAMPLES, dtype=f) + f(0.5))
    value = f(0.5) - f(0.5) * np.cos(phase).astype(f)
    return [int(c) for c in np.floor(value * f(4096) + f(0.5))]


def quarter_wave() -> list[int]:
    """129 values of 32767 * cos(2 * pi * n / 512), rounded, for n = 0..128."""
    return [math.floor(0.5 + 32767 * math.cos(2 * math.pi * n / FFT_SIZE)) for n in range(129)]


def _mel(hz: np.float32) -> np.float32:
    f = np.float32
    return f(f(1127) * np.log1p(f(hz) / f(700)))


def filterbank() -> tuple[list[int], list[int]]:
    """(widths, weights): bins of each of the 41 slopes, and the Q12 weight of each of the 236 bins from bin 5 on.

    The weight is that of the channel whose triangle falls over this slope; the next channel's, which rises, is 4096 less it.
    """
    f = np.float32
    low, high = _mel(f(LOWER_HZ)), _mel(f(UPPER_HZ))
    spacing = f(f(high - low) / f(CHANNELS + 1))
    centres = [f(low + f(spacing * f(i + 1))) for i in range(CHANNELS + 1)]
    hz_per_bin = f(SAMPLE_RATE_HZ / FFT_SIZE)
    widths, weights, index = [], [], FIRST_BIN
    for slope, centre in enumerate(centres):
        before = centres[slope - 1] if slope else low
        width = 0
        while _mel(f(index) * hz_per_bin) <= centre:
            weight = f(f(centre - _mel(f(index) * hz_per_bin)) / f(centre - before))
            weights.append(math.floor(f(weight * f(4096)) + f(0.5)))
            index += 1
            width += 1
        widths.append(width)
    return widths, weights


def log_segments() -> list[int]:
    """130 values: what log2(1 + n / 128) exceeds n / 128 by, in Q16, rounded; the last is a guard."""
    return [round((math.log2(1 + n / 128) - n / 128) * 65536) for n in range(129)] + [0]


def pcan_gain() -> list[int]:
    """125 values of the piecewise quadratic gain curve, each plus GAIN_BIAS: two points, then 4 per octave less one."""
    f = np.float32

    def gain(x: int) -> int:
        base = f(f(x) / f(1 << PCAN_INPUT_BITS)) + f(PCAN_OFFSET)
        value = f(1 << PCAN_GAIN_BITS) * f(np.power(f(base), f(-PCAN_STRENGTH)))
        return 32767 if value > 32767 else int(value + f(0.5))

    table = [gain(0), gain(1)] + [0] * 123
    for octave in range(2, 33):
        x0 = 1 << (octave - 1)
        x2 = 2 * x0 if octave < 32 else 2 * x0 - 1
        y0, y1, y2 = gain(x0), gain(x0 + x0 // 2), gain(x2)
        slope = 4 * (y1 - y0) - (y2 - y0)
        table[4 * octave - 6 : 4 * octave - 3] = [y0, slope, (y2 - y0) - slope]
    return [value + GAIN_BIAS for value in table]


def _literal(name: str, comment: str, values: list[int], width: int) -> str:
    data = b"".join(value.to_bytes(width, "little") for value in values)
    lines, line = [], ""
    for byte in data:
        piece = chr(byte) if 32 < byte < 127 and chr(byte) not in "\"'\\" else f"\\x{byte:02x}"
        if len(line) + len(piece) > 108:
            lines.append(line)
            line = ""
        line += piece
    lines.append(line)
    body = "\n".join(f'    b"{part}"' for part in lines)
    return f"# {comment}\n{name} = (\n{body}\n)\n"


def render() -> str:
    """The text of lid/gate/tables.py."""
    widths, weights = filterbank()
    return "\n".join(
        [
            "# SPDX-License-Identifier: MIT",
            "# Written by earlid.gate.tables, which explains each table: do not edit. 16-bit tables are little-endian.",
            _literal("WINDOW", "480 x 16 bit: Hann window in Q12", window_coefficients(), 2),
            _literal("QUARTER", "129 x 16 bit: a quarter of a cosine, 128 steps of 1/512 turn", quarter_wave(), 2),
            _literal("WIDTHS", "41 bytes: frequency bins in each slope of the filterbank", widths, 1),
            _literal("WEIGHTS", "236 x 16 bit: weight of each bin from bin 5 on, Q12", weights, 2),
            _literal("LOGS", "130 x 16 bit: log2(1 + x) - x in Q16", log_segments(), 2),
            _literal("GAIN", "125 x 16 bit: PCAN gain curve, each value plus 8192", pcan_gain(), 2),
        ]
    )


def main() -> int:
    """Write the file next to the gate's other modules."""
    path = firmware.root() / "lid" / "gate" / "tables.py"
    path.write_text(render(), encoding="ascii")
    sys.stderr.write(f"wrote {path}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
