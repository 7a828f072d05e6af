# SPDX-License-Identifier: MIT
"""One calibration of a board: session, choice of a level, writing of settings, profile, report."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lid.wire_schema import Hello
from rich.console import Console
from rich.table import Table

from earlid.accuracy.plot import draw_text, plot_format, save_figure
from earlid.accuracy.text import false_text, missed_text
from earlid.board.configuration import changes_text, write_config
from earlid.board.consent import require_version_2
from earlid.board.link import Link
from earlid.board.port_proxy import borrowed, open_proxy
from earlid.board.shared_link import SharedLink
from earlid.calibrate import result as results
from earlid.calibrate import settings
from earlid.calibrate.choices import LEVELS, STEPS
from earlid.calibrate.report import write_report
from earlid.calibrate.result import GENERIC_CUTOFF_Q8, BoardModel, CalibrationResult
from earlid.calibrate.session import Session, SessionPlan
from earlid.calibrate.session_file import Measurements, SessionFiles, now_text
from earlid.door import brief, plain
from earlid.errors import USAGE, UserError
from earlid.files import STDOUT, check_output, read_json
from earlid.gate import models
from earlid.guide import Guide, TerminalGuide
from earlid.ledger.keys import key_at
from earlid.ledger.location import data_dir

LENGTH_MAX = 1_000_000  # seconds, or words
SCRIPT_KEYS = {
    "level": str,
    "write": bool,
    "skip": list,
    "room_s": float,
    "voice_s": float,
    "words": int,
    "word_s": float,
    "noise_s": float,
}
MODEL_HEX = 16  # digits of the network's digest that a board tells


@dataclass(frozen=True)
class CalibrationOptions:
    """Options of the verb and its script."""

    plan: SessionPlan
    level: str | None = None
    write: bool = True
    model: str | None = None
    restart: bool = False
    report: Path | None = None
    plot: Path | None = None
    as_json: bool = False
    interactive: bool = True


def read_options(script: Path | None, given: Mapping[str, Any], **rest: Any) -> CalibrationOptions:
    """The options of the command line and a script.

    Args:
        script: JSON with some of SCRIPT_KEYS.
        given: values of the command line, by the same names; each wins over the script's.
        rest: the other fields of `CalibrationOptions`.

    Raises:
        UserError: a script that is none, a step or level that there is not, or a file that cannot be written.
    """
    values = (_read_script(script) if script else {}) | dict(given)
    steps = values.pop("skip", [])
    level, write = values.pop("level", None), values.pop("write", True)
    if wrong := [brief(step) for step in steps if step not in STEPS]:
        raise UserError(f"no step is called {', '.join(wrong[:10])}; there are {', '.join(STEPS)}", USAGE)
    if level is not None and level not in LEVELS:
        raise UserError(f"no level is called {brief(level)}; there are {', '.join(LEVELS)}", USAGE)
    if not all(0 < value < LENGTH_MAX for value in values.values()):
        raise UserError(
            f"lengths of time and numbers of words must be above zero and below {LENGTH_MAX:,}; leave a step out with --skip",
            USAGE,
        )
    options = CalibrationOptions(SessionPlan(skip=frozenset(steps), **values), level, write, **rest)
    if options.plot is not None:
        plot_format(options.plot)
    for path in (options.report, options.plot):  # now, not after hours of measuring
        if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
            raise UserError(f"{path}: no file can be written there; name one in a folder that exists", USAGE)
        if path is not None and str(path) != STDOUT:
            check_output(path)
    return options


def _read_script(path: Path) -> dict[str, Any]:
    values = read_json(path)
    if not isinstance(values, dict):
        raise UserError(f"{path}: a script is an object with some of {', '.join(SCRIPT_KEYS)}", USAGE)
    for name, value in values.items():
        kind = SCRIPT_KEYS.get(name)
        fits = kind is not None and (isinstance(value, kind) or (kind is float and isinstance(value, int)))
        if not fits or (isinstance(value, bool) and kind is not bool):
            raise UserError(f"{path}: {plain(name)} = {brief(value)}: a script has some of {', '.join(SCRIPT_KEYS)}", USAGE)
    return values


def identify(model_hex: str, name: str | None, decision: int = 0) -> BoardModel:
    """The board's network among the published ones, or the one that the user names, with the cutoff of the decision in force.

    Raises:
        UserError: the named one is not what the board has.
    """
    names = [name] if name else models.builtin_names()
    for candidate in names:
        manifest = models.read_manifest(models.find_manifest(candidate))
        data = manifest.model.read_bytes() if manifest.model.is_file() else b""
        if hashlib.sha256(data).hexdigest()[:MODEL_HEX] == model_hex:
            model = models.load(candidate)
            unit, cutoff = model.decided(decision)
            return BoardModel(model.name, cutoff // unit, None if decision and model.look else unit)
    if name:
        raise UserError(f"the board's network is not {name}: its digest begins {model_hex}", USAGE)
    return BoardModel("", GENERIC_CUTOFF_Q8)


class Calibration:
    """Calibrates the board at a port as the user wishes."""

    def __init__(self, port: str, options: CalibrationOptions, guide: Guide | None = None) -> None:
        self._port, self._options = port, options
        self._guide = guide or (TerminalGuide() if options.interactive else Guide(options.as_json))

    def run(self) -> int:
        """From greeting to writing; 0 when it came to its end.

        Raises:
            UserError: with what to do; what was measured is kept.
        """
        options = self._options
        with borrowed([self._port]), SharedLink(self._port, key_at) as link, open_proxy(link.path, link.forward):
            hello = link.request("hello")["hi"]
            if options.write:
                require_version_2(hello["fw"], hello["proto"])
            files = SessionFiles(data_dir() / "calibration", hello["board"])
            current = dict(link.request("config-get")["config"])
            network = identify(hello["model"], options.model, hello.get("decision", 0))
            measurements = self._load_or_begin(files, hello)
            cutoff = current["cutoff_q8"] or network.cutoff_q8
            try:
                measurements = Session(link, self._guide, files, measurements, current, cutoff, options.plan).run()
            except KeyboardInterrupt:
                self._guide.report("interrupted", "What was measured is kept: `earlid calibrate` goes on from here.")
                raise
            result = results.compute_result(measurements, network, current)
            self._show(result)
            level = options.level or self._guide.choose("Which level", LEVELS)
            changes = settings.changed_settings(current, result.settings_for(level))
            self._report_changes(changes, current)
            if options.write and changes:
                self._write_settings(link, files, result, level, changes, hello["config"])
        self._files(result, level)
        return 0

    def _load_or_begin(self, files: SessionFiles, hello: Hello) -> Measurements:
        fresh = Measurements(hello["board"], hello["word"], hello["model"], hello["fw"], now_text())
        unfinished = None if self._options.restart else files.load()
        if unfinished is None:
            return fresh
        if (unfinished.word, unfinished.model) != (fresh.word, fresh.model):
            self._guide.report("stale", "the board has another word now: a new session begins")
            return fresh
        self._guide.report(
            "resumed",
            f"going on with the session of {unfinished.began} (--restart begins anew)",
            began=unfinished.began,
            done=unfinished.done,
        )
        return unfinished

    def _show(self, result: CalibrationResult) -> None:
        self._guide.report("levels", "", levels=results.levels_json(result.levels), caveats=results.caveats(result))
        if self._options.as_json:
            return
        console = Console(stderr=True, highlight=False)
        table = Table(title="What each level does (95 % exact intervals)")
        for name in ("level", "cutoff", "words missed", "false openings", "to expect", "a false opening costs"):
            table.add_column(name)
        for level in result.levels:
            table.add_row(
                level.name, str(level.cutoff_q8), missed_text(level.own), false_text(level.own),
                results.expected_text(level), results.cost_text(level),
            )  # fmt: skip
        console.print(table)
        console.print(draw_text([result.line()]), markup=False)
        for line in results.caveats(result):
            console.print(line, markup=False)

    def _report_changes(self, changes: dict[str, int], current: dict[str, int]) -> None:
        text = "Settings that change:\n" + changes_text(changes, current) if changes else "No setting changes."
        self._guide.report("changes", text, changes=changes)

    def _write_settings(
        self, link: Link, files: SessionFiles, result: CalibrationResult, level: str | None, changes: dict[str, int], before: str
    ) -> None:
        digest = write_config(
            link, changes, "earlid calibrate", lambda text, request: self._guide.report("consent", text, digest=request)
        )
        written = {"date": now_text(), "config_digest": digest, "previous_digest": before, "previous": result.current}
        files.finish(results.profile(result, level, written))
        self._guide.report(
            "written", f"Written and journaled. Configuration {digest}; the old one ({before}) is kept on the board. "
            f"Where it is from: {files.profile_path}", digest=digest, previous=before, profile=str(files.profile_path),
        )  # fmt: skip

    def _files(self, result: CalibrationResult, level: str | None) -> None:
        if self._options.plot is not None:
            title = f"{result.measurements.word}, board {result.measurements.board}"
            save_figure([result.line()], self._options.plot, title, private=True)
        if self._options.report is not None:
            write_report(self._options.report, result, level, now_text())
