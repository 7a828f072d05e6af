# SPDX-License-Identifier: MIT
"""Reports that check themselves, and the page that checks any file, in a real browser: whole ones and altered ones."""

from __future__ import annotations

import base64
import re
import sys
import zlib
from array import array
from datetime import datetime

import pytest
from earlid.cli import main
from earlid.ledger import jsonl
from earlid.ledger.anchor_code import make_code
from earlid.ledger.anchor_qr import qr_lines
from earlid.ledger.boards import boards
from earlid.ledger.reader import Reader
from earlid.page.pack import pack, unpack
from earlid.page.report import make_page

from tests.page.chromium import beyond_its_card
from tests.page.heavy import heavy_page
from tests.page.synthetic import KITCHEN, SyntheticBoard

expect = pytest.importorskip("playwright.sync_api").expect
STATE = "#proof[data-state={}]"
DROP = """([name, text]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([text], name));
    dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, cancelable: true }));
}"""
COUNT_FRAMES = "window.frames_drawn = 0; (function count() { frames_drawn += 1; requestAnimationFrame(count); })();"
# What a browser with a reader of QR codes has; this one reads the same code in every picture.
READER = """globalThis.BarcodeDetector = class {
    static async getSupportedFormats() { return ["qr_code"]; }
    async detect(image) { return (image.videoWidth ?? image.width) ? [{ rawValue: "%s" }] : []; }
};"""

CAMERA = """navigator.mediaDevices.getUserMedia = async () => {
    const canvas = document.createElement("canvas");
    canvas.getContext("2d").fillRect(0, 0, 10, 10);
    return (window.camera = canvas.captureStream(10));
};"""


def changed(page_text, name, change):
    """A report of which `change` has altered the header and tables of a block in place."""
    begins = f'id="{name}">'
    before, block, after = re.fullmatch(f"(.*{begins})(.*?)(</script>.*)", page_text, re.S).groups()
    header, tables = unpack(base64.b64decode(block))
    del header["tables"]
    change(header, tables)
    return before + base64.b64encode(pack(header, tables)).decode() + after


def proven(page):
    page.wait_for_selector("#proven h3")
    return page.inner_text("#proven")


@pytest.fixture(scope="module")
def head(past):
    """(number, link) of the kitchen's newest record."""
    with Reader(past[0]) as reader:
        sql = "SELECT seq, link FROM records WHERE board_id = :id ORDER BY boot DESC, seq DESC LIMIT 1"
        ((seq, link),) = reader.rows(sql, id=boards(reader)[0].id)
    return seq, bytes(link)


@pytest.fixture(scope="module")
def export(past, tmp_path_factory):
    file = tmp_path_factory.mktemp("proof") / "export.jsonl"
    with Reader(past[0]) as reader, file.open("w") as out:
        jsonl.export_boards(reader, boards(reader), out)
    return file


@pytest.fixture(scope="module")
def verify_page(home):
    file = home / "verify.html"
    assert main(["verify", "--html", str(file)]) == 0
    return file


@pytest.fixture
def dropped(opened, verify_page):
    """Drops a file onto the page that checks any; the page, once it has said what it found."""

    def drop(name, text, **options):
        page = opened(verify_page.as_uri(), ready=False, **options)
        page.on("request", lambda request: request.url.startswith("blob:") or opened.console_lines.append(request.url))
        page.evaluate(DROP, [name, text])
        proven(page)
        return page

    return drop


def test_report_checks_itself_in_a_worker(opened, report, past):
    page = opened("about:blank", ready=False)
    workers = []
    page.on("worker", lambda worker: workers.append(worker.url))
    page.goto(report.as_uri())
    text = proven(page)
    assert page.get_attribute("#proof", "data-state") == "good"
    with Reader(past[0]) as reader:
        ((records,),) = reader.rows("SELECT COUNT(*) FROM records")
    assert "Every number shown follows from the records" in text
    assert {"kitchen: Intact", "office: Intact", "What the computer added: Intact"} <= set(text.splitlines())
    links = [int(count.replace(",", "")) for count in re.findall(r"([\d,]+) links checked here", text)]
    assert sum(links) == records
    assert "nothing wrong found" in page.inner_text("#proof-state")
    assert [url[:5] for url in workers] == ["blob:"]
    assert page.locator("#boards .bad").count() == 0
    expect(page.locator("#scan-say")).to_have_text("This browser reads no QR codes: type the code.")
    assert page.is_hidden("#scan")
    assert page.is_hidden("#picture")


