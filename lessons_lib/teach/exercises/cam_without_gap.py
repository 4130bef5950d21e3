"""Lesson 03: the new head, the question whether two networks are the same, and what can be saved without pooling."""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lessons_lib.models.embedded import flat_cnn
from lessons_lib.photos.collage import scene
from lessons_lib.teach.exercise import Exercise
from lessons_lib.teach.experiment import Experiment
from lessons_lib.teach.measuring import with_objects

# Two pictures, three maps of 2 × 4, two classes.
_A = torch.tensor(
    [
        [[[1.0, 0, 2, 0], [3, 1, 0, 5]], [[0, 1, 0, 0], [2, 0, 1, 1]], [[4, 0, 0, 2], [0, 6, 0, 0]]],
        [[[0.0, 2, 0, 1], [0, 1, 3, 0]], [[5, 0, 0, 2], [0, 0, 1, 0]], [[0, 3, 1, 0], [2, 0, 0, 1]]],
    ]
)
_W = torch.tensor([[1.0, -2.0, 0.5], [-1.5, 4.0, 1.0]])
_B = torch.tensor([0.5, -1.0])
_CELLS = torch.arange(24.0).remainder(7) - 3  # one class's weights, one for each of 3 · 2 · 4 cells

_head = Exercise(
    cases=[(_A, _W, _B), (_A[:1, :2], _W[:, :2], -_B)],
    right=lambda a, w, b: a.mean(dim=(2, 3)) @ w.T + b,
    also_right=[
        lambda a, w, b: F.linear(F.adaptive_avg_pool2d(a, 1).flatten(1), w, b),
        lambda a, w, b: F.conv2d(a, w[:, :, None, None], b).mean(dim=(2, 3)),
        lambda a, w, b: torch.einsum("nkij,ck->nc", a, w) / a[0, 0].numel() + b,
    ],
    mistakes={
        "You take the maximum of each map; global average pooling takes the mean.": (
            lambda a, w, b: a.amax(dim=(2, 3)) @ w.T + b
        ),
        "You add up each map; global average pooling takes the mean.": lambda a, w, b: a.sum(dim=(2, 3)) @ w.T + b,
        "You forget the bias.": lambda a, w, b: a.mean(dim=(2, 3)) @ w.T,
        "You apply a sigmoid; a head gives logits.": lambda a, w, b: (a.mean(dim=(2, 3)) @ w.T + b).sigmoid(),
        "You apply a ReLU to the logits; a class may have a negative one.": (
            lambda a, w, b: (a.mean(dim=(2, 3)) @ w.T + b).relu()
        ),
        "You average over the maps; GAP averages over rows and columns, and keeps one number for each map.": (
            lambda a, w, b: a.mean(dim=1) @ w.T + b,  # raises: the sizes don't fit
            lambda a, w, b: a.mean(dim=1).flatten(1) @ w.T + b,
            lambda a, w, b: a.mean(dim=1).mean(dim=(1, 2))[:, None] * w.sum(dim=1) + b,
        ),
        "You average over the pictures as well; every picture has its own logits.": (
            lambda a, w, b: a.mean(dim=(0, 2, 3)) @ w.T + b
        ),
        "You apply a softmax; a head gives logits.": lambda a, w, b: (a.mean(dim=(2, 3)) @ w.T + b).softmax(dim=1),
        "You multiply by w as it is, C × K; turn it round: w.T.": (
            lambda a, w, b: a.mean(dim=(2, 3)) @ w + b  # raises: the sizes don't fit
        ),
        "You take the mean over rows only, or columns only; GAP takes it over both.": (
            lambda a, w, b: a.mean(dim=2) @ w.T + b,  # both raise
            lambda a, w, b: a.mean(dim=3) @ w.T + b,
        ),
        "You stop at the pooled maps: the weights and the bias are still to come.": lambda a, w, b: a.mean(dim=(2, 3)),
    },
)


def _differ(y: Tensor, z: Tensor) -> Tensor:
    return ((y > 0) != (z > 0)).any(dim=1).float().mean()


