# SPDX-License-Identifier: MIT
"""`earlid model`: the networks that are here, what is in one, blobs for the board, and networks for a word of one's own."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earlid.arguments import Subparsers, add_json_argument

if TYPE_CHECKING:
    from earlid.gate.models import Model

SEEDS_MAX = 9
LINE_MAX = 600


def add(subparsers: Subparsers) -> None:
    """Add the verb and its parts."""
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
    recording = parts.add_parser(
        "record",
        help="record yourself saying a word, to train it with",
        description="With this computer's microphone, never a board's. Says how and how often to speak, finds each take and "
        "judges it at once. Takes are put into the folder, for you alone, and sent nowhere; the same command goes on later.",
    )
    recording.add_argument("word", metavar="WORD", help='what you will say, as "open sesame"')
    recording.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder for the takes")
    recording.add_argument(
        "--takes", type=int, default=15, metavar="N", help="how many (default 15: ten to learn from, five to judge by)"
    )
    recording.add_argument("--model", metavar="NAME", help="show what this network makes of each take: a name or a file")
    recording.set_defaults(run=run_record)
    forgetting = parts.add_parser(
        "forget",
        help="remove what the training of a word keeps, and your recordings",
        description="Removes features, synthetic speech and half-trained networks of a word. Networks that were written stay.",
    )
    forgetting.add_argument("word", metavar="WORD", help="the word")
    forgetting.add_argument("--recordings", type=Path, metavar="DIR", help="remove the recordings in this folder too")
    forgetting.add_argument("-y", "--yes", action="store_true", help="do not ask")
    forgetting.set_defaults(run=run_forget)
    training = parts.add_parser(
        "train", help="make a network for a word of your own, on this computer",
        description="Makes a microWakeWord v2 network for a word, on this computer alone: computed voices say it, you as well if "
        "you like. Killed or interrupted, the same command goes on where it was.",
    )  # fmt: skip
    training.add_argument("word", metavar="WORD", help='what is to be said, as "open sesame"')
    training.add_argument(
        "--said-as", action="append", default=[], metavar="TEXT",
        help='what voices read for the word, as "okay nah boo"; once for each way of saying it (default: the word)',
    )  # fmt: skip
    training.add_argument("--recordings", type=Path, metavar="DIR", help="recordings of the word by its owner: WAV or FLAC")
    training.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where the network goes (default: this folder)")
    training.add_argument(
        "--seeds", type=seed_count, default=3, metavar="N", help="train so many networks, keep the best (default 3)"
    )
    training.add_argument("--seed", type=int, default=0, help="the first of them (default 0)")
    training.add_argument(
        "--small", action="store_true", help="two voices and two minutes: to see that all is there, of no other use"
    )
    training.add_argument("--forget", action="store_true", help="remove what it keeps instead, as `earlid model forget` does")
    training.add_argument("-y", "--yes", action="store_true", help="do not ask before it begins")
    add_json_argument(training, "what was made, as one document on stdout")
    training.set_defaults(run=run_train)


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
    for heading in ("name", "word", "languages"):
        table.add_column(heading, no_wrap=heading == "name")
    for heading in ("MAC / inference", "bytes on the board", "opens above"):
        table.add_column(heading, justify="right")
    for entry in summaries:
        look = entry["look"]
        opens = f"{look['cutoff_q8']} (look)" if look else f"{entry['cutoff_sum'] // entry['window']}"
        table.add_row(
            entry["name"], entry["wake_word"], " ".join(entry["languages"]), f"{entry['macs']:,}",
            f"{entry['blob_bytes'] + entry['arena_bytes']:,}", opens,
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
    document, told = _provenance(model)
    if args.json:
        print(json.dumps({**summary, "layers": layers, "training": document}))
        return 0
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if look := summary["look"]:
        opens = f"opens above {look['cutoff_q8']} of 255, by the last {look['window']} pairs of logits"
        look = f"{opens}; with setting decision=0 the network alone, by window and cutoff"
    summary["look"] = look or "none"
    for key, value in summary.items():
        text = ", ".join(value) if isinstance(value, list) else str(value)
        console.print(f"{key.replace('_', ' '):>12}  {text}", markup=False)
    table = Table()
    for heading in ("layer", "rows", "channels", "outputs", "MAC"):
        table.add_column(heading, justify="left" if heading == "layer" else "right")
    for layer in layers:
        table.add_row(layer["kind"], *(f"{layer[key]:,}" for key in ("rows", "channels", "outputs", "macs")))
    console.print(table)
    for line in told:
        console.print(line, markup=False, soft_wrap=True)
    return 0


def _provenance(model: Model) -> tuple[dict[str, Any] | None, list[str]]:
    """What stands beside a network about its making, if it is of a version that is known; and that for people."""
    from earlid.door import plain
    from earlid.errors import UserError
    from earlid.train import provenance, report

    path = provenance.path_beside(model.manifest.model)
    if not path.exists():
        return None, []
    try:
        document = provenance.read(path)
        return document, report.shown(document, model.digest.hex())
    except UserError as error:
        return None, [plain(error)]


def run_import(args: argparse.Namespace) -> int:
    """Compile a network and write the board's file."""
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


