# SPDX-License-Identifier: MIT
"""Assembly of the pages from HTML, style and scripts, with a Content-Security-Policy that lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

# In this order, in one script element: each uses what stands before it.
SCRIPTS = (
    "base.js", "zone.js", "ledger.js", "view.js", "paint.js", "derived.js", "lanes.js", "timeline.js",
    "gestures.js", "days.js", "scores.js", "summary.js", "listing.js", "verdict.js", "check.js", "live.js",
    "scan.js", "proof.js", "main.js",
)  # fmt: skip
FILE_SCRIPTS = ("base.js", "scan.js", "proof.js", "proof_file.js")


@cache
def checker() -> tuple[str, ...]:
    """The scripts of a page's other element, which runs in a worker too: the verifier's, in any order, and what calls them."""
    folder = files("earlid.page").joinpath("static", "verifier")
    verifier = sorted(item.name for item in folder.iterdir() if item.name.endswith(".js")) if folder.is_dir() else []
    return ("pack.js", *(f"verifier/{name}" for name in verifier), "proof_job.js")


@cache
def _static_file(name: str) -> str:
    licence, _, text = files("earlid.page").joinpath("static", *name.split("/")).read_text(encoding="utf-8").partition("\n")
    assert "SPDX" in licence  # of the source, not of the page with its owner's data
    return text


def _script(names: tuple[str, ...]) -> str:
    return "\n" + "\n".join(_static_file(name) for name in names)


@cache
def _style() -> str:
    return "\n" + _static_file("page.css")


def policy(*, served: bool, scripts: tuple[str, ...] = SCRIPTS) -> str:
    """The Content-Security-Policy: only this page's own scripts and style, known by their hashes.

    Args:
        served: whether the page may talk to the server it came from (a file talks to nobody).
        scripts: the files of its last script element.
    """
    elements = (("pack.js",) if served else checker(), scripts)
    rules = [
        "default-src 'none'",
        f"script-src {' '.join(_hash(_script(names)) for names in elements)}",
        f"style-src {_hash(_style())}",
        "img-src data:",  # the page's icon
        "base-uri 'none'",
        "form-action 'none'",
    ]
    # A file's worker runs the first of its own scripts; only a script that may run can start one.
    rules += ["connect-src 'self'", "frame-ancestors 'none'"] if served else ["worker-src blob:"]
    return "; ".join(rules)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def document(block: bytes | None, sealed: bytes = b"") -> str:
    """The page.

    Args:
        block: its data, from `pack`; None for a page that fetches them from its server.
        sealed: the records behind them, `sealed.sealed_records`, packed.
    """
    if block is None:
        return _fill("page.html", ("pack.js",), SCRIPTS, policy="", data="", sealed="")
    return _fill("page.html", checker(), SCRIPTS, policy=_meta(SCRIPTS), data=_text(block), sealed=_text(sealed))


def verify_document() -> str:
    """The page that checks a report or an export which is dropped onto it."""
    report = hashlib.sha256(document(b"").encode()).hexdigest()
    return _fill("verify.html", checker(), FILE_SCRIPTS, policy=_meta(FILE_SCRIPTS), report=report)


def _meta(scripts: tuple[str, ...]) -> str:
    return f'<meta http-equiv="Content-Security-Policy" content="{policy(served=False, scripts=scripts)}">'


def _text(block: bytes) -> str:
    return base64.b64encode(block).decode()


def _fill(name: str, first: tuple[str, ...], scripts: tuple[str, ...], **parts: str) -> str:
    parts |= {"proof": _static_file("proof.html"), "style": _style(), "checker": _script(first), "script": _script(scripts)}
    before, *pieces = _static_file(name).split("{{")
    return before + "".join(parts[key] + rest for key, _, rest in (piece.partition("}}") for piece in pieces))
