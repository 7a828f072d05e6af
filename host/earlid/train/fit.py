# SPDX-License-Identifier: MIT
"""Trains a network: batches of windows, a loss on what the gate would decide, the worst of what lacks the word, checkpoints.

Everything random comes from the seed and the number of the step: a run that was killed ends as one that was not.
"""

from __future__ import annotations

import copy
import io
import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from earlid.files import write_atomically
from earlid.train.examples import Columns, Examples, Heard, drawn_windows, masked_and_warped, overlaid, spliced, windows
from earlid.train.network import Net, track_logits
from earlid.train.shape import INPUT_SCALE, Shape

Progress = Callable[[float, float], None]
State = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """How a network is trained.

    Attributes:
        words, near, negatives: windows of each in a batch; owner: how many of the words' are of the owner's takes.
        hard: the share of the negatives that is drawn where the network is wrong.
        weights: of the mean loss of words, near words and negatives.
        rate, decay: AdamW's, falling as a cosine; average: how much of the averaged weights stays at each step.
        inferences: of a window; mean: of how many the gate takes the mean; sharpness: of the soft maximum over those means.
        late: columns from a word's end to its window's, from and below.
    """

    shape: Shape = field(default_factory=Shape)
    steps: int = 3500
    words: int = 32
    owner: int = 8
    near: int = 24
    negatives: int = 72
    hard: float = 0.5
    weights: tuple[float, float, float] = (1.0, 0.3, 4.0)
    rate: float = 2e-3
    decay: float = 1e-4
    average: float = 0.998
    inferences: int = 16
    mean: int = 5
    sharpness: float = 3.0
    late: tuple[int, int] = (36, 48)
    seed: int = 0


FULL = Settings()
SMALL = Settings(steps=300, words=8, owner=2, near=6, negatives=18)

_WARM_STEPS = 200
_LEAST_RATE = 1e-5
_LARGEST_GRADIENT = 2.0
_MINE_EVERY, _SAVE_EVERY = 500, 250
_JUDGED_FROM = 0.6  # of the steps; before, no checkpoint is worth judging
_BLOCK, _MINE_IN = 6000, 3  # columns; turns in which all is looked through
_WORST = 4000  # places that hard negatives are drawn from
_LEAST_SHARE = 0.02
_SPLICED, _OVERLAID, _OVERLAID_SAID = 0.25, 0.25, 0.2  # shares of windows, of what lacks the word and of what is said
_BELOW, _SAID_BELOW = (0.3, 1.0), (0.2, 0.75)  # how high what is laid over them is
_SECOND = 33  # inferences
_EARLY_HOPS = 3  # before a word's end a decision may already count
_HEARD_HOPS = 100  # after a word's end it still counts
_RATES_PER_H = np.geomspace(0.25, 4.0, 9)  # false openings that checkpoints are compared at


class Fitted(NamedTuple):
    """A network, what it misses of the words of part `stop` (of 1, mean over 0.25 to 4 false openings an hour), and its step."""

    net: Net
    missed: float
    step: int


_KEYS = {"settings", "step", "net", "average", "optimiser", "worst", "best"}  # of a checkpoint
_Worst = tuple[Tensor, Tensor]  # last columns of windows of what lacks the word, int64; how often each is drawn, float64


