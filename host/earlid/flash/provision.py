# SPDX-License-Identifier: MIT
"""Provisioner: takes one board from any state to a working lid: image, prompt, firmware, restart, first self-test."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import serial
from lid import circuit, wire
from lid.record import FIELDS
from lid.wire_schema import Hello, known_fields

from earlid import firmware
from earlid.board.detect import PROMPT, ProbeResult, hello_request, no_word_text, probe
from earlid.board.framing import LineReader
from earlid.board.link import BoardGone
from earlid.board.port import open_port
from earlid.door import plain
from earlid.errors import FAILED, INTERRUPTED, NO_BOARD, USAGE, UserError
from earlid.flash import content, deploy, firmware_build
from earlid.flash.image import MicroPythonImage
from earlid.flash.inputs import FAST_BAUD
from earlid.flash.repl import NoRepl, Repl
from earlid.flash.stages import Report, interrupted_text

if TYPE_CHECKING:
    from earlid.flash.flasher import OneFile
    from earlid.flash.foreign import Flash

RESET_S = 0.1
BOOT_LOG_S = 3.0
BOOT_LOG_BYTES = 16384
PROBE_S = 3.0  # longer than `earlid list` waits: a running Earlid taken for a silent chip would be overwritten
MAINTENANCE_WAIT_S = 180.0
PROMPT_WAIT_S = 20.0
STARTUP_WAIT_S = 30.0
ASK_S = 1.0
RELEASE_WAIT_S = 60.0
RELEASE_POLL_S = 0.2
TALK_BUTTON = f"import machine\nprint(machine.Pin({circuit.TALK_BUTTON_PIN}, machine.Pin.IN, machine.Pin.PULL_UP).value())\n"
KEPT_CUTOFF = f"""import json
try:
    print(int(json.loads(open({content.CONFIG!r}).readline()).get("cutoff_q8", 0)))
except (OSError, ValueError, TypeError, AttributeError):
    print(0)
"""
NEXT_TEXT = "Next: `earlid pair`, `earlid calibrate`, then `earlid watch` to keep its receipts."


@dataclass(frozen=True)
class FlashOptions:
    """What to do to a board.

    Attributes:
        image: returns the MicroPython image, downloaded if need be; its argument reports (bytes done, bytes in all).
        write_image: write it even where a MicroPython answers.
        erase: erase everything first.
        model: the word's blob, or None to keep what is there.
        default_model: the blob for a board that has none, made only when it is needed; it may return None.
        config: contents of `/config.json`, or None to keep what is there.
        expected: the identifier that the board must have if it has one.
        recipe: of the copper, one of `firmware.RECIPES`, or None for that of the firmware there is, else the reference board's.
        force: change a board that is not the expected one, or carries another project.
        baud: of the line while an image is written; an update through MicroPython's prompt has the firmware's own.
        agree: called before a program is overwritten that is neither Earlid nor MicroPython, with a port, a sentence, and what
            tells whether the run is stopped, when it returns; raises UserError when nothing is to be written.
    """

    image: Callable[[Callable[[int, int], None]], MicroPythonImage]
    write_image: bool = False
    erase: bool = False
    model: bytes | None = None
    default_model: Callable[[], bytes | None] = lambda: None
    config: bytes | None = None
    expected: str | None = None
    recipe: str | None = None
    force: bool = False
    baud: int = FAST_BAUD
    agree: Callable[[str, str, Callable[[], bool]], None] = lambda port, text, stopped: None


@dataclass(frozen=True)
class FlashResult:
    """The result of one board; `code` is an exit code, `say` a sentence for a person, `one_file` which way it went."""

    port: str
    code: int
    say: str
    board: str = ""
    firmware: str = ""
    self_test: str = ""
    sent_bytes: int = 0
    one_file: bool = False
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """One line of `earlid flash --json`."""
        return {**asdict(self), "ok": self.code == 0, "seconds": round(self.seconds, 1)}


@dataclass
class StartupMessages:
    """The messages of a board's first seconds, as far as they tell whether it works."""

    hello: dict[str, Any] = field(default_factory=dict)
    booted: bool = False
    self_test: str = ""
    self_test_bits: int = 0

    @property
    def complete(self) -> bool:
        """Whether there is nothing more to wait for."""
        no_self_test = self.hello.get("state") == "muted" or self.hello.get("maintenance")
        return bool(self.hello) and bool(self.self_test or no_self_test)

    def add(self, body: dict[str, Any]) -> None:
        """Add one line's body; all but `hi` and `rec` is ignored."""
        if hello := known_fields(body.get("hi"), Hello):
            self.hello, self.booted = hello, True
        record = body.get("rec")
        if isinstance(record, list) and len(record) == len(FIELDS) + 2:
            row = dict(zip(FIELDS, record[: len(FIELDS)], strict=True))
            self.booted = self.booted or row["event"] == "boot"
            if row["event"] == "selftest":
                self.self_test, self.self_test_bits = str(row["reason"]), int(row["a"])


