# SPDX-License-Identifier: MIT
"""The invariants (firmware/README.md names the tests of each)."""

import re
from pathlib import Path

import lid
import pytest

from tests.firmware.kit import Bench, check_chain

FIRMWARE = Path(lid.__file__).parent.parent


def test_1_lost_power_and_resets_close_the_lid():
    """Power cut, reset pin, brown-out: the rail is dead within 250 ms, and no start touches it."""
    for accident in ("power_cut", "reset_pin", "brown_out"):
        with Bench() as bench:
            bench.open_by_button()
            getattr(bench.board, accident)()
            if accident == "power_cut":
                bench.board.run_ms(100)
                bench.board.power_on()  # the pump may still hold some charge: that, too, is gone in time
            bench.board.run_ms(250)
            assert not bench.guarded_live(), accident
            changes = len(bench.board.events("guarded_relay"))
            bench.board.run_ms(7000)
            assert len(bench.board.events("guarded_relay")) == changes, f"{accident}: a start closed the contact"


def test_1_exception_closes_the_lid_and_restarts():
    """An exception in any module of the loop: contact open in time, a record, a new start."""
    for module, line in (("messages", "    def telemetry(self):\n"), ("lights", "def status_led(state, hop, dim):\n")):
        source = (FIRMWARE / "lid" / f"{module}.py").read_text()
        crash = line + ("        " if line.startswith("    ") else "    ") + "if crash_now(): raise RuntimeError('planted')\n"
        assert line in source
        planted = source.replace(line, crash) + (
            "\n\ndef crash_now():\n    import os\n    try:\n        os.stat('/crash')\n        return True\n"
            "    except OSError:\n        return False\n"
        )
        probe = "\n\ndef note_crash():\n    open('/crash', 'w').close()\n"
        with Bench(files={f"lid/{module}.py": (planted + probe).encode(), "crash": b""}) as bench:
            bench.request("telemetry", every_ms=100) if module == "messages" else None
            bench.board.run_ms(4000)
            assert ("fault", "exception") in bench.events(), module
            assert len(bench.board.resets) > 1, module
            assert not bench.guarded_live()


def test_1_exhausted_memory_closes_the_lid():
    """The loop eats all memory while the lid is open: it ends in an exception, the contact opens, the board starts anew."""
    source = (FIRMWARE / "lid" / "lights.py").read_text()
    eating = source.replace(
        "    period, lit",
        "    import time\n\n    while 9000 < time.ticks_ms() < 12000:\n        _eaten.append(bytearray(1000))\n    period, lit",
        1,
    )
    assert eating != source
    with Bench(files={"lid/lights.py": (eating + "\n\n_eaten = []\n").encode()}) as bench:
        bench.board.run_ms(9000 - bench.board.now_ms - 400)
        bench.open_by_button()
        bench.board.run_ms(9000 - bench.board.now_ms + 300)
        assert not bench.guarded_live(), "open 300 ms after memory began to run out"
        bench.board.run_ms(9000)
        assert len(bench.board.resets) > 1
        assert not bench.guarded_live()
        assert bench.hello()["state"] == "closed"


@pytest.mark.parametrize("way", ["throw", "throw while held", "throw while opening"])
def test_2_software_cannot_unmute(way):
    with Bench() as bench:
        if way == "throw while held":
            bench.board.talk(True)
            bench.board.run_ms(300)
        elif way == "throw while opening":
            bench.board.talk(True)
            bench.board.run_ms(35)
        else:
            bench.open_by_button()
        bench.board.mute(True)
        bench.board.run_ms(25)
        assert max(bench.board.rails) < 300, "a rail is live 25 ms after the switch"
        for _ in range(5):
            bench.press()
        bench.board.run_ms(3000)
        assert max(bench.board.rails) < 300
        assert bench.board.leds["red"] == 1
        assert bench.hello()["state"] == "muted"


def test_4_opening_has_a_durable_record_before_the_rail_rises():
    """Power cut at every flash write around an opening: where the rail rose, the record is there after the restart."""
    rose = 0
    for write in range(1, 12):
        with Bench() as bench:
            bench.board.power_cut_at_write(write)
            bench.press(300)
            bench.board.run_ms(3500)
            live = [value for _, value in bench.board.events("guarded_rail") if value]
            bench.board.power_on()
            bench.board.run_ms(7000)
            bench.request("sync", from_=1, max=64)
            opens = bench.records("open")
            assert len(opens) >= len(live[:1]), f"write {write}: opened without a receipt"
            rose += bool(live)
            check_chain(bench.records(), bench.hello()["board"])
    assert rose, "the test never opened the lid"


def test_4_closing_opens_the_contact_before_it_is_recorded():
    with Bench() as bench:
        bench.open_by_button()
        bench.press()
        bench.board.run_ms(500)
        gone_at = bench.board.events("guarded_rail")[-1][0]
        opened, closed = bench.last_record("open"), bench.last_record("close")
        start = bench.board.events("power")[0][0]
        assert closed.ms > opened.ms
        assert closed.guarded_mv < 300, "the record was written before the rail was gone"
        assert gone_at > start


def test_5_firmware_imports_no_radio_and_one_module_the_machine():
    for path in FIRMWARE.rglob("*.py"):
        text = path.read_text()
        assert not re.search(r"^\s*(?:import|from)\s+(?:network|bluetooth|socket|espnow|aioble)\b", text, re.M), path
        if path.name != "board.py" and path.parent.name == "lid":
            assert not re.search(r"^\s*(?:import|from)\s+(?:machine|esp32)\b", text, re.M), f"{path} touches the machine"


def test_5_audio_buffer_is_overwritten_on_mute():
    with Bench() as bench:
        bench.board.noise(-20)
        bench.board.run_ms(500)
        bench.board.mute(True)
        bench.board.run_ms(200)
        bench.request("telemetry", every_ms=30)
        bench.board.run_ms(300)
        live = [body["tm"] for body in bench.messages() if "tm" in body][-1]
        assert (live["lvl"], live["score"], live["peak"]) == (0, 0, 0)


def test_6_amber_light_follows_the_rail():
    with Bench() as bench:
        assert bench.board.leds["amber_guarded"] == 0
        bench.board.weld("guarded")
        bench.board.run_ms(20)
        assert bench.board.leds["amber_guarded"] == 1, "the amber light follows the code, not the rail"


def test_9_board_identifier_is_random():
    identities = set()
    for seed in (1, 2):
        with Bench(seed=seed) as bench:
            hello = bench.hello()
            identities.add(hello["board"])
            assert re.fullmatch("[0-9a-f]{16}", hello["board"])
            boot = bench.records()[0]
            assert boot.seq == 1
    assert len(identities) == 2
