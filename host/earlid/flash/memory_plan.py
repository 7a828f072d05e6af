# SPDX-License-Identifier: MIT
"""Memory plan of the board: what the deployed firmware and a word take of a stock image's memory, in the order of a start.

An ESP32's memory fails in three places separately: MicroPython's heap, whose areas are added when it is full; the system's
pieces, which those areas, the I2S driver's buffers and machine code are all taken from; and executable memory. `predict`
takes from all three what a start takes. Code and word are measured in the files themselves, what they make while they start
is a constant below; those, and the pieces, were measured on a stock 1.26.1 (`firmware.MICROPYTHON`) on emulated cores, never
on a board. `python -m earlid.flash.memory_plan` writes the tables of firmware/README.md.
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from earlid import firmware
from earlid.errors import FAILED, UserError
from earlid.flash import firmware_build, mpy
from earlid.flash.mpy import blocks
from earlid.gate import blob_format

RESERVE_BYTES = 4096  # the least of the largest block; running, the firmware asks for 512 bytes at most

_DMA, _EXECUTABLE, _HEAP = "dma", "executable", "heap"
_DATA = frozenset((_DMA, _HEAP))
_BOTH = frozenset((_DMA, _HEAP, _EXECUTABLE))
_CODE = frozenset((_EXECUTABLE,))
# The system's pieces behind the first heap area, in the order in which an allocation tries them.
_PIECES = ((4552, _DATA), (11848, _DATA), (14656, _BOTH), (112968, _BOTH), (13472, _CODE))
_FIRST_AREA = 57344
_AREA_RECORD = 36  # at the start of an added area
_GROWTH_BYTES = 2048  # more than the request must be there for a new area
_DMA_BUFFER = 2048
_DRIVER_BYTES = 888  # the I2S driver, beside its buffers
_NATIVE_HEADER = 8  # in front of a function's machine code

# Kept in the heap, measured:
_MICROPYTHON_BYTES = 2992  # at the prompt
_CODE_BYTES = 2000  # beside what the files show: names of the loaders, what they leave
_BOARD_BYTES = 1460  # pins, settings, journal
_GATE_BYTES = 9330  # frontend with its tables
_LAYER_BYTES = 96  # parameters
_BUFFER_BYTES = 64  # parameters and how it begins, counted: 160 were measured when each was an object
_READING_BYTES = 6832  # code that a start gives back once it has read the word (lid.start), by the compiled files
_START_BYTES = 1008  # and before its loop begins
_LOOP_BYTES = 8550  # App: policy, recorder, link with its queue, status; and the first hops
_HOLES_BYTES = 6400  # of the first two areas: code does not fill it
_ALL_HOLES_BYTES = 8192  # of the first two areas: what comes after code does not fill it, if code left so much
_STREWN_BYTES = 1500  # of the last area: holes among what lives there


@dataclass(frozen=True)
class WordSizes:
    """Bytes that a word's blob takes on the board.

    Attributes:
        pieces: of the file, each its own allocation (`lid.gate.weights`).
        arena: activations and sums.
        layers: how many, a look's among them; `buffers` alike.
    """

    pieces: tuple[int, ...]
    arena: int
    layers: int
    buffers: int


@dataclass(frozen=True)
class Step:
    """One step of the start: what it takes of heap, executable and DMA memory, and what is left of the heap after it.

    Attributes:
        source: where it is taken from.
        free: bytes, as `gc.mem_free()` counts them: in all areas, and the largest piece that an area could still be made of.
        largest: bytes of the largest allocation that still succeeds.
        missing: bytes that found no place so far.
    """

    name: str
    source: str
    heap: int
    executable: int
    dma: int
    free: int
    largest: int
    missing: int


def word_sizes(blob: bytes) -> WordSizes:
    """The sizes in a blob's tables.

    Raises:
        ValueError: when they contradict each other; the board checks the rest.
    """
    try:
        buffers, layers = blob[18:20]
        texts = sum(struct.unpack_from("<HH", blob, 72))
        buffers_at = blob_format.HEADER_BYTES + (texts + 3 & -4)
        layers_at = buffers_at + 8 * buffers
        tables_end = layers_at + blob_format.LAYER_BYTES * layers
        rows = [struct.unpack_from("<HHBBH", blob, buffers_at + 8 * number) for number in range(buffers)]
        entries = [
            struct.unpack_from("<4B6HBBHIIII", blob, layers_at + blob_format.LAYER_BYTES * number) for number in range(layers)
        ]
    except (struct.error, ValueError) as error:
        raise ValueError("the word's file is cut short") from error
    starts = [tables_end + 256, *(weights or records for *_, weights, records in entries[1:]), len(blob)]
    pieces = (80, tables_end - 80, 256, *(end - start for start, end in pairwise(starts)))
    if not layers or min(pieces) < 0:
        raise ValueError("the word's file is damaged")
    arena, widest = max(blob_format.HEADS_BYTES, 4 * buffers), blob_format.LANES
    for _, count, _, slides, row in rows:
        arena += row * (count + blob_format.EXTRA_ROWS if slides else 1)
    for entry in entries:
        widest = max(widest, -(-entry[8] // blob_format.LANES) * blob_format.LANES)
    count = sum(entry[0] != blob_format.LOOK for entry in entries)
    return WordSizes(pieces, arena + 4 * widest + blob_format.LANES, count, buffers)


@dataclass
class _Piece:
    free: int
    kinds: frozenset[str]


class _Chip:
    """Memory of a chip while it starts. What finds no place is counted as missing, and the start goes on."""

    def __init__(self) -> None:
        self.pieces = [_Piece(size, kinds) for size, kinds in _PIECES]
        self.areas = [_pool(_FIRST_AREA)]  # free bytes of each
        self.total = self.areas[0]
        self.scattered = 0
        self.missing = 0
        self.steps: list[Step] = []

    def step(self, name: str, source: str, heap: Iterable[int] = (), native: Iterable[int] = (), dma: Iterable[int] = ()) -> None:
        heap, native, dma = list(heap), list(native), list(dma)
        for size in dma:
            self._take_piece(_DMA, size)
        for size in native:
            self._take_piece(_EXECUTABLE, size + _NATIVE_HEADER)
        for size in heap:
            self._take_heap(blocks(size))
        piece = _rounded_down(self._largest_piece().free)
        sums = (sum(map(blocks, heap)), sum(native), sum(dma))
        free = sum(self.areas) + self.scattered + piece
        self.steps.append(Step(name, source, *sums, free, max(*self.areas, piece - _GROWTH_BYTES), self.missing))

    def scatter(self, total: int) -> None:
        for number, free in reversed(list(enumerate(self.areas[:2]))):
            part = min(free, total - self.scattered)
            self.areas[number] -= part
            self.scattered += part

    def give_back(self, count: int) -> None:
        # Code lies in the first two areas, mostly in the second: what goes leaves holes that small allocations find.
        self.areas[len(self.areas[:2]) - 1] += count

    def strew(self, count: int) -> None:
        number = self.areas.index(max(self.areas))
        self.areas[number] -= count
        self.scattered += count

    def _take_piece(self, kind: str, size: int) -> None:
        # Executable memory that can be nothing else comes first.
        order = sorted(self.pieces, key=lambda piece: len(piece.kinds)) if kind == _EXECUTABLE else self.pieces
        whole = -(-size // _granule(size)) * _granule(size) + 4
        for piece in order:
            if kind in piece.kinds and whole <= piece.free:
                piece.free -= whole
                return
        self.missing += size

    def _take_heap(self, size: int) -> None:
        for _ in range(2):
            for number, free in enumerate(self.areas):
                if size <= free:
                    self.areas[number] -= size
                    return
            if not self._grow(size):
                break
        self.missing += size

    def _grow(self, size: int) -> bool:
        # As large again as the heap is, if the largest piece has it; else all of that piece.
        needed = size + max(_GROWTH_BYTES, size * 13 // 512)
        piece = self._largest_piece()
        largest = _rounded_down(piece.free)
        if largest < needed:
            return False
        double = blocks(self.total * 131 // 128 + 1 + _AREA_RECORD)
        area = min(largest, max(double, needed))
        piece.free -= -(-area // _granule(area)) * _granule(area) + 4
        self.areas.append(_pool(area - _AREA_RECORD))
        self.total += self.areas[-1]
        if len(self.areas) == 2:
            self.scatter(_HOLES_BYTES)
        return True

    def _largest_piece(self) -> _Piece:
        return max((piece for piece in self.pieces if _HEAP in piece.kinds), key=lambda piece: piece.free)


def _granule(size: int) -> int:
    # The system rounds up to sixteen sizes between two powers of two.
    return 4 if size < 256 else 1 << size.bit_length() - 5


def _rounded_down(size: int) -> int:
    return size // _granule(size) * _granule(size)


def _pool(area: int) -> int:
    # Three bits a block go off: its kind and its finaliser.
    return (area - 1) * 8 // 524 * 64


def predict(build: firmware_build.FirmwareBuild, blob: bytes | None) -> tuple[Step, ...]:
    """What is left after each step of a start.

    Args:
        build: the deployed firmware, compiled for `firmware_build.ESP32_ARCH`.
        blob: the word's, or None.

    Raises:
        ValueError: when the blob's tables are damaged.
    """
    word = None if blob is None else word_sizes(blob)
    ring = int(re.findall(rb"ibuf=(\d+)", build.loaders["boot.py"])[0])
    sizes = {path: mpy.measure(data) for path, data in build.files.items() if path != firmware_build.MIGRATION + ".mpy"}
    code = sizes.pop(firmware_build.ENTRY + ".mpy")
    chip = _Chip()
    first, later = "first heap area, then the second", "what is left of both, then a third area"
    chip.step("MicroPython at its prompt", "first heap area", heap=[_MICROPYTHON_BYTES])
    buffers = [_DMA_BUFFER] * max(2, ring // _DMA_BUFFER)
    chip.step("`boot.py`: the microphone's ring", "the three small pieces", dma=[_DRIVER_BYTES, *buffers])
    pieces = () if word is None else word.pieces
    loader = _small(sum(size.heap for size in sizes.values()))
    chip.step("`main.py`: weights, a piece a layer", first, heap=[*loader, *(mpy.BLOCK_BYTES + size for size in pieces)])
    chip.step("code", "the same; machine code from executable pieces", _small(code.heap + _CODE_BYTES), code.native)
    chip.scatter(_ALL_HOLES_BYTES)
    chip.step("pins, settings, journal", later, heap=_small(_BOARD_BYTES))
    if word:
        small = _GATE_BYTES + word.layers * _LAYER_BYTES + word.buffers * _BUFFER_BYTES
        chip.step("the word: arena, tables, frontend", later, heap=[mpy.BLOCK_BYTES + word.arena, *_small(small)])
    chip.give_back(_READING_BYTES)
    chip.strew(_STREWN_BYTES)
    chip.scattered += _START_BYTES
    chip.step("the loop, and the first hops", later, heap=_small(_LOOP_BYTES))
    return tuple(chip.steps)


def _small(size: int) -> list[int]:
    # As allocations of 64 bytes: they find a place anywhere.
    return [64] * (size // 64)


def deployed() -> firmware_build.FirmwareBuild:
    """The firmware as `flash` writes it on an ESP32."""
    return _build(firmware.root())


@cache
def _build(root: Path) -> firmware_build.FirmwareBuild:
    return firmware_build.build(root, firmware_build.ESP32_ARCH)


def missing_bytes(blob: bytes) -> int:
    """Bytes that a word lacks beside the firmware; 0 when it fits.

    Raises:
        ValueError: when the blob's tables are damaged.
    """
    last = predict(deployed(), blob)[-1]
    return last.missing + max(0, RESERVE_BYTES - last.largest)


def check_word(blob: bytes, name: str) -> None:
    """Refuse a word that finds no place beside the firmware.

    Args:
        blob: the compiled word.
        name: what the user called it.

    Raises:
        UserError: code 1, saying how many bytes are missing.
    """
    try:
        missing = missing_bytes(blob)
    except ValueError as error:
        raise UserError(f"{name}: {error}: make it anew with `earlid model import`.", FAILED) from error
    if missing:
        needed = len(blob) + word_sizes(blob).arena
        raise UserError(
            f"{name} does not fit an ESP32's memory beside the firmware: {missing:,} bytes are missing. Nothing was written. "
            f"It takes {needed:,} (file {len(blob):,}, activations {needed - len(blob):,}); what takes up to about "
            f"{(needed - missing) // 1000} KB fits: `earlid model list` shows some, okay_nabu is the largest.", FAILED,
        )  # fmt: skip


PAGE = "README.md"
TABLE = re.compile(r"(<!-- memory: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
SHOWN_WORDS = ("alexa", "okay_nabu")
KEPT_BYTES = {"alexa": 24 * 1024, "okay_nabu": 10 * 1024}  # of the largest block: what a change of the firmware must leave


def render(page: str) -> str:
    """The firmware's README with its tables of memory written anew."""
    tables = {"start": _start_table, "words": _words_table}
    return TABLE.sub(lambda match: match[1] + "\n" + tables[match[2]]() + "\n" + match[3], page)


