# SPDX-License-Identifier: MIT
"""Who is at the port: foreign devices, forged records, and text that is none, each ending in what a person reads."""

from __future__ import annotations

import json
import random
import re
import time
import zlib
from contextlib import contextmanager

import pytest
from earlid.board import link as link_module
from earlid.board.link import Link
from earlid.cli import main
from earlid.collect import sync as sync_module
from earlid.collect.events import WatchEvent
from earlid.collect.watcher import Watcher
from earlid.ledger.keys import PairedKey, key_path, keys_or_fault, save_key
from earlid.ledger.store import Ledger
from earlid.virtual.board import VirtualBoard
from lid import record
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from tests.attacks.conftest import STUDY, STUDY_KEY
from tests.board.fake_board import FakeBoard, seal_records
from tests.collect.test_pairing import person
from tests.firmware.kit import deployed_files
from tests.ledger.synthetic_chains import BOARD as KITCHEN
from tests.ledger.synthetic_chains import KEY, fields, seal_all
from tests.outputs import parse_output

FOREIGN = bytes(range(100, 132))  # the attacker's key
ESCAPE = "\x1b]0;owned\x07\x1b[2J\u202e"
DERIVED = ("clock_points", "anchors", "labels", "purges", "boots", "tallies")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Boards that never pause are asked again sooner."""
    monkeypatch.setattr(link_module, "QUIET_S", 0.02)
    monkeypatch.setattr(link_module, "RETRY_S", 0.1)


def continued(slots, count, key, *, boot=5, prev=None):
    """More records behind these, of a new start, sealed with a key."""
    first = record.read_body(slots[-1][:40])[0] + 1
    return seal_records("", count, first=first, boot=boot, prev=prev or slots[-1][40:52], key=key)


def device(board, slots, key=KEY, *, boot=5):
    """A device at a port that claims to be a board."""
    made = FakeBoard(board, list(slots), proto=2)
    made.key, made.boot = key, boot
    return made


def kept(home, board):
    """All that the ledger holds of a board, and of its times."""
    tables = ("records", *DERIVED)
    at = "board_id = (SELECT id FROM boards WHERE board = ?)"
    rows = {table: home.look(f"SELECT * FROM {table} WHERE {at} ORDER BY 1, 2, 3", board) for table in tables}
    return rows | {"boards": home.look("SELECT * FROM boards WHERE board = ?", board)}


def strangers(home):
    """Identifiers that are kept apart, and how many records each has."""
    counted = "SELECT COUNT(*) FROM records WHERE board_id = b.id"
    return dict(home.look(f"SELECT board, ({counted}) FROM boards b WHERE board LIKE '%.%' ORDER BY id"))


def openings_of(board, text):
    """A board's openings in what `review --json` said."""
    found = [item for item in json.loads(text)["openings"] if item["board"] == board]
    assert found
    return found


def acts_but_notes(home):
    """What this computer signed, but for remarks."""
    return home.look("SELECT kind, body FROM acts WHERE kind NOT IN ('note', 'stranger')")


@pytest.mark.parametrize("board", [KITCHEN, STUDY])
@pytest.mark.parametrize("boot", [1, 4, 9])
def test_device_with_a_known_identifier_and_another_chain_changes_nothing_of_the_board(home, say, board, boot):
    before, shown = kept(home, board), say("review", "2026-11-18", "--json").out
    other = seal_records(board, 30, boot=boot, key=FOREIGN)
    with device(board, other, FOREIGN, boot=boot) as foreign:
        said = say("watch", "--once", "-p", foreign.path)
        assert (foreign.acked, foreign.wall_ms) == (0, None), "neither acknowledged nor clocked"
        assert not {"ack", "clock"} & {request["do"] for request in foreign.requests}
    apart = f"{board}.{other[0][40:43].hex()}"
    assert kept(home, board) == before
    assert strangers(home) == {apart: 30}
    why = "(its record 30 is not the one that the ledger has|no record from 1 on bears the mark of the board's key)"
    assert re.search(f"a stranger: it claims to be board {board}, but {why}.", said.err)
    assert f"Its records are kept apart as {apart}." in said.err
    verified = say("verify")
    assert f"stranger {apart}: 30 records\n  Cannot judge: a stranger sealed records 1 to 30." in verified.out
    assert f"do not fit those of board {board}, which it claimed to be" in verified.out
    assert "kitchen (00112233aabbccdd): 75 records\n  Intact" in verified.out
    assert f"stranger {apart}" in say("review", "2026-11-18").out
    assert "75 records" in say("verify", "--board", "0011").out, "what the owner types means the board"
    assert f"stranger {apart}: 30 records" in say("verify", "--board", apart[-6:]).out
    assert openings_of(board, shown) == openings_of(board, say("review", "2026-11-18", "--json").out)


