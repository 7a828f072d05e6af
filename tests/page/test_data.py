# SPDX-License-Identifier: MIT
"""Data of the page: packing, UTC offsets, change feed, size limit, Content-Security-Policy, the report's file."""

from __future__ import annotations

import base64
import hashlib
import re
import stat
from array import array
from datetime import datetime
from importlib.resources import files

import pytest
from earlid.cli import main
from earlid.errors import UserError
from earlid.ledger.boards import boards
from earlid.ledger.queries import totals
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger
from earlid.page import page_data
from earlid.page.document import FILE_SCRIPTS, SCRIPTS, checker, document, policy, verify_document
from earlid.page.feed import Feed
from earlid.page.pack import pack, unpack
from earlid.page.tz_table import offsets, zone_name

from tests.page.synthetic import CUTOFF, KITCHEN, household, last_ms, store


def ms(*parts):
    return int(datetime(*parts).timestamp() * 1000)


def test_packed_block_unpacks_to_its_input():
    tables = {
        "one": {"t": array("d", [1.5, 2.5, 1e15]), "n": array("B", [1, 2, 255])},
        "none": {"t": array("d"), "n": array("b")},
    }
    header, opened = unpack(pack({"word": "Ohr <b>", "names": [1]}, tables))
    assert header["word"] == "Ohr <b>"
    assert header["tables"]["one"]["rows"] == 3
    for table, columns in tables.items():
        for name, values in columns.items():
            assert opened[table][name] == values
            assert opened[table][name].typecode == values.typecode
    assert all(place[2] % 8 == 0 for place in header["tables"]["one"]["columns"])


def test_offset_table_changes_where_the_clocks_do():
    found = offsets(ms(2026, 1, 1), ms(2026, 12, 31))
    assert found == [
        (ms(2026, 1, 1), 3_600_000),
        (1_774_746_000_000, 7_200_000),  # 29 March 2026, 01:00 UTC
        (1_792_890_000_000, 3_600_000),  # 25 October 2026, 01:00 UTC
    ]
    assert zone_name(ms(2026, 7, 1)) == "CEST (UTC+02:00)"
    assert len(offsets(0, 1 << 48)) < 400  # a clock set wrongly must not make it endless


def test_every_record_is_in_one_of_the_tables(past):
    location, kitchen, office = past
    with Reader(location) as reader:
        known = boards(reader)
        rows = page_data.load_rows(reader, known, None, None)
        counts = totals(reader, known)
    opened = sum(count for (event, _), count in counts.counts.items() if event == "open")
    assert len(rows.openings) == opened
    assert len(rows.points) + 2 * opened == counts.records == kitchen.seq + office.seq
    table = page_data.columns(rows.openings, page_data.OPENING_KINDS)
    assert table["t"].tolist() == sorted(table["t"])
    assert {most - least for most, least in zip(table["most"], table["least"], strict=True)} == {40}
    assert table["live"] == table["most"]
    assert set(table["cutoff"]) == {CUTOFF}


def test_too_many_records_for_a_page_are_an_error(past, monkeypatch):
    monkeypatch.setattr(page_data, "MAX_RECORDS", 100)
    with Reader(past[0]) as reader, pytest.raises(UserError, match="--since or --board"):
        page_data.check_size(reader, boards(reader), None, None)


def test_report_file_is_whole_private_and_leaves_no_other(report):
    text = report.read_text()
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert "{{" not in text.split("<script", 1)[0]
    assert text.count("<script") == text.count("</script") == 4  # two blocks of data, and two scripts
    assert re.findall(r"""(?:src|href)=["'](?!#|data:)[^"']*""", text) == []
    assert "style=" not in text.split("</style>")[1].split("<script")[0]  # the policy would not let them work
    assert [path for path in report.parent.iterdir() if path.name.startswith(".report")] == []


