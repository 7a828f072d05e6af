# SPDX-License-Identifier: MIT
"""The lid's policy, model-based: random people, words, hosts and faults; the invariants in every state reached."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from lid import config, policy
from lid.inputs import TalkButton
from lid.policy import Policy

HARD_MAX_HOPS = 6000


class PolicyMachine(RuleBasedStateMachine):
    """Drives Policy hop by hop; keeps what a bystander would know: switch, button, how long the contact is closed."""

    @initialize(open_ms=st.integers(500, 60000), silence_ms=st.integers(500, 60000), refractory_ms=st.integers(200, 5000))
    def start(self, open_ms, silence_ms, refractory_ms):
        self.settings = config.check({"open_ms": open_ms, "silence_ms": silence_ms, "refractory_ms": refractory_ms})
        self.policy = Policy(self.settings)
        self.now = 0
        self.muted = self.told_muted = False
        self.talk = False
        self.talk_before = True
        self.open_for = 0
        self.low_since = None
        self.closed_since = None
        self.faulted = False
        self.host_asked = False
        self.last = policy.NOTHING

    def hop(self, hit=False, score=0, quiet=True):
        was = self.policy.state
        action = self.policy.step(self.now, self.muted, self.talk, hit, score, quiet)
        state = self.policy.state
        if action == policy.OPEN:
            assert was == "closed"
            assert not self.muted, "opened while the switch was latched"
            assert not self.faulted, "opened in fault"
            pressed = self.talk and not self.talk_before
            assert pressed or hit, "opened by nothing"
            assert self.policy.reason == ("button" if pressed else "word")
            self.open_for = 0
        if action == policy.CLOSE:
            assert was == "open"
            assert state == "closed"
            assert self.policy.reason in ("timeout", "silence", "button", "host", "mute", "fault")
            if self.policy.reason == "host":
                assert self.host_asked
            if self.policy.reason == "mute":
                assert self.muted
        if state == "open":
            assert action in (policy.OPEN, policy.NOTHING)
            assert self.open_for <= HARD_MAX_HOPS
            self.open_for += 1
        else:
            assert was != "open" or action in (policy.CLOSE, policy.FAULT)
        if was == "fault":
            assert state == "fault"
            told = policy.NOTHING if self.muted == self.told_muted else policy.MUTE if self.muted else policy.UNMUTE
            assert action == told
        self.host_asked = False
        self.talk_before = self.talk
        if action in (policy.MUTE, policy.UNMUTE):
            self.told_muted = action == policy.MUTE
        self.last = action
        self.now += 1
        return action

    @rule(count=st.integers(1, 400), score=st.integers(0, 255), quiet=st.booleans())
    def time_passes(self, count, score, quiet):
        for _ in range(count):
            self.hop(score=score, quiet=quiet)

    @rule(count=st.integers(6000, 7000), hold=st.booleans())
    def a_minute_passes(self, count, hold):
        self.talk = hold
        for _ in range(count):
            self.hop(quiet=False)

    @rule(score=st.integers(100, 255))
    def the_word(self, score):
        self.hop(hit=True, score=score, quiet=False)

    @rule(count=st.integers(1, 300))
    def the_score_stays_high(self, count):
        """One utterance must open once: while the score is high nothing opens again by word."""
        openings = sum(
            self.hop(hit=True, score=255, quiet=False) == policy.OPEN and self.policy.reason == "word" for _ in range(count)
        )
        assert openings <= 1

    @rule()
    def press(self):
        self.talk = True
        self.hop()

    @rule()
    def release(self):
        self.talk = False
        self.hop()

    @rule(latched=st.booleans())
    def mute_switch(self, latched):
        self.muted = latched
        self.hop()
        self.hop()
        if latched and not self.faulted:
            assert self.policy.state == "muted"
        if self.policy.state == "muted":
            assert latched

    @rule()
    def host_closes(self):
        was = self.policy.state
        self.policy.request_close()
        self.host_asked = True
        self.hop()
        assert self.policy.state != "open" or was != "open"

    @rule(reason=st.sampled_from(["welded", "flash-error", "mute-poles"]))
    def copper_fails(self, reason):
        self.policy.fail(reason)
        self.faulted = True
        self.hop()
        assert self.policy.state == "fault"

    @rule()
    def supply_missing(self):
        if self.policy.abandon("fault", self.now) == policy.CLOSE:
            assert self.policy.state == "closed"
            assert self.policy.reason == "fault"

    @invariant()
    def muted_means_closed(self):
        if getattr(self, "policy", None) and self.muted and self.last == policy.NOTHING:
            assert self.policy.state in ("muted", "fault")


STEPS = settings(stateful_step_count=40, print_blob=True)
TestPolicy = PolicyMachine.TestCase
TestPolicy.settings = settings(STEPS, max_examples=60)


@pytest.mark.soak
def test_policy_keeps_its_invariants_for_other_histories_every_time():
    run_state_machine_as_test(PolicyMachine, settings=settings(STEPS, max_examples=2000, derandomize=False))


def make(**values):
    lid = Policy(config.check(values))
    for now in range(200):
        lid.step(now, False, False, False, 0, True)
    return lid


def test_word_opens_and_the_window_closes():
    lid = make(open_ms=1000, silence_ms=60000)
    assert lid.step(200, False, False, True, 240, False) == policy.OPEN
    assert [lid.step(200 + i, False, False, False, 0, False) for i in range(1, 100)] == [policy.NOTHING] * 99
    assert lid.step(300, False, False, False, 0, False) == policy.CLOSE
    assert lid.reason == "timeout"


def test_silence_closes_early():
    lid = make(open_ms=8000, silence_ms=500)
    lid.step(200, False, False, True, 240, False)
    actions = [lid.step(200 + i, False, False, False, 0, True) for i in range(1, 51)]
    assert actions == [policy.NOTHING] * 49 + [policy.CLOSE]
    assert lid.reason == "silence"


def test_held_button_keeps_the_lid_open_up_to_the_hard_maximum():
    lid = make(open_ms=1000)
    assert lid.step(200, False, True, False, 0, True) == policy.OPEN
    closed_at = next(now for now in range(201, 20000) if lid.step(now, False, True, False, 0, True) == policy.CLOSE)
    assert closed_at == 200 + HARD_MAX_HOPS
    assert all(lid.step(closed_at + i, False, True, False, 0, True) == policy.NOTHING for i in range(1, 500))


def test_second_press_closes_at_once():
    lid = make()
    lid.step(200, False, True, False, 0, True)
    lid.step(210, False, False, False, 0, True)
    assert lid.step(220, False, True, False, 0, True) == policy.CLOSE
    assert lid.reason == "button"


def test_score_that_stays_high_opens_once():
    lid = make(open_ms=500, refractory_ms=1000)
    actions = [lid.step(now, False, False, True, 255, False) for now in range(200, 3000)]
    assert actions.count(policy.OPEN) == 1


def test_near_miss_is_reported_once_with_its_peak():
    lid = make(near_miss_q8=128)
    scores = [100, 140, 190, 150, 90, 20]
    actions = [lid.step(200 + i, False, False, False, score, False) for i, score in enumerate(scores)]
    assert actions == [policy.NOTHING] * 4 + [policy.NEAR_MISS, policy.NOTHING]
    assert lid.peak == 190


def test_button_held_since_the_start_is_neither_press_nor_presence():
    button, lid = TalkButton(), Policy(config.defaults())
    for now in range(1000):
        held = button.push(True)
        assert lid.step(now, False, held, False, 0, True) == policy.NOTHING
        assert not button.presence()
    for now in range(1000, 1010):
        lid.step(now, False, button.push(False), False, 0, True)
    actions = [lid.step(now, False, button.push(True), False, 0, True) for now in range(1010, 1020)]
    assert actions.count(policy.OPEN) == 1
    assert button.presence()


@pytest.mark.parametrize("press_first", [True, False])
def test_muted_state_lasts_until_the_switch(press_first):
    lid = make()
    lid.step(200, True, False, False, 0, True)
    for now in range(201, 400):
        lid.step(now, True, press_first and now % 2 == 0, True, 255, False)
        assert lid.state == "muted"
