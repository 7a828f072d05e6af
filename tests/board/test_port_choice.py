# SPDX-License-Identifier: MIT
"""Which ports are offered, in what order, and which port a word means: a device, a link, a URL, a board's name."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import serial
from earlid.board import port as port_module
from earlid.board.link import Link
from earlid.board.port import candidate_ports
from earlid.board.port_names import natural
from earlid.cli import main
from earlid.errors import UserError
from earlid.ledger.location import locate
from earlid.ledger.store import Ledger
from earlid.port_choice import named_port
from serial import rfc2217
from serial.tools.list_ports_common import ListPortInfo

from tests.board.fake_board import FakeBoard, seal_records

BOARD, OTHER = "00112233aabbccdd", "0011ffffaabbccdd"


def usb(device: str, vid: int | None, pid: int = 0xEA60, serial_number: str | None = None) -> ListPortInfo:
    """A port as pyserial lists it."""
    info = ListPortInfo(device)
    info.vid, info.pid, info.serial_number = vid, pid, serial_number
    return info


def offered(*ports: ListPortInfo, patch: pytest.MonkeyPatch, **configured: str) -> list[str]:
    for name in ("ALLOW", "DENY", "UART"):
        patch.setenv(f"EARLID_PORTS_{name}", configured.get(name.lower(), ""))
    patch.setattr(port_module.list_ports, "comports", lambda: ports)
    return [str(info.device) for info in candidate_ports()]


def test_com10_stands_behind_com2(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = [usb(f"COM{number}", 0x10C4) for number in (10, 2, 1)]
    assert offered(*ports, patch=monkeypatch) == ["COM1", "COM2", "COM10"]
    assert sorted(["/dev/ttyUSB10", "/dev/ttyACM3", "/dev/ttyUSB9"], key=natural)[1:] == ["/dev/ttyUSB9", "/dev/ttyUSB10"]


def test_configuration_allows_and_denies_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meter, board = usb("/dev/ttyUSB0", 0x0403, 0x6001, "METER7"), usb("/dev/ttyUSB1", 0x10C4)
    strange, none = usb("/dev/ttyACM0", 0x1234, 0x0001), usb("/dev/ttyS0", None)
    every = (meter, board, strange, none)
    assert offered(*every, patch=monkeypatch) == ["/dev/ttyUSB0", "/dev/ttyUSB1"]
    for deny in ("0403:6001", "meter7", "/dev/ttyUSB0", "0403:*"):
        assert offered(*every, patch=monkeypatch, deny=deny) == ["/dev/ttyUSB1"]
    assert offered(*every, patch=monkeypatch, allow="/dev/ttyACM*, METER?") == ["/dev/ttyACM0", "/dev/ttyUSB0"]
    assert offered(*every, patch=monkeypatch, allow="METER7", deny="/dev/ttyUSB*") == []
    device = tmp_path / "ttyUSB9"
    device.write_text("")
    (tmp_path / "by-id").mkdir()
    (tmp_path / "by-id" / "usb-Meter-if00").symlink_to(device)
    linked = usb(str(device), 0x10C4)
    assert offered(linked, board, patch=monkeypatch, deny=f"{tmp_path}/by-id/*Meter*") == ["/dev/ttyUSB1"]


def test_uart_is_offered_when_it_is_configured_and_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uart, link = tmp_path / "ttyAMA0", tmp_path / "serial0"
    link.symlink_to(uart)
    assert offered(patch=monkeypatch, uart=str(link)) == []
    uart.write_text("")
    assert offered(usb(str(uart), None), patch=monkeypatch, uart=str(link)) == [str(link)]
    assert offered(usb(str(uart), None), patch=monkeypatch) == []
    assert offered(patch=monkeypatch, uart=str(link), deny=str(uart)) == []


def test_link_means_the_port_that_it_leads_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeBoard(BOARD, seal_records(BOARD, 2)) as board:
        link = tmp_path / "usb-Silicon_Labs"
        link.symlink_to(board.path)
        assert offered(usb(board.path, 0x10C4), patch=monkeypatch) == [board.path]
        for words in (["-p", str(link)], []):
            monkeypatch.setenv("EARLID_PORT", str(link))
            assert main(["list", "--json", *words]) == 0
            (found,) = json.loads(capsys.readouterr().out)
            assert (found["board"], found["vid_pid"]) == (BOARD, "10c4:ea60")
        main(["safe", "--json"])
        assert len(capsys.readouterr().out.splitlines()) == 1, "one port, one answer"


def test_board_is_found_by_name_and_by_how_its_identifier_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeBoard(BOARD, seal_records(BOARD, 2)) as board, FakeBoard(OTHER, []) as other:
        ports = (usb(board.path, 0x10C4), usb(other.path, 0x10C4))
        offered(*ports, patch=monkeypatch)
        assert named_port("00112") == board.path
        assert named_port("0011FF") == other.path
        with pytest.raises(UserError, match=f"several boards are '0011': .*{OTHER}") as caught:
            named_port("0011")
        assert caught.value.code == 2
        with pytest.raises(UserError, match=r"no board 'desk' is plugged in. There is .*name that") as caught:
            named_port("desk")
        assert caught.value.code == 3
        with Ledger(locate(None)) as ledger:
            ledger.set_name(OTHER, "desk")
            ledger.set_name("7777000011112222", "attic")
        assert named_port("Desk") == other.path
        assert named_port("00112") == board.path, "one that the ledger does not know"
        with pytest.raises(UserError, match="no board 'attic' is plugged in"):
            named_port("attic")


def test_port_names_are_taken_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port_module, "candidate_ports", None)  # not looked at
    for name in ("/dev/none", "COM7", "com12", "socket://host:1", "rfc2217://host:1", r"\\.\COM7"):
        assert named_port(name) == name
    for url in ("loop://", "hwgrep://x", "http://host"):
        with pytest.raises(UserError, match="socket:// and rfc2217:// are known") as caught:
            named_port(url)
        assert caught.value.code == 2


def test_lids_are_closed_whatever_is_wrong_with_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.toml"
    monkeypatch.setenv("EARLID_CONFIG", str(file))
    with FakeBoard(BOARD, []) as board:
        monkeypatch.setattr(port_module.list_ports, "comports", lambda: [usb(board.path, 0x10C4)])
        for text in ("no TOML at all", "[ports]\nallow = 3", "unknown = 1", "port = 'attic'"):
            file.write_text(text)
            assert main(["list"]) == (3 if "attic" in text else 2)
            assert ("no board 'attic'" if "attic" in text else "earlid config check") in capsys.readouterr().err
            main(["safe", "--json"])
            assert json.loads(capsys.readouterr().out)["port"] == board.path


class Terminal(serial.Serial):
    """A pseudo-terminal with the lines that a serial port has."""

    cts = dsr = ri = cd = property(lambda self: True)
    rts = dtr = property(lambda self: True, lambda self, value: None)


@contextmanager
def served(path: str, scheme: str) -> Iterator[str]:
    """The URL of a server that gives one client at a time a serial port, as `ser2net` does."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client, Terminal(path, 115200, timeout=0.02) as device, suppress(OSError):
                    client.settimeout(0.02)
                    adapter = SimpleNamespace(write=client.sendall)
                    manager = rfc2217.PortManager(device, adapter) if scheme == "rfc2217" else None
                    while True:
                        with suppress(TimeoutError):
                            data = client.recv(4096)
                            if not data:
                                break
                            device.write(b"".join(manager.filter(data)) if manager else data)
                        got = device.read(max(1, device.in_waiting))
                        client.sendall(b"".join(manager.escape(got)) if manager else got)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


@pytest.mark.parametrize("scheme", ["socket", "rfc2217"])
def test_board_behind_a_network_answers(scheme: str, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeBoard(BOARD, seal_records(BOARD, 30)) as board, served(board.path, scheme) as url:
        with Link(url) as link:
            assert link.request("hello")["hi"]["board"] == BOARD
            assert link.path == url
        assert main(["watch", "--once", "-p", url]) == 0
        assert "30 records fetched" in capsys.readouterr().err
        assert board.acked == 30
        assert main(["list", "-p", url]) == 0
        assert f"{url}  Earlid" in capsys.readouterr().out


def test_server_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pair", "-p", "socket://127.0.0.1:1"]) == 3
    assert "cannot open socket://127.0.0.1:1: " in capsys.readouterr().err
    assert main(["pair", "-p", "socket://127.0.0.1"]) == 3
    assert "Look after its server" in capsys.readouterr().err
