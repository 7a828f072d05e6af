# SPDX-License-Identifier: MIT
"""The damages of the corpus, each with the verdicts that it changes, read and judged by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from earlid.ledger import acts
from earlid.ledger.anchor_code import make_code
from lid import record

from tests.ledger.synthetic_chains import fields, seal_all
from tests.proof.corpus import (
    ACTS,
    ALTERED,
    CANNOT,
    CUT,
    GAP,
    GARAGE,
    INTACT,
    KEYS,
    KITCHEN,
    NOBODYS,
    OURS,
    RESTARTED,
    START_MS,
    STUDY,
    THEIRS,
    WRONG,
    Case,
    Damage,
    Draft,
    Findings,
)

AT = 20  # of the kitchen's first start; 6 to 13 were purged
FIELDS = dict(zip(record.FIELDS, range(len(record.FIELDS)), strict=True))
NUMBERS = {name: at for name, at in FIELDS.items() if name not in ("seq", "boot", "event", "reason")}


CASES: list[Case] = []


def case(name: str, changed: dict[str, Findings] | None = None, refused: int = 0) -> Callable[[Damage], Damage]:
    """Note a damage."""

    def note(damage: Damage) -> Damage:
        CASES.append(Case(name, damage, changed or {}, refused))
        return damage

    return note


# -- nothing wrong ---------------------------------------------------------------------------------------------------------


@case("nothing")
def _nothing(draft: Draft) -> None:
    pass


@case("byte order mark and white space")
def _mark(draft: Draft) -> None:
    draft.before, draft.ending = b"\xef\xbb\xbf", " \r\n"


@case("purge that another computer signed")
def _other_purge(draft: Draft) -> None:
    """Both verifiers say by which computers a file is signed, and how many acts of each kind: whose they are, a person knows."""
    draft.purge(STUDY, 2, 41, 50, lambda body: draft.sign_in(NOBODYS, [("purge", body)]))


@case("purge")
def _signed_purge(draft: Draft) -> None:
    draft.purge(STUDY, 2, 41, 50, lambda body: draft.add_act("purge", body, OURS))


@case("everything of a board was purged", {GARAGE: [(CANNOT, 0, 12)]})
def _purged_board(draft: Draft) -> None:
    draft.purge(GARAGE, 1, 1, 12, lambda body: draft.add_act("purge", body, OURS))
    draft.header(GARAGE).update(labels=[], clock_points=[])


@case("erased board that begins again", {STUDY: [(RESTARTED, 1, 1)]})
def _erased(draft: Draft) -> None:
    draft.took(STUDY, seal_all([fields(1, 0, "boot", "power-on", boot=3), fields(2, 5, "mute", boot=3)], STUDY, KEYS[STUDY]))


@case("a stranger's records", {f"{STUDY}.abcdef": [(CANNOT, 51, 53)]})
def _stranger(draft: Draft) -> None:
    rows = [fields(seq, seq, "near-miss", "word", boot=3) for seq in (51, 52, 53)]
    draft.took(f"{STUDY}.abcdef", seal_all(rows, STUDY, KEYS[GARAGE], bytes(12)))


@case("records that the board overwrote", {STUDY: [(GAP, 51, 60)]})
def _overwritten(draft: Draft) -> None:
    rows = [fields(61, 0, "lost", "overwritten", boot=2, a=10, b=51), fields(62, 5, "mute", boot=2)]
    draft.took(STUDY, seal_all(rows, STUDY, KEYS[STUDY], bytes(12)))


@case("ledger put back from a backup", {ACTS: [(GAP, 0, 0)]})
def _put_back(draft: Draft) -> None:
    last = [act for act in draft.acts if act[0] == OURS.name][-1]
    missing, places = [last[1] + 1, last[1] + 4], [last[2] + 1, last[2] + 4]
    draft.add_act("restored", {"missing": missing, "behind": "11" * 32, "places": places}, OURS, skip=4, link="11" * 32)


@case("ledger that was put back with an act that lies about it", {ACTS: [(ALTERED, 28, 28), (GAP, 0, 0)]})
def _put_back_lie(draft: Draft) -> None:
    last = [act for act in draft.acts if act[0] == OURS.name][-1]
    missing, places = [last[1] + 1, last[1] + 4], [last[2] + 1, last[2] + 4]
    draft.add_act("restored", {"missing": missing, "behind": "22" * 32, "places": places}, OURS, skip=4, link="11" * 32)


# -- records: edited -------------------------------------------------------------------------------------------------------


def _edit(name: str, at: int) -> None:
    @case(f"edited {name}", {KITCHEN: [(ALTERED, AT, AT)]})
    def edit(draft: Draft) -> None:
        draft.record(KITCHEN, AT)[at] += 1


for _name, _at in NUMBERS.items():
    _edit(_name, _at)


@case("edited event", {KITCHEN: [(ALTERED, AT, AT)]})
def _event(draft: Draft) -> None:
    draft.record(KITCHEN, AT)[FIELDS["event"]] = "near-miss" if draft.record(KITCHEN, AT)[3] != "near-miss" else "open"


@case("edited reason", {KITCHEN: [(ALTERED, AT, AT)]})
def _reason(draft: Draft) -> None:
    draft.record(KITCHEN, AT)[FIELDS["reason"]] = "refractory"


@case("edited seq", {KITCHEN: [(RESTARTED, 21, 21), (GAP, 20, 199)], ACTS: WRONG})
def _seq(draft: Draft) -> None:
    draft.record(KITCHEN, AT)[0] = 200


@case("edited boot", {KITCHEN: [(ALTERED, AT, AT)], ACTS: WRONG})
def _boot(draft: Draft) -> None:
    draft.record(KITCHEN, AT)[1] = 2


@case("edited link", {KITCHEN: [(ALTERED, AT, AT)]})
def _link(draft: Draft) -> None:
    draft.record(KITCHEN, AT)[14] = "00" * 12


@case("edited mac", {KITCHEN: [(ALTERED, AT, AT)]})
def _mac(draft: Draft) -> None:
    draft.record(KITCHEN, AT)[15] = "00" * 8


@case("edited body and link", {KITCHEN: [(ALTERED, AT, AT + 1)]})
def _body_and_link(draft: Draft) -> None:
    draft.record(KITCHEN, AT)[5] += 1
    draft.record(KITCHEN, AT)[14] = "00" * 12


@case("edited first record", {STUDY: [(ALTERED, 1, 1)]})
def _first(draft: Draft) -> None:
    draft.record(STUDY, 1)[12] += 1


@case("edited last record and its link", {STUDY: [(ALTERED, 50, 50)]})
def _last(draft: Draft) -> None:
    draft.record(STUDY, 50)[12] += 1
    draft.record(STUDY, 50)[14] = "00" * 12
    draft.put(STUDY, draft.records(STUDY))


@case("edited records behind a purge and far from it", {KITCHEN: [(ALTERED, 14, 14), (ALTERED, 60, 62)]})
def _several(draft: Draft) -> None:
    for seq in (14, 60, 61, 62):
        draft.record(KITCHEN, seq)[12] += 1


@case("edited time of taking", {ACTS: WRONG})
def _taken(draft: Draft) -> None:
    draft.records(STUDY)[9]["at"] -= 3_600_000


@case("record with a name that no record has", refused=4)
def _no_event(draft: Draft) -> None:
    draft.record(KITCHEN, AT)[3] = "opened"


@case("record with a number that does not fit", refused=4)
def _no_number(draft: Draft) -> None:
    draft.record(KITCHEN, AT)[5] = 256


# -- records: swapped, dropped, replayed -------------------------------------------------------------------------------------


@case("swapped lines", {KITCHEN: [(GAP, AT, AT), (RESTARTED, AT, AT), (GAP, AT + 1, AT + 1)]})
def _swapped(draft: Draft) -> None:
    lines = draft.records(KITCHEN)
    at = lines.index(_line(draft, KITCHEN, AT))
    draft.put(KITCHEN, [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]])


@case("swapped contents", {KITCHEN: [(ALTERED, AT, AT + 1)]})
def _contents(draft: Draft) -> None:
    one, other = draft.record(KITCHEN, AT), draft.record(KITCHEN, AT + 1)
    one[2:14], other[2:14] = other[2:14], one[2:14]


@case("swapped whole records under the other's number", {KITCHEN: [(ALTERED, AT, AT + 2)]})
def _sealed_contents(draft: Draft) -> None:
    one, other = draft.record(KITCHEN, AT), draft.record(KITCHEN, AT + 1)
    one[2:], other[2:] = other[2:], one[2:]


@case("dropped first record", {STUDY: [(GAP, 1, 1)]})
def _drop_first(draft: Draft) -> None:
    draft.drop(STUDY, 1, 1)


@case("dropped record", {KITCHEN: [(GAP, AT, AT)]})
def _drop(draft: Draft) -> None:
    draft.drop(KITCHEN, AT, AT)


@case("dropped run up to a purge", {KITCHEN: [(GAP, 3, 5)]})
def _drop_run(draft: Draft) -> None:
    draft.drop(KITCHEN, 3, 5)


@case("dropped start", {KITCHEN: [(GAP, 41, 70)]})
def _drop_start(draft: Draft) -> None:
    draft.drop(KITCHEN, 41, 70)


@case("dropped tail with the head that was kept", {STUDY: [(CUT, 46, 50)]})
def _drop_tail(draft: Draft) -> None:
    draft.drop(STUDY, 46, 50)
    draft.header(STUDY)["anchors"] = []


@case("dropped tail with the purges and clocks that stand there", {KITCHEN: [(CUT, 71, 90)], ACTS: WRONG})
def _drop_last_start(draft: Draft) -> None:
    draft.drop(KITCHEN, 71, 90)
    draft.header(KITCHEN).update(labels=[row for row in draft.header(KITCHEN)["labels"] if row["boot"] < 3])


@case("dropped records of a board, all of them", {GARAGE: [(CUT, 1, 12)]})
def _drop_all(draft: Draft) -> None:
    draft.drop(GARAGE, 1, 12)


@case("dropped board", {GARAGE: [], ACTS: WRONG})
def _drop_garage(draft: Draft) -> None:
    _drop_board(draft, GARAGE)


@case("dropped board with what acts say of it", {GARAGE: []})
def _drop_board_and_bodies(draft: Draft) -> None:
    """As an export of the other boards is: it shows no more, and says so."""
    leave_out(draft, GARAGE)


@case("replayed records of another board", {STUDY: [(ALTERED, 21, 21), (ALTERED, 31, 31)]})
def _other_board(draft: Draft) -> None:
    for seq in range(21, 31):
        draft.record(STUDY, seq)[2:] = draft.record(KITCHEN, seq)[2:]


@case("replayed start", {STUDY: [(RESTARTED, 1, 1), (CUT, 31, 50)]})
def _replayed(draft: Draft) -> None:
    draft.put(STUDY, [*draft.records(STUDY), *draft.records(STUDY)[:30]])


@case("doubled record", {STUDY: [(RESTARTED, 7, 7)]})
def _doubled(draft: Draft) -> None:
    lines = draft.records(STUDY)
    draft.put(STUDY, [*lines[:7], lines[6], *lines[7:]])


@case("one more record by whoever has the board's key", {STUDY: [(INTACT, 1, 51)], ACTS: WRONG})
def _invented(draft: Draft) -> None:
    last = draft.records(STUDY)[-1]
    (slot,) = seal_all([fields(51, 9_000_000, "mute", boot=2)], STUDY, KEYS[STUDY], bytes.fromhex(last["rec"][14]))
    draft.put(STUDY, [*draft.records(STUDY), {"rec": record.slot_to_wire(slot), "at": last["at"]}])


# -- records: restamped ------------------------------------------------------------------------------------------------------


def _restamped(draft: Draft, key: bytes | None = None) -> None:
    draft.record(KITCHEN, AT)[4] = "word"  # it was the button
    draft.restamp(KITCHEN, AT, key)


@case("restamped", {KITCHEN: [(ALTERED, 90, 90)]})
def _restamp(draft: Draft) -> None:
    _restamped(draft)


@case("restamped with the board's key", {KITCHEN: [(ALTERED, 90, 90)]})
def _restamp_with_key(draft: Draft) -> None:
    _restamped(draft, KEYS[KITCHEN])


@case("restamped without a record of the middle", {STUDY: [(CUT, 50, 50), (ALTERED, 49, 49)], ACTS: WRONG})
def _restamp_shorter(draft: Draft) -> None:
    lines = [line for line in draft.records(STUDY) if line["rec"][0] != AT]
    for seq, line in enumerate(lines, 1):
        line["rec"][0] = seq
    draft.put(STUDY, lines)
    draft.restamp(STUDY, AT)
    draft.header(STUDY)["anchors"] = [{"boot": 2, "seq": 49, "link": "00" * 12, "at_ms": 1}]


@case("restamped without the acts", {KITCHEN: [(INTACT, 1, 90)], ACTS: [(CANNOT, 0, 0)]})
def _restamp_no_acts(draft: Draft) -> None:
    _restamped(draft)
    draft.put_acts([])


@case("restamped, every act made anew by another key")
def _restamp_all(draft: Draft) -> None:
    """What an export alone cannot tell: nobody's head, key or name is at hand."""
    _all_anew(draft)


