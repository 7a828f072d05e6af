# SPDX-License-Identifier: MIT
"""Files of a calibration: the measurements so far, saved after every step, and the profiles written to a board."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from earlid.calibrate.choices import STEPS
from earlid.calibrate.room import MicrophoneFinding, QuietRoom
from earlid.calibrate.trials import BackgroundSound, Trial
from earlid.calibrate.voice import Speech
from earlid.errors import UserError
from earlid.files import read_json, write_atomically
from earlid.ledger.location import DATA_DIR_STEP

FORMAT = 1


@dataclass
class Measurements:
    """Everything measured on one board; None or empty where a step has not been done."""

    board: str
    word: str
    model: str
    firmware: str
    began: str
    room: QuietRoom | None = None
    voice: Speech | None = None
    trials: list[Trial] = field(default_factory=list)
    ordinary: BackgroundSound = field(default_factory=BackgroundSound)
    done: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "format": FORMAT, "board": self.board, "word": self.word, "model": self.model, "firmware": self.firmware,
            "began": self.began, "room": asdict(self.room) if self.room else None,
            "voice": asdict(self.voice) if self.voice else None, "trials": [asdict(trial) for trial in self.trials],
            "ordinary": {"counts": self.ordinary.counts.tolist(), "milliseconds": self.ordinary.milliseconds},
            "done": self.done,
        }  # fmt: skip


def measurements_from(values: dict[str, Any]) -> Measurements:
    """What `to_json` made. Raises KeyError, TypeError, ValueError or OverflowError when it is something else."""
    if values["format"] != FORMAT:
        raise ValueError(f"format {values['format']}")
    return Measurements(
        values["board"], values["word"], values["model"], values["firmware"], values["began"],
        QuietRoom(**_findings(values["room"])) if values["room"] else None,
        Speech(**_findings(values["voice"])) if values["voice"] else None,
        [Trial(**trial) for trial in values["trials"]],
        BackgroundSound(values["ordinary"]["counts"], values["ordinary"]["milliseconds"]),
        [step for step in values["done"] if step in STEPS],
    )  # fmt: skip


def _findings(values: dict[str, Any]) -> dict[str, Any]:
    return values | {"findings": [MicrophoneFinding(**finding) for finding in values["findings"]]}


class SessionFiles:
    """The files of one board: an unfinished session, and the profiles that were written to it, newest last.

    Args:
        folder: where they are; made when needed.
        board: its identifier.
    """

    def __init__(self, folder: Path, board: str) -> None:
        self.session_path = folder / f"{board}.session.json"
        self.profile_path = folder / f"{board}.json"

    def load(self) -> Measurements | None:
        """The unfinished session; None when there is none, or it cannot be read any more."""
        try:
            return measurements_from(read_json(self.session_path))
        except (UserError, ValueError, KeyError, TypeError, OverflowError):
            return None

    def save(self, measurements: Measurements) -> None:
        """Keep a session. Raises UserError when it cannot be written."""
        _write(self.session_path, measurements.to_json())

    def finish(self, profile: dict[str, Any]) -> None:
        """Keep a profile as the newest, its predecessors behind it, and let the session go."""
        before = self.profiles()
        _write(self.profile_path, profile | {"history": [{k: v for k, v in old.items() if k != "history"} for old in before]})
        self.session_path.unlink(missing_ok=True)

    def profiles(self) -> list[dict[str, Any]]:
        """The profiles written so far, newest first."""
        try:
            newest = read_json(self.profile_path)
            return [newest, *newest.get("history", [])]
        except (UserError, AttributeError, TypeError):  # unreadable, or something else than a profile
            return []


def now_text() -> str:
    """This moment with the local offset, to the second."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _write(path: Path, values: dict[str, Any]) -> None:
    text = json.dumps(values, indent=1) + "\n"
    write_atomically(path, text, private=True, sync=True, make_folder=True, next_step=DATA_DIR_STEP)
