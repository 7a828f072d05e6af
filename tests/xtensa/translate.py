# SPDX-License-Identifier: MIT
"""Translates one function of Xtensa machine code into the source of one Python function.

The result has the shape

    def run(a2, a3, a4, a5, a1):        # the windowed call's arguments; a1 is the caller's stack pointer
        a1 -= 48
        n = 0                           # instructions executed
        b = 0                           # which trace runs next
        while True:
            if b < 2: ...               # a tree of comparisons that ends in a trace

A trace starts at the target of some jump and follows the code: through forward jumps, past conditional branches (whose
taken side leaves the trace), until it returns or jumps back. A jump back to its own start is a Python loop. Short
branches over straight code become Python's `if`. Code that several traces pass is translated into each of them.

Registers and stack slots are Python variables that hold 0..2**32-1. Where a trace knows a register's value (a constant)
or a bound of it (a loaded byte is at most 255), the masks that cannot matter are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from earlid.flash.xtensa import Insn, decode

MASK, TOP = 0xFFFFFFFF, 0x80000000
LONGEST_TRACE = 500
LONGEST_SKIP = 40
_CONDITIONAL = {"beq", "bne", "blt", "bge", "bltu", "bgeu", "beqz", "bnez", "bltz", "bgez"}
_LEAVES = _CONDITIONAL | {"j", "retw", "callx8", "entry"}
_SHIFTS_BY_SAR = {"sll", "srl", "sra"}
_OPPOSITE = {"beq": "bne", "bne": "beq", "blt": "bge", "bge": "blt", "bltu": "bgeu", "bgeu": "bltu",
             "beqz": "bnez", "bnez": "beqz", "bltz": "bgez", "bgez": "bltz"}  # fmt: skip


def start_of(code: bytes) -> int:
    """Offset of the ENTRY instruction: the constants, if any, lie before it and are jumped over."""
    first = decode(code, 0)
    return first.target if first.op == "j" else 0


def reachable(code: bytes) -> dict[int, Insn]:
    """Every instruction that control can reach, by offset."""
    found: dict[int, Insn] = {}
    todo = [start_of(code)]
    while todo:
        at = todo.pop()
        while at not in found:
            insn = found[at] = decode(code, at)
            if insn.op == "retw":
                break
            if insn.op == "j":
                at = insn.target
                continue
            if insn.op in _CONDITIONAL:
                todo.append(insn.target)
            at = insn.after
    return found


@dataclass
class _Known:
    """What is known at one point of a trace: exact values and upper bounds of variables, by name."""

    value: dict[str, int] = field(default_factory=dict)
    bound: dict[str, int] = field(default_factory=dict)

    def copy(self) -> _Known:
        return _Known(dict(self.value), dict(self.bound))

    def meet(self, other: _Known) -> None:
        """Keep what holds on both of two ways that join."""
        self.value = {k: v for k, v in self.value.items() if other.value.get(k) == v}
        self.bound = {k: max(v, other.bound[k]) for k, v in self.bound.items() if k in other.bound}


class _Trace:
    def __init__(self, owner: XtensaTranslator, head: int) -> None:
        self.owner, self.head = owner, head
        self.lines: list[str] = []
        self.known = _Known()
        self.count = 0  # instructions since the head on the straight way
        self.loops = False
        self.exits: list[int] = []
        self.sar: str = ""  # the shift amount as an expression, "" when not set in this trace

    # -- pieces of expressions ------------------------------------------------------------------------------------

    def _value(self, name: str) -> str:
        known = self.known.value.get(name)
        return name if known is None else str(known)

    def _bound(self, name: str) -> int:
        return self.known.value.get(name, self.known.bound.get(name, MASK))

    def _signed(self, name: str) -> str:
        """An expression that orders as the signed value of `name` does, against any other of these."""
        known = self.known.value.get(name)
        return f"({name} ^ {TOP})" if known is None else str(known ^ TOP)

    def _set(self, name: str, expression: str, bound: int = MASK, *, wraps: bool = False, indent: str = "") -> None:
        """name = expression, reduced to 32 bits when `wraps`, unless `bound` shows that it fits anyway."""
        if wraps and bound > MASK:
            expression, bound = f"({expression}) & {MASK}", MASK
        self.lines.append(f"{indent}{name} = {expression}")
        self.known.value.pop(name, None)
        self.known.bound[name] = min(bound, MASK)

    def _set_value(self, name: str, value: int, indent: str) -> None:
        self.lines.append(f"{indent}{name} = {value}")
        self.known.value[name] = value

    def _hit(self, insn: Insn, indent: str = "") -> None:
        if self.owner.profiled:
            self.lines.append(f"{indent}hits[{insn.at}] += 1")

    # -- straight instructions ------------------------------------------------------------------------------------

    def straight(self, insn: Insn, indent: str = "") -> None:
        """An instruction after which the next one follows, whatever happens."""
        self._hit(insn, indent)
        d, s, t = f"a{insn.d}", f"a{insn.s}", f"a{insn.t}"
        if insn.op == "movi":
            self._set_value(d, insn.imm & MASK, indent)
        elif insn.op == "mov":
            self._copy(d, s, indent)
        elif insn.op[0] == "l":
            self._load(insn, d, indent)
        elif insn.op in ("s8i", "s16i", "s32i"):
            self._store(insn, t, indent)
        elif insn.op in ("ssr", "ssl"):
            known = self.known.value.get(s)
            self.sar = f"({s} & 31)" if known is None else str(known & 31)
            if known is None:  # the register may change before the shift
                self.lines.append(f"{indent}sar = {s} & 31")
                self.sar = "sar"
        else:
            self._arithmetic(insn, d, s, t, indent)

    def _copy(self, to: str, source: str, indent: str) -> None:
        known = self.known.value.get(source)
        if known is None:
            self._set(to, source, self._bound(source), indent=indent)
        else:
            self._set_value(to, known, indent)

    def _arithmetic(self, insn: Insn, d: str, s: str, t: str, indent: str) -> None:
        x, y, bx, by = self._value(s), self._value(t), self._bound(s), self._bound(t)
        op = insn.op
        if op == "addi":
            bound = bx + insn.imm if insn.imm >= 0 else MASK + 1
            plus = f"+ {insn.imm}" if insn.imm >= 0 else f"- {-insn.imm}"
            self._set(d, f"{x} {plus}", bound, wraps=True, indent=indent)
        elif op in ("add", "addx2", "addx4", "addx8"):
            shift = {"add": 0, "addx2": 1, "addx4": 2, "addx8": 3}[op]
            x = f"({x} << {shift})" if shift else x
            self._set(d, f"{x} + {y}", (bx << shift) + by, wraps=True, indent=indent)
        elif op == "sub":
            self._set(d, f"{x} - {y}", MASK + 1, wraps=True, indent=indent)
        elif op == "neg":
            self._set(d, f"-{x}", MASK + 1, wraps=True, indent=indent)
        elif op == "mull":
            self._set(d, f"{x} * {y}", bx * by, wraps=True, indent=indent)
        elif op == "and":
            self._set(d, f"{x} & {y}", min(bx, by), indent=indent)
        elif op in ("or", "xor"):
            bound = (1 << max(bx.bit_length(), by.bit_length())) - 1
            self._set(d, f"{x} {'|' if op == 'or' else '^'} {y}", bound, indent=indent)
        elif op == "extui":
            self._set(d, f"{x} >> {insn.imm} & {insn.target}", min(bx >> insn.imm, insn.target), indent=indent)
        else:
            self._shift(insn, d, x, bx, indent)

    def _shift(self, insn: Insn, d: str, x: str, bound: int, indent: str) -> None:
        by = str(insn.imm) if insn.op.endswith("i") else self.sar
        if not by:
            raise ValueError(f"shift at {insn.at:#x} without its amount set just before")
        exact = int(by) if by != "sar" else None
        if insn.op in ("sll", "slli"):
            self._set(d, f"{x} << {by}", MASK + 1 if exact is None else bound << exact, wraps=True, indent=indent)
        elif insn.op in ("srl", "srli") or bound < TOP:
            self._set(d, f"{x} >> {by}", bound >> (exact or 0), indent=indent)
        else:
            self._set(d, f"(({x} ^ {TOP}) - {TOP}) >> {by}", MASK + 1, wraps=True, indent=indent)

    def _slot(self, insn: Insn) -> str:
        return f"f{insn.imm}" if insn.s == 1 and self.owner.frame_is_private else ""

    def _place(self, insn: Insn, size: int, indent: str) -> str:
        """The index of the memory cell, and a line that refuses an address which is not a multiple of its size."""
        base = self._value(f"a{insn.s}")
        # Offsets are multiples of the size: the base decides.
        if size > 1 and insn.s != 1 and self.owner.check_alignment:
            self.lines.append(f"{indent}if {base} & {size - 1}: misaligned({base} + {insn.imm})")
        address = f"({base} + {insn.imm})" if insn.imm else base
        return address if size == 1 else f"{address} >> {size >> 1}"

    def _load(self, insn: Insn, d: str, indent: str) -> None:
        if slot := self._slot(insn):
            self._copy(d, slot, indent)
            return
        if insn.op == "l8ui":
            self._set(d, f"m8[{self._place(insn, 1, indent)}]", 0xFF, indent=indent)
        elif insn.op == "l16ui":
            self._set(d, f"m16[{self._place(insn, 2, indent)}]", 0xFFFF, indent=indent)
        elif insn.op == "l16si":
            self._set(d, f"(m16[{self._place(insn, 2, indent)}] ^ 32768) - 32768", MASK + 1, wraps=True, indent=indent)
        else:
            self._set(d, f"m32[{self._place(insn, 4, indent)}]", indent=indent)

    def _store(self, insn: Insn, t: str, indent: str) -> None:
        if slot := self._slot(insn):
            self._copy(slot, t, indent)
            return
        size = {"s8i": 1, "s16i": 2, "s32i": 4}[insn.op]
        most = (1 << 8 * size) - 1
        value = self._value(t) if self._bound(t) <= most else f"{self._value(t)} & {most}"
        place = self._place(insn, size, indent)
        self.lines.append(f"{indent}m{8 * size}[{place}] = {value}")

    # -- branches -------------------------------------------------------------------------------------------------

    def condition(self, insn: Insn, op: str) -> str:
        s, t = f"a{insn.s}", f"a{insn.t}"
        if op in ("beqz", "bnez"):
            return f"{self._value(s)} {'==' if op == 'beqz' else '!='} 0"
        if op in ("bltz", "bgez"):
            return f"{self._value(s)} {'>=' if op == 'bltz' else '<'} {TOP}"
        sign = {"beq": "==", "bne": "!=", "blt": "<", "bltu": "<", "bge": ">=", "bgeu": ">="}[op]
        small = self._bound(s) < TOP and self._bound(t) < TOP
        if op in ("blt", "bge") and not small:
            return f"{self._signed(s)} {sign} {self._signed(t)}"
        return f"{self._value(s)} {sign} {self._value(t)}"

    def leave(self, target: int, indent: str, extra: int = 0) -> None:
        """Go on at `target`, having executed `extra` instructions more than counted."""
        count = f"{indent}n += {self.count + extra}"
        if target == self.head:
            self.loops = True
            self.lines += [count, f"{indent}continue"]
        else:
            self.exits.append(target)
            self.lines += [count, f"{indent}b = <{target}>", f"{indent}<leave>"]

    def _straight_run(self, start: int, stop: int) -> list[Insn] | None:
        """The instructions from start up to stop if they are few and all straight."""
        run = []
        at = start
        while at < stop:
            insn = self.owner.insn(at)
            if insn.op in _LEAVES or len(run) >= LONGEST_SKIP:
                return None
            run.append(insn)
            at = insn.after
        return run if at == stop else None

    def _only_if(self, condition: str, run: list[Insn], jump: Insn | None = None) -> None:
        """`if condition:` execute run; the other way goes around it, by `jump` if there is one."""
        before, sar = self.known.copy(), self.sar
        self.lines.append(f"if {condition}:")
        for insn in run:
            self.straight(insn, "    ")
        self.lines.append(f"    n += {len(run)}")
        if jump:
            self.lines += ["else:", "    n += 1"]
            self._hit(jump, "    ")
        if self.sar != sar:
            self.sar = ""
        self.known.meet(before)

    def branch(self, insn: Insn) -> int:
        """A conditional branch. Returns where the trace goes on."""
        self.count += 1
        self._hit(insn)
        unless = self.condition(insn, _OPPOSITE[insn.op])
        if insn.target > insn.after:
            run = self._straight_run(insn.after, insn.target)
            if run:
                self._only_if(unless, run)
                return insn.target
            jump = self.owner.insn(insn.after)
            if jump.op == "j" and jump.after == insn.target:
                # a branch over a jump: the emitter's way of jumping far when the condition does not hold
                run = self._straight_run(insn.target, jump.target) if jump.target > insn.target else None
                if run:
                    self._only_if(self.condition(insn, insn.op), run, jump)
                    return jump.target
                self.lines.append(f"if {unless}:")
                self._hit(jump, "    ")
                self.leave(jump.target, "    ", 1)
                return insn.target
        self.lines.append(f"if {self.condition(insn, insn.op)}:")
        self.leave(insn.target, "    ")
        return insn.after

    def follow(self) -> None:
        """Translate from the head until the trace ends."""
        at = self.head
        length = 0
        while True:
            length += 1
            insn = self.owner.insn(at)
            too_long = length > LONGEST_TRACE and insn.op not in _SHIFTS_BY_SAR  # which belong to the SSL or SSR before
            if (at == self.head and length > 1) or too_long:
                self.leave(at, "")
                return
            if insn.op in _CONDITIONAL:
                at = self.branch(insn)
                continue
            self.count += 1
            at = insn.after
            if insn.op in _LEAVES:
                self._hit(insn)
            if insn.op == "j":
                if insn.target <= insn.at:
                    self.leave(insn.target, "")
                    return
                at = insn.target
            elif insn.op == "retw":
                self.lines += [f"counts[index] += n + {self.count}", "return a2"]
                return
            elif insn.op == "callx8":
                self.lines.append(f"a10 = call(a{insn.s}, a1, a10, a11, a12, a13)")
                self.lines.append("a8 = a9 = a11 = a12 = a13 = a14 = a15 = None  # the callee's window")
                for number in range(8, 16):
                    self.known.value.pop(f"a{number}", None)
                    self.known.bound.pop(f"a{number}", None)
                self.sar = ""
            elif insn.op == "entry":
                self.lines.append(f"a1 -= {insn.imm}")
            else:
                self.straight(insn)


class XtensaTranslator:
    """Makes the Python source of one function; see the module's text."""

    def __init__(self, code: bytes, name: str, *, check_alignment: bool = True, profiled: bool = False) -> None:
        self.code, self.name, self.check_alignment, self.profiled = code, name, check_alignment, profiled
        self._insns = reachable(code)
        # Does an instruction use the stack pointer for anything but reaching a slot of the frame?
        self.frame_is_private = not any(
            (i.s == 1 and i.op not in ("l32i", "s32i", "entry")) or i.t == 1 for i in self._insns.values()
        )

    def insn(self, at: int) -> Insn:
        if at not in self._insns:
            self._insns[at] = decode(self.code, at)
        return self._insns[at]

    def source(self) -> str:
        """Source of `make(...)`, which returns the function; `hits` counts instructions by offset when profiled."""
        traces: dict[int, _Trace] = {}
        todo = [start_of(self.code)]
        while todo:
            head = todo.pop()
            if head not in traces:
                trace = traces[head] = _Trace(self, head)
                if head == start_of(self.code) and head:
                    trace.count = 1  # the jump over the constants
                trace.follow()
                todo += trace.exits
        order = sorted(traces)
        numbers = {head: number for number, head in enumerate(order)}
        lines = [
            f"# {self.name}: {len(self._insns)} instructions in {len(order)} traces",
            "def make(m8, m16, m32, call, misaligned, counts, index, hits):",
            "    def run(a2, a3, a4, a5, a1):",
            "        a0 = a8 = a9 = a10 = a11 = a12 = a13 = a14 = a15 = n = 0",
            f"        b = {numbers[start_of(self.code)]}",
            "        while True:",
        ]
        lines += self._tree([traces[head] for head in order], 0, numbers, "            ")
        return "\n".join([*lines, "    return run", ""])

    def _tree(self, traces: list[_Trace], first: int, numbers: dict[int, int], indent: str) -> list[str]:
        if len(traces) > 1:
            half = len(traces) // 2
            left = self._tree(traces[:half], first, numbers, indent + "    ")
            right = self._tree(traces[half:], first + half, numbers, indent + "    ")
            return [f"{indent}if b < {first + half}:", *left, f"{indent}else:", *right]
        trace = traces[0]
        lines = [f"{indent}while True:"] if trace.loops else []
        inner = indent + "    " if trace.loops else indent
        for line in trace.lines:
            if line.lstrip().startswith("b = <"):
                line = line[: line.index("<")] + str(numbers[int(line[line.index("<") + 1 : -1])])
            lines.append(inner + line.replace("<leave>", "break" if trace.loops else "continue"))
        return lines
