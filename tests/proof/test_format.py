# SPDX-License-Identifier: MIT
"""The documented format alone: the worked example of FORMAT.md, every value made anew with hashlib from what the pages say."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import re
import zlib
from pathlib import Path

from earlid.cli import main
from earlid.ledger.judge_export import judge_file
from earlid.ledger.replay import PURGE_COLUMNS
from lid import record

from tests.ledger.synthetic_chains import life
from tests.proof.corpus import make_ledger

ROOT = Path(__file__).parents[2]
PROTOCOL = (ROOT / "firmware" / "PROTOCOL.md").read_text(encoding="utf-8")
FORMAT = (ROOT / "host" / "earlid" / "ledger" / "FORMAT.md").read_text(encoding="utf-8")
KEY = bytes(range(32))


def rows_of(name: str) -> list[list[str]]:
    """The cells of a table of PROTOCOL.md, without its head."""
    match = re.search(rf"<!-- table: {name} -->\n(.*?)<!-- end -->", PROTOCOL, re.DOTALL)
    assert match
    lines = match[1].strip().splitlines()[2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def names_of(column: int) -> list[str]:
    """Events or reasons in the order of their codes."""
    cells = (row[column].replace("`", "").split() for row in rows_of("codes"))
    return ["" if name == "(none)" else name for cell in cells for name in cell]


SLOT = [(int(at), int(size), field) for at, size, field, _ in rows_of("slot")]
EVENTS, REASONS = names_of(1), names_of(2)


def slot_of(values: list) -> bytes:
    """64 bytes of the list that the wire carries, from the tables alone."""
    named = dict(zip([field for _, _, field in SLOT], values, strict=False))
    named |= {"event": EVENTS.index(named["event"]), "reason": REASONS.index(named["reason"])}
    slot = b"".join(
        bytes.fromhex(named[field]) if field in ("link", "mac") else named[field].to_bytes(size, "little")
        for _, size, field in SLOT[:-1]
    )
    return slot + zlib.crc32(slot).to_bytes(4, "little")


def example() -> list[dict]:
    return [json.loads(line) for line in FORMAT.split("<!-- example -->\n```\n")[1].split("```")[0].splitlines()]


def test_slot_of_the_tables_is_the_firmwares():
    assert [at for at, _, _ in SLOT] == [sum(size for _, size, _ in SLOT[:i]) for i in range(len(SLOT))]
    for slot in life(50, zero_ms=1_790_000_000_000):
        assert slot_of(record.slot_to_wire(slot)) == slot
    assert (tuple(EVENTS), tuple(REASONS)) == (record.EVENTS, record.REASONS)


def test_example_records_follow_from_the_pages():
    header, *lines = example()
    board = header["board"]
    link = hashlib.sha256(b"earlid chain 1 " + board.encode("ascii")).digest()[:12]
    records = [line["rec"] for line in lines if "rec" in line]
    for values in records:
        slot = slot_of(values)
        body, mac = slot[:40], hmac.new(KEY, link + slot[:40], "sha256").digest()[:8]
        link = hashlib.sha256(link + body + mac).digest()[:12]
        assert slot[40:60] == link + mac
    end = next(line for line in lines if "end" in line)
    assert end == {"end": board, "count": len(records), "seq": records[-1][0], "link": link.hex()}


def test_example_acts_follow_from_the_pages():
    lines = example()
    made = [line["act"] for line in lines if "act" in line]
    assert lines[-1] == {"acts": len(made)}
    key = bytes.fromhex(json.loads(made[0][4])["key"])
    link = bytes(32)
    for at, (installation, number, place, kind, body, body_hash, *seals) in enumerate(made, 1):
        assert installation == hashlib.sha256(key).hexdigest()[:16]
        assert (number, place) == (at, at)
        assert body == json.dumps(json.loads(body), sort_keys=True, separators=(",", ":"))
        assert body_hash == hashlib.sha256(body.encode("ascii")).hexdigest()
        numbers = number.to_bytes(8, "little") + place.to_bytes(8, "little")
        link = hashlib.sha256(link + installation.encode() + numbers + bytes.fromhex(body_hash) + kind.encode()).digest()
        assert seals[0] == link.hex()
        assert signed(key, b"earlid act 1\n" + link, bytes.fromhex(seals[1]))


def signed(key: bytes, message: bytes, signature: bytes) -> bool:
    """RFC 8032's equation, by hand: 8 S B = 8 R + 8 k A."""
    p, d = 2**255 - 19, -121665 * pow(121666, -1, 2**255 - 19) % (2**255 - 19)

    def add(one, other):
        (x1, y1), (x2, y2) = one, other
        product = d * x1 * x2 * y1 * y2
        return (x1 * y2 + x2 * y1) * pow(1 + product, -1, p) % p, (y1 * y2 + x1 * x2) * pow(1 - product, -1, p) % p

    def times(number, point):
        result = (0, 1)
        while number:
            result, point, number = add(result, point) if number & 1 else result, add(point, point), number >> 1
        return result

    def unpack(packed):
        y = int.from_bytes(packed, "little")
        sign, y = y >> 255, y & (1 << 255) - 1
        square = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
        x = pow(square, (p + 3) // 8, p)
        if (x * x - square) % p:
            x = x * pow(2, (p - 1) // 4, p) % p
        return (p - x if x & 1 != sign else x, y)

    base = unpack((4 * pow(5, -1, p) % p).to_bytes(32, "little"))
    factor = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little")
    left = times(int.from_bytes(signature[32:], "little"), base)
    return left == add(unpack(signature[:32]), times(factor, unpack(key)))


def test_example_anchor_code_follows_from_the_page():
    digits = re.findall(r"`([0-9A-Z]{32})`", FORMAT)[0]
    (code,) = re.findall(r"the anchor code is `([^`]*)`", FORMAT)
    seq, link = next((line["seq"], line["link"]) for line in example() if "end" in line)
    values = [seq, *(int(link[:10], 16) >> shift & 31 for shift in range(35, -1, -5))]
    check = 0
    for value in values:
        check = (check ^ value) << 1
        check ^= 37 if check >= 32 else 0
    assert code.replace("-", "") == "".join(digits[value] for value in (*values, check))


def test_example_is_an_export_that_is_judged_intact(tmp_path):
    path = tmp_path / "example.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in example()))
    judgements = judge_file(path)
    assert [finding.verdict for judgement in judgements for finding in judgement.findings] == ["intact", "intact"]
    assert f"the anchor code is `{judgements[0].code}`" in FORMAT


def test_block_of_a_report_is_read_as_the_page_says(tmp_path):
    location, page = make_ledger(tmp_path), tmp_path / "report.html"
    assert main(["review", "--since", "2000-01-01", "--html", str(page), "--ledger", str(location.path)]) == 0
    (block,) = re.findall(r'<script type="application/x-earlid" id="sealed">([^<]*)', page.read_text(encoding="utf-8"))
    data = gzip.decompress(base64.b64decode(block))
    size = int.from_bytes(data[:4], "little")
    header, columns = json.loads(data[4 : 4 + size]), data[4 + size :]
    ((name, kind, at),) = header["tables"]["slots"]["columns"]
    assert (name, kind, header["sealed"], header["partial"]) == ("bytes", "u1", 1, False)
    slots = columns[at : at + header["tables"]["slots"]["rows"]]
    for board in header["boards"]:
        mine, slots = slots[: 64 * board["count"]], slots[64 * board["count"] :]
        links = [mine[i + 40 : i + 52] for i in range(0, len(mine), 64)]
        assert links[-1].hex() == board["head"]["link"]
        ends = {bytes.fromhex(row["head_after"]) for row in board["tables"]["purges"]}
        for at, link in enumerate(links[1:], 1):
            body, mac = mine[64 * at : 64 * at + 40], mine[64 * at + 52 : 64 * at + 60]
            assert link in [hashlib.sha256(before + body + mac).digest()[:12] for before in (links[at - 1], *ends)]
    assert slots == b""
    assert [act[3] for act in header["acts"]][:2] == ["begin", "took"]


def test_columns_that_the_page_names_are_the_ledgers():
    assert f"`purges` with `{' '.join(PURGE_COLUMNS)}`" in FORMAT