def test_altered_byte_in_the_sealed_block_is_named_at_the_top_too(opened, report, tmp_path):
    def alter(header, tables):
        tables["slots"]["bytes"][64 * 99 + 25] ^= 1  # of the kitchen's hundredth

    file = tmp_path / "altered.html"
    file.write_text(changed(report.read_text(), "sealed", alter))
    page = opened(file.as_uri())
    text = proven(page)
    assert page.get_attribute("#proof", "data-state") == "bad"
    assert "kitchen: Broken" in text
    assert "Altered at 100:" in text
    assert "office: Intact" in text
    expect(page.locator("#boards li", has_text="kitchen")).to_contain_text("its chain is broken")


def test_falsified_numbers_are_named_with_what_the_records_say(opened, report, tmp_path):
    def falsify(header, tables):
        rows = tables["openings"]
        for column in rows.values():
            column.pop()
        rows["most"][-1] = 900
        rows["label"][-2] = 1 - max(0, rows["label"][-2])

    file = tmp_path / "falsified.html"
    file.write_text(changed(report.read_text(), "pack", falsify))
    page = opened(file.as_uri())
    text = proven(page)
    assert page.get_attribute("#proof", "data-state") == "bad"
    assert "kitchen: Intact" in text
    assert "3 numbers shown differ from the records" in text
    for said in ("opening left out, 2026-11-21 ", "live at most: 0.9 s shown, ", "label: "):
        assert said in text
    expect(page.locator("#trouble")).to_contain_text("do not follow from the records")


def test_what_rests_on_records_elsewhere_accuses_nobody_and_hides_nothing(opened, past, tmp_path):
    since_ms = int(datetime(2026, 10, 1).timestamp() * 1000)
    with Reader(past[0]) as reader:
        text = make_page(reader, boards(reader), 1_795_300_000_000, since_ms, None)

    def unsure(header, tables):
        for table in tables.values():
            table["unc"] = array("d", [unc + 70 for unc in table["unc"]])  # as if an earlier clock were the best

    def falsified(header, tables):
        unsure(header, tables)
        tables["points"]["score"][-1] ^= 1  # found after all the others

    file = tmp_path / "part.html"
    for change, state, says in ((unsure, "open", "Nothing shown contradicts"), (falsified, "bad", "1 number shown differs")):
        file.write_text(changed(text, "pack", change))
        page = opened(file.as_uri())
        found = proven(page)
        assert page.get_attribute("#proof", "data-state") == state
        assert says in found
        assert "how far off the time may be: 500 numbers" in found
        assert "It begins at record " in found


def test_report_without_its_numbers_header_still_has_its_chain_judged(dropped, report):
    page = dropped("odd.html", changed(report.read_text(), "pack", lambda header, tables: header.pop("boards")))
    text = page.inner_text("#proven")
    assert page.get_attribute("#proof", "data-state") == "bad"
    assert "cannot be compared with its records" in text
    assert "kitchen: Intact" in text


def test_block_that_unpacks_to_more_than_memory_is_refused(dropped, report):
    deflate = zlib.compressobj(9, wbits=31)
    begin = deflate.compress(b"") + deflate.flush(zlib.Z_FULL_FLUSH)
    zeros = deflate.compress(bytes(1 << 26)) + deflate.flush(
        zlib.Z_FULL_FLUSH
    )  # the same again and again, since nothing refers back
    bomb = base64.b64encode(begin + zeros * 5).decode()
    page = dropped("bomb.html", re.sub('id="sealed">.*?<', f'id="sealed">{bomb}<', report.read_text(), flags=re.S))
    assert "damaged or altered" in page.inner_text("#proven")


