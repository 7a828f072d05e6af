# SPDX-License-Identifier: MIT
"""A page of very many records that no ledger had to hold: columns made by numpy."""

from __future__ import annotations

from array import array

import numpy as np
from earlid.ledger.doubt import CHECK_PERCENT, SIGNS
from earlid.ledger.lid_state import HEARD_MS
from earlid.page import page_data
from earlid.page.document import document
from earlid.page.pack import KINDS, pack
from earlid.page.tz_table import offsets, zone_name

NOW_MS = 1_795_300_000_000
YEAR_MS = 365 * 86_400_000


def heavy_columns(openings: int, points: int, seed: int = 6) -> dict:
    """A year of two boards, as `page_data.tables` would give it."""
    rng = np.random.default_rng(seed)
    code = {name: number for number, name in enumerate(page_data.NAMES)}

    def table(rows: int, kinds: dict, **values: np.ndarray) -> dict:
        values["t"] = np.sort(rng.uniform(NOW_MS - YEAR_MS, NOW_MS, rows)).round()
        values |= {"seq": np.arange(1, rows + 1), "boot": np.ones(rows), "board": rng.integers(0, 2, rows)}
        values |= {"unc": np.full(rows, 60.0), "label": rng.choice([-1, -1, -1, 0, 1], rows)}
        return {name: array(KINDS[kind], values[name].astype(kind).tobytes()) for name, kind in kinds.items()}

    by_word = rng.random(openings) < 0.8
    live_ms = rng.integers(2000, 20000, openings)
    return {
        "openings": table(
            openings, page_data.OPENING_KINDS,
            reason=np.where(by_word, code["word"], code["button"]), ended=np.full(openings, code["silence"]),
            live=live_ms, least=live_ms - 40, most=live_ms, outside=np.zeros(openings), cutoff=np.full(openings, 200),
            flags=np.zeros(openings), score=np.where(by_word, rng.integers(201, 255, openings), 0),
            doubt=np.where(by_word, rng.integers(0, 101, openings), 0), signs=np.where(by_word, rng.integers(0, 32, openings), 0),
        ),
        "points": table(
            points, page_data.POINT_KINDS,
            event=rng.choice([code["near-miss"]] * 96 + [code["boot"], code["fault"], code["mute"], code["unmute"]], points),
            reason=np.full(points, code["word"]), score=rng.integers(140, 200, points), a=np.full(points, 140),
            b=np.full(points, 200), flags=np.zeros(points),
        ),
    }  # fmt: skip


def heavy_page(openings: int, points: int, sealed: bytes = b"") -> str:
    """The whole page as text; `sealed` is a block of its own, which its numbers do not follow from."""
    header = {
        "names": list(page_data.NAMES), "gaps": [], "from": None, "to": None, "made": NOW_MS,
        "live": False, "whole": True, "revision": 0,
        "signs": list(SIGNS), "check": CHECK_PERCENT, "heard": HEARD_MS,
        "boards": [
            {"board": f"{n:016x}", "name": name, "seen": NOW_MS, "lid": "closed", "since": NOW_MS - 1000, "why": ""}
            for n, name in enumerate(("hall", "attic"))
        ],
        "zone": {"name": zone_name(NOW_MS), "offsets": offsets(NOW_MS - 2 * YEAR_MS, NOW_MS + YEAR_MS)}, "verdicts": [],
    }  # fmt: skip
    return document(pack(header, heavy_columns(openings, points)), sealed)