@pytest.mark.parametrize("board", [KITCHEN, STUDY])
def test_real_board_is_welcome_at_once_after_a_stranger(home, say, board):
    key = {KITCHEN: KEY, STUDY: STUDY_KEY}[board]
    with device(board, seal_records(board, 30, key=FOREIGN), FOREIGN) as foreign:
        say("watch", "--once", "-p", foreign.path)
    with device(board, home.slots[board] + continued(home.slots[board], 3, key), key) as real:
        said = say("watch", "--once", "-p", real.path)
        assert real.acked == (103 if board == KITCHEN else 0)
        assert real.wall_ms is not None
    assert f"{board}: 3 records fetched, up to number 103" in said.err
    assert "stranger" not in said.err


def test_records_that_link_without_the_boards_mark_are_kept_apart(home, say):
    before = kept(home, KITCHEN)
    forged = continued(home.slots[KITCHEN], 6, FOREIGN)
    with device(KITCHEN, home.slots[KITCHEN] + forged, FOREIGN) as foreign:
        said = say("watch", "--once", "-p", foreign.path)
        again = say("watch", "--once", "-p", foreign.path)
        foreign.slots += continued(forged, 2, FOREIGN)
        more = say("watch", "--once", "-p", foreign.path)
        assert (foreign.acked, foreign.wall_ms) == (0, None)
    apart = f"{KITCHEN}.{forged[0][40:43].hex()}"
    assert kept(home, KITCHEN) == before
    assert "but its record 101 does not bear the mark of the board's key. It is another device, or the board has lost" in said.err
    assert f"{apart}: 6 records fetched" in said.err
    assert f"{apart}: 0 records fetched" in again.err
    assert f"{apart}: 2 records fetched" in more.err
    assert strangers(home) == {apart: 8}


def test_forged_records_between_true_ones_are_kept_apart(home, say):
    true = continued(home.slots[KITCHEN], 3, KEY)
    forged = continued(true, 1, FOREIGN)
    behind = continued(forged, 4, KEY)  # of a thief, who has the key, they would be the board's
    with device(KITCHEN, home.slots[KITCHEN] + true + forged) as foreign:
        say("watch", "--once", "-p", foreign.path)
        foreign.slots += behind
        said = say("watch", "--once", "-p", foreign.path)
        assert foreign.acked == 0
    assert home.look("SELECT MAX(seq) FROM records WHERE board_id = 1") == [(103,)]
    assert "a stranger" in said.err
    assert strangers(home) == {f"{KITCHEN}.{forged[0][40:43].hex()}": 5}


def test_quoted_head_moves_no_clock_of_a_paired_board(home, say):
    points = home.look("SELECT * FROM clock_points")
    with device(KITCHEN, home.slots[KITCHEN], FOREIGN, boot=4) as parrot:  # what a board tells whoever asks
        parrot.started_s -= 660  # 11 minutes
        say("watch", "--once", "-p", parrot.path)
    assert home.look("SELECT * FROM clock_points") == points
    with device(KITCHEN, home.slots[KITCHEN] + continued(home.slots[KITCHEN], 2, KEY)) as real:
        say("watch", "--once", "-p", real.path)
    assert len(home.look("SELECT * FROM clock_points")) == len(points) + 1, "the real one's observation counts"


