# SPDX-License-Identifier: MIT
"""The serial port: opened and closed without resetting a board; errors that say what to do; which port is picked."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest
import serial
from earlid.board import port as port_module
from earlid.board.port import open_port
from earlid.errors import UserError
from earlid.port_choice import pick_port


def test_rts_drops_before_dtr_when_a_port_closes(monkeypatch):
    changes = []
    for name in ("_update_rts_state", "_update_dtr_state"):
        monkeypatch.setattr(serial.Serial, name, lambda self, name=name: changes.append((name[8:11], getattr(self, name[8:11]))))
    master, slave = pty.openpty()
    port = open_port(os.ttyname(slave))
    opened = list(changes)
    changes.clear()
    port.close()
    os.close(master)
    os.close(slave)
    assert sorted(opened) == [("dtr", True), ("rts", True)]
    assert changes == [("rts", False), ("dtr", False)]


def test_busy_port_names_the_process_that_holds_it(tmp_path):
    master, slave = pty.openpty()
    path = os.ttyname(slave)
    code = f"import serial,time; s=serial.Serial({path!r}, exclusive=True); print('open', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(UserError, match=rf"busy.*{other.pid}") as caught:
            open_port(path)
        assert caught.value.code == 3
    finally:
        other.kill()
        other.wait()
        os.close(master)
        os.close(slave)


def test_missing_and_forbidden_ports_say_what_to_do(tmp_path):
    with pytest.raises(UserError, match="there is no"):
        open_port(str(tmp_path / "ttyUSB0"))
    assert "dialout" in port_module._open_error_text("/dev/ttyUSB0", PermissionError(13, "Permission denied"))
    plain = tmp_path / "file"
    plain.write_text("")
    with pytest.raises(UserError, match="no serial port"):
        open_port(str(plain))


def test_pick_port_prefers_argument_then_variables_then_the_only_board(monkeypatch):
    class Found:
        def __init__(self, device):
            self.device, self.description, self.serial_number = device, "CP2102", "0001"

    monkeypatch.setattr(port_module, "candidate_ports", lambda: [Found("/dev/a"), Found("/dev/b")])
    monkeypatch.setenv("EARLID_PORT", "/dev/e")
    monkeypatch.setenv("ESPTOOL_PORT", "/dev/t")
    assert pick_port("/dev/x") == "/dev/x"
    assert pick_port(None) == "/dev/e"
    monkeypatch.delenv("EARLID_PORT")
    assert pick_port(None) == "/dev/t"
    monkeypatch.delenv("ESPTOOL_PORT")
    with pytest.raises(UserError, match=r"/dev/a.*/dev/b") as caught:
        pick_port(None)
    assert caught.value.code == 2
    monkeypatch.setattr(port_module, "candidate_ports", lambda: [Found("/dev/a")])
    assert pick_port(None) == "/dev/a"
    monkeypatch.setattr(port_module, "candidate_ports", list)
    with pytest.raises(UserError, match="no board") as caught:
        pick_port(None)
    assert caught.value.code == 3