def test_block_that_cannot_be_unpacked_is_said(opened, report, tmp_path):
    file = tmp_path / "cut.html"
    file.write_text(re.sub('(id="sealed">.{2000}).*?<', r"\1<", report.read_text(), flags=re.S))
    page = opened(file.as_uri())
    assert "damaged or altered" in proven(page)
    assert page.get_attribute("#proof", "data-state") == "failed"


def test_typed_anchor_code_tells_a_chain_made_anew(opened, report, head):
    page = opened(report.as_uri())
    proven(page)
    code = make_code(*head)
    page.fill("#codes", code.lower().replace("-", " "))
    page.press("#codes", "Enter")
    assert "kitchen: Intact" in proven(page)
    assert page.get_attribute("#proof", "data-state") == "good"
    page.fill("#codes", make_code(head[0], bytes([head[1][0] ^ 1]) + head[1][1:]))
    page.click("#prove")
    assert "fits no board here" in proven(page)
    assert page.get_attribute("#proof", "data-state") == "open"
    page.fill("#codes", code[:-1] + ("0" if code[-1] != "0" else "1"))
    page.click("#prove")
    assert "mistyped" in proven(page)
    assert "Broken" not in page.inner_text("#proven")


def test_code_is_taken_from_a_picture_and_from_the_camera(opened, report, head, tmp_path):
    code = make_code(*head)
    page = opened("about:blank", ready=False)
    page.add_init_script(READER % code)
    page.add_init_script(CAMERA)
    page.goto(report.as_uri())
    proven(page)
    picture = tmp_path / "photo.png"
    page.locator("#verdicts .qr").first.screenshot(path=picture)
    page.set_input_files("#picture-file", picture)
    expect(page.locator("#codes")).to_have_value(code)
    page.wait_for_selector(STATE.format("good"))
    page.set_input_files("#picture-file", report)
    expect(page.locator("#scan-say")).to_have_text("There is no QR code in this picture.")
    page.fill("#codes", "")
    page.click("#scan")
    expect(page.locator("#codes")).to_have_value(code)
    assert page.is_hidden("#camera")
    assert page.evaluate("camera.getTracks().every((track) => track.readyState === 'ended')")
    page.evaluate("void (navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('no')))")
    page.click("#scan")
    expect(page.locator("#scan-say")).to_contain_text("gives no camera")


@pytest.mark.parametrize("worker", [True, False], ids=["in a worker", "in the page"])
def test_page_goes_on_drawing_while_it_checks(opened, tmp_path, worker):
    board = SyntheticBoard(KITCHEN, 1_795_000_000_000)
    for number in range(12_000):
        board.add(board.zero_ms + 1000 + number, "mark")
    known = {
        "board": KITCHEN, "name": None, "count": board.seq, "before": None,
        "head": {"boot": 1, "seq": board.seq, "link": board.prev.hex()},
        "tables": {"purges": [], "anchors": [], "labels": [], "clock_points": []},
    }  # fmt: skip
    header = {"sealed": 1, "partial": False, "boards": [known], "acts": [], "problems": []}
    tables = {"slots": {"bytes": array("B", b"".join(board.slots))}, "taken": {"ms": array("d", [0.0] * board.seq)}}
    file = tmp_path / "many.html"
    file.write_text(heavy_page(10, 10, pack(header, tables)))
    page = opened("about:blank", ready=False)
    page.add_init_script(COUNT_FRAMES)
    if not worker:
        page.add_init_script("delete globalThis.Worker;")
    page.goto(file.as_uri())
    proven(page)
    page.fill("#codes", make_code(board.seq, board.prev))
    began = page.evaluate("(() => { document.querySelector('#prove').click(); return frames_drawn; })()")
    page.wait_for_selector("#proven h3")
    assert page.evaluate("frames_drawn") - began >= 3
    assert f"{board.seq:,} links checked here" in page.inner_text("#proven")


