# SPDX-License-Identifier: MIT
"""Distances between pieces of copper: a piece is a line with a radius (a track, a via, a pad as the middle line of its oval)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hardware.pcb.library import Point


@dataclass(frozen=True)
class Stroke:
    """All points within `radius` of the line from `a` to `b`."""

    a: Point
    b: Point
    radius: float


def nearest(p: Point, a: Point, b: Point) -> Point:
    """The point of the line's piece a-b that is nearest to p."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = dx * dx + dy * dy
    t = 0.0 if length == 0 else max(0.0, min(1.0, ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / length))
    return a[0] + t * dx, a[1] + t * dy


def to_segment(p: Point, a: Point, b: Point) -> float:
    """Distance from a point to a line's piece."""
    return math.dist(p, nearest(p, a, b))


def _side(a: Point, b: Point, p: Point) -> float:
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])


def crosses(a: Point, b: Point, c: Point, d: Point) -> bool:
    """True when the pieces a-b and c-d cut each other (not merely touch at an end)."""
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def between_segments(a: Point, b: Point, c: Point, d: Point) -> float:
    if crosses(a, b, c, d):
        return 0.0
    return min(to_segment(a, c, d), to_segment(b, c, d), to_segment(c, a, b), to_segment(d, a, b))


def gap(one: Stroke, two: Stroke) -> float:
    """Millimetres from copper to copper; negative where they overlap."""
    return between_segments(one.a, one.b, two.a, two.b) - one.radius - two.radius
