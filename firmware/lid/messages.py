# SPDX-License-Identifier: MIT
# What the board says of itself: journal records (durable, then sent), the greeting, live numbers.
import binascii

from micropython import const

from lid import record
from lid.segments import FlashError

VERSION = "0.1.0"
VERSION_CODE = const(0x000100)  # major << 16, minor << 8, patch


class Notes:
    # app: lid.app.App, for what it knows at the moment of a note
    def __init__(self, app, link):
        self._app = app
        self._journal = app.journal
        self._link = link
        self._board = app.board
        self._clock = app.clock

    def note(self, event, reason, a, b, score=-1):
        """Append a record and send it; False when it could not be made durable: the lid then stays closed until a power cycle."""
        app = self._app
        if event != "close":
            app.finish_closing()
        wall = self._clock.wall()
        flags = record.PRESENCE if app.presence() else 0
        flags |= record.MUTED if app.muted() else 0
        flags |= record.CLOCK_SET if wall[0] else 0
        if score < 0:
            score = app.hearing.score
        rails = (min(self._board.guarded_mv(), 65535), min(self._board.sentinel_mv(), 65535))
        energy = app.hearing.energy_log2_q8
        try:
            seq = self._journal.append(self._clock.ms(), event, reason, score, flags, energy, rails, wall, a, b)
        except FlashError as error:
            app.policy.fail(error.args[0])
            return False
        self._link.send({"rec": record.slot_to_wire(self._journal.find(seq))})
        return True

    def describe(self):
        app, journal = self._app, self._journal
        return {
            "board": journal.board, "fw": VERSION, "proto": 1, "boot": journal.boot, "ms": self._clock.ms(),
            "state": app.policy.state, "mute": app.muted(), "why": app.policy.reason,
            "seq": journal.seq, "link": binascii.hexlify(journal.link).decode(), "oldest": journal.oldest, "acked": journal.acked,
            "word": app.hearing.word, "model": app.hearing.model, "config": "%08x" % app.digest,
            "guarded_mv": self._board.guarded_mv(), "sentinel_mv": self._board.sentinel_mv(),
            "dropped": self._link.dropped, "overruns": app.hearing.overruns, "maintenance": False, "presence": app.presence(),
        }  # fmt: skip

    def greet(self):
        self._link.send({"hi": self.describe()})

    def live(self):
        app, hearing = self._app, self._app.hearing
        self._link.send({"tm": {
            "ms": self._clock.ms(), "state": app.policy.state, "live": app.live_ms(), "rail": app.guarded_mv,
            "lvl": hearing.energy_log2_q8, "floor": hearing.floor_log2_q8, "score": hearing.score, "prob": hearing.prob,
            "gate": int(hearing.gate_open), "peak": hearing.peak(), "clip": hearing.intake.clipped,
            "drop": self._link.dropped, "over": hearing.overruns,
        }})  # fmt: skip