@case("restamped, every act made anew by another key, one head was kept", {KITCHEN: [(ALTERED, 90, 90)], STUDY: [], GARAGE: []})
def _restamp_all_code(draft: Draft) -> None:
    draft.codes = [_code(draft, KITCHEN, 90)]
    leave_out(draft, STUDY, GARAGE)
    _all_anew(draft)


@case("restamped from before a head that was kept", {KITCHEN: [(ALTERED, 40, 40), (ALTERED, 90, 90)], STUDY: [], GARAGE: []})
def _restamp_code(draft: Draft) -> None:
    draft.codes = [_code(draft, KITCHEN, 40)]
    leave_out(draft, STUDY, GARAGE)
    _restamped(draft)


# -- anchor codes ------------------------------------------------------------------------------------------------------------


@case("heads that were kept and fit")
def _codes(draft: Draft) -> None:
    draft.codes = [_code(draft, KITCHEN, 30), _code(draft, STUDY, 50), _code(draft, KITCHEN, 1)]


@case("head of the last purged record")
def _code_of_purge(draft: Draft) -> None:
    draft.codes = [make_code(13, bytes.fromhex(draft.header(KITCHEN)["purges"][0]["head_after"]))]


@case("head that fits none of several boards", refused=2)
def _code_of_none(draft: Draft) -> None:
    draft.codes = [make_code(30, bytes(12))]


