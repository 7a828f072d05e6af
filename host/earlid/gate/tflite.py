# SPDX-License-Identifier: MIT
"""Reads a TensorFlow Lite file: a bounds-checked FlatBuffer reader and the part of the schema that networks here use.

Field numbers are those of TensorFlow Lite's public `schema.fbs` (version 3). Every read is checked against the file's
length, so that a truncated or altered file ends in a `ModelError` that names the offset and the bytes missing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np

MAX_FILE_BYTES = 1 << 20  # microWakeWord networks are 30 to 120 KB
MAX_ITEMS = 4096  # entries in any list of tensors, operators or buffers

OPERATORS = {
    0: "ADD", 1: "AVERAGE_POOL_2D", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D", 6: "DEQUANTIZE",
    9: "FULLY_CONNECTED", 14: "LOGISTIC", 17: "MAX_POOL_2D", 18: "MUL", 19: "RELU", 22: "RESHAPE", 25: "SOFTMAX",
    32: "CUSTOM", 34: "PAD", 39: "TRANSPOSE", 40: "MEAN", 41: "SUB", 45: "STRIDED_SLICE", 49: "SPLIT", 65: "SLICE",
    82: "REDUCE_MAX", 102: "SPLIT_V", 114: "QUANTIZE", 129: "CALL_ONCE", 142: "VAR_HANDLE", 143: "READ_VARIABLE",
    144: "ASSIGN_VARIABLE",
}  # fmt: skip
TENSOR_TYPES = {0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 7: "int16", 9: "int8", 13: "resource"}
_NUMPY_TYPES = {"int8": "<i1", "uint8": "<u1", "int32": "<i4", "int64": "<i8", "float32": "<f4"}


class ModelError(ValueError):
    """A model file that cannot be used; the text names the operator, the offset or the bytes missing."""


class FlatTable:
    """One FlatBuffer table at a byte position of the file."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data = data
        self.position = position
        self._vtable = position - self._unpack("<i", position)
        self._vtable_bytes = self._unpack("<H", self._vtable)
        if self._vtable_bytes < 4:
            raise ModelError(f"offset {self._vtable}: not a FlatBuffer table: the file is damaged")

    def _unpack(self, code: str, position: int) -> int:
        size = struct.calcsize(code)
        if position < 0:
            raise ModelError(f"offset {position} lies before the start of the file: the file is damaged")
        if position + size > len(self.data):
            missing = position + size - len(self.data)
            raise ModelError(f"the file ends at byte {len(self.data)}, offset {position} is needed: {missing} bytes missing")
        return int(struct.unpack_from(code, self.data, position)[0])

    def _field(self, number: int) -> int | None:
        slot = 4 + 2 * number
        if slot + 2 > self._vtable_bytes:
            return None
        offset = self._unpack("<H", self._vtable + slot)
        return self.position + offset if offset else None

    def scalar(self, number: int, code: str, default: int = 0) -> int:
        """A number stored in place; `code` is a struct code such as '<i'."""
        position = self._field(number)
        return default if position is None else self._unpack(code, position)

    def table(self, number: int) -> FlatTable | None:
        position = self._field(number)
        return None if position is None else FlatTable(self.data, position + self._unpack("<I", position))

    def vector(self, number: int, item_bytes: int) -> tuple[int, int]:
        """(position, count) of a vector whose items are all inside the file; (0, 0) when there is none."""
        position = self._field(number)
        if position is None:
            return 0, 0
        start = position + self._unpack("<I", position)
        count = self._unpack("<I", start)
        missing = start + 4 + count * item_bytes - len(self.data)
        if missing > 0:
            raise ModelError(
                f"offset {start}: a list of {count} items of {item_bytes} bytes runs past the end: {missing} bytes missing"
            )
        return start + 4, count

    def array(self, number: int, dtype: str) -> np.ndarray:
        """A copy of a vector of numbers."""
        kind = np.dtype(dtype)
        start, count = self.vector(number, kind.itemsize)
        return np.frombuffer(self.data, kind, count, start).copy()

    def text(self, number: int) -> str:
        start, count = self.vector(number, 1)
        return self.data[start : start + count].decode("utf-8", "replace")

    def tables(self, number: int) -> list[FlatTable]:
        start, count = self.vector(number, 4)
        if count > MAX_ITEMS:
            raise ModelError(f"offset {start}: a list of {count} tables: more than {MAX_ITEMS}, the file is damaged")
        return [FlatTable(self.data, at + self._unpack("<I", at)) for at in range(start, start + 4 * count, 4)]


@dataclass
class Tensor:
    """One tensor; `data` is None unless the file holds its value."""

    index: int
    name: str
    shape: tuple[int, ...]
    kind: str
    scales: np.ndarray  # float32, one or one per channel
    zero_points: np.ndarray  # int64
    data: np.ndarray | None

    def scale(self) -> float:
        """The one scale of an activation, as the float32 that the file holds."""
        if len(self.scales) != 1 or len(self.zero_points) != 1:
            raise ModelError(f"tensor {self.index} ({self.name}): one scale expected, the file has {len(self.scales)}")
        value = float(self.scales[0])
        if not (np.isfinite(value) and value > 0):
            raise ModelError(f"tensor {self.index} ({self.name}): scale {value} is not a positive number")
        return value

    def zero_point(self) -> int:
        self.scale()
        value = int(self.zero_points[0])
        if not (0 <= value <= 255 if self.kind == "uint8" else -128 <= value <= 127):
            raise ModelError(f"tensor {self.index} ({self.name}): zero point {value} is outside {self.kind}")
        return value

    def value(self) -> np.ndarray:
        if self.data is None:
            raise ModelError(f"tensor {self.index} ({self.name}): a constant is needed, the file has no data for it")
        return self.data


