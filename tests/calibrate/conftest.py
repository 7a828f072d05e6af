# SPDX-License-Identifier: MIT
"""Fixtures: virtual boards in rooms of known noise, and a guide that plays the person's part."""

import contextlib
import fcntl
import json
import os
import struct
import termios
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from earlid.board.link import Link
from earlid.gate import models
from earlid.gate.audio import read_audio
from earlid.guide import Guide
from earlid.virtual.board import VirtualBoard

SPEECH = Path(__file__).parents[2] / "host" / "earlid" / "demo" / "speech"
RATE_HZ = 16000
START_MS = 5000
STEP_MS = 10
SPEED = 12.0  # of a board's time, at most; below what this machine can do, idle


@pytest.fixture(scope="session")
def model():
    return models.load("alexa")


def speech(name, scale=1.0):
    """One of the demo's clips, amplified."""
    clip = read_audio(SPEECH / f"{name}.flac").astype(float) * scale
    return np.clip(np.rint(clip), -32768, 32767).astype(np.int16)


def unread(path):
    """How many bytes of a board nobody has taken from its port yet."""
    port = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        return struct.unpack("i", fcntl.ioctl(port, termios.FIONREAD, bytes(4)))[0]
    finally:
        os.close(port)


def pass_time(board):
    """A moment of board time, unless somebody has yet to take in what the board said: it never runs ahead of its listener."""
    if not unread(board.serial_port):
        board.run_ms(STEP_MS)


class Room:
    """A virtual board in a room of noise.

    Its time goes SPEED times the wall's at most, and only as fast as its words are taken in, however busy this machine is.
    """

    def __init__(self, model, noise_dbfs=-65.0, microphone="ok", seed=0, word=True):
        self.board = VirtualBoard(files={"model.bin": model.blob} if word else {}, seed=seed)
        self.board.noise(noise_dbfs)
        self.board.microphone = microphone
        self.board.start()
        self.board.run_ms(START_MS)
        self._open = True
        self._thread = threading.Thread(target=self._drive, daemon=True)
        self._thread.start()

    def _drive(self):
        while self._open:
            begun_s = time.monotonic()
            pass_time(self.board)
            time.sleep(max(0.0005, STEP_MS / 1000 / SPEED - (time.monotonic() - begun_s)))

    def close(self):
        self._open = False
        self._thread.join()
        self.board.stop()

    @contextlib.contextmanager
    def link(self):
        with Link(self.board.serial_port) as link:
            yield link


@pytest.fixture
def make_room(model):
    """Makes rooms that are closed after the test."""
    rooms = []

    def make(*args, **options):
        rooms.append(Room(model, *args, **options))
        return rooms[-1]

    yield make
    for room in rooms:
        room.close()


class Actor(Guide):
    """A person: does what the guide says, on the virtual board, and remembers what was said."""

    def __init__(self, room, talk=None, sayings=(), ordinary=None):
        super().__init__()
        self.board = room.board
        self.talk, self.sayings, self.ordinary = talk, list(sayings), ordinary
        self.events = []
        self._next = None  # what is heard from the next reading on

    def report(self, event, text, **values):
        json.dumps(values)  # every event can be a line of --json
        self.events.append((event, values))
        if event == "step":
            self._next = {"voice": self.talk, "noise": self.ordinary}.get(values["step"])
        elif event == "consent":
            self.consent()
        elif event == "now":
            clip = self.sayings[values["trial"] - 1]
            if clip is not None:
                self.board.play(clip)
        elif event == "written":
            self.board.talk(False)
            self.board.mute(False)

    def consent(self):
        """What the person does when the board asks: the gesture."""
        self.board.mute(True)
        self.board.at(self.board.now_ms + 100, lambda: self.board.talk(True))

    def on_reading(self, level_dbfs, seconds):
        if self._next is not None:
            self.board.play(self._next)
            self._next = None

    def values(self, event):
        """The values of the last event of a name."""
        matching = [values for name, values in self.events if name == event]
        assert matching, f"no {event}; there were {[name for name, _ in self.events]}"
        return matching[-1]

    def names(self, event):
        return [values for name, values in self.events if name == event]