@pytest.mark.parametrize("hello", [{"seq": 0, "oldest": 1}, {"seq": 5}, {"seq": 200}, {"oldest": 150, "seq": 160}])
def test_device_that_claims_a_head_and_sends_no_records_changes_nothing(home, say, monkeypatch, hello):
    monkeypatch.setattr(sync_module, "STALL_LIMIT", 2)
    before, acts = kept(home, KITCHEN), acts_but_notes(home)
    with device(KITCHEN, [], FOREIGN) as foreign:
        monkeypatch.setattr(foreign, "hello", lambda told=foreign.hello: told() | {"link": "ab" * 12} | hello)
        said = say("watch", "--once", "-p", foreign.path)
        assert foreign.wall_ms is None
    assert kept(home, KITCHEN) == before
    assert acts_but_notes(home) == acts
    assert re.search("a stranger: it claims to be board|does not send record", said.err)


def test_board_without_records_gets_no_row(home, say):
    with device("f" * 16, [], FOREIGN) as empty:
        said = say("watch", "--once", "-p", empty.path)
        assert empty.wall_ms is None
    assert "f" * 16 + ": 0 records fetched" in said.err
    assert home.look("SELECT COUNT(*) FROM boards") == [(2,)]


def test_strangers_of_one_identifier_are_bounded(home, say):
    for number in range(sync_module.STRANGERS_MAX + 2):
        with device(KITCHEN, seal_records(KITCHEN, 3, key=FOREIGN, step_ms=50 + number), FOREIGN) as foreign:
            said = say("watch", "--once", "-p", foreign.path)
    assert said.code == 1
    assert "8 such strangers are kept apart already, and no more records are taken. Find out what is plugged in" in said.err
    assert list(strangers(home).values()) == [3] * sync_module.STRANGERS_MAX


def test_records_of_a_stranger_are_bounded(home, say, monkeypatch):
    monkeypatch.setattr(sync_module, "STRANGER_RECORDS_MAX", 20)
    with device(KITCHEN, seal_records(KITCHEN, 90, key=FOREIGN), FOREIGN) as foreign:
        for _ in range(2):
            said = say("watch", "--once", "-p", foreign.path)
            assert f"the stranger {next(iter(strangers(home)))} has sent 20 records: no more are kept." in said.err
    assert list(strangers(home).values()) == [20]
    with device(KITCHEN, home.slots[KITCHEN] + continued(home.slots[KITCHEN], 40, KEY)) as real:
        assert f"{KITCHEN}: 40 records fetched" in say("watch", "--once", "-p", real.path).err


def test_unpaired_board_of_which_another_came_back_keeps_its_records(home, say):
    """Without a key the first to come is believed; links tell the second one from it."""
    with device(STUDY, home.slots[STUDY][:80] + continued(home.slots[STUDY][:80], 40, STUDY_KEY), STUDY_KEY) as other:
        said = say("watch", "--once", "-p", other.path)
    assert "but its record 100 is not the one that the ledger has" in said.err
    assert home.look("SELECT COUNT(*), MAX(seq) FROM records WHERE board_id = 2") == [(100, 100)]


def test_pairing_with_a_device_under_the_name_of_a_paired_board_saves_nothing(home, say):
    forged = continued(home.slots[KITCHEN], 70, FOREIGN)
    with device(KITCHEN, home.slots[KITCHEN] + forged, FOREIGN) as foreign:
        foreign.before_reply = lambda body: foreign.waiting and foreign.consent(key=FOREIGN.hex(), epoch=0, seq=101)
        said = say("pair", "-p", foreign.path, ledger=False)
    assert said.code == 1
    assert "has another key without having recorded that it lost its own: another device under its name" in said.err
    assert keys_or_fault(KITCHEN) == ((PairedKey(KEY),), "")