@case("mistyped code", refused=2)
def _no_code(draft: Draft) -> None:
    draft.codes = [_code(draft, KITCHEN, 30).translate(str.maketrans("0123456789", "1234567890"))]


@case("head of a purged record", {KITCHEN: [(CANNOT, 9, 9)], STUDY: [], GARAGE: []})
def _code_in_purge(draft: Draft) -> None:
    leave_out(draft, STUDY, GARAGE)
    draft.codes = [make_code(9, bytes(12))]


@case("head beyond the end", {STUDY: [(CUT, 51, 70)], KITCHEN: [], GARAGE: []})
def _code_beyond(draft: Draft) -> None:
    leave_out(draft, KITCHEN, GARAGE)
    draft.codes = [make_code(70, bytes(12))]


@case("older copy of a file, and a newer head", {STUDY: [(CUT, 31, 50)], KITCHEN: [], GARAGE: []})
def _older_copy(draft: Draft) -> None:
    draft.codes = [_code(draft, STUDY, 50)]
    leave_out(draft, KITCHEN, GARAGE)
    _older(draft)


@case("older copy of a file", {STUDY: [(INTACT, 1, 30)], KITCHEN: [], GARAGE: []})
def _older_copy_alone(draft: Draft) -> None:
    """A file is not older by itself: what came afterwards cannot be known from it."""
    leave_out(draft, KITCHEN, GARAGE)
    _older(draft)


