# SPDX-License-Identifier: MIT
"""The simulated chip: sound, watchdog, resets, hangs, clock, and that a run is reproducible."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

import numpy as np
import pytest
from earlid.virtual import simulation
from earlid.virtual.adc import DB_11, Adc
from earlid.virtual.board import BoardTimeout, VirtualBoard
from earlid.virtual.protocol import PHASE_CODE
from lid import circuit as figures

Make = Callable[..., VirtualBoard]
HOP = r"hop (\d+) (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)"


def drop_ms(board: VirtualBoard, since_ms: float) -> dict[str, float]:
    """How long after `since_ms` each rail went dead."""
    return {what: at - since_ms for at, what, value in board.history if what.endswith("_rail") and not value and at > since_ms}


def test_loop_arms_both_rails_and_reads_them_back(make_board: Make) -> None:
    board = make_board("loop")
    board.wait_for("cause 1")
    board.run_ms(1500)
    assert board.relays == (True, True)
    assert min(board.rails) > figures.RAIL_GOOD_MV
    *_, last = re.findall(HOP, board.console)
    sentinel, guarded, arm, mute = (int(x) for x in last[3:])
    assert sentinel * figures.SENTINEL_SCALE_Q10 >> 10 > figures.RAIL_GOOD_MV
    assert guarded * figures.GUARDED_SCALE_Q10 >> 10 > figures.RAIL_GOOD_MV
    assert arm * figures.SENSE_SCALE_Q10 >> 10 > figures.SENSE_HIGH_MV - 50
    assert mute == Adc().floor_mv(DB_11), "an ESP32 cannot read less"
    assert board.leds["amber_guarded"]
    assert not board.leds["red"]


def test_hop_clock_is_exact(make_board: Make) -> None:
    board = make_board("loop")
    board.run_ms(20_000)
    hops = [(int(n), int(ms)) for n, ms, *_ in re.findall(HOP, board.console)]
    (first_n, first_ms), (last_n, last_ms) = hops[0], hops[-1]
    assert abs((last_ms - first_ms) - 10 * (last_n - first_n)) <= 16
    assert board.simulation.i2s.lost_frames == 0


def test_garbage_is_collected_as_often_as_on_a_chip(make_board: Make) -> None:
    """Objects are twice as large here: so is what a threshold lets pile up."""
    source = b"""
import gc
gc.collect()
gc.threshold(4096)
most = 0
for _ in range(1000):
    bytearray(96)
    most = max(most, gc.mem_alloc())
gc.collect()
print("garbage", most - gc.mem_alloc())
"""
    board = make_board(None, files={"main.py": source})
    assert 7000 < int(board.wait_for(r"garbage (\d+)")[1]) < 9000


def test_sound_arrives_sample_for_sample(make_board: Make) -> None:
    board = make_board(
        None,
        files={
            "main.py": b"""
from machine import I2S, Pin
import binascii
pump = Pin(18, Pin.OUT, value=0)
i2s = I2S(0, sck=Pin(26), ws=Pin(25), sd=Pin(33), mode=I2S.RX, bits=32, format=I2S.MONO, rate=16000, ibuf=12288)
slots = bytearray(640)
heard = bytearray(20 * 320)
for hop in range(120):
    i2s.readinto(slots)
    pump.toggle()
    if hop >= 100:
        for i in range(320):
            heard[(hop - 100) * 320 + i] = slots[4 * (i >> 1) + 2 + (i & 1)]
for i in range(0, len(heard), 320):
    print("pcm", str(binascii.hexlify(heard[i : i + 320]), "ascii"))
