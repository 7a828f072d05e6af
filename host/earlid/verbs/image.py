# SPDX-License-Identifier: MIT
"""`earlid image`: MicroPython and Earlid as one file, for any flasher; or what such a file holds."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earlid import firmware
from earlid.arguments import Subparsers, add_json_argument
from earlid.door import plain
from earlid.errors import FAILED, USAGE, UserError
from earlid.files import open_atomically, read_bytes, read_json
from earlid.flash import inputs

if TYPE_CHECKING:
    from earlid.flash.one_file import Inspection

SIZES = {"4MB": 4 << 20, "8MB": 8 << 20, "16MB": 16 << 20}
FILE_MAX_BYTES = 16 << 20
DIGITS = 16  # of a SHA-256, for people


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "image",
        description="One file with MicroPython and Earlid, for any flasher to write at offset 0 of an ESP32; the .json beside it "
        "names what is in it, with hashes. The same words make the same bytes. Identity and key are not in it: the board makes "
        "them at its first start.",
    )
    parser.add_argument("output", nargs="?", metavar="OUT.bin", help="where to write it; its manifest goes to OUT.json")
    parser.add_argument("--inspect", metavar="FILE", help="instead: what this file holds, and whether it is as its manifest says")
    parser.add_argument(
        "--word", metavar="WORD", help=f"as of `earlid flash`; none for no word. Without: {inputs.DEFAULT_WORD}",
    )  # fmt: skip
    parser.add_argument("--config", metavar="FILE", help="settings to start with, as JSON")
    parser.add_argument(
        "--recipe", choices=firmware.RECIPES, default=firmware.RECIPES[0], help="what the board guards (hardware/README.md)"
    )
    parser.add_argument("--board", choices=("esp32",), default="esp32", help="the chip")
    parser.add_argument("--flash-size", choices=SIZES, default="4MB", help="of the chip's flash (default 4MB)")
    parser.add_argument("--image", metavar="FILE", help="the MicroPython image to take (else the pinned one, downloaded)")
    add_json_argument(parser, "the manifest on stdout, or with --inspect what was found")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make the file, or look into one."""
    if bool(args.output) == bool(args.inspect):
        raise UserError("name the file to write, as `earlid image earlid.bin`, or one to look into with --inspect FILE.", USAGE)
    return _inspect(Path(args.inspect), args.json) if args.inspect else _make(args)


def manifest_path(path: Path) -> Path:
    """Where the manifest of a one file is."""
    return path.with_suffix(".json")


def _make(args: argparse.Namespace) -> int:
    path = Path(args.output)
    if path.suffix != ".bin":
        raise UserError(f"{plain(path)}: the file's name has to end in .bin; its manifest gets .json in that place.", USAGE)
    _check_replaced(path, args.image)
    from earlid.flash import content, firmware_build, one_file

    name = args.word or (inputs.NO_WORD if args.recipe == firmware.ONE_CHANNEL else inputs.DEFAULT_WORD)
    word = inputs.read_word(name)
    config = inputs.config_bytes(args.config)
    micropython = inputs.image_loader(args.image)(_report_download)
    build = firmware_build.build(firmware.root(), firmware_build.ESP32_ARCH, args.recipe)
    files = content.files(build, word, config)
    flash_bytes = SIZES[args.flash_size]
    data = one_file.make(micropython, files, flash_bytes)
    manifest = one_file.manifest(
        path.name, data, micropython, files, recipe=args.recipe, word=Path(name).stem if word else None,
        flash_bytes=flash_bytes, board=args.board,
    )  # fmt: skip
    text = json.dumps(manifest, indent=1) + "\n"
    with open_atomically(manifest_path(path), sync=True) as about, open_atomically(path, "wb", sync=True) as file:
        file.write(data)
        about.write(text)
        about.flush()  # a full disk keeps both from being replaced
    if args.json:
        print(text, end="")
        return 0
    print(f"{plain(path)}: {len(data):,} bytes, SHA-256 {manifest['image']['sha256']}")
    listens = f"listens for {manifest['word']}" if word else "has no word"
    release = manifest["micropython"]
    print(
        f"MicroPython {release['version']}, Earlid {manifest['earlid']} for the {args.recipe} circuit, {listens}; "
        f"{len(files)} files, named in {plain(manifest_path(path))}"
    )
    size = f"{args.flash_size} of flash{' or more' if manifest['larger_flash'] else ''}"
    print(f"For an ESP32 with {size}, at offset 0. With esptool: esptool write-flash 0 {plain(path)}")
    return 0


def _check_replaced(path: Path, micropython: str | None) -> None:
    """Refuse names under which something else stands than an earlier one file and its manifest."""
    beside = manifest_path(path)
    if micropython and path.exists() and path.samefile(micropython):
        raise UserError(f"{plain(path)} is the MicroPython image itself: name another file to write.", USAGE)
    if beside.is_file() and not _is_manifest(read_json(beside)):
        raise UserError(f"{plain(beside)} is there and is no manifest of a one file: name another .bin, or move it.", USAGE)


def _is_manifest(value: Any) -> bool:
    """Whether a JSON file's value looks like a manifest, of any version."""
    return isinstance(value, dict) and {"image", "micropython", "files"} <= value.keys()


def _report_download(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\rMicroPython's release: {done * 100 // max(total, 1):3} %", end="\n" if done >= total else "", file=sys.stderr)


def _inspect(path: Path, as_json: bool) -> int:
    from earlid.flash import one_file

    data = read_bytes(path, FILE_MAX_BYTES)
    beside = manifest_path(path)
    manifest = read_json(beside) if beside != path and beside.is_file() else None
    told = manifest.get("flash_bytes") if isinstance(manifest, dict) else None
    found = one_file.inspect(data, plain(path), told if told in SIZES.values() else None)
    differences = [] if manifest is None else one_file.differences(data, found, manifest)
    about = one_file.describe(path.name, data, found)
    about |= {"manifest": beside.name if manifest is not None else None, "differences": differences}
    if as_json:
        print(json.dumps(about))
    else:
        _show(about, found)
    return FAILED if differences else 0


def _show(about: dict[str, Any], found: Inspection) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    out = Console(highlight=False)
    out.print(
        f"{plain(about['image']['name'])}: {about['image']['bytes']:,} bytes, SHA-256 {about['image']['sha256']}\n"
        f"MicroPython {found.layout.version}", markup=False, soft_wrap=True,
    )  # fmt: skip
    places = Table("partition", "offset", "bytes")
    for row in about["partitions"]:
        places.add_row(escape(plain(row["label"])), f"{row['offset']:#x}", f"{row['bytes']:,}")
    files = Table("file", "bytes", f"SHA-256, {DIGITS} of 64 digits")
    for row in about["files"]:
        files.add_row(escape(plain(row["path"])), f"{row['bytes']:,}", row["sha256"][:DIGITS])
    for column in (*places.columns[1:], files.columns[1]):
        column.justify = "right"
    out.print(places)
    out.print(files)
    if about["manifest"] is None:
        out.print("There is no manifest beside it to compare it with.")
    elif not about["differences"]:
        out.print(f"All as its manifest {plain(about['manifest'])} says.", markup=False, soft_wrap=True)
    else:
        out.print(f"Not as its manifest {plain(about['manifest'])} says:", markup=False, soft_wrap=True)
        for line in about["differences"]:
            out.print(f"  {plain(line)}", markup=False, soft_wrap=True)