# -- files: cut and put together ---------------------------------------------------------------------------------------------


@case("cut in the middle of a line", refused=4)
def _cut_line(draft: Draft) -> None:
    draft.cut = len(draft.text()) // 2


@case("cut behind a record", refused=4)
def _cut_record(draft: Draft) -> None:
    del draft.lines[30:]


@case("cut behind a board", refused=4)
def _cut_acts(draft: Draft) -> None:
    draft.lines = [line for line in draft.lines if not {"act", "acts"} & set(line)]


@case("end of a board taken out", refused=4)
def _cut_end(draft: Draft) -> None:
    del draft.lines[1 + len(draft.records(KITCHEN))]


@case("last line taken out", refused=4)
def _cut_count(draft: Draft) -> None:
    del draft.lines[-1]


@case("record taken out and not counted", refused=4)
def _cut_uncounted(draft: Draft) -> None:
    del draft.lines[7]


@case("end with another head", refused=4)
def _other_end(draft: Draft) -> None:
    draft.lines[1 + len(draft.records(KITCHEN))]["link"] = "00" * 12


@case("board twice", refused=4)
def _twice(draft: Draft) -> None:
    begin = draft.lines.index(draft.header(GARAGE))
    section = draft.lines[begin : begin + len(draft.records(GARAGE)) + 2]
    draft.lines[begin:begin] = section