def test_list_and_doctor_name_a_stranger(home, say, monkeypatch):
    monkeypatch.setenv("EARLID_LEDGER", str(home.path))
    forged = continued(home.slots[KITCHEN], 3, FOREIGN)
    for slots, words in ((seal_records(KITCHEN, 30, key=FOREIGN), "its record 30 is not the one"), (forged, "kept apart as")):
        with device(KITCHEN, (home.slots[KITCHEN] if slots is forged else []) + slots, FOREIGN) as foreign:
            say("watch", "--once", "-p", foreign.path) if slots is forged else None
            listed = say("list", "-p", foreign.path, ledger=False)
            told = say("doctor", "-p", foreign.path, "--no-self-test", ledger=False)
            assert re.search(f"closed, a stranger under its name.*{words}", listed.out)
            assert re.search(f"says that it is board {KITCHEN}, and is a stranger under its name.*{words}", told.out)
            assert told.code == 1
            assert words in parse_output("list", say("list", "-p", foreign.path, "--json", ledger=False).out)[0]["stranger"]
    with device(KITCHEN, home.slots[KITCHEN], KEY) as real:
        assert "stranger" not in say("list", "-p", real.path, ledger=False).out


def wait_for(condition, describe):
    end_s = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end_s, describe()
        time.sleep(0.02)


def test_watch_tells_a_stranger_once_and_goes_on_with_the_board_beside_it(home):
    events: tuple[list[WatchEvent], list[WatchEvent]] = ([], [])  # of the one, and of the other
    forged = continued(home.slots[KITCHEN], 8, FOREIGN)
    true = continued(home.slots[KITCHEN], 8, KEY)
    apart = f"{KITCHEN}.{forged[0][40:43].hex()}"

    def seen(board):
        return [event.record.seq for events_of in events for event in events_of if event.record and event.board == board]

    def told():
        return [
            [event.text for event in events_of if event.kind == "chain-broken" and "stranger" in event.text]
            for events_of in events
        ]

    with (
        device(KITCHEN, home.slots[KITCHEN] + forged[:2], FOREIGN) as foreign,
        device(KITCHEN, home.slots[KITCHEN] + true[:2]) as real,
        Ledger(home.location) as ledger,
    ):
        watchers = [Watcher(port.path, ledger, log.append) for port, log in zip((foreign, real), events, strict=True)]
        watchers[0].start()
        try:
            # Under which name it is kept apart hangs on what the ledger has of the board when it comes.
            wait_for(lambda: seen(apart), told)
            watchers[1].start()
            wait_for(lambda: seen(KITCHEN), told)
            for i in range(2, 8):
                foreign.append(forged[i])
                real.append(true[i])
            wait_for(lambda: len(seen(apart)) == len(seen(KITCHEN)) == 8, lambda: (seen(apart), seen(KITCHEN)))
            assert [len(texts) for texts in told()] == [1, 0], "once, not with every record"
            wait_for(lambda: real.acked == 108, lambda: real.acked)
            real.slots[:], real.key = home.slots[KITCHEN] + forged, FOREIGN  # another device at the same port
            real.restart()
            wait_for(lambda: told()[1], lambda: [(event.kind, event.text) for event in events[1]][-12:])
        finally:
            for watcher in watchers:
                watcher.stop()
            for watcher in watchers:
                if watcher.ident:
                    watcher.join(60)
        assert (foreign.acked, foreign.wall_ms, real.acked) == (0, None, 108)
    assert seen(KITCHEN) == seen(apart) == list(range(101, 109))
    assert [len(texts) for texts in told()] == [1, 1]
    assert "its record 108 is not the one that the ledger has" in told()[1][0]
    assert home.look("SELECT COUNT(*) FROM notes WHERE kind = 'stranger'") == [(2,)]


