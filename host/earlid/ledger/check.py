# SPDX-License-Identifier: MIT
"""Was it me? The openings to check, and the conversation about them; who reads keys and writes lines is given."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from lid import record

from earlid.ledger.boards import KnownBoard
from earlid.ledger.boot_clocks import LedgerClocks
from earlid.ledger.doubt import CHECK_PERCENT, Doubt, Habits, doubts
from earlid.ledger.queries import Opening
from earlid.ledger.reader import Reader
from earlid.ledger.time_format import bounds_text, iso_text, moment_text, uncertainty_text
from earlid.scores import score_text

KEYS = "y it was meant, n it was not, s later, u undo, a the rest was meant, q end"
_HABIT_OPENINGS = 100  # of each board, the newest


class Question(NamedTuple):
    """An opening that nobody has labelled, and why it is asked about."""

    opening: Opening
    doubt: Doubt
    title: str

    def lines(self) -> list[str]:
        """What a person needs to answer."""
        item = self.opening
        when = f"{moment_text(item.start_ms)} {uncertainty_text(item.unc_ms)}".strip()
        live = f"live {bounds_text(item.least_ms, item.most_ms)}, ended: {item.ended}"
        return [f"{self.title}, record {item.seq}: {when}", f"{live}; score {score_text(item.score, item.cutoff, item.flags)}",
                "; ".join(self.doubt.words)]  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        item = self.opening._asdict() | {"start": iso_text(self.opening.start_ms)}
        return item | {"name": self.title, "doubt_percent": self.doubt.percent, "signs": self.doubt.words}


def habits(reader: Reader, chosen: Sequence[KnownBoard], clocks: LedgerClocks | None = None) -> Habits:
    """At which hours the boards are opened, by their newest openings by the word; `clocks` are theirs, when at hand."""
    clocks = clocks or LedgerClocks(reader, chosen)

    def moments() -> Iterator[tuple[str, int]]:
        for board in chosen:
            rows = reader.integer_rows(
                f"SELECT boot, ms FROM records WHERE board_id = :id AND event = {record.EVENTS.index('open')} "
                f"AND reason = {record.REASONS.index('word')} ORDER BY boot DESC, seq DESC LIMIT {_HABIT_OPENINGS}",
                id=board.id,
            )
            for boot, ms in rows:
                yield board.identifier, clocks.wall(board.id, boot, ms)[0]

    return Habits(moments())


def to_check(
    reader: Reader, chosen: Sequence[KnownBoard], openings: Sequence[Opening], clocks: LedgerClocks | None = None
) -> list[Question]:
    """The openings without a label that were likely not meant, the likeliest first, then the newest."""
    asked = {opening.board for opening in openings if opening.label is None and opening.reason == "word"}
    if not asked:
        return []
    titles = {board.identifier: board.title for board in chosen}
    usual = habits(reader, [board for board in chosen if board.identifier in asked], clocks)
    found = [
        Question(opening, doubt, titles[opening.board])
        for opening, doubt in zip(openings, doubts(openings, usual), strict=True)
        if opening.label is None and doubt.percent >= CHECK_PERCENT
    ]
    return sorted(found, key=lambda item: (-item.doubt.percent, -item.opening.start_ms))


def label_text(label: bool | None) -> str:
    """A label as a sentence has it."""
    return "has no label now" if label is None else f"is labelled {str(label).lower()}"


def converse(
    questions: Sequence[Question],
    read_key: Callable[[], str],
    say: Callable[[str], None],
    set_label: Callable[[Opening, bool | None], None],
) -> dict[bool, int]:
    """Ask about one opening after the other; an answer is stored at once, and said back.

    Args:
        questions: from `to_check`.
        read_key: waits for a key; empty when there will be none any more.
        say: shows a line.
        set_label: stores a label, None takes it back.

    Returns:
        How many were labelled true and false.
    """
    answers: list[list[tuple[int, bool | None]]] = []  # what `u` takes back at once: (question, word)
    at = 0
    while True:
        if at < len(questions):
            head, *rest = questions[at].lines()
            say(f"\n{at + 1} of {len(questions)}  {head}")
            for line in rest:
                say(f"        {line}")
            say(f"        Was it meant? ({KEYS})")
        elif not answers:
            break
        else:
            say("\nThat was the last. (u undo, any other key: end)")
        key = read_key().lower()
        if key == "u":
            if not answers:
                say("        Nothing to take back.")
                continue
            taken = answers.pop()
            at = taken[0][0]
            for number, word in taken:
                if word is not None:
                    set_label(questions[number].opening, None)
                    say(f"        record {questions[number].opening.seq} {label_text(None)}")
        elif at >= len(questions) or key in ("q", "", "\x03", "\x04"):
            break
        elif key in ("y", "n", "s", "a"):
            numbers = range(at, len(questions)) if key == "a" else [at]
            word = {"y": True, "n": False, "a": True, "s": None}[key]
            for number in numbers:
                if word is not None:
                    set_label(questions[number].opening, word)
                    say(f"        record {questions[number].opening.seq} {label_text(word)}")
            answers.append([(number, word) for number in numbers])
            at = numbers[-1] + 1
        else:
            say(f"        {key!r} is no answer.")
    words = [word for answer in answers for _, word in answer]
    return {word: words.count(word) for word in (True, False)}
