# SPDX-License-Identifier: MIT
"""What a training came to, as sentences for people, from its provenance. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Any

from earlid.accuracy.text import false_text, hours_text, missed_text
from earlid.door import plain
from earlid.errors import USAGE, UserError
from earlid.train.provenance import point_of

LINE_MAX = 400
NEAR_SHOWN = 8
# "alexa" of pymicro-wakeword with microWakeWord's decision, at 0.5 false openings an hour, said by 82 people's recordings:
# tests/bench/detection/REPORT.md, `clean` and `household-10db` ("earlid, decision 0").
PUBLISHED = 'the published "alexa" missed 1 of 82 words of people in quiet and 2 of 82 at 10 dB, with 2 false openings in 6.7 h'
PRIVACY = "Everything stays on this computer: no recording, word or network is sent anywhere."


def shown(document: dict[str, Any], network_sha256: str) -> list[str]:
    """What a provenance that may come from anywhere says.

    Args:
        document: of `provenance.read`.
        network_sha256: of the network beside it, in hex.

    Raises:
        UserError: code 2 when it is of another network, or something in it is not what it must be.
    """
    try:
        if document["network_sha256"] != network_sha256:
            raise UserError("the provenance beside it is of another network: it is not shown. Remove it, or train anew.", USAGE)
        return [plain(line, LINE_MAX) for line in origin(document) + results(document)]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise UserError(f"the provenance is damaged ({type(error).__name__}: {plain(error)}): it is not shown.", USAGE) from error


def origin(document: dict[str, Any]) -> list[str]:
    """What it was made of, and with."""
    made, took_s = document["versions"], sum(float(seconds) for seconds in document["seconds"].values())
    seeds = [int(entry["seed"]) for entry in document["seeds"]]
    said = [
        f"made on {document['on']} in {took_s / 60:.0f} min ({document['size']}), Earlid {made['earlid']}, "
        f"PyTorch {made.get('torch', '?')}, Python {made['python']}; the best of seeds {', '.join(map(str, seeds))}: "
        f"{int(document['seed'])}",
    ]
    if spellings := document.get("said_as"):
        said.append(f"the word read to voices as {', '.join(str(spelling) for spelling in spellings)}")
    for part, what in (("fit", "learnt from"), ("stop", "chosen by"), ("judge", "judged by")):
        voices = [entry for entry in document["voices"] if entry["part"] == part]
        engines = ", ".join(f"{int(entry['voices'])} of {entry['engine']} ({entry['licence']})" for entry in voices)
        sounds = [entry for entry in document["sounds"] if entry["part"] == part]
        hours = ", ".join(f"{hours_text(float(entry['hours']))} of {entry['kind']}" for entry in sounds)
        takes = len(document["takes"].get(part, []))
        own = f", {takes} of your own recordings" if takes else ""
        said.append(f"{what}: voices {engines or 'none'}; without the word {hours or 'nothing'}{own}")
    licences = sorted({str(entry["licence"]) for entry in document["sources"]})
    if licences:
        said.append(f"licences of the sounds without the word: {', '.join(licences)}")
    return said + [f"left out: {text}" for text in document["left_out"]]


def results(document: dict[str, Any]) -> list[str]:
    """What it does, on voices and sounds that it neither learnt from nor was chosen by."""
    said = []
    for each in document["conditions"]:
        point, delay = point_of(each["in_force"]), each["delay_ms"]
        late = (
            f"; opens {int(delay['median'])} ms after the word's end (nine in ten: {int(delay['nine_in_ten'])})" if delay else ""
        )
        said.append(f"{each['condition']}: missed {missed_text(point)}{late}")
    if document["conditions"]:
        kinds = Counter({str(entry["kind"]): int(entry["openings"]) for entry in document["without_the_word"]})
        of_kinds = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
        point = point_of(document["conditions"][0]["in_force"])
        said.append(f"without the word: false openings {false_text(point)}: {of_kinds}")
    near = sorted(document["near"], key=lambda entry: -int(entry["opened"]) / max(1, int(entry["of"])))
    opening = [f"{entry['text']} {int(entry['opened'])} of {int(entry['of'])}" for entry in near if int(entry["opened"])]
    tried = sum(int(entry["of"]) for entry in near)
    if near:
        more = ", ..." if len(opening) > NEAR_SHOWN else ""
        said.append(f"words near it, {tried} sayings of {len(near)}: open on {', '.join(opening[:NEAR_SHOWN]) or 'none'}{more}")
    return said + [f"warned of: {text}" for text in document["warnings"]]


def limits(document: dict[str, Any]) -> list[str]:
    """What these figures do not say."""
    own = document["takes"].get("judge", [])
    said = [f"A published word misses less: {PUBLISHED}."]
    if own:
        said.append(
            f"The other voices are computed: they do not show how people say it. Your own {len(own)} held-back takes show you, "
            "in one place on one day."
        )
    else:
        said.append(
            "All voices are computed: they do not show how often it misses you, which is more often. Ten recordings of yours "
            f'make the difference: `earlid model record "{document["word"]}" --out DIR`, then train with --recordings DIR.'
        )
    said.append("No room, microphone or board of yours was heard: `earlid calibrate` measures there.")
    return said
