# SPDX-License-Identifier: MIT
"""Fits a look and makes integers of it. numpy alone: two layers, their gradient written out.

The look's logit is sum(out * relu(rows @ weights + bias)) over the newest rows. What is fitted is the decision: at each moment
the mean of the newest 12 logits, plus the network's own at a fitted share; of a stretch of moments the largest, softly, by
cross-entropy, with AdamW (I. Loshchilov and F. Hutter, 2019).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from earlid.gate.network import Network
from numpy.typing import NDArray

from tests.bench.detection.look.examples import MEAN, MOMENTS, Examples
from tests.bench.detection.look.rows import ROWS, SOURCES

UNITS = 16  # of each source
UNIT = 1 / 16  # of a byte of the network's rows; any would do
SHARE = 1 / 4  # of the network's logit before the fit
EPOCHS, BATCH, RATE, WARM_STEPS, DECAY = 8, 256, 3e-3, 100, 0.3
DROPOUT, NOISE, GAIN_NOISE = 0.3, 0.1, 0.4
SMOOTH = 0.02  # of labels
SHARP = 4.0  # of the soft maximum
LIMIT = 6.0  # of a logit
# How much each kind weighs, all its examples together; words in sum as much as all else
WEIGHTS = {"clip": 1.0, "noisy": 0.7, "talkers": 0.25, "quiet": 0.5, "spoken": 0.3, "negative": 1.0, "near": 0.3, "close": 0.2}

Floats = NDArray[np.float32]
Fit = dict[str, Floats]


def fit(examples: Examples, network: Network, seed: int = 0) -> Fit:
    """Weights: w [2, 64, UNITS] and b [2, UNITS] of both sources, out [ROWS, 2 * UNITS], bias, share."""
    rng = np.random.default_rng(seed)
    channels = examples.windows.shape[2] // len(SOURCES)
    weights = _weights(examples)
    target = (examples.word * (1 - 2 * SMOOTH) + SMOOTH).astype(np.float32)
    first = (examples.logits * (network.logit_scale * SHARE / MEAN)).astype(np.float32)
    fitted: Fit = {
        "w": (0.7 * rng.standard_normal((len(SOURCES), channels, UNITS)) * np.sqrt(2 / channels)).astype(np.float32),
        "b": np.full((len(SOURCES), UNITS), 0.1, np.float32),
        "out": (0.3 / np.sqrt(ROWS * 2 * UNITS) * rng.standard_normal((ROWS, 2 * UNITS))).astype(np.float32),
        "bias": np.zeros((), np.float32),
        "share": np.full((), 0.5, np.float32),
    }  # fmt: skip
    moments = {name: (np.zeros_like(value), np.zeros_like(value)) for name, value in fitted.items()}
    steps = EPOCHS * (len(target) // BATCH)
    step = 0
    for _ in range(EPOCHS):
        order = rng.permutation(len(target))
        for at in range(0, len(target) - BATCH + 1, BATCH):
            batch = order[at : at + BATCH]
            part = Examples(*(field[batch] for field in examples))
            slopes = gradient(fitted, part, first[batch], target[batch], weights[batch], rng)
            norm = np.sqrt(sum(float(np.sum(value**2)) for value in slopes.values()))
            warm = min(WARM_STEPS, steps // 10)
            rate = RATE * (step / warm if step < warm else 0.5 * (1 + np.cos(np.pi * (step - warm) / (steps - warm))))
            step += 1
            for name, value in slopes.items():
                value = value / max(1.0, norm)
                mean, square = moments[name]
                mean += 0.1 * (value - mean)
                square += 0.001 * (value**2 - square)
                change = mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
                if name in ("w", "out"):
                    change = change + DECAY * fitted[name]
                fitted[name] = (fitted[name] - rate * change).astype(np.float32)
    return fitted


def _weights(examples: Examples) -> Floats:
    """Of each example, by WEIGHTS; their mean is 1."""
    weights = np.zeros(len(examples.kind))
    for kind, weight in WEIGHTS.items():
        weights[examples.kind == kind] = weight / max(1, int(np.sum(examples.kind == kind)))
    weights[examples.word] *= weights[~examples.word].sum() / weights[examples.word].sum()
    return (weights / weights.mean()).astype(np.float32)


def gradient(
    fitted: Fit, examples: Examples, first: Floats, target: Floats, weights: Floats, rng: np.random.Generator | None
) -> Fit:
    """Of the loss by each of the weights; `rng` None: without noise and dropout."""
    number = len(target)
    x = (examples.windows.astype(np.float32) + 128) * UNIT
    kept = np.ones((number, 1, 2 * UNITS), np.float32)
    if rng is not None:
        x *= 1 + GAIN_NOISE * rng.standard_normal((number, 1, 1), np.float32)
        x += (examples.windows > -128) * (NOISE * rng.standard_normal(x.shape, np.float32))
        kept = (rng.random(kept.shape) >= DROPOUT).astype(np.float32) / (1 - DROPOUT)
    each = np.split(x, len(SOURCES), axis=2)
    before = np.concatenate([part @ w + b for part, w, b in zip(each, fitted["w"], fitted["b"], strict=True)], axis=2)
    hidden = np.maximum(before, 0) * kept
    products = hidden @ fitted["out"].T
    places = hidden.shape[1] - ROWS + 1  # logits that the decisions rest on
    logits = sum((products[:, row : row + places, row] for row in range(ROWS)), np.zeros((), np.float32)) + fitted["bias"]
    spread = _spread(places)
    scores = np.clip(logits, -LIMIT, LIMIT) @ spread + fitted["share"] * first
    scores = np.where(examples.live, SHARP * scores, -100.0)
    top = scores.max(axis=1, keepdims=True)
    powers = np.exp(scores - top)
    total = powers.sum(axis=1, keepdims=True)
    # A stretch of many moments has more chances: half of what that adds to the soft maximum is taken off
    decision = (top + np.log(total))[:, 0] / SHARP - 0.5 / SHARP * np.log(examples.live.sum(axis=1))
    slope = (weights * (1 / (1 + np.exp(-decision)) - target) / number).astype(np.float32)
    by_moment = (slope[:, None] * powers / total).astype(np.float32)
    by_logit = by_moment @ spread.T * (np.abs(logits) < LIMIT)
    by_product = np.zeros_like(products)
    for row in range(ROWS):
        by_product[:, row : row + places, row] = by_logit
    back = by_product @ fitted["out"] * kept * (before > 0)
    parts = np.split(back, len(SOURCES), axis=2)
    return {
        "w": np.stack([np.tensordot(part, grad, ([0, 1], [0, 1])) for part, grad in zip(each, parts, strict=True)]),
        "b": np.stack([grad.sum((0, 1)) for grad in parts]),
        "out": np.tensordot(by_product, hidden, ([0, 1], [0, 1])), "bias": by_logit.sum(), "share": np.sum(by_moment * first),
    }  # fmt: skip


def _spread(places: int) -> Floats:
    """What each logit adds to the mean at each moment, [places, MOMENTS]."""
    at = np.arange(places)[:, None] - np.arange(MOMENTS)[None, :]
    return ((at >= 0) & (at < MEAN)).astype(np.float32) / MEAN


def layers(fitted: Fit, examples: Examples, network: Network) -> list[dict[str, Any]]:
    """The look's layers in int8, as `earlid.gate.look` reads them: a ring of both sources' units, and its logit.

    The logit's scale makes the network's logit and the look's weigh alike in a sum of bytes.
    """
    newest = (examples.windows[:, -1].astype(np.float32) + 128) * UNIT
    hidden = [part @ w + b for part, w, b in zip(np.split(newest, len(SOURCES), axis=1), fitted["w"], fitted["b"], strict=True)]
    ring_scale = float(np.float32(np.quantile(np.maximum(hidden, 0), 0.9998) / 255))
    logit_scale = float(np.float32(fitted["share"] * network.logit_scale * SHARE))
    ring = len(network.buffers)
    made = []
    for place, source in enumerate(SOURCES):
        where = [ring, 1, UNITS * place, UNITS * (place + 1)]
        made.append(_layer(f"look {source}", [source, 1, 0, fitted["w"].shape[1]], where, fitted["w"][place].T[:, None],
                           fitted["b"][place], (UNIT, ring_scale, -128), False))  # fmt: skip
    window = [ring, ROWS, 0, 2 * UNITS]
    made.append(_layer("look logit", window, [ring + 1, 1, 0, 1], fitted["out"][None], fitted["bias"][None],
                       (ring_scale, logit_scale, 0), True))  # fmt: skip
    return made


def _layer(
    where: str, view: list[int], out: list[int], weights: Floats, bias: Floats, scales: tuple[float, float, int], dense: bool
) -> dict[str, Any]:
    scale_in, scale_out, zero_out = scales
    steps = (np.maximum(np.abs(weights).max((1, 2)), 1e-6) / 127).astype(np.float32)
    return {
        "kind": "conv", "where": where, "input": view, "output": out, "scale_in": scale_in, "zero_in": -128,
        "scale_out": scale_out, "zero_out": zero_out, "lowest": -128,
        "weights": np.rint(weights / steps[:, None, None]).astype(int).tolist(), "weight_scales": steps.tolist(),
        "bias": np.rint(bias / (scale_in * steps.astype(np.float64))).astype(int).tolist(), "fully_connected": dense,
    }  # fmt: skip
