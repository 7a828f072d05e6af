# SPDX-License-Identifier: MIT
"""Finds what is said in a stream of sound: what is louder than the room, with half a second around it. Pure."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from earlid.train.take_quality import FRAME, RATE_HZ, SOUND_FRAMES, Pcm

AROUND_FRAMES = 50  # before and after, half a second
ROOM_FRAMES = 300  # the last of them tell how loud the room is
ROOM_SHARE = 0.2
ROOM_EVERY = 10  # frames
BEGINS_DB, GOES_ON_DB = 10.0, 6.0  # above the room
FAINTEST_DBFS = -60.0
LONGEST_S = 6.0
FULL_SCALE_DB = 20 * math.log10(32768)


class TakeFinder:
    """Takes blocks of samples, gives takes. The first half second is the room."""

    def __init__(self) -> None:
        self._rest = np.zeros(0, np.int16)
        self._frames: deque[Pcm] = deque(maxlen=AROUND_FRAMES + SOUND_FRAMES)  # until something begins
        self._room: deque[float] = deque(maxlen=ROOM_FRAMES)
        self._take: list[Pcm] = []  # from half a second before its begin on; empty while nothing is said
        self._loud = self._quiet = 0  # frames in a row
        self._heard = 0
        self._room_dbfs = self.level_dbfs = FAINTEST_DBFS

    @property
    def ready(self) -> bool:
        """Whether the room is known."""
        return len(self._room) >= AROUND_FRAMES

    @property
    def seconds(self) -> float:
        """How long somebody has been talking; 0 while nobody does."""
        return len(self._take) * FRAME / RATE_HZ

    def push(self, block: Pcm) -> Pcm | None:
        """Hear at most half a second of int16 samples at 16 kHz; the take that ended in it, if one did."""
        samples = np.concatenate([self._rest, block])
        whole = len(samples) // FRAME * FRAME
        self._rest = samples[whole:]
        takes = [self._hear(frame) for frame in samples[:whole].reshape(-1, FRAME)]
        return next((take for take in takes if take is not None), None)

    def _hear(self, frame: Pcm) -> Pcm | None:
        self.level_dbfs = _level_dbfs(frame)
        if not self._take:
            self._frames.append(frame)
            self._learn_room(self.level_dbfs)
            self._loud = self._loud + 1 if self.ready and self.level_dbfs > self._room_dbfs + BEGINS_DB else 0
            if self._loud == SOUND_FRAMES:
                self._take, self._quiet = list(self._frames), 0
            return None
        self._take.append(frame)
        self._quiet = 0 if self.level_dbfs > self._room_dbfs + GOES_ON_DB else self._quiet + 1
        if self._quiet < AROUND_FRAMES and self.seconds < LONGEST_S:
            return None
        for heard in self._take:
            self._learn_room(_level_dbfs(heard))  # a room that grew louder is no endless word
        take = np.concatenate(self._take)
        self._take, self._loud = [], 0
        self._frames.clear()
        return take

    def _learn_room(self, level_dbfs: float) -> None:
        self._room.append(level_dbfs)
        self._heard += 1
        if self._heard % ROOM_EVERY == 0:
            self._room_dbfs = max(FAINTEST_DBFS, sorted(self._room)[int(len(self._room) * ROOM_SHARE)])


def _level_dbfs(frame: Pcm) -> float:
    return 10 * math.log10(max(1.0, float(frame.astype(np.float32).var()))) - FULL_SCALE_DB
