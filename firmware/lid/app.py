# SPDX-License-Identifier: MIT
# The loop: one hop after the other, and in each the same order: hear, decide, act, read back, talk, and only then
# feed pump and watchdog.
import gc
import time

from micropython import const

from lid import circuit, config, files, health, inputs, lights, policy, selftest
from lid.clock import Clock
from lid.hearing import Hearing
from lid.link import Link
from lid.messages import Notes
from lid.policy import Policy
from lid.requests import Requests
from lid.segments import FlashError

_SETTLED_HOPS = const(6000)  # a minute without a reset: the start went well
_SAVE_HOPS = const(1000)
_NEAR_MISS_HOPS = const(200)
_QUIET_ROOM_HOPS = const(200)
_BASELINE = "/baseline"


class App:
    # ear: lid.gate.detector.Detector, or None: no word, button only
    def __init__(self, board, journal, settings, ear):
        self.board = board
        self.journal = journal
        self.settings = settings
        self.digest = config.digest(settings)
        self.policy = Policy(settings)
        self.clock = Clock(time.ticks_ms, time.ticks_diff)
        self.hearing = Hearing(board, ear)
        self.link = Link(board)
        self.notes = Notes(self, self.link)
        self.telemetry_hops = settings["telemetry_ms"] // health.HOP_MS
        self.guarded_mv = 0
        self._requests = Requests(self, self.link)
        self._mute = inputs.MuteSwitch()
        self._talk = inputs.TalkButton()
        self._rail = health.Lid()
        self._closing = None  # (reason, ms open): the contact is open, the record follows when the rail is gone
        self._near_miss_at = -_NEAR_MISS_HOPS
        self._live_ms = 0
        self._hops = 0
        self._settled = False
        self.hearing.configure(settings)

    # --- copper ---------------------------------------------------------------------------------------------------

    def settle_inputs(self):
        # Before the first record: the switches as they stand are no event.
        for _ in range(inputs.DEBOUNCE_HOPS + 1):
            self._mute.push(self.board.arm_mv(), self.board.mute_mv())
            self._talk.push(self.board.talk_pressed())
            self.board.pause()

    def selftest(self):
        """(bits, drop time in ms); faults that endanger the lid are latched."""
        baseline = _number(files.read_whole(_BASELINE))
        self.hearing.stop()
        bits, drop_ms, muted = selftest.run(self.board, self.hearing.slots, baseline)
        needed = selftest.WHILE_MUTED if muted else selftest.ALL
        passed = bits & needed == needed
        if passed and not muted and not baseline:
            self._keep(files.write_whole, _BASELINE, b"%d" % drop_ms)
        self.notes.note("selftest", "passed" if passed else "failed", bits, drop_ms)
        if not bits & selftest.GUARDED_DEAD or not bits & selftest.SENTINEL_DEAD:
            self.policy.fail("welded")
        elif not bits & selftest.STUCK_HIGH_SAFE or not bits & selftest.SLOW_SAFE:
            self.policy.fail("pump-stuck")
        elif not bits & selftest.SENSE_AGREES:
            self.policy.fail("mute-poles")
        elif bits & selftest.SENTINEL_RISES and not bits & selftest.DROP_AS_EVER:
            self.notes.note("fault", "drop-time", drop_ms, baseline)
        if not muted:
            self.hearing.start()
        self.clock.tick()
        return bits, drop_ms

    # --- the hop --------------------------------------------------------------------------------------------------

    def hop(self):
        board, clock, hearing = self.board, self.clock, self.hearing
        before = time.ticks_ms()
        heard = board.wait_hop(hearing.slots)
        waited_ms = time.ticks_diff(time.ticks_ms(), before)
        step_ms = clock.tick()
        if step_ms < 0:
            self.notes.note("fault", "clock-back", -step_ms, 0)
        now = clock.hops()
        muted = self._mute.push(board.arm_mv(), board.mute_mv())
        if self._mute.disagree:
            self.policy.fail("mute-poles")
        talk = self._talk.push(board.talk_pressed())
        if heard:
            hearing.push(self.notes, now, step_ms, waited_ms)
        action = self.policy.step(now, muted, talk, heard and hearing.hit, hearing.score, not hearing.gate_open)
        if action:
            self._act(action, now)
        self._read_back(now)
        state = self.policy.state
        board.lamp(lights.lamp(state, self._hops, self.settings["dim"]))
        board.buzz(lights.buzz(state, self._hops))
        self._requests.poll()
        if self.telemetry_hops and self._hops % self.telemetry_hops == 0:
            self.notes.live()
        self.link.pump()
        self._hops += 1
        if state != "open" and not self._closing:
            self._keep_house(state)
        board.beat()

    def _act(self, action, now):
        board, note = self.board, self.notes.note
        reason = self.policy.reason
        if action == policy.OPEN:
            # Durable first. If it cannot be, the relay is never driven.
            if note("open", reason, self.settings["open_ms"], self.cutoff_q8(), self.policy.peak):
                board.guarding = True
        elif action == policy.CLOSE:
            self._let_go(reason)
        elif action == policy.MUTE:
            self.hearing.stop()
            note("mute", "", 0, 0)
        elif action == policy.UNMUTE:
            note("unmute", "", 0, 0)
            self.hearing.start()
        elif action == policy.FAULT:
            self._let_go("fault")
            self.hearing.stop()
            note("fault", reason, self.guarded_mv, circuit.RAIL_LIVE_MV)
        elif now - self._near_miss_at >= _NEAR_MISS_HOPS:
            self._near_miss_at = now
            note("near-miss", reason, self.settings["near_miss_q8"], self.cutoff_q8(), self.policy.peak)

    def _let_go(self, reason):
        if self.board.guarding:
            self._closing = (reason, self.policy.open_hops * health.HOP_MS)
            self._live_ms += self.policy.open_hops * health.HOP_MS
        self.board.release()

    def _read_back(self, now):
        self.guarded_mv = self.board.guarded_mv()
        verdict = self._rail.push(self.board.guarding, self.guarded_mv)
        if verdict == "welded":
            self.policy.fail(verdict)
        elif verdict:
            # No supply behind the contact, or a weak one: this opening is over, the next may be better.
            action = self.policy.abandon("fault", now)
            if action:
                self.notes.note("fault", verdict, self.guarded_mv, circuit.GUARDED_GOOD_MV)
                self._act(action, now)
        if self._closing and (self._rail.drop_ms or verdict == "welded"):
            self.finish_closing()

    def finish_closing(self):
        # Called with the rail gone, or just before any other record: a receipt keeps its place in the order of things.
        if self._closing:
            reason, open_ms = self._closing
            self._closing = None
            self.notes.note("close", reason, open_ms, self._rail.drop_ms)

    def _keep_house(self, state):
        # Flash may make a hop late here: the lid is closed, and only the sentinel could drop.
        journal = self.journal
        if state != "fault" and journal.needs_room():
            if state == "muted" or self.hearing.quiet_hops >= _QUIET_ROOM_HOPS or journal.pressing():
                self.make_room()
                if state == "closed":
                    self.hearing.start()
        if self._hops % _SAVE_HOPS == 0:
            gc.collect()
            self._keep(journal.save_acked)
            if self._hops >= _SETTLED_HOPS and not self._settled:
                self._settled = True
                self._keep(files.settle)

    def _keep(self, write, *what):
        try:
            write(*what)
        except OSError:
            self.policy.fail("flash-error")

    def make_room(self):
        """Erase ahead in the journal, about a second of it: the lid must be closed; the sentinel sleeps meanwhile."""
        self.hearing.stop()
        try:
            self.journal.make_room(self._note_lost)
        except FlashError as error:
            self.policy.fail(error.args[0])
        except OSError:
            self.policy.fail("flash-error")
        self.clock.tick()

    def _note_lost(self, count, first):
        self.notes.note("lost", "overwritten", count, first)

    # --- what lid.messages and lid.requests ask ------------------------------------------------------------------------

    def muted(self):
        return self._mute.muted

    def presence(self):
        return self._talk.presence()

    def live_ms(self):
        return self._live_ms

    def cutoff_q8(self):
        return self.settings["cutoff_q8"] or self.hearing.cutoff_q8()

    def set_clock(self, wall_ms, uncertainty_ms):
        """The step against what was believed, in ms; 0 at the first setting since the start."""
        first = not self.clock.wall()[0]
        step_ms = self.clock.set_wall(wall_ms, uncertainty_ms)
        if first or abs(step_ms) > 1000:
            self.notes.note("clock", "set", max(-0x7FFFFFFF, min(0x7FFFFFFF, step_ms)), 0)
        return step_ms

    def change_config(self, whole, reason):
        """Put a checked configuration in force; OSError when it could not be kept, and then the old one holds."""
        before, after = self.digest, config.digest(whole)
        # Durable first, as with an opening: nothing is loosened without a record.
        if not self.notes.note("config", reason, before, after):
            raise OSError(5)
        try:
            files.save_config(self.settings, whole)
        except OSError:
            self.notes.note("config", "rolled-back", after, before)
            raise
        self.settings = whole
        self.digest = after
        self.policy.configure(whole)
        self.hearing.configure(whole)


def _number(text):
    try:
        return int(text or 0)
    except ValueError:
        return 0