def test_device_that_takes_a_boards_place_without_a_word_is_noticed(home, monkeypatch):
    monkeypatch.setattr("earlid.collect.watcher.SILENCE_S", 0.3)
    events: list[WatchEvent] = []
    forged = continued(home.slots[KITCHEN], 2, FOREIGN)
    true = continued(home.slots[KITCHEN], 2, KEY)
    with device(KITCHEN, home.slots[KITCHEN] + true) as port, Ledger(home.location) as ledger:
        watcher = Watcher(port.path, ledger, events.append)
        watcher.start()
        try:
            wait_for(lambda: port.acked == 102, lambda: port.acked)
            port.slots[:] = home.slots[KITCHEN] + forged
            wait_for(lambda: strangers(home), lambda: events[-12:])
        finally:
            watcher.stop()
            watcher.join(60)
    assert [event.text for event in events if event.kind == "chain-broken" and "a stranger" in event.text], events


def seal_epochs(board, slots, counts, first_epoch=0, boot=5):
    """Records behind others, so many under each next key."""
    made, seq, prev = [], record.read_body(slots[-1][:40])[0], slots[-1][40:52]
    for epoch, count in enumerate(counts, first_epoch):
        key = PairedKey(KEY).at(epoch)
        rows = [fields(seq + i + 1, 1000 * i, "mute", boot=boot) for i in range(count)]
        made += seal_all(rows, board, key, prev)
        seq, prev = seq + count, made[-1][40:52]
    return made


@pytest.mark.parametrize("missing", [0, 500, 3000])
def test_key_is_followed_forward_also_after_missing_segments(home, say, missing):
    behind = seal_epochs(KITCHEN, home.slots[KITCHEN], (900, 1006, 1006, 1006, 40))
    kept_by_board = home.slots[KITCHEN] + behind if not missing else behind[missing:]
    with device(KITCHEN, kept_by_board, KEY) as board:
        board.epoch, board.key = 4, PairedKey(KEY).at(4)
        said = say("watch", "--once", "-p", board.path)
        assert board.acked == 100 + len(behind)
    assert f"{KITCHEN}: {len(behind) - missing} records fetched, up to number {100 + len(behind)}" in said.err
    assert (f"records 101 to {100 + missing} are gone" in said.err) == bool(missing)
    assert not strangers(home)


def test_dying_flash_does_not_make_a_board_a_stranger(home, say):
    behind = seal_epochs(KITCHEN, home.slots[KITCHEN], (40, 63, 63, 126, 20))
    with device(KITCHEN, home.slots[KITCHEN] + behind, KEY) as board:
        board.epoch, board.key = 4, PairedKey(KEY).at(4)
        assert "stranger" not in say("watch", "--once", "-p", board.path).err
    assert "or much of the board's flash died" in say("verify").out, "which is what verify judges"


def lost_key(home, count=12):
    """What the kitchen's board records once it has lost its key and made another."""
    seq, prev = 100, home.slots[KITCHEN][-1][40:52]
    events = [("boot", "power-on"), ("close", "reset"), ("config", "key-lost"), *[("mute", "")] * (count - 3)]
    return seal_all([fields(seq + i, 10 * i, *event, boot=5) for i, event in enumerate(events, 1)], KITCHEN, FOREIGN, prev)


def test_board_that_lost_its_key_is_a_stranger_until_it_is_paired_again(home, say):
    behind = lost_key(home)
    with device(KITCHEN, home.slots[KITCHEN] + behind, FOREIGN) as board:
        said = say("watch", "--once", "-p", board.path)
        assert board.acked == 0
        assert "or the board has lost its key: then run `earlid pair` again" in said.err
        board.before_reply = lambda body: board.waiting and board.consent(key=FOREIGN.hex(), epoch=7, seq=110)
        paired = say("pair", "-p", board.path, ledger=False)
        board.before_reply, board.epoch = None, 7
        again = say("watch", "--once", "-p", board.path)
        assert board.acked == 112
    assert f"Board {KITCHEN} is paired" in paired.err
    assert f"{KITCHEN}: 12 records fetched, up to number 112" in again.err
    assert home.look("SELECT MAX(seq) FROM records WHERE board_id = 1") == [(112,)]
    assert strangers(home) == {f"{KITCHEN}.{behind[0][40:43].hex()}": 12}


