# SPDX-License-Identifier: MIT
"""Failing starts and flash: rows of the fault table in firmware/README.md. Whatever fails, the board comes up closed."""

import pytest
from earlid.virtual.simulation import HARD
from lid import config

from tests.firmware.kit import FIRST_HOP_MS, Bench, word_blob


def refuses_to_open(bench: Bench, why: str) -> None:
    """The board answers its protocol, says why it stays closed, and no press opens it."""
    hello = bench.hello()
    assert (hello["state"], hello["why"]) == ("fault", why)
    for _ in range(2):
        bench.press()
        bench.board.run_ms(500)
    assert not bench.guarded_live()
    assert bench.board.leds["buzzer"] or any(value for _, value in bench.board.events("buzzer")), "nobody can hear that"


def test_boot_loop_is_a_latched_fault():
    with Bench() as bench:
        for _ in range(3):
            bench.board.hang()
            bench.board.run_ms(7000)
        hello = bench.hello()
        assert (hello["state"], hello["why"]) == ("fault", "boot-loop")
        bench.press()
        assert not bench.guarded_live()
        assert bench.last_record("fault").reason == "boot-loop"
        bench.board.power_cut()
        bench.board.power_on()
        bench.board.run_ms(7000)
        assert bench.hello()["state"] == "closed"


def test_power_ons_within_a_minute_are_no_boot_loop():
    with Bench() as bench:
        for _ in range(5):
            bench.board.power_cut()
            bench.board.run_ms(100)
            bench.board.power_on()
            bench.board.run_ms(FIRST_HOP_MS)
        assert bench.hello()["state"] == "closed"
        assert [(entry.reason, entry.b) for entry in bench.records("boot")] == [("power-on", 0)] * 6


RESETS = {
    "watchdog": lambda bench: bench.board.hang(),
    "brown-out": lambda bench: bench.board.brown_out(),
    "reset-pin": lambda bench: bench.board.simulation.reset(HARD),
}


@pytest.mark.parametrize("reason", RESETS)
def test_fourth_start_in_a_row_by_a_reset_is_a_boot_loop(reason):
    with Bench() as bench:
        for count in range(1, 4):
            assert bench.hello()["state"] == "closed"
            RESETS[reason](bench)
            bench.board.run_ms(FIRST_HOP_MS)
            assert (bench.last_record("boot").reason, bench.last_record("boot").b) == (reason, count)
        assert bench.hello()["why"] == "boot-loop"


def test_good_minute_resets_the_count_of_unclean_starts():
    with Bench() as bench:
        for _ in range(2):
            bench.board.hang()
            bench.board.run_ms(7000)
        bench.board.run_ms(65000)
        bench.board.hang()
        bench.board.run_ms(7000)
        assert bench.hello()["state"] == "closed"


def test_brown_out_closes_the_lid_and_restarts():
    with Bench() as bench:
        bench.open_by_button()
        bench.board.brown_out()
        assert bench.ms_until_closed(250) <= 250
        bench.board.run_ms(7000)
        assert (bench.last_record("boot").boot, bench.last_record("boot").reason) == (2, "brown-out")
        assert bench.hello()["state"] == "closed"


def test_failing_flash_prevents_openings():
    with Bench() as bench:
        bench.board.flash_error()
        bench.press()
        bench.board.run_ms(500)
        assert not bench.board.events("guarded_relay"), "opened without a receipt"
        assert (bench.hello()["state"], bench.hello()["why"]) == ("fault", "flash-error")


def test_full_flash_at_first_start_prevents_openings():
    with Bench(start=False) as bench:
        bench.board.flash_full()
        bench.board.start()
        bench.board.run_ms(4000)
        bench.press()
        bench.board.run_ms(500)
        assert not bench.board.events("guarded_relay"), "opened without a receipt"
        refuses_to_open(bench, "flash-full")


def test_damaged_configuration_gives_safe_defaults_and_a_record():
    with Bench(files={"config.json": b'{"open_ms": 60000}\n00000000\n'}) as bench:
        assert ("fault", "config-damaged") in bench.events()
        assert bench.request("config-get")["config"]["open_ms"] == 8000


