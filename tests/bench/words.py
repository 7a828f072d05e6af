# SPDX-License-Identifier: MIT
"""`make words`: trains the words of the field and two others, and writes what each does into WORDS.md beside this file.

One training of each, where the command makes three and keeps the best: a quarter to half an hour of two cores a word. What was
trained before is not trained again. The networks lie in build/words.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from earlid.accuracy.text import false_text, missed_text
from earlid.files import write_atomically
from earlid.train import provenance
from earlid.train.workspace import file_name

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "words"
WORDS = ("alexa", "computer", "echo", "amazon", "open sesame")  # four that people can choose on an Echo, and one of their own
HEAD = (
    "# Words, trained and measured\n\n"
    "Written by `make words`. Judged by computed voices and by sounds that decided nothing, by the firmware's gate; no person "
    "was heard.\n\n"
    "One training of each, seed 0, where the command makes three and keeps the best.\n\n"
    "| word | on | missed in quiet | missed at 10 dB | missed where talk follows | false openings | near words that open | "
    "warned of |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
)


def row(document: dict[str, Any]) -> str:
    """A word's row of the table."""
    quiet, noise, followed = (provenance.point_of(each["in_force"]) for each in document["conditions"][:3])
    near = sum(entry["opened"] for entry in document["near"]), sum(entry["of"] for entry in document["near"])
    warnings = " ".join(document["warnings"]).replace("|", "/") or "nothing"
    cells = (
        document["word"],
        document["on"],
        missed_text(quiet),
        missed_text(noise),
        missed_text(followed),
        false_text(quiet),
        f"{near[0]} of {near[1]}",
    )
    return f"| {' | '.join(cells)} | {warnings} |\n"


def main() -> int:
    """Train what lacks, and write the table of what there is; 1 when a word could not be trained."""
    failed, rows = 0, ""
    for word in sys.argv[1:] or WORDS:
        path = FOLDER / (file_name(word) + provenance.SUFFIX)
        if not path.exists():
            command = [sys.executable, "-m", "earlid.cli", "model", "train", word, "--yes", "--seeds", "1", "--out", str(FOLDER)]
            failed |= subprocess.run(command, check=False).returncode != 0
        if path.exists():
            rows += row(provenance.read(path))
    if rows:
        write_atomically(Path(__file__).with_name("WORDS.md"), HEAD + rows)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
