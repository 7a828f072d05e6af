# SPDX-License-Identifier: MIT
"""Consent: one request, announced, granted by one gesture that nobody makes by habit; no leftovers, no race."""

import random

import pytest
from lid import authority, signing, wire

from tests.firmware.kit import Bench, check_chain

HOLD_HOPS = 300


def run(consent, steps, now=0):
    """Verdicts of (latched, pressed, hops) in a row, with the hop that each came in."""
    found = []
    for latched, pressed, hops in steps:
        for _ in range(hops):
            verdict = consent.step(now, latched, pressed)
            if verdict:
                found.append((now, verdict))
                consent.take()
            now += 1
    return found


def waiting():
    consent = authority.Consent()
    run(consent, [(False, False, 10)])
    consent.announce({"do": "pair", "id": 1}, "00112233", 10)
    return consent


@pytest.mark.parametrize(
    ("steps", "granted"),
    [
        ([(True, False, 5), (True, True, 301)], True),
        ([(True, False, 5), (True, True, 300)], False),  # let go too soon
        ([(True, True, 900)], True),  # pressed and latched at once, after the announcement
        ([(False, True, 900)], False),  # the switch is not latched
        ([(False, True, 50), (True, True, 900)], False),  # pressed before it was latched: the lid was opened by hand
        ([(True, False, 5), (True, True, 200), (True, False, 1), (True, True, 200)], False),  # not in one go
        ([(True, False, 5), (True, True, 200), (False, True, 1), (True, True, 900)], False),  # un-muted meanwhile
    ],
)
def test_only_a_press_of_3_s_while_latched_is_the_gesture(steps, granted):
    verdicts = [verdict for _, verdict in run(waiting(), steps, now=11)]
    assert verdicts == [authority.GRANTED] * granted


def test_press_that_began_before_the_announcement_grants_nothing():
    consent = authority.Consent()
    run(consent, [(True, False, 10), (True, True, 200)])
    consent.announce({"do": "pair"}, "00112233", 210)
    assert run(consent, [(True, True, 5000)], now=210) == []
    assert run(consent, [(True, False, 1), (True, True, 301)], now=5210)[0][1] == authority.GRANTED


def test_request_that_takes_anothers_place_needs_a_press_of_its_own():
    consent = waiting()
    run(consent, [(True, False, 5), (True, True, 250)], now=11)
    consent.announce({"do": "config-rollback"}, "44556677", 266)
    assert run(consent, [(True, True, 1000)], now=266) == []


def test_request_waits_for_a_minute():
    assert run(waiting(), [(True, False, 6100)], now=11) == [(10 + authority.WAIT_HOPS, authority.EXPIRED)]


def test_one_gesture_grants_one_request(seed):
    """Random gestures and announcements: never more grants than whole gestures begun after an announcement."""
    rng = random.Random(seed)
    for _ in range(100):
        consent, now, grants = authority.Consent(), 0, 0
        held = -1  # hops of a press that began after the announcement and while latched
        latched = pressed = False
        for _ in range(40):
            if rng.random() < 0.4:
                consent.announce({"do": "pair", "id": now}, "00112233", now)
                held = -1
            before = (latched, pressed)
            latched, pressed = rng.random() < 0.8, rng.random() < 0.6
            for hop in range(rng.choice((1, 50, 150, 299, 310, 500))):
                fresh = hop == 0 and pressed and not before[1]
                if not (latched and pressed):
                    held = -1
                elif fresh:
                    held = 0
                elif held >= 0:
                    held += 1
                verdict = consent.step(now, latched, pressed)
                now += 1
                if verdict:
                    consent.take()
                    assert verdict == authority.EXPIRED or held == HOLD_HOPS, f"seed {seed}, hop {now}"
                    grants += verdict == authority.GRANTED
                    held = -1
        assert grants < 40


def test_key_leaves_by_gesture_alone_and_once():
    with Bench() as bench:
        bench.board.talk(True)
        bench.board.run_ms(500)
        number = bench.announce("pair", client="5eed")
        hello = bench.hello()
        assert hello["ask"]["do"] == "pair"
        assert hello["ask"]["digest"] == signing.digest("pair client=5eed")
        assert {"ask": {**hello["ask"], "ms": 60000}} in bench.messages()
        bench.board.talk(False)
        bench.board.run_ms(500)
        bench.press(4000)  # long, but not muted
        bench.press()
        bench.board.mute(True)
        bench.board.run_ms(4000)
        assert "key" not in str(bench.messages()), "without the gesture"
        bench.board.talk(True)
        bench.board.run_ms(3200)
        assert bench.messages()[-1].get("re") == number, "in the hop in which it is granted, not at the release"
        key = bytes.fromhex(bench.messages()[-1]["key"])
        again = bench.announce("pair", client="5eed")
        bench.board.run_ms(5000)
        assert [body["key"] for body in bench.messages() if "key" in body] == [key.hex()], f"{again} had no gesture of its own"
        bench.board.talk(False)
        bench.board.run_ms(60_000)
        assert "ask" not in bench.hello()
        assert [body["err"] for body in bench.messages() if body.get("re") == again and not body["ok"]] == ["consent"]
        assert bench.events().count(("config", "paired")) == 1
        assert bench.events()[-1] == ("config", "refused")
        check_chain(bench.records(), bench.hello()["board"], key)


