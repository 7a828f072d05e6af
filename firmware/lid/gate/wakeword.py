# SPDX-License-Identifier: MIT
# A streaming wake word network: columns of features in, one byte of probability every `stride` columns.
from array import array

from lid.gate import arena, feature_ring, kernels, model_file, rescale
from lid.gate.arena import advance
from lid.gate.rescale import requantise
from lid.gate.smoothing import sliding_mean


class WakeWord:
    def __init__(self, blob):
        plan = model_file.Plan(blob)
        self.name = plan.name
        self.languages = plan.languages
        self.digest = plan.digest
        self.stride = plan.stride
        self.window = plan.window
        self.cutoff_sum = plan.cutoff_sum
        self.prob = 0
        self.mean_q8 = 0
        self.hit = False
        self._blob = blob
        self._logits = plan.logits
        self._formula = plan.formula
        self._columns, self._ring = self.ring(plan.stride)
        self._recent = bytearray(plan.window)
        self._sums = array("i", (0, 0, 0, plan.window))
        self._arena = bytearray(plan.arena_bytes)
        self._slides = array("i")  # what arena.advance() wants of each sliding buffer, the input's first
        self._others = -1  # how many but the input
        self._fill = []  # how each buffer, and each depthwise layer's sums, begin
        for number, buffer in enumerate(plan.buffers):
            self._add_buffer(number, buffer)
        self._steps = []
        for layer in plan.layers:
            self._add_layer(plan, layer)
        self._fill.append((plan.acc, 0, (plan.arena_bytes - plan.acc) // 4))
        last = plan.buffers[plan.layers[-1].out]
        self._logit = last.start
        self.reset()

    def _add_buffer(self, number, buffer):
        keep = (buffer.rows - 1) * buffer.row
        head = buffer.start + keep - (buffer.row if buffer.moving else 0)
        self._fill.append((number, head, buffer))
        if buffer.moving:
            self._slides.extend(array("i", (number, buffer.row, buffer.start, buffer.end, keep)))
            self._others += 1

    def _add_layer(self, plan, layer):
        source = plan.buffers[layer.source]
        back = (layer.rows - 1) * source.row
        if layer.kind == model_file.DEPTHWISE:
            self._fill.append((layer.sums, 128 * layer.rows * (255 - source.zero), model_file.LANES * layer.groups))
        p = array(
            "i",
            (
                layer.source, layer.first, layer.second, layer.second_first, layer.out, layer.out_first, layer.count,
                source.row, layer.groups, layer.width, layer.weights, layer.records, layer.step, layer.zero, layer.least,
                layer.odd, plan.acc, layer.skip, layer.sums, layer.total, back,
            ),
        )  # fmt: skip
        dense = layer.kind == model_file.DENSE
        pool = rescale.pool
        kernel = (None, kernels.dense, kernels.dot, kernels.depthwise, rescale.add, pool, pool)[layer.kind]
        self._steps.append((kernel, 0 if dense else self._arena, p))

    # as if nothing had been heard: no trace of it stays in memory
    def reset(self):
        for at, head, buffer in self._fill:
            if isinstance(buffer, int):
                arena.fill_words(self._arena, head, at, buffer)
            else:
                arena.fill_words(self._arena, head, 4 * at, 1)
                count = (buffer.end - buffer.start) // buffer.row
                arena.fill_rows(self._arena, buffer.zero, buffer.start, buffer.channels, buffer.row, count)
        arena.fill_words(self._columns, 0, 0, len(self._columns) // 4)
        arena.fill_words(self._ring, 0, 0, 2)
        arena.fill_words(self._sums, 0, 0, 3)
        for i in range(self.window):
            self._recent[i] = 0
        self.mean_q8 = 0
        self.hit = False
        self.prob = 0

    # a ring of columns, a multiple of the stride, and its state, for feature_ring.push_column()
    def ring(self, columns):
        return bytearray(columns * feature_ring.COLUMN_BYTES), array("i", (0, 0, columns, self.stride, 0) + self._formula)

    # features: 40 uint16. True when an inference ran.
    def push(self, features):
        if feature_ring.push_column(0, features, self._columns, self._ring, 0) < self.stride:
            return False
        self.infer(self._columns, feature_ring.pop_columns(self._ring))
        return True

    # `stride` columns, from this place of a ring on
    def infer(self, columns, at):
        arena = self._arena
        blob = self._blob
        advance(arena, columns, arena, self._slides, at, self.stride, self._others)
        final = requantise
        for kernel, first, p in self._steps:
            kernel(first, blob, arena, p)
            final(0, blob, arena, p)
        prob = blob[self._logits + arena[self._logit]]
        mean = sliding_mean(prob, 0, self._recent, self._sums, self.cutoff_sum)
        self.prob = prob
        self.mean_q8 = mean >> 1
        self.hit = mean & 1 == 1
