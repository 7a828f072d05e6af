# SPDX-License-Identifier: MIT
"""UART model: carries bytes between the chip's pipes and the host's port, and detects the chip's requests."""

from __future__ import annotations

import os
import select

from earlid.virtual.processor import Processor
from earlid.virtual.pty_port import PtyPort
from earlid.virtual.uart_text import RX_BUFFER_BYTES, Receiver, Transmitter


class Uart:
    """The line between chip and port. `stall_us` is how long the chip has yet to wait for its full FIFO."""

    def __init__(self, port: PtyPort, processor: Processor) -> None:
        self.port = port
        self.processor = processor
        self.transmitter = Transmitter()
        self.receiver = Receiver()
        self.stall_us = 0
        self.interrupt = False  # Ctrl-C has come, and running code is to be interrupted
        self.delivered = 0  # bytes of input that the chip has been sent
        self._poll = select.poll()
        self._polled = (-1, -1, -1)
        self._pumps = 0

    def reset(self) -> None:
        """Reset the chip's side: unread input is dropped, and its REPL is the friendly one again."""
        self.receiver.queue.clear()
        self.transmitter.reset(False)
        self.interrupt = False
        self.stall_us = 0

    def _register(self, fds: tuple[int, int, int]) -> None:
        for fd in self._polled:
            if fd >= 0:
                try:
                    self._poll.unregister(fd)
                except KeyError:
                    pass
        for fd in fds:
            if fd >= 0:
                self._poll.register(fd, select.POLLIN)
        self._polled = fds

    def transfer(self, now_us: int, timeout_ms: int, paced: bool, interrupting: bool) -> bool:
        """Carry bytes both ways, waiting up to `timeout_ms`; True when the chip has sent a request (or ended).

        `paced`: the host's bytes come at the line's speed. `interrupting`: Ctrl-C may be meant for running code.
        After a wait in vain the chip gets no input: in which hop it finds a byte must not depend on how fast this
        computer is.
        """
        self._pumps += 1
        port, processor = self.port, self.processor
        if not self._pumps & 15:
            port.poll()
        fds = (processor.request_fd, processor.stdout_fd, port.listening_fd)
        if fds != self._polled:
            self._register(fds)
        requested = False
        for fd, event in self._poll.poll(timeout_ms):
            if fd == fds[0]:
                requested = True
            elif fd == fds[1]:
                if event & select.POLLIN:
                    self.read_output(now_us)
                else:
                    requested = True
            else:
                self.receiver.put(port.read())
        if self.receiver.queue and processor.pid and (requested or not timeout_ms):
            self._deliver_input(now_us, paced, interrupting)
        return requested

    def read_output(self, now_us: int) -> None:
        """Read everything that the chip has printed by now and send it to the port."""
        if self.processor.stdout_fd < 0:
            return
        while True:
            try:
                data = os.read(self.processor.stdout_fd, 65536)
            except BlockingIOError:
                return
            if not data:
                return
            sent = self.transmitter.encode(data)
            if sent:
                self.stall_us = max(self.stall_us, self.transmitter.stall_us(now_us, len(sent)))
                self.port.write(sent)

    def emit(self, text: bytes) -> None:
        """Send a text of the chip's ROM or of the MicroPython port itself."""
        self.transmitter.log(text)
        self.port.write(text)

    def start_raw(self) -> None:
        """Bring a fresh chip's REPL into raw mode, unseen by the host."""
        self.transmitter.hide_until_raw()
        os.write(self.processor.stdin_fd, b"\x01")

    def _deliver_input(self, now_us: int, paced: bool, interrupting: bool) -> None:
        if self.interrupt:
            if self.processor.interruptible():
                return  # what was typed behind Ctrl-C goes to whatever reads after the interrupt
            self.interrupt = False  # the code it was meant for ended by itself
        room = RX_BUFFER_BYTES - self.processor.unread_input()
        data = self.receiver.due(now_us, room, paced)
        if interrupting and b"\x03" in data and self.processor.interruptible():
            data = data.replace(b"\x03", b"")
            self.interrupt = True
        if data:
            self.delivered += len(data)
            try:
                os.write(self.processor.stdin_fd, data)
            except BrokenPipeError:
                pass