@case("garbage behind the end", refused=4)
def _garbage(draft: Draft) -> None:
    draft.behind = b"\xff\xfe{}\n"


@case("line that does not belong there", refused=4)
def _out_of_place(draft: Draft) -> None:
    draft.lines.append(draft.lines[1])


@case("no header", refused=2)
def _no_header(draft: Draft) -> None:
    del draft.lines[0]


@case("format of a newer Earlid", refused=2)
def _newer(draft: Draft) -> None:
    draft.lines[0]["format"] = 9


@case("format without acts", {ACTS: [(CANNOT, 0, 0)]})
def _format_1(draft: Draft) -> None:
    draft.lines = [line | ({"format": 1} if "earlid" in line else {}) for line in draft.lines if not {"act", "acts"} & set(line)]


@case("header that no export has", refused=4)
def _odd_header(draft: Draft) -> None:
    draft.header(KITCHEN)["labels"][0]["boot"] = -1


# -- purges ------------------------------------------------------------------------------------------------------------------


@case("purge without an act", {STUDY: [(GAP, 21, 25)], ACTS: WRONG})
def _purge_no_act(draft: Draft) -> None:
    draft.purge(STUDY, 1, 21, 25, lambda body: None)


@case("purge by another key in our name", {STUDY: [(GAP, 21, 25)], ACTS: [*WRONG, (ALTERED, 24, 24)]})
def _purge_forged(draft: Draft) -> None:
    draft.purge(STUDY, 1, 21, 25, lambda body: draft.add_act("purge", body, NOBODYS))


@case("purge with other links around it", {STUDY: [(ALTERED, 20, 20), (ALTERED, 26, 26)]})
def _purge_links(draft: Draft) -> None:
    def sign(body: dict[str, Any]) -> None:
        body["runs"][0].update(head_before="00" * 12, head_after="11" * 12)
        draft.add_act("purge", body, OURS)

    draft.purge(STUDY, 1, 21, 25, sign)


@case("purge whose receipt was taken out", {ACTS: WRONG})
def _purge_receipt(draft: Draft) -> None:
    draft.header(KITCHEN)["purges"] = []


@case("purge whose act's words were taken out", {KITCHEN: [(GAP, 6, 13)], ACTS: WRONG})
def _purge_words(draft: Draft) -> None:
    draft.act("purge")[4] = None


@case("purge with another reason", {ACTS: WRONG})
def _purge_why(draft: Draft) -> None:
    draft.header(KITCHEN)["purges"][0]["why"] = "older than 12 months"


@case("words of a label's act taken out", {ACTS: WRONG})
def _label_words(draft: Draft) -> None:
    draft.act("label")[4] = None


@case("words of a label's act taken out with the label")
def _label_and_words(draft: Draft) -> None:
    """What an export alone cannot tell: it looks as one of other boards does; both verifiers say how many acts are silent."""
    draft.act("label")[4] = None
    del draft.header(KITCHEN)["labels"][0]


@case("words of an act that took records taken out", {STUDY: [(INTACT, 1, 50)], ACTS: WRONG})
def _took_words(draft: Draft) -> None:
    next(act for act in draft.acts if act[3] == "took" and STUDY in (act[4] or ""))[4] = None


# -- clocks and labels -------------------------------------------------------------------------------------------------------


@case("moved clock of the header", {ACTS: WRONG})
def _clock_header(draft: Draft) -> None:
    draft.header(STUDY)["clock_points"][0]["wall_ms"] += 3_600_000


@case("clock taken out of the header", {ACTS: WRONG})
def _clock_gone(draft: Draft) -> None:
    draft.header(STUDY)["clock_points"].pop()


@case("clock put into the header", {ACTS: WRONG})
def _clock_more(draft: Draft) -> None:
    draft.header(STUDY)["clock_points"].append({"boot": 7, "ms": 5, "wall_ms": START_MS, "unc_ms": 1})


def _move_clock(draft: Draft) -> int:
    act = draft.act("clock")
    before = json.loads(act[4])
    act[4] = act[4].replace(str(before["wall_ms"]), str(before["wall_ms"] + 3_600_000))
    row = next(row for row in draft.header(before["board"])["clock_points"] if row["wall_ms"] == before["wall_ms"])
    row["wall_ms"] += 3_600_000
    return int(act[1])