class Stopped(Exception):
    """The run was stopped by the user."""


@dataclass
class Provisioner:
    """One run on one port.

    Attributes:
        port: the device name.
        options: what to do.
        report: called with the stages and their progress.
        stop: set it to end the run at the next step.
    """

    port: str
    options: FlashOptions
    report: Report
    stop: threading.Event

    def run(self) -> FlashResult:
        """Run all stages; errors become a result, so that one board's failure does not stop another's run."""
        self._stage = "look"
        self._note = self._identifier = self._recipe = ""
        begin_s = time.monotonic()
        try:
            result = self._run()
        except UserError as error:
            result = FlashResult(self.port, error.code, str(error))
        except OSError as error:
            result = FlashResult(self.port, NO_BOARD, f"{self.port} went away: {error}. Plug it in and run `earlid flash` again.")
        except Stopped:
            result = FlashResult(self.port, INTERRUPTED, interrupted_text(self._stage))
        self.report({0: "done", INTERRUPTED: "stopped"}.get(result.code, "failed"), 1, 1)
        return replace(result, seconds=time.monotonic() - begin_s)

    def _enter(self, stage: str, done: int = 0, total: int = 0) -> None:
        if self.stop.is_set():
            raise Stopped
        self._stage = stage
        self.report(stage, done, total)

    def _run(self) -> FlashResult:
        self._enter("look")
        probed = probe(self.port, timeout_s=PROBE_S)
        if probed.state in ("busy", "no-permission", "gone"):
            raise UserError(probed.error, NO_BOARD)
        self._check_expected(probed)
        forced = self.options.write_image or self.options.erase or probed.state == "bootloader"
        if forced or (probed.state == "silent" and not self._has_repl()):
            first_bytes = self._write_image(probed)
            if first_bytes is not None:
                return self._first_start(first_bytes)
            probed = self._probe_after_image()
            self._identifier = probed.board
        if probed.state == "earlid":
            self._wait_for_maintenance()
        port = open_port(self.port)
        try:
            self._enter("prompt")
            self._wait_for_prompt(port)
            sent_bytes = self._deploy(port)
            self._enter("restart")
            return self._await_startup(port, sent_bytes)
        finally:
            with contextlib.suppress(OSError):
                port.close()

    def _check_expected(self, probed: ProbeResult) -> None:
        self._identifier = probed.board
        expected = self.options.expected
        if expected and probed.board and probed.board != expected and not self.options.force:
            raise UserError(
                f"the board at {self.port} is {probed.board}, not {expected}. Nothing was changed. "
                "Plug in the other one, or say --force.", 2,
            )  # fmt: skip

    def _has_repl(self) -> bool:
        # A program may run there, or wait for the rest of a deploy that was cut off.
        port = open_port(self.port)
        try:
            with Repl(port, tries=2):  # what runs may swallow the first request for a prompt
                return True
        except NoRepl:
            return False
        finally:
            port.close()

    def _write_image(self, probed: ProbeResult) -> int | None:
        """Write MicroPython, or the one file to a chip that has nothing to lose; of the latter the bytes sent, else None."""
        if self.port.lower().startswith("socket:"):
            raise UserError(
                f"{self.port} has no control lines, so its chip cannot be sent to its boot loader to be given an image. Plug it "
                "in here, or serve it with RFC 2217. What runs MicroPython or Earlid is updated this way too.", USAGE,
            )  # fmt: skip
        from earlid.flash import flasher  # esptool takes a while to load, and an update does not need it
        from earlid.flash.foreign import look, overwritten, program_in

        image = self.options.image(lambda done, total: self._enter("download", done, total))
        log = probed.console_text + (boot_log(self.port) if probed.state == "silent" else "")

        chosen: flasher.OneFile | None = None

        def choose(flash: Flash) -> flasher.OneFile | None:
            nonlocal chosen
            if text := overwritten(look(flash), log):
                self.options.agree(self.port, text, self.stop.is_set)
                self._enter(self._stage)
            chosen = self._one_file(image, flash, bool(text))
            return chosen

        options = self.options
        try:
            sent_bytes = flasher.write(
                self.port, image, erase=options.erase, force=options.force, report=self._enter, choose=choose, baud=options.baud
            )
            return sent_bytes if chosen else None
        except UserError as error:
            lines = [line for line in map(str.strip, log.splitlines()) if line]
            if error.code != NO_BOARD or not lines:
                raise
            raise UserError(f"{error} What was heard there: {program_in(log) or repr(plain(lines[-1]))}.", NO_BOARD) from error

    def _one_file(self, image: MicroPythonImage, flash: Flash, foreign: bool) -> OneFile | None:
        """The one file for a chip, or None where there is something to keep, or a release that it cannot be made of."""
        from earlid.flash import first_flash, one_file, partitions
        from earlid.flash.flasher import SUPPORTED, OneFile

        try:
            found = one_file.layout(image, flash.size_bytes)
        except UserError:  # the prompt's way takes what it finds there
            return None
        where = first_flash.places(
            flash.read(partitions.TABLE_OFFSET, partitions.TABLE_BYTES), found.file_system, flash.size_bytes
        )
        kept = not self.options.erase and not first_flash.holds_nothing(flash.read, where, foreign=foreign)
        if kept or flash.chip != SUPPORTED:
            return None
        self._enter("prepare")
        build = self._build(firmware_build.ESP32_ARCH, self.options.recipe or firmware.RECIPES[0])
        files = content.files(build, self._word(False), self.options.config)
        self._note = deploy.release_note(firmware_build.ESP32_ARCH, tuple(map(int, found.version.split("."))))
        return OneFile(one_file.make(image, files, flash.size_bytes), found.file_system.offset)

    def _first_start(self, sent_bytes: int) -> FlashResult:
        with contextlib.closing(open_port(self.port)) as port:
            self._enter("restart")
            return replace(self._await_startup(port, sent_bytes, ask=True), one_file=True)

    def _probe_after_image(self) -> ProbeResult:
        # The board makes its file system first, which takes seconds; then its prompt comes, or the Earlid it had before.
        end_s = time.monotonic() + PROMPT_WAIT_S
        while True:
            self._enter("prompt")
            probed = probe(self.port, ask_boot_loader=False)
            if probed.state in ("micropython", "earlid") or time.monotonic() > end_s:
                return probed

    def _wait_for_maintenance(self) -> None:
        # Other code is what could open a lid: only a person at the board may put it there.
        end_s = time.monotonic() + MAINTENANCE_WAIT_S
        while True:
            self._enter("maintenance")
            probed = probe(self.port)
            self._identifier = probed.board or self._identifier
            if probed.state == "micropython" or (probed.hello or {}).get("maintenance"):
                return
            if time.monotonic() > end_s:
                raise UserError(
                    f"no maintenance mode at {self.port} within {MAINTENANCE_WAIT_S / 60:.0f} minutes. "
                    "Nothing was changed. Hold the talk button while you press reset, then run `earlid flash` again.",
                    FAILED,
                )  # fmt: skip

    def _wait_for_prompt(self, port: serial.Serial) -> None:
        end_s = time.monotonic() + PROMPT_WAIT_S
        received = b""
        sent_s = 0.0
        while not PROMPT.search(received):
            now_s = time.monotonic()
            self._enter("prompt")
            if now_s > end_s:
                return  # a program may be running there: the Ctrl-C that comes next ends it
            if now_s - sent_s > 1.0:
                with contextlib.suppress(OSError):
                    port.write(b"\r")
                sent_s = now_s
            try:
                received = (received + port.read(max(1, min(port.in_waiting, 4096))))[-200:]
            except OSError as error:
                raise BoardGone(f"{self.port} went away: {error}. Plug it in and run `earlid flash` again.") from error

    def _build(self, arch: str, recipe: str) -> firmware_build.FirmwareBuild:
        if recipe not in firmware.RECIPES:
            raise UserError(f"the board's firmware is of an unknown recipe, '{recipe}': name one with --recipe.", USAGE)
        self._recipe = recipe
        return firmware_build.build(firmware.root(), arch, recipe)

    def _word(self, kept: bool) -> bytes | None:
        """The word to write; None for none, or where the board keeps its own."""
        if self.options.model is not None or kept or self._recipe == firmware.ONE_CHANNEL:
            return self.options.model
        return self.options.default_model()

    def _deploy(self, port: serial.Serial) -> int:
        with Repl(port) as repl:
            self._enter("deploy")
            board = deploy.parse_inventory(repl.inventory())
            deploy.check_target(board, self._identifier, self.options.expected, self.options.force)
            self._note = deploy.release_note(board.arch, board.version)
            build = self._build(board.arch, self.options.recipe or board.recipe)
            model = self._word(board.model != content.NO_MODEL)
            if model is None and board.model != content.NO_MODEL:
                check_kept_word(repl.word(board.model))
            plan = deploy.make_plan(board, deploy.hash_files(repl, board), build, model, self.options.config)
            if self.options.config is None and board.model not in (content.NO_MODEL, plan.retained[1]):
                self._note += deploy.cutoff_note(repl.run(KEPT_CUTOFF))
            deploy.execute(repl, plan, lambda done, total: self._enter("deploy", done, total))
            self._wait_for_release(repl)
            self._enter("restart")
            repl.run_detached("import machine\nmachine.reset()\n")
        return plan.sent_bytes

    def _wait_for_release(self, repl: Repl) -> None:
        # Held through the restart, the talk button would ask for maintenance mode once more.
        end_s = time.monotonic() + RELEASE_WAIT_S
        while repl.run(TALK_BUTTON).strip() == "0" and time.monotonic() < end_s:
            self._enter("release")
            time.sleep(RELEASE_POLL_S)

    def _await_startup(self, port: serial.Serial, sent_bytes: int, ask: bool = False) -> FlashResult:
        """Wait for the new firmware's `boot` and `selftest` records and its hello; ask: the port was not open all the while."""
        reader = LineReader(wire.HOST_LINE_MAX)
        startup = StartupMessages()
        received = b""
        asked_s = 0.0
        end_s = time.monotonic() + STARTUP_WAIT_S
        while not startup.complete and time.monotonic() < end_s:
            self._enter("self-test" if startup.booted else "restart")
            if ask and not startup.hello and time.monotonic() > asked_s + ASK_S:
                asked_s = time.monotonic()
                port.write(hello_request())
            data = port.read(max(1, min(port.in_waiting, 4096)))
            for _, body in reader.feed(data):
                startup.add(body)
            received = (received + data)[-2000:]
            if PROMPT.search(received):
                break  # it fell back to its prompt
        if startup.booted:
            self._enter("self-test")
        return self._startup_result(startup, received, sent_bytes)

    def _startup_result(self, startup: StartupMessages, received: bytes, sent_bytes: int) -> FlashResult:
        hello = startup.hello
        if not startup.booted:
            raise UserError(
                f"the firmware is on the board at {self.port}, but did not start{_last_error(received)}. "
                "Its lid is closed. Press its reset button, then see `earlid doctor`.", FAILED,
            )  # fmt: skip
        if startup.self_test == "passed":
            return self._result(hello, sent_bytes, "passed", 0, NEXT_TEXT)
        if startup.self_test == "failed":
            text = f"Its self-test failed (bits {startup.self_test_bits:#x}): the lid stays closed. See `earlid doctor`."
            return self._result(hello, sent_bytes, "failed", FAILED, text)
        if hello.get("maintenance"):
            text = "Its talk button was held while it restarted, so it waits in maintenance mode: let the button go, press reset."
            return self._result(hello, sent_bytes, "none", FAILED, text)
        if hello.get("state") == "muted":
            text = "Its mute switch is on: the self-test runs when it is off."
            return self._result(hello, sent_bytes, "none", 0, text)
        text = "It started, but made no self-test. See `earlid doctor`."
        return self._result(hello, sent_bytes, "none", FAILED, text)

    def _result(self, hello: dict[str, Any], sent_bytes: int, self_test: str, code: int, say: str) -> FlashResult:
        name = str(hello.get("board", ""))
        why = no_word_text(hello)
        word = f", listens for {hello['word']!r}" if hello.get("word") else ", has no word" if "word" in hello else ""
        if why:
            word = f", does not listen for its word ({why})"
            code = code or FAILED
        recipe = f" on the {self._recipe} circuit" if self._recipe not in ("", firmware.RECIPES[0]) else ""
        version = f"{hello.get('fw', '?')}{recipe}"
        text = f"Board {name or '(unnamed)'} at {self.port} runs Earlid {version}{word}. {self._note}{say}"
        return FlashResult(self.port, code, text, name, str(hello.get("fw", "")), self_test, sent_bytes)


