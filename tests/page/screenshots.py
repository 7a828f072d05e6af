# SPDX-License-Identifier: MIT
"""Makes the pictures of the page for the README: `python -m tests.page.screenshots [FOLDER [--full]]`."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from earlid.ledger.boards import boards
from earlid.ledger.reader import Reader
from earlid.page.report import make_page
from PIL import Image

from tests.page.chromium import browser
from tests.page.synthetic import household

FOLDER = Path(__file__).parents[2] / "host" / "earlid" / "page" / "screenshots"
SHOTS = (("light", 1100, 1195, 1), ("dark", 1100, 1195, 1), ("phone", 360, 800, 2))
END = datetime(2026, 11, 21, 22, 30)


def shrink(file: Path) -> None:
    """Few colours are enough for a drawing, and a third of the size."""
    with Image.open(file) as picture:
        few = picture.convert("RGB").quantize(128, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
    few.save(file, optimize=True)


def main(folder: Path, *, full: bool = False) -> None:
    """Write light.png, dark.png, phone.png and print their sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["EARLID_DATA_DIR"] = scratch
        os.environ["TZ"] = "Europe/Berlin"
        time.tzset()
        location, _, _ = household(Path(scratch) / "ledger.sqlite", end=END)
        page_file = Path(scratch) / "report.html"
        with Reader(location) as reader:
            page_file.write_text(make_page(reader, boards(reader), int(END.timestamp() * 1000), None, None), encoding="utf-8")
        with browser() as chromium:
            for name, width, height, sharp in SHOTS:
                scheme = "dark" if name == "dark" else "light"
                page = chromium.new_page(
                    viewport={"width": width, "height": height}, device_scale_factor=sharp, color_scheme=scheme
                )
                page.on("console", lambda message: print(message.text, file=sys.stderr))
                page.on("pageerror", lambda error: print(error, file=sys.stderr))
                page.goto(page_file.as_uri())
                page.wait_for_selector("#list tbody tr")
                page.wait_for_timeout(400)
                file = folder / f"{name}.png"
                page.screenshot(path=file, full_page=full)
                shrink(file)
                print(f"{file}: {file.stat().st_size / 1000:.0f} kB")
                page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER, full="--full" in sys.argv)
