# SPDX-License-Identifier: MIT
"""What the page decodes and computes is what the host does with the same bytes."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from earlid import filesystem
from earlid.board.detect import NO_WORD, no_word_text
from earlid.flash import foreign, partitions
from earlid.flash.progress_bars import remaining_s
from earlid.ledger.anchor_code import make_code
from earlid.ledger.time_format import span_text
from lid import wire, wire_schema

from tests.flash.release_image import ROWS, VFS_ROW, esp_image, release, table
from tests.flash.test_foreign import application

pytestmark = pytest.mark.skipif(shutil.which("npm") is None, reason="no npm here (apt-get install npm)")
SEED = 20261127
PIECES = (b"#", b"*", b" {", b"\n", b"\r", b"\x00", b"\xff", b">>> ", b"}", b'"', b"#1 {", b"000000", b"7")
HI = {
    "board": "8891236753af0e48", "boot": 1, "ms": 11432, "seq": 9, "oldest": 1, "link": "8aa454471675a0b713ccbba6", "fw": "0.2.0",
    "proto": 2, "state": "closed", "mute": False, "why": "", "acked": 0, "word": "Okay Nabu", "model": "", "config": "deadbeef",
    "guarded_mv": 208, "sentinel_mv": 3012, "dropped": 0, "overruns": 0, "maintenance": False, "presence": False,
    "ask": {"do": "pair", "digest": "51b7e219", "ms": 6000},
}  # fmt: skip
TM = {
    "ms": 12925, "state": "open", "live": 514, "rail": 208, "lvl": 65535, "score": 0, "prob": 0, "peak": 30, "clip": 0, "drop": 0,
    "over": 0, "quiet": 1,
}  # fmt: skip
REC = [9, 1, 10582, "close", "button", 0, 0, 0, 208, 3012, 0, 0, 514, 37749272, "8aa454471675a0b713ccbba6", "426ee38c9eea763e"]
ODD = (
    -1,
    0,
    1,
    255,
    256,
    2**32,
    2**48 - 1,
    2**48,
    1.5,
    True,
    None,
    "",
    "open",
    "x" * 1025,
    "é",
    "\u202e",
    "a\nb",
    "<b>",
    [],
    {},
    [1],
    {"do": 1},
)


def run(*calls):
    """Results of the page's functions: (name, argument...) each."""
    script = Path(__file__).with_name("modules.mjs")
    done = subprocess.run(["node", str(script)], input=json.dumps(calls), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_any_bytes_are_decoded_as_the_host_decodes_them():
    rng = random.Random(SEED)
    calls, expected = [], []
    for _ in range(1500):
        data = bytearray()
        for _ in range(rng.randrange(1, 8)):
            line = wire.encode(rng.randrange(2_000_000), {rng.choice("abc#"): rng.choice((1, "#2 {", "*", [1, {"x": " {"}]))})
            kind = rng.randrange(5)
            if kind == 0:
                line = line[: rng.randrange(len(line))]
            elif kind == 1:
                line = bytearray(line)
                line[rng.randrange(len(line))] ^= 1 << rng.randrange(8)
            elif kind == 2:
                line = b"".join(rng.choices(PIECES, k=rng.randrange(12)))
            elif kind == 3 and rng.random() < 0.1:
                line = b"#" * rng.randrange(2) + b"x" * rng.randrange(2040, 2060) + rng.choice((b"\n", b""))
            data += line
        data += b"\n"
        cut = rng.randrange(len(data))
        calls.append(("feed", data[:cut].hex(), data[cut:].hex()))
        decoder = wire.Decoder(wire.HOST_LINE_MAX)
        frames = decoder.feed(bytes(data[:cut])) + decoder.feed(bytes(data[cut:]))
        expected.append([[list(frame) for frame in frames], decoder.bad_lines])
    assert sum(len(frames) for frames, _ in expected) > 1500
    for call, result, right in zip(calls, run(*calls), expected, strict=True):
        assert result == right, (SEED, bytes.fromhex("".join(call[1:])))


def test_lines_are_those_of_the_host():
    bodies = [(3, {"id": 7, "do": "hello"}), (1_000_001, {"id": 0, "do": "hello"})]
    assert run(*(("encode", *one) for one in bodies)) == [wire.encode(*one).decode().rstrip("\n") for one in bodies]


def test_fields_are_taken_and_refused_as_by_the_host():
    rng = random.Random(SEED)
    calls, expected = [], []
    for _ in range(2000):
        kind, good, message = rng.choice((("hello", HI, wire_schema.Hello), ("telemetry", TM, wire_schema.Telemetry)))
        value = dict(good)
        for _ in range(rng.randrange(4)):
            value[rng.choice((*good, "other", "__proto__"))] = rng.choice(ODD)
        calls.append((kind, {"hi" if kind == "hello" else "tm": value}))
        expected.append(wire_schema.known_fields(value, message))
    for _ in range(1000):
        row = list(REC)
        if rng.random() < 0.8:
            row[rng.randrange(len(row))] = rng.choice((*ODD, "0" * 24, "0" * 16))
        if rng.random() < 0.1:
            row.append(0)
        named = dict(zip(wire_schema.Record._fields, row, strict=False))
        right = len(row) == len(wire_schema.Record._fields) and wire_schema.known_fields(named, wire_schema.Record) == named
        calls.append(("record", {"rec": row}))
        expected.append(named if right else None)
    results = run(*calls, ("record", {}), ("hello", {"hi": None}), ("telemetry", {"tm": [1]}))
    assert results[-3:] == [None, {}, {}]
    for call, result, right in zip(calls, results, expected, strict=False):
        assert result == right, (SEED, call)


def test_anchor_codes_are_those_that_the_host_prints():
    rng = random.Random(SEED)
    heads = [(rng.randrange(1, 2 ** rng.randrange(1, 33)), rng.randbytes(12)) for _ in range(300)]
    assert run(*(("anchorCode", seq, link.hex()) for seq, link in heads)) == [make_code(*head) for head in heads]


def test_programs_are_named_as_by_the_host():
    names = ["kettle", "arduino-lib-builder", "micropython", "", "x" * 31, "<b>\u202e\x1b[2J"]
    headers = [application(name, "1.0")[: foreign.LOOK_BYTES] for name in names]
    *results, hostile = run(*(("programOf", header.hex()) for header in headers))
    assert results == [foreign.program_of(header) for header in headers[:-1]]
    assert hostile.isprintable()


def test_file_system_is_where_micropython_looks_for_it():
    cases = [(table(rows), size) for rows in (ROWS, (*ROWS, VFS_ROW)) for size in (4 << 20, 16 << 20)]
    expected = [partitions.file_system(partitions.parse(data), (1, 26, 1), size) for data, size in cases]
    results = run(*(("fileSystem", data.hex(), size) for data, size in cases), ("fileSystem", "ff" * 0xC00, 4 << 20))
    assert results == [*({"offset": one.offset, "bytes": one.size_bytes} for one in expected), None]


def test_a_board_of_earlids_is_told_from_a_bare_micropython():
    loader, erased = esp_image(b"boot loader")[: foreign.LOOK_BYTES], b"\xff" * foreign.LOOK_BYTES
    app = release().data[0xF000:][:4096]
    for files, found in (
        ({"/boot.py": b"", "/notes/identity.txt.old": b"journal"}, "micropython"),
        ({"/boot.py": b"", "/journal/segment": b"\xff" * 4096}, "micropython"),  # an image that never started
        ({"/other": b""}, "earlid"),  # it may be: the root's entries are elsewhere
        ({"/boot.py": b"", "/identity": b"8891236753af0e48"}, "earlid"),
    ):
        root = filesystem.build(files, 1 << 20)[: 2 * partitions.SECTOR_BYTES]
        calls = [("whatIsThere", *(part.hex() for part in parts)) for parts in ((loader, app, root), (erased, erased, erased))]
        assert [result["found"] for result in run(*calls)] == [found, "empty"]


def test_words_for_spans_and_reasons_are_the_command_lines():
    rng = random.Random(SEED)
    spans = [59_949, 59_999, 60_000, 3_599_999, *(rng.randrange(10 ** rng.randrange(1, 9)) for _ in range(300))]
    spans = [ms for ms in spans if ms % 500 != 250]  # a tie, which the two languages round to different sides
    stages = [(rng.randrange(total + 1), total, rng.randrange(9000)) for total in (0, 10, 1000, 1_200_000) for _ in range(75)]
    hellos = [{"no_word": reason, "missing": 2104} for reason in ("", *NO_WORD, "new-reason")]
    results = run(
        *(("duration", ms) for ms in spans), *(("timeLeft", *one) for one in stages), *(("noWord", hi) for hi in hellos)
    )
    left = [remaining_s(done, total, ms / 1000) for done, total, ms in stages]
    assert results[: len(spans)] == [span_text(ms) for ms in spans]
    for text, expected_s in zip(results[len(spans) :], left, strict=False):
        found = re.fullmatch(r", about (\d+) s left", text)
        assert (found is None) == (expected_s is None)
        assert found is None or abs(int(found[1]) - expected_s) <= 0.5
    assert results[len(spans) + len(stages) :] == [no_word_text(hi) for hi in hellos]
