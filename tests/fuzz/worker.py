# SPDX-License-Identifier: MIT
"""A process of one target. `python -m tests.fuzz.worker TARGET FILE...` reads files, without a fuzzer; `TARGET --minimise FILE
SMALLER` makes a file smaller that ends in an error; `TARGET --fuzz OPTION...` fuzzes, with libFuzzer's options; `--corpus` reads
the whole corpus through every target."""

from __future__ import annotations

import random
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
MINIMISE_S = 20


def error_of(read: Callable[[bytes], object], data: bytes) -> tuple[str, str, int | None] | None:
    """Which error the bytes end in: its kind and where it was raised; None when there is none."""
    try:
        read(data)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return type(error).__name__, last.filename, last.lineno
    return None


def minimise(read: Callable[[bytes], object], data: bytes, limit_s: float = MINIMISE_S) -> bytes:
    """The least of the bytes that still ends in the same error, as far as leaving out pieces of it goes."""
    wanted, end_s = error_of(read, data), time.monotonic() + limit_s
    size = len(data) // 2
    while size and time.monotonic() < end_s:
        at = 0
        while at < len(data) and time.monotonic() < end_s:
            shorter = data[:at] + data[at + size :]
            if error_of(read, shorter) == wanted:
                data = shorter
            else:
                at += size
        size //= 2
    return data


def fuzz(name: str, options: list[str]) -> None:
    """Fuzz a target with atheris; ends the process."""
    import atheris  # type: ignore[import-not-found]

    with atheris.instrument_imports(include=["earlid", "lid"]):
        from tests.fuzz.targets import TARGETS
    from tests.fuzz.mutations import limit_memory

    read, mutate, _ = TARGETS[name]
    for path in sorted((CORPUS / name).iterdir()):
        read(path.read_bytes())  # what is loaded late is loaded
    limit_memory()

    def change(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if mutate is None or rng.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        return mutate(data, rng)[:most]

    atheris.Setup([name, *options], lambda data: read(data) and None, custom_mutator=change)
    atheris.Fuzz()


def read_corpus() -> None:
    """Read each file of the corpus with its target; a line for each target: how many were read and refused."""
    from tests.fuzz.targets import TARGETS

    for name, (read, _, ending) in TARGETS.items():
        found = []
        for path in sorted((CORPUS / name).iterdir()):
            assert path.suffix == f".{ending}", path
            try:
                found.append(read(path.read_bytes()))
            except BaseException:
                print(path)
                raise
        print(name, sum(found), len(found) - sum(found))


def main(words: list[str]) -> None:
    """As the module says."""
    match words:
        case ["--corpus"]:
            read_corpus()
        case [name, "--fuzz", *options]:
            fuzz(name, options)
        case [name, "--minimise", path, smaller]:
            from tests.fuzz.targets import TARGETS

            Path(smaller).write_bytes(minimise(TARGETS[name].read, Path(path).read_bytes()))
        case [name, *paths]:
            from tests.fuzz.targets import TARGETS

            for path in paths:
                print(path, "read" if TARGETS[name].read(Path(path).read_bytes()) else "refused")


if __name__ == "__main__":
    main(sys.argv[1:])
