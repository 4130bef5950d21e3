"""Lesson 05: α in closed form, the weight of a map made from it, and which copies of an object a map reaches."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lessons_lib.core.explain import explain
from lessons_lib.core.methods import gradcam_plus_plus
from lessons_lib.core.targets import ClassScore
from lessons_lib.photos.collage import Scene, scene
from lessons_lib.teach.exercise import Exercise
from lessons_lib.teach.experiment import Experiment
from lessons_lib.teach.measuring import CAT, network, with_objects

# Two maps of 2 × 3 and a gradient that is nowhere zero.
_A = torch.tensor([[[1.0, 0.0, 2.0], [0.0, 3.0, 0.5]], [[0.0, 1.0, 0.0], [4.0, 0.0, 1.0]]])
_G = torch.tensor([[[0.5, -0.1, 1.0], [2.0, 0.25, -0.2]], [[0.1, 0.3, -0.05], [1.5, 0.2, 0.4]]])


def _fraction(A: Tensor, g: Tensor, total: Tensor) -> Tensor:
    return g**2 / (2 * g**2 + total * g**3)


def _total(A: Tensor) -> Tensor:
    return A.sum(dim=(1, 2), keepdim=True)


def _divided_copy(A: Tensor, g: Tensor) -> Tensor:
    alpha = g**2
    alpha[g != 0].div_((2 * g**2 + _total(A) * g**3)[g != 0])
    return alpha


_alpha = Exercise(
    cases=[(_A, _G), (2 * _A, _G.flip(0) + 0.03), (_A, _G / 8)],
    right=lambda A, g: _fraction(A, g, _total(A)),
    also_right=[
        lambda A, g: 1 / (2 + g * _total(A)),
        lambda A, g: g**2 / (2 * g**2 + torch.einsum("kab,kij->kij", A, g**3)),
        lambda A, g: torch.where(g == 0, 0.0, _fraction(A, g, _total(A))),
    ],
    mistakes={
        "You sum A and g³ together; the sum runs over A alone, and g³ stays at the cell (i, j).": (
            lambda A, g: g**2 / (2 * g**2 + (A * g**3).sum(dim=(1, 2), keepdim=True))
        ),
        "Your α is g²: the division never reached it. Indexing with a mask copies, so `alpha[mask].div_(…)` divides a "
        "copy.": _divided_copy,
        "You multiply g³ with A at its own cell; eq. (19) has the sum of the whole map there.": (
            lambda A, g: _fraction(A, g, A)
        ),
        "You sum over all maps; each map has a sum of its own.": lambda A, g: _fraction(A, g, A.sum()),
        "You take the mean of the map; eq. (19) has its sum.": (
            lambda A, g: _fraction(A, g, A.mean(dim=(1, 2), keepdim=True))
        ),
        "You leave out the 2 in the denominator; it comes from differentiating a product twice.": (
            lambda A, g: g**2 / (g**2 + _total(A) * g**3)
        ),
        "You leave out the third derivative; then α is ½ everywhere.": lambda A, g: torch.full_like(g, 0.5),
        "You use g where eq. (19) has g³; the third derivative of exp(S) is exp(S) · g³.": (
            lambda A, g: g**2 / (2 * g**2 + _total(A) * g)
        ),
        "You apply the ReLU to the gradient inside α; it comes later, where α meets the gradient.": (
            lambda A, g: _fraction(A, g.relu(), _total(A)),  # 0/0 where the ReLU closes
            lambda A, g: _fraction(A, g, _total(A)) * (g > 0),
            lambda A, g: 1 / (2 + g.relu() * _total(A)),
        ),
        "You add a small number to the denominator; where the gradient is small, that is no longer little.": (
            *(lambda A, g, n=n: g**2 / (2 * g**2 + _total(A) * g**3 + 10**-n) for n in range(3, 8)),
        ),
    },
)

_ALPHA = torch.tensor([[[0.5, 0.25, 0.1], [0.4, 0.3, 0.2]], [[0.45, 0.35, 0.15], [0.05, 0.5, 0.25]]])

_weights = Exercise(
    cases=[(_ALPHA, _G), (_ALPHA.flip(2), -_G)],
    right=lambda alpha, g: (alpha * g.relu()).sum(dim=(1, 2)),
    also_right=[
        lambda alpha, g: torch.einsum("kij,kij->k", alpha, g.clamp(min=0)),
        lambda alpha, g: (alpha * g).where(g > 0, 0).flatten(1).sum(1),
    ],
    mistakes={
        "You leave out the ReLU; eq. (5) lets only positive gradients count.": (
            lambda alpha, g: (alpha * g).sum(dim=(1, 2))
        ),
        "You apply the ReLU after the sum; each gradient passes it on its own.": (
            lambda alpha, g: (alpha * g).sum(dim=(1, 2)).relu()
        ),
        "You take the mean over the cells, as Grad-CAM does; eq. (5) is a sum.": (
            lambda alpha, g: (alpha * g.relu()).mean(dim=(1, 2))
        ),
        "You take the absolute value where eq. (5) has a ReLU; only positive gradients count.": (
            lambda alpha, g: (alpha * g.abs()).sum(dim=(1, 2))
        ),
        "You leave out α; then every positive gradient counts the same.": lambda alpha, g: g.relu().sum(dim=(1, 2)),
        "You sum over the maps too; each map has a weight of its own.": lambda alpha, g: (alpha * g.relu()).sum(),
        "You take Grad-CAM's weights, the mean of the gradients.": lambda alpha, g: g.mean(dim=(1, 2)),
    },
)

# The second copy is exactly half as hot as the peak.
_HEAT = torch.tensor([[4.0, 1.0, 0.0, 1.5], [2.0, 0.5, 0.0, 1.9], [0.0, 0.0, 3.0, 0.1]])
_MASKS = torch.tensor(
    [
        [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
        [[0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]],
        [[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]],
        [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1]],
    ]
).bool()

_reached = Exercise(
    cases=[(_HEAT, _MASKS), (_HEAT / 40, _MASKS), (_HEAT.flip(1), _MASKS)],
    right=lambda heat, masks: sum(int(heat[mask].max() >= heat.max() / 2) for mask in masks),
    also_right=[
        lambda heat, masks: (torch.stack([heat[mask].max() for mask in masks]) >= 0.5 * heat.max()).sum(),
        lambda heat, masks: ((heat * masks).amax(dim=(1, 2)) / heat.max() >= 0.5).sum(),
    ],
    mistakes={
        "You take the mean over a copy; it is reached when its hottest pixel is hot enough.": (
            lambda heat, masks: sum(int(heat[mask].mean() >= heat.max() / 2) for mask in masks)
        ),
        "You compare with 0.5 itself; half of the map's own peak is asked for.": (
            lambda heat, masks: sum(int(heat[mask].max() >= 0.5) for mask in masks)
        ),
        "You count hot pixels; a copy counts once, however many of its pixels are hot.": (
            lambda heat, masks: int((heat[masks.any(dim=0)] >= heat.max() / 2).sum())
        ),
        "You return the share of the copies; their number is asked for.": (
            lambda heat, masks: sum(int(heat[mask].max() >= heat.max() / 2) for mask in masks) / len(masks)
        ),
        "You count every copy with any heat at all; half of the map's peak is asked for.": (
            lambda heat, masks: sum(int(heat[mask].max() > 0) for mask in masks)
        ),
        "You leave out a copy that is exactly half as hot as the peak; at least half is asked for, so ≥.": (
            lambda heat, masks: sum(int(heat[mask].max() > heat.max() / 2) for mask in masks)
        ),
    },
)

EXERCISES = {"alpha": _alpha, "weights": _weights, "reached": _reached}


def _hears_the_question(answer: Any) -> tuple[bool, str]:
    given = with_objects(answer, "cat", least=3)
    masks = torch.from_numpy(np.stack([item.mask for item in given.objects if item.name == "cat"]))
    heats = [explain(network(), given, one, method=gradcam_plus_plus) for one in (CAT, ClassScore("violin"))]
    cats, violins = (_reached.right(torch.from_numpy(heat.on_photo()), masks) for heat in heats)
    return cats > violins, f"Asked for Egyptian cat it reaches {cats} of {len(masks)} cats, asked for violin {violins}."


def _cats(number: int) -> Scene:
    return scene((5, number), kinds=["cat"], count=3 + number % 5, copies=True, area=(0.04, 0.09))


EXPERIMENTS = {
    "violin": Experiment(
        measure=_hears_the_question,
        example=lambda: scene(4, kinds=["cat"], count=7, copies=True, area=(0.04, 0.09)),
        found=[lambda: _cats(73), lambda: _cats(18)],
        guess=lambda random: _cats(random.randrange(10_000)),
    ),
}
