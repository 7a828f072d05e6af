# SPDX-License-Identifier: MIT
"""Carries serial bytes between the chip's pipes and the host's port, and tells when the chip has spoken to nature."""

from __future__ import annotations

import os
import select

from earlid.virtual.port import Port
from earlid.virtual.processor import Processor
from earlid.virtual.uart_text import RX_BUFFER_BYTES, Receiver, Transmitter


class Uart:
    """The serial line's middle. `stall_us` is what the chip has yet to wait for its full FIFO."""

    def __init__(self, port: Port, processor: Processor) -> None:
        self.port = port
        self.processor = processor
        self.transmitter = Transmitter()
        self.receiver = Receiver()
        self.stall_us = 0
        self.interrupt = False  # Ctrl-C has come, and running code is to be interrupted
        self.given = 0  # bytes of input that the chip was given
        self._poll = select.poll()
        self._polled = (-1, -1, -1)
        self._pumps = 0

    def reset(self) -> None:
        """The chip is reset: what it had not read is gone, and its REPL is the friendly one again."""
        self.receiver.queue.clear()
        self.transmitter.reset(False)
        self.interrupt = False
        self.stall_us = 0

    def _watch(self, wanted: tuple[int, int, int]) -> None:
        for fd in self._polled:
            if fd >= 0:
                try:
                    self._poll.unregister(fd)
                except KeyError:
                    pass
        for fd in wanted:
            if fd >= 0:
                self._poll.register(fd, select.POLLIN)
        self._polled = wanted

    def pump(self, now_us: int, patience_ms: int, paced: bool, interrupting: bool) -> bool:
        """Carry bytes both ways, waiting up to `patience_ms`; True when the chip has spoken to nature (or ended).

        `paced`: the host's bytes come at the line's speed. `interrupting`: Ctrl-C may be meant for running code.
        Who waits in vain leaves the chip to its work without input: in which hop it finds a byte must not hang on how
        fast the computer is.
        """
        self._pumps += 1
        port, processor = self.port, self.processor
        if not self._pumps & 15:
            port.look()
        wanted = (processor.request_fd, processor.stdout_fd, port.listening_fd)
        if wanted != self._polled:
            self._watch(wanted)
        spoken = False
        for fd, event in self._poll.poll(patience_ms):
            if fd == wanted[0]:
                spoken = True
            elif fd == wanted[1]:
                if event & select.POLLIN:
                    self.take_output(now_us)
                else:
                    spoken = True
            else:
                self.receiver.put(port.read())
        if self.receiver.queue and processor.pid and (spoken or not patience_ms):
            self._give_input(now_us, paced, interrupting)
        return spoken

    def take_output(self, now_us: int) -> None:
        """Everything that the chip has printed by now."""
        if self.processor.stdout_fd < 0:
            return
        while True:
            try:
                data = os.read(self.processor.stdout_fd, 65536)
            except BlockingIOError:
                return
            if not data:
                return
            sent = self.transmitter.take(data)
            if sent:
                self.stall_us = max(self.stall_us, self.transmitter.stall_us(now_us, len(sent)))
                self.port.write(sent)

    def say(self, text: bytes) -> None:
        """What the chip's ROM or port says by itself."""
        self.transmitter.keep(text)
        self.port.write(text)

    def start_raw(self) -> None:
        """Bring a fresh chip's REPL into raw mode, unseen by the host."""
        self.transmitter.hide_until_raw()
        os.write(self.processor.stdin_fd, b"\x01")

    def _give_input(self, now_us: int, paced: bool, interrupting: bool) -> None:
        if self.interrupt:
            if self.processor.interruptible():
                return  # what was typed behind Ctrl-C is for whoever reads after the interrupt
            self.interrupt = False  # the code it was meant for ended by itself
        room = RX_BUFFER_BYTES - self.processor.unread_input()
        data = self.receiver.due(now_us, room, paced)
        if interrupting and b"\x03" in data and self.processor.interruptible():
            data = data.replace(b"\x03", b"")
            self.interrupt = True
        if data:
            self.given += len(data)
            try:
                os.write(self.processor.stdin_fd, data)
            except BrokenPipeError:
                pass