def test_export_dropped_onto_the_page_is_checked_offline(dropped, export):
    page = dropped("export.jsonl", export.read_text())
    assert page.get_attribute("#proof", "data-state") == "good"
    text = page.inner_text("#proven")
    assert "kitchen: Intact" in text
    assert "What the computer added: Intact" in text
    assert page.inner_text("#file-name").startswith("export.jsonl, ")
    lines = export.read_text().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if '"rec"' in line and number > 50)
    page.evaluate(DROP, ["cut.jsonl", "".join(lines[:at] + lines[at + 1 :])])
    page.wait_for_selector(STATE.format("bad"))
    assert "The file: Broken" in page.inner_text("#proven")


def test_report_dropped_onto_the_page_is_checked_and_never_run(dropped, report):
    text = report.read_text()
    page = dropped("report.html", text)
    assert page.get_attribute("#proof", "data-state") == "good"
    assert "kitchen: Intact" in page.inner_text("#proven")
    assert "Another page than Earlid makes" not in page.inner_text("#proven")
    hostile = text.replace("<body>", "<body><script>window.hacked = 1</script>", 1)
    page.evaluate(DROP, ["hostile.html", hostile])
    expect(page.locator("#proven")).to_contain_text("Another page than Earlid makes")
    assert page.evaluate("window.hacked") is None


def test_files_that_are_neither_are_refused_in_a_sentence(dropped):
    page = dropped("empty.jsonl", "")
    assert "no board in this file" in page.inner_text("#proven")
    for number, text in enumerate(("<!doctype html><p>a page", "hello\nworld\n", '{"a": 1}\n', "\0" * 5000)):
        page.evaluate("document.querySelector('#proven').replaceChildren()")
        page.evaluate(DROP, [f"{number}.file", text])
        assert len(proven(page).splitlines()) >= 2, text
        assert page.get_attribute("#proof", "data-state") in ("open", "failed"), text


def test_code_of_one_board_is_shown_as_qr_code_on_a_terminal(past, head, capsys, monkeypatch):
    for verb, margin in (("verify", "  "), ("anchor", "")):
        words = [verb, "--ledger", str(past[0].path)]
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        qr = "".join(f"{margin}{line}\n" for line in qr_lines(make_code(*head), sys.stdout))
        assert main([*words, "--board", "kitchen"]) == 0
        assert qr in capsys.readouterr().out
        assert main(words) == 0
        assert qr not in capsys.readouterr().out
        monkeypatch.setattr("sys.stdout.isatty", lambda: False)
        assert main([*words, "--board", "kitchen"]) == 0
        assert qr not in capsys.readouterr().out


def test_page_is_written_by_itself_alone(export, tmp_path, capsys):
    file = tmp_path / "verify.html"
    assert main(["verify", str(export), "--html", str(file)]) == 2
    assert not file.exists()
    assert main(["verify", "--html", str(tmp_path / "no" / "such.html")]) == 1
    assert "Name another file" in capsys.readouterr().err


def test_page_that_checks_any_file_has_names_and_fits_a_phone(dropped, export, verify_page):
    page = dropped("export.jsonl", export.read_text(), viewport={"width": 360, "height": 740}, color_scheme="dark")
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes
        if any(item["name"] == "focusable" and item["value"]["value"] for item in node.get("properties", []))
    ]  # fmt: skip
    assert {("button", "Choose a file…"), ("textbox", "Anchor codes that you kept"), ("button", "Check")} <= set(named)
    assert [role for role, name in named if not name and role not in ("RootWebArea", "generic")] == []
    page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(3):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached == ["choose", "codes", "prove"]
    for width in (360, 320):
        page.set_viewport_size({"width": width, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert beyond_its_card(page) == []
    page.emulate_media(media="print")
    assert page.is_hidden("#anchors")
    assert page.is_visible("#proven")
