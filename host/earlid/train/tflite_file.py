# SPDX-License-Identifier: MIT
"""Writes streaming networks as TensorFlow Lite files and their manifests, as microWakeWord v2 has them and ESPHome takes them.

Rows that are needed again are kept in variables: READ_VARIABLE, CONCATENATION with the new rows, STRIDED_SLICE of the newest,
ASSIGN_VARIABLE; a second subgraph, which CALL_ONCE calls, fills them with zeros. The same network gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import flatbuffers
import numpy as np
import tflite
from numpy.typing import NDArray
from tflite import BuiltinOperator, TensorType

from earlid.train.shape import FEATURES, INPUT_SCALE, INPUT_ZERO

if TYPE_CHECKING:
    from earlid.train.integers import Integers, Weighted

PROBABILITY_SCALE = 1 / 256
DATA_ALIGNMENT = 16  # of the schema; processors read weights in place
SCHEMA_VERSION = 3
OPERATOR_VERSIONS = {  # of int8 kernels; 1 for all others
    BuiltinOperator.ADD: 2, BuiltinOperator.AVERAGE_POOL_2D: 2, BuiltinOperator.CONCATENATION: 2, BuiltinOperator.CONV_2D: 3,
    BuiltinOperator.DEPTHWISE_CONV_2D: 3, BuiltinOperator.FULLY_CONNECTED: 4, BuiltinOperator.LOGISTIC: 2,
    BuiltinOperator.MAX_POOL_2D: 2, BuiltinOperator.MUL: 2, BuiltinOperator.STRIDED_SLICE: 2, BuiltinOperator.SPLIT_V: 2,
}  # fmt: skip

Options = tuple[str, dict[str, Any]]  # a table of the schema, and its fields


@dataclass
class _Tensor:
    shape: list[int]
    kind: int
    scales: list[float]
    zero: int
    axis: int
    buffer: int


@dataclass
class _Operator:
    code: int
    inputs: list[int]
    outputs: list[int]
    options: Options | None


@dataclass
class _Graph:
    tensors: list[_Tensor] = field(default_factory=list)
    operators: list[_Operator] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)


class Writer:
    """Collects tensors and operators; a tensor is known by its number. Activations are int8 [1, rows, 1, channels]."""

    def __init__(self, stride: int) -> None:
        self.buffers: list[bytes] = [b""]
        self.main, self.first = _Graph(), _Graph()
        entry = self.tensor([1, stride, FEATURES], scales=[INPUT_SCALE], zero=INPUT_ZERO)
        self.operator(BuiltinOperator.CALL_ONCE, [], [], ("CallOnceOptions", {"InitSubgraphIndex": 1}))
        self.columns = self.reshape(entry, [1, stride, 1, FEATURES])
        self.main.inputs = [entry]

    def tensor(
        self, shape: list[int], kind: int = TensorType.INT8, scales: Sequence[float] = (), zero: int = 0,
        data: NDArray[Any] | None = None, axis: int = 0, graph: _Graph | None = None,
    ) -> int:  # fmt: skip
        """A new tensor; `data` is its constant content, `axis` the one that `scales` are of."""
        graph = graph or self.main
        if data is not None:
            self.buffers.append(np.ascontiguousarray(data).tobytes())
        number = len(self.buffers) - 1 if data is not None else 0
        graph.tensors.append(_Tensor(shape, kind, [float(scale) for scale in scales], zero, axis, number))
        return len(graph.tensors) - 1

    def operator(
        self, code: int, inputs: list[int], outputs: list[int], options: Options | None = None, graph: _Graph | None = None
    ) -> None:
        """A new operator behind those there are."""
        (graph or self.main).operators.append(_Operator(code, inputs, outputs, options))

    def constant(self, values: list[int], shape: list[int] | None = None) -> int:
        """A tensor of int32."""
        return self.tensor([len(values)] if shape is None else shape, TensorType.INT32, data=np.array(values, "<i4"))

    def scale_of(self, tensor: int) -> tuple[float, int]:
        """(step, zero point) of activations."""
        return self.main.tensors[tensor].scales[0], self.main.tensors[tensor].zero

    def rows(self, tensor: int) -> int:
        """Rows of activations."""
        return self.main.tensors[tensor].shape[1]

    def width(self, tensor: int) -> int:
        """Channels of activations."""
        return self.main.tensors[tensor].shape[-1]

    def like(self, tensor: int, shape: list[int]) -> int:
        """A tensor of another shape with the same scale."""
        scale, zero = self.scale_of(tensor)
        return self.tensor(shape, scales=[scale], zero=zero)

    def reshape(self, tensor: int, shape: list[int]) -> int:
        """The same values in another shape."""
        made = self.like(tensor, shape)
        self.operator(BuiltinOperator.RESHAPE, [tensor, self.constant(shape)], [made])
        return made

    def remember(self, new: int, rows: int) -> int:
        """The newest `rows` rows and the new ones, by a variable."""
        scale, zero = self.scale_of(new)
        shape, skip = [1, rows, 1, self.width(new)], self.rows(new)
        named = ("VarHandleOptions", {"Container": "", "SharedName": f"state {len(self.first.tensors)}"})
        handles = []
        for graph in (self.main, self.first):
            handles.append(self.tensor([], TensorType.RESOURCE, graph=graph))
            self.operator(BuiltinOperator.VAR_HANDLE, [], handles[-1:], named, graph)
        zeros = self.tensor(shape, scales=[scale], zero=zero, data=np.full(shape, zero, np.int8), graph=self.first)
        self.operator(BuiltinOperator.ASSIGN_VARIABLE, [handles[1], zeros], [], ("AssignVariableOptions", {}), self.first)
        old = self.like(new, shape)
        self.operator(BuiltinOperator.READ_VARIABLE, handles[:1], [old], ("ReadVariableOptions", {}))
        joined = self.join([old, new], 1)
        kept = self.newest(joined, rows, skip)
        self.operator(BuiltinOperator.ASSIGN_VARIABLE, [handles[0], kept], [], ("AssignVariableOptions", {}))
        return joined

    def join(self, parts: list[int], axis: int) -> int:
        """Tensors of one scale behind each other."""
        shape = list(self.main.tensors[parts[0]].shape)
        shape[axis] = sum(self.main.tensors[part].shape[axis] for part in parts)
        joined = self.like(parts[0], shape)
        self.operator(BuiltinOperator.CONCATENATION, parts, [joined], ("ConcatenationOptions", {"Axis": axis}))
        return joined

    def newest(self, tensor: int, rows: int, skip: int) -> int:
        """The rows behind the first `skip`."""
        kept = self.like(tensor, [1, rows, 1, self.width(tensor)])
        bounds = [self.constant([0, skip, 0, 0]), self.constant([0, 0, 0, 0]), self.constant([1, 1, 1, 1])]
        masks = ("StridedSliceOptions", {"BeginMask": 0b1101, "EndMask": 0b1111})
        self.operator(BuiltinOperator.STRIDED_SLICE, [tensor, *bounds], [kept], masks)
        return kept

    def weighted(
        self, code: int, source: int, weights: NDArray[np.int8], scales: NDArray[np.float32], bias: NDArray[np.int32],
        out: tuple[float, int], relu: bool,
    ) -> int:  # fmt: skip
        """A convolution, depthwise or not, or a dense layer over all rows, to one row.

        Args:
            weights: [outputs, rows, channels]; [rows, channels] of a depthwise one.
            scales: [outputs], or one for all weights. bias: [outputs]. out: (scale, zero point).
        """
        deep, dense = code == BuiltinOperator.DEPTHWISE_CONV_2D, code == BuiltinOperator.FULLY_CONNECTED
        outputs, activation = len(bias), {"FusedActivationFunction": int(relu)}
        rows, channels = weights.shape[-2:]
        shape = [outputs, rows * channels] if dense else [1 if deep else outputs, rows, 1, channels]
        filters = self.tensor(shape, scales=list(scales), data=weights, axis=3 if deep else 0)
        adder = self.tensor(
            [outputs], TensorType.INT32, list(scales * np.float32(self.scale_of(source)[0])), data=bias.astype("<i4")
        )
        result = self.tensor([1, outputs] if dense else [1, 1, 1, outputs], scales=[out[0]], zero=out[1])
        steps = {"Padding": tflite.Padding.VALID, "StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1}
        options: Options = ("Conv2DOptions", steps | activation)
        if deep:
            options = ("DepthwiseConv2DOptions", steps | {"DepthMultiplier": 1} | activation)
        elif dense:
            options = ("FullyConnectedOptions", activation)
        self.operator(code, [source, filters, adder], [result], options)
        return result

    def groups(self, source: int, kernels: Sequence[int], widths: list[int]) -> list[int]:
        """The rows that each group of channels has its kernel over."""
        longest = max(kernels)
        joined = self.remember(source, longest - 1)
        if len(kernels) == 1:
            return [joined]
        parts = [self.like(joined, [1, longest, 1, width]) for width in widths]
        into = [joined, self.constant(widths), self.constant([3], [])]
        self.operator(BuiltinOperator.SPLIT_V, into, parts, ("SplitVOptions", {"NumSplits": len(parts)}))
        return [self.newest(part, kernel, longest - kernel) for part, kernel in zip(parts, kernels, strict=True)]

    def add(self, one: int, two: int, out: tuple[float, int]) -> int:
        """The sum of two rows, with a ReLU."""
        result = self.tensor([1, 1, 1, self.width(one)], scales=[out[0]], zero=out[1])
        self.operator(BuiltinOperator.ADD, [one, two], [result], ("AddOptions", {"FusedActivationFunction": 1}))
        return result

    def finish(self, logit: int) -> bytes:
        """The file of a network whose last layer made this."""
        probability = self.tensor([1, 1], scales=[PROBABILITY_SCALE], zero=-128)
        self.operator(BuiltinOperator.LOGISTIC, [logit], [probability])
        out = self.tensor([1, 1], TensorType.UINT8, [PROBABILITY_SCALE])
        self.operator(BuiltinOperator.QUANTIZE, [probability], [out], ("QuantizeOptions", {}))
        self.main.outputs = [out]
        return _Packer(self.buffers, [self.main, self.first]).packed()


class _Packer:
    """Writes tables, each behind the tables it holds, with the schema's builder functions."""

    def __init__(self, buffers: list[bytes], graphs: list[_Graph]) -> None:
        self.builder = flatbuffers.Builder(1 << 16)
        self.buffers, self.graphs = buffers, graphs
        self.codes = list(dict.fromkeys(operator.code for graph in graphs for operator in graph.operators))
        names = {number: name for name, number in vars(tflite.BuiltinOptions).items() if not name.startswith("_")}
        self.option_numbers = {name: number for number, name in names.items()}

    def packed(self) -> bytes:
        """The whole file."""
        codes = [
            self.table(
                "OperatorCode",
                {"BuiltinCode": code, "DeprecatedBuiltinCode": min(code, 127), "Version": OPERATOR_VERSIONS.get(code, 1)},
            )
            for code in self.codes
        ]
        buffers = [self.table("Buffer", {"Data": self.aligned(data)} if data else {}) for data in self.buffers]
        parts = {
            "Version": SCHEMA_VERSION, "OperatorCodes": self.offsets(codes), "Buffers": self.offsets(buffers),
            "Subgraphs": self.offsets([self.graph(graph) for graph in self.graphs]),
        }  # fmt: skip
        self.builder.Finish(self.table("Model", parts), b"TFL3")
        return bytes(self.builder.Output())

    def table(self, name: str, fields: dict[str, Any]) -> int:
        """A table of the schema; strings among its fields are written before it."""
        values = {key: self.builder.CreateString(value) if isinstance(value, str) else value for key, value in fields.items()}
        getattr(tflite, f"{name}Start")(self.builder)
        for key, value in values.items():
            getattr(tflite, f"{name}Add{key}")(self.builder, value)
        return int(getattr(tflite, f"{name}End")(self.builder))

    def vector(self, values: Sequence[Any], item_bytes: int, alignment: int, prepend: Callable[[Any], None]) -> int:
        self.builder.StartVector(item_bytes, len(values), alignment)
        for value in reversed(values):
            prepend(value)
        return int(self.builder.EndVector())

    def offsets(self, tables: list[int]) -> int:
        return self.vector(tables, 4, 4, self.builder.PrependUOffsetTRelative)

    def numbers(self, values: list[int]) -> int:
        return self.vector(values, 4, 4, self.builder.PrependInt32)

    def aligned(self, data: bytes) -> int:
        return self.vector(data, 1, DATA_ALIGNMENT, self.builder.PrependUint8)

    def graph(self, graph: _Graph) -> int:
        tensors = [self.tensor(f"tensor {number}", tensor) for number, tensor in enumerate(graph.tensors)]
        operators = [self.operator(operator) for operator in graph.operators]
        parts = {
            "Tensors": self.offsets(tensors), "Inputs": self.numbers(graph.inputs), "Outputs": self.numbers(graph.outputs),
            "Operators": self.offsets(operators),
        }  # fmt: skip
        return self.table("SubGraph", parts)

    def tensor(self, name: str, tensor: _Tensor) -> int:
        fields = {"Shape": self.numbers(tensor.shape), "Type": tensor.kind, "Buffer": tensor.buffer, "Name": name}
        if tensor.scales:
            steps = {
                "Scale": self.vector(tensor.scales, 4, 4, self.builder.PrependFloat32),
                "ZeroPoint": self.vector([tensor.zero] * len(tensor.scales), 8, 8, self.builder.PrependInt64),
                "QuantizedDimension": tensor.axis,
            }
            fields["Quantization"] = self.table("QuantizationParameters", steps)
        return self.table("Tensor", fields)

    def operator(self, operator: _Operator) -> int:
        fields = {
            "OpcodeIndex": self.codes.index(operator.code), "Inputs": self.numbers(operator.inputs),
            "Outputs": self.numbers(operator.outputs),
        }  # fmt: skip
        if operator.options:
            name, values = operator.options
            fields |= {"BuiltinOptionsType": self.option_numbers[name], "BuiltinOptions": self.table(name, values)}
        return self.table("Operator", fields)


