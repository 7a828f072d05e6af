# SPDX-License-Identifier: MIT
"""Update of a board that runs Earlid: needs maintenance mode, and keeps journal, key and settings."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from earlid import filesystem, firmware
from earlid.board.link import Link, Record
from earlid.board.port import open_port
from earlid.cli import main
from earlid.flash import content, deploy, firmware_build, image, provision
from earlid.flash.repl import Repl
from earlid.flash.this_processor import ARCH
from earlid.ledger.location import locate
from earlid.ledger.store import Ledger
from earlid.virtual.board import VirtualBoard
from earlid.virtual.nor_flash import FLASH_BYTES
from lid import config, record

from tests.collect.watching import EventLog, watching
from tests.firmware.kit import deployed_inference, sealing_key, word_blob
from tests.flash import harness
from tests.flash.test_deploy import raw_inventory
from tests.flash.test_transcripts import holding_talk_on_request, running
from tests.outputs import parse_output
from tests.terminal import Terminal


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def journal(port: str) -> tuple[str, list[Record]]:
    """The board's identifier and every record it keeps."""
    with Link(port) as link:
        hello = link.request("hello")["hi"]
        records: dict[int, Record] = {}
        while missing := [seq for seq in range(1, hello["seq"] + 1) if seq not in records]:
            link.request("sync", from_=missing[0], max=32)
            records |= {record.seq: record for record in link.pop_records()}
        return hello["board"], [records[seq] for seq in sorted(records)]


def file_system() -> bytes:
    """Of a board that was given the one file, for the virtual board's processor."""
    return filesystem.build(content.files(firmware_build.build(firmware.root(), ARCH), word_blob()), FLASH_BYTES)


def test_verdict_says_how_many_bytes_the_word_lacks() -> None:
    hello = {"board": "0123456789abcdef", "fw": "0.2.0", "state": "closed", "word": "", "no_word": "no-memory", "missing": 2104}
    run = provision.Provisioner("P", provision.FlashOptions(lambda report: image.load(None)), lambda *_: None, threading.Event())
    run._note = run._recipe = ""
    result = run._startup_result(provision.StartupMessages(hello, True, "passed"), b"", 0)
    assert result.code == 1
    assert "does not listen for its word (2,104 bytes found no place)" in result.say


@pytest.mark.usefixtures("patient")
def test_update_keeps_journal_key_and_identifier(capsys: pytest.CaptureFixture[str]) -> None:
    with running(file_system=file_system(), inference=deployed_inference()) as board:
        name, before = journal(board.serial_port)
        files = board.read_files()
        settings = Path("settings.json")
        settings.write_text(json.dumps({"open_ms": 4000}))
        assert main(["flash", "-p", board.serial_port, "--word", "hey_jarvis", "--config", str(settings), "--json"]) == 0
        verdict = parse_output("flash", capsys.readouterr().out)
        assert (verdict["board"], verdict["self_test"]) == (name, "passed")
        again, after = journal(board.serial_port)
        assert again == name
        assert after[: len(before)] == before
        assert [row.event for row in after[len(before) :]][:2] == ["maintenance", "boot"]
        link = record.genesis(name)
        key, epoch = sealing_key(board.simulation.flash.data)
        assert epoch == 0
        for row in after:
            body = row.slot[: record.BODY_BYTES]
            assert row.slot == record.seal(key, link, body)[0], f"record {row.seq}"
            link = bytes.fromhex(row.link)
        assert board.read_files()["identity"] == files["identity"]
        assert key.hex() not in board.console, "the key left the board"
        with Link(board.serial_port) as asking:
            assert asking.request("config-get")["config"]["open_ms"] == 4000
            assert asking.request("hello")["hi"]["word"] == "Hey Jarvis"


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ({"cutoff_q8": 180, "open_ms": 4000}, 180), ({"cutoff_q8": 0}, None), ({"open_ms": 4000}, None), (None, None),
        (b"", None), (b"{", None), (b"[7]", None), (b'{"cutoff_q8": "x"}', None), (b'{"cutoff_q8": null}', None),
    ],
)  # fmt: skip
def test_cutoff_that_a_board_keeps_is_read_on_it(kept: dict[str, int] | bytes | None, told: int | None) -> None:
    files = {} if kept is None else {"config.json": kept if isinstance(kept, bytes) else config.dump(config.check(kept))}
    with harness.bare_board(files=files) as board:
        port = open_port(board.serial_port)
        try:
            with Repl(port) as repl:
                note = deploy.cutoff_note(repl.run(provision.KEPT_CUTOFF))
        finally:
            port.close()
    assert bool(note) == (told is not None)
    assert told is None or f"a cutoff of its own, {told} of 255" in note


