# SPDX-License-Identifier: MIT
# Reads the network files that the host writes (host: earlid/gate/blob_writer.py has the layout). Every number is checked
# before use: a damaged file ends in a ValueError that says what is wrong, never in a kernel that writes elsewhere.
import binascii
import struct

from micropython import const

from lid.gate import weights

_VERSION = const(3)
_LOOK_VERSION = const(4)  # of a file with a look
LANES = const(16)
_HEADS = const(64)  # at least a row of columns: a head may stand one row before its buffer
_OFFSET = const(1 << 29)
_RECORD = const(4 * 4)
_LOOK_RECORD = const(12)
_TABLES = const(2 * 4 * 256)  # of an addition
_EXTRA_ROWS = const(4)
_MAX_ARENA = const(65536)
DENSE = const(1)
_DOT = const(2)
DEPTHWISE = const(3)
_ADD = const(4)
_MAXPOOL = const(5)
_AVGPOOL = const(6)
_LOOK = const(7)


def load(path):
    """The network in a file; OSError, ValueError with what is wrong, or MemoryError."""
    return Layout(weights.load(path))


class BufferEntry:
    def __init__(self, blob, at, start):
        self.channels, self.rows, self.zero, self.sliding, self.row = struct.unpack_from("<HHBBH", blob, at)
        bad = self.row < self.channels or self.row % 8 or not self.channels
        bad = bad or (self.sliding and self.rows == 1 and self.row > start)
        if bad or not 0 < self.rows < 1024 or self.sliding > 1 or (self.rows > 1 and not self.sliding):
            raise ValueError("network: damaged buffer table")
        self.start = start
        self.end = start + self.row * (self.rows + _EXTRA_ROWS if self.sliding else 1)


class LayerEntry:
    # data: its weights and records; start: where in the file they begin
    def __init__(self, blob, at, data, start):
        (
            self.kind, self.source, self.second, self.out, self.first, self.second_first, self.out_first, self.rows,
            self.width, self.skip, self.zero, self.record_step, _, self.least, self.reversed, self.weights, self.records,
        ) = struct.unpack_from("<4B6HBBHIIII", blob, at)  # fmt: skip
        self.groups = (self.width + LANES - 1) // LANES
        self.length = self.rows  # over which a kernel sums
        self.corrected = 0  # bytes of input that correct the sums
        self.average = int(self.kind == _AVGPOOL)
        self.folded = False  # the input's zero is in the biases, see wakeword.py
        self.data = data
        self.weights = max(self.weights - start, 0)  # 0 in the file where there are none
        self.records -= start


# The last entry of a file that has one: the layers behind the network's own are a second logit, and how the two decide.
class Look:
    def __init__(self, data, start):
        self.window, self.scale, lowest, self.cutoff = struct.unpack_from("<2H2I", data, start)
        most = 255 * self.scale
        if not (0 < self.window <= 64 and self.scale) or lowest > 510 * self.window or self.cutoff > most:
            raise ValueError("network: damaged look")
        self.state = (self.window, lowest, most, self.scale)  # as smoothing.py wants it