def test_policy_hashes_match_script_and_style(report):
    text = report.read_text()
    rules = policy(served=False)
    assert f'content="{rules}"' in text
    for tag, count in (("style", 1), ("script", 2)):
        inner = re.findall(rf'<{tag}(?: id="checker")?>(.*?)</{tag}>', text, re.S)
        digests = [f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'" for part in inner]
        assert len(digests) == count
        assert f"{tag}-src {' '.join(digests)};" in rules
    assert "unsafe" not in rules + policy(served=True)
    assert "connect-src" not in rules


def test_scripts_are_short_and_complete():
    page = document(None) + verify_document()
    scripts = {*SCRIPTS, *FILE_SCRIPTS, *checker()}
    for name in {*SCRIPTS, *FILE_SCRIPTS}:
        assert f"earlid.{name.removesuffix('.js')}" in page or name in ("base.js", "main.js", "proof_file.js")
    static = files("earlid.page").joinpath("static")
    for part in (
        item for folder in (static, static / "verifier") if folder.is_dir() for item in folder.iterdir() if item.is_file()
    ):
        assert str(part).removeprefix(f"{static}/") in {*scripts, "page.html", "proof.html", "verify.html", "page.css"}
        assert len(part.read_text().splitlines()) < 400, part.name


def test_unwritable_report_is_an_error(past, tmp_path, capsys):
    words = ["review", "--html", str(tmp_path / "no" / "such.html"), "--ledger", str(past[0].path)]
    assert main(words) == 1
    assert "Name another file" in capsys.readouterr().err
    assert main([*words, "--event", "open"]) == 2
    assert main(["review", "--serve", "--listen", "everywhere", "--ledger", str(past[0].path)]) == 2


def test_recent_days_come_first_in_a_large_ledger(past, monkeypatch):
    feed = Feed(past[0], [], None, None, lambda: ms(2026, 11, 21, 23))
    header, tables = unpack(feed.recent())
    assert header["whole"]
    assert min(tables["openings"]["t"]) < ms(2026, 11, 1)
    monkeypatch.setattr("earlid.page.feed.FEW_RECORDS", 100)
    fresh = Feed(past[0], [], None, None, lambda: ms(2026, 11, 21, 23))
    header, few = unpack(fresh.recent())
    assert not header["whole"]
    since_ms = min(few["openings"]["t"])
    assert ms(2026, 11, 13) <= since_ms < ms(2026, 11, 15)
    assert few["openings"]["t"].tolist() == [t for t in tables["openings"]["t"] if t >= since_ms]
    assert unpack(fresh.block())[0]["whole"]
    assert unpack(fresh.recent())[0]["whole"]  # at hand by now
    feed.close()
    fresh.close()


def label_of(table, number):
    return [label for label, seq in zip(table["label"], table["seq"], strict=True) if seq == number][-1]


def test_feed_reports_new_records_and_labels(home, tmp_path):
    location, kitchen, _ = household(tmp_path / "feed.sqlite", days=2)
    feed = Feed(location, [], None, None, lambda: last_ms(kitchen) + 1000)
    header, tables = unpack(feed.block())
    assert header["revision"] == feed.poll() == 0
    assert feed.changes_since(0) == []
    with Ledger(location) as ledger:
        at_ms = last_ms(kitchen) + 5000
        number = kitchen.opening(at_ms, "word", 4000, "silence", 230)
        store(ledger, kitchen)
        assert feed.poll() == 1
        ((_, change),) = feed.changes_since(0)
        assert next(row for row in change["openings"] if row[4] == number)[5:8] == (4020, 3980, 4020)
        ledger.set_label(KITCHEN, kitchen.boot, number, False)
        assert feed.poll() == 2
        assert feed.changes_since(1) == [(2, {"labels": [[KITCHEN, kitchen.boot, number, 0]]})]
        more = unpack(feed.block())[1]["openings"]
        assert len(more["t"]) == len(tables["openings"]["t"]) + 1
        assert label_of(more, number) == 0
        ledger.set_label(KITCHEN, kitchen.boot, number, None)
        feed.poll()
        again = unpack(feed.block())[1]["openings"]
        assert label_of(again, number) == -1
        ledger.set_name(KITCHEN, "attic")
        feed.poll()
        assert feed.changes_since(3) == [(4, {"reload": True})]
        assert feed.changes_since(99) == [(4, {"reload": True})]
    assert feed.can_label(KITCHEN, kitchen.boot, number)
    assert not feed.can_label(KITCHEN, kitchen.boot, number + 1)  # its close
    assert not feed.can_label("0123456789abcdef", kitchen.boot, number)
    feed.close()
