"""Lesson 10: channels that come last, windows that are shifted, and CAM at the end of a Swin."""

from functools import cache
from random import Random
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lessons_lib.core.explain import at_layers
from lessons_lib.core.targets import ClassScore
from lessons_lib.models.embedded import swin
from lessons_lib.photos.collage import Scene, scene
from lessons_lib.teach.exercise import Exercise
from lessons_lib.teach.experiment import Experiment
from lessons_lib.teach.measuring import a_kind, on, peak_on, share, told

_LAST = torch.arange(2 * 2 * 3 * 4.0).view(2, 2, 3, 4).sin()

_maps = Exercise(
    cases=[(_LAST,), (torch.arange(1 * 3 * 2 * 5.0).view(1, 3, 2, 5),)],
    right=lambda x: x.permute(0, 3, 1, 2),
    also_right=[
        lambda x: x.movedim(-1, 1),
        lambda x: torch.einsum("nhwc->nchw", x),
        lambda x: x.transpose(1, 3).transpose(2, 3),
    ],
    mistakes={
        "You swap the channels with the rows, and so rows and columns as well: N × C × W × H. Move the channels "
        "(`permute(0, 3, 1, 2)`).": lambda x: x.transpose(1, 3),
        "You reshape, which keeps the numbers in their old order and mixes channels with places; `permute` moves "
        "axes.": lambda x: x.reshape(len(x), x.shape[3], *x.shape[1:3]),
        "You move the rows to the end, not the channels to the front.": lambda x: x.permute(0, 2, 3, 1),
        "You add the channels up; each is a map of its own.": lambda x: x.sum(dim=3),
        "You return the maps of the first picture; all of them are asked for.": lambda x: x.permute(0, 3, 1, 2)[0],
    },
)

_ROWS = torch.arange(8.0).view(8, 1) * 10 + torch.arange(4.0)


def _windows(x: Tensor, size: int, shift: int) -> Tensor:
    x = x.roll((-shift, -shift), dims=(0, 1))
    rows, columns = x.shape
    return x.view(rows // size, size, columns // size, size).transpose(1, 2).reshape(-1, size, size)


_cut = Exercise(
    cases=[(_ROWS, 4, 2), (torch.arange(36.0).view(6, 6), 3, 2)],
    right=_windows,
    also_right=[
        lambda x, size, shift: (
            x.roll((-shift, -shift), (0, 1)).unfold(0, size, size).unfold(1, size, size).reshape(-1, size, size)
        ),
        lambda x, size, shift: torch.stack(
            [
                part
                for strip in torch.roll(x, (-shift, -shift), (0, 1)).split(size, dim=0)
                for part in strip.split(size, dim=1)
            ]
        ),
    ],
    mistakes={
        "You don't shift, so a window never meets its neighbour.": lambda x, size, shift: _windows(x, size, 0),
        "You shift the other way: the first window begins `shift` rows down and `shift` columns to the right, so roll "
        "by a negative number.": lambda x, size, shift: _windows(x, size, -shift),
        "You shift the rows and not the columns.": lambda x, size, shift: _windows(x.roll(-shift, dims=0), size, 0),
        "You shift by half a window, whatever `shift` says.": lambda x, size, shift: _windows(x, size, size // 2),
        "You reshape without `transpose`, and get strips of whole rows instead of windows.": lambda x, size, shift: (
            x.roll((-shift, -shift), dims=(0, 1)).reshape(-1, size, size)
        ),
        "Your windows do not wrap around: what the shift moves over the edge comes in again on the other side, and "
        "there are as many windows as without a shift.": (
            lambda x, size, shift: x[shift:, shift:].unfold(0, size, size).unfold(1, size, size).flatten(0, 1),
            lambda x, size, shift: torch.stack(
                [
                    x[row : row + size, column : column + size]
                    for row in range(shift, len(x) - size + 1, size)
                    for column in range(shift, x.shape[1] - size + 1, size)
                ]
            ),
            lambda x, size, shift: _windows(F.pad(x[shift:, shift:], (0, shift, 0, shift)), size, 0),
        ),
        "Your windows are in columns first; they are numbered along the rows.": lambda x, size, shift: (
            _windows(x.T, size, shift).mT
        ),
    },
)

_W = torch.tensor([[0.5, -1.0, 2.0], [1.0, 0.0, -0.5]])
_NORMED = torch.arange(1 * 2 * 4 * 3.0).view(1, 2, 4, 3).cos()


def _cam(x: Tensor, w: Tensor, c: int) -> Tensor:
    return x[0] @ w[c]


_map = Exercise(
    cases=[(_NORMED, _W, 0), (_NORMED * 3 - 1, _W, 1)],
    right=_cam,
    also_right=[
        lambda x, w, c: torch.einsum("hwk,k->hw", x[0], w[c]),
        lambda x, w, c: (x[0] * w[c]).sum(dim=2),
        lambda x, w, c: F.linear(x, w)[0, :, :, c],
    ],
    mistakes={
        "You drop what is negative; the mean of the map is the logit only if all of it is there.": (
            lambda x, w, c: _cam(x, w, c).relu()
        ),
        "You take the mean over channels; the weighted sum is asked for.": lambda x, w, c: _cam(x, w, c) / x.shape[3],
        "You return a map for each class; one class is asked for.": lambda x, w, c: (x[0] @ w.T).permute(2, 0, 1),
        "You swap rows and columns.": lambda x, w, c: _cam(x, w, c).T,
        "You average over the places as well; that is the logit, and the map is what was there before.": (
            lambda x, w, c: _cam(x, w, c).mean()
        ),
        "You leave the weights out, so every class has the same map.": lambda x, w, c: x[0].sum(dim=2),
    },
)

EXERCISES = {"maps": _maps, "cut": _cut, "map": _map}

_network = cache(swin)


def _differ(answer: Any) -> tuple[bool, str]:
    scene, kind = a_kind(answer)
    heats = at_layers(_network(), scene, ClassScore(kind), layers=["norm", "features.5.1"])
    hits = [peak_on(heat, on(scene, kind)) for heat in heats]
    names = "the map behind the norm", "the one before it"
    return hits[0] != hits[1], told(names, hits, kind, [share(heat, on(scene, kind)) for heat in heats])


def _any_kind(random: Random) -> tuple[Scene, str]:
    guess = scene(random.randrange(1000, 9000))
    return guess, random.choice(sorted({item.name for item in guess.objects}))


EXPERIMENTS = {
    "differ": Experiment(
        measure=_differ,
        example=lambda: (scene(8, count=3, background="brick"), "cat"),
        found=[lambda: (scene(14), "motorcycle"), lambda: (scene(24), "rocket")],
        guess=_any_kind,
    ),
}
