# SPDX-License-Identifier: MIT
"""boot.py runs before the package can be imported, so it repeats numbers; they are the package's."""

from __future__ import annotations

import ast
import re

from earlid import firmware
from lid import circuit

BOOT = ast.parse((firmware.root() / "boot.py").read_text())


def numbers(node: ast.AST) -> list[int]:
    return [part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, int)]


def test_boot_drives_the_pumps_and_then_the_clocks_low() -> None:
    loops = [numbers(node.iter) for node in BOOT.body if isinstance(node, ast.For)]
    assert loops == [
        [circuit.SENTINEL_PUMP_PIN, circuit.GUARDED_PUMP_PIN],
        [circuit.I2S_SCK_PIN, circuit.I2S_WS_PIN],
    ]


def test_boot_makes_the_microphone_driver_as_the_board_does() -> None:
    (call,) = [node for node in ast.walk(BOOT) if isinstance(node, ast.Call) and ast.unparse(node.func) == "machine.I2S"]
    given = {word.arg: ast.unparse(word.value) for word in call.keywords}
    ring = re.search(r"_RING_BYTES = const\((\d+)\)", (firmware.root() / "lid" / "board.py").read_text())
    assert ring
    assert given == {
        "sck": f"machine.Pin({circuit.I2S_SCK_PIN})",
        "ws": f"machine.Pin({circuit.I2S_WS_PIN})",
        "sd": f"machine.Pin({circuit.I2S_SD_PIN})",
        "mode": "machine.I2S.RX",
        "bits": "32",
        "format": "machine.I2S.MONO",
        "rate": "16000",
        "ibuf": ring[1],
    }