@pytest.mark.parametrize("printed", ["", "-3\n", "256", "\x1b[31m180", "180 180", "١٨٠", "9" * 400])
def test_cutoff_that_no_board_of_ours_tells_is_not_repeated(printed: str) -> None:
    assert deploy.cutoff_note(printed) == ""


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(("words", "told"), [(["--word", "hey_jarvis"], True), ([], False)])
def test_another_word_on_a_board_with_a_cutoff_of_its_own_is_told(
    words: list[str], told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = config.dump(config.check({"cutoff_q8": 180}))
    files = content.files(firmware_build.build(firmware.root(), ARCH), word_blob(), kept)
    with running(file_system=filesystem.build(files, FLASH_BYTES), inference=deployed_inference()) as board:
        assert main(["flash", "-p", board.serial_port, *words, "--json"]) == 0
        verdict = parse_output("flash", capsys.readouterr().out)
        assert ("a cutoff of its own, 180 of 255, from the word it had before" in verdict["say"]) == told
        with Link(board.serial_port) as asking:
            assert asking.request("config-get")["config"]["cutoff_q8"] == 180, "nobody's setting is changed"


@pytest.mark.usefixtures("patient")
def test_update_beside_a_watch_keeps_the_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["flash", "--word", "none", "--json", "-p"]
    usb = firmware_build.build(firmware.root(), "x64", "usb").directory
    assert usb != firmware_build.build(firmware.root(), "x64").directory
    with harness.bare_board(recipe="usb") as board:
        board.noise(-60)
        assert main([*words, board.serial_port, "--recipe", "usb"]) == 0
        log = EventLog()
        with Ledger(locate(None)) as ledger, watching(board.serial_port, ledger, log), holding_talk_on_request(board):
            log.wait_for(lambda item: item.kind == "here")
            assert main([*words, board.serial_port]) == 0
            lent = next(place for place, item in enumerate(log.events) if "another program of yours" in item.text)
            log.wait_for(lambda item: item.kind == "here" and item in log.events[lent:])
        for line in capsys.readouterr().out.splitlines():
            verdict = parse_output("flash", line)
            assert verdict["self_test"] == "passed"
            assert "on the usb circuit, has no word" in verdict["say"]
        assert board.read_files()["active"].split()[0].decode() == usb


@pytest.mark.parametrize(
    ("files", "recipe"),
    [([], "digital"), (["/lid-1/lid/start.mpy"], "digital"), (["/lid-1/usb.recipe"], "usb"), (["/lid-2/usb.recipe"], "digital")],
)
def test_recipe_is_that_of_the_build_in_force(files: list[str], recipe: str) -> None:
    assert deploy.parse_inventory(raw_inventory(active="/lid-1 -", files=files)).recipe == recipe


@pytest.mark.usefixtures("patient")
def test_flash_at_a_terminal_ends_with_pairing(tmp_path: Path) -> None:
    with harness.bare_board() as board:
        board.noise(-60)
        data = tmp_path / "data"
        words = ["flash", "-p", board.serial_port, "--word", "none"]
        with Terminal(words, environment={"EARLID_DATA_DIR": str(data)}) as person:
            person.expect("Pair it with this computer now? Enter begins, s skips: ")
            board.pause()
            board.run_background(speed=2.0)  # at which a minute is one
            person.keys("\r")
            person.expect("hold the talk button for 3 seconds")
            board.mute(True)
            board.at(board.now_ms + 200, lambda: board.talk(True))
            person.expect("is paired. Its key is in")
            person.end_tidily(0)
        assert len(list((data / "keys").iterdir())) == 1


def test_new_micropython_keeps_the_journal_and_needs_maintenance_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provision, "PROMPT_WAIT_S", 120.0)
    chip = harness.BootloaderChip()
    new = tmp_path / "new.bin"
    new.write_bytes(b"\xe9\x03\x02\x20" + bytes(20_000))
    with running() as board:
        name, before = journal(board.serial_port)
        started = harness.board_end(board)
        with harness.cable(chip.end()) as cable:

            def intercept(data: bytes) -> bytes:
                if harness.is_probe(data) and chip.flash.data[0x1000] == 0xE9:
                    cable.far_end = started  # the chip starts what was written, and finds the files it had
                return data

            cable.intercept = intercept
            stages: list[str] = []
            options = provision.FlashOptions(image=lambda report: image.load(str(new)), write_image=True)
            outcome = provision.Provisioner(cable.path, options, lambda stage, *_: stages.append(stage), threading.Event()).run()
        assert outcome.code == 0, outcome.say
        assert outcome.board == name
        assert stages.index("write") < stages.index("maintenance") < stages.index("deploy")
        assert journal(board.serial_port)[1][: len(before)] == before
    chip.close()


