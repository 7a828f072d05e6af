# SPDX-License-Identifier: MIT
"""Observation for `earlid doctor`: this computer, its ports, and the boards that reply. Changes nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lid.record import FIELDS
from lid.wire_schema import Hello, Telemetry

from earlid.board.detect import ProbeResult, describe_ports, probe_described
from earlid.board.link import BoardRefused, Link, TelemetryMessage
from earlid.board.port import BOARD_VENDORS, port_holder
from earlid.doctor.model import ExaminedBoard, ExaminedPort, HostSystem, Observation, PortAccess
from earlid.errors import UserError
from earlid.ledger.strangers import stranger_text

RECORDS = 64
TELEMETRY_EVERY_MS = 100
LISTEN_S = 1.5
INTERFERING = frozenset({"brltty", "ModemManager"})
SELF_TEST_S = 15.0


def observe(infos: Iterable[Any], named: str | None, run_self_test: bool) -> Observation:
    """Observe this computer and its ports.

    Args:
        infos: pyserial's `ListPortInfo` of the ports that may be boards.
        named: a port that the user named, looked at even if it is not among them.
        run_self_test: ask each closed board for a self-test; its sentinel's relay clicks.
    """
    ports = []
    boards = []
    for entry in describe_ports(infos, named):
        result = probe_described(entry)
        if not result.holder and result.state not in ("gone", "no-permission"):
            result = replace(result, holder=port_holder(result.port) or "")  # one that took no lock keeps nobody out
        ports.append(ExaminedPort(result, _access(result.port)))
        if result.state == "earlid" and not (result.hello or {}).get("maintenance"):
            boards.append(_examine(result, run_self_test))
    return Observation(HostSystem(sys.platform, _interfering_programs(), _usb_without_port()), tuple(ports), tuple(boards))


def _examine(probe: ProbeResult, run_self_test: bool) -> ExaminedBoard:
    hello: Mapping[str, Any] = probe.hello or {}
    stranger = stranger_text(hello)
    try:
        with Link(probe.port) as link:
            hello = link.request("hello")["hi"]
            records = _newest_records(link, hello)
            bits, drop_ms = _self_test(link, hello) if run_self_test else (None, 0)
            telemetry = _telemetry(link)
            hello = link.request("hello")["hi"]
    except UserError:
        return ExaminedBoard(probe.port, hello, stranger=stranger)  # it left meanwhile: judged by its first hello
    return ExaminedBoard(probe.port, hello, records, bits, drop_ms, telemetry, stranger)


def _newest_records(link: Link, hello: Hello) -> tuple[dict[str, Any], ...]:
    first = max(1, hello["seq"] - RECORDS + 1)
    link.request("sync", from_=first, max=RECORDS)
    return tuple(dict(zip(FIELDS, record, strict=False)) for record in link.pop_records())


def _self_test(link: Link, hello: Hello) -> tuple[int | None, int]:
    if hello["state"] != "closed":
        return None, 0
    try:
        reply = link.request("selftest", timeout_s=SELF_TEST_S)
    except BoardRefused:  # just muted, or asked for too often
        return None, 0
    return reply["bits"], reply["drop_ms"]


def _telemetry(link: Link) -> tuple[Telemetry, ...]:
    link.request("telemetry", every_ms=TELEMETRY_EVERY_MS)
    try:
        return tuple(message.telemetry for message in link.messages(LISTEN_S) if isinstance(message, TelemetryMessage))
    finally:
        link.request("telemetry", every_ms=0)


def _access(port: str) -> PortAccess:
    if os.name != "posix":
        return PortAccess()
    import grp
    import pwd

    try:
        gid = os.stat(port).st_gid
        entry = grp.getgrgid(gid)
        user = pwd.getpwuid(os.getuid()).pw_name
    except (OSError, KeyError):
        return PortAccess()
    allowed = os.access(port, os.R_OK | os.W_OK)
    listed = user in entry.gr_mem
    return PortAccess(entry.gr_name, allowed, after_login=listed and gid not in os.getgroups())


def _interfering_programs() -> frozenset[str]:
    names = set()
    for entry in Path("/proc").glob("[0-9]*/comm"):
        try:
            names.add(entry.read_text().strip())
        except OSError:  # ended meanwhile
            continue
    return frozenset(names) & INTERFERING


def _usb_without_port(devices: Path = Path("/sys/bus/usb/devices")) -> tuple[str, ...]:
    chips = []
    for entry in sorted(devices.glob("*/idVendor")):
        try:
            vendor, product = entry.read_text().strip(), (entry.parent / "idProduct").read_text().strip()
        except OSError:
            continue
        if int(vendor, 16) in BOARD_VENDORS and not any(entry.parent.glob("*/tty*")):
            chips.append(f"{vendor}:{product}")
    return tuple(chips)
