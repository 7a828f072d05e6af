# SPDX-License-Identifier: MIT
# The loop: one hop after the other, and in each the same order: hear, decide, act, read back, talk, and only then
# feed pump and watchdog.
import gc
import time

from micropython import const

from lid import circuit, files, inputs, lights, policy
from lid.clock import Clock
from lid.contact import Contact
from lid.hearing import Hearing
from lid.link import Link
from lid.messages import Recorder, Status
from lid.policy import Policy
from lid.requests import Requests
from lid.segments import FlashError

_SETTLED_HOPS = const(6000)  # a minute without a reset: the start went well
_SAVE_HOPS = const(1000)
_NEAR_MISS_HOPS = const(200)
_QUIET_ROOM_HOPS = const(200)


class App:
    # detector: lid.gate.detector.Detector, or None: no word, button only
    def __init__(self, board, journal, settings, detector):
        self.board = board
        self.journal = journal
        self.settings = settings
        self.clock = Clock(time.ticks_ms, time.ticks_diff)
        self.hearing = Hearing(board, detector)
        self.hearing.configure(settings)
        self.policy = Policy(settings, self.hearing.cutoff_q8())
        self.link = Link(board)
        self._mute = inputs.MuteSwitch()
        self._talk = inputs.TalkButton()
        self.recorder = Recorder(board, journal, self.link, self.clock, self.policy, self.hearing, self._mute, self._talk)
        self.contact = Contact(board, self.recorder)
        self.status = Status(self.recorder, self.contact, settings)
        self.requests = Requests(self.recorder, self.status, settings)
        self._near_miss_at = -_NEAR_MISS_HOPS
        self._hops = 0
        self._settled = False
        self._told = 0  # of files.repaired

    def settle_inputs(self):
        # Before the first record: the switches as they stand are no event.
        for _ in range(inputs.DEBOUNCE_HOPS + 1):
            self._mute.push(self.board.arm_mv(), self.board.mute_mv())
            self._talk.push(self.board.talk_pressed())
            self.board.pause()

    def hop(self):
        board, clock, hearing = self.board, self.clock, self.hearing
        before = time.ticks_ms()
        has_audio = board.wait_hop(hearing.slots)
        waited_ms = time.ticks_diff(time.ticks_ms(), before)
        step_ms = clock.tick()
        if step_ms < 0:
            self.recorder.append("fault", "clock-back", -step_ms, 0)
        now = clock.hops()
        muted = self._mute.push(board.arm_mv(), board.mute_mv())
        if self._mute.disagree:
            self.policy.fail("mute-poles")
        talk = self._talk.push(board.talk_pressed())
        if has_audio:
            hearing.push(self.recorder, now, step_ms, waited_ms)
        else:
            hearing.skip(self.recorder)
        action = self.policy.step(now, muted, talk, has_audio and hearing.hit, hearing.score, hearing.quiet)
        if action:
            self._act(action, now)
        self._read_back(now)
        state = self.policy.state
        requests = self.requests
        if requests.consent.request and state != "open":
            self._show("ask", requests.consent.hops(now))
        else:
            self._show(state, self._hops)
        requests.poll()
        telemetry_hops = requests.telemetry_hops
        if telemetry_hops and self._hops % telemetry_hops == 0:
            self.link.send({"tm": self.status.telemetry()})
        self.link.drain()
        self._hops += 1
        if state != "open" and self.contact.told != "open":
            self._maintain_flash(state)
        board.drive_pumps()

    def _show(self, pattern, hop):
        self.board.status_led(lights.status_led(pattern, hop, self.settings["dim"]))
        self.board.buzzer(lights.buzzer(pattern, hop))

    def _act(self, action, now):
        board, append = self.board, self.recorder.append
        reason = self.policy.reason
        if action == policy.OPEN:
            # Durable first. If it cannot be, the relay is never driven.
            if self.contact.tell("open", reason, self.settings["open_ms"], self._cutoff_q8(), self.policy.peak):
                board.guarding = True
                if circuit.ONE_CHANNEL:
                    self.hearing.start()
        elif action == policy.CLOSE:
            self.contact.release(reason)
            if circuit.ONE_CHANNEL:
                self.hearing.stop()
        elif action == policy.MUTE:
            self.hearing.stop()
            append("mute", "", 0, 0)
        elif action == policy.UNMUTE:
            append("unmute", "", 0, 0)
            if self.policy.state != "fault":
                self.hearing.start()
        elif action == policy.FAULT:
            self.contact.release("fault")
            self.hearing.stop()
            append("fault", reason, board.rail.mv, circuit.RAIL_LIVE_MV)
        elif now - self._near_miss_at >= _NEAR_MISS_HOPS:
            self._near_miss_at = now
            append("near-miss", reason, self.settings["near_miss_q8"], self._cutoff_q8(), self.policy.peak)

    def _cutoff_q8(self):
        return self.settings["cutoff_q8"] or self.hearing.cutoff_q8()

    def _read_back(self, now):
        verdict = self.contact.follow(now)
        if verdict == "welded":
            self.policy.fail(verdict)
        elif verdict:
            # No supply behind the contact, or a weak one: this opening is over, the next may be better.
            action = self.policy.abandon("fault", now)
            if action:
                self.recorder.append("fault", verdict, self.board.rail.mv, circuit.GUARDED_GOOD_MV)
                self._act(action, now)

    def _maintain_flash(self, state):
        # Flash may make a hop late here: the lid is closed, and only the sentinel could drop.
        journal = self.journal
        if state != "fault" and journal.needs_room():
            if state == "muted" or self.hearing.quiet_hops >= _QUIET_ROOM_HOPS or journal.nearly_full():
                self.make_room()
                if state == "closed":
                    self.hearing.start()
        if self._hops % _SAVE_HOPS == 0:
            gc.collect()
            self._write_or_fail(journal.save_acked)
            if self._told < len(files.repaired):  # at most one a file
                self.recorder.append("config", "repaired", files.repaired[self._told], 0)
                self._told += 1
            if self._hops >= _SETTLED_HOPS and not self._settled:
                self._settled = True
                self._write_or_fail(files.forget_starts)

    def _write_or_fail(self, write, *what):
        try:
            write(*what)
        except OSError:
            self.policy.fail("flash-error")

    def make_room(self):
        """Erase ahead in the journal, about a second of it: the lid must be closed; the sentinel sleeps meanwhile."""
        self.hearing.stop()
        try:
            self.journal.make_room(self._record_lost)
        except FlashError as error:
            self.policy.fail(error.args[0])
        except OSError:
            self.policy.fail("flash-error")
        self.clock.tick()

    def _record_lost(self, count, first):
        self.recorder.append("lost", "overwritten", count, first)
