# SPDX-License-Identifier: MIT
"""Writes small random streaming networks as TensorFlow Lite files, of the shapes that microWakeWord's training can make.

The reference kernels say what their outputs are, so a network needs no training to be a test.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

ADD, AVERAGE_POOL_2D, CONCATENATION, CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED = 0, 1, 2, 3, 4, 9
LOGISTIC, MAX_POOL_2D, MUL, RESHAPE, STRIDED_SLICE, SPLIT_V, QUANTIZE = 14, 17, 18, 22, 45, 102, 114
CALL_ONCE, VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE = 129, 142, 143, 144
INT8, INT32, UINT8, RESOURCE = 9, 2, 3, 13
RELU = 1
INPUT_SCALE = float(np.float32(26 / 255))


@dataclass
class Block:
    """A MixConv block: depthwise kernels over groups of channels, then a pointwise convolution."""

    filters: int
    kernels: list[int]
    residual: bool = False


@dataclass
class Shape:
    """A network of microWakeWord's `mixednet`."""

    stride: int = 3
    first_filters: int = 32
    first_kernel: int = 5
    blocks: list[Block] = field(default_factory=lambda: [Block(32, [5]), Block(48, [3, 7])])
    last_rows: int = 4
    pool: str = ""  # "max", "average"
    multiply: bool = False  # an operator that the board does not have