def _start_table() -> str:
    from earlid.gate import models  # numpy, which flashing does without

    starts = [predict(deployed(), models.load(name).blob) for name in SHOWN_WORDS]
    figures = [f"{name}: {what}" for name in SHOWN_WORDS for what in ("heap", "left (largest)")]
    rows = [["step", "from", "DMA", "machine code", *figures]]
    for steps in zip(*starts, strict=True):
        cells = [cell for step in steps for cell in (f"{step.heap:,}", f"{step.free:,} ({step.largest:,})")]
        rows.append([steps[0].name, steps[0].source, f"{steps[0].dma:,}", f"{steps[0].executable:,}", *cells])
    return _table(rows)


def _words_table() -> str:
    from earlid.gate import models

    rows = [["word", "blob", "arena", "left", "largest", "to spare"]]
    for name in models.builtin_names():
        blob = models.load(name).blob
        end = predict(deployed(), blob)[-1]
        spare = f"{end.largest - KEPT_BYTES[name]:,} above {KEPT_BYTES[name]:,}" if name in KEPT_BYTES else ""
        rows.append([name, *(f"{size:,}" for size in (len(blob), word_sizes(blob).arena, end.free, end.largest)), spare])
    return _table(rows)


def _table(rows: list[list[str]]) -> str:
    rows.insert(1, ["---"] * len(rows[0]))
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def main() -> int:
    """Write the tables; 0."""
    path = firmware.root() / PAGE
    path.write_text(render(path.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
