# SPDX-License-Identifier: MIT
"""Counts what a stretch of emulated gate executes: kernels exactly, runtime helpers and bytecode by allowance."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .board import EmulatedBoard
from .interpreter_cost import BytecodeCounter

HOPS_A_SECOND = 100


@dataclass(frozen=True)
class Kernel:
    """One viper function, per hop of 10 ms on average."""

    name: str
    calls: float
    own: float  # instructions of its machine code: counted
    helpers: float  # instructions of the runtime that it called: allowed for


@dataclass(frozen=True)
class Measurement:
    """A scenario, per hop of 10 ms on average."""

    title: str
    hops: int
    kernels: list[Kernel]
    bytecodes: float
    interpreted: float  # instructions allowed for interpreted code
    interpreted_by_function: dict[str, float]
    largest_hop: int  # instructions, all of them
    boxed: int  # integer objects beyond 31 bits made by kernels in all hops: each is an allocation
    helper_calls: dict[str, float]

    @property
    def own(self) -> float:
        return sum(kernel.own for kernel in self.kernels)

    @property
    def helpers(self) -> float:
        return sum(kernel.helpers for kernel in self.kernels)

    @property
    def per_hop(self) -> float:
        return self.own + self.helpers + self.interpreted

    @property
    def millions_a_second(self) -> float:
        return self.per_hop * HOPS_A_SECOND / 1e6


def measure(title: str, board: EmulatedBoard, step: Callable[[bytes], object], hops: Iterable[bytes], warm: int) -> Measurement:
    """Run `step` on every hop; count from hop number `warm` on."""
    machine = board.machine
    watch = BytecodeCounter(board.sources)
    counted = largest = before = 0
    for number, hop in enumerate(hops):
        if number < warm:
            step(hop)
            continue
        if not counted:
            machine.reset_counters()
        counted += 1
        with watch:
            step(hop)
        so_far = sum(machine.counts) + sum(machine.helper_counts) + watch.instructions
        largest = max(largest, so_far - before)
        before = so_far
    if not counted:
        raise ValueError(f"{title}: the sound has no more than the {warm} hops that warm up")
    kernels = [
        Kernel(f.name.removeprefix("lid.gate."), f.calls / counted, f.instructions / counted, f.helpers / counted)
        for f in machine.functions.values()
        if f.calls
    ]
    helper_calls = {name: times / counted for name, times in machine.helper_calls.most_common()}
    interpreted = {name: spent / counted for name, spent in watch.by_function.most_common()}
    spent, bytecodes = watch.instructions / counted, watch.bytecodes / counted
    return Measurement(title, counted, kernels, bytecodes, spent, interpreted, largest, machine.boxed, helper_calls)
