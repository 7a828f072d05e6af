# SPDX-License-Identifier: MIT
"""Mutations of foreign files, read under a limit of memory and time: `python -m tests.attacks.mutations READER FOLDER SEED
COUNT`.

Each file is changed by a few random bytes, or a few random values where it is JSON. A reader must return or raise a `UserError`
of one printable line; the first that does otherwise ends this process with its number, from which it can be made again.
"""

from __future__ import annotations

import json
import random
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from earlid.calibrate.calibration import read_options
from earlid.door import is_printable
from earlid.errors import UserError
from earlid.evaluate.evaluation import read_settings
from earlid.flash.inputs import read_config, read_word
from earlid.gate import audio, models
from earlid.ledger.importer import import_file
from earlid.ledger.judge_export import judge_file
from earlid.ledger.location import Location
from earlid.ledger.store import Ledger

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
    if rng.random() < 0.3:
        return mutated(data, rng)
    lines = data.splitlines()
    at = rng.choice((0, rng.randrange(len(lines))))
    lines[at] = json.dumps(mutated_value(json.loads(lines[at]), rng)).encode()
    return (b"\xef\xbb\xbf" if rng.random() < 0.1 else b"") + b"\n".join(lines) + b"\n"


def check_sentence(error: UserError) -> None:
    """What a person reads is one line that moves no cursor."""
    assert is_printable(str(error)), f"{str(error)!r} moves a cursor"
    assert len(str(error)) < 1000


def read_sound(path: Path) -> None:
    """As `score` and `evaluate` do."""
    audio.read_audio(path)
    audio.audio_seconds(path)


def take_export(path: Path) -> None:
    """As `verify FILE` and `export --import` do."""
    judge_file(path)
    scratch = path.with_name("scratch.sqlite")
    for old in path.parent.glob("scratch.sqlite*"):
        old.unlink()
    with Ledger(Location(scratch, "")) as ledger:
        import_file(path, ledger)


def take_settings(path: Path) -> None:
    """As `evaluate --config`, `flash --config` and `calibrate --script` do."""
    refusals: list[UserError] = []
    for read in (read_settings, lambda path: read_config(str(path)), lambda path: read_options(path, {})):
        try:
            read(path)
        except UserError as error:
            check_sentence(error)
            refusals.append(error)
    if len(refusals) == 3:
        raise refusals[-1]


READERS: dict[str, tuple[Callable[[Path], object], Callable[[bytes, random.Random], bytes]]] = {
    "sound": (read_sound, mutated),
    "manifest": (lambda path: models.load(str(path)), mutated_lines),
    "export": (take_export, mutated_lines),
    "settings": (take_settings, mutated_lines),
    "word": (lambda path: read_word(str(path)), mutated),
}


def limit_memory() -> None:
    """No more memory from here on than `MEMORY_BYTES`."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main(reader: str, folder: Path, seed: int, count: int) -> int:
    """Read so many mutations of the files of a folder that begin with `seed-`; the numbers of files read and refused."""
    read, mutate = READERS[reader]
    sources = sorted(folder.glob("seed-*"))
    for source in sources:
        read(source)  # it can be read, and what is loaded late is loaded
    limit_memory()
    refused = 0
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        source = rng.choice(sources)
        path = folder / f"mutated{source.suffix}"
        path.write_bytes(mutate(source.read_bytes(), rng))
        signal.alarm(ONE_FILE_S)
        try:
            try:
                read(path)
            except UserError as error:
                check_sentence(error)
                refused += 1
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