@pytest.mark.parametrize(
    ("identifier", "shown"),
    [("dead/beef", "dead/beef"), ("../../etc/passwd", "../../etc"), (ESCAPE, r"\x1b]0;owned\x07"), ("=1+1", "=1+1")],
)
def test_identifier_that_no_board_has_costs_no_other_its_verdict(home, say, tmp_path, identifier, shown):
    home.forge("UPDATE boards SET board = ? WHERE board = ?", identifier, STUDY)
    verified = say("verify")
    assert "kitchen (00112233aabbccdd): 75 records\n  Intact" in verified.out
    assert shown in verified.out
    assert "is no board's identifier" in verified.out
    page = say("review", "--html", str(tmp_path / "page.html"), "--since", "2026-11-17")
    assert (page.code, (tmp_path / "page.html").exists()) == (0, True)
    for words in (("review", "2026-11-18"), ("review", "2026-11-18", "--csv"), ("verify",), ("verify", "--json")):
        said = say(*words)
        assert printed_safely(said), said
        assert "--csv" not in words or not re.search(r"(^|,)=", said.out, re.MULTILINE), "a spreadsheet takes it for a formula"


def printed_safely(said):
    """Whether no terminal acts upon what was printed."""
    return not [char for char in said.out + said.err if char != "\n" and not char.isprintable()]


def test_name_with_escape_sequences_reaches_no_terminal(home, say):
    home.forge("UPDATE boards SET name = ? WHERE board = ?", "den" + ESCAPE, STUDY)
    home.forge("UPDATE notes SET say = ?", ESCAPE)
    home.forge("UPDATE purges SET why = ?", ESCAPE)
    for words in (("review", "2026-11-18"), ("verify",), ("purge", "--list"), ("review", "name", "5555", "x"), ("export",)):
        said = say(*words)
        assert printed_safely(said), said
    assert r"den\x1b]0;owned\x07\x1b[2J\u202e" in say("review", "2026-11-18").out


@pytest.mark.parametrize("damage", ["", "no key", "zz" * 32, KEY.hex() + " x 1"])
def test_damaged_key_file_costs_no_other_board_its_verdict(home, say, tmp_path, damage):
    save_key(STUDY, STUDY_KEY)
    key_path(KITCHEN).write_text(damage)
    verified = say("verify")
    assert verified.code == 1
    assert f"Cannot judge by a key: {key_path(KITCHEN)} holds no key" in verified.out
    assert f"{STUDY}: 100 records\n  Intact" in verified.out
    assert say("review", "--html", str(tmp_path / "page.html"), "--since", "2026-11-17").code == 0
    with device(KITCHEN, home.slots[KITCHEN] + continued(home.slots[KITCHEN], 2, KEY)) as board:
        said = say("watch", "--once", "-p", board.path)
    assert "remove it and run `earlid pair` again. Until then its records are accepted by their links alone." in said.err
    assert home.look("SELECT MAX(seq) FROM records WHERE board_id = 1") == [(102,)]


@pytest.mark.parametrize("column", ["boot", "seq", "link", "mac", "ms", "event", "a"])
@pytest.mark.parametrize("value", ["x", b"\xff", 2**62, -1, 0.5])
def test_unreadable_row_costs_no_other_board_its_verdict(home, say, column, value):
    home.forge(f"UPDATE OR IGNORE records SET {column} = ? WHERE board_id = 2 AND seq = 30", value)
    verified = say("verify")
    assert verified.code == 4
    rest = (
        "Intact|Cannot judge: those of its records that can be read follow each other, but the ledger that holds them is damaged"
    )
    assert re.search(rf"kitchen \(00112233aabbccdd\): 75 records\n  ({rest})", verified.out)
    assert re.search(rf"^{STUDY}: .*\n  (Altered|Gap|Cannot judge)", verified.out, re.MULTILINE)


