# SPDX-License-Identifier: MIT
"""Changes of foreign bytes by what they mean, and a run of a target over them under a limit of memory and time:
`python -m tests.fuzz.mutations TARGET FOLDER SEED COUNT`.

A target must read or refuse each; the first that does otherwise ends this process with its number, from which it can be made
again. `python -m tests.fuzz` does the same for longer, guided by what the bytes reach.
"""

from __future__ import annotations

import json
import random
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

MEMORY_BYTES = 256 << 20  # beyond what the program takes before it reads anything
ONE_FILE_S = 20
EXTREMES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\x01\0\0\0", b"\0\0\0\x01")
DEEP: Any = json.loads("[" * 900 + "]" * 900)
VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 2**31, 2**63, 10**300, 1e308, float("nan"), float("inf"), "", "\0", "\ud800", "\x1b[31m", "=1+1",
    "[/b]", "</script>", "../../x", "a" * 70_000, [], {}, [[]], DEEP,
)  # fmt: skip
NAMES = [value for value in VALUES if isinstance(value, str)]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A file with some of its bytes changed, lost, doubled or swapped for a number at the edge."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed) + 1) if rng.random() < 0.5 else rng.randrange(min(len(changed) + 1, 256))
        match rng.randrange(5):
            case 0 if changed:
                changed[at % len(changed)] = rng.randrange(256)
            case 1:
                changed[at : at + 4] = rng.choice(EXTREMES)
            case 2:
                del changed[at:]
            case 3:
                del changed[at : at + rng.randint(1, 64)]
            case _:
                changed[at:at] = changed[at : at + rng.randint(1, 64)]
    return bytes(changed)


def mutated_value(value: Any, rng: random.Random) -> Any:
    """JSON with one of its values or names changed."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        rest = {name: item for name, item in value.items() if name != key}
        match rng.randrange(8):
            case 0:
                return rest
            case 1:
                return rest | {rng.choice(NAMES): value[key]}
            case _:
                return rest | {key: mutated_value(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        return [*value[:at], mutated_value(value[at], rng), *value[at + 1 :]]
    return rng.choice(VALUES)


def mutated_lines(data: bytes, rng: random.Random) -> bytes:
    """Lines of JSON with one of them changed, by value; or the bytes."""
    lines = data.splitlines()
    if not lines or rng.random() < 0.3:
        return mutated(data, rng)
    at = rng.choice((0, rng.randrange(len(lines))))
    try:
        lines[at] = json.dumps(mutated_value(json.loads(lines[at]), rng)).encode()
    except (ValueError, RecursionError):  # changed before, and no JSON any more
        return mutated(data, rng)
    return (b"\xef\xbb\xbf" if rng.random() < 0.1 else b"") + b"\n".join(lines) + b"\n"


def limit_memory() -> None:
    """No more memory from here on than `MEMORY_BYTES`."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main(name: str, folder: Path, seed: int, count: int) -> int:
    """Read so many mutations of the files of a folder that begin with `seed-`; the numbers of files read and refused."""
    from tests.fuzz.targets import TARGETS

    read, mutate, _ = TARGETS[name]
    sources = sorted(folder.glob("seed-*"))
    for source in sources:
        assert read(source.read_bytes()), source  # it can be read, and what is loaded late is loaded
    limit_memory()
    refused = 0
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        source = rng.choice(sources)
        data = (mutate or mutated)(source.read_bytes(), rng)
        signal.alarm(ONE_FILE_S)
        try:
            refused += not read(data)
        except BaseException:
            traceback.print_exc(file=sys.stdout)
            print(f"seed {seed}, number {number}, {source.name}")
            return 1
        finally:
            signal.alarm(0)
    print(f"{count - refused} read, {refused} refused")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