class Writer:
    """Collects tensors and operators; `rng` gives weights and scales."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.model = schema.ModelT()
        self.model.version, self.model.operatorCodes, self.model.buffers = 3, [], [schema.BufferT()]
        self.main, self.first = self._graph(), self._graph()
        self.model.subgraphs = [self.main, self.first]
        self.codes: dict[int, int] = {}

    @staticmethod
    def _graph() -> Any:
        graph = schema.SubGraphT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [], [], []
        return graph

    def tensor(
        self,
        shape: list[int],
        kind: int = INT8,
        scales: Any = (),
        zero: int = 0,
        data: Any = None,
        axis: int = 0,
        graph: Any = None,
    ) -> int:
        graph = graph or self.main
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = shape, kind, 0
        tensor.name = f"tensor {len(graph.tensors)}"
        if len(scales):
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = [float(scale) for scale in scales]
            tensor.quantization.zeroPoint = [zero] * len(scales)
            tensor.quantization.quantizedDimension = axis
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    def operator(self, code: int, inputs: list[int], outputs: list[int], options: Any = None, graph: Any = None) -> None:
        if code not in self.codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode, entry.deprecatedBuiltinCode = code, min(code, 127)
            entry.version = {CONV_2D: 3, DEPTHWISE_CONV_2D: 3, FULLY_CONNECTED: 4}.get(code, 2 if code < 120 else 1)
            if code in (RESHAPE, QUANTIZE):
                entry.version = 1
            self.codes[code] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(entry)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = self.codes[code], inputs, outputs
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
        (graph or self.main).operators.append(operator)

    def constant(self, values: list[int], shape: list[int] | None = None) -> int:
        return self.tensor([len(values)] if shape is None else shape, INT32, data=np.array(values, "<i4"))

    def scale_of(self, tensor: int) -> tuple[float, int]:
        found = self.main.tensors[tensor].quantization
        return found.scale[0], int(found.zeroPoint[0])

    def width(self, tensor: int) -> int:
        return self.main.tensors[tensor].shape[-1]

    def remember(self, new: int, rows: int) -> int:
        """The newest `rows` rows and the new ones, by a variable."""
        scale, zero = self.scale_of(new)
        width, fresh = self.width(new), self.main.tensors[new].shape[1]
        name = f"state {len(self.first.tensors)}"
        for graph in (self.main, self.first):
            options = schema.VarHandleOptionsT()
            options.sharedName = name
            handle = self.tensor([], RESOURCE, graph=graph)
            self.operator(VAR_HANDLE, [], [handle], options, graph)
            if graph is self.first:
                zeros = np.full((1, rows, 1, width), zero, np.int8)
                first = self.tensor([1, rows, 1, width], INT8, [scale], zero, zeros, graph=graph)
                self.operator(ASSIGN_VARIABLE, [handle, first], [], schema.AssignVariableOptionsT(), graph)
            else:
                here = handle
        old = self.tensor([1, rows, 1, width], INT8, [scale], zero)
        self.operator(READ_VARIABLE, [here], [old], schema.ReadVariableOptionsT())
        joined = self.join([old, new], 1)
        self.operator(ASSIGN_VARIABLE, [here, self.newest(joined, rows, fresh)], [], schema.AssignVariableOptionsT())
        return joined

    def join(self, parts: list[int], axis: int) -> int:
        shape = list(self.main.tensors[parts[0]].shape)
        shape[axis] = sum(self.main.tensors[part].shape[axis] for part in parts)
        scale, zero = self.scale_of(parts[0])
        joined = self.tensor(shape, INT8, [scale], zero)
        options = schema.ConcatenationOptionsT()
        options.axis = axis
        self.operator(CONCATENATION, parts, [joined], options)
        return joined

    def newest(self, tensor: int, rows: int, skip: int) -> int:
        scale, zero = self.scale_of(tensor)
        kept = self.tensor([1, rows, 1, self.width(tensor)], INT8, [scale], zero)
        options = schema.StridedSliceOptionsT()
        options.beginMask, options.endMask = 0b1101, 0b1111
        bounds = [self.constant([0, skip, 0, 0]), self.constant([0, 0, 0, 0]), self.constant([1, 1, 1, 1])]
        self.operator(STRIDED_SLICE, [tensor, *bounds], [kept], options)
        return kept

    def weighted(self, code: int, source: int, outputs: int, relu: bool, out: tuple[float, int] | None = None) -> int:
        """A convolution over all rows; its output scale suits random weights unless given."""
        shape = self.main.tensors[source].shape
        rows, width = (shape[1], shape[3]) if len(shape) == 4 else (1, shape[1])
        scale, _ = self.scale_of(source)
        deep = code == DEPTHWISE_CONV_2D
        weights = np.clip(np.round(self.rng.normal(0, 45, (outputs, rows, width))), -127, 127).astype(np.int8)
        shapes = {CONV_2D: [outputs, rows, 1, width], DEPTHWISE_CONV_2D: [1, rows, 1, width], FULLY_CONNECTED: [outputs, width]}
        if deep:
            weights = weights[:1]
        terms = rows * (1 if deep else width)
        scales = self.rng.uniform(0.002, 0.01, 1 if code == FULLY_CONNECTED else outputs).astype(np.float32)
        if code == FULLY_CONNECTED:  # logits that spread over what LOGISTIC can tell apart
            out = (float(np.float32(0.06)), int(self.rng.integers(-40, 40)))
            scales = np.array([16 / (scale * 60 * 45 * np.sqrt(terms))], np.float32)
        spread = scale * 60 * float(scales.mean()) * 45 * np.sqrt(terms)
        out = out or (float(np.float32(spread * 6 / 255)), -128 if relu else int(self.rng.integers(-40, 40)))
        bias = np.round(self.rng.normal(0, 500, outputs)).astype("<i4")
        options: Any
        if code == CONV_2D:
            options = schema.Conv2DOptionsT()
        else:
            options = schema.DepthwiseConv2DOptionsT() if deep else schema.FullyConnectedOptionsT()
        if code != FULLY_CONNECTED:
            options.padding, options.strideH, options.strideW = 1, 1, 1
            options.dilationHFactor = options.dilationWFactor = 1
        if deep:
            options.depthMultiplier = 1
        options.fusedActivationFunction = RELU if relu else 0
        filters = self.tensor(shapes[code], INT8, scales, 0, weights, 3 if deep else 0)
        adder = self.tensor([outputs], INT32, scales * np.float32(scale), 0, bias)
        result = self.tensor([1, outputs] if code == FULLY_CONNECTED else [1, 1, 1, outputs], INT8, [out[0]], out[1])
        self.operator(code, [source, filters, adder], [result], options)
        return result

    def mixed(self, source: int, kernels: list[int]) -> int:
        longest = max(kernels)
        joined = self.remember(source, longest - 1) if longest > 1 else source
        if len(kernels) == 1:
            return self.weighted(DEPTHWISE_CONV_2D, joined, self.width(joined), False)
        scale, zero = self.scale_of(joined)
        part = self.width(joined) // len(kernels)
        widths = [self.width(joined) - part * (len(kernels) - 1)] + [part] * (len(kernels) - 1)
        parts = [self.tensor([1, longest, 1, width], INT8, [scale], zero) for width in widths]
        options = schema.SplitVOptionsT()
        options.numSplits = len(parts)
        self.operator(SPLIT_V, [joined, self.constant(widths), self.constant([3], [])], parts, options)
        out = (float(np.float32(scale * 60 * 0.006 * 45 * np.sqrt(longest) * 6 / 255)), int(self.rng.integers(-30, 30)))
        made = []
        for piece, kernel in zip(parts, kernels, strict=True):
            kept = self.newest(piece, kernel, longest - kernel)
            made.append(self.weighted(DEPTHWISE_CONV_2D, kept, self.width(kept), False, out))
        return self.join(made, 3)

    def add(self, one: int, two: int) -> int:
        largest = max(self.scale_of(one)[0], self.scale_of(two)[0])
        result = self.tensor([1, 1, 1, self.width(one)], INT8, [float(np.float32(largest * 1.3))], -128)
        options = schema.AddOptionsT()
        options.fusedActivationFunction = RELU
        self.operator(ADD, [one, two], [result], options)
        return result

    def pool(self, source: int, kind: str) -> int:
        scale, zero = self.scale_of(source)
        result = self.tensor([1, 1, 1, self.width(source)], INT8, [scale], zero)
        options = schema.Pool2DOptionsT()
        options.padding, options.filterHeight, options.filterWidth = 1, self.main.tensors[source].shape[1], 1
        options.strideH, options.strideW = options.filterHeight, 1
        self.operator(MAX_POOL_2D if kind == "max" else AVERAGE_POOL_2D, [source], [result], options)
        return result

    def bytes(self) -> bytes:
        builder = flatbuffers.Builder(0)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def network(shape: Shape, seed: int) -> bytes:
    """A TensorFlow Lite file of a streaming network with random weights."""
    w = Writer(np.random.default_rng(seed))
    entry = w.tensor([1, shape.stride, 40], INT8, [INPUT_SCALE], -128)
    call = schema.CallOnceOptionsT()
    call.initSubgraphIndex = 1
    w.operator(CALL_ONCE, [], [], call)
    now = w.tensor([1, shape.stride, 1, 40], INT8, [INPUT_SCALE], -128)
    w.operator(RESHAPE, [entry, w.constant([1, shape.stride, 1, 40])], [now])
    if shape.first_kernel > shape.stride:
        now = w.remember(now, shape.first_kernel - shape.stride)
    now = w.weighted(CONV_2D, now, shape.first_filters, True)
    for block in shape.blocks:
        beside = w.weighted(CONV_2D, now, block.filters, False) if block.residual else None
        if max(block.kernels) > 1:
            now = w.mixed(now, block.kernels)
        now = w.weighted(CONV_2D, now, block.filters, not block.residual)
        if beside is not None:
            now = w.add(now, beside)
    if shape.multiply:
        result = w.tensor([1, 1, 1, w.width(now)], INT8, [w.scale_of(now)[0]], -128)
        w.operator(MUL, [now, now], [result], schema.MulOptionsT())
        now = result
    if shape.last_rows > 1:
        now = w.remember(now, shape.last_rows - 1)
        if shape.pool:
            now = w.pool(now, shape.pool)
    size = w.main.tensors[now].shape[1] * w.width(now)
    flat = w.tensor([1, size], INT8, [w.scale_of(now)[0]], w.scale_of(now)[1])
    w.operator(RESHAPE, [now, w.constant([1, size])], [flat])
    logit = w.weighted(FULLY_CONNECTED, flat, 1, False)
    probability = w.tensor([1, 1], INT8, [1 / 256], -128)
    w.operator(LOGISTIC, [logit], [probability])
    out = w.tensor([1, 1], UINT8, [1 / 256], 0)
    w.operator(QUANTIZE, [probability], [out], schema.QuantizeOptionsT())
    w.main.inputs, w.main.outputs = [entry], [out]
    return w.bytes()