def test_usb_device_with_escape_sequences_in_its_name_reaches_no_terminal(home, say, monkeypatch):
    with device(KITCHEN, home.slots[KITCHEN], KEY) as board:
        info = ListPortInfo(board.path)
        info.vid, info.pid, info.description, info.serial_number = 0x10C4, 0xEA60, f"CP2102 {ESCAPE}", ESCAPE
        monkeypatch.setattr(list_ports, "comports", lambda: [info, info])
        for words in (("list",), ("list", "--json"), ("doctor", "--no-self-test"), ("pair",)):
            said = say(*words, ledger=False)
            assert printed_safely(said), said
    assert r"CP2102 \x1b]0;owned" in say("list", ledger=False).out


def mutations(seed, count, hello):
    """Greetings that no board sends, one field or more changed."""
    choice = random.Random(seed)
    bad = [
        ESCAPE, "dead/beef", "../../x", "", "=cmd()", "\ud800", "\x00", "a" * 2000, None, True, -1, 2**63, 1.5, [], {}, [[[]]],
        {"x": {}}, "0" * 15, "0" * 17, "00112233AABBCCDD", "\u0660" * 16, " " * 16, "00112233aabbccd\n", 10889 * 31_556_952_000,
    ]  # fmt: skip
    for _ in range(count):
        changed = dict(hello)
        for name in choice.sample(sorted(hello), choice.choice((1, 1, 1, 2, 5))):
            if choice.random() < 0.2:
                del changed[name]
            else:
                changed[name] = choice.choice(bad)
        yield changed


@pytest.mark.parametrize("seed", range(4))
def test_greetings_that_no_board_sends_change_nothing_and_end_in_a_sentence(home, say, monkeypatch, seed):
    monkeypatch.setattr(sync_module, "STALL_LIMIT", 2)
    monkeypatch.setattr(sync_module, "HELLO_S", 0.5)
    before, acts = kept(home, KITCHEN), acts_but_notes(home)
    with device(KITCHEN, seal_records(KITCHEN, 3, key=FOREIGN), FOREIGN) as foreign:
        for number, hello in enumerate(mutations(seed, 12, foreign.hello())):
            foreign.hello = lambda hello=hello: hello
            said = say("watch", "--once", "-p", foreign.path)
            where = f"seed {seed}, greeting {number}: {hello!r}"
            assert printed_safely(said), where
            assert said.code in (0, 1, 3), where
            assert re.search(
                r"is not understood: |a stranger: |does not send record|does not answer|records fetched", said.err
            ), where
            assert kept(home, KITCHEN) == before, where
    assert acts_but_notes(home)[: len(acts)] == acts
    assert all(re.fullmatch(r"[0-9a-f]{16}(\.[0-9a-f]{6})?", board) for (board,) in home.look("SELECT board FROM boards"))
    assert "kitchen (00112233aabbccdd): 75 records\n  Intact" in say("verify").out


