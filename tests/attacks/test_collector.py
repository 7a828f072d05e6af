# SPDX-License-Identifier: MIT
"""The collector never stops in silence: each attack ends in a sentence that a person reads, or in an exit code for a service
manager, and the boards are collected from again."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import termios
import threading
import time
from contextlib import contextmanager
from datetime import datetime
from types import SimpleNamespace

import pytest
from earlid.board import link as link_module
from earlid.board import port_proxy, safe
from earlid.board.port_proxy import within
from earlid.cli import main
from earlid.collect import liveview, supervisor, watcher
from earlid.collect.events import WatchEvent
from earlid.collect.supervisor import Supervisor
from earlid.collect.watcher import BoardStatus
from earlid.ledger.boards import boards
from earlid.ledger.reader import Reader
from earlid.ledger.report import Today, make_report
from earlid.ledger.store import Ledger
from earlid.ledger.time_format import clock_text
from lid import record, wire

from tests.attacks.conftest import KITCHEN
from tests.board.fake_board import KEY, FakeBoard, Lid, seal_records
from tests.collect.watching import LIMIT_S, EventLog, held, program, wait_until, watching
from tests.terminal import Terminal

BOARD = "00112233aabbccdd"
OTHER = "00112233aabbccee"
WATCH = [sys.executable, "-m", "earlid.cli", "watch"]
MS_MAX = 0xFFFFFFFFFFFF  # Unix ms of the year 10889


@pytest.fixture(autouse=True)
def haste(monkeypatch):
    """Short waits between tries."""
    monkeypatch.setattr(watcher, "RECONNECT_S", (0.02,))
    monkeypatch.setattr(watcher, "AFTER_FAULT_S", (0.02,))
    monkeypatch.setattr(supervisor, "RESCAN_S", 0.02)
    monkeypatch.setattr(supervisor, "LOOK_S", 0.02)


@pytest.fixture(autouse=True)
def handlers():
    """`watch` in this process leaves the process's signals as they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def in_time():
    """`watch` in this process, should it not end by itself."""
    timer = threading.Timer(LIMIT_S, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    yield
    timer.cancel()


@contextmanager
def collecting(location, ports, display=False, clock_ms=watcher.now_ms):
    """A supervisor that ticks in a thread, and the lines that it logs."""
    lines = []
    ending = supervisor.Ending()
    with Ledger(location) as ledger:
        one = Supervisor(location, ledger, lambda: ports, lambda event: lines.append(event.text), lines.append, display, clock_ms)
        thread = threading.Thread(target=one.run, args=(ending,))
        thread.start()
        try:
            yield one, lines
        finally:
            ending.put(0)
            thread.join(LIMIT_S)
            one.stop()
        assert not thread.is_alive()


def with_wall(wall_ms, ms=1000):
    """A board's first record, which says that its clock was this."""
    fields = [1, 1, ms, "mute", "", 0, record.MUTED | record.CLOCK_SET, 0, 0, 0, wall_ms, 60, 0, 0]
    return record.seal(KEY, record.genesis(BOARD), record.make_body(fields))[0]


# What goes wrong with one board


@pytest.mark.parametrize(
    "wrong",
    [
        {"board": None}, {"board": "../../etc"}, {"ms": -1}, {"ms": 1e9}, {"boot": "one"}, {"seq": 2**70}, {"link": "zz"},
        {"oldest": None}, {"state": 5}, {"state": "\x1b[2J"},
    ],
    ids=str,
)  # fmt: skip
def test_malformed_hello_is_told_and_the_board_is_retried(location, wrong):
    log = EventLog()
    with FakeBoard(BOARD, seal_records(BOARD, 3)) as board, Ledger(location) as ledger:
        hello = board.hello
        board.hello = lambda: hello() | wrong
        with watching(board.path, ledger, log):
            log.wait_for(lambda item: item.kind == "trouble")
            board.hello = hello
            log.wait_for(lambda item: item.kind == "here")
        assert board.acked == 3
    said = next(item.text for item in log.events if item.kind == "trouble")
    assert said.isprintable()
    assert said.startswith(("the board's reply to `hello` is not understood: ", "a mistake in Earlid: ", "the board at "))


@pytest.mark.parametrize("slot", [with_wall(MS_MAX), with_wall(0, ms=MS_MAX)], ids=["wall", "uptime"])
def test_year_10889_is_collected_and_shown_as_no_time(location, slot):
    with FakeBoard(BOARD, [slot]) as board:
        board.boot = 2
        words = ["watch", "-p", board.path, "--ledger", str(location.path)]
        with program(*words, stderr=subprocess.PIPE, text=True) as child:
            lines = [child.stderr.readline()]
            while "records fetched" not in lines[-1] and lines[-1]:
                lines.append(child.stderr.readline())
            wait_until(lambda: board.acked == 1)
            child.send_signal(signal.SIGTERM)
            lines += child.communicate(timeout=LIMIT_S)[1].splitlines()
    assert child.returncode == 0
    assert any(line.rstrip().endswith(f"{BOARD}: 1 mute") for line in lines), lines
    assert not any("mistake" in line or "Traceback" in line for line in lines), lines


def test_terminal_error_of_a_vanishing_port_is_a_sentence(location, monkeypatch):
    log = EventLog()
    trouble = [termios.error(5, "Input/output error")]
    set_attributes = termios.tcsetattr

    def fail_once(*words):
        if trouble:
            raise trouble.pop()
        set_attributes(*words)

    with FakeBoard(BOARD, seal_records(BOARD, 3)) as board, Ledger(location) as ledger:
        termios.tcsetattr(board._slave, termios.TCSANOW, [0] * 6 + [[b"\0"] * 32])  # so that opening has to set it up
        monkeypatch.setattr(termios, "tcsetattr", fail_once)
        with watching(board.path, ledger, log):
            log.wait_for(lambda item: item.kind == "here")
    assert [item.text for item in log.events if item.kind == "trouble"] == [
        f"cannot open {board.path}: (5, 'Input/output error'). Unplug the board, plug it in again, and see `earlid list`."
    ]


def test_unexpected_exception_is_logged_with_its_kind_and_the_board_retried(location, monkeypatch):
    log = EventLog()
    with FakeBoard(BOARD, seal_records(BOARD, 3)) as board, Ledger(location) as ledger:
        trouble = [RuntimeError("boom\x1b[2J")]
        add = ledger.add
        monkeypatch.setattr(ledger, "add", lambda *args: (_ for _ in ()).throw(trouble.pop()) if trouble else add(*args))
        with watching(board.path, ledger, log):
            log.wait_for(lambda item: item.kind == "here")
        assert board.acked == 3
    (said,) = [item.text for item in log.events if item.kind == "trouble"]
    assert "a mistake in Earlid: RuntimeError: boom?[2J (test_collector.py, line " in said


def test_exception_in_the_reading_thread_is_logged_with_its_kind(location, monkeypatch):
    log = EventLog()
    trouble = []
    dispatch = link_module.Link._dispatch

    def fail(link, body):
        if trouble:
            raise trouble.pop()
        dispatch(link, body)

    monkeypatch.setattr(link_module.Link, "_dispatch", fail)
    with FakeBoard(BOARD, seal_records(BOARD, 4)[:3]) as board, Ledger(location) as ledger, watching(board.path, ledger, log):
        log.wait_for(lambda item: item.kind == "here")
        trouble.append(LookupError("unheard of"))
        board.append(seal_records(BOARD, 4)[3])
        log.wait_for(lambda item: item.kind == "trouble" and "LookupError: unheard of" in item.text)
        wait_until(lambda: board.acked == 4)


def test_listener_that_fails_stops_nothing(location):
    def fail(event):
        raise ValueError(event.kind)

    with FakeBoard(BOARD, seal_records(BOARD, 3)) as board, Ledger(location) as ledger, watching(board.path, ledger, fail):
        wait_until(lambda: board.acked == 3)


def test_waits_grow_while_a_board_connects_and_fails(location, monkeypatch):
    waited = []
    monkeypatch.setattr(watcher, "AFTER_FAULT_S", (0.01, 0.02, 0.03))
    with FakeBoard(BOARD, seal_records(BOARD, 3)) as board, Ledger(location) as ledger:
        monkeypatch.setattr(ledger, "add", lambda *args: 1 / 0)
        one = watcher.Watcher(board.path, ledger, EventLog())
        monkeypatch.setattr(one, "_wait", lambda seconds, mark: waited.append(seconds) or (len(waited) > 3 and one.stop()))
        one.start()
        one.join(LIMIT_S)
    assert waited == [0.01, 0.02, 0.03, 0.03]


def test_board_that_streams_and_never_replies_delays_no_other(location, monkeypatch):
    monkeypatch.setattr(link_module, "PROGRESS_LIMIT_S", 0.3)
    monkeypatch.setattr("earlid.collect.sync.HELLO_S", 0.3)
    with (
        streaming(FakeBoard(BOARD, []), deaf=True) as bad,
        FakeBoard(OTHER, seal_records(OTHER, 3)) as good,
        collecting(location, [bad.path, good.path]) as (one, _),
    ):
        wait_until(lambda: good.acked == 3)
        wait_until(lambda: any("does not answer" in status.error for status in one.statuses), lambda: one.statuses)


# Threads and the process


@pytest.mark.usefixtures("in_time")
def test_process_without_living_threads_ends_with_code_5(location, monkeypatch, capsys):
    monkeypatch.setattr(watcher.Watcher, "run", lambda self: None)
    assert main(["watch", "-p", "/dev/none", "--ledger", str(location.path)]) == 5
    said = capsys.readouterr().err
    assert "/dev/none: the thread that watched it has ended; it is begun anew" in said
    assert "earlid: nothing is collected any more: no thread that watches a board lives. Start `earlid watch` again" in said


@pytest.mark.usefixtures("in_time")
def test_process_that_gets_no_threads_ends_with_code_5(location, monkeypatch, capsys):
    def fail(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(watcher.Watcher, "start", fail)
    assert main(["watch", "-p", "/dev/none", "--ledger", str(location.path)]) == 5
    said = capsys.readouterr().err
    assert said.count("a mistake in Earlid: RuntimeError: can't start new thread") == 1
    assert "nothing is collected any more" in said


def test_one_dead_thread_of_two_is_begun_anew(location, monkeypatch):
    run = watcher.Watcher.run
    ended = []

    def die_once(self):
        if self.name.endswith(first.path) and not ended:
            ended.append(self)
        else:
            run(self)

    monkeypatch.setattr(watcher.Watcher, "run", die_once)
    with (
        FakeBoard(BOARD, seal_records(BOARD, 3)) as first,
        FakeBoard(OTHER, seal_records(OTHER, 3)) as second,
        collecting(location, [first.path, second.path]) as (_, lines),
    ):
        wait_until(lambda: (first.acked, second.acked) == (3, 3))
    assert f"{first.path}: the thread that watched it has ended; it is begun anew" in lines


def watched_until_acknowledged(board, location):
    """The exit code of `watch` in this process, ended once the board's records are acknowledged."""

    def end():
        wait_until(lambda: board.acked == len(board.slots))
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end).start()
    return main(["watch", "--ledger", str(location.path)])


@pytest.mark.usefixtures("in_time")
def test_board_that_comes_later_is_collected_from_though_the_log_is_full(location, monkeypatch):
    looks = []

    def ports():
        looks.append(None)
        return [SimpleNamespace(device=board.path)] if len(looks) > 3 else []

    monkeypatch.setattr("earlid.board.port.candidate_ports", ports)

    def write(text):
        raise OSError(28, "No space left on device")

    full = SimpleNamespace(write=write, flush=lambda: None, isatty=lambda: False)
    with FakeBoard(BOARD, seal_records(BOARD, 3)) as board, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", full)
        assert watched_until_acknowledged(board, location) == 0
        assert board.acked == 3


@pytest.mark.usefixtures("in_time")
def test_ports_that_cannot_be_listed_are_told_once_and_looked_for_again(location, monkeypatch, capsys):
    looks = []

    def ports():
        looks.append(None)
        if len(looks) < 4:
            raise OSError(5, "Input/output error")
        return [SimpleNamespace(device=board.path)]

    monkeypatch.setattr("earlid.board.port.candidate_ports", ports)
    with FakeBoard(BOARD, seal_records(BOARD, 3)) as board:
        assert watched_until_acknowledged(board, location) == 0
    assert capsys.readouterr().err.count("a mistake in Earlid: OSError: [Errno 5] Input/output error") == 1


# How it ends


def ended_by(board, location, act, *words, **options):
    """`earlid watch`, once it has collected three records: what `act` does to it ends it."""
    with program("watch", *words, "-p", board.path, "--ledger", str(location.path), **options) as child:
        wait_until(lambda: board.acked >= 3)
        wait_until(lambda: any(request["do"] == "telemetry" for request in board.requests))
        act(child)
        out, err = child.communicate(timeout=LIMIT_S)
    assert "Traceback" not in (err or "")
    return child.returncode, out, err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_signal_ends_watch_with_its_exit_code(location, number, code):
    with FakeBoard(BOARD, seal_records(BOARD, 3)) as board:
        done = ended_by(board, location, lambda child: child.send_signal(number), stderr=subprocess.PIPE, text=True)
    assert done[0] == code, done


def test_nohup_outlives_its_terminal(location):
    slots = seal_records(BOARD, 4)
    with FakeBoard(BOARD, slots[:3]) as board:

        def act(child):
            child.send_signal(signal.SIGHUP)
            board.append(slots[3])
            wait_until(lambda: board.acked == 4)
            child.send_signal(signal.SIGTERM)

        ignored = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
        assert ended_by(board, location, act, stderr=subprocess.DEVNULL, **ignored)[0] == 0


def test_closed_terminal_ends_the_display_with_129(location):
    with (
        FakeBoard(BOARD, seal_records(BOARD, 3)) as board,
        Terminal(["watch", "-p", board.path, "--ledger", str(location.path)]) as person,
    ):
        person.expect("3 records fetched")
        person.hang_up()
        assert person.end() == 129


def test_reader_that_leaves_ends_json_with_0_and_every_record_acknowledged(location):
    slots = seal_records(BOARD, 4)
    with FakeBoard(BOARD, slots[:3]) as board:
        watch = shlex.join([*WATCH, "--json", "-p", board.path, "--ledger", str(location.path)])
        line = f"{watch} | head -n 1; echo ${{PIPESTATUS[0]}}"
        child = subprocess.Popen(
            ["bash", "-c", line], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            assert json.loads(child.stdout.readline())["seq"] == 1
            wait_until(lambda: board.acked == 3)
            board.append(slots[3])
            out, err = child.communicate(timeout=LIMIT_S)
        finally:
            os.killpg(child.pid, signal.SIGKILL) if child.poll() is None else None
            child.wait()
    assert out == "0\n"
    assert "Traceback" not in err
    assert "Exception" not in err


def test_full_disk_under_the_output_ends_json_with_a_sentence(location):
    with FakeBoard(BOARD, seal_records(BOARD, 3)) as board, open("/dev/full", "w") as full:
        words = ["watch", "--json", "-p", board.path, "--ledger", str(location.path)]
        with program(*words, stdout=full, stderr=subprocess.PIPE, text=True) as child:
            _, err = child.communicate(timeout=LIMIT_S)
    assert child.returncode == 1
    assert err.endswith("earlid: the output cannot be written: No space left on device. Write it where there is room.\n")


@pytest.mark.parametrize("log", ["full", "left", "closed"])
def test_log_that_cannot_be_written_stops_nothing(location, log):
    slots = seal_records(BOARD, 4)
    with FakeBoard(BOARD, slots[:3]) as board, open("/dev/full", "w") as full:
        words = ["watch", "--json", "-p", board.path, "--ledger", str(location.path)]
        options = {"stderr": {"full": full, "left": subprocess.PIPE, "closed": None}[log]}
        if log == "closed":
            options["preexec_fn"] = lambda: os.close(2)
        with program(*words, stdout=subprocess.PIPE, text=True, **options) as child:
            if log == "left":
                child.stderr.close()
            wait_until(lambda: board.acked == 3)
            board.append(slots[3])
            wait_until(lambda: board.acked == 4)
            child.send_signal(signal.SIGTERM)
            child.wait(LIMIT_S)
            lines = child.stdout.read().splitlines()
    events = [json.loads(line) for line in lines]  # and nothing else
    assert [event.get("seq", event["event"]) for event in events] == [1, 2, 3, "here", "note", 4]
    assert child.returncode == 0


def test_units_begin_it_anew_but_for_an_end_that_was_asked_for(capsys):
    assert main(["watch", "--service", "systemd"]) == 0
    unit = capsys.readouterr().out
    for line in ("Restart=on-failure", "RestartPreventExitStatus=2"):  # 0 and 2 stay ended; 1, 5, 129 do not
        assert line in unit.splitlines()
    assert main(["watch", "--service", "launchd"]) == 0
    assert "<key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>" in capsys.readouterr().out


# A ledger that another process holds


@contextmanager
def waiting_for_the_ledger(location, log, **options):
    """(lid, watcher): a watcher whose commit waits for another process."""
    slots = seal_records(BOARD, 4)
    adding = threading.Event()
    with Lid(BOARD, slots[:3]) as lid, Ledger(location) as ledger:
        add = ledger.add

        def tell_and_add(*args):
            adding.set()
            return add(*args)

        with watching(lid.path, ledger, log, **options) as one:
            log.wait_for(lambda item: item.kind == "here")
            with held(location):
                ledger.add = tell_and_add
                lid.append(slots[3])
                assert adding.wait(LIMIT_S)
                yield lid, one
            wait_until(lambda: lid.acked == 4)


def test_display_knows_the_lid_while_the_ledger_is_held(location):
    with waiting_for_the_ledger(location, EventLog(), telemetry_ms=100) as (lid, one):
        lid.say({"tm": lid.telemetry() | {"state": "open"}})
        wait_until(lambda: liveview.state_of(one.status) == ("open", liveview.RED), lambda: str(one.status))


def test_sigterm_ends_watch_while_the_ledger_is_held(location):
    slots = seal_records(BOARD, 4)
    with FakeBoard(BOARD, slots[:3]) as board, program("watch", "-p", board.path, "--ledger", str(location.path)) as child:
        wait_until(lambda: board.acked == 3)
        with held(location):
            board.append(slots[3])
            child.send_signal(signal.SIGTERM)
            assert child.wait(12) == 0  # without the lock's 15 s
    assert board.acked == 3


def test_plain_copy_under_a_running_watch_has_the_records(location, tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "CHECKPOINT_S", 0.1)
    slots = seal_records(BOARD, 4)

    def copied():
        shutil.copy(location.path, tmp_path / "copy.sqlite")  # without its log
        connection = sqlite3.connect(tmp_path / "copy.sqlite")
        try:
            return connection.execute("SELECT COUNT(*) FROM records").fetchone()[0]
        except sqlite3.DatabaseError:  # caught in the middle of a checkpoint
            return 0
        finally:
            connection.close()

    with FakeBoard(BOARD, slots[:3]) as board, collecting(location, [board.path]):
        wait_until(lambda: copied() == 3)
        board.append(slots[3])
        wait_until(lambda: copied() == 4)


# `safe` and its time limit


@contextmanager
def streaming(board, deaf=False, text=None):
    """The board says something again and again, for as long as the block lasts; deaf: and replies to nothing."""
    line = text or wire.encode(7, {"rec": record.slot_to_wire(seal_records(BOARD, 1)[0])})
    stop = threading.Event()

    def stream():
        while not stop.is_set():
            with board._lock:
                board._send(line)

    with board:
        if deaf:
            board._answer = lambda body: None
        thread = threading.Thread(target=stream)
        thread.start()
        try:
            yield board
        finally:
            stop.set()
            board._stop.set()
            thread.join(LIMIT_S)
            board._stop.clear()  # `FakeBoard.stop` closes its files


STREAMS = [None, b"\x00\xffnoise", b'#1 {"rec":[[[[[[[[', wire.encode(3, {"tm": {}}), wire.encode(3, {"re": 1, "ok": True})]


@pytest.mark.parametrize("text", STREAMS, ids=["records", "noise", "half a line", "bad telemetry", "another's reply"])
def test_safe_ends_in_its_time_whatever_a_deaf_board_streams(monkeypatch, capsys, text):
    monkeypatch.setattr(safe, "REPLY_S", 0.2)
    with streaming(Lid(), deaf=True, text=text) as lid:
        began_s = time.monotonic()
        assert main(["safe", "-p", lid.path]) == 3
        assert time.monotonic() - began_s < safe.LIMIT_S
    said = capsys.readouterr().err
    assert said.startswith("earlid: the board at ")
    assert said.endswith(" Its mute switch works without any computer.\n")


def test_safe_closes_a_board_that_streams_records(capsys):
    with streaming(Lid()) as lid:
        assert main(["safe", "-p", lid.path]) == 0
        assert lid.state == "closed"
    assert "closed, rail at 180 mV" in capsys.readouterr().out


def test_safe_gives_up_a_port_that_hangs_and_closes_the_others(monkeypatch, capsys):
    release = threading.Event()
    close = safe.close_lid
    monkeypatch.setattr(safe, "LIMIT_S", 3.0)
    monkeypatch.setattr(safe, "close_lid", lambda port: release.wait(LIMIT_S) and close(port) if port == "hangs" else close(port))
    with Lid() as lid:
        monkeypatch.setattr(
            "earlid.board.port.candidate_ports", lambda lenient: [SimpleNamespace(device=name) for name in ("hangs", lid.path)]
        )
        began_s = time.monotonic()
        assert main(["safe"]) == 1
        assert time.monotonic() - began_s < 10
        release.set()
        assert lid.state == "closed"
    said = capsys.readouterr()
    assert said.err == "earlid: hangs: not confirmed closed within 3 s. Its mute switch works without any computer.\n"
    assert said.out == f"{lid.path}: closed, rail at 180 mV.\n"


def test_safe_never_raises(monkeypatch):
    def fail(port):
        raise termios.error(5, "Input/output error")

    monkeypatch.setattr(safe, "Link", fail)
    assert (
        safe.close_lid("/dev/none").say == "/dev/none: not confirmed closed: error. Its mute switch works without any computer."
    )


def test_safe_closes_behind_a_stopped_watch(location):
    with Lid(BOARD, seal_records(BOARD, 3)) as lid:
        words = ["watch", "-q", "-p", lid.path, "--ledger", str(location.path)]
        with program(*words, stderr=subprocess.DEVNULL) as child:
            wait_until(lambda: lid.acked == 3)
            child.send_signal(signal.SIGSTOP)
            began_s = time.monotonic()
            (result,) = safe.close_all([lid.path])
            assert time.monotonic() - began_s < safe.LIMIT_S + 1
    assert (result.closed, lid.state) == (True, "closed")


def test_strangers_that_say_nothing_delay_no_close():
    with Lid() as lid, port_proxy.open_proxy(lid.path, lambda do: {"ok": True}) as proxy:
        assert proxy
        strangers = []
        for _ in range(10):
            strangers.append(socket.socket(socket.AF_UNIX))
            strangers[-1].settimeout(LIMIT_S)
            strangers[-1].connect(port_proxy.address(lid.path))
        assert port_proxy.request(lid.path, "close") == {"ok": True}
        for one in strangers:
            one.close()


def test_relay_answers_when_its_holder_does_not():
    release = threading.Event()
    with port_proxy.PortProxy("/dev/ttyX", lambda do: {"ok": release.wait(LIMIT_S)}):
        began_s = time.monotonic()
        reply = port_proxy.request("/dev/ttyX", "close")
        assert time.monotonic() - began_s < port_proxy.REPLY_TIMEOUT_S + 1
        release.set()
    assert reply == {"ok": False, "say": "the program that holds the port did not get to it in time"}


def test_call_without_an_end_gives_nothing_within_its_limit():
    release = threading.Event()
    assert within(0.05, lambda: release.wait(LIMIT_S)) is None
    release.set()


# What `watch` shows


def test_event_keeps_the_time_at_which_it_happened(location, monkeypatch):
    before_ms = watcher.now_ms()
    log = EventLog()
    with FakeBoard(BOARD, []) as board, Ledger(location) as ledger, watching(board.path, ledger, log):
        log.wait_for(lambda item: item.kind == "here")
    (event,) = [item for item in log.events if item.kind == "here"]
    assert before_ms <= event.wall_ms <= watcher.now_ms()
    line = f"{clock_text(event.wall_ms)} kitchen: 0 records fetched, up to number 0"
    assert liveview.event_text(event, "kitchen").startswith(line)
    monkeypatch.setattr(time, "time", lambda: 2e9)  # whenever it is drawn again
    assert liveview.event_text(event, "kitchen").startswith(line)
    assert liveview.event_text(WatchEvent("note", BOARD, "odd", wall_ms=MS_MAX), "kitchen") == "--:--:-- kitchen: odd"


def test_live_today_turns_at_midnight_without_any_event(home):
    now_ms = int(datetime(2026, 11, 20, 23, 59, 59).timestamp() * 1000)
    with collecting(home.location, [], display=True, clock_ms=lambda: now_ms) as (one, _):
        wait_until(lambda: KITCHEN in one.today)
        with Reader(home.location) as reader:
            report = make_report(reader, boards(reader)[:1], now_ms - 86_399_000, now_ms)
        assert one.today[KITCHEN].bounds == report.live
        assert report.live.least_ms > 60_000
        now_ms += 1000
        wait_until(lambda: one.today[KITCHEN].bounds.most_ms == 0)


@pytest.mark.parametrize(
    ("heard", "telemetry", "live", "shown", "red"),
    [
        (True, {"state": "closed", "rail": 180}, False, "closed", False),
        (True, {"state": "muted", "rail": 180}, False, "muted", False),
        (True, {"state": "open", "rail": 3300}, False, "open", True),
        (True, {"state": "fault", "rail": 180}, False, "fault", True),
        (True, {"state": "closed", "rail": 3300}, False, "LIVE", True),
        (True, {"state": "closed", "rail": 180}, True, "LIVE", True),
        (False, {"state": "closed", "rail": 180}, False, "unknown since 10:32", False),
        (False, {"state": "muted", "rail": 180}, False, "unknown since 10:32", False),
        (False, {"state": "fault", "rail": 180}, False, "unknown since 10:32", True),
        (False, {"state": "open", "rail": 3300}, False, "maybe live since 10:32", True),
        (False, {"state": "closed", "rail": 3300}, False, "maybe live since 10:32", True),
        (False, {"state": "closed", "rail": 180}, True, "maybe live since 10:32", True),
        (False, {}, False, "unknown since 10:32", False),
    ],
)
def test_lid_is_shown_as_what_is_known_of_it_now(heard, telemetry, live, shown, red):
    status = BoardStatus("/dev/ttyUSB0", BOARD, connected=heard, telemetry=telemetry)
    status.heard_s = time.monotonic() + (3600 if heard else -3600)
    status.heard_ms = int(datetime(2026, 11, 20, 10, 32, 7).timestamp() * 1000)
    text, style = liveview.state_of(status, live=live)
    assert (text, style == liveview.RED) == (shown, red)
    status.connected = True  # a cable that is still in tells nothing either
    assert liveview.state_of(status, live=live)[0] == shown


def test_board_never_heard_or_not_judged_yet_is_unknown():
    assert liveview.state_of(BoardStatus("/dev/ttyUSB0"))[0] == "unknown"
    fetching = BoardStatus("/dev/ttyUSB0", open=True, telemetry={"state": "closed"}, heard_s=time.monotonic() + 3600, heard_ms=1)
    assert liveview.state_of(fetching)[0] == "unknown"


def test_unplugged_board_stays_on_the_display(location):
    ports = []
    with FakeBoard(BOARD, seal_records(BOARD, 3)) as board:
        ports.append(board.path)
        with collecting(location, ports, display=True) as (one, _):
            wait_until(lambda: board.acked == 3)
            wait_until(lambda: one.statuses[0].connected)
            ports.clear()
            board.stop()
            wait_until(lambda: not one._watchers)
            (status,) = one.statuses
    assert liveview.state_of(status)[0].startswith("unknown since ")


def test_display_outlives_what_it_cannot_draw(monkeypatch):
    monkeypatch.setattr(liveview, "render", lambda *args: 1 / 0)
    picture = liveview._picture(SimpleNamespace(statuses=[], events=[], title=str, today={"": Today()}))
    assert "a mistake in Earlid: ZeroDivisionError" in str(picture)