def boot_log(path: str) -> str:
    """What a chip says when it is started anew by its board's reset circuit; empty where a port has no control lines."""
    with contextlib.closing(open_port(path)) as port:
        try:
            port.dtr = False  # RTS alone holds the chip in reset
            time.sleep(RESET_S)
            port.reset_input_buffer()
            port.rts = False
            end_s = time.monotonic() + BOOT_LOG_S
            received = b""
            while time.monotonic() < end_s:
                received = (received + port.read(max(1, min(port.in_waiting, 4096))))[-BOOT_LOG_BYTES:]
        except OSError:  # a pseudo-terminal has no such lines
            return ""
        return received.decode(errors="replace")


def provision_all(ports: Sequence[str], options: FlashOptions, reporter: Callable[[str], Report]) -> list[FlashResult]:
    """Provision boards side by side; Ctrl-C stops each at its next step.

    Args:
        ports: the device names.
        options: what to do to each.
        reporter: makes a port's progress report.

    Returns:
        One result a board, in the order of the ports.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(len(ports)) as pool:
        futures = [pool.submit(Provisioner(port, options, reporter(port), stop).run) for port in ports]
        try:
            wait(futures)
        except KeyboardInterrupt:
            stop.set()
            wait(futures)
        return [future.result() for future in futures]


def check_kept_word(blob: bytes) -> None:
    """Refuse an update that leaves no room for the word on the board.

    Args:
        blob: as `Repl.word` reads it; of a damaged one the board itself will tell.

    Raises:
        UserError: code 1, saying how many bytes are missing.
    """
    from earlid.flash import memory_plan

    try:
        missing = memory_plan.missing_bytes(blob) if blob else 0
    except ValueError:
        return
    if missing:
        raise UserError(
            f"the word that this board keeps does not fit beside the new firmware: {missing:,} bytes are missing. Nothing was "
            "written. Name a smaller one of `earlid model list`: `earlid flash --word NAME`.", FAILED,
        )  # fmt: skip


def _last_error(received: bytes) -> str:
    # A traceback's last line stands before the banner and prompt that follow it.
    lines = [line.strip() for line in received.decode(errors="replace").splitlines()]
    errors = [line for line in lines if re.match(r"\w*(Error|Exception)\b|earlid: ", line)]
    if errors:
        return f" ({errors[-1].removeprefix('earlid: ').split(';')[0]})"
    return " (it went back to its prompt)" if PROMPT.search(received) else f" within {STARTUP_WAIT_S:.0f} s"
