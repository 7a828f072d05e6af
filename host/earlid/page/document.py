# SPDX-License-Identifier: MIT
"""Assembly of the page from HTML, style and scripts, with a Content-Security-Policy that lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

# In this order, in one script element: each uses what stands before it.
SCRIPTS = (
    "base.js", "zone.js", "pack.js", "ledger.js", "view.js", "paint.js", "derived.js", "lanes.js", "timeline.js",
    "gestures.js", "days.js", "scores.js", "summary.js", "listing.js", "verdict.js", "check.js", "live.js", "main.js",
)  # fmt: skip


@cache
def _static_file(name: str) -> str:
    licence, _, text = files("earlid.page").joinpath("static", name).read_text(encoding="utf-8").partition("\n")
    assert "SPDX" in licence  # of the source, not of the page with its owner's data
    return text


@cache
def _script() -> str:
    return "\n" + "\n".join(_static_file(name) for name in SCRIPTS)


@cache
def _style() -> str:
    return "\n" + _static_file("page.css")


def policy(*, served: bool) -> str:
    """The Content-Security-Policy: only this page's own script and style, known by their hashes.

    Args:
        served: whether the page may talk to the server it came from (a file talks to nobody).
    """
    rules = [
        "default-src 'none'",
        f"script-src '{_hash(_script())}'",
        f"style-src '{_hash(_style())}'",
        "img-src data:",  # the page's icon
        "base-uri 'none'",
        "form-action 'none'",
    ]
    if served:
        rules += ["connect-src 'self'", "frame-ancestors 'none'"]
    return "; ".join(rules)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def document(block: bytes | None) -> str:
    """The page.

    Args:
        block: its data, from `pack`; None for a page that fetches them from its server.
    """
    data = "" if block is None else base64.b64encode(block).decode()
    meta = "" if block is None else f'<meta http-equiv="Content-Security-Policy" content="{policy(served=False)}">'
    page = _static_file("page.html")
    for placeholder, text in (("policy", meta), ("style", _style()), ("script", _script()), ("data", data)):
        page = page.replace("{{" + placeholder + "}}", text, 1)
    return page