def _layer(w: Writer, source: int, layer: Weighted, code: int, relu: bool) -> int:
    return w.weighted(code, source, layer.weights, layer.scales, layer.bias, layer.out, relu)


def write(integers: Integers) -> bytes:
    """The `.tflite` file of a network: int8 [1, stride, 40] in, uint8 [1, 1] out."""
    shape = integers.shape
    w = Writer(shape.stride)
    convolve = partial(_layer, w, code=BuiltinOperator.CONV_2D)
    now = w.columns
    if shape.first_kernel > shape.stride:
        now = w.remember(now, shape.first_kernel - shape.stride)
    now = convolve(now, integers.first, relu=True)
    for plan, block in zip(shape.blocks, integers.blocks, strict=True):
        before = now
        if block.mix:
            groups = w.groups(now, plan.kernels, plan.widths(w.width(now)))
            pairs = zip(groups, block.mix, strict=True)
            mixed = [_layer(w, group, layer, BuiltinOperator.DEPTHWISE_CONV_2D, False) for group, layer in pairs]
            now = mixed[0] if len(mixed) == 1 else w.join(mixed, 3)
        now = convolve(now, block.point, relu=not plan.residual)
        if block.beside and block.out:
            now = w.add(now, convolve(before, block.beside, relu=False), block.out)
    if shape.last_rows > 1:
        now = w.remember(now, shape.last_rows - 1)
    flat = w.reshape(now, [1, shape.last_rows * w.width(now)])
    return w.finish(_layer(w, flat, integers.last, BuiltinOperator.FULLY_CONNECTED, False))
