# SPDX-License-Identifier: MIT
"""`earlid watch --on`: programs run at events, get them as JSON, and neither delay nor end the collecting."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from earlid import config_file
from earlid.board.link import Record
from earlid.cli import main
from earlid.collect.events import WatchEvent
from earlid.collect.hooks import OLD_MS, QUEUED_MAX, Hook, Hooks, parse_hooks
from earlid.config_keys import HOOKS
from earlid.errors import UserError
from earlid.host_clock import now_ms
from earlid.ledger.location import locate
from earlid.ledger.reader import Reader

from tests.board.fake_board import FakeBoard, seal_records
from tests.collect.watching import LIMIT_S, program, wait_until
from tests.outputs import parse_lines, parse_output

BOARD = "00112233aabbccdd"
PAGE = Path(__file__).parents[2] / "host" / "earlid" / "collect" / "HOOKS.md"


def opening(at_ms, reason="word", seq=7):
    item = Record(seq, 1, 1000, "open", reason, 240, 0, 0, 0, 0, 0, 0, 0, 0, "0" * 24, "0" * 16)
    return WatchEvent("record", BOARD, f"open {reason}", item, at_ms, "/dev/ttyUSB0")


def hooks(*pairs, **options):
    lines = []
    return closing(Hooks(parse_hooks(pairs), lambda board: "Kitchen; rm -rf $HOME", lines.append, **options)), lines


def test_hook_gets_the_record_as_json_and_variables_that_no_shell_acts_on(tmp_path):
    out = tmp_path / "out"
    one, lines = hooks(("open:word", f"cat > {out}; env | grep ^EARLID_ | sort > {out}.env; touch {out}.done"))
    at_ms = now_ms()
    with one as running:
        running.take(opening(at_ms, "button"))
        running.take(opening(at_ms))
        wait_until(Path(f"{out}.done").exists)
    assert not lines
    (event,) = parse_lines("watch", out.read_text())
    assert (event["event"], event["reason"], event["board"], event["seq"], event["at_ms"]) == ("open", "word", BOARD, 7, at_ms)
    variables = dict(line.split("=", 1) for line in Path(f"{out}.env").read_text().splitlines())
    assert variables["EARLID_NAME"] == "Kitchen_ rm -rf _HOME"
    assert {variables[f"EARLID_{name}"] for name in ("EVENT", "REASON", "BOARD", "TEXT", "SEQ", "SCORE")} == {
        "open", "word", BOARD, "open word", "7", "240",
    }  # fmt: skip
    assert variables["EARLID_AT"].startswith("20")


def test_hook_that_hangs_is_killed_with_all_that_it_started(tmp_path):
    one, lines = hooks(("away", f"sleep 600 & echo $! > {tmp_path}/number; wait"), limit_s=0.5)
    with one as running:
        running.take(WatchEvent("away", BOARD, "gone", wall_ms=now_ms()))
        wait_until(lambda: lines)
    assert "took more than 0.5 s and was killed" in lines[0]
    number = int((tmp_path / "number").read_text())

    def is_over():
        try:
            return Path(f"/proc/{number}/stat").read_text().split()[2] == "Z"  # whoever is init here may not reap it
        except OSError:
            return True

    wait_until(is_over)


def test_hooks_are_never_waited_for_and_run_so_many_at_once_at_most(tmp_path):
    one, lines = hooks(("any", f"echo >> {tmp_path}/runs; sleep 600"), at_once=3)
    with one as running:
        began_s = time.monotonic()
        for seq in range(QUEUED_MAX + 50):
            running.take(opening(now_ms(), seq=seq))
        assert time.monotonic() - began_s < 2.0
        wait_until(lambda: (tmp_path / "runs").exists() and (tmp_path / "runs").read_text().count("\n") == 3)
        time.sleep(0.3)
        assert (tmp_path / "runs").read_text().count("\n") == 3
        assert [line for line in lines if "cannot keep up" in line] == lines != [], "said once"
        programs = set(running._running)
    assert len(programs) == 3
    wait_until(lambda: all(one.poll() is not None for one in programs))  # killed at the end


def test_failure_is_logged_and_the_next_hook_runs(tmp_path):
    one, lines = hooks(("fault", "exit 3"), ("here", "/no/such/program"), ("here", f"touch {tmp_path}/ran"), to_log=False)
    with one as running:
        for kind in ("here", "away"):
            running.take(WatchEvent(kind, BOARD, "", wall_ms=now_ms()))
        wait_until((tmp_path / "ran").exists)
        wait_until(lambda: lines)
    assert lines == ["hook for here: `/no/such/program` ended with 127"]


def test_records_of_long_ago_run_nothing_and_that_is_said(tmp_path):
    one, lines = hooks(("any", f"touch {tmp_path}/$EARLID_SEQ$EARLID_EVENT"))
    with one as running:
        running.take(opening(now_ms() - OLD_MS - 1000, seq=1))
        running.take(opening(None, seq=2))
        running.take(opening(now_ms() - OLD_MS + 60_000, seq=3))
        running.take(WatchEvent("here", BOARD, "", wall_ms=now_ms()))
        wait_until((tmp_path / "here").exists)
        wait_until((tmp_path / "3open").exists)
    assert lines == ["2 records are more than 5 minutes old: their hooks are left out"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3open", "here"]


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("opened", r"no event 'opened'. Did you mean 'open'\?"),
        ("open:wort", r"no reason 'wort'. Did you mean 'word'\?"),
        ("open:", "no reason ''"),
        ("away:word", "only records have a reason, not 'away'"),
    ],
)
def test_unknown_event_or_reason_is_an_error_before_anything_begins(when, says, tmp_path, capsys, monkeypatch):
    with pytest.raises(UserError, match=says):
        parse_hooks([(when, "true")])
    ledger = tmp_path / "none.sqlite"
    assert main(["watch", "--on", when, "true", "--ledger", str(ledger)]) == 2
    assert re.search(says, capsys.readouterr().err)
    (tmp_path / "config.toml").write_text(f'[hooks]\n"{when}" = "true"\n')
    monkeypatch.setenv("EARLID_CONFIG", str(tmp_path / "config.toml"))
    assert main(["watch", "--ledger", str(ledger)]) == 2
    assert not ledger.exists()
    assert main(["watch", "--once", "--on", "open", "true"]) == 2


def test_watch_runs_hooks_of_the_configuration_and_of_the_command_line(tmp_path):
    slots = seal_records(BOARD, 4)
    config = tmp_path / "config.toml"
    config.write_text(f'hooks_at_once = 1\n[hooks]\nhere = ["cat > {tmp_path}/here", "echo noise; exit 5"]\nmute = "true"\n')
    environment = os.environ | {"EARLID_CONFIG": str(config)}
    with FakeBoard(BOARD, slots[:3]) as board:
        words = ["watch", "--json", "-p", board.path, "--ledger", str(tmp_path / "l.sqlite")]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
        with program(*words, **pipes) as child:
            lines = []
            while not lines or "ended with 5" not in lines[-1]:
                lines.append(child.stderr.readline())
            board.append(slots[3])
            wait_until(lambda: board.acked == 4)
            child.send_signal(signal.SIGTERM)
            out, _ = child.communicate(timeout=LIMIT_S)
        with program(*words, "--on", "here", f"touch {tmp_path}/other; sleep 600", **pipes) as child:
            wait_until((tmp_path / "other").exists)
            child.send_signal(signal.SIGTERM)
            child.communicate(timeout=LIMIT_S)
    assert child.returncode == 0
    assert parse_output("watch", (tmp_path / "here").read_text())["text"] == "3 records fetched, up to number 3"
    assert len(parse_lines("watch", out)) >= 5, "what a hook prints is not among the JSON"
    assert "noise\n" in lines
    with Reader(locate(str(tmp_path / "l.sqlite"))) as reader:
        assert reader.rows("SELECT COUNT(*) FROM records") == [(4,)]


def test_configuration_of_the_page_is_understood(tmp_path, monkeypatch):
    (block,) = re.findall("```toml\n(.*?)```", PAGE.read_text(), re.S)
    (tmp_path / "config.toml").write_text(block)
    monkeypatch.setenv("EARLID_CONFIG", str(tmp_path / "config.toml"))
    found = parse_hooks(config_file.get(HOOKS))
    assert found[0] == Hook("open", "word", example("notify-send").command)
    assert found[1:] == [Hook("fault", None, "first command"), Hook("fault", None, "second command")]


def example(word):
    """A line of the page that begins a hook."""
    (line,) = [line for line in PAGE.read_text().splitlines() if line.startswith("earlid watch --on") and word in line]
    return parse_shell(line)


def parse_shell(line):
    """The words that `earlid` gets, as a shell has them."""
    done = subprocess.run(
        ["sh", "-c", f'earlid() {{ printf "%s\\0" "$@"; }}; {line}'], capture_output=True, text=True, check=True
    )
    words = done.stdout.split("\0")[:-1]
    assert words[:2] == ["watch", "--on"]
    return Hook(*words[2].partition(":")[::2], words[3])


def test_notification_of_the_page_shows_board_and_event(tmp_path, monkeypatch):
    (tmp_path / "notify-send").write_text(f'#!/bin/sh\nprintf "%s|" "$@" > {tmp_path}/shown\n')
    (tmp_path / "notify-send").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    hook = example("notify-send")
    one, lines = hooks((f"{hook.event}:{hook.reason}", hook.command))
    with one as running:
        running.take(opening(now_ms()))
        wait_until((tmp_path / "shown").exists)
        wait_until(lambda: not running._running)
    assert (tmp_path / "shown").read_text() == "Kitchen_ rm -rf _HOME|open word|"
    assert not lines


def test_webhook_of_the_page_posts_the_event_as_json(monkeypatch):
    if not shutil.which("curl"):
        pytest.skip("no curl here (apt-get install curl)")
    bodies = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append((self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hook = example("curl")
        command = hook.command.replace("https://example.org/hook", f"http://127.0.0.1:{server.server_port}/hook")
        assert command != hook.command
        one, lines = hooks((hook.event, command))
        with one as running:
            running.take(opening(now_ms()))
            wait_until(lambda: bodies)
            wait_until(lambda: not running._running)
        server.shutdown()
    assert not lines
    kind, body = bodies[0]
    assert kind == "application/json"
    assert parse_output("watch", json.dumps(json.loads(body)))["seq"] == 7
