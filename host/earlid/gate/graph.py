# SPDX-License-Identifier: MIT
"""Turns the operators of a streaming TensorFlow Lite network into a list of layers over row buffers.

A streaming network keeps the rows (time steps) it will need again in variables: READ_VARIABLE, CONCATENATION along
time, STRIDED_SLICE of the newest rows, ASSIGN_VARIABLE. Here each tensor becomes a `View` of a `Buffer` of rows that
remembers enough history, so none of those copies is left: only the arithmetic layers are.
"""

from __future__ import annotations

import numpy as np

from earlid.gate.network import Buffer, Layer, Network, View
from earlid.gate.quantise import activation_minimum
from earlid.gate.tflite import ModelError, Operator, Subgraph, Tensor

NO_PADDING, ANY_PADDING = 1, 0  # schema: VALID = 1, SAME = 0
COMPUTE = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "MAX_POOL_2D", "AVERAGE_POOL_2D")


class _NetworkBuilder:
    def __init__(self, graphs: list[Subgraph]) -> None:
        self.graphs = graphs
        self.graph = graphs[0]
        self.buffers: list[Buffer] = []
        self.layers: list[Layer] = []
        self.views: dict[int, View] = {}
        self.variable_handles: dict[int, str] = {}  # tensor -> variable
        self.variable_reads: dict[int, str] = {}  # tensor that holds what a variable held -> variable
        self.initial_values: dict[str, Tensor] = {}
        self.variable_rows: dict[str, tuple[View, int]] = {}  # variable -> rows it must become, how many
        self.assigned: set[str] = set()
        self.concat_places: dict[int, tuple[int, int]] = {}  # tensor -> (joined tensor, first channel)
        self.output_operators: list[Operator] = []

    # -- small helpers ---------------------------------------------------------------------------------------------
    def tensor(self, operator: Operator, number: int) -> Tensor:
        if number >= len(operator.inputs) or operator.inputs[number] < 0:
            raise ModelError(f"{operator.where()}: input {number} is missing")
        return self.graph.tensors[operator.inputs[number]]

    def result(self, operator: Operator) -> Tensor:
        if len(operator.outputs) != 1:
            raise ModelError(f"{operator.where()}: one output expected, the file has {len(operator.outputs)}")
        return self.graph.tensors[operator.outputs[0]]

    def view(self, operator: Operator, number: int) -> View:
        tensor = self.tensor(operator, number)
        view = self.views.get(tensor.index)
        if view is None:
            raise ModelError(f"{operator.where()}: its input, tensor {tensor.index} ({tensor.name}), is not a row of activations")
        return view

    def new_buffer(self, channels: int, zero: int) -> Buffer:
        if len(self.buffers) >= 255:
            raise ModelError("more than 255 layers: not a network for this board")
        self.buffers.append(Buffer(len(self.buffers), channels, zero))
        return self.buffers[-1]

    def same_scale(self, operator: Operator, one: Tensor, two: Tensor) -> None:
        if one.scale() != two.scale() or one.zero_point() != two.zero_point():
            raise ModelError(f"{operator.where()}: tensors {one.index} and {two.index} have different scales: not supported")

    # -- structure -------------------------------------------------------------------------------------------------
    def build(self) -> Network:
        entry = self._entry()
        for operator in self.graph.operators:
            if operator.name == "CONCATENATION" and operator.option(0, "<i") in (3, -1):
                first = 0
                for index in operator.inputs:
                    self.concat_places[index] = (self.result(operator).index, first)
                    first += self.graph.tensors[index].shape[-1] if self.graph.tensors[index].shape else 0
        for operator in self.graph.operators:
            self._operator(operator)
        for name, (view, rows) in self.variable_rows.items():
            if name not in self.assigned:
                raise ModelError(f"variable {name}: {rows} rows are read and never kept: not a streaming network")
            view.buffer.sliding = True
        return self._finish(entry)

    def _entry(self) -> Tensor:
        if len(self.graph.inputs) != 1 or len(self.graph.outputs) != 1:
            raise ModelError("the network must have one input and one output")
        entry = self.graph.tensors[self.graph.inputs[0]]
        if entry.kind != "int8" or len(entry.shape) != 3 or entry.shape[0] != 1 or entry.shape[2] != 40:
            raise ModelError(
                f"input {entry.name} is {entry.kind} {list(entry.shape)}: a microWakeWord v2 network takes int8 [1, stride, 40]"
            )
        if not 1 <= entry.shape[1] <= 16:
            raise ModelError(f"input {entry.name}: stride {entry.shape[1]}, 1 to 16 are supported")
        buffer = self.new_buffer(40, entry.zero_point())
        buffer.rows, buffer.sliding = entry.shape[1], True
        self.views[entry.index] = View(buffer, entry.shape[1], 0, 40)
        return entry

    def _operator(self, operator: Operator) -> None:
        name = operator.name
        if self.output_operators and name not in ("QUANTIZE", "STRIDED_SLICE", "ASSIGN_VARIABLE"):
            raise ModelError(f"{operator.where()}: nothing but QUANTIZE is supported after LOGISTIC")
        handlers = {
            "CALL_ONCE": self._initialise, "VAR_HANDLE": self._handle, "READ_VARIABLE": self._read,
            "RESHAPE": self._reshape, "CONCATENATION": self._concatenate, "STRIDED_SLICE": self._slice,
            "ASSIGN_VARIABLE": self._assign, "SPLIT": self._split, "SPLIT_V": self._split,
        }  # fmt: skip
        if name in handlers:
            handlers[name](operator)
        elif name in COMPUTE:
            self._compute(operator)
        elif name in ("LOGISTIC", "QUANTIZE"):
            self.output_operators.append(operator)
        else:
            raise ModelError(f"{operator.where()} is not supported on the board")

    def _variable(self, graph: Subgraph, operator: Operator) -> str:
        if operator.options is None or len(operator.outputs) != 1:
            raise ModelError(f"{operator.where()}: a variable without a name")
        return operator.options.text(1)

    def _initialise(self, operator: Operator) -> None:
        number = operator.option(0, "<i")
        if not 0 < number < len(self.graphs):
            raise ModelError(f"{operator.where()}: calls subgraph {number} of {len(self.graphs)}")
        graph, names = self.graphs[number], {}
        for step in graph.operators:
            if step.name == "VAR_HANDLE":
                names[step.outputs[0] if step.outputs else -1] = self._variable(graph, step)
            elif step.name == "ASSIGN_VARIABLE" and len(step.inputs) == 2 and step.inputs[0] in names:
                self.initial_values[names[step.inputs[0]]] = graph.tensors[step.inputs[1]]
            else:
                raise ModelError(f"subgraph {number}, {step.where()} is not supported where variables get their first value")

    def _handle(self, operator: Operator) -> None:
        self.variable_handles[self.result(operator).index] = self._variable(self.graph, operator)

    def _variable_of(self, operator: Operator) -> str:
        name = self.variable_handles.get(self.tensor(operator, 0).index)
        if name is None:
            raise ModelError(f"{operator.where()}: its first input is not a variable")
        return name

    def _read(self, operator: Operator) -> None:
        name = self._variable_of(operator)
        if name in self.assigned:
            raise ModelError(f"{operator.where()}: variable {name} is read after it was written: not supported")
        self.variable_reads[self.result(operator).index] = name

    def _assign(self, operator: Operator) -> None:
        name, view = self._variable_of(operator), self.view(operator, 1)
        rows_to_keep = self.variable_rows.get(name)
        if rows_to_keep is None or name in self.assigned:
            raise ModelError(f"{operator.where()}: variable {name} is not kept the way a streaming layer does")
        if rows_to_keep != (View(view.buffer, rows_to_keep[0].rows, view.first, view.last), view.rows):
            raise ModelError(
                f"{operator.where()}: variable {name} must keep the newest {rows_to_keep[1]} rows of what it was joined with"
            )
        self.assigned.add(name)

    def _concatenate(self, operator: Operator) -> None:
        result, axis = self.result(operator), operator.option(0, "<i")
        if operator.option(1):
            raise ModelError(f"{operator.where()}: an activation inside it is not supported")
        for number in range(len(operator.inputs)):
            self.same_scale(operator, self.tensor(operator, number), result)
        if len(result.shape) == 4 and axis in (3, -1):
            buffer = self.views.get(result.index)
            widths = [self.tensor(operator, number).shape[-1] for number in range(len(operator.inputs))]
            computed = all(index in self.views and self.views[index].buffer.channels == sum(widths) for index in operator.inputs)
            if buffer is None or not computed or result.shape[-1] != sum(widths):
                raise ModelError(f"{operator.where()}: joins channels that no layer has just made: not supported")
            return
        if axis != 1 or len(operator.inputs) != 2 or self.tensor(operator, 0).index not in self.variable_reads:
            raise ModelError(f"{operator.where()}: only old rows before new rows, or channels, can be joined (axis {axis})")
        old, new = self.tensor(operator, 0), self.view(operator, 1)
        name = self.variable_reads[old.index]
        if len(old.shape) != 4 or old.shape[3] != new.width or old.shape[1] < 1:
            raise ModelError(f"{operator.where()}: old rows {list(old.shape)} do not fit new rows of {new.width} channels")
        self._check_initial(operator, name, old)
        whole = View(new.buffer, old.shape[1] + new.rows, new.first, new.last)
        new.buffer.rows = max(new.buffer.rows, whole.rows)
        self.variable_rows[name] = (whole, old.shape[1])
        self.views[result.index] = whole

    def _check_initial(self, operator: Operator, name: str, old: Tensor) -> None:
        first = self.initial_values.get(name)
        if first is None:
            raise ModelError(f"{operator.where()}: variable {name} has no first value")
        if first.shape != old.shape or np.any(first.value() != old.zero_point()):
            raise ModelError(
                f"{operator.where()}: variable {name} does not begin as zeros of shape {list(old.shape)}: not supported"
            )
        if name in self.variable_rows:
            raise ModelError(f"{operator.where()}: variable {name} is used twice: not supported")

    def _reshape(self, operator: Operator) -> None:
        view, result = self.view(operator, 0), self.result(operator)
        allowed = ((1, view.rows, 1, view.width), (1, view.rows, view.width), (1, view.rows * view.width))
        if result.shape not in allowed or (len(result.shape) == 2 and view.rows > 1 and not view.whole()):
            raise ModelError(f"{operator.where()}: to shape {list(result.shape)} is not supported")
        self.views[result.index] = view

    def _slice(self, operator: Operator) -> None:
        view, result = self.view(operator, 0), self.result(operator)
        begin, end, step = (self.tensor(operator, n).value().ravel().tolist() for n in (1, 2, 3))
        masks = [operator.option(n, "<i") for n in range(5)]
        if not len(begin) == len(end) == len(step) == 4 or step != [1, 1, 1, 1] or any(masks[2:]):
            raise ModelError(f"{operator.where()}: only plain slices of rows are supported")
        bounds = []
        for axis, size in enumerate((1, view.rows, 1, view.width)):
            start = 0 if masks[0] >> axis & 1 else begin[axis] + (size if begin[axis] < 0 else 0)
            stop = size if masks[1] >> axis & 1 else end[axis] + (size if end[axis] < 0 else 0)
            bounds.append((max(start, 0), min(stop, size)))
        rows = view.rows - bounds[1][0]
        if bounds[0] != (0, 1) or bounds[2] != (0, 1) or bounds[1][1] != view.rows or rows < 1 or bounds[3][0] >= bounds[3][1]:
            raise ModelError(f"{operator.where()}: keeps rows {bounds[1]} of {view.rows}: only the newest rows can be kept")
        self.views[result.index] = View(view.buffer, rows, view.first + bounds[3][0], view.first + bounds[3][1])

    def _split(self, operator: Operator) -> None:
        is_split = operator.name == "SPLIT"
        view = self.view(operator, 1 if is_split else 0)
        axis = int(self.tensor(operator, 0 if is_split else 2).value().ravel()[0])
        if axis not in (3, -1):
            raise ModelError(f"{operator.where()}: splits axis {axis}, only channels (3) are supported")
        first = view.first
        for index in operator.outputs:
            shape = self.graph.tensors[index].shape
            width = shape[-1] if shape else 0
            if width < 1 or first + width > view.last:
                raise ModelError(f"{operator.where()}: its parts do not add up to {view.width} channels")
            self.views[index] = View(view.buffer, view.rows, first, first + width)
            first += width

    # -- arithmetic ------------------------------------------------------------------------------------------------
    def _output(self, operator: Operator, channels: int) -> View:
        result = self.result(operator)
        if result.kind != "int8" or result.shape not in ((1, 1, 1, channels), (1, channels)):
            raise ModelError(
                f"{operator.where()}: makes {result.kind} {list(result.shape)}, one int8 row of {channels} channels is supported"
            )
        joined, first = self.concat_places.get(result.index, (result.index, 0))
        if joined not in self.views:
            whole = self.graph.tensors[joined]
            buffer = self.new_buffer(whole.shape[-1], whole.zero_point())
            self.views[joined] = View(buffer, 1, 0, buffer.channels)
        view = View(self.views[joined].buffer, 1, first, first + channels)
        if view.last > view.buffer.channels:
            raise ModelError(f"{operator.where()}: its {channels} channels do not fit where they are joined")
        self.views[result.index] = view
        return view

    def _compute(self, operator: Operator) -> None:
        view, result = self.view(operator, 0), self.result(operator)
        option = {"ADD": 0, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 4, "FULLY_CONNECTED": 0}.get(operator.name, 5)
        lowest = activation_minimum(operator.option(option), result.zero_point(), operator.where())
        sources = [self.tensor(operator, 0)] + ([self.tensor(operator, 1)] if operator.name == "ADD" else [])
        layer = Layer(
            "", operator.where(), [view], view, [t.scale() for t in sources], [t.zero_point() for t in sources],
            result.scale(), result.zero_point(), lowest,
        )  # fmt: skip
        if operator.name == "ADD":
            other = self.view(operator, 1)
            if (view.rows, other.rows, other.width) != (1, 1, view.width):
                raise ModelError(f"{operator.where()}: adds different shapes: not supported")
            layer.kind, layer.inputs = "add", [view, other]
            channels = view.width
        elif operator.name.endswith("POOL_2D"):
            channels = self._pool(operator, layer, view)
        else:
            channels = self._weighted(operator, layer, view)
        layer.output = self._output(operator, channels)
        self.layers.append(layer)

    def _pool(self, operator: Operator, layer: Layer, view: View) -> int:
        width, height = operator.option(3, "<i"), operator.option(4, "<i")
        self.same_scale(operator, self.tensor(operator, 0), self.result(operator))
        if (width, height) != (1, view.rows):
            raise ModelError(f"{operator.where()}: pools {height} x {width} of {view.rows} rows: only all rows are supported")
        layer.kind = "maxpool" if operator.name.startswith("MAX") else "avgpool"
        return view.width

    def _weighted(self, operator: Operator, layer: Layer, view: View) -> int:
        filters = self.tensor(operator, 1)
        values, shape = filters.value(), filters.shape
        if filters.kind != "int8" or np.any(filters.zero_points != 0):
            raise ModelError(f"{operator.where()}: weights are {filters.kind} with zero points: int8 around zero is supported")
        layer.fully_connected = operator.name == "FULLY_CONNECTED"
        if operator.name == "DEPTHWISE_CONV_2D":
            ok = shape == (1, view.rows, 1, view.width) and self._unstrided(operator, 5, view.rows)
            layer.kind, layer.weights, channels = "depthwise", values.reshape(view.rows, -1), view.width
        elif layer.fully_connected:
            ok = len(shape) == 2 and shape[1] == view.rows * view.width and operator.option(1) == 0
            layer.kind, channels = "conv", shape[0] if shape else 0
            layer.weights = values.reshape(channels, view.rows, view.width) if ok else values
        else:
            ok = len(shape) == 4 and shape[1:] == (view.rows, 1, view.width) and self._unstrided(operator, 4, view.rows)
            layer.kind, channels = "conv", shape[0] if shape else 0
            layer.weights = values.reshape(channels, view.rows, view.width) if ok else values
        if not ok or (layer.kind == "conv" and view.rows > 1 and not view.whole()):
            raise ModelError(
                f"{operator.where()}: weights {list(shape)} with its padding, steps and {view.rows} rows of "
                f"{view.width} channels are not supported"
            )
        if len(filters.scales) not in (1, channels) or not np.all(np.isfinite(filters.scales) & (filters.scales > 0)):
            raise ModelError(f"{operator.where()}: {len(filters.scales)} weight scales for {channels} channels")
        layer.weight_scales = np.broadcast_to(filters.scales, (channels,)).copy()
        layer.fully_connected = layer.fully_connected and len(filters.scales) == 1
        layer.bias = self._bias(operator, channels)
        return channels

    def _unstrided(self, operator: Operator, dilation: int, rows: int) -> bool:
        plain = operator.option(0) == NO_PADDING or rows == 1
        multiplier = operator.option(3, "<i", 1) if operator.name == "DEPTHWISE_CONV_2D" else 1
        wide = operator.option(dilation, "<i", 1), operator.option(dilation + 1, "<i", 1)
        return plain and multiplier == 1 and (rows == 1 or wide[1] == 1)

    def _bias(self, operator: Operator, channels: int) -> np.ndarray:
        if len(operator.inputs) < 3 or operator.inputs[2] < 0:
            return np.zeros(channels, np.int32)
        bias = self.tensor(operator, 2)
        if bias.kind != "int32" or bias.shape != (channels,):
            raise ModelError(f"{operator.where()}: bias is {bias.kind} {list(bias.shape)}, int32 [{channels}] is needed")
        return bias.value()

    def _finish(self, entry: Tensor) -> Network:
        names = [operator.name for operator in self.output_operators]
        if names not in (["LOGISTIC", "QUANTIZE"], ["LOGISTIC"]) or not self.layers:
            raise ModelError(f"the network must end in LOGISTIC and QUANTIZE, it ends in {names or 'neither'}")
        logistic = self.output_operators[0]
        logits, middle, final = self.tensor(logistic, 0), self.result(logistic), self.result(self.output_operators[-1])
        view = self.view(logistic, 0)
        if (view.buffer.channels, view.rows) != (1, 1) or self.layers[-1].output != view:
            raise ModelError(f"{logistic.where()}: {view.width} values at the end, one is needed")
        chained = len(self.output_operators) == 1 or self.tensor(self.output_operators[1], 0).index == middle.index
        if not chained or final.index != self.graph.outputs[0] or middle.kind != "int8" or final.kind not in ("uint8", "int8"):
            raise ModelError(f"output {final.name} is {final.kind}: one uint8 made from LOGISTIC is needed")
        if final.kind != "uint8":
            raise ModelError(f"output {final.name} is {final.kind}: microWakeWord v2 networks give uint8")
        return Network(
            entry.shape[1], 40, entry.scale(), entry.zero_point(), self.buffers, self.layers, logits.scale(),
            logits.zero_point(), (middle.scale(), middle.zero_point()), final.scale(), final.zero_point(),
        )  # fmt: skip


def build_network(graphs: list[Subgraph]) -> Network:
    """The layers of a microWakeWord v2 streaming network. Raises ModelError naming the operator that does not fit."""
    return _NetworkBuilder(graphs).build()