@dataclass
class Operator:
    """One operator of a subgraph, with the position of its table for error messages."""

    index: int
    name: str
    inputs: list[int]
    outputs: list[int]
    options: FlatTable | None
    offset: int

    def option(self, number: int, code: str = "<b", default: int = 0) -> int:
        return self.options.scalar(number, code, default) if self.options else default

    def where(self) -> str:
        return f"operator {self.index} {self.name} (offset {self.offset})"


@dataclass
class Subgraph:
    tensors: list[Tensor]
    inputs: list[int]
    outputs: list[int]
    operators: list[Operator] = field(default_factory=list)


def read(data: bytes) -> list[Subgraph]:
    """The subgraphs of a TensorFlow Lite file, the main one first. Raises ModelError on anything else."""
    if len(data) > MAX_FILE_BYTES:
        raise ModelError(f"{len(data)} bytes: more than the {MAX_FILE_BYTES} a wake word network can have")
    if len(data) < 8:
        raise ModelError(f"not a TensorFlow Lite file: {8 - len(data)} bytes missing of its first 8")
    if data[4:8] != b"TFL3":
        raise ModelError(f"not a TensorFlow Lite file: bytes 4 to 7 are {data[4:8]!r}, not b'TFL3'")
    model = FlatTable(data, struct.unpack_from("<I", data)[0])
    version = model.scalar(0, "<I")
    if version != 3:
        raise ModelError(f"TensorFlow Lite schema version {version}: only version 3 is understood")
    names = [_operator_name(code) for code in model.tables(1)]
    buffers = model.tables(4)
    graphs = [_subgraph(graph, names, buffers) for graph in model.tables(2)]
    if not graphs:
        raise ModelError("the file has no subgraph: there is no network in it")
    return graphs


def _operator_name(code: FlatTable) -> str:
    number = max(code.scalar(0, "<b"), code.scalar(3, "<i"))
    name = OPERATORS.get(number, f"number {number}")
    return f"CUSTOM {code.text(1)}" if name == "CUSTOM" else name


def _subgraph(table: FlatTable, names: list[str], buffers: list[FlatTable]) -> Subgraph:
    tensors = [_tensor(item, index, buffers) for index, item in enumerate(table.tables(0))]
    inputs, outputs = table.array(1, "<i4").tolist(), table.array(2, "<i4").tolist()
    graph = Subgraph(tensors, inputs, outputs)
    _check_indices(inputs + outputs, len(tensors), "the graph", optional=False)
    for index, item in enumerate(table.tables(3)):
        code = item.scalar(0, "<I")
        if code >= len(names):
            raise ModelError(f"operator {index} (offset {item.position}): operator code {code} of {len(names)}")
        operator = Operator(
            index,
            names[code],
            item.array(1, "<i4").tolist(),
            item.array(2, "<i4").tolist(),
            item.table(4),
            item.position,
        )
        _check_indices(operator.inputs, len(tensors), operator.where(), optional=True)
        _check_indices(operator.outputs, len(tensors), operator.where(), optional=False)
        graph.operators.append(operator)
    return graph


def _check_indices(indices: list[int], count: int, where: str, optional: bool) -> None:
    for index in indices:
        if not (0 <= index < count or (optional and index == -1)):
            raise ModelError(f"{where}: names tensor {index}, the file has {count}")


def _tensor(table: FlatTable, index: int, buffers: list[FlatTable]) -> Tensor:
    shape = tuple(table.array(0, "<i4").tolist())
    kind = TENSOR_TYPES.get(table.scalar(1, "<b"), f"type {table.scalar(1, '<b')}")
    quantisation = table.table(4)
    scales = quantisation.array(2, "<f4") if quantisation else np.zeros(0, "<f4")
    zero_points = quantisation.array(3, "<i8") if quantisation else np.zeros(0, "<i8")
    number = table.scalar(2, "<I")
    name = table.text(3)
    if number >= len(buffers):
        raise ModelError(f"tensor {index} ({name}): names buffer {number}, the file has {len(buffers)}")
    if any(size < 0 or size > MAX_FILE_BYTES for size in shape):
        raise ModelError(f"tensor {index} ({name}): shape {list(shape)} is damaged")
    return Tensor(index, name, shape, kind, scales, zero_points, _constant(buffers[number], shape, kind, index, name))


def _constant(buffer: FlatTable, shape: tuple[int, ...], kind: str, index: int, name: str) -> np.ndarray | None:
    start, count = buffer.vector(0, 1)
    if count == 0 or kind not in _NUMPY_TYPES:
        return None
    dtype = np.dtype(_NUMPY_TYPES[kind])
    items = 1
    for size in shape:
        items *= size
    if items * dtype.itemsize != count:
        missing = items * dtype.itemsize - count
        what = f"{missing} bytes missing" if missing > 0 else f"{-missing} bytes too many"
        raise ModelError(f"tensor {index} ({name}): shape {list(shape)} of {kind}, {count} bytes of data: {what}")
    return np.frombuffer(buffer.data, dtype, items, start).reshape(shape)