def run_record(args: argparse.Namespace) -> int:
    """Record takes of a word, or go on with it."""
    from earlid.gate import models, runner
    from earlid.guide import Guide, TerminalGuide
    from earlid.train import recording

    runner.require_micropython()
    model = models.load(args.model) if args.model else None
    recording.record(args.word, args.out, args.takes, TerminalGuide() if sys.stdin.isatty() else Guide(), model)
    return 0


def run_forget(args: argparse.Namespace) -> int:
    """Say what there is of a word, ask, remove it."""
    from earlid.errors import USAGE, UserError
    from earlid.train import forgetting

    found = forgetting.find(args.word, args.recordings)
    for line in found.lines():
        print(line, file=sys.stderr)
    if not found.workspaces and not found.recordings:
        print(f"nothing to forget of {args.word!r}", file=sys.stderr)
        return 0
    if not args.yes:
        if sys.stdin is None or not sys.stdin.isatty():
            raise UserError("nothing removed: add --yes to remove without being asked.", USAGE)
        print("Remove this for good? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise UserError("nothing removed.")
    forgetting.remove(found)
    print(f"Removed. {forgetting.STAYS}", file=sys.stderr)
    return 0


def seed_count(text: str) -> int:
    """How many networks may be trained."""
    if not text.isdecimal() or not 1 <= int(text) <= SEEDS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {SEEDS_MAX}")
    return int(text)


def run_train(args: argparse.Namespace) -> int:
    """Train a word, or go on with it."""
    if args.forget:
        return run_forget(args)
    from earlid.errors import INTERRUPTED
    from earlid.flash import memory_plan
    from earlid.train import course, needs, product, pronunciation, report, stage_display, workspace
    from earlid.train.negatives import default_folder
    from earlid.train.takes import read, split

    size: course.Size = "small" if args.small else "full"
    word = pronunciation.checked(args.word)
    name, folder = workspace.file_name(word), workspace.folder_of(word, size)
    product.check_place(args.out, name)
    needed = needs.check(size, folder)
    said_as = tuple(dict.fromkeys(map(pronunciation.checked, args.said_as)))
    found = [pronunciation.warnings_of(spelling, course.lexicon(size)) for spelling in said_as or (word,)]
    warnings = tuple(dict.fromkeys(warning.text for each in found for warning in each))
    takes = split(read(args.recordings), args.seed) if args.recordings else ([], [])
    _say(*(f"Warning: {warning}" for warning in warnings), needed, report.PRIVACY)
    _ask_to_begin(args)
    seeds = tuple(range(args.seed, args.seed + args.seeds))
    order = course.Order(word, size, seeds, default_folder(args.small), takes, warnings, said_as)
    try:
        with workspace.opened(folder, word) as room, stage_display.shown(course.EXPECTED_S[size], args.json) as display:
            network, document = course.train(order, room, display)
            model = product.write(network, document, args.out, name)
    except KeyboardInterrupt:
        _say("Stopped. The same command goes on where it was.")
        return INTERRUPTED
    memory_plan.check_word(model.blob, name)
    if args.json:
        print(json.dumps({"network": str(model.manifest.model), "training": document}))
        return 0
    _say(*report.results(document), *report.limits(document), f"Written: {args.out / name}.tflite, .json, .elww, .training.json")
    _say(f"Onto a board: earlid flash --word {model.manifest.model}")
    return 0


def _ask_to_begin(args: argparse.Namespace) -> None:
    from earlid.errors import UserError

    if args.yes or args.json or not sys.stdin.isatty():
        return
    print("Begin? Enter begins, n ends: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("", "y", "yes"):
        raise UserError("nothing was begun.")


def _say(*lines: str) -> None:
    """Lines for people, on stderr."""
    from rich.console import Console

    from earlid.door import plain

    console = Console(file=sys.stderr, highlight=False)
    for line in lines:
        console.print(plain(line, LINE_MAX), markup=False, soft_wrap=True)