@pytest.mark.parametrize("seed", range(4))
def test_records_that_no_board_sealed_never_mix_with_the_boards(home, say, monkeypatch, seed):
    monkeypatch.setattr(sync_module, "STALL_LIMIT", 3)
    choice = random.Random(seed)
    true = continued(home.slots[KITCHEN], 6, KEY)
    before = {row[1:3]: row for row in home.look("SELECT * FROM records WHERE board_id = 1")}
    with device(KITCHEN, home.slots[KITCHEN] + true, KEY) as foreign:
        told = foreign.say

        def spoil(body):
            if "rec" in body and choice.random() < 0.6:
                at = choice.randrange(16)
                row = body["rec"] = list(body["rec"])
                row[at] = choice.choice([0, 1, -1, 2**31, 2**48, "x", ESCAPE, None, [], True, row[at - 1], "00" * 12, "ff" * 8])
            told(body)

        foreign.say = spoil
        for _ in range(6):
            said = say("watch", "--once", "-p", foreign.path)
            assert printed_safely(said), f"seed {seed}: {said}"
        foreign.say = told
        said = say("watch", "--once", "-p", foreign.path)
    now = {row[1:3]: row for row in home.look("SELECT * FROM records WHERE board_id = 1")}
    assert {at: now[at] for at in before} == before, f"seed {seed}"
    sealed = {record.read_body(slot[:40])[0]: slot[40:52] for slot in true}
    assert {seq: row[-3] for (_, seq), row in now.items() if (5, seq) not in before and seq > 100} == sealed, f"seed {seed}"
    assert "kitchen (00112233aabbccdd): 81 records\n  Intact" in say("verify").out, f"seed {seed}"


@contextmanager
def virtual_board(**files):
    """A board of the real firmware that runs by itself."""
    with VirtualBoard(firmware=None, files={**deployed_files(), **files}) as made:
        made.noise(-70)
        made.run_until(lambda: '"selftest"' in made.console)
        made.run_background(3.0)
        yield made
        made.pause()


def lose_key(board):
    """Cut the power, spoil every copy of the key in flash, and give the power back."""
    board.pause()
    board.power_cut()
    image = bytearray(board.simulation.flash.data)
    places = [
        at
        for at in range(64, len(image), 4096)
        if int.from_bytes(image[at + 60 : at + 64], "little") == zlib.crc32(image[at : at + 60]) ^ 0xFFFFFFFF
    ]
    assert places
    for at in places:
        image[at : at + 32] = bytes(32)
    board.simulation.flash.load(bytes(image))
    before = board.console.count('"selftest"')
    board.power_on()
    board.run_until(lambda: board.console.count('"selftest"') > before)
    board.run_background(3.0)


def test_real_board_that_lost_its_key_is_the_board_again_once_paired(tmp_path, capsys):
    where = ["--ledger", str(tmp_path / "ledger.sqlite")]

    def say(*words):
        capsys.readouterr()
        return main([*words]), *capsys.readouterr()

    with virtual_board() as board:
        watch = ["watch", "--once", "-p", board.serial_port, *where]
        with person(board):
            assert say("pair", "-p", board.serial_port)[0] == 0
        _, _, said = say(*watch)
        name = re.match("[0-9a-f]{16}(?=: )", said)[0]
        assert "stranger" not in said
        lose_key(board)
        _, _, said = say(*watch)
        assert f"a stranger: it claims to be board {name}" in said
        assert "or the board has lost its key: then run `earlid pair` again" in said
        with person(board):
            code, _, said = say("pair", "-p", board.serial_port)
            assert (code, f"Board {name} is paired" in said) == (0, True), said
        _, _, said = say(*watch)
        assert "stranger" not in said
        assert re.match(name + ": [1-9][0-9]* records fetched", said)
        with Link(board.serial_port) as link:
            hello = link.request("hello")["hi"]
        assert hello["acked"] >= hello["seq"] - 2
        files = {"identity.json": json.dumps({"board": name, "key": FOREIGN.hex()}).encode()}
        with virtual_board(**files) as twin:  # the same firmware under the board's name
            _, _, said = say("watch", "--once", "-p", twin.serial_port, *where)
            assert f"a stranger: it claims to be board {name}" in said
            with person(twin):
                code, _, said = say("pair", "-p", twin.serial_port)
            assert code == 1
            assert "another device under its name" in said
        _, _, said = say(*watch)
        assert "stranger" not in said
    _, said, _ = say("verify", *where)
    assert re.search(rf"^{name}: [0-9]+ records\n  (Intact|Cannot judge [0-9.]+ by a key)", said, re.MULTILINE), said
    assert len(re.findall(r"^stranger [0-9a-f.]+: ", said, re.MULTILINE)) == 2
