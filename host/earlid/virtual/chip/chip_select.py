# SPDX-License-Identifier: MIT
# `select` as it is, but for the I2S driver, which it must ask in board time.
import select as _select

from chip_machine import I2S

POLLIN = _select.POLLIN
POLLOUT = _select.POLLOUT
POLLERR = _select.POLLERR
POLLHUP = _select.POLLHUP


class poll:
    def __init__(self):
        self._poll = _select.poll()
        self._i2s = None

    def register(self, stream, events=POLLIN | POLLOUT):
        if isinstance(stream, I2S):
            self._i2s = stream
        else:
            self._poll.register(stream, events)

    def unregister(self, stream):
        if isinstance(stream, I2S):
            self._i2s = None
        else:
            self._poll.unregister(stream)

    def ipoll(self, timeout=-1):
        if self._i2s is None:
            return self._poll.ipoll(timeout)
        if timeout:
            raise NotImplementedError("the virtual board polls I2S without waiting only")
        self._i2s._poll()
        return iter(((self._i2s, POLLIN),))  # right only after a read that gave too little, on the chip too

    def poll(self, timeout=-1):
        return list(self.ipoll(timeout))
