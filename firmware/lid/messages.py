# SPDX-License-Identifier: MIT
# What the board sends: journal records (durable first), and the numbers of hello and telemetry.
import binascii
import gc

from micropython import const

from lid import circuit, config, record
from lid.segments import FlashError

VERSION = "0.2.0"
VERSION_CODE = const(0x000200)  # major << 16, minor << 8, patch


class Recorder:
    def __init__(self, board, journal, link, clock, policy, hearing, mute, talk):
        self.board = board
        self.journal = journal
        self.link = link
        self.clock = clock
        self.policy = policy
        self.hearing = hearing
        self.mute = mute
        self.talk = talk

    def append(self, event, reason, a, b, score=-1):
        """Append a record and send it; False when it could not be made durable: the lid then stays closed until a power cycle."""
        wall = self.clock.wall()
        flags = record.PRESENCE if self.talk.presence() else 0
        flags |= record.MUTED if self.mute.muted else 0
        flags |= record.CLOCK_SET if wall[0] else 0
        flags |= record.CLOCK_VOUCHED if self.clock.vouched else 0
        if reason in ("word", "refractory") and self.hearing.decision:
            flags |= record.LOOK
        if score < 0:
            score = max(0, self.hearing.score)
        rails = (min(self.board.guarded_mv(), 65535), min(self.board.sentinel_mv(), 65535))
        energy = self.hearing.energy_log2_q8
        try:
            seq = self.journal.append(self.clock.ms(), event, reason, score, flags, energy, rails, wall, a, b)
        except FlashError as error:
            self.policy.fail(error.args[0])
            return False
        self.link.send({"rec": record.slot_to_wire(self.journal.find(seq))})
        return True


class Status:
    # settings: those in force, as lid.config checks them
    def __init__(self, recorder, contact, settings):
        self._recorder = recorder
        self._contact = contact
        self._settings = settings

    def hello(self):
        parts = self._recorder
        journal, hearing = parts.journal, parts.hearing
        no_word = hearing.no_word or parts.board.microphone_fault or ("", 0)
        hi = {
            "board": journal.board, "fw": VERSION, "proto": 2, "boot": journal.boot, "ms": parts.clock.ms(),
            "state": parts.policy.state, "mute": parts.mute.muted, "why": parts.policy.reason,
            "seq": journal.seq, "link": binascii.hexlify(journal.link).decode(), "oldest": journal.oldest, "acked": journal.acked,
            "word": hearing.word, "model": hearing.model, "decision": hearing.decision,
            "config": "%08x" % config.digest(self._settings),
            "epoch": journal.epoch,
            "guarded_mv": parts.board.guarded_mv(), "sentinel_mv": parts.board.sentinel_mv(),
            "dropped": parts.link.dropped, "overruns": hearing.overruns, "maintenance": False, "presence": parts.talk.presence(),
            "no_word": no_word[0], "missing": no_word[1], "free": gc.mem_free(),
        }  # fmt: skip
        if circuit.ONE_CHANNEL:
            hi["channels"] = 1
        return hi

    def telemetry(self):
        parts = self._recorder
        hearing = parts.hearing
        return {
            "ms": parts.clock.ms(), "state": parts.policy.state, "live": self._contact.live_ms, "rail": parts.board.rail.mv,
            "lvl": hearing.energy_log2_q8, "score": max(0, hearing.score), "prob": hearing.prob,
            "quiet": int(hearing.quiet), "peak": hearing.peak(), "clip": hearing.pcm.clipped,
            "drop": parts.link.dropped, "over": hearing.overruns,
            "sentinel": parts.board.sentinel_mv(), "arm": parts.board.arm_mv(), "mute": parts.board.mute_mv(),
        }  # fmt: skip
