# SPDX-License-Identifier: MIT
# What the board sends: journal records (durable first), and the numbers of hello and telemetry.
import binascii

from micropython import const

from lid import config, record
from lid.segments import FlashError

VERSION = "0.2.0"
VERSION_CODE = const(0x000200)  # major << 16, minor << 8, patch


class _Reporter:
    # settings: those in force, as lid.config checks them
    def __init__(self, board, journal, link, clock, policy, hearing, contact, mute, talk, settings):
        self._board = board
        self._journal = journal
        self._link = link
        self._clock = clock
        self._policy = policy
        self._hearing = hearing
        self._contact = contact
        self._mute = mute
        self._talk = talk
        self._settings = settings


class Recorder(_Reporter):
    def append(self, event, reason, a, b, score=-1):
        """Append a record and send it; False when it could not be made durable: the lid then stays closed until a power cycle."""
        self.finish_closing()  # a receipt keeps its place in the order of things
        wall = self._clock.wall()
        flags = record.PRESENCE if self._talk.presence() else 0
        flags |= record.MUTED if self._mute.muted else 0
        flags |= record.CLOCK_SET if wall[0] else 0
        if score < 0:
            score = self._hearing.score
        rails = (min(self._board.guarded_mv(), 65535), min(self._board.sentinel_mv(), 65535))
        energy = self._hearing.energy_log2_q8
        try:
            seq = self._journal.append(self._clock.ms(), event, reason, score, flags, energy, rails, wall, a, b)
        except FlashError as error:
            self._policy.fail(error.args[0])
            return False
        self._link.send({"rec": record.slot_to_wire(self._journal.find(seq))})
        return True

    def finish_closing(self):
        closing = self._contact.take_closing()
        if closing:
            self.append("close", *closing)


class Status(_Reporter):
    def hello(self):
        journal, hearing = self._journal, self._hearing
        return {
            "board": journal.board, "fw": VERSION, "proto": 2, "boot": journal.boot, "ms": self._clock.ms(),
            "state": self._policy.state, "mute": self._mute.muted, "why": self._policy.reason,
            "seq": journal.seq, "link": binascii.hexlify(journal.link).decode(), "oldest": journal.oldest, "acked": journal.acked,
            "word": hearing.word, "model": hearing.model, "config": "%08x" % config.digest(self._settings),
            "epoch": journal.epoch,
            "guarded_mv": self._board.guarded_mv(), "sentinel_mv": self._board.sentinel_mv(),
            "dropped": self._link.dropped, "overruns": hearing.overruns, "maintenance": False, "presence": self._talk.presence(),
        }  # fmt: skip

    def telemetry(self):
        hearing = self._hearing
        return {
            "ms": self._clock.ms(), "state": self._policy.state, "live": self._contact.live_ms, "rail": self._contact.rail_mv,
            "lvl": hearing.energy_log2_q8, "floor": hearing.floor_log2_q8, "score": hearing.score, "prob": hearing.prob,
            "gate": int(hearing.gate_open), "peak": hearing.peak(), "clip": hearing.pcm.clipped,
            "drop": self._link.dropped, "over": hearing.overruns,
        }  # fmt: skip
