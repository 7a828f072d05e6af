# SPDX-License-Identifier: MIT
"""One board from whatever it is to a working lid: image, prompt, firmware, restart, first self-test."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import serial
from lid import circuit, wire
from lid import config as settings
from lid.record import FIELDS

from earlid.board.detect import PROMPT, ProbeResult, probe
from earlid.board.framing import LineReader
from earlid.board.link import BoardGone
from earlid.board.port import open_port
from earlid.errors import FAILED, INTERRUPTED, NO_BOARD, UserError
from earlid.flash import deploy, firmware_build
from earlid.flash.image import Image
from earlid.flash.repl import NoRepl, Repl

STAGES = (
    "look", "maintenance", "download", "connect", "erase", "write", "verify", "prompt", "deploy", "release", "restart",
    "self-test",
)  # fmt: skip
ENDS = ("done", "failed", "stopped")
LOOK_S = 3.0  # longer than `earlid list` waits: who takes a running Earlid for a silent chip writes over it
MAINTENANCE_WAIT_S = 180.0
PROMPT_WAIT_S = 20.0
FIRST_RECORDS_WAIT_S = 30.0
RELEASE_WAIT_S = 60.0
RELEASE_ASK_S = 0.2
TALK_BUTTON = f"import machine\nprint(machine.Pin({circuit.TALK_BUTTON_PIN}, machine.Pin.IN, machine.Pin.PULL_UP).value())\n"
NEXT_TEXT = "Next: `earlid calibrate`, then `earlid watch` to keep its receipts."
HOLD_TEXT = "Earlid runs on it: hold its talk button, press and release its reset button, then let the talk button go"

Report = Callable[[str, int, int], None]
"""Told a stage of STAGES or ENDS, how much of it is done, and of how much (0: unknown)."""


@dataclass(frozen=True)
class Order:
    """What to do to a board.

    Attributes:
        image: gives the MicroPython image, which may have to be downloaded; is told where to report bytes done and in all.
        write_image: write it even where a MicroPython answers.
        erase: erase everything first.
        model: the word's blob, or None to keep what is there.
        default_model: the blob for a board that has none, made only when it is needed; it may return None.
        config: settings to change from their defaults, or None to keep what is there.
        expected: the identifier that the board must have if it has one.
        force: change a board that is not the expected one, or carries another project.
    """

    image: Callable[[Callable[[int, int], None]], Image]
    write_image: bool = False
    erase: bool = False
    model: bytes | None = None
    default_model: Callable[[], bytes | None] = lambda: None
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


@dataclass
class FirstWords:
    """What a board says of itself in its first seconds."""

    hello: dict[str, Any] = field(default_factory=dict)
    booted: bool = False
    self_test: str = ""
    bits: int = 0

    @property
    def complete(self) -> bool:
        """Nothing more is to be waited for."""
        told = self.self_test or self.hello.get("state") == "muted" or self.hello.get("maintenance")
        return bool(self.hello) and bool(told)

    def take(self, body: dict[str, Any]) -> None:
        """One line's body; other lines than `hi` and `rec` say nothing here."""
        if isinstance(body.get("hi"), dict):
            self.hello, self.booted = body["hi"], True
        record = body.get("rec")
        if isinstance(record, list) and len(record) == len(FIELDS) + 2:
            row = dict(zip(FIELDS, record[: len(FIELDS)], strict=True))
            self.booted = self.booted or row["event"] == "boot"
            if row["event"] == "selftest":
                self.self_test, self.bits = str(row["reason"]), int(row["a"])


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
        except OSError as error:
            outcome = Outcome(self.port, NO_BOARD, f"{self.port} went away: {error}. Plug it in and run `earlid flash` again.")
        except Stopped:
            outcome = Outcome(self.port, INTERRUPTED, interrupted_text(self._stage))
        self.report({0: "done", INTERRUPTED: "stopped"}.get(outcome.code, "failed"), 1, 1)
        return Outcome(**{**asdict(outcome), "seconds": time.monotonic() - begin_s})

    def _tell(self, stage: str, done: int = 0, total: int = 0) -> None:
        if self.stop.is_set():
            raise Stopped
        self._stage = stage
        self.report(stage, done, total)

    def _run(self) -> Outcome:
        self._tell("look")
        seen = probe(self.port, timeout_s=LOOK_S)
        if seen.state in ("busy", "no-permission", "gone"):
            raise UserError(seen.error, NO_BOARD)
        self._check_expected(seen)
        root = firmware_build.firmware_root()
        wanted = self.order.write_image or self.order.erase or seen.state == "bootloader"
        if wanted or (seen.state == "silent" and not self._ctrl_c_helps()):
            self._write_image()
            seen = self._after_image()
        if seen.state == "earlid":
            self._wait_for_maintenance()
        port = open_port(self.port)
        try:
            self._tell("prompt")
            self._wait_for_prompt(port)
            sent_bytes = self._deploy(port, root)
            self._tell("restart")
            return self._first_words(port, sent_bytes)
        finally:
            with contextlib.suppress(OSError):
                port.close()

    def _check_expected(self, seen: ProbeResult) -> None:
        expected = self.order.expected
        if expected and seen.board and seen.board != expected and not self.order.force:
            raise UserError(
                f"the board at {self.port} is {seen.board}, not {expected}. Nothing was changed. "
                "Plug in the other one, or say --force.", 2,
            )  # fmt: skip

    def _ctrl_c_helps(self) -> bool:
        # A program may run there, or wait for the rest of a deploy that was cut off.
        port = open_port(self.port)
        try:
            with Repl(port, tries=2):  # what runs may swallow the first request for a prompt
                return True
        except NoRepl:
            return False
        finally:
            port.close()

    def _write_image(self) -> None:
        from earlid.flash import flasher  # esptool takes a while to load, and an update does not need it

        image = self.order.image(lambda done, total: self._tell("download", done, total))
        flasher.write(self.port, image, erase=self.order.erase, force=self.order.force, report=self._tell)

    def _after_image(self) -> ProbeResult:
        # The board makes its file system first, which takes seconds; then its prompt comes, or the Earlid it had before.
        end_s = time.monotonic() + PROMPT_WAIT_S
        while True:
            self._tell("prompt")
            seen = probe(self.port, ask_boot_loader=False)
            if seen.state in ("micropython", "earlid") or time.monotonic() > end_s:
                return seen

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
                    "Nothing was changed. Hold the talk button while you press reset, then run `earlid flash` again.",
                    FAILED,
                )  # fmt: skip

    def _wait_for_prompt(self, port: serial.Serial) -> None:
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

    def _deploy(self, port: serial.Serial, root: Path) -> int:
        with Repl(port) as repl:
            self._tell("deploy")
            board = deploy.read_board(repl.look())
            deploy.refuse(board, self.order.expected, self.order.force)
            built = firmware_build.build(root, board.arch)
            config = None
            if self.order.config is not None:
                config = settings.dump(settings.check(self.order.config))
            model = self.order.model
            if model is None and board.model == deploy.NO_MODEL:
                model = self.order.default_model()
            plan = deploy.plan(board, deploy.survey(repl, board), built, model, config)
            deploy.carry_out(repl, plan, lambda done, total: self._tell("deploy", done, total))
            self._wait_for_release(repl)
            self._tell("restart")
            repl.leave_running("import machine\nmachine.reset()\n")
        return plan.sent_bytes

    def _wait_for_release(self, repl: Repl) -> None:
        # Held through the restart, the talk button would ask for maintenance mode once more.
        end_s = time.monotonic() + RELEASE_WAIT_S
        while repl.run(TALK_BUTTON).strip() == "0" and time.monotonic() < end_s:
            self._tell("release")
            time.sleep(RELEASE_ASK_S)

    def _first_words(self, port: serial.Serial, sent_bytes: int) -> Outcome:
        """Wait for the new firmware's `boot` and `selftest` records and its greeting."""
        reader = LineReader(wire.HOST_LINE_MAX)
        words = FirstWords()
        heard = b""
        end_s = time.monotonic() + FIRST_RECORDS_WAIT_S
        while not words.complete and time.monotonic() < end_s:
            self._tell("self-test" if words.booted else "restart")
            data = port.read(max(1, min(port.in_waiting, 4096)))
            for _, body in reader.feed(data):
                words.take(body)
            heard = (heard + data)[-2000:]
            if PROMPT.search(heard):
                break  # it fell back to its prompt
        if words.booted:
            self._tell("self-test")
        return self._verdict(words, heard, sent_bytes)

    def _verdict(self, words: FirstWords, heard: bytes, sent_bytes: int) -> Outcome:
        hello = words.hello
        if not words.booted:
            raise UserError(
                f"the firmware is on the board at {self.port}, but did not start{_last_error(heard)}. "
                "Its lid is closed. Press its reset button, then see `earlid doctor`.", FAILED,
            )  # fmt: skip
        if words.self_test == "passed":
            return self._outcome(hello, sent_bytes, "passed", 0, NEXT_TEXT)
        if words.self_test == "failed":
            text = f"Its self-test failed (bits {words.bits:#x}): the lid stays closed. See `earlid doctor`."
            return self._outcome(hello, sent_bytes, "failed", FAILED, text)
        if hello.get("maintenance"):
            text = "Its talk button was held while it restarted, so it waits in maintenance mode: let the button go, press reset."
            return self._outcome(hello, sent_bytes, "none", FAILED, text)
        if hello.get("state") == "muted":
            text = "Its mute switch is on: the self-test runs when it is off."
            return self._outcome(hello, sent_bytes, "none", 0, text)
        text = "It started, but made no self-test. See `earlid doctor`."
        return self._outcome(hello, sent_bytes, "none", FAILED, text)

    def _outcome(self, hello: dict[str, Any], sent_bytes: int, self_test: str, code: int, say: str) -> Outcome:
        name = str(hello.get("board", ""))
        word = f", listens for {hello['word']!r}" if hello.get("word") else ", has no word" if "word" in hello else ""
        text = f"Board {name or '(unnamed)'} at {self.port} runs Earlid {hello.get('fw', '?')}{word}. {say}"
        return Outcome(self.port, code, text, name, str(hello.get("fw", "")), self_test, sent_bytes)


def _last_error(heard: bytes) -> str:
    # A traceback's last line stands before the banner and prompt that follow it.
    lines = [line.strip() for line in heard.decode(errors="replace").splitlines()]
    errors = [line for line in lines if re.match(r"\w*(Error|Exception)\b|earlid: ", line)]
    if errors:
        return f" ({errors[-1].removeprefix('earlid: ').split(';')[0]})"
    return " (it went back to its prompt)" if PROMPT.search(heard) else f" within {FIRST_RECORDS_WAIT_S:.0f} s"


def interrupted_text(stage: str) -> str:
    """What a person must know after Ctrl-C in a stage."""
    if stage in ("erase", "write", "verify"):
        left = "The chip has no working MicroPython now, and its lid is closed"
    elif stage in ("release", "restart", "self-test"):
        left = "The firmware is on the board"
    else:
        left = "The board has what it had, or waits with its lid closed"
    return f"stopped. {left}: run `earlid flash` again to finish."
