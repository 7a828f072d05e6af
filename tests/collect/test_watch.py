# SPDX-License-Identifier: MIT
"""`earlid watch`: watchers, pairing, the display, and the program as a whole."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import time

import pytest
from earlid.board import link as link_module
from earlid.cli import main
from earlid.collect import liveview, watcher
from earlid.collect.events import WatchEvent
from earlid.collect.watcher import BoardStatus
from earlid.errors import UserError
from earlid.ledger import keys
from earlid.ledger.boards import boards
from earlid.ledger.exposure import Bounds
from earlid.ledger.judge import judge
from earlid.ledger.lid_state import HEARD_MS
from earlid.ledger.queries import entries
from earlid.ledger.reader import Reader
from earlid.ledger.report import Today
from earlid.ledger.store import Ledger
from lid import config
from rich.console import Console

from tests.board.fake_board import KEY, FakeBoard, seal_records
from tests.collect.watching import LIMIT_S, EventLog, program, wait_until, watching
from tests.outputs import check_output, parse_lines, parse_output
from tests.terminal import Terminal

BOARD = "00112233aabbccdd"


def count(location):
    with Reader(location) as reader:
        return reader.rows("SELECT COUNT(*) FROM records")[0][0]


def test_watcher_follows_a_board_through_a_restart(location):
    slots = seal_records(BOARD, 30)
    log = EventLog()
    with FakeBoard(BOARD, slots[:10]) as board, Ledger(location) as ledger, watching(board.path, ledger, log, 100):
        log.wait_for(lambda item: item.kind == "here")
        board.append(slots[10])
        log.wait_for(lambda item: item.record and item.record.seq == 11)
        board.slots += slots[11:20]
        board.restart()
        log.wait_for(lambda item: item.kind == "restart")
        log.wait_for(lambda item: item.record and item.record.seq == 20)
        board.slots += slots[20:22]
        board.lose(9)
        board.say({"tm": board.telemetry()})
        log.wait_for(lambda item: item.record and item.record.seq == 22)
        assert board.wall_ms is not None
        assert {"do": "telemetry", "every_ms": 100}.items() <= [r for r in board.requests if r["do"] == "telemetry"][-1].items()
    assert count(location) == 22
    assert [item.record.seq for item in log.events if item.record] == list(range(1, 23))


def test_board_that_only_sends_telemetry_is_marked_as_seen(location, monkeypatch):
    assert watcher.SEEN_S * 1000 < HEARD_MS / 2
    monkeypatch.setattr(watcher, "SEEN_S", 0.3)
    monkeypatch.setattr(watcher, "SILENCE_S", 3600.0)  # no `hello` tells of it

    def seen_ms():
        with Reader(location) as reader:
            return boards(reader)[0].last_seen_ms

    log = EventLog()
    with FakeBoard(BOARD, seal_records(BOARD, 3)) as board, Ledger(location) as ledger, watching(board.path, ledger, log, 100):
        log.wait_for(lambda item: item.kind == "here")
        first_ms = seen_ms()

        def is_seen():
            board.say({"tm": board.telemetry()})
            return seen_ms() > first_ms + 1000

        wait_until(is_seen)


def test_watcher_reconnects_and_reports_the_gap(location, monkeypatch):
    monkeypatch.setattr(watcher, "RECONNECT_S", (0.05,))
    slots = seal_records(BOARD, 60)
    log = EventLog()
    link = location.path.parent / "port"
    with Ledger(location) as ledger, FakeBoard(BOARD, slots[:20]) as first, FakeBoard(BOARD, slots[40:]) as again:
        link.symlink_to(first.path)
        with watching(str(link), ledger, log) as one:
            log.wait_for(lambda item: item.kind == "here")
            link.unlink()  # first: behind its end the terminal's number may be another's
            first.stop()
            log.wait_for(lambda item: item.kind == "away")
            assert liveview.state_of(one.status)[0].startswith("unknown since ")
            link.symlink_to(again.path)
            log.wait_for(lambda item: item.kind == "gap")
    assert "records 21 to 40" in next(item.text for item in log.events if item.kind == "gap")
    assert count(location) == 40


def test_full_disk_is_reported_once_and_retried(location, monkeypatch):
    monkeypatch.setattr(watcher, "RECONNECT_S", (0.05,))
    log = EventLog()
    with FakeBoard(BOARD, seal_records(BOARD, 5)) as board, Ledger(location) as ledger:
        full = [UserError("the disk that holds the ledger is full"), UserError("the disk that holds the ledger is full")]
        add = ledger.add
        monkeypatch.setattr(ledger, "add", lambda *args: (_ for _ in ()).throw(full.pop()) if full else add(*args))
        with watching(board.path, ledger, log):
            log.wait_for(lambda item: item.kind == "here")
        assert board.acked == 5
    assert [item.kind for item in log.events].count("trouble") == 1
    assert count(location) == 5


def test_watch_once_fetches_all_and_ends(location, capsys):
    with FakeBoard(BOARD, seal_records(BOARD, 7)) as board:
        assert main(["watch", "--once", "--json", "-p", board.path, "--ledger", str(location.path)]) == 0
        printed = capsys.readouterr()
    lines = parse_lines("watch", printed.out)
    assert [line.get("seq", line["event"]) for line in lines] == [*range(1, 8), "here", "note"]
    assert {"board", "at_ms", "event", "reason", "link", "mac"} <= lines[0].keys()
    assert "7 records fetched" in printed.err
    assert count(location) == 7


def test_every_kind_of_event_is_told_as_the_schema_says(location, monkeypatch):
    monkeypatch.setattr(watcher, "RECONNECT_S", (0.05,))
    log = EventLog()
    link = location.path.parent / "port"
    with Ledger(location) as ledger, FakeBoard(BOARD, seal_records(BOARD, 20)) as first, FakeBoard(BOARD, []) as again:
        hello = first.hello
        first.hello = lambda: hello() | {"config": f"{config.digest(config.defaults()):08x}"}
        link.symlink_to(first.path)
        with watching(str(link), ledger, log):
            log.wait_for(lambda item: item.kind == "not-calibrated")
            first.restart()
            log.wait_for(lambda item: item.kind == "restart")
            link.unlink()
            first.stop()
            log.wait_for(lambda item: item.kind == "away")
            log.wait_for(lambda item: item.kind == "trouble")
            again.slots[:] = seal_records(BOARD, 30, step_ms=7)  # another board under its name
            link.symlink_to(again.path)
            log.wait_for(lambda item: item.kind == "chain-broken")
            log.wait_for(lambda item: item.record and item.record.seq == 30)
    told = [check_output("watch", event.as_json()) for event in log.events]
    assert {event["event"] for event in told} >= {"here", "not-calibrated", "restart", "away", "trouble", "chain-broken", "note"}
    assert all(event["port"] == str(link) for event in told)
    (broken,) = [event for event in told if event["event"] == "chain-broken"]
    assert broken["board"].startswith(f"{BOARD}.")
    assert "a stranger: it claims to be board" in broken["text"]


def test_watch_once_without_a_board_exits_with_3(location, capsys, monkeypatch):
    monkeypatch.setattr("earlid.board.port.candidate_ports", list)
    assert main(["watch", "--once", "--ledger", str(location.path)]) == 3
    assert main(["watch", "--once", "-p", "/dev/none", "--ledger", str(location.path)]) == 3
    assert "there is no /dev/none" in capsys.readouterr().err


def test_watch_json_streams_records_and_ends_at_sigterm(location):
    slots = seal_records(BOARD, 12)
    with FakeBoard(BOARD, slots[:10]) as board:
        words = ["watch", "--json", "-p", board.path, "--ledger", str(location.path)]
        with program(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
            first = [parse_output("watch", child.stdout.readline()) for _ in range(12)]
            wait_until(lambda: any(request["do"] == "telemetry" for request in board.requests))
            board.append(slots[10])
            assert parse_output("watch", child.stdout.readline())["seq"] == 11
            child.send_signal(signal.SIGTERM)
            _, err = child.communicate(timeout=LIMIT_S)
        assert b"\x03" not in board.received
    assert [line.get("seq", line["event"]) for line in first] == [*range(1, 11), "here", "note"]
    assert child.returncode == 0
    assert "10 records fetched" in err


def test_watch_at_a_terminal_shows_live_records_and_ends_tidily(location):
    slots = seal_records(BOARD, 11)
    with FakeBoard(BOARD, slots[:10]) as board:
        words = ["watch", "-p", board.path, "--ledger", str(location.path)]
        with Terminal(words, columns=120) as person:
            person.expect("10 records fetched")
            board.append(slots[10])
            person.expect(": 11 open word, score 230 of 255, cutoff 200")
            person.keys("\x03")
            person.end_tidily(130)
    assert "live today" in person.text
    assert count(location) == 11


def test_clock_steps_and_sleep_are_corrected(location, monkeypatch):
    hour_ms = 3_600_000
    lead_ms = 0
    monkeypatch.setattr(watcher, "now_ms", lambda: time.time_ns() // 1_000_000 + lead_ms)
    night_ms = 8 * hour_ms
    slots = seal_records(BOARD, 2)
    slots += seal_records(BOARD, 2, first=3, prev=slots[-1][40:52], step_ms=night_ms + 2000)[:1]
    log = EventLog()

    def clock_lead_s():
        return board.wall_ms / 1000 - time.time() if board.wall_ms else 1e9

    def state():
        return clock_lead_s(), log.events

    with FakeBoard(BOARD, slots[:2]) as board, Ledger(location) as ledger, watching(board.path, ledger, log):
        before_s, now_s, after_s = time.monotonic(), time.time(), time.monotonic()
        zero_ms, doubt_ms = (now_s - before_s + board.started_s) * 1000, 50 + (after_s - before_s) * 1000
        log.wait_for(lambda item: item.kind == "here")
        for leap_ms in (hour_ms, 0):  # somebody sets the clock wrongly, then rightly
            lead_ms = leap_ms
            wait_until(lambda leap_ms=leap_ms: abs(clock_lead_s() - leap_ms / 1000) < 60, state)
        lead_ms = night_ms  # this computer slept; the board did not
        board.started_s -= night_ms / 1000
        wait_until(lambda: abs(clock_lead_s() - night_ms / 1000) < 60, state)
        board.append(slots[2])
        log.wait_for(lambda item: item.record and item.record.seq == 3)
    assert {item.kind for item in log.events} == {"here", "record", "note"}
    with Reader(location) as reader:
        rows = list(entries(reader, boards(reader)))
    for entry, ms in zip(rows, (1000, 2000, night_ms + 2000), strict=True):
        assert abs(entry.wall_ms - zero_ms - ms) <= entry.unc_ms + doubt_ms, (entry, ms)
        assert entry.unc_ms < 10_000
    assert abs(log.events[-1].wall_ms - rows[-1].wall_ms) < 1000 + rows[-1].unc_ms


def test_pairing_waits_for_consent_and_saves_the_key_privately(capsys):
    with FakeBoard(BOARD, [], proto=2) as board:
        board.before_reply = lambda body: board.waiting and board.consent(key=KEY.hex(), epoch=7, seq=4711)
        assert main(["pair", "-p", board.path]) == 0
    assert keys.read_keys(BOARD) == ((KEY, 7, 4711),)
    assert os.stat(keys.key_path(BOARD)).st_mode & 0o777 == 0o600
    printed = capsys.readouterr().err
    assert KEY.hex() not in printed
    assert "latch the mute switch, then hold the talk button for 3 seconds" in printed
    assert f"Board {BOARD} is paired" in printed


def test_board_of_the_first_version_is_not_paired(capsys):
    with FakeBoard(BOARD, []) as board:
        assert main(["pair", "-p", board.path]) == 1
    assert "firmware is 0.1.0: `earlid flash` updates it" in capsys.readouterr().err
    assert keys.read_keys(BOARD) == ()


def test_key_file_of_the_first_version_is_read_and_a_damaged_one_is_named():
    keys.save_key(BOARD, KEY)
    keys.key_path(BOARD).write_text(KEY.hex() + "\n")
    assert keys.read_keys(BOARD) == ((KEY, 0, 1),)
    for text in ("no key", "", "ab", KEY.hex() + " x 1", KEY.hex() + " -1 1", KEY.hex() + " 1 2 3"):
        keys.key_path(BOARD).write_text(text)
        with pytest.raises(UserError, match="`earlid pair` again"):
            keys.read_keys(BOARD)
        assert keys.key_at(BOARD, 0) is None
    with pytest.raises(UserError, match="no board's identifier"):
        keys.read_keys("../../etc/passwd")
    assert keys.read_keys("ffff") == ()


def test_watch_shows_what_any_program_asks_consent_for(location):
    log = EventLog()
    asked = {"id": 1, "do": "pair"}
    with FakeBoard(BOARD, seal_records(BOARD, 3), proto=2) as board, Ledger(location) as ledger:
        board.waiting = asked
        with watching(board.path, ledger, log):
            log.wait_for(lambda item: item.kind == "ask")
            assert "pair, request 47d8bd46" in log.events[-1].text
            log.events.clear()
            board.say({"ask": board.ask() | {"do": "config-set", "digest": "1a2b3c4d"}})
            log.wait_for(lambda item: item.kind == "ask")
        assert "config-set, request 1a2b3c4d, for 60 s more" in log.events[-1].text
    assert not any("mac" in body for body in board.requests)


def test_watch_says_once_a_connection_what_it_may_not_do(location):
    log = EventLog()
    with FakeBoard(BOARD, seal_records(BOARD, 4)[:3], proto=2) as board, Ledger(location) as ledger:
        with watching(board.path, ledger, log):
            log.wait_for(lambda item: item.kind == "note")
            board.append(seal_records(BOARD, 4)[3])
            log.wait_for(lambda item: item.record and item.record.seq == 4)
        assert board.acked == 0
    assert [item.text[:10] for item in log.events if item.kind == "note"] == ["not paired"]


def test_live_view_shows_state_level_and_events():
    status = BoardStatus("/dev/ttyUSB0", BOARD, connected=True, telemetry={"state": "open", "lvl": 5000, "score": 130})
    status.heard_s = time.monotonic() + 3600  # fresh, however slow the machine
    slot = seal_records(BOARD, 1)[0]
    item = link_module.Record._make(link_module.record.slot_to_wire(slot))
    status.last.append(WatchEvent("record", BOARD, "open word", item, 1_800_000_000_000))
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(liveview.render([status], status.last, lambda board: "kitchen", {BOARD: Today(Bounds(8000, 8050))}))
    text = console.export_text()
    for part in ("kitchen", "open", "█", "130", "8.1 s", "open word", "score 230 of 255, cutoff 200"):
        assert part in text
    closed = item._replace(event="close", reason="silence", a=7900, b=8040 << 16 | 7000)
    event = WatchEvent("record", BOARD, "close silence", closed, 1_800_000_000_000)
    assert liveview.event_text(event, "kitchen").endswith("close silence, after 7.0 to 8.1 s")


def test_live_view_says_live_of_a_board_whose_rail_is():
    status = BoardStatus("/dev/ttyUSB0", BOARD, connected=True, telemetry={"state": "fault"})
    status.heard_s = time.monotonic() + 3600
    console = Console(record=True, width=120, file=io.StringIO())
    console.print(liveview.render([status], [], lambda board: board, {BOARD: Today(Bounds(5000, None), live=True)}))
    text = console.export_text()
    assert "LIVE" in text
    assert "at least 5.0 s" in text


@pytest.mark.parametrize("size", [3000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_killed_sync_loses_no_acknowledged_record(location, size):
    seed = 9
    rng = random.Random(seed)
    slots = seal_records(BOARD, size)
    kills = 0
    with FakeBoard(BOARD, slots) as board:
        mercy = 0

        def kill(_):
            nonlocal mercy
            mercy -= 1
            if mercy == 0:
                child.kill()

        board.before_reply = kill
        while board.acked < size:
            mercy = rng.randrange(4, 25) if kills < 5 else 0
            words = ["watch", "--once", "-p", board.path, "--ledger", str(location.path)]
            with program(*words, stderr=subprocess.DEVNULL) as child:
                code = child.wait()
            assert code == (-signal.SIGKILL if kills < 5 else 0), f"seed {seed}"
            kills += 1
            assert count(location) >= board.acked, f"seed {seed}"
    assert kills == 6
    with Reader(location) as reader:
        assert reader.rows("SELECT COUNT(*), COUNT(DISTINCT seq), MAX(seq) FROM records") == [(size, size, size)]
        judged = judge(reader, boards(reader)[0], (keys.PairedKey(KEY),))
    assert judged.exit_code == 0, judged.findings