@pytest.mark.parametrize("known", [True, False], ids=["known board", "new board"])
def test_failing_flash_at_start_prevents_openings_and_the_repl(known):
    with Bench(start=known) as bench:
        board = bench.board
        if known:
            identity = bench.hello()["board"]
            board.power_cut()
            board.run_ms(100)
        board.flash_error()
        board.power_on()
        board.run_ms(FIRST_HOP_MS)
        refuses_to_open(bench, "flash-error")
        assert not [live for at, live in board.events("guarded_relay") if live]
        if known:
            assert bench.hello()["board"] == identity
        board.send(b"\r\x03import machine\r\n")
        board.run_ms(500)
        assert ">>>" not in board.console.rpartition("rst:")[2], "the REPL is open"
        assert bench.request_with_consent("pair")["err"] == "flash", "the key was given out without a record"
        board.flash_error(False)
        board.power_cut()
        board.run_ms(100)
        board.power_on()
        board.run_ms(FIRST_HOP_MS)
        bench.open_by_button()


def test_failing_flash_with_the_lid_closed_keeps_the_old_configuration():
    with Bench() as bench:
        before = bench.request("config-get")
        bench.board.flash_error()
        reply = bench.request_with_consent("config-set", config={"open_ms": 4000})
        assert (reply["ok"], reply["err"]) == (False, "flash")
        assert bench.request("config-get")["digest"] == before["digest"]
        bench.board.run_ms(500)
        refuses_to_open(bench, "flash-error")


def test_failing_flash_with_the_lid_open_closes_it_in_time():
    with Bench() as bench:
        bench.open_by_button()
        bench.board.flash_error()
        bench.request("close")
        bench.board.run_ms(400)
        refuses_to_open(bench, "flash-error")
        bench.board.flash_error(False)
        bench.board.power_cut()
        bench.board.run_ms(100)
        bench.board.power_on()
        bench.board.run_ms(FIRST_HOP_MS)
        bench.sync()
        assert ("open", "button") in bench.events()


@pytest.mark.parametrize("damage", ["cut short", "a bit", "missing"])
def test_damaged_word_leaves_the_button(damage):
    blob = bytearray(word_blob())
    blob[len(blob) // 2] ^= 4
    files = {"cut short": {"model.bin": word_blob()[:-900]}, "a bit": {"model.bin": bytes(blob)}, "missing": {}}[damage]
    with Bench(files=files) as bench:
        assert ("fault", "model-damaged") in bench.events()
        assert (bench.hello()["state"], bench.hello()["word"]) == ("closed", "")
        bench.open_by_button()


def test_open_lid_delays_the_good_minute():
    with Bench() as bench:
        assert "starts" in bench.board.read_files()
        bench.board.run_ms(62_500 - bench.board.now_ms)  # hop 6000 is at about 64 s
        bench.open_by_button()
        bench.board.run_ms(20_000)
        assert bench.last_record("close").ms > 60_000
        assert "starts" not in bench.board.read_files(), "the good minute was never noted"


def test_damaged_baseline_is_measured_anew():
    with Bench(files={"baseline": b"?"}) as bench:
        assert bench.last_record("selftest").reason == "passed"
        assert config.unseal(bench.board.read_files()["baseline"]) == b"%d" % bench.last_record("selftest").b


def test_slowest_flash_triggers_no_watchdog_reset():
    """A sector erase may take 400 ms: the first start, a new segment and a configuration have to live with it."""
    with Bench(start=False) as bench:
        bench.board.simulation.flash.erase_us = 400_000
        bench.board.start()
        bench.board.run_ms(40_000)
        assert bench.request_with_consent("config-set", config={"open_ms": 4000})["ok"]
        assert bench.request("ack", seq=bench.records()[-1].seq, link=bench.records()[-1].link)["ok"]
        bench.board.run_ms(25_000)
        assert len(bench.board.resets) == 1
        assert bench.hello()["state"] == "closed"
        bench.open_by_button()
        bench.board.run_ms(3500)
        assert bench.last_record("close").reason == "silence"


@pytest.mark.parametrize("at_ms", [310, 350, 600, 1000, 3000])
def test_ctrl_c_during_start_opens_no_repl(at_ms):
    """Who holds the port and its reset line must not get a prompt, which could do anything, without the talk button."""
    with Bench(start=False, word=True) as bench:
        bench.board.start()
        bench.board.run_ms(at_ms)
        for _ in range(5):
            bench.board.send(b"\x03\x03\r\n")
            bench.board.run_ms(30)
        bench.board.run_ms(FIRST_HOP_MS)
        assert ">>>" not in bench.board.console
        assert bench.hello()["state"] == "closed"
        assert len(bench.board.resets) == 1