@case("moved clock in header and act", {ACTS: [(ALTERED, 3, 3), *WRONG]})
def _clock_both(draft: Draft) -> None:
    _move_clock(draft)


@case("moved clock in header and act, links made anew", {KITCHEN: [(GAP, 6, 13)], ACTS: [(ALTERED, 3, 23), *WRONG]})
def _clock_relinked(draft: Draft) -> None:
    number = _move_clock(draft)
    act = draft.act("clock")
    act[5] = acts.hash_of(act[4]).hex()
    draft.relink(number)


@case("moved wall time of a record, links made anew", {KITCHEN: [(ALTERED, 90, 90)]})
def _wall(draft: Draft) -> None:
    draft.record(KITCHEN, AT)[10] += 3_600_000
    draft.restamp(KITCHEN, AT)


@case("turned label", {ACTS: WRONG})
def _label(draft: Draft) -> None:
    row = draft.header(KITCHEN)["labels"][0]
    row["label"] = 1 - row["label"]


@case("turned label in header and act", {ACTS: [(ALTERED, 15, 15), *WRONG]})
def _label_both(draft: Draft) -> None:
    _label(draft)
    act = draft.act("label")
    act[4] = act[4].replace('"label":1', '"label":0')


@case("other name", {ACTS: WRONG})
def _other_name(draft: Draft) -> None:
    draft.header(KITCHEN)["name"] = "garage"


# -- acts --------------------------------------------------------------------------------------------------------------------


def _swap(draft: Draft, one: int, other: int) -> None:
    made = draft.acts
    made[one], made[other] = made[other], made[one]
    draft.put_acts(made)


@case("acts in another order", {ACTS: [(ALTERED, 11, 11), (GAP, 0, 0), *WRONG]})
def _order(draft: Draft) -> None:
    _swap(draft, 10, 11)


@case("acts of two computers in another order", {ACTS: [(ALTERED, 19, 19), (GAP, 0, 0)]})
def _order_of_two(draft: Draft) -> None:
    made = draft.acts
    at = next(i for i, act in enumerate(made) if act[0] == THEIRS.name)
    _swap(draft, at - 1, at)


@case("signature of another act in the middle")
def _signature_in_the_middle(draft: Draft) -> None:
    """Harmless: the links behind it are signed, and vouch for it."""
    draft.act("label")[7] = draft.act("label", 1)[7]


@case("signature of another act at the end", {ACTS: [(ALTERED, 23, 23), *WRONG]})
def _signature(draft: Draft) -> None:
    [act for act in draft.acts if act[0] == OURS.name][-1][7] = draft.act("label")[7]


@case("act signed by another key", {ACTS: [(ALTERED, 23, 23), *WRONG]})
def _signed_by_another(draft: Draft) -> None:
    act = [act for act in draft.acts if act[0] == OURS.name][-1]
    act[7] = NOBODYS.sign(bytes.fromhex(act[6])).hex()


@case("key of the first act swapped", {KITCHEN: [(GAP, 6, 13)], ACTS: [(ALTERED, 1, 1), (ALTERED, 1, 23), *WRONG]})
def _key(draft: Draft) -> None:
    draft.say(draft.act("begin"), key=NOBODYS.public_key)


@case("number twice", {ACTS: [(ALTERED, 4, 4), *WRONG]})
def _number(draft: Draft) -> None:
    made = draft.acts
    draft.put_acts([*made, [*made[3][:2], made[-1][2] + 1, *made[3][3:]]])


@case("place twice", {ACTS: [(ALTERED, 5, 5), (GAP, 0, 0), *WRONG]})
def _place(draft: Draft) -> None:
    draft.acts[4][2] = draft.acts[3][2]


@case("act left out", {ACTS: [(GAP, 0, 0)]})
def _left_out(draft: Draft) -> None:
    draft.put_acts([act for act in draft.acts if act is not draft.act("note")])


@case("first act left out", {KITCHEN: [(GAP, 6, 13)], ACTS: [(ALTERED, 1, 23), (GAP, 0, 0), *WRONG]})
def _first_left_out(draft: Draft) -> None:
    draft.put_acts(draft.acts[1:])