_old = torch.tensor([[2.0, -1.0, 0.3], [0.2, -4.0, -0.1], [-3.0, 0.4, 5.0], [-1.0, -2.0, 0.1], [1.0, 1.0, 1.0]])
_new = torch.tensor([[1.0, -2.0, 0.2], [0.8, -1.0, 0.7], [-0.1, -0.2, 6.0], [-3.0, -0.5, 2.0], [-1.0, 2.0, -4.0]])
_differs = Exercise(
    cases=[(_old, _new), (_old[:3], -_new[:3]), (_old[[0, 3, 3, 0]], _new[[0, 3, 3, 0]])],
    right=_differ,
    also_right=[
        lambda y, z: 1 - ((y > 0) == (z > 0)).all(dim=1).double().mean(),
        lambda y, z: ((y.sigmoid() > 0.5) ^ (z.sigmoid() > 0.5)).sum(dim=1).clamp(max=1).float().mean(),
        lambda y, z: sum(bool((a * b < 0).any()) for a, b in zip(y, z, strict=True)) / len(y),
    ],
    mistakes={
        "You count labels; count pictures: one wrong label makes a picture differ.": (
            lambda y, z: ((y > 0) != (z > 0)).float().mean()
        ),
        "You return the share that agrees; its other side is asked for.": lambda y, z: 1 - _differ(y, z),
        "You count pictures in which all labels differ; one is enough.": (
            lambda y, z: ((y > 0) != (z > 0)).all(dim=1).float().mean()
        ),
        "You cut the logits at 0.5; a probability of 0.5 is a logit of 0.": (
            lambda y, z: ((y > 0.5) != (z > 0.5)).any(dim=1).float().mean()
        ),
        "You compare the strongest class only; here each class is a yes or no of its own.": (
            lambda y, z: (y.argmax(dim=1) != z.argmax(dim=1)).float().mean()
        ),
        "You compare the logits themselves; two networks may give one answer with different logits.": (
            lambda y, z: (y != z).any(dim=1).float().mean()
        ),
        "You ask once, for all pictures together; ask for each picture, with dim=1, and take the share.": (
            lambda y, z: ((y > 0) != (z > 0)).any()
        ),
        "You return how many pictures differ; divide by the number of pictures.": lambda y, z: _differ(y, z) * len(y),
    },
)


def _by_cell(w: Tensor, a: Tensor) -> Tensor:
    return (w.reshape(a.shape) * a).sum(dim=0)


_cells = Exercise(
    cases=[(_CELLS, _A[0]), (-_CELLS[:6], _A[1, :2, :1, :3])],
    right=_by_cell,
    also_right=[
        lambda w, a: (w * a.flatten()).reshape(a.shape).sum(dim=0),
        lambda w, a: torch.einsum("kij,kij->ij", w.view(a.shape), a),
        lambda w, a: (w.reshape(len(a), -1) * a.flatten(1)).sum(0).reshape(a.shape[1:]),
    ],
    mistakes={
        "You average each map's weights before multiplying: that is a head with pooling, and this one has none.": (
            lambda w, a: (w.reshape(a.shape).mean(dim=(1, 2), keepdim=True) * a).sum(dim=0)
        ),
        "You fold the weights as H × W × K; `flatten` ran through the maps first, so they are K × H × W.": (
            lambda w, a: (w.reshape(*a.shape[1:], a.shape[0]).permute(2, 0, 1) * a).sum(dim=0)
        ),
        "You fold the weights as K × W × H; rows come before columns.": (
            lambda w, a: (w.reshape(a.shape[0], a.shape[2], a.shape[1]).transpose(1, 2) * a).sum(dim=0)
        ),
        "You average over the maps; the logit is a sum, so add them up.": (
            lambda w, a: (w.reshape(a.shape) * a).mean(dim=0)
        ),
        "You add up everything: that is the logit without its bias. Keep rows and columns.": (
            lambda w, a: (w * a.flatten()).sum()
        ),
        "You apply a ReLU to each product before the sum; what argues for and against must meet first.": (
            lambda w, a: (w.reshape(a.shape) * a).relu().sum(dim=0)
        ),
        "You add up rows and columns; add up the maps, so that the place is kept.": (
            lambda w, a: (w.reshape(a.shape) * a).sum(dim=(1, 2))
        ),
        "You divide by the number of cells; nothing was pooled here, and the map adds up to the logit.": (
            lambda w, a: _by_cell(w, a) / a[0].numel()
        ),
        "You return all products; add them up over the maps.": lambda w, a: w.reshape(a.shape) * a,
    },
)

EXERCISES = {"head": _head, "differ": _differs, "cells": _cells}

_network = cache(flat_cnn)


@torch.no_grad()
def _minds_the_average(answer: Any) -> tuple[bool, str]:
    given, model = with_objects(answer), _network()
    assert model.transform
    features, head, hidden, last = map(model.network.get_submodule, ("features", "head", "head.1", "head.3"))
    maps = features(model.transform(given.image)[None])  # 1 × 96 × 14 × 14
    mean = hidden.get_parameter("weight").unflatten(1, maps.shape[1:]).mean(dim=(2, 3))  # 32 × 96
    averaged = last((maps.sum(dim=(2, 3)) @ mean.T + hidden.get_parameter("bias")).relu())
    before, after = (
        ", ".join(name for name, logit in zip(model.categories, one, strict=True) if logit > 0) or "nothing"
        for one in (head(maps)[0], averaged[0])
    )
    return before != after, f"With all weights it answers: {before}; with each map's 196 weights averaged: {after}."


EXPERIMENTS = {
    "average": Experiment(
        measure=_minds_the_average,
        example=lambda: scene((3, 304)),
        found=[lambda: scene((3, 319)), lambda: scene((3, 661))],
        guess=lambda random: scene((3, random.randrange(10_000))),
    ),
}