print("end")
"""
        },
    )
    rng = np.random.default_rng(7)
    samples = rng.integers(-32768, 32767, 48_000, dtype=np.int16)
    board.play_at(0, samples)
    samples = samples >> 4  # the upper 16 bits of a slot are before the gain of 16
    board.wait_for("end\r\n", 5000)
    heard = np.frombuffer(bytes.fromhex("".join(re.findall(r"pcm ([0-9a-f]+)", board.console))), "<i2")
    assert len(heard) == 20 * 160
    start = [i for i in range(len(samples) - 200) if np.array_equal(samples[i : i + 100], heard[:100])]
    assert len(start) == 1
    assert np.array_equal(samples[start[0] : start[0] + len(heard)], heard)


@pytest.mark.parametrize(("mode", "level"), [("ok", (1, 40)), ("dead", (0, 0)), ("stuck", (255, 255)), ("swapped", (0, 0))])
def test_microphone_faults_change_the_samples(make_board: Make, mode: str, level: tuple[int, int]) -> None:
    board = make_board("loop")
    board.noise(-40)
    board.microphone = mode  # type: ignore[assignment]
    board.run_ms(2000)
    *_, last = re.findall(HOP, board.console)
    # the loudest top byte: 255 for the negative ones of noise too
    assert (int(last[2]) in (0, 255)) if mode == "ok" else level[0] <= int(last[2]) <= level[1]


def test_microphone_is_silent_until_powered_and_settled(make_board: Make) -> None:
    board = make_board("loop")
    board.noise(-20)
    board.run_ms(3000)
    (rise_ms,) = (at for at, live in board.events("sentinel_rail") if live)
    loud = [int(ms) for _, ms, loudest, *_ in re.findall(HOP, board.console) if int(loudest)]
    assert loud
    assert rise_ms + 250 <= min(loud) <= rise_ms + 256 + 250


def test_late_reader_loses_sound_silently(make_board: Make) -> None:
    board = make_board("late")
    took_ms = int(board.wait_for(r"eight hops in (\d+) ms").group(1))
    assert board.simulation.i2s.lost_frames > 0.8 * 16_000
    assert took_ms < 40, "what was in the ring must come at once"


def test_hang_drops_rails_and_watchdog_resets(make_board: Make) -> None:
    board = make_board("loop")
    board.run_ms(1000)
    board.hang()
    board.run_until(lambda: bool(board.events("hang")))
    hung_ms = board.events("hang")[-1][0]
    board.wait_for("cause 3", 3000)
    drops = drop_ms(board, hung_ms)
    assert set(drops) == {"sentinel_rail", "guarded_rail"}
    assert max(drops.values()) <= figures.DROP_MAX_MS
    assert board.resets[-1][1] == 3
    assert board.resets[-1][0] - hung_ms == pytest.approx(1000, abs=30)


def test_endless_loop_is_a_hang(make_board: Make) -> None:
    board = make_board(
        None,
        files={
            "main.py": b"from machine import WDT, reset_cause\nprint('cause', reset_cause())\n"
            b"WDT(timeout=500)\nwhile True: pass\n"
        },
    )
    board.simulation.timing.hang_cpu_s = 0.3
    board.wait_for("cause 1")
    board.wait_for("cause 3", 3000)


def test_exception_ends_in_the_repl_with_rails_dead(make_board: Make) -> None:
    source = b"""
import machine, time
pump = machine.Pin(19, machine.Pin.OUT)
for _ in range(40):
    pump.toggle()
    time.sleep_ms(10)
print("bye")
1 / 0
"""
    board = make_board(None, files={"main.py": source})
    board.wait_for("bye")
    at = board.now_ms
    board.wait_for("ZeroDivisionError")
    board.wait_for(">>> ")
    board.run_ms(400)
    assert drop_ms(board, at)["guarded_rail"] <= figures.DROP_MAX_MS
    board.send(b"print(6 * 7)\r")
    board.wait_for("42")


def test_reset_causes_are_the_esp32_ports(make_board: Make) -> None:
    board = make_board(None, files={"main.py": b"import machine\nprint('cause', machine.reset_cause())\n"})
    board.wait_for("cause 1")
    board.wait_for(">>> ")
    board.send(b"import machine; machine.reset()\r")
    board.wait_for("cause 2")
    board.wait_for(">>> ")
    board.send(b"import machine; machine.soft_reset()\r")
    board.wait_for("cause 5")
    board.reset_pin()
    board.wait_for("cause 1")
    board.brown_out(20)
    board.wait_for("BROWN_OUT")
    board.wait_for("cause 1")


RTC_KEEPER = b"""
import machine
rtc = machine.RTC()
held = rtc.memory()
print("held", len(held), held)
try:
    rtc.memory(bytes(2049))
except ValueError as error:
    print("refused", error)
data = bytearray(b"mark")
rtc.memory(data)
data[0] = 0
print("now", rtc.memory())
"""


def test_rtc_memory_survives_what_keeps_its_supply(make_board: Make) -> None:
    board = make_board(None, files={"main.py": RTC_KEEPER + b"machine.WDT(timeout=500)\nwhile True: pass\n"})
    board.simulation.timing.hang_cpu_s = 0.3
    board.wait_for(r"held 0 b''")
    board.wait_for("refused buffer too long")
    board.wait_for("now b'mark'")
    board.wait_for("held 4 b'mark'", 3000)  # the watchdog
    assert board.resets[-1][1] == 3


def test_rtc_memory_survives_software_resets_alone(make_board: Make) -> None:
    board = make_board(None, files={"main.py": RTC_KEEPER})
    for reset in ("machine.reset()", "machine.soft_reset()"):
        board.wait_for(">>> ")
        board.send(reset.encode() + b"\r")
        board.wait_for("held 4 b'mark'")
    for lose in (board.reset_pin, board.brown_out, lambda: (board.power_cut(), board.power_on())):
        board.wait_for(">>> ")
        lose()
        board.wait_for(r"held 0 b''")


def test_rtc_memory_corruption_and_lingering_charge_are_injected(make_board: Make) -> None:
    board = make_board(None, files={"main.py": RTC_KEEPER})
    board.wait_for(">>> ")
    board.corrupt_rtc(3)
    board.send(b"machine.reset()\r")
    held = board.wait_for(r"held 4 (b'.*?')\r")
    before, after = int.from_bytes(b"mark"), int.from_bytes(ast.literal_eval(held.group(1)))
    assert (before ^ after).bit_count() == 3
    board.rtc_lingers(0)
    board.wait_for(">>> ")
    board.brown_out()
    board.wait_for("held 4 b'mark'")


def test_rtc_memory_write_allocates_nothing(make_board: Make) -> None:
    source = b"""
