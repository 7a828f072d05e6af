# SPDX-License-Identifier: MIT
"""`earlid model`: the networks that are here, what is in one, and blobs for the board."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earlid.arguments import Subparsers, add_json_argument

if TYPE_CHECKING:
    from earlid.gate.models import Model


def add(subparsers: Subparsers) -> None:
    """Add the verb and its three parts."""
    parser = subparsers.add_parser(
        "model",
        description="Wake word networks (microWakeWord v2).",
    )
    parts = parser.add_subparsers(dest="part", metavar="PART", required=True)
    listing = parts.add_parser("list", help="the published networks that are installed")
    add_json_argument(listing, "one object a line on stdout")
    listing.set_defaults(run=run_list)
    showing = parts.add_parser("show", help="what is in a network, layer by layer")
    showing.add_argument("name", metavar="NAME", help="a name of `earlid model list`, or a .tflite or .json file")
    add_json_argument(showing, "one document on stdout")
    showing.set_defaults(run=run_show)
    importing = parts.add_parser("import", help="compile a .tflite and its .json for the board")
    importing.add_argument("file", metavar="FILE", help="the .tflite or the .json; the other must lie next to it")
    importing.add_argument("--out", metavar="PATH", help="where to write (default: NAME.elww in this folder)")
    importing.set_defaults(run=run_import)


def run_list(args: argparse.Namespace) -> int:
    """Print the installed networks."""
    from earlid.flash import words

    summaries = words.summaries()
    if args.json:
        for summary in summaries:
            print(json.dumps(summary))
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table(title="The published networks", title_justify="left")
    for heading, justify in (("name", "left"), ("word", "left"), ("languages", "left")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for heading in ("MAC / inference", "bytes on the board", "cutoff"):
        table.add_column(heading, justify="right")
    for entry in summaries:
        table.add_row(
            entry["name"], entry["wake_word"], " ".join(entry["languages"]), f"{entry['macs']:,}",
            f"{entry['blob_bytes'] + entry['arena_bytes']:,}", f"{entry['cutoff']:g}",
        )  # fmt: skip
    Console(highlight=False).print(table)
    return 0


def _layers(model: Model) -> list[dict[str, Any]]:
    return [
        {
            "kind": layer.kind, "rows": layer.inputs[0].rows, "channels": layer.inputs[0].width,
            "outputs": layer.output.width, "macs": 0 if layer.weights is None else int(layer.weights.size),
        }
        for layer in model.network.layers
    ]  # fmt: skip


def run_show(args: argparse.Namespace) -> int:
    """Print one network."""
    from earlid.flash import words
    from earlid.gate import models

    model = models.load(args.name)
    summary, layers = words.summary(model), _layers(model)
    if args.json:
        print(json.dumps({**summary, "layers": layers}))
        return 0
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    for key, value in summary.items():
        text = ", ".join(value) if isinstance(value, list) else str(value)
        console.print(f"{key.replace('_', ' '):>12}  {text}", markup=False)
    table = Table()
    for heading in ("layer", "rows", "channels", "outputs", "MAC"):
        table.add_column(heading, justify="left" if heading == "layer" else "right")
    for layer in layers:
        table.add_row(layer["kind"], *(f"{layer[key]:,}" for key in ("rows", "channels", "outputs", "macs")))
    console.print(table)
    return 0


def run_import(args: argparse.Namespace) -> int:
    """Compile a network and write the board's file."""
    import sys

    from rich.console import Console

    from earlid.door import plain
    from earlid.errors import USAGE, UserError
    from earlid.files import write_atomically
    from earlid.flash import memory_plan
    from earlid.gate import models

    if Path(args.file).suffix not in (".tflite", ".json"):
        raise UserError(f"{args.file}: give a .tflite file, or the .json next to it", USAGE)
    model = models.load(args.file)
    memory_plan.check_word(model.blob, args.file)
    out = Path(args.out) if args.out else Path(f"{model.name}.elww")
    if out.exists() and any(out.samefile(source) for source in (models.find_manifest(args.file), model.manifest.model)):
        raise UserError(f"{out} is the network itself: name another file with --out.", USAGE)
    write_atomically(out, model.blob)
    Console(file=sys.stderr, highlight=False).print(
        f"{plain(out)}: {model.manifest.wake_word!r}, {len(model.blob):,} bytes, "
        f"and {memory_plan.word_sizes(model.blob).arena:,} more while it runs",
        markup=False,
        soft_wrap=True,
    )
    return 0
