# SPDX-License-Identifier: MIT
# A streaming wake word network: `stride` columns of features in, one byte of probability out.
import struct
from array import array

import uctypes
from micropython import const

from lid.gate import arena, model_file
from lid.gate.arena import advance
from lid.gate.kernels import run
from lid.gate.smoothing import FUSED_WORDS, fused_score, sliding_mean

# A second. What a reset network says of its first columns is no answer to them: some published ones hit in silence.
_COLD_COLUMNS = const(100)
_FOLDED_BYTES = const(2000)  # of input, beyond which a folded bias could leave its word
_LAYER_WORDS = const(23)  # as in kernels.py
_OUTPUTS = const(9)
_INITIAL_WORDS = const(7)  # of a buffer: its head and number, its first value, start, channels, bytes a row, rows

# Words of the sliding mean's state, see smoothing.py
_WINDOW = const(3)
_NEEDED = const(4)


# How each buffer begins, _INITIAL_WORDS each, as reset() wants it; what arena.advance() wants of each sliding buffer, the
# input's first; and how many there are but the input. This and the next two a start needs alone: lid.start gives them back.
def buffer_words(buffers):
    initial = array("i")
    slides = array("i")
    others = -1
    for number, buffer in enumerate(buffers):
        history = (buffer.rows - 1) * buffer.row
        head = buffer.start + history - (buffer.row if buffer.sliding else 0)
        count = (buffer.end - buffer.start) // buffer.row
        initial.extend(array("i", (head, number, buffer.zero, buffer.start, buffer.channels, buffer.row, count)))
        if buffer.sliding:
            slides.extend(array("i", (number, buffer.row, buffer.start, buffer.end, history)))
            others += 1
    return initial, slides, others


# What kernels.run() wants of each layer. lowest: the piece of weights from which their places are counted
def layer_words(layout, lowest, activations):
    layers = array("i", bytes(4 * _LAYER_WORDS * len(layout.layers)))
    for number, layer in enumerate(layout.layers):
        params = memoryview(layers)[_LAYER_WORDS * number :]
        source = layout.buffers[layer.source]
        back = (layer.rows - 1) * source.row
        dense = layer.kind == model_file.DENSE
        zero_in = source.zero if dense and layer.record_step and layer.length < _FOLDED_BYTES else 0
        at = uctypes.addressof(layer.data) - uctypes.addressof(lowest)
        # in the order of the constants in kernels.py
        values = (
            layer.source, layer.first, layer.second, layer.second_first, layer.out, layer.out_first, layer.length,
            source.row, layer.groups, layer.width, at + layer.weights, at + layer.records, layer.record_step, layer.zero,
            layer.least, layer.reversed, layout.sums, layer.skip, layer.average, layer.corrected, back, zero_in, layer.kind,
        )  # fmt: skip
        for i in range(_LAYER_WORDS):
            params[i] = values[i]
        if zero_in and not layer.folded:
            fold_zero(layout, layer, lowest, activations, params, source.start + back)
    return layers


# The kernel takes the input's zero from each activation. What that changes, its sums over an empty input, is taken from
# the biases, once. head: where the empty input's newest row is
def fold_zero(layout, layer, lowest, activations, params, head):
    arena.fill_words(activations, head, 4 * layer.source, 1)
    params[_OUTPUTS] = 0  # sums alone
    run(0, lowest, activations, params, 1)
    params[_OUTPUTS] = layer.width
    at = layer.records
    for i in range(layer.width):
        (bias,), (change,) = (
            struct.unpack_from("<i", layer.data, at),
            struct.unpack_from("<i", activations, layout.sums + 4 * i),
        )
        struct.pack_into("<i", layer.data, at, bias - change)
        at += layer.record_step
    layer.folded = True


class WakeWord:
    # layout: lid.gate.model_file.Layout, the network as its file says
    def __init__(self, layout):
        self.name = layout.name
        self.digest = layout.digest
        self.stride = layout.stride
        self._own = layout.window, layout.cutoff_sum
        self._look = look = layout.look
        self._logits = layout.logits
        self.feature_scale = layout.feature_scale
        self._recent = bytearray(layout.window)  # outputs, for the sliding mean
        self._mean_state = array("i", bytes(4 * 5))
        self._fused = array("H", bytes(2 * look.window if look else 0))
        self._fused_state = array("i", (0,) * FUSED_WORDS + (look.state if look else ()))
        self.decision = -1  # 1: the look, 0: none
        self._arena = bytearray(layout.arena_bytes)
        self._initial, self._slides, self._others = buffer_words(layout.buffers)
        # What a layer reads lies in a piece of its own. Their addresses are counted from the lowest: small on 64 bits too.
        self._pieces = [layer.data for layer in layout.layers]
        self._lowest = min(self._pieces, key=uctypes.addressof)
        self._layers = layer_words(layout, self._lowest, self._arena)
        self._behind = layout.sums, (layout.arena_bytes - layout.sums) // 4
        self._logits_at = layout.buffers[layout.logit].start, layout.buffers[layout.layers[-1].out].start
        self._own_count = layout.own_layers
        self._mean_state[_WINDOW] = layout.window
        self.decide(0, 0)

    # decision: 1: the look decides where the file has one; else microWakeWord's own mean. cutoff_q8: of the score; 0: the
    # file's. Another decision starts anew.
    def decide(self, decision, cutoff_q8):
        look = self._look if decision else None
        self.window, own_sum = (look.scale, look.cutoff) if look else self._own  # what is a score's unit
        self.cutoff_sum = cutoff_q8 * self.window or own_sum
        before = self.decision
        self.decision = 1 if look else 0
        logit, second = self._logits_at
        # what infer() unpacks
        self._parts = (
            self._arena, self._slides, self.stride, self._others, self._lowest, self._layers,
            len(self._pieces) if look else self._own_count, self._logits, logit, second, self._recent, self._mean_state,
            self.cutoff_sum, look and self._fused, self._fused_state,
        )  # fmt: skip
        if self.decision == before:
            return
        # a look needs no mean: only to know when an output counts
        self._mean_state[_NEEDED] = _COLD_COLUMNS // self.stride + (1 if look else self._own[0])
        self.reset()

    # as if nothing had been heard: no trace of it stays in memory
    def reset(self):
        initial = self._initial
        for at in range(0, len(initial), _INITIAL_WORDS):
            arena.fill_words(self._arena, initial[at], 4 * initial[at + 1], 1)
            arena.fill_rows(self._arena, *initial[at + 2 : at + _INITIAL_WORDS])
        at, count = self._behind
        arena.fill_words(self._arena, 0, at, count)
        arena.fill_words(self._mean_state, 0, 0, 3)
        for i in range(len(self._recent)):
            self._recent[i] = 0
        arena.fill_words(self._fused_state, 0, 0, FUSED_WORDS)
        for i in range(len(self._fused)):
            self._fused[i] = 0
        self.prob = 0
        self.mean_q8 = -1  # cold: not known
        self.hit = False

    # one inference, from `stride` columns
    def infer(self, columns):
        (
            arena, slides, stride, others, lowest, layers, count, logits, logit, second, recent, state, cutoff, fused, fused_state
        ) = self._parts  # fmt: skip
        advance(arena, columns, arena, slides, stride, others)
        run(0, lowest, arena, layers, count)
        self.prob = prob = logits[arena[logit]]
        mean = sliding_mean(prob, 0, recent, state, cutoff)
        if fused and mean >= 0:
            mean = fused_score(arena[logit] + arena[second], fused, fused_state, cutoff)
        self.mean_q8 = mean >> 1
        self.hit = mean & 1 == 1
