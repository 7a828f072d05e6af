# SPDX-License-Identifier: MIT
"""The doctor's diagnoses, each from an observation made by hand; the texts for three systems; and a bundle that names nobody."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from earlid.board.detect import ProbeResult
from earlid.cli import main
from earlid.doctor import board_rules, bug_report, gather, port_rules
from earlid.doctor.diagnose import diagnose
from earlid.doctor.model import NOTICE, PROBLEM, ExaminedBoard, ExaminedPort, HostSystem, Observation, PortAccess
from lid.record import FIELDS, REASONS
from lid.wire_schema import EVENTS, SELF_TEST, Hello, SelfTestBit, Telemetry, fields, problem

from tests.outputs import parse_output

PORT = "/dev/ttyUSB0"
LINUX = HostSystem("linux")


class Sent(dict[str, Any]):
    """A message of the wire: a rule that reads a field which the schema does not have is an error."""

    def __init__(self, message: Any, values: dict[str, Any]) -> None:
        assert not problem(values, message), problem(values, message)
        super().__init__(values)
        self.known = fields(message)

    def __getitem__(self, name: str) -> Any:
        assert name in self.known
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        assert name in self.known
        return super().get(name, default)


HELLO: dict[str, Any] = {
    "board": "00112233445566aa", "fw": "0.2.0", "proto": 2, "boot": 3, "ms": 70_000, "state": "closed", "mute": False, "why": "",
    "seq": 9, "oldest": 1, "acked": 9, "link": "c840d94427bb296c3267b124", "word": "alexa", "model": "0011223344556677",
    "config": "1cc362a8", "guarded_mv": 180, "sentinel_mv": 3290, "dropped": 0, "overruns": 0, "maintenance": False,
    "presence": False,
}  # fmt: skip


def live(**changes: Any) -> Sent:
    """One telemetry message."""
    numbers = {
        "ms": 1, "state": "closed", "live": 0, "rail": 180, "lvl": 2000, "score": 0, "prob": 0, "quiet": 0,
        "peak": 300, "clip": 0, "drop": 0, "over": 0,
    }  # fmt: skip
    return Sent(Telemetry, numbers | changes)


LIVE = tuple(live(ms=n, peak=300 + n % 7) for n in range(15))


def record(event: str, reason: str, boot: int = 3, a: int = 1, b: int = 2) -> dict[str, Any]:
    """A record as a dict."""
    return dict.fromkeys(FIELDS, 0) | {"event": event, "reason": reason, "boot": boot, "a": a, "b": b, "wall_ms": 1_700_000}


def at(state: str, system: HostSystem = LINUX, access: PortAccess | None = None, **fields: Any) -> Observation:
    """One port in a state."""
    return Observation(system, (ExaminedPort(ProbeResult(fields.pop("port", PORT), state, **fields), access or PortAccess()),))


def board(**changes: Any) -> Observation:
    """One board that answers; `hello` is merged."""
    hello = HELLO | changes.pop("hello", {})
    healthy = {"self_test": int(SelfTestBit.ALL), "drop_ms": 80, "telemetry": LIVE}
    examined = ExaminedBoard(PORT, Sent(Hello, hello), **(healthy | changes))
    return Observation(LINUX, (ExaminedPort(ProbeResult(PORT, "earlid", hello=hello)),), (examined,))


def bits_without(bit: int) -> int:
    return SelfTestBit.ALL & ~(1 << bit)


CASES: list[tuple[str, Observation, str]] = [
    ("no-port", Observation(LINUX), "another cable"),
    ("no-port", Observation(HostSystem("darwin")), "Privacy & Security"),
    ("no-port", Observation(HostSystem("win32")), "Device Manager"),
    ("brltty", Observation(HostSystem("linux", frozenset({"brltty"}), ("1a86:7523",))), "apt remove brltty"),
    ("no-driver", Observation(HostSystem("linux", frozenset(), ("10c4:ea60",))), "modprobe cp210x"),
    ("no-driver", Observation(HostSystem("win32", frozenset(), ("10c4:ea60",))), "Silicon Labs"),
    ("permission", at("no-permission", access=PortAccess("dialout", False)), "sudo usermod -aG dialout $USER"),
    ("permission", at("no-permission", access=PortAccess("uucp", False)), "sudo usermod -aG uucp $USER"),
    ("login-again", at("no-permission", access=PortAccess("dialout", False, after_login=True)), "Log out and in"),
    ("busy", at("busy", holder="screen (4711)"), "Close that program"),
    ("busy", at("busy", HostSystem("win32"), port="COM3"), "serial monitor"),
    ("busy", at("busy", HostSystem("darwin")), "lsof /dev/ttyUSB0"),
    ("shared", at("silent", holder="cat (4711)"), "Close that program"),
    ("shared", at("earlid", holder="minicom (4711)"), "Close that program"),
    ("wrong-chip", at("silent", vid_pid="303a:1001"), "ESP32-WROOM-32"),
    ("mac-tty", at("silent", HostSystem("darwin"), port="/dev/tty.usbserial-1"), "/dev/cu.usbserial-1"),
    ("gone", at("gone", error="it vanished."), "Plug it in directly"),
    ("no-serial-port", at("gone", error="/dev/null is no serial port. See `earlid list`."), "earlid list"),
    ("boot-loader", at("bootloader"), "Press reset"),
    ("boot-mode", at("silent", console_text="Wrong boot mode detected (0x13)! The chip needs"), "GPIO 0"),
    ("boot-mode", at("bootloader", console_text="rst:0x1 (POWERON_RESET),boot:0x3 (DOWNLOAD_BOOT(UART0))"), "GPIO 2, 12 and 15"),
    ("brown-out-now", at("silent", console_text="Brownout detector was triggered\n\nets Jul 29 2019"), "1 A supply"),
    ("empty", at("silent", console_text="invalid header: 0xffffffff\ninvalid header: 0xffffffff"), "earlid flash"),
    ("flash-unreadable", at("silent", console_text="flash read err, 1000\nets_main.c 371"), "GPIO 6 to 12"),
    ("micropython", at("micropython"), "earlid flash"),
    ("no-word", board(hello={"word": "", "no_word": "no-memory", "missing": 2104, "free": 9000}), "earlid flash --micropython"),
    ("no-word", board(hello={"word": "", "no_word": "model-damaged"}), "earlid flash --word"),
    ("no-word", board(hello={"no_word": "mic-dead"}), "other findings"),
    ("earlid-stopped", at("micropython", console_text="earlid: the firmware does not load (x)\n>>> "), "earlid flash"),
    ("silent", at("silent", console_text="Hello from Marlin\n"), "earlid flash"),
    ("fault", board(hello={"state": "fault", "why": "welded"}), "plug it in again"),
    ("rail-live", board(hello={"guarded_mv": 3150}), "second supply"),
    ("sentinel-low", board(hello={"sentinel_mv": 200}), "click"),
    *[(key, board(self_test=bits_without(bit)), do) for bit, (key, _, _, do) in enumerate(board_rules.SELF_TEST)],
    ("mic-silent", board(telemetry=(live(peak=0),) * 12), "L/R to ground"),
    ("mic-silent", board(telemetry=(live(peak=0),) * 12, records=(record("fault", "mic-stuck", boot=2),)), "L/R to ground"),
    ("mic-stuck", board(telemetry=(live(peak=0),) * 12, records=(record("fault", "mic-stuck"),)), "GPIO 33"),
    ("mic-clipped", board(telemetry=tuple(live(peak=row["peak"], clip=3) for row in LIVE)), "earlid calibrate"),
    ("brown-out", board(records=(record("boot", "power-on"), record("boot", "brown-out"))), "short, thick cable"),
    ("watchdog", board(records=(record("boot", "watchdog"),)), "--bundle"),
    *[(f"fault-{name}", board(records=(record("fault", name),)), do) for name, (_, _, do) in board_rules.FAULTS.items()],
]  # fmt: skip
NOTICES: list[tuple[str, Observation]] = [
    ("busy-earlid", at("busy", holder="earlid (7)", hello=HELLO)),
    ("modem-manager", at("silent", HostSystem("linux", frozenset({"ModemManager"})))),
    ("brltty-soon", at("silent", HostSystem("linux", frozenset({"brltty"})), vid_pid="1a86:7523")),
    ("muted", board(hello={"state": "muted", "mute": True}, self_test=None)),
    ("mic-was", board(records=(record("fault", "mic-dead"),))),
    ("other-release", at("micropython", console_text="MicroPython v1.24.1 on 2024-11-29; Generic ESP32 module with ESP32\n>>> ")),
    ("no-word", board(hello={"word": ""})),
    ("overruns", board(hello={"overruns": 4})),
]


@pytest.mark.parametrize(("key", "observation", "do"), CASES, ids=[f"{case[0]}-{n}" for n, case in enumerate(CASES)])
def test_problem_is_diagnosed_with_what_to_do(key: str, observation: Observation, do: str) -> None:
    by_key = {diagnosis.key: diagnosis for diagnosis in diagnose(observation)}
    assert key in by_key
    diagnosis = by_key[key]
    assert diagnosis.level == PROBLEM or key == "micropython"
    assert do in diagnosis.do
    for text in (diagnosis.seen, diagnosis.means, diagnosis.do):
        assert text.endswith((".", "`")), text


def test_closed_lid_of_one_channel_is_no_problem() -> None:
    """Its only rail is dead, nothing was energised by the self-test, and its microphone is silent."""
    closed = {"channels": 1, "word": "", "guarded_mv": 110, "sentinel_mv": 110}
    bits = sum(1 << n for n, (key, *_) in enumerate(board_rules.SELF_TEST) if key not in board_rules.NOT_WHILE_MUTED)
    found = diagnose(board(hello=closed, self_test=bits, telemetry=(live(peak=0),) * 12))
    assert [diagnosis.key for diagnosis in found if diagnosis.level == PROBLEM] == []


@pytest.mark.parametrize(("key", "observation"), NOTICES, ids=[key for key, _ in NOTICES])
def test_notice_is_no_problem(key: str, observation: Observation) -> None:
    assert {diagnosis.key: diagnosis.level for diagnosis in diagnose(observation)}[key] == NOTICE


def test_healthy_board_has_no_diagnoses() -> None:
    assert diagnose(board()) == []


def test_muted_board_is_not_diagnosed_for_its_relay() -> None:
    keys = {diagnosis.key for diagnosis in diagnose(board(hello={"state": "muted", "mute": True}, self_test=0b1101000111))}
    assert keys == {"muted"}


def test_firmware_of_the_first_version_is_told_to_update() -> None:
    (found,) = diagnose(board(hello=HELLO | {"proto": 1, "fw": "0.1.0"}))
    assert (found.key, found.level) == ("old-firmware", "notice")
    assert "`earlid flash`" in found.do


def test_faults_of_an_earlier_start_are_ignored() -> None:
    assert diagnose(board(records=(record("fault", "welded", boot=2),))) == []


def test_every_fault_of_the_protocol_has_a_rule() -> None:
    known = set(board_rules.FAULTS) | set(board_rules.MIC_FAULTS) | {key for key, *_ in board_rules.SELF_TEST}
    assert set(EVENTS["fault"].reasons) - known == {"clock-back", "recovered"}
    assert set(board_rules.FAULTS) <= set(REASONS)


def test_self_test_rules_are_in_the_firmwares_bit_order() -> None:
    order = {
        SelfTestBit.SENTINEL_RISES: "relay-silent",
        SelfTestBit.MICROPHONE_LIVES: "microphone-dead",
        SelfTestBit.CLAMPED: "clamp-lost",
        SelfTestBit.COIL_HOLDS: "coil-sags",
    }
    for bit, key in order.items():
        assert board_rules.SELF_TEST[bit.bit_length() - 1][0] == key
    assert len(board_rules.SELF_TEST) == len(SELF_TEST)


@pytest.mark.parametrize("texts", [name for name in vars(port_rules) if name.endswith("_DO") and name != "BOOT_PIN_DO"])
def test_advice_exists_for_three_operating_systems(texts: str) -> None:
    assert set(getattr(port_rules, texts)) == {"linux", "darwin", "win32"}
    assert "sudo" not in getattr(port_rules, texts)["darwin"] + getattr(port_rules, texts)["win32"]


def test_no_advice_runs_earlid_with_sudo() -> None:
    for _, observation, _ in CASES:
        for diagnosis in diagnose(observation):
            assert "sudo earlid" not in diagnosis.do


def test_bundle_holds_only_allowed_fields() -> None:
    secret = "5a5a5a5a5a5a5a5a"
    observation = board(
        records=(record("open", "word") | {"wall_ms": 1_763_000_000_123, "link": secret, "note": "kitchen"},),
        telemetry=(live(user="me"),),
    )
    hello = HELLO | {"board": secret, "key": secret, "say": secret, "word": "my name", "why": "a b", "link": secret * 2}
    observation = replace(observation, boards=(replace(observation.boards[0], hello=hello),))
    revealing = {"port": "/dev/serial/by-id/usb-Maker_SERIAL123", "description": "SERIAL123", "console_text": "me"}
    named = replace(observation.ports[0].probe, **revealing)
    observation = replace(observation, ports=(ExaminedPort(named, PortAccess("dialout", True)),))
    text = json.dumps(bug_report.make(observation, diagnose(observation)))
    for hidden in (secret, "my name", "1763000000123", "kitchen", "SERIAL123", '"me"', "a b", "by-id"):
        assert hidden not in text, hidden
    report = json.loads(text)
    assert set(report) == {"what", "system", "packages", "ports", "boards", "findings"}
    assert report["ports"][0]["kind"] == "other"
    assert report["boards"][0]["records"][0]["event"] == "open"


def test_json_of_a_healthy_board_carries_its_figures(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("earlid.verbs.doctor.observe", lambda *words, **options: board(hello={"config": "00000001"}))
    assert main(["doctor", "--json"]) == 0
    found = parse_output("doctor", capsys.readouterr().out)
    assert found["diagnoses"] == []
    (well,) = found["boards"]
    assert (well["board"], well["firmware"], well["well"], well["drop_ms"]) == ("00112233445566aa", "0.2.0", True, 80)
    assert well["self_test"] == SelfTestBit.ALL
    assert (well["figures"]["guarded_mv"], well["figures"]["overruns"]) == (180, 0)
    assert well["telemetry"]["peak"] == [300, 306]
    assert "state" not in well["telemetry"]
    assert "mute" not in well["figures"], "a figure is a number"
    ill = replace(board(hello={"guarded_mv": 3000}), boards=(replace(board().boards[0], self_test=None, telemetry=()),))
    monkeypatch.setattr("earlid.verbs.doctor.observe", lambda *words, **options: ill)
    main(["doctor", "--json"])
    (other,) = parse_output("doctor", capsys.readouterr().out)["boards"]
    assert (other["self_test"], other["drop_ms"], other["telemetry"]) == (None, None, {})


def test_usb_chip_without_a_port_is_listed(tmp_path: Path) -> None:
    for name, vendor, product, tty in (
        ("1-1", "1a86", "7523", False),
        ("1-2", "10c4", "ea60", True),
        ("1-3", "046d", "c31c", False),
    ):
        device = tmp_path / name
        device.mkdir()
        (device / "idVendor").write_text(vendor + "\n")
        (device / "idProduct").write_text(product + "\n")
        (device / f"{name}:1.0" / ("ttyUSB0" if tty else "x")).mkdir(parents=True)
    assert gather._usb_without_port(tmp_path) == ("1a86:7523",)


def test_doctor_without_a_port_exits_with_3_and_writes_the_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from earlid.verbs import doctor as verb

    monkeypatch.setattr(verb, "candidate_ports", list)
    monkeypatch.setattr(gather, "_usb_without_port", lambda: ())
    monkeypatch.setattr(gather, "_interfering_programs", frozenset)
    target = tmp_path / "bundle.json"
    assert main(["doctor", "--bundle", str(target)]) == 3
    out, err = capsys.readouterr()
    assert out.startswith("No USB serial device is there.\n    It means: ")
    assert out.endswith("1 problem, 0 more to know.\n")
    assert "read it before you send it" in err
    assert json.loads(target.read_text())["findings"] == [{"key": "no-port", "level": "problem"}]
    assert main(["doctor", "--bundle", str(tmp_path / "no" / "where")]) == 1
