# SPDX-License-Identifier: MIT
"""`python -m tests.xtensa.bench_gate`: what the gate costs the board, from its real machine code.

Prints instructions per hop and per second of audio for every kernel, beside the goal, and the bytes of machine code; of the
other published networks the sum alone. Kernels are counted exactly; the C helpers they call and the interpreted code
between them are estimates (runtime.py and interpreter_cost.py say how).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import earlid.demo
import numpy as np
import soundfile
from earlid.gate import models
from rich.console import Console
from rich.table import Table

from . import gate as gates
from .instruction_mix import KINDS, mix
from .measure import HOPS_A_SECOND, Measurement, measure
from .sounds import Samples

SPEECH = Path(earlid.demo.__path__[0]) / "speech"
GOAL, GOAL_LARGE = 20.0, 24.0  # million instructions per second of audio; of okay_nabu, which is half as large again
CYCLES_AN_INSTRUCTION = (1.3, 1.7)
CLOCK_MHZ = 240
WARM_HOPS = 30


def speech() -> Samples:
    """A word, then other talk: 16 kHz int16."""
    clips = [soundfile.read(SPEECH / f"{name}.flac", dtype="int16")[0] for name in ("word-rms", "request-slt")]
    return np.concatenate([np.zeros(8000, np.int16), *clips])


def whole_gate(gate: gates.Gate, model: str | bytes, pcm: Samples, decision: int = 0) -> Measurement:
    """From slots to the network's answer."""
    title = "whole gate with the look" if decision else "whole gate"
    return measure(title, gate.board, gate.ear(gate.detector(model, decision)), gates.slots_of(pcm), WARM_HOPS)


def kernel_table(measured: Measurement) -> Table:
    table = Table(title=f"{measured.title}, {measured.hops} hops of 10 ms", title_justify="left")
    table.add_column("")
    for heading in ("calls / hop", "instructions / hop", "helpers / hop", "million / s"):
        table.add_column(heading, justify="right")
    for kernel in sorted(measured.kernels, key=lambda kernel: -kernel.own - kernel.helpers):
        million = (kernel.own + kernel.helpers) * HOPS_A_SECOND / 1e6
        table.add_row(kernel.name, f"{kernel.calls:.2f}", f"{kernel.own:,.0f}", f"{kernel.helpers:,.0f}", f"{million:.2f}")
    million = measured.interpreted * HOPS_A_SECOND / 1e6
    table.add_row(
        f"interpreted: {measured.bytecodes:.0f} bytecodes / hop", "", "", f"{measured.interpreted:,.0f}", f"{million:.2f}"
    )
    table.add_section()
    table.add_row(
        "total",
        "",
        f"{measured.own:,.0f}",
        f"{measured.helpers + measured.interpreted:,.0f}",
        f"{measured.millions_a_second:.2f}",
    )
    return table


def goal_of(model: str) -> float:
    return GOAL_LARGE if model == "okay_nabu" else GOAL


def verdict(measured: Measurement, goal: float) -> str:
    """One line: the sum, the goal, and the share of a core."""
    low, high = (measured.millions_a_second * cycles / CLOCK_MHZ for cycles in CYCLES_AN_INSTRUCTION)
    word = "within" if measured.millions_a_second <= goal else "OVER"
    boxed = f"; {measured.boxed} integers beyond 31 bits: each allocates" if measured.boxed else ""
    return (
        f"{measured.title}: {measured.millions_a_second:.1f} million instructions per second of audio, {word} the goal of "
        f"{goal:.0f}; {low:.0%} to {high:.0%} of one core at {CLOCK_MHZ} MHz; "
        f"the largest hop {measured.largest_hop:,}{boxed}"
    )


def print_profile(console: Console, gate: gates.Gate, measured: Measurement) -> None:
    """The kinds of instructions of each kernel, in per cent; the functions of interpreted code."""
    console.print("share of each kind of instruction, in per cent")
    console.print(f"{'':24}{' '.join(f'{kind:>11}' for kind in KINDS)}")
    for function in gate.machine.functions.values():
        shares = mix(function)
        if shares.total():
            values = " ".join(f"{100 * shares[kind] / shares.total():11.0f}" for kind in KINDS)
            console.print(f"{function.name.removeprefix('lid.gate.'):24}{values}")
    console.print("interpreted code, instructions per hop")
    for name, spent in measured.interpreted_by_function.items():
        console.print(f"{name:32}{spent:8,.0f}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench_gate", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="alexa", help="a published network (default: alexa)")
    parser.add_argument("--profile", action="store_true", help="also show what kinds of instructions the kernels execute")
    chosen = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 160)
    gate = gates.Gate(profiled=chosen.profile)
    measured = whole_gate(gate, chosen.model, speech())
    if chosen.profile:
        print_profile(console, gate, measured)
    console.print(kernel_table(measured))
    native = {name.removeprefix("lid.gate."): size for name, size in gate.board.native_bytes.items() if size}
    console.print(f"machine code: {sum(native.values()):,} bytes ({', '.join(f'{n} {s:,}' for n, s in native.items())})")
    console.print(verdict(measured, goal_of(chosen.model)))
    gate.machine.memory.check_guards()
    looks = [(name, 1) for name in models.builtin_names() if models.load(name).look]
    others = [(name, 0) for name in models.builtin_names() if name != chosen.model] + looks
    for name, decision in [] if chosen.profile else others:
        other = gates.Gate()
        console.print(f"{name}: {verdict(whole_gate(other, name, speech(), decision), goal_of(name))}")
        other.machine.memory.check_guards()
    return 0


if __name__ == "__main__":
    sys.exit(main())