def fit(examples: Examples, stop: Examples, settings: Settings, checkpoint: Path, progress: Progress) -> Fitted:
    """Train on `examples`; of the networks on the way, the one that is best on `stop`.

    Args:
        stop: other voices and other sound than in `examples`.
        checkpoint: a file; a run that was killed goes on from it. One of other settings or a broken one is overwritten.
        progress: called with steps done and all.

    Raises:
        UserError: the checkpoint cannot be written.
    """
    torch.set_num_threads(1)  # as fast as two for networks so small, and its sums have one order
    torch.manual_seed(settings.seed)
    net = Net(settings.shape)
    average = copy.deepcopy(net)
    optimiser = torch.optim.AdamW(net.parameters(), lr=settings.rate, weight_decay=settings.decay)
    first, worst, best = 0, None, None
    if saved := _read(checkpoint, settings):
        net.load_state_dict(saved["net"])
        average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        first, worst, best = saved["step"], saved["worst"], saved["best"]
    net.train()
    for step in range(first, settings.steps):
        if step and step % _MINE_EVERY == 0:
            worst = _worst(average, examples.negatives, settings.mean, step // _MINE_EVERY % _MINE_IN)
        _learn(net, optimiser, examples, worst, settings, step)
        _follow(average, net, min(settings.average, (1 + step) / (10 + step)))
        done = step + 1
        if done % _SAVE_EVERY == 0 or done == settings.steps:
            if done >= _JUDGED_FROM * settings.steps:
                missed = missed_share(average, stop, settings.mean)
                if best is None or missed < best[0]:
                    best = missed, done, copy.deepcopy(average.state_dict())
            _save(checkpoint, {"settings": repr(settings), "step": done, "net": net.state_dict(), "average": average.state_dict(),
                               "optimiser": optimiser.state_dict(), "worst": worst, "best": best})  # fmt: skip
            progress(done, settings.steps)
    assert best is not None  # the last step is judged
    average.load_state_dict(best[2])
    return Fitted(average.eval(), best[0], best[1])


def missed_share(net: Net, stop: Examples, mean: int) -> float:
    """The share of words missed, mean over cutoffs that give 0.25 to 4 false openings an hour on what lacks the word."""
    peaks = _by_second(smoothed(net, stop.negatives, mean))[1]
    hours = len(stop.negatives) / 360_000
    cutoffs = np.sort(peaks)[::-1][np.minimum((_RATES_PER_H * hours).astype(int), len(peaks) - 1)]
    heights = word_peaks(net, stop.words, mean)
    return float(np.mean([np.mean(heights <= cutoff) for cutoff in cutoffs]))


def word_peaks(net: Net, heard: Heard, mean: int) -> NDArray[np.float64]:
    """The highest smoothed output from each utterance's end until a second after it, of 1."""
    heights = smoothed(net, heard.columns, mean)
    stride, first = net.shape.stride, net.receptive_hops - 1
    starts = np.maximum((heard.ends - _HEARD_HOPS // 2 - first) // stride, 0)
    found = [
        heights[start : max(start, (end + _HEARD_HOPS - first) // stride) + 1].max(initial=0)
        for start, end in zip(starts.tolist(), heard.ends.tolist(), strict=True)
    ]
    return np.array(found)


def smoothed(net: Net, columns: Columns, mean: int) -> NDArray[np.float64]:
    """At each inference the mean of the newest so many outputs, of 1; 0 where there are fewer."""
    outputs = 1 / (1 + np.exp(-track_logits(net, columns).astype(np.float64)))
    sums = np.cumsum(np.concatenate([[0.0], outputs]))
    found = np.zeros(len(outputs))
    found[mean - 1 :] = (sums[mean:] - sums[:-mean]) / mean
    return found


def _learn(
    net: Net, optimiser: torch.optim.Optimizer, examples: Examples, worst: _Worst | None, settings: Settings, step: int
) -> None:
    rng = np.random.default_rng([settings.seed, step])
    seen, ends = _batch(examples, worst, settings, rng)
    values = torch.from_numpy(masked_and_warped(seen, rng)) * INPUT_SCALE
    rate = settings.rate * min(1.0, step / _WARM_STEPS) * 0.5 * (1 + math.cos(math.pi * step / settings.steps)) + _LEAST_RATE
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad()
    _loss(net(values), ends, settings).backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(net.parameters(), _LARGEST_GRADIENT)
    optimiser.step()


def _batch(
    examples: Examples, worst: _Worst | None, settings: Settings, rng: np.random.Generator
) -> tuple[Columns, NDArray[np.int64]]:
    """Windows uint8 [n, hops, 40], words first; and where each word ends, in columns from its window's last (0 or less)."""
    hops = settings.shape.receptive_hops + settings.shape.stride * (settings.inferences - 1)
    own = settings.owner if examples.owner else 0
    words, ends = drawn_windows(examples.words, settings.words - own, settings.late, hops, rng)
    near, _ = drawn_windows(examples.near, settings.near, (settings.late[0] // 2, settings.late[1]), hops, rng)
    parts = [words, near]
    if examples.owner:
        theirs, their_ends = drawn_windows(examples.owner, own, settings.late, hops, rng)
        parts.insert(0, theirs)
        ends = np.concatenate([their_ends, ends])
    hard = round(settings.negatives * settings.hard) if worst else 0
    last = rng.integers(hops, len(examples.negatives), settings.negatives - hard)
    if worst:
        places = rng.choice(worst[0].numpy(), hard, p=worst[1].numpy()) + rng.integers(0, settings.late[0], hard)
        last = np.concatenate([places, last])
    said = _some_overlaid(np.concatenate(parts), _OVERLAID_SAID, _SAID_BELOW, examples.negatives, rng)
    other = windows(examples.negatives, last, hops)
    chosen = rng.random(len(other)) < _SPLICED
    other[chosen] = spliced(other[chosen], _anywhere(examples.negatives, int(chosen.sum()), hops, rng), rng)
    other = _some_overlaid(other, _OVERLAID, _BELOW, examples.negatives, rng)
    return np.concatenate([said, other]), ends


def _some_overlaid(
    seen: Columns, chance: float, height: tuple[float, float], negatives: Columns, rng: np.random.Generator
) -> Columns:
    chosen = rng.random(len(seen)) < chance
    seen[chosen] = overlaid(seen[chosen], _anywhere(negatives, int(chosen.sum()), seen.shape[1], rng), height, rng)
    return seen


def _anywhere(negatives: Columns, count: int, hops: int, rng: np.random.Generator) -> Columns:
    return windows(negatives, rng.integers(hops, len(negatives), count), hops)


def _loss(logits: Tensor, ends: NDArray[np.int64], settings: Settings) -> Tensor:
    """Cross entropy of each window's largest decision, softly: of a word's, those after its end; of anything else's, all."""
    words = len(ends)
    decisions = logits.unfold(1, settings.mean, 1).mean(2)
    newest = settings.shape.stride * np.arange(1 - decisions.shape[1], 1)
    live = torch.ones(decisions.shape, dtype=torch.bool)
    live[:words] = torch.from_numpy(newest[None] >= ends[:, None] - _EARLY_HOPS)
    soft = torch.logsumexp(settings.sharpness * decisions.masked_fill(~live, -50.0), 1)
    # a window of many decisions has more chances: half of what that adds to the soft maximum is taken off
    largest = (soft - 0.5 * torch.log(live.sum(1).float())) / settings.sharpness
    target = torch.zeros(len(logits))
    target[:words] = 1.0
    each = functional.binary_cross_entropy_with_logits(largest, target, reduction="none")
    sizes = (words, settings.near, settings.negatives)
    weights = torch.cat([torch.full((size,), weight / size) for size, weight in zip(sizes, settings.weights, strict=True)])
    return (each * weights).sum() / weights.sum()


def _worst(net: Net, negatives: Columns, mean: int, turn: int) -> _Worst:
    """Where the network is most of the opinion that sound without the word has it: in every third minute, this turn's."""
    blocks = negatives[: max(1, len(negatives) // _BLOCK) * _BLOCK].reshape(-1, min(_BLOCK, len(negatives)), negatives.shape[1])
    first = turn % len(blocks)
    at, peaks = _by_second(smoothed(net, blocks[first::_MINE_IN].reshape(-1, negatives.shape[1]), mean))
    order = np.argsort(-peaks, kind="stable")[:_WORST]
    share = peaks[order] + _LEAST_SHARE
    last = at[order] * net.shape.stride + net.receptive_hops - 1
    block, within = np.divmod(last, blocks.shape[1])
    return torch.from_numpy((first + _MINE_IN * block) * blocks.shape[1] + within), torch.from_numpy(share / share.sum())


def _by_second(heights: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The place and the height of each second's peak."""
    seconds = len(heights) // _SECOND
    rows = heights[: seconds * _SECOND].reshape(seconds, _SECOND)
    return np.arange(seconds) * _SECOND + rows.argmax(1), rows.max(1)


@torch.no_grad()
def _follow(average: Net, net: Net, kept: float) -> None:
    for mine, theirs in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if isinstance(mine, Tensor) and mine.dtype.is_floating_point:
            mine.lerp_(theirs, 1 - kept)


def _save(path: Path, state: State) -> None:
    content = io.BytesIO()
    torch.save(state, content)
    write_atomically(path, content.getvalue(), make_folder=True)


def _read(path: Path, settings: Settings) -> State | None:
    """What `_save` wrote for these settings; None where there is nothing, or something else."""
    try:
        state = torch.load(path, weights_only=True)
        return state if state["settings"] == repr(settings) and state.keys() == _KEYS else None
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, EOFError, pickle.UnpicklingError):
        return None