import gc, machine
rtc = machine.RTC()
data = bytearray(64)
def write(n):
    for _ in range(n):
        rtc.memory(data)
write(3)
before = gc.mem_alloc()
write(500)
print("allocated", gc.mem_alloc() - before)
"""
    board = make_board(None, files={"main.py": source})
    assert board.wait_for(r"allocated (-?\d+)", 30_000).group(1) == "0"


def test_stuck_sense_line_is_read_by_the_adc(make_board: Make) -> None:
    board = make_board("loop")
    board.run_ms(800)
    board.stuck_pin(figures.MUTE_SENSE_PIN, 1)
    board.run_ms(300)
    assert re.findall(HOP, board.console)[-1][-1] == str(Adc().ceiling_mv(DB_11))
    board.stuck_pin(figures.MUTE_SENSE_PIN, None)
    board.run_ms(300)
    assert re.findall(HOP, board.console)[-1][-1] == "142"


def test_ticks_wrap_as_on_the_esp32(make_board: Make) -> None:
    source = b"""
import time
print("diff", time.ticks_diff(5, time.ticks_add(0, -5)), time.ticks_add(2**30 - 1, 1), time.ticks_diff(0, 2**29))
t = time.ticks_us()
time.sleep_us(700)
print("slept", time.ticks_diff(time.ticks_us(), t))
while time.ticks_diff(time.ticks_us(), t) < 50000:
    pass
print("waited")
"""
    board = make_board(None, files={"main.py": source})
    assert board.wait_for(r"diff (.*)\r").group(1) == "10 0 -536870912"
    assert 700 <= int(board.wait_for(r"slept (\d+)").group(1)) < 750
    board.wait_for("waited", 1000)


def test_steady_state_allocates_nothing_on_the_chip(make_board: Make) -> None:
    source = b"""
import gc, time
from machine import ADC, I2S, WDT, Pin
pump = Pin(18, Pin.OUT, value=0)
adc = ADC(Pin(34))
i2s = I2S(0, sck=Pin(26), ws=Pin(25), sd=Pin(33), mode=I2S.RX, bits=32, format=I2S.MONO, rate=16000, ibuf=12288)
slots = bytearray(640)
dog = WDT(timeout=1000)
def hop():
    i2s.readinto(slots)
    pump.value(1 - pump.value())
    adc.read_uv()
    time.ticks_diff(time.ticks_ms(), time.ticks_us())
    dog.feed()
def many(n):
    for _ in range(n):
        hop()
many(10)
before = gc.mem_alloc()
many(2000)
print("allocated", gc.mem_alloc() - before)
"""
    board = make_board(None, files={"main.py": source})
    assert board.wait_for(r"allocated (-?\d+)", 30_000).group(1) == "0"


def run_script(seed: int) -> tuple[list[tuple[float, str, object]], str, bytes]:
    from earlid.virtual.board import VirtualBoard as Board

    from .conftest import FIRMWARE

    keeper = b"import os\nwith open('starts', 'ab') as file:\n    file.write(os.urandom(16))\n"
    with Board(firmware=FIRMWARE / "loop", files={"boot.py": keeper}, seed=seed) as board:
        board.noise(-40)
        board.at(900, lambda: board.talk(True, bounce_ms=20))
        board.at(1200, lambda: board.mute(True))
        board.at(1700, lambda: board.mute(False))
        board.run_ms(2500)
        board.brown_out(30)
        board.run_ms(2500)
        return board.history, board.console, bytes(board.simulation.flash.data)


def test_same_seed_gives_the_same_history() -> None:
    first, second = run_script(3), run_script(3)
    assert first[0] == second[0]
    assert first[1] == second[1]
    assert first[2] == second[2]
    assert len(first[0]) > 15


@pytest.mark.parametrize("rounds", [0, 100_000], ids=["a fast computer", "a slow one"])
def test_serial_input_arrives_in_the_same_hop_on_a_slow_computer(
    make_board: Make, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    monkeypatch.setattr(simulation, "_POLL_MS", 1)  # the chip's few milliseconds of work are a long time now
    source = b"""
import select, sys, time
ready = select.poll()
ready.register(sys.stdin, select.POLLIN)
for step in range(60):
    time.sleep_ms(10)
    for _ in range(ROUNDS):
        pass
    while ready.poll(0):
        print("step", step, "read", sys.stdin.read(1))
"""
    board = make_board(None, files={"main.py": source.replace(b"ROUNDS", b"%d" % rounds)})
    board.run_until(lambda: board.simulation.phase == PHASE_CODE)
    board.run_ms(55)  # in the middle of a sleep: what is sent now can be read after the next one
    for letter in (b"a", b"b", b"c"):
        board.send(letter)
        board.run_ms(100)
    assert re.findall(r"step (\d+) read (\w)", board.console) == [("6", "a"), ("16", "b"), ("26", "c")]


def test_wait_for_timeout_shows_the_console(make_board: Make) -> None:
    board = make_board("idle")
    with pytest.raises(BoardTimeout, match="beat 1"):
        board.wait_for("never printed", 1500)