@case("acts left out and the others numbered anew", {KITCHEN: [(GAP, 6, 13)], ACTS: [(ALTERED, 18, 22), (ALTERED, 1, 4), *WRONG]})
def _renumbered(draft: Draft) -> None:
    gone = draft.act("note")
    for act in draft.acts:
        if act[0] == OURS.name and act[1] > gone[1]:
            act[1] -= 1
        act[2] -= act[2] > gone[2]
    draft.put_acts([act for act in draft.acts if act is not gone])
    draft.relink(gone[1])


@case("another computer's acts left out", {ACTS: [(GAP, 0, 0), *WRONG]})
def _theirs_left_out(draft: Draft) -> None:
    draft.put_acts([act for act in draft.acts if act[0] == OURS.name])


@case("last acts left out with what they say")
def _tail_left_out(draft: Draft) -> None:
    """What an export alone cannot tell: how far a computer signed is kept beside its key."""
    said = json.loads(draft.acts[-1][4])
    draft.put_acts(draft.acts[:-1])
    labels = draft.header(said["board"])["labels"]
    draft.header(said["board"])["labels"] = [row for row in labels if row["seq"] != said["seq"]]


@case("act under another computer's name", {ACTS: [(GAP, 0, 0), (ALTERED, 1, 18), (ALTERED, 1, 4), *WRONG]})
def _other_computer(draft: Draft) -> None:
    draft.act("note")[0] = THEIRS.name


@case("act of another kind", {ACTS: [(ALTERED, 18, 18)]})
def _kind(draft: Draft) -> None:
    draft.act("note")[3] = "name"


@case("act of a kind that nobody knows, signed", {ACTS: [(CANNOT, 24, 24)]})
def _unknown_kind(draft: Draft) -> None:
    draft.add_act("oath", {"board": STUDY}, OURS)


@case("act whose words are not its kind's, signed", {ACTS: [(CANNOT, 24, 24)]})
def _unread(draft: Draft) -> None:
    draft.add_act("label", {"board": STUDY, "boot": "2", "seq": None}, OURS)


@case("act's words that are no JSON, signed", {ACTS: [(CANNOT, 24, 24)]})
def _no_json(draft: Draft) -> None:
    draft.add_act("note", {}, OURS, text="{")


@case("act on a board that is not there, signed", {ACTS: WRONG})
def _absent(draft: Draft) -> None:
    draft.add_act("name", {"board": "abcdef", "name": "cellar"}, OURS)


@case("act with a hash of another length", {ACTS: [(ALTERED, 18, 18)]})
def _short_hash(draft: Draft) -> None:
    draft.act("note")[5] = "00"


@case("act that is none", refused=4)
def _no_act(draft: Draft) -> None:
    draft.act("note").pop()


# -- what several use --------------------------------------------------------------------------------------------------------


def _line(draft: Draft, board: str, seq: int) -> dict[str, Any]:
    return next(line for line in draft.records(board) if line["rec"][0] == seq)


def _drop_board(draft: Draft, board: str) -> None:
    begin = draft.lines.index(draft.header(board))
    del draft.lines[begin : begin + len(draft.records(board)) + 2]


def leave_out(draft: Draft, *absent: str) -> None:
    """Boards with what acts say of them, as an export of the others does."""
    for board in absent:
        _drop_board(draft, board)
    for act in draft.acts:
        if act[4] and json.loads(act[4]).get("board") in absent:
            act[4] = None


def _code(draft: Draft, board: str, seq: int) -> str:
    return make_code(seq, bytes.fromhex(draft.record(board, seq)[14]))


def _all_anew(draft: Draft) -> None:
    """Restamp a board, and make everything that a computer signed anew under a forger's name."""
    before = [line["rec"][14] for line in draft.records(KITCHEN)]
    _restamped(draft)
    after = [line["rec"][14] for line in draft.records(KITCHEN)]
    draft.forge_all(NOBODYS, dict(zip(before, after, strict=True)))


def _older(draft: Draft) -> None:
    """The study's file as it was before its second start."""
    draft.drop(STUDY, 31, 50)
    header = draft.header(STUDY)
    header.update(anchors=[], labels=[], clock_points=[row for row in header["clock_points"] if row["boot"] == 1])
    at = next(i for i, act in enumerate(draft.acts) if act[4] and '"runs":[[2,31' in act[4])
    draft.put_acts(draft.acts[:at])
