# SPDX-License-Identifier: MIT
"""Scenes of the demo: what happens to a virtual board in each, and whether its lid must open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from earlid.virtual.board import VirtualBoard
from earlid.virtual.sound import load

SPEECH = Path(__file__).parent / "speech"
WORD = "alexa"  # the model whose word the clips say
QUIET_ROOM_DBFS = -76.0
LEAD_MS = 800  # time goes on while a scene is prepared: the first clip must still lie ahead then


@dataclass(frozen=True)
class Scene:
    """One step: what a person reads, what is done to the board, and for how long it is watched."""

    title: str
    act: Callable[[VirtualBoard], float]  # acts on the board; returns how many ms to let pass
    opens: str | None  # the reason by which the lid must have opened in this scene, None: it must not
    pairs: bool = False  # this computer asks for the board's key first; `act` is what happens then


def _listen(*clips: str, after_ms: float) -> Callable[[VirtualBoard], float]:
    def act(board: VirtualBoard) -> float:
        sounds = [load(SPEECH / f"{clip}.flac") for clip in clips]
        end = board.now_ms + LEAD_MS
        for sound in sounds:
            end = board.play_at(end, sound) + 100
        return end - board.now_ms + after_ms

    return act


def _mute(latched: bool) -> Callable[[VirtualBoard], float]:
    def act(board: VirtualBoard) -> float:
        board.mute(latched)
        return 1200

    return act


def _tap(board: VirtualBoard) -> float:
    board.talk(True)
    board.at(board.now_ms + 200, lambda: board.talk(False))
    return 5500


def _wait(duration_ms: float) -> Callable[[VirtualBoard], float]:
    return lambda board: duration_ms


def consent(board: VirtualBoard) -> None:
    """The gesture that consents to what the board announces: mute switch latched, then the talk button held."""
    board.mute(True)
    board.at(board.now_ms + 300, lambda: board.talk(True))


def _let_go(board: VirtualBoard) -> float:
    board.talk(False)
    return _mute(False)(board)


SCENES = (
    Scene("Power on. Nothing toggles the relays yet: the lid is closed. The board tests its own copper.", _wait(7000), None),
    Scene(
        "This computer asks for the key. Somebody at the board says yes: mute switch, then the talk button for 3 s.",
        _let_go,
        None,
        pairs=True,
    ),
    Scene("A quiet room.", _wait(1500), None),
    Scene("Two people talk. Nobody says the word.", _listen("babble-awb", "babble-gb", after_ms=800), None),
    Scene(
        'Somebody says "Alexa" and asks a question. Then it is quiet.',
        _listen("word-slt", "request-slt", after_ms=4500),
        "word",
    ),
    Scene("The mute button is pressed: the latching switch cuts both microphones in copper.", _mute(True), None),
    Scene('"Alexa", by three voices, while muted.', _listen("word-slt", "word-rms", "word-m3", after_ms=1000), None),
    Scene("The mute button is pressed again.", _mute(False), None),
    Scene("The talk button is tapped: open by hand.", _tap, "button"),
)
