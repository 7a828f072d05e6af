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
        self.policy = Policy(self.settings, 230)
        self.now = 0
        self.muted = self.told_muted = False
        self.talk = False
        self.talk_before = True
        self.open_for = 0
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
    lid = make(open_ms=500)
    actions = [lid.step(now, False, False, True, 255, False) for now in range(200, 3000)]
    assert actions.count(policy.OPEN) == 1


def test_near_miss_is_reported_once_with_its_peak():
    lid = make(near_miss_q8=128)
    scores = [100, 140, 190, 150, 90, 20]
    actions = [lid.step(200 + i, False, False, False, score, False) for i, score in enumerate(scores)]
    assert actions == [policy.NOTHING] * 4 + [policy.NEAR_MISS, policy.NOTHING]
    assert (lid.reason, lid.peak) == ("word", 190)


def run(lid, now, scores, cutoff_q8=230):
    """The actions of a stretch of scores, a hop each: a score above the cutoff is a hit."""
    return [lid.step(now + i, False, False, score > cutoff_q8, score, score <= 0) for i, score in enumerate(scores)]


@pytest.mark.parametrize("hop", [0, 3, 19, 30, 49])
def test_hit_in_the_first_half_second_opens_nothing_and_is_a_near_miss(hop):
    lid = Policy(config.defaults())
    actions = run(lid, 300, [0] * hop + [240] * 5 + [0] * 5)
    assert policy.OPEN not in actions
    assert actions.count(policy.NEAR_MISS) == 1
    assert (lid.reason, lid.peak) == ("refractory", 240)


@pytest.mark.parametrize("cutoff_q8", [*range(1, 12), 40, 63, 64, 85, 86, 128, 230, 255])
@pytest.mark.parametrize("rearm_q8", [1, 64, 200, 255])
def test_level_to_rearm_lies_below_any_cutoff(cutoff_q8, rearm_q8):
    """A score just under the cutoff has not fallen; at 0 it has."""
    for lid in (Policy(config.check({"rearm_q8": rearm_q8}), cutoff_q8),
                Policy(config.check({"rearm_q8": rearm_q8, "cutoff_q8": cutoff_q8}), 255 - cutoff_q8)):  # fmt: skip
        run(lid, 0, [0] * 100)
        assert lid.step(100, False, False, True, cutoff_q8, False) == policy.OPEN
        lid.request_close()
        under = max(1, cutoff_q8 - 1)
        assert run(lid, 101, [under] * 300, 255)[0] == policy.CLOSE
        assert lid.step(401, False, False, True, cutoff_q8, False) != policy.OPEN
        run(lid, 402, [0] * 20, 255)
        assert lid.step(422, False, False, True, cutoff_q8, False) == policy.OPEN


@pytest.mark.parametrize("period", [100, 120, 150])
def test_word_repeated_every_second_opens_again_once_the_lid_is_closed(period):
    lid = make(open_ms=3000, silence_ms=60000)
    word = [60] * 5 + [150] * 5 + [245] * 20 + [120] * 10
    actions = run(lid, 200, (word + [5] * (period - len(word))) * 30)
    said = 30 * period / 100
    assert actions.count(policy.OPEN) >= said / (3 + 2 * period / 100)


def test_word_in_progress_when_the_lid_closes_is_a_refractory_near_miss():
    lid = make(open_ms=1000)
    actions = run(lid, 200, [240] + [0] * 90 + [240] * 25 + [0] * 30 + [240])
    assert [i for i, action in enumerate(actions) if action == policy.OPEN] == [0, len(actions) - 1]
    assert [i for i, action in enumerate(actions) if action == policy.NEAR_MISS] == [116]


@pytest.mark.parametrize("low", [19, 20])
def test_second_hit_needs_a_score_known_to_have_been_low_for_200_ms(low):
    lid = make(open_ms=500)
    run(lid, 200, [240] * 5 + [-1] * 200 + [64] * 200 + [63] * low)
    assert lid.state == "closed"
    assert (lid.step(700, False, False, True, 240, False) == policy.OPEN) == (low == 20)


def test_refractory_time_of_months_counts_no_further():
    lid = make()
    lid.step(200, False, False, False, 0, True)
    before = lid._low_hops
    lid.step(201, False, False, False, 0, True)
    assert lid._low_hops == before, "a count that grows for months becomes an object"


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