class Layout:
    # pieces: as lid.gate.weights reads them
    def __init__(self, pieces):
        head, tables, self.logits = pieces[:3]
        self._check_whole(pieces)
        self.stride, self.window, buffers, layers, self.cutoff_sum = struct.unpack_from("<4BI", head, 16)
        self.feature_scale = struct.unpack_from("<4i", head, 24)
        self.digest = bytes(head[40:72])
        name, languages, columns, _ = struct.unpack_from("<4H", head, 72)
        if columns != 40 or not (self.stride and self.window and buffers and layers):
            raise ValueError("network: damaged header")
        self.name = str(bytes(tables[:name]), "utf-8")
        self.buffers = []
        self.layers = []
        self.look = None
        self.own_layers = layers
        at = (name + languages + 3) & -4
        end = max(_HEADS, 4 * buffers)
        for number in range(buffers):
            self.buffers.append(BufferEntry(tables, at, end))
            at += weights.BUFFER_BYTES
            end = self.buffers[-1].end
            if end > _MAX_ARENA:
                raise ValueError("network: %d bytes of activations, %d too many" % (end, end - _MAX_ARENA))
        start = weights.HEADER_BYTES + len(tables) + weights.LOGITS_BYTES
        for number in range(layers):
            layer = LayerEntry(tables, at, pieces[3 + number], start)
            if layer.kind == _LOOK:
                self._add_look(layer, number + 1 == layers)
                break
            if not self._fits(layer, len(layer.data)):
                raise ValueError("network: damaged layer %d" % number)
            self.layers.append(layer)
            at += weights.LAYER_BYTES
            start += len(layer.data)
        self.sums = end
        self.arena_bytes = end + 4 * LANES * max(layer.groups for layer in self.layers) + LANES
        if not self.look:
            self.logit = self.layers[-1].out
        entry, last = self.buffers[0], self.buffers[self.logit]
        if entry.channels != 40 or not entry.sliding or (last.channels, last.sliding) != (1, 0):
            raise ValueError("network: damaged first or last buffer")

    def _add_look(self, layer, last):
        self.logit = layer.source
        outs = [other.out for other in self.layers]
        ok = last and self.logit in outs and outs[-1] != self.logit and 0 <= layer.records <= len(layer.data) - _LOOK_RECORD
        second = self.buffers[outs[-1] if ok else 0]
        if not ok or (second.channels, second.sliding) != (1, 0):
            raise ValueError("network: damaged look")
        self.own_layers = max(i + 1 for i, out in enumerate(outs) if out == self.logit)
        self.look = Look(layer.data, layer.records)

    def _check_whole(self, pieces):
        magic, version, header, stated, checksum = struct.unpack_from("<4sHHII", pieces[0], 0)
        if magic != b"ELWW":
            raise ValueError("not a network file: it begins with %s" % magic)
        if version not in (_VERSION, _LOOK_VERSION) or header != weights.HEADER_BYTES:
            raise ValueError("network file version %d, this firmware reads versions up to %d" % (version, _LOOK_VERSION))
        size = 0
        crc = 0
        for piece in pieces:
            crc = binascii.crc32(piece if size else piece[16:], crc)
            size += len(piece)
        if size != stated:
            raise ValueError("network: %d bytes of %d, %d missing" % (size, stated, stated - size))
        if crc & 0xFFFFFFFF != checksum:
            raise ValueError("network: checksum does not match, the file is damaged")

    def _fits(self, layer, size):
        count = len(self.buffers)
        if (
            layer.records < 0
            or max(layer.source, layer.second) >= count
            or not 0 < layer.out < count
            or not layer.width
            or not layer.rows
        ):
            return False
        source, second, out = self.buffers[layer.source], self.buffers[layer.second], self.buffers[layer.out]
        if layer.out_first + layer.width > out.channels or layer.rows > source.rows or max(layer.least, layer.reversed) > _OFFSET:
            return False
        if layer.kind in (DENSE, _DOT):
            layer.length = layer.corrected = layer.rows * source.row
            outputs = LANES * layer.groups if layer.kind == DENSE else layer.width
            weights = outputs * layer.length
            ok = layer.first == 0 and layer.skip == 0
        elif layer.kind == DEPTHWISE:
            weights = LANES * layer.groups * layer.rows
            ok = layer.first + LANES * layer.groups <= source.row and layer.rows < source.rows
            ok = ok and layer.skip + layer.width <= LANES * layer.groups
        elif layer.kind == _ADD:
            weights = _TABLES
            ok = layer.first + layer.width <= source.channels and layer.second_first + layer.width <= second.channels
            ok = ok and layer.record_step == 0 and layer.skip == 0 and layer.weights % 4 == 0
        else:
            weights = 0
            ok = layer.kind in (_MAXPOOL, _AVGPOOL) and layer.first + layer.width <= source.channels and layer.skip == 0
        ok = ok and layer.record_step in (0, _RECORD) and layer.records % 4 == 0 and layer.weights + weights <= size
        return ok and layer.records + _RECORD + layer.record_step * (layer.width - 1) <= size
