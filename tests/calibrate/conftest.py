"""Boards in rooms of known noise, and a guide that plays the person's part."""

import contextlib
import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from earlid.board.link import Link
from earlid.calibrate.guide import Guide
from earlid.gate import models
from earlid.gate.audio import read_audio
from earlid.virtual.board import VirtualBoard

SPEECH = Path(__file__).parents[2] / "host" / "earlid" / "virtual" / "speech"
RATE_HZ = 16000
START_MS = 5000
AHEAD_MS = 300.0  # how far a board's time may be ahead of what was taken in
LISTENING_S = 0.5


@pytest.fixture(autouse=True)
def own_data_dir(tmp_path, monkeypatch):
    """No test may touch real profiles, nor a real board."""
    monkeypatch.setenv("EARLID_DATA_DIR", str(tmp_path / "data"))
    for name in ("EARLID_PORT", "ESPTOOL_PORT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "data"


@pytest.fixture(scope="session")
def model():
    return models.load("alexa")


def speech(name, scale=1.0):
    """One of the demo's clips, amplified."""
    clip = read_audio(SPEECH / f"{name}.flac").astype(float) * scale
    return np.clip(np.rint(clip), -32768, 32767).astype(np.int16)


class Room:
    """A virtual board in a room of noise.

    Its time goes as the wall's while nobody listens; while somebody does, it goes on as readings are taken in, never far
    ahead of the listener, however busy this machine is.
    """

    def __init__(self, model, noise_dbfs=-65.0, microphone="ok", seed=0, word=True):
        self.board = VirtualBoard(files={"model.bin": model.blob} if word else {}, seed=seed)
        self.board.noise(noise_dbfs)
        self.board.microphone = microphone
        self.board.start()
        self.board.run_ms(START_MS)
        self._credit_ms = 0.0
        self._heard_s = 0.0
        self._open = True
        self._thread = threading.Thread(target=self._drive, daemon=True)
        self._thread.start()

    def _drive(self):
        before_s = time.monotonic()
        while self._open:
            now_s = time.monotonic()
            if now_s - self._heard_s > LISTENING_S:
                self._credit_ms += (now_s - before_s) * 1000
            before_s = now_s
            if self._credit_ms > 0:
                step_ms = min(self._credit_ms, 20.0)
                self._credit_ms -= step_ms
                self.board.run_ms(step_ms)
            else:
                time.sleep(0.0005)

    def heard(self):
        """One more reading was taken in."""
        if time.monotonic() - self._heard_s > LISTENING_S:
            self._credit_ms = max(self._credit_ms, AHEAD_MS)
        self._heard_s = time.monotonic()
        self._credit_ms += 30

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
    made = []

    def make(*args, **options):
        made.append(Room(model, *args, **options))
        return made[-1]

    yield make
    for room in made:
        room.close()


class Actor(Guide):
    """A person: does what the guide says, on the virtual board, and remembers what was said."""

    def __init__(self, room, talk=None, sayings=(), ordinary=None, hold=True):
        super().__init__()
        self.room, self.board = room, room.board
        self.talk, self.sayings, self.ordinary, self.hold = talk, list(sayings), ordinary, hold
        self.told = []

    def tell(self, event, text, **values):
        json.dumps(values)  # every event can be a line of --json
        self.told.append((event, values))
        if event == "step":
            sound = {"voice": self.talk, "noise": self.ordinary}.get(values["step"])
            if sound is not None:
                self.board.play(sound)
        elif event == "now" and values.get("hold"):
            self.board.talk(self.hold)
        elif event == "now":
            clip = self.sayings[values["trial"] - 1]
            if clip is not None:
                self.board.play(clip)
        elif event == "written":
            self.board.talk(False)

    def heard(self, level_dbfs, seconds):
        self.room.heard()

    def values(self, event):
        """The values of the last event of a name."""
        found = [values for name, values in self.told if name == event]
        assert found, f"no {event}; there were {[name for name, _ in self.told]}"
        return found[-1]

    def names(self, event):
        return [values for name, values in self.told if name == event]
