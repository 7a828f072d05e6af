# SPDX-License-Identifier: MIT
"""Takes out of viper machine code what mpy-cross leaves in: copies between registers, loads of what a register still has.

mpy-cross compiles a statement at a time through fixed registers, and a quarter of what it writes moves values between
them. Here a function is read into instructions, and until nothing changes
- the result of an instruction goes at once where the next move would bring it,
- operands are read where the value already is, and known constants become part of the instruction,
- comparisons branch directly,
- instructions are dropped whose result nobody reads,
all inside basic blocks, with liveness over the whole function (Muchnick, Advanced Compiler Design and Implementation, 1997,
chapters 12 to 14 and 18). Stores and loads through pointers stay as they are, in their order, and so do calls.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from itertools import accumulate, pairwise
from operator import attrgetter

from earlid.flash.xtensa import CONDITIONS, Insn, decode, encode, size_of

_MASK = 0xFFFFFFFF
_SAR, _SLOTS = 16, 17  # variables: 16 registers, the shift amount, then the words of the stack frame
_CALL_ARGUMENTS, _CALL_WRITES = 0x3F << 10, 0xFF << 8 | 1 << _SAR  # a10 to a15; the callee's window
_KEPT = frozenset({0, 1})  # return address and stack pointer, read where they are only
_BRANCHES = frozenset({*("b" + name for name in CONDITIONS.values()), "beqz", "bnez", "bltz", "bgez"})
_JUMPS = _BRANCHES | {"j"}
_ENDS = _JUMPS | {"retw"}
_LASTING = _ENDS | {"callx8", "entry", "l8ui", "l16ui", "l16si", "l32i", "s8i", "s16i", "s32i"}  # stay, read or not
_OPPOSITE = {"beq": "bne", "blt": "bge", "bltu": "bgeu", "beqz": "bnez", "bltz": "bgez"}
_OPPOSITE |= {b: a for a, b in _OPPOSITE.items()}
_NEAR, _NEAR_ZERO = 120, 2000  # bytes that two kinds of branches reach, and a margin
_MOST_ROUNDS = 20


class _Function:
    # The instructions of one function in order, those that control reaches. `at` stays the address in the original: a label.
    def __init__(self, code: bytes) -> None:
        found: dict[int, Insn] = {}
        self.places: dict[int, int] = {}
        first = decode(code, 0)
        self.start = first.target if first.op == "j" else 0
        todo = [self.start]
        while todo:
            at = todo.pop()
            while at not in found:
                insn = found[at] = decode(code, at)
                if code[at] & 15 == 1:
                    self.places[insn.imm] = (at + 3 & ~3) + (int.from_bytes(code[at + 1 : at + 3], "little") - 0x10000) * 4
                if insn.op == "retw":
                    break
                if insn.op in _BRANCHES:
                    todo.append(insn.target)
                at = insn.target if insn.op == "j" else insn.after
        self.head = code[: self.start]
        self.code = [found[at] for at in sorted(found)]
        # Else a call could change words of the frame, or return a second time (try, with)
        self.frame_is_private = not any((i.s == 1 and i.op not in ("l32i", "s32i", "entry")) or i.t == 1 for i in self.code)

    def slot(self, i: Insn) -> int:
        return _SLOTS + i.imm // 4 if i.s == 1 and i.op in ("l32i", "s32i") else 0

    def reads(self, i: Insn) -> int:
        found = (1 << i.s if i.s >= 0 else 0) | (1 << i.t if i.t >= 0 else 0)
        if i.op == "callx8":
            found |= _CALL_ARGUMENTS
        elif i.op == "retw":
            found |= 7
        elif i.op in ("sll", "srl", "sra"):
            found |= 1 << _SAR
        elif i.op == "l32i" and self.slot(i):
            found |= 1 << self.slot(i)
        return found

    def writes(self, i: Insn) -> int:
        if i.op == "callx8":
            return _CALL_WRITES
        if i.op == "entry":
            return 0xFFFF
        if i.op in ("ssr", "ssl"):
            return 1 << _SAR
        if i.op == "s32i" and self.slot(i):
            return 1 << self.slot(i)
        return 1 << i.d if i.d >= 0 else 0

    def blocks(self) -> list[range]:
        starts = {0, len(self.code)}
        for n, i in enumerate(self.code):
            if i.op in _ENDS:
                starts |= {n + 1} if i.op == "retw" else {n + 1, self.index(i.target)}
        ordered = sorted(starts)
        return [range(a, b) for a, b in pairwise(ordered)]

    def index(self, target: int) -> int:
        """Where the instruction of an original address stands, or if it is gone the next one."""
        return bisect_left(self.code, target, key=attrgetter("at"))

    def live(self) -> list[int]:
        """The variables, as bits, that are read after each instruction before they are written."""
        blocks = self.blocks()
        number = {block.start: n for n, block in enumerate(blocks)}
        entering = [0] * len(blocks)
        after = [0] * len(self.code)
        changed = True
        while changed:
            changed = False
            for n in reversed(range(len(blocks))):
                last = self.code[blocks[n][-1]]
                now = 0
                if last.op in _JUMPS:
                    now |= entering[number[self.index(last.target)]]
                if last.op not in ("j", "retw"):
                    now |= entering[n + 1]
                for k in reversed(blocks[n]):
                    after[k] = now
                    now = now & ~self.writes(self.code[k]) | self.reads(self.code[k])
                if now != entering[n]:
                    entering[n], changed = now, True
        return after

    def drop(self, gone: set[int]) -> bool:
        self.code = [i for n, i in enumerate(self.code) if n not in gone]
        return bool(gone)

    # -- the passes: each returns whether it changed anything ----------------------------------------------------------

    def send_results(self) -> bool:
        """`op x; ...; mov y, x` becomes `op y; ...` where x is not read later."""
        after, gone = self.live(), set[int]()
        for block in self.blocks():
            for n in block:
                move = self.code[n]
                if move.op == "mov" and move.d != move.s and not _KEPT & {move.d, move.s} and not after[n] >> move.s & 1:
                    maker = self._maker(block, n, gone)
                    if maker >= 0:
                        gone.add(n)
                        self.code[maker] = replace(self.code[maker], d=move.d)
                        for k in range(maker, n):
                            s, t = (move.d if v == move.s and k > maker else v for v in (self.code[k].s, self.code[k].t))
                            self.code[k] = replace(self.code[k], s=s, t=t)
                            after[k] = after[k] & ~(1 << move.s) | 1 << move.d
        return self.drop(gone)

    def _maker(self, block: range, n: int, gone: set[int]) -> int:
        # The instruction that made what the move at n copies, if no other needs the move's target until then
        x, y = self.code[n].s, self.code[n].d
        for k in range(n - 1, block.start - 1, -1):
            i = self.code[k]
            if k in gone:
                continue
            if i.d == x:
                return k
            if self.writes(i) >> x & 1 or (self.reads(i) | self.writes(i)) >> y & 1:
                return -1
        return -1

    def read_at_source(self) -> bool:
        """Reads values where they are since longest, and uses what is known of them."""
        changed = False
        for block in self.blocks():
            known = _Values()
            for n in block:
                old = i = self.code[n]
                slot = self.slot(i)
                if slot and i.op == "l32i" and (source := known.register(known.of(slot))) >= 0:
                    i, slot = Insn(i.at, 2, "mov", d=i.d, s=source), 0
                if i.op == "movi" and known.constant(i.d) == i.imm & _MASK:
                    i = Insn(i.at, 2, "mov", d=i.d, s=i.d)  # which goes
                else:
                    i = self._simplified(known.moved(i), known)
                if i != old:
                    self.code[n], changed = i, True
                known.note(i, self.writes(i), slot)
        return changed

    @staticmethod
    def _simplified(i: Insn, known: _Values) -> Insn:
        t = known.constant(i.t)
        if i.op in ("add", "sub") and t is not None:
            signed = (t ^ 1 << 31) - (1 << 31)
            signed = signed if i.op == "add" else -signed
            if -128 <= signed < 128 or (-32768 <= signed < 32768 and signed % 256 == 0):
                return Insn(i.at, 3, "addi", d=i.d, s=i.s, imm=signed) if signed else Insn(i.at, 2, "mov", d=i.d, s=i.s)
        if i.op == "and" and t and t & t + 1 == 0 and t < 1 << 16:
            return Insn(i.at, 3, "extui", d=i.d, s=i.s, imm=0, target=t)
        if i.op in ("sll", "srl", "sra") and (by := known.shift):
            if i.op == "srl" and by > 15:
                return Insn(i.at, 3, "extui", d=i.d, s=i.s, imm=by, target=(1 << 32 - by) - 1)
            return Insn(i.at, 3, i.op + "i", d=i.d, s=i.s, imm=by)
        return i

    def drop_unread(self) -> bool:
        after = self.live()
        return self.drop({
            n for n, i in enumerate(self.code)
            if ((i.op not in _LASTING or self.slot(i)) and not self.writes(i) & after[n]) or (i.op == "mov" and i.d == i.s)
        })  # fmt: skip

    def branch_directly(self) -> bool:
        """`movi r, 1; bCC there; movi r, 0; there: bnez r` becomes a branch."""
        after, code, gone = self.live(), self.code, set[int]()
        targets = [i.target for i in code if i.op in _JUMPS]
        for n in range(len(code) - 3):
            one, test, zero, use = code[n : n + 4]
            r = one.d
            made = (one.op, one.imm, zero.op, zero.imm, zero.d) == ("movi", 1, "movi", 0, r)
            used = use.op in ("bnez", "beqz") and use.s == r and not after[n + 3] >> r & 1
            if not (made and used and test.op in _BRANCHES and r not in (test.s, test.t) and self._reaches(test, use)):
                continue
            if sum(one.at < target <= use.at for target in targets) == 1 and zero.at < test.target <= use.at:
                op = test.op if use.op == "bnez" else _OPPOSITE[test.op]
                code[n + 3] = replace(test, at=use.at, op=op, target=use.target)
                gone |= {n, n + 1, n + 2}
        return self.drop(gone)

    def jump_once(self) -> bool:
        """A branch over a jump becomes one branch, and a jump to what follows goes."""
        code, gone = self.code, set[int]()
        targets = [i.target for i in code if i.op in _JUMPS]
        for n, (branch, jump) in enumerate(pairwise(code)):
            over = jump.op == "j" and branch.op in _BRANCHES and self.index(branch.target) == n + 2
            if over and not any(branch.at < target <= jump.at for target in targets) and self._reaches(branch, jump):
                code[n + 1] = replace(branch, at=jump.at, op=_OPPOSITE[branch.op], target=jump.target)
                gone.add(n)
        return self.drop(gone | {n for n, i in enumerate(code) if i.op == "j" and self.index(i.target) == n + 1})

    @staticmethod
    def _reaches(branch: Insn, to: Insn) -> bool:
        # the original distance bounds the new one: code gets shorter only
        return abs(to.target - to.at) < (_NEAR_ZERO if branch.op.endswith("z") else _NEAR)

    def assembled(self) -> bytes:
        places = list(accumulate(map(size_of, self.code), initial=self.start))
        result = bytearray(self.head)
        for i, place in zip(self.code, places, strict=False):
            target = places[self.index(i.target)] if i.op in _JUMPS else i.target
            result += encode(replace(i, at=place, target=target), self.places)
        if self.start:
            result[:3] = encode(Insn(0, 3, "j", target=self.start), {})
        return bytes(result)


class _Values:
    # What is known in a basic block: which variables hold the same value, and which values are constants.
    def __init__(self) -> None:
        self._value: dict[int, object] = {}  # by variable; what has its value longest comes first
        self.shift: int | None = None  # by how much SLL, SRL or SRA shift

    def of(self, variable: int) -> object:
        return self._value.setdefault(variable, object())

    def register(self, value: object) -> int:
        """The register that has had the value longest, or -1."""
        return next((v for v, held in self._value.items() if held is value and v < _SAR and v not in _KEPT), -1)

    def constant(self, variable: int) -> int | None:
        value = self._value.get(variable)
        return value if isinstance(value, int) else None

    def moved(self, i: Insn) -> Insn:
        """The same with its operands where they have been longest."""
        if i.op in ("callx8", "entry", "retw"):
            return i
        s, t = (v if v < 0 or v in _KEPT else self.register(self.of(v)) for v in (i.s, i.t))
        return i if (s, t) == (i.s, i.t) else replace(i, s=s, t=t)

    def note(self, i: Insn, writes: int, slot: int) -> None:
        """What holds after an instruction. slot: the word of the frame that it reads or writes, or 0."""
        value: object = i.imm & _MASK if i.op == "movi" else object()
        if i.op in ("mov", "s32i"):
            value = self.of(i.s if i.op == "mov" else i.t)
        elif slot:
            value = self.of(slot)
        if writes >> _SAR & 1:
            amount = self.constant(i.s)
            self.shift = amount & 31 if amount is not None and i.op != "callx8" else None
        self._value = {v: held for v, held in self._value.items() if not writes >> v & 1}
        if i.d >= 0 or (slot and i.op == "s32i"):
            self._value[i.d if i.d >= 0 else slot] = value


def shorten(code: bytes) -> bytes:
    """The same function in fewer instructions; one that hands out addresses of its stack frame stays as it is.

    Args:
        code: machine code of one viper function, its constants before it.

    Raises:
        earlid.flash.xtensa.Unsupported: for an instruction that mpy-cross is not known to write.
    """
    function = _Function(code)
    if not function.frame_is_private:
        return code
    passes = function.send_results, function.read_at_source, function.drop_unread, function.branch_directly, function.jump_once
    for _ in range(_MOST_ROUNDS):
        if not sum(each() for each in passes):
            break
    return function.assembled()
