# SPDX-License-Identifier: MIT
"""Hangs: an endless loop before any statement of the loop closes the lid in time."""

import ast
from pathlib import Path

import lid
import pytest
from lid import config

from tests.firmware.kit import Bench

LID = Path(lid.__file__).parent
HANG_AT_MS = 9000  # of board time: the lid is open by then
# The loop's phases: what runs in a hop while the lid is open.
PHASES = {
    "app": ("hop", "_read_back", "_maintain_flash", "_act"),
    "contact": ("follow", "_follow_opening", "_mark"),
    "hearing": ("push",),
    "policy": ("step", "_step_open"),
    "inputs": ("push",),
    "health": ("push",),
    "requests": ("poll",),
    "link": ("drain", "receive"),
    "clock": ("tick", "hops"),
    "lights": ("status_led", "buzzer"),
    "board": ("wait_hop", "drive_pumps", "guarded_mv", "status_led", "talk_pressed", "read_rail"),
}
LONG = config.dump(config.check({"open_ms": 60000, "silence_ms": 60000}))


def places():
    """(module, function, line) of every statement of the loop's phases."""
    for module, functions in PHASES.items():
        tree = ast.parse((LID / f"{module}.py").read_text())
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and function.name in functions:
                for node in ast.walk(function):
                    if isinstance(node, ast.stmt) and node is not function and not isinstance(node, ast.Global):
                        yield module, function.name, node.lineno


def planted(module: str, line: int) -> bytes:
    """The module with an endless loop before the statement on a line."""
    lines = (LID / f"{module}.py").read_text().split("\n")
    text = lines[line - 1]
    indent = text[: len(text) - len(text.lstrip())]
    if text.lstrip().startswith(("elif", "else")):
        return b""
    lines[line - 1 : line - 1] = [f"{indent}if _due():", f"{indent}    while True: pass"]
    lines += ["", "", "def _due():", "    import time", ""]
    lines += [f"    return {HANG_AT_MS} < time.ticks_ms() < {HANG_AT_MS + 1000}", ""]
    return "\n".join(lines).encode()


def hang(module: str, line: int) -> bool:
    """Run a board that hangs there; whether it was reached. AssertionError when the lid stays open."""
    source = planted(module, line)
    if not source:
        return False
    with Bench(files={f"lid/{module}.py": source, "config.json": LONG}) as bench:
        bench.board.simulation.timing.hang_cpu_s = 0.1
        bench.open_by_button()
        bench.board.run_ms(HANG_AT_MS + 20 - bench.board.now_ms)
        assert bench.guarded_live(), "the lid was not open when the hang was due"
        bench.board.run_ms(4000)
        if len(bench.board.resets) < 2:
            return False
        dead_ms = next(at for at, live in bench.board.events("guarded_rail") if not live and at > HANG_AT_MS - 100)
        assert dead_ms < HANG_AT_MS + 20 + 250, f"{module}.py:{line}: the lid was open until {dead_ms} ms"
        bench.board.run_ms(3000)
        assert bench.board.resets[-1][1] == 3, f"{module}.py:{line}: the watchdog did not start the board again"
        assert not bench.guarded_live()
        return True


def check(chosen: list[tuple[str, str, int]], least: float) -> None:
    """Each chosen place closes the lid or is not run in an ordinary hop; at least this share of them is run."""
    reached = [place for place in chosen if hang(place[0], place[2])]
    print(f"{len(reached)} of {len(chosen)} places reached")
    assert len(reached) >= len(chosen) * least


def test_hang_in_any_phase_closes_the_lid():
    """The first statement of every other phase; every line of each is the soak's."""
    firsts: dict[tuple[str, str], tuple[str, str, int]] = {}
    for place in places():
        firsts.setdefault(place[:2], place)
    check(list(firsts.values())[::2], 0.5)


@pytest.mark.soak
@pytest.mark.parametrize("module", PHASES)
def test_hang_at_every_line_closes_the_lid(module):
    check([place for place in dict.fromkeys(places()) if place[0] == module], 0.2)
