# SPDX-License-Identifier: MIT
"""Consent: what is announced, shown, granted, refused and withdrawn, over a line that loses lines too."""

from __future__ import annotations

import threading
import time

import pytest
from earlid.board import configuration, consent
from earlid.board import link as link_module
from earlid.board.link import BoardRefused, Link
from earlid.board.shared_link import SharedLink
from earlid.cli import main
from earlid.errors import UserError
from lid import config, signing

from tests.board.fake_board import KEY, FakeBoard
from tests.outputs import parse_output

BOARD = "00112233aabbccdd"


@pytest.fixture
def board(tmp_path, monkeypatch):
    monkeypatch.setenv("EARLID_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(link_module, "CONSENT_RETRY_S", 0.05)
    with FakeBoard(BOARD, [], proto=2) as made:
        yield made


class Seen(list):
    """Announcements, and what is done when one comes."""

    def __init__(self, act=lambda: None):
        self._act = act

    def __call__(self, text, digest):
        self.append((text, digest))
        self._act()


def ask_for_pairing(link, say):
    return consent.request_with_consent(link, "pair", what="The key is to leave.", again="earlid pair", say=say)


def announced(board):
    return [body for body in board.requests if body["do"] == "pair"]


def test_announcement_names_change_gesture_and_digest(board):
    with Link(board.path) as link:
        seen = Seen(lambda: board.consent(key=KEY.hex()))
        assert ask_for_pairing(link, seen)["key"] == KEY.hex()
    ((text, digest),) = seen
    assert digest == signing.digest(signing.canonical(announced(board)[0]))
    for part in ("The key is to leave.", digest, "latch the mute switch, then hold the talk button for 3 seconds"):
        assert part in text


def test_refusal_says_what_to_do_next(board):
    words = r"^60 s are over; nothing was changed\. Run `earlid pair` again, and when the board blinks, latch"
    with Link(board.path) as link, pytest.raises(UserError, match=words):
        ask_for_pairing(link, Seen(lambda: board.refuse("60 s are over")))


def test_ctrl_c_withdraws_the_request(board):
    def interrupt():
        raise KeyboardInterrupt

    with Link(board.path) as link, pytest.raises(KeyboardInterrupt):
        ask_for_pairing(link, Seen(interrupt))
    assert board.requests[-1]["do"] == "cancel"
    assert board.requests[-1]["client"] == announced(board)[0]["client"]
    assert board.waiting is None


def test_lost_replies_are_asked_for_again_and_nothing_is_announced_twice(board):
    lost = []

    def lose(body):
        board.drop = 1.0 if len(lost) < 3 else 0.0
        lost.append(body)

    board.before_reply = lose

    def act():
        lost.clear()  # the reply proper is lost too
        board.drop = 1.0
        board.consent(key=KEY.hex())

    with Link(board.path) as link:
        seen = Seen(act)
        assert ask_for_pairing(link, seen)["ok"]
    assert len(seen) == 1
    assert len({str(body) for body in announced(board)}) == 1


def test_restart_of_the_board_ends_the_waiting(board):
    with Link(board.path) as link, pytest.raises(UserError, match="the board restarted meanwhile; nothing was changed"):
        ask_for_pairing(link, Seen(board.restart))


def test_another_programs_announcement_is_not_taken_for_ours(board):
    board.ask = lambda: {"do": "pair", "digest": "1a2b3c4d", "ms": 60_000}
    with Link(board.path) as link, pytest.raises(UserError, match="announces 1a2b3c4d, not what was asked"):
        ask_for_pairing(link, Seen())
    assert board.waiting is None


def test_close_of_another_program_passes_while_a_request_waits(board):
    def act():
        other = threading.Thread(target=lambda: closed.append(link.exchange("hello")))
        other.start()
        threads.append(other)
        board.consent(key=KEY.hex())

    closed, threads = [], []
    with SharedLink(board.path, lambda board, epoch: None) as link:
        assert ask_for_pairing(link, Seen(act))["key"] == KEY.hex()
        threads[0].join()
    assert closed[0]["ok"]
    assert len(announced(board)) >= 1


def settings_board(board):
    """Makes the board keep settings; only what is signed and tightens is done without consent."""
    board.settings = config.defaults()
    answer = board._answer

    def serve(body):
        if body["do"] == "config-get":
            digest = f"{config.digest(board.settings):08x}"
            board.say({"re": body["id"], "ok": True, "config": board.settings, "digest": digest, "previous": ""})
        elif body["do"] == "config-set" and "mac" in body and not config.loosens(board.settings, board.settings | body["config"]):
            board.settings |= body["config"]
            board.say({"re": body["id"], "ok": True, "digest": f"{config.digest(board.settings):08x}"})
        else:
            answer(body)

    def agree():
        board.settings |= board.waiting["config"]
        board.consent(digest=f"{config.digest(board.settings):08x}")

    board._answer, board.agree = serve, agree


def test_tightening_needs_no_consent_once_paired(board):
    settings_board(board)
    with Link(board.path, lambda board, epoch: KEY) as link:
        link.request("hello")
        seen = Seen(board.agree)
        configuration.write_config(link, {"open_ms": 4000}, "again", seen)
        assert (seen, board.settings["open_ms"]) == ([], 4000)
        configuration.write_config(link, {"open_ms": 20_000}, "again", seen)
        assert board.settings["open_ms"] == 20_000
    assert "open_ms: 4000 -> 20000" in seen[0][0]


def test_settings_that_did_not_arrive_are_an_error(board):
    settings_board(board)
    with Link(board.path) as link:
        link.request("hello")
        with pytest.raises(UserError, match="does not have the settings"):
            configuration.write_config(link, {"open_ms": 4000}, "again", Seen(lambda: board.consent(digest="0" * 8)))
        with pytest.raises(UserError, match="open_ms must be"):
            configuration.write_config(link, {"open_ms": 1}, "again", Seen())
        none = {"ok": False, "err": "state", "say": "there is no earlier configuration"}
        board.before_reply = lambda body: board.say({"re": body["id"]} | none)
        with pytest.raises(BoardRefused, match="no earlier"):
            configuration.roll_back(link, "again", Seen())


def test_config_verb_shows_changes_and_refuses(board, capsys):
    settings_board(board)
    assert main(["settings", "-p", board.path, "--json"]) == 0
    assert parse_output("settings", capsys.readouterr().out)["config"]["open_ms"] == 8000
    board.before_reply = lambda body: board.waiting and board.agree()
    assert main(["settings", "-p", board.path, "open_ms=9000", "silence_ms=3000"]) == 0
    printed = capsys.readouterr()
    assert "open_ms=9000\n" in printed.out
    assert "open_ms: 8000 -> 9000" in printed.err
    for words in (["open_ms"], ["open_ms=x"], ["nonsense=1"], ["open_ms=1"], ["open_ms=9000", "--rollback"]):
        assert main(["settings", "-p", board.path, *words]) == 2
    board.proto = 1
    assert main(["settings", "-p", board.path, "--rollback"]) == 1
    assert "`earlid flash` updates it" in capsys.readouterr().err


@pytest.mark.parametrize(("proto", "told"), [(1, True), (2, False)])
def test_list_tells_of_old_firmware(board, capsys, proto, told):
    board.proto = proto
    assert main(["list", "-p", board.path]) == 0
    assert ("this board's firmware is 0.1.0: `earlid flash` updates it." in capsys.readouterr().err) == told


def test_countdown_goes_to_a_terminal_only(board, capsys):
    with Link(board.path) as link:
        ask_for_pairing(link, Seen(lambda: board.consent(key=KEY.hex())))
    assert capsys.readouterr().err == ""
    assert time.monotonic() - board.started_s < 60