def test_loosening_is_announced_granted_once_and_rolled_back():
    with Bench() as bench:
        changed = bench.request_with_consent("config-set", config={"open_ms": 20000})
        assert bench.last_record("config").reason == "changed"
        assert bench.request("config-get")["digest"] == changed["digest"]
        assert bench.request("config-get")["previous"] != ""
        assert bench.request_with_consent("config-rollback")["ok"]
        assert bench.request("config-get")["config"]["open_ms"] == 8000
        assert bench.last_record("config").reason == "rolled-back"


def test_nothing_is_granted_while_the_lid_is_open():
    with Bench() as bench:
        number = bench.announce("config-set", config={"open_ms": 60000})
        bench.board.talk(True)
        bench.board.run_ms(500)
        assert bench.guarded_live(), "the button still opens"
        bench.board.run_ms(4000)
        bench.board.mute(True)  # with the button still held: closes
        bench.board.run_ms(4000)
        assert not any(body.get("re") == number and "digest" in body for body in bench.messages())
        assert bench.request("config-get")["config"]["open_ms"] == 8000


def test_same_request_again_waits_on_and_another_takes_its_place():
    with Bench() as bench:
        line = wire.encode(1, {"id": 7, "do": "pair", "client": "a"})
        bench.board.send(line)
        bench.board.run_ms(5000)
        bench.board.send(line)
        bench.board.run_ms(200)
        waits = [body["wait"] for body in bench.messages() if body.get("re") == 7]
        assert [wait["ask"] for wait in waits] == [signing.digest("pair client=a")] * 2
        assert waits[1]["ms"] < 56_000, "nothing is started anew"
        assert sum("ask" in body for body in bench.messages()) == 1
        bench.board.mute(True)
        bench.board.run_ms(300)
        bench.board.talk(True)
        bench.board.run_ms(2000)
        bench.board.send(wire.encode(2, {"id": 7, "do": "pair", "client": "b"}))  # a second program, in the middle of it
        bench.board.run_ms(5000)
        assert "key" not in str(bench.messages())
        refusals = [body for body in bench.messages() if body.get("err") == "consent"]
        assert len(refusals) == 1
        assert "another" in refusals[0]["say"]
        assert bench.last_record("config").reason == "refused"


def test_waiting_request_is_withdrawn_by_its_client_alone():
    with Bench() as bench:
        number = bench.announce("pair", client="a")
        bench.request("cancel", client="b")
        assert bench.hello()["ask"]["do"] == "pair"
        bench.request("cancel", client="a")
        assert "ask" not in bench.hello()
        assert [body["say"] for body in bench.messages() if body.get("re") == number and not body["ok"]] == ["withdrawn"]
        bench.hold_to_consent()
        assert not any(event == "config" and reason != "first-start" for event, reason in bench.events())


def test_reply_with_the_key_is_repeated_to_the_same_request_for_10_s_alone():
    with Bench() as bench:
        body = {"id": 600_000, "do": "pair", "client": "5eed"}
        bench.board.send(wire.encode(1, body))
        bench.board.run_ms(200)
        bench.hold_to_consent()

        def keys():
            return sum("key" in body for body in bench.messages())

        assert keys() == 1
        for other in ({"client": "bad"}, {"do": "hello"}, {"do": "telemetry", "every_ms": 0}, {"x": 1}):
            bench.board.send(wire.encode(2, {**body, **other}))
            bench.board.run_ms(100)
        assert keys() == 1, "given to another request with the same id"
        bench.request("cancel", client="5eed")
        bench.request("cancel")
        bench.request("cancel", client="bad")
    with Bench() as bench:
        bench.board.send(wire.encode(1, body))
        bench.board.run_ms(200)
        bench.hold_to_consent()
        bench.board.send(wire.encode(1, body))
        bench.board.run_ms(200)
        assert keys() == 2, "a lost reply is repeated"
        bench.board.run_ms(10_000)
        bench.board.send(wire.encode(1, body))
        bench.board.run_ms(200)
        assert keys() == 2, "remembered too long"


def test_light_and_buzzer_have_a_pattern_of_their_own_while_a_request_waits():
    with Bench() as bench:

        def flashes(name, ms):
            begun = bench.board.now_ms
            bench.board.run_ms(ms)
            return sum(level for at, level in bench.board.events(name) if at > begun)

        assert flashes("buzzer", 6000) == 0
        bench.announce("pair")
        assert 15 <= flashes("status_led", 6000) <= 21, "three a second"
        assert 3 <= flashes("buzzer", 3000) <= 6, "three chirps every 3 s"
        bench.request("cancel")
        assert flashes("status_led", 8000) <= 3
        assert flashes("buzzer", 3000) == 0


def test_no_op_changes_ask_nobody_and_write_nothing():
    with Bench() as bench:
        settings = bench.request("config-get")
        head = bench.hello()["seq"]
        for _ in range(20):
            assert bench.request("config-set", config=settings["config"])["digest"] == settings["digest"]
            assert bench.request("config-set", config={})["digest"] == settings["digest"]
        assert bench.hello()["seq"] == head
        assert bench.request("config-rollback")["err"] == "state"