def stable_files(board: VirtualBoard) -> dict[str, bytes]:
    """The files that a board does not change by itself (its count of starts is deleted after a minute)."""
    return {name: data for name, data in board.read_files().items() if not name.startswith(("journal", "starts"))}


@pytest.mark.usefixtures("patient")
def test_update_without_maintenance_mode_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(provision, "MAINTENANCE_WAIT_S", 1.5)
    with running() as board:
        before = stable_files(board)
        count = len(board.resets)
        monkeypatch.setattr("tests.flash.test_transcripts.VirtualBoard.talk", lambda self, pressed: None)
        monkeypatch.setattr("tests.flash.test_transcripts.VirtualBoard.reset_pin", lambda self: None)
        stop = threading.Event()
        options = provision.FlashOptions(image=lambda report: pytest.fail("no image is needed"))
        plain = provision.Provisioner(board.serial_port, options, lambda stage, done, total: None, stop)
        plain._enter = lambda stage, done=0, total=0: None  # type: ignore[method-assign]
        outcome = plain.run()
        assert outcome.code == 1
        assert "no maintenance mode" in outcome.say
        assert "Nothing was changed" in outcome.say
        assert len(board.resets) == count
        assert stable_files(board) == before


def update(board: VirtualBoard, lets_go: bool, monkeypatch: pytest.MonkeyPatch) -> tuple[provision.FlashResult, list[str]]:
    """An update with the talk button held until its release is requested, or for good; the result and the stages."""
    stages: list[str] = []
    talk = board.talk
    monkeypatch.setattr(board, "talk", lambda pressed: talk(True) if pressed else None)

    def report(stage: str, done: int, total: int) -> None:
        stages.append(stage)
        if stage == "release" and lets_go:
            talk(False)

    options = provision.FlashOptions(image=lambda report: pytest.fail("no image is needed"))
    return provision.Provisioner(board.serial_port, options, report, threading.Event()).run(), stages


@pytest.mark.usefixtures("patient")
def test_update_waits_for_the_talk_button_to_be_released(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provision, "RELEASE_POLL_S", 0.01)  # a virtual chip looks at its pins at every fiftieth question
    monkeypatch.setattr(provision, "RELEASE_WAIT_S", 600.0)
    with running() as board:
        outcome, stages = update(board, True, monkeypatch)
        assert (outcome.code, outcome.self_test) == (0, "passed"), outcome.say
        assert stages.index("deploy") < stages.index("release") < stages.index("restart")


@pytest.mark.usefixtures("patient")
def test_talk_button_never_released_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provision, "RELEASE_WAIT_S", 1.0)
    with running() as board:
        outcome, _ = update(board, False, monkeypatch)
        assert outcome.code == 1
        assert outcome.say.endswith("so it waits in maintenance mode: let the button go, press reset.")
        assert "no word" not in outcome.say


@pytest.mark.usefixtures("patient")
def test_interrupted_update_boots_the_old_firmware() -> None:
    with running() as board:
        name, _ = journal(board.serial_port)
        stop = threading.Event()

        def report(stage: str, done: int, total: int) -> None:
            if stage == "deploy" and done > total / 2 > 0:
                stop.set()

        options = provision.FlashOptions(image=lambda report: pytest.fail("no image is needed"))
        outcome = provision.Provisioner(board.serial_port, options, report, stop).run()
        assert outcome.code == 130
        assert outcome.say.endswith("run `earlid flash` again to finish.")
        begin = len(board.console)
        board.reset_pin()
        board.run_until(lambda: '"selftest","passed"' in board.console[begin:], 20_000)
        assert journal(board.serial_port)[0] == name
