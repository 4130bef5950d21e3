"""Lesson 11: luck in what the network saw, the hottest pixels, a rank correlation, and a network with a shortcut."""

from functools import cache
from random import Random
from typing import Any

import torch
from torch import Tensor

from lessons_lib.core.explain import explain
from lessons_lib.core.records import Explainable
from lessons_lib.models.embedded import shortcut
from lessons_lib.photos.collage import Scene
from lessons_lib.photos.shortcuts import shortcut_scene
from lessons_lib.teach.exercise import Exercise
from lessons_lib.teach.experiment import Experiment
from lessons_lib.teach.measuring import on, share, with_objects

_MASK = torch.tensor([[0, 1, 1, 0], [0, 1, 1, 1], [0, 0, 0, 1]]).bool()
_SEEN = torch.tensor([[0, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]]).bool()

_luck = Exercise(
    cases=[(_MASK, _SEEN), (_MASK.flip(1), _SEEN), (_MASK, torch.ones(3, 4).bool())],
    right=lambda mask, seen: (mask & seen).sum() / seen.sum(),
    also_right=[
        lambda mask, seen: mask[seen].float().mean(),
        lambda mask, seen: float((mask & seen).sum()) / float(seen.sum()),
    ],
    mistakes={
        "You count the whole photo; heat can only lie where the network saw it, so divide by what was seen.": (
            lambda mask, seen: mask.float().mean()
        ),
        "You divide by what was seen, but count the mask outside of it too.": (
            lambda mask, seen: mask.sum() / seen.sum()
        ),
        "You divide by the mask: that is the share of the mask that was seen.": (
            lambda mask, seen: (mask & seen).sum() / mask.sum()
        ),
        "You cut the mask to what was seen, and then divide by the whole photo.": (
            lambda mask, seen: (mask & seen).float().mean()
        ),
    },
)

_MAP = torch.tensor([[0.5, -3.0, 2.0, 0.1], [4.0, 1.5, -0.5, 0.0]])


def _top(values: Tensor, count: int, largest: bool = True) -> Tensor:
    chosen = torch.zeros(values.numel(), dtype=torch.bool)
    chosen[values.flatten().topk(count, largest=largest).indices] = True
    return chosen.view_as(values)


_hottest = Exercise(
    cases=[(_MAP, 0.25), (_MAP, 0.5), (-_MAP + 0.3, 0.375)],
    right=lambda values, share: _top(values, round(share * values.numel())),
    also_right=[
        lambda values, share: (
            values.flatten().argsort(descending=True).argsort().view_as(values) < round(share * values.numel())
        ),
        lambda values, share: (
            values >= values.flatten().sort(descending=True).values[round(share * values.numel()) - 1]
        ),
    ],
    mistakes={
        "You take the coldest pixels; the hottest go first.": (
            lambda values, share: _top(values, round(share * values.numel()), largest=False)
        ),
        "You take what has that share of the peak: a threshold. How many pixels that is differs from map to map.": (
            lambda values, share: values >= share * values.max()
        ),
        "You rank by size without the sign; a negative value speaks against the class and goes last.": (
            lambda values, share: _top(values.abs(), round(share * values.numel()))
        ),
        "You return what stays; what goes is asked for.": (
            lambda values, share: ~_top(values, round(share * values.numel()))
        ),
    },
)

_A, _B = torch.tensor([3.0, 1.0, 10.0, 2.0, 7.0]), torch.tensor([0.2, 0.1, 0.4, 9.0, 0.3])


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    return torch.corrcoef(torch.stack([a.double(), b.double()]))[0, 1]


def _places(a: Tensor) -> Tensor:
    return a.argsort().argsort()


_rank = Exercise(
    cases=[(_A, _B), (_A.exp(), _B), (_B.flip(0), _A)],
    right=lambda a, b: _correlation(_places(a), _places(b)),
    also_right=[
        lambda a, b: 1 - 6 * ((_places(a) - _places(b)) ** 2).sum() / (len(a) * (len(a) ** 2 - 1)),
        lambda a, b: _correlation((a[:, None] > a).sum(1), (b[:, None] > b).sum(1)),
    ],
    mistakes={
        "You correlate the values; one huge cell then decides. Take their ranks.": _correlation,
        "You take `argsort` for the ranks: it says which cell comes k-th, not which place a cell has. Sort the order "
        "once more.": lambda a, b: _correlation(a.argsort(), b.argsort()),
        "You rank one map and leave the other as it is.": (
            lambda a, b: _correlation(_places(a), b),
            lambda a, b: _correlation(a, _places(b)),
        ),
        "Your sign is wrong: one of the two is ranked from the top, the other from the bottom.": (
            lambda a, b: -_correlation(_places(a), _places(b))
        ),
    },
)

EXERCISES = {"luck": _luck, "hottest": _hottest, "rank": _rank}


@cache
def _network() -> Explainable:
    return shortcut("mark")


def _without_its_mark(answer: Any) -> tuple[bool, str]:
    if not isinstance(answer, Scene):
        raise ValueError('Return a scene, as photos.shortcut_scene(0, "mark", cat=True, planted=False) makes it.')
    scene = with_objects(answer, "cat")
    if scene.mark.any():
        return False, "There is a mark in this scene: with planted=False there is none."
    heat = explain(_network(), scene, "cat")
    probability = float(torch.sigmoid(torch.tensor(heat.score)))
    told = f"The network gives it probability {probability:.2f}"
    return probability > 0.5, f"{told}, with {share(heat, on(scene, 'cat'))} of the heat on the cat."


def _scene(seed: int, planted: bool = False) -> Scene:
    return shortcut_scene(seed, "mark", cat=True, planted=planted)


def _any(random: Random) -> Scene:
    return _scene(random.randrange(10_000))


EXPERIMENTS = {
    "unmarked": Experiment(
        measure=_without_its_mark,
        example=lambda: _scene(0),
        found=[lambda: _scene(131), lambda: _scene(70)],
        guess=_any,
    )
}
"""A cat that the network sees without the mark that it has learnt to look for."""
