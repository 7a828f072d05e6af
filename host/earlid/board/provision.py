"""One board from whatever it is to a working lid: image, prompt, firmware, restart, first self-test."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lid import config as settings

from earlid.board import deploy, tree
from earlid.board.image import Image
from earlid.board.link import BoardGone, Hello, Link, Record
from earlid.board.port import open_port
from earlid.board.probe import PROMPT, Sighting, probe
from earlid.board.repl import Repl
from earlid.errors import FAILED, INTERRUPTED, NO_BOARD, UserError

STAGES = ("look", "maintenance", "connect", "erase", "write", "verify", "prompt", "deploy", "restart", "self-test")
MAINTENANCE_WAIT_S = 180.0
PROMPT_WAIT_S = 20.0
FIRST_RECORDS_WAIT_S = 30.0
RESET_SETTLE_S = 0.3
HOLD_TEXT = "Earlid runs on it: hold its talk button, press and release its reset button, then let the talk button go"

Report = Callable[[str, int, int], None]
"""Told a stage of STAGES, how much of it is done, and of how much (0: unknown)."""


@dataclass(frozen=True)
class Order:
    """What to do to a board.

    Attributes:
        image: the MicroPython image, given lazily because it may have to be downloaded.
        write_image: write it even where a MicroPython answers.
        erase: erase everything first.
        model: the word's blob, or None to keep what is there.
        config: settings to change from their defaults, or None to keep what is there.
        expected: the identifier that the board must have if it has one.
        force: change a board that is not the expected one, or carries another project.
    """

    image: Callable[[], Image]
    write_image: bool = False
    erase: bool = False
    model: bytes | None = None
    config: dict[str, int] | None = None
    expected: str | None = None
    force: bool = False


@dataclass(frozen=True)
class Outcome:
    """How it went with one board; `code` is an exit code and `say` a sentence for a person."""

    port: str
    code: int
    say: str
    board: str = ""
    firmware: str = ""
    self_test: str = ""
    sent_bytes: int = 0
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """One line of `earlid flash --json`."""
        return {**asdict(self), "ok": self.code == 0, "seconds": round(self.seconds, 1)}


class Stopped(Exception):
    """The user wants no more."""


@dataclass
class Provision:
    """One run on one port.

    Attributes:
        port: the device name.
        order: what to do.
        report: told the stages.
        stop: set it to end the run at the next step.
    """

    port: str
    order: Order
    report: Report
    stop: threading.Event

    def run(self) -> Outcome:
        """Do it; never an exception, so that one board's trouble does not stop another's run."""
        self._stage = "look"
        begin_s = time.monotonic()
        try:
            outcome = self._run()
        except UserError as error:
            outcome = Outcome(self.port, error.code, str(error))
        except Stopped:
            outcome = Outcome(self.port, INTERRUPTED, interrupted_text(self._stage))
        return Outcome(**{**asdict(outcome), "seconds": time.monotonic() - begin_s})

    def _tell(self, stage: str, done: int = 0, total: int = 0) -> None:
        if self.stop.is_set():
            raise Stopped
        self._stage = stage
        self.report(stage, done, total)

    def _run(self) -> Outcome:
        self._tell("look")
        seen = probe(self.port)
        if seen.state in ("busy", "no-permission", "gone"):
            raise UserError(seen.why, NO_BOARD)
        self._check_expected(seen)
        root = tree.firmware_root()
        if self.order.write_image or self.order.erase or seen.state in ("bootloader", "silent"):
            self._write_image()
        elif seen.state == "earlid":
            self._wait_for_maintenance()
        port = open_port(self.port)
        try:
            self._tell("prompt")
            self._wait_for_prompt(port)
            sent_bytes, board = self._deploy(port, root)
            self._tell("restart")
            return self._first_words(Link(port), sent_bytes, board)
        finally:
            with contextlib.suppress(OSError):
                port.close()

    def _check_expected(self, seen: Sighting) -> None:
        expected = self.order.expected
        if expected and seen.board and seen.board != expected and not self.order.force:
            raise UserError(
                f"the board at {self.port} is {seen.board}, not {expected}. Nothing was changed. "
                "Plug in the other one, or say --force.", 2,
            )  # fmt: skip

    def _write_image(self) -> None:
        from earlid.board import flasher  # esptool takes a while to load, and an update does not need it

        image = self.order.image()
        flasher.write(self.port, image, erase=self.order.erase, force=self.order.force, report=self._tell)

    def _wait_for_maintenance(self) -> None:
        # Opening no lid, erasing no key: only a person at the board may put other code on it.
        end_s = time.monotonic() + MAINTENANCE_WAIT_S
        while True:
            self._tell("maintenance")
            seen = probe(self.port)
            if seen.state == "micropython" or (seen.hello or {}).get("maintenance"):
                return
            if time.monotonic() > end_s:
                raise UserError(
                    f"no maintenance mode at {self.port} within {MAINTENANCE_WAIT_S / 60:.0f} minutes. "
                    "Nothing was changed. Hold the talk button while you press reset, then run `earlid flash` again.", FAILED,
                )  # fmt: skip

    def _wait_for_prompt(self, port: Any) -> None:
        # After an image was written the board makes its file system first, which takes seconds.
        end_s = time.monotonic() + PROMPT_WAIT_S
        heard = b""
        asked_s = 0.0
        while not PROMPT.search(heard):
            now_s = time.monotonic()
            self._tell("prompt")
            if now_s > end_s:
                return  # a program may be running there: the Ctrl-C that comes next ends it
            if now_s - asked_s > 1.0:
                with contextlib.suppress(OSError):
                    port.write(b"\r")
                asked_s = now_s
            try:
                heard = (heard + port.read(max(1, min(port.in_waiting, 4096))))[-200:]
            except OSError as error:
                raise BoardGone(f"{self.port} went away: {error}. Plug it in and run `earlid flash` again.") from error

    def _deploy(self, port: Any, root: Path) -> tuple[int, deploy.Board]:
        with Repl(port) as repl:
            self._tell("deploy")
            board = deploy.read_board(repl.look())
            deploy.refuse(board, self.order.expected, self.order.force)
            built = tree.build(root, board.arch)
            config = None
            if self.order.config is not None:
                config = settings.dump(settings.check(self.order.config))
            plan = deploy.plan(board, deploy.survey(repl, board), built, self.order.model, config)
            deploy.carry_out(repl, plan, lambda done, total: self._tell("deploy", done, total))
            self._tell("restart")
            repl.leave_running("import machine\nmachine.reset()\n")
        return plan.sent_bytes, board

    def _first_words(self, link: Link, sent_bytes: int, board: deploy.Board) -> Outcome:
        booted = False
        hello: dict[str, Any] = {}
        end_s = time.monotonic() + FIRST_RECORDS_WAIT_S
        time.sleep(RESET_SETTLE_S)
        while time.monotonic() < end_s:
            self._tell("self-test" if booted else "restart")
            for message in link.messages(0.5):
                if isinstance(message, Hello):
                    hello, booted = message, True
                elif isinstance(message, Record) and message.event == "boot":
                    booted = True
                elif isinstance(message, Record) and message.event == "selftest":
                    return self._verdict(message, hello or self._ask(link), sent_bytes)
        if not booted:
            raise UserError(
                f"the firmware is on the board at {self.port}, but did not start within {FIRST_RECORDS_WAIT_S:.0f} s. "
                "Its lid is closed. Press its reset button, then see `earlid doctor`.", FAILED,
            )  # fmt: skip
        hello = hello or self._ask(link)
        if hello.get("state") == "muted":
            return self._outcome(
                hello, sent_bytes, "none", 0, "Its mute switch is on: the self-test runs when it is off."
            )
        return self._outcome(
            hello, sent_bytes, "none", FAILED, "It started, but made no self-test. See `earlid doctor`."
        )

    def _ask(self, link: Link) -> dict[str, Any]:
        try:
            return dict(link.request("hello").get("hi", {}))
        except UserError:
            return {}

    def _verdict(self, record: Record, hello: dict[str, Any], sent_bytes: int) -> Outcome:
        if record.reason == "passed":
            return self._outcome(
                hello, sent_bytes, "passed", 0, "Next: `earlid calibrate`, then `earlid watch` to keep its receipts."
            )
        return self._outcome(
            hello, sent_bytes, "failed", FAILED,
            f"Its self-test failed (bits {record.a:#x}): the lid stays closed. See `earlid doctor`.",
        )  # fmt: skip

    def _outcome(self, hello: dict[str, Any], sent_bytes: int, self_test: str, code: int, say: str) -> Outcome:
        name = str(hello.get("board", ""))
        text = f"Board {name or '(unnamed)'} at {self.port} runs Earlid {hello.get('fw', '?')}. {say}"
        return Outcome(self.port, code, text, name, str(hello.get("fw", "")), self_test, sent_bytes)


def interrupted_text(stage: str) -> str:
    """What a person must know after Ctrl-C in a stage."""
    if stage in ("erase", "write", "verify"):
        left = "The chip has no working MicroPython now, and its lid is closed"
    elif stage in ("restart", "self-test"):
        left = "The firmware is on the board"
    else:
        left = "The board has what it had, or waits with its lid closed"
    return f"stopped. {left}: run `earlid flash` again to finish."
