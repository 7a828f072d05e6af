# SPDX-License-Identifier: MIT
# The board's end of the wire: lines out through a bounded queue, requests in. It never waits for the port.
from micropython import const

from lid import wire

_QUEUE_BYTES = const(4096)
_CHUNK_BYTES = const(96)  # a hop's worth at 115200 baud is 115 bytes: more would make the UART wait
_INPUT_BYTES = const(64)


class Link:
    # port: read_port(buffer), port_ready(), write_port(data)
    def __init__(self, port):
        self._port = port
        self._queue = bytearray(_QUEUE_BYTES)
        self._view = memoryview(self._queue)
        self._head = 0
        self._fill = 0
        self._input = bytearray(_INPUT_BYTES)
        self._input_view = memoryview(self._input)
        self._decoder = wire.Decoder(wire.BOARD_LINE_MAX)
        self._seq = 0
        self.dropped = 0

    def send(self, body):
        """Queue one line; dropped, and counted, when there is no room for the whole of it."""
        seq = self._seq
        self._seq += 1  # a dropped line leaves a gap in the numbers: the host sees it
        fill = self._fill
        for piece in wire.encode_pieces(seq, body):
            size = len(piece)
            if fill + size > _QUEUE_BYTES:
                self.dropped += 1
                return
            tail = (self._head + fill) % _QUEUE_BYTES
            first = min(size, _QUEUE_BYTES - tail)
            self._queue[tail : tail + first] = piece[:first]
            self._queue[: size - first] = piece[first:]
            fill += size
        self._fill = fill  # only now is the line there

    def free_bytes(self):
        return _QUEUE_BYTES - self._fill

    def drain(self):
        # Once a hop: a piece of the queue to the port, if it takes it.
        if not self._fill or not self._port.port_ready():
            return
        size = min(self._fill, _CHUNK_BYTES, _QUEUE_BYTES - self._head)
        self._port.write_port(self._view[self._head : self._head + size])
        self._head = (self._head + size) % _QUEUE_BYTES
        self._fill -= size

    def receive(self):
        # Once a hop: the requests that are complete; None when there are none.
        used = self._port.read_port(self._input)
        if not used:
            return None
        received = []
        for _, body in self._decoder.feed(self._input_view[:used]):
            request_id = body.get("id")
            if type(request_id) is int and 0 <= request_id < wire.SEQ_WRAP and type(body.get("do")) is str:
                received.append(body)
        return received
