# SPDX-License-Identifier: MIT
"""`earlid safe` and the port proxy: a lid is closed in every possible way, and counts as closed when its rail is dead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import serial
from earlid.board import port_proxy, safe
from earlid.board.link import Link
from earlid.board.shared_link import SharedLink
from earlid.cli import main

from tests.board.fake_board import Lid
from tests.flash import harness
from tests.outputs import parse_lines, parse_output


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short timeout, for boards that never reply."""
    monkeypatch.setattr(safe, "REPLY_S", 0.4)


@contextmanager
def watching(path: str) -> Iterator[Link]:
    """A program that reads the board as `earlid watch` does, with a port proxy."""
    with SharedLink(path, lambda board, epoch: None) as link, port_proxy.open_proxy(path, link.forward):
        yield link


def test_safe_closes_a_free_board(capsys: pytest.CaptureFixture[str]) -> None:
    with Lid() as lid:
        assert main(["safe", "-p", lid.path]) == 0
        assert lid.state == "closed"
        assert capsys.readouterr().out == f"{lid.path}: closed, rail at 180 mV.\n"


def test_safe_closes_through_the_port_proxy_of_another_earlid(capsys: pytest.CaptureFixture[str]) -> None:
    with Lid() as lid, watching(lid.path):
        assert main(["safe", "-p", lid.path, "--json"]) == 0
        assert lid.state == "closed"
        assert parse_output("safe", capsys.readouterr().out)["closed"] is True
        assert main(["list", "-p", lid.path]) == 0
        assert "busy" in (out := capsys.readouterr().out)
        assert "(Earlid 0.1.0, closed)" in out


@pytest.mark.usefixtures("_impatient")
def test_safe_without_a_reply_past_a_foreign_program_is_unconfirmed() -> None:
    with Lid() as lid:
        holder = serial.Serial(lid.path, exclusive=True, timeout=0.01)
        stop = threading.Event()

        def read_all() -> None:
            while not stop.is_set():
                holder.read(65536)

        lid.deaf = True  # nothing comes back, as when the other program reads it first
        thread = threading.Thread(target=read_all)
        thread.start()
        verdict = safe.close_lid(lid.path)
        stop.set()
        thread.join()
        holder.close()
        assert not verdict.closed
        assert "its answer was not seen" in verdict.say
        assert any(body["do"] == "close" for body in lid.requests)


def test_welded_contact_is_reported_as_not_closed(capsys: pytest.CaptureFixture[str]) -> None:
    with Lid() as lid:
        lid.welded = True
        assert main(["safe", "-p", lid.path]) == 1
        assert capsys.readouterr().err == (
            f"earlid: {lid.path}: fault, but the guarded microphone still has 3300 mV: take its plug out. "
            "Its mute switch works without any computer.\n"
        )


@pytest.mark.usefixtures("_impatient")
def test_silent_board_is_reported_as_not_closed() -> None:
    with Lid() as lid:
        lid.deaf = True
        verdict = safe.close_lid(lid.path)
        assert (verdict.closed, verdict.state) == (False, "unknown")
        assert "mute switch" in verdict.say


@pytest.mark.usefixtures("patient")
def test_bare_board_has_no_lid() -> None:
    with harness.bare_board() as board:
        verdict = safe.close_lid(board.serial_port)
        assert (verdict.closed, verdict.state) == (True, "none")


def test_one_open_lid_of_several_fails_and_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from types import SimpleNamespace

    with Lid() as good, Lid() as bad:
        bad.welded = True
        ports = [SimpleNamespace(device=lid.path) for lid in (good, bad)]
        monkeypatch.setattr("earlid.board.port.candidate_ports", lambda lenient: ports)
        assert main(["safe", "--json"]) == 1
        verdicts = parse_lines("safe", capsys.readouterr().out)
        assert [(entry["port"], entry["closed"]) for entry in verdicts] == [(good.path, True), (bad.path, False)]


def test_safe_without_a_board_exits_with_3(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("earlid.board.port.candidate_ports", lambda lenient: [])
    assert main(["safe"]) == 3
    assert "no board found, so no lid was closed" in capsys.readouterr().err
    assert main(["safe", "-p", "/dev/ttyNONE9"]) == 3


def test_port_proxy_forwards_hello_and_close_only() -> None:
    forwarded = []

    def answer(do: str) -> dict[str, Any]:
        forwarded.append(do)
        return {"ok": True, "state": "closed"}

    with port_proxy.PortProxy("/dev/ttyX", answer):
        assert port_proxy.request("/dev/ttyX", "close") == {"ok": True, "state": "closed"}
        assert port_proxy.request("/dev/ttyX", "config-set") == {"ok": False, "say": "only hello and close are passed on"}
        assert port_proxy.request("/dev/ttyY", "close") is None
    assert forwarded == ["close"]
    assert port_proxy.request("/dev/ttyX", "close") is None


def test_port_proxy_key_is_private_and_wrong_keys_are_refused(runtime: Path) -> None:
    from multiprocessing.connection import Client

    with port_proxy.PortProxy("/dev/ttyX", lambda do: {"ok": True}):
        key = next(runtime.glob("*.key"))
        assert key.stat().st_mode & 0o077 == 0
        with pytest.raises(Exception, match=r"digest|reset|refused|closed"):
            Client(port_proxy.address("/dev/ttyX"), authkey=b"guess")
        assert port_proxy.request("/dev/ttyX", "hello") == {"ok": True}


def test_socket_of_a_killed_program_is_replaced() -> None:
    Path(port_proxy.address("/dev/ttyX")).write_bytes(b"")
    assert port_proxy.request("/dev/ttyX", "close") is None
    with port_proxy.PortProxy("/dev/ttyX", lambda do: {"ok": True}):
        assert port_proxy.request("/dev/ttyX", "close") == {"ok": True}


def test_exception_in_the_holder_becomes_a_refusal() -> None:
    def fail(do: str) -> dict[str, Any]:
        raise RuntimeError("gone")

    with port_proxy.PortProxy("/dev/ttyX", fail):
        assert port_proxy.request("/dev/ttyX", "close") == {"ok": False, "say": "gone"}
