"""Lesson 06: three members of the family, each one line away from Grad-CAM."""

from random import Random
from typing import Any

import torch
from torch import Tensor

from lessons_lib.core import methods
from lessons_lib.core.explain import explain
from lessons_lib.core.layers.listing import layers
from lessons_lib.teach.exercise import Exercise
from lessons_lib.teach.experiment import Experiment
from lessons_lib.teach.measuring import CAT, CUP, cat_and_cup, network, on

# Two maps of 2 × 3: the gradient changes sign within each.
_A = torch.tensor([[[1.0, 0.0, 2.0], [0.0, 3.0, 0.5]], [[0.0, 1.0, 0.0], [4.0, 0.0, 1.0]]])
_G = torch.tensor([[[0.5, -0.1, 1.0], [2.0, -0.25, -0.2]], [[0.1, 0.3, -0.05], [-1.5, 0.2, 0.4]]])
_PAIRS = [(_A, _G), (_A.flip(2) + 0.25, -_G)]


def _mean(g: Tensor) -> Tensor:
    return g.mean(dim=(1, 2), keepdim=True)


_layercam = Exercise(
    cases=[*_PAIRS, (_A - 1, _G)],  # behind a layer without a ReLU activations are negative, too
    right=lambda A, g: (g.relu() * A).sum(dim=0),
    also_right=[
        lambda A, g: torch.einsum("kij,kij->ij", g.clamp(min=0), A),
        lambda A, g: (A * g.where(g > 0, 0)).sum(0),
    ],
    mistakes={
        "You leave out the ReLU; that is HiResCAM.": lambda A, g: (g * A).sum(dim=0),
        "You apply the ReLU to the finished map; LayerCAM applies it to each gradient.": (
            lambda A, g: (g * A).sum(dim=0).relu()
        ),
        "You apply a second ReLU, to the finished map; the formula has one, on each gradient.": (
            lambda A, g: (g.relu() * A).sum(dim=0).relu()
        ),
        "You take the absolute value where LayerCAM has a ReLU.": lambda A, g: (g.abs() * A).sum(dim=0),
        "You average the gradient first; LayerCAM keeps one gradient for each cell.": (
            lambda A, g: (_mean(g).relu() * A).sum(dim=0),
            lambda A, g: (_mean(g) * A).sum(dim=0),
        ),
        "You average the positive gradients; LayerCAM keeps one for each cell.": (
            lambda A, g: (_mean(g.relu()) * A).sum(dim=0)
        ),
        "You take the mean over the maps; the formula has their sum.": lambda A, g: (g.relu() * A).mean(dim=0),
    },
)

_xgradcam = Exercise(
    cases=_PAIRS,
    right=lambda A, g: (g * A).sum(dim=(1, 2)) / A.sum(dim=(1, 2)),
    also_right=[
        lambda A, g: (g * (A / A.sum(dim=(1, 2), keepdim=True))).sum(dim=(1, 2)),
        lambda A, g: (g * A).mean(dim=(1, 2)) / A.mean(dim=(1, 2)),
    ],
    mistakes={
        "You take the plain mean of the gradient; that is Grad-CAM's weight.": lambda A, g: g.mean(dim=(1, 2)),
        "You forget to divide by the sum of the map; a bright map would count twice.": (
            lambda A, g: (g * A).sum(dim=(1, 2))
        ),
        "You divide by the number of cells; the weights A / ΣA must add up to 1.": lambda A, g: (g * A).mean(
            dim=(1, 2)
        ),
        "You divide by the sum of all maps; each map has a sum of its own.": (
            lambda A, g: (g * A).sum(dim=(1, 2)) / A.sum()
        ),
        "You apply a ReLU to the gradient; XGrad-CAM keeps its sign.": (
            lambda A, g: (g.relu() * A).sum(dim=(1, 2)) / A.sum(dim=(1, 2))
        ),
    },
)

_ablation = Exercise(
    cases=[
        (torch.tensor(4.0), torch.tensor([3.0, 5.0, 4.0, -2.0])),
        (torch.tensor(-2.0), torch.tensor([-3.0, -1.0, 2.0])),
    ],
    right=lambda y, y_k: (y - y_k) / abs(y),
    also_right=[lambda y, y_k: (y - y_k).div(y.abs()), lambda y, y_k: y.sign() * (1 - y_k / y)],
    mistakes={
        "You divide by y itself: where the score is negative, the whole map changes its sign.": (
            lambda y, y_k: (y - y_k) / y
        ),
        "You have the difference the wrong way round: a map whose loss lowers the score speaks for the class.": (
            lambda y, y_k: (y_k - y) / abs(y),
            lambda y, y_k: y_k - y,
        ),
        "You do not divide; w is a share of the score.": lambda y, y_k: y - y_k,
        "You divide by the new score; w is a share of the old one.": (
            lambda y, y_k: (y - y_k) / y_k.abs(),
            lambda y, y_k: (y - y_k) / y_k,
        ),
        "You return the score that is left; w is what is lost.": lambda y, y_k: y_k / abs(y),
    },
)

EXERCISES = {"layercam": _layercam, "xgradcam": _xgradcam, "ablation": _ablation}

_SIX = ("gradcam", "hirescam", "layercam", "xgradcam", "gradcam_plus_plus", "eigencam")


def _misleads(answer: Any) -> tuple[bool, str]:
    if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(answer[0], str) or not callable(answer[1]):
        raise ValueError('Return a layer and a method, as in ("blocks.4", ll.gradcam).')
    layer, method = answer
    scenes = [cat_and_cup(seed) for seed in range(6)]
    masks = [on(scene, ("cat", "coffee cup")[n % 2]) for n, scene in enumerate(scenes)]
    heats = explain(network(), scenes, [CAT, CUP] * 3, layer=layer, method=method)
    found = sum(heat.share_on(mask) for heat, mask in zip(heats, masks, strict=True)) / 6
    luck = sum(heat.luck_on(mask) for heat, mask in zip(heats, masks, strict=True)) / 6
    shares = f"{100 * found:.0f} % of the heat lies on the object asked for (evenly spread: {100 * luck:.0f} %)"
    return found < luck / 2, f"In six scenes {shares}."


def _any_layer(random: Random) -> tuple[str, Any]:
    names = [one.layer for one in layers(network(), cat_and_cup(0))]
    return random.choice(names), getattr(methods, random.choice(_SIX))


EXPERIMENTS = {
    "misled": Experiment(
        measure=_misleads,
        example=lambda: ("blocks.4", methods.gradcam),
        found=[
            lambda: ("blocks.6.0.conv_pwl", methods.hirescam),
            lambda: ("blocks.5.1.conv_pw", methods.gradcam),
        ],
        guess=_any_layer,
    ),
}
