# SPDX-License-Identifier: MIT
"""Modelled cost of the chip's own work, which no clock here measures: counted instructions, as board time."""

from __future__ import annotations

import struct
from dataclasses import dataclass

INFERENCE = ("lid.gate.wakeword", "WakeWord", "infer")  # module, class and method, in the sources


@dataclass
class Timing:
    """Modelled cost of the chip's own work, in board time; and the processor time without a request that counts as a hang.

    Work is the most that firmware/README.md ("Time") has counted, at 1.7 cycles an instruction and 240 MHz.
    """

    hop_us: int = 3_117  # 440,000 instructions after each hop of sound: no inference, and all else
    inference_us: int = 2_656  # 375,000 more
    collection_us: int = 8_323  # every 160 hops, as the loop's `gc.threshold` has it at most
    append_us: int = 19_900  # the first write to flash after a hop: seals, files, reading back
    boot_us: int = 300_000
    soft_boot_us: int = 50_000
    flash_read_us: int = 60
    hang_cpu_s: float = 1.5
    garbage_times: int = 2  # `gc.threshold` of the chip is so much more here, where objects are twice as large
    inference: tuple[str, str, str] = INFERENCE  # where the firmware has it

    def pack(self) -> bytes:
        """What the chip's side must know, as `protocol` has it."""
        numbers = struct.pack("<4I", self.hop_us, self.inference_us, self.collection_us, self.garbage_times)
        return numbers + " ".join(self.inference).encode()
