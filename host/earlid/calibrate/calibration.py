# SPDX-License-Identifier: MIT
"""One calibration from the port to the settings: session, choice, writing, profile, report."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from earlid.accuracy.plot import FORMATS, figure, text
from earlid.accuracy.text import false_text, missed_text
from earlid.board.link import Link
from earlid.board.shared_link import SharedLink
from earlid.calibrate import outcome as outcomes
from earlid.calibrate import settings
from earlid.calibrate.guide import Guide, TerminalGuide
from earlid.calibrate.levels import NAMES
from earlid.calibrate.outcome import GENERIC_CUTOFF_Q8, Network, Outcome
from earlid.calibrate.report import write_report
from earlid.calibrate.session import Plan, Session, write_config
from earlid.calibrate.session_file import STEPS, Collected, Shelf, now_text
from earlid.errors import USAGE, UserError
from earlid.files import read_json
from earlid.gate import models
from earlid.ledger.location import data_dir

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
class Wishes:
    """What the user asked for."""

    plan: Plan
    level: str | None = None
    write: bool = True
    model: str | None = None
    restart: bool = False
    report: Path | None = None
    plot: Path | None = None
    as_json: bool = False
    ask: bool = True


def read_wishes(script: Path | None, given: Mapping[str, Any], **rest: Any) -> Wishes:
    """What the user asked for, on the command line and in a script.

    Args:
        script: JSON with some of SCRIPT_KEYS.
        given: values of the command line, by the same names; each wins over the script's.
        rest: the other fields of `Wishes`.

    Raises:
        UserError: a script that is none, a step or level that there is not, or a file that cannot be written.
    """
    values = (_read_script(script) if script else {}) | dict(given)
    skip = frozenset(values.pop("skip", []))
    level, write = values.pop("level", None), values.pop("write", True)
    if not skip <= set(STEPS):
        raise UserError(f"no step is called {', '.join(sorted(skip - set(STEPS)))}; there are {', '.join(STEPS)}", USAGE)
    if level is not None and level not in NAMES:
        raise UserError(f"no level is called {level!r}; there are {', '.join(NAMES)}", USAGE)
    if any(value <= 0 for value in values.values()):
        raise UserError("lengths of time and numbers of words must be above zero; leave a step out with --skip", USAGE)
    wishes = Wishes(Plan(skip=skip, **values), level, write, **rest)
    if wishes.plot is not None and wishes.plot.suffix.lower() not in FORMATS:
        raise UserError(f"{wishes.plot}: a plot's name ends in .png, .svg or .pdf", USAGE)
    for path in (wishes.report, wishes.plot):
        if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
            raise UserError(f"{path}: no file can be written there; name one in a folder that exists", USAGE)
    return wishes


def _read_script(path: Path) -> dict[str, Any]:
    values = read_json(path)
    if not isinstance(values, dict):
        raise UserError(f"{path}: a script is an object with some of {', '.join(SCRIPT_KEYS)}", USAGE)
    for name, value in values.items():
        kind = SCRIPT_KEYS.get(name)
        fits = kind is not None and (isinstance(value, kind) or (kind is float and isinstance(value, int)))
        if not fits or (isinstance(value, bool) and kind is not bool):
            raise UserError(f"{path}: {name} = {value!r}: a script has some of {', '.join(SCRIPT_KEYS)}", USAGE)
    return values


def identify(model_hex: str, name: str | None) -> Network:
    """The board's network among the published ones, or the one that the user names.

    Raises:
        UserError: the named one is not what the board has.
    """
    names = [name] if name else models.builtin_names()
    for candidate in names:
        manifest = models.read_manifest(models.find(candidate))
        data = manifest.model.read_bytes() if manifest.model.is_file() else b""
        if hashlib.sha256(data).hexdigest()[:MODEL_HEX] == model_hex:
            own = models.cutoff_sum(manifest.probability_cutoff, manifest.window) // manifest.window
            return Network(models.find(candidate).stem, own, manifest.window)
    if name:
        raise UserError(f"the board's network is not {name}: its digest begins {model_hex}", USAGE)
    return Network("", GENERIC_CUTOFF_Q8)


class Calibration:
    """Calibrates the board at a port as the user wishes."""

    def __init__(self, port: str, wishes: Wishes, guide: Guide | None = None) -> None:
        self._port, self._wishes = port, wishes
        self._guide = guide or (TerminalGuide() if wishes.ask else Guide(wishes.as_json))

    def run(self) -> int:
        """From greeting to writing; 0 when it came to its end.

        Raises:
            UserError: with what to do; what was measured is kept.
        """
        wishes = self._wishes
        with SharedLink(self._port) as link, link.proxy():
            hello = link.request("hello")["hi"]
            shelf = Shelf(data_dir() / "calibration", str(hello["board"]))
            current = dict(link.request("config-get")["config"])
            network = identify(str(hello["model"]), wishes.model)
            collected = self._begin(shelf, hello)
            cutoff = current["cutoff_q8"] or network.cutoff_q8
            try:
                collected = Session(link, self._guide, shelf, collected, current, cutoff, wishes.plan).run()
            except KeyboardInterrupt:
                self._guide.tell("interrupted", "What was measured is kept: `earlid calibrate` goes on from here.")
                raise
            result = outcomes.work_out(collected, network, current)
            self._show(result)
            level = self._guide.choose(result.levels, wishes.level)
            wanted = settings.changes(current, result.wanted(level))
            self._tell_changes(wanted, current)
            if wishes.write and wanted:
                self._write(link, shelf, result, level, wanted, str(hello["config"]))
        self._files(result, level)
        return 0

    def _begin(self, shelf: Shelf, hello: dict[str, Any]) -> Collected:
        fresh = Collected(str(hello["board"]), str(hello["word"]), str(hello["model"]), str(hello["fw"]), now_text())
        kept = None if self._wishes.restart else shelf.load()
        if kept is None:
            return fresh
        if (kept.word, kept.model) != (fresh.word, fresh.model):
            self._guide.tell("stale", "the board has another word now: a new session begins")
            return fresh
        self._guide.tell(
            "resumed", f"going on with the session of {kept.began} (--restart begins anew)", began=kept.began, done=kept.done
        )
        return kept

    def _show(self, result: Outcome) -> None:
        self._guide.tell("levels", "", levels=outcomes.levels_json(result.levels), caveats=outcomes.caveats(result))
        if self._wishes.as_json:
            return
        console = Console(stderr=True, highlight=False)
        table = Table(title="What each level does (95 % exact intervals)")
        for name in ("level", "cutoff", "words missed", "false openings", "to expect", "a false opening costs"):
            table.add_column(name)
        for level in result.levels:
            table.add_row(
                level.name, str(level.cutoff_q8), missed_text(level.own), false_text(level.own),
                outcomes.expected_text(level), outcomes.cost_text(level),
            )  # fmt: skip
        console.print(table)
        console.print(text([result.line()]), markup=False)
        for line in outcomes.caveats(result):
            console.print(line, markup=False)

    def _tell_changes(self, wanted: dict[str, int], current: dict[str, int]) -> None:
        lines = [f"  {name}: {current.get(name)} -> {value}" for name, value in wanted.items()]
        head = "Settings that change:" if lines else "No setting changes."
        self._guide.tell("changes", "\n".join([head, *lines]), changes=wanted)

    def _write(self, link: Link, shelf: Shelf, result: Outcome, level: str | None, wanted: dict[str, int], before: str) -> None:
        digest = write_config(link, self._guide, wanted)
        written = {"date": now_text(), "config_digest": digest, "previous_digest": before, "previous": result.current}
        shelf.finish(outcomes.profile(result, level, written))
        self._guide.tell(
            "written", f"Written and journaled. Configuration {digest}; the old one ({before}) is kept on the board. "
            f"Where it is from: {shelf.profile_path}", digest=digest, previous=before, profile=str(shelf.profile_path),
        )  # fmt: skip

    def _files(self, result: Outcome, level: str | None) -> None:
        if self._wishes.plot is not None:
            figure([result.line()], self._wishes.plot, f"{result.collected.word}, board {result.collected.board}")
        if self._wishes.report is not None:
            write_report(self._wishes.report, result, level, now_text())
