# SPDX-License-Identifier: MIT
"""Which nets lie so close on a circuit board that solder, a whisker or a scratch could join them."""

from __future__ import annotations

from functools import cache

from hardware.parts import Netlist
from hardware.pcb import copper, nets
from hardware.pcb.copper import Copper
from hardware.pcb.geometry import Stroke, gap

BARE_MM = 1.0  # between pads and vias, which solder wets
MASKED_MM = 0.5  # where a track or a pour under the mask is one of the two
CELL = 4.0  # of the index, in millimetres


def _items(board: Copper) -> list[tuple[str, str, bool, tuple[Stroke, ...], str]]:
    """(net, layer, bare, shape, name) of all but pours; what goes through the board stands on both layers."""
    found = []
    for layer in copper.LAYERS:
        for pad in board.pads:
            if pad.net:
                found.append((pad.net, layer, True, pad.strokes, f"{pad.ref} pad {pad.number}"))
        for via in board.vias:
            found.append((via.net, layer, True, (via.stroke,), f"via at {via.at[0]:.1f}, {via.at[1]:.1f}"))
    for track in board.tracks:
        found.append((track.net, track.layer, False, (track.stroke,), f"track at {track.start[0]:.1f}, {track.start[1]:.1f}"))
    return found


def near(board: Copper, bare: float = BARE_MM, masked: float = MASKED_MM) -> dict[tuple[str, str], str]:
    """Pairs of nets -> where they are closest: layer, the two pieces of copper, the gap in millimetres.

    Pads without a net count as nothing. A pour lies beside all that it surrounds: every other net is a neighbour of ground.
    """
    cells: dict[tuple[str, int, int], list[int]] = {}
    items = _items(board)
    reach = max(bare, masked)
    best: dict[tuple[str, str], tuple[float, str]] = {}
    for i, (net, layer, is_bare, strokes, name) in enumerate(items):
        xs, ys = (
            (
                min(min(s.a[k], s.b[k]) - s.radius for s in strokes) - reach,
                max(max(s.a[k], s.b[k]) + s.radius for s in strokes) + reach,
            )
            for k in (0, 1)
        )
        places = [
            (layer, x, y)
            for x in range(int(xs[0] // CELL), int(xs[1] // CELL) + 1)
            for y in range(int(ys[0] // CELL), int(ys[1] // CELL) + 1)
        ]
        for j in sorted({j for place in places for j in cells.get(place, ())}):
            other = items[j]
            if other[0] == net:
                continue
            apart = min(gap(one, two) for one in strokes for two in other[3])
            pair = (min(net, other[0]), max(net, other[0]))
            limit = bare if is_bare and other[2] else masked
            if apart <= limit and apart < best.get(pair, (limit + 1.0, ""))[0]:
                best[pair] = (apart, f"{layer}: {other[4]} and {name}, {apart:.2f} mm")
        for place in places:
            cells.setdefault(place, []).append(i)
    for net in sorted({item[0] for item in items} - {nets.GND}):
        best.setdefault((min(net, nets.GND), max(net, nets.GND)), (0.3, "the pour around it"))
    return {pair: best[pair][1] for pair in sorted(best)}


@cache
def _of(name: str) -> dict[tuple[str, str], str]:
    return near(copper.of(name))


def neighbours(board: Netlist) -> dict[tuple[str, str], str]:
    """Pairs of nets of the committed board that a bridge could join -> where. Raises OSError when it is not made yet."""
    return dict(_of(board.name))
