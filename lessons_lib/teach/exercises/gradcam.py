"""Lesson 04: weights from gradients, the map, and which number to explain."""

from typing import Any

import torch
from torch import Tensor

from lessons_lib.core.explain import explain
from lessons_lib.teach.exercise import Exercise
from lessons_lib.teach.experiment import Experiment
from lessons_lib.teach.measuring import aim, cat_and_cup, categories, network, on, share

# Two maps of 2 × 3, so that rows and columns can't be taken for each other.
_A = torch.tensor([[[1.0, 0.0, 2.0], [3.0, 1.0, 0.0]], [[0.0, 4.0, -1.0], [1.0, 0.0, 2.0]]])
_G = torch.tensor([[[0.6, -0.2, 0.4], [0.0, 0.8, -0.1]], [[-0.9, 0.3, 0.0], [0.5, -1.0, -0.4]]])


def _alpha(gradients: Tensor) -> Tensor:
    return gradients.mean(dim=(1, 2))


def _weighted(alpha: Tensor, activations: Tensor) -> Tensor:
    return (alpha[:, None, None] * activations).sum(dim=0)


_weights = Exercise(
    cases=[(_G,), (torch.tensor([[[2.0, -1.0]], [[0.5, 0.5]], [[-3.0, 0.0]]]),)],
    right=_alpha,
    also_right=[
        lambda g: g.sum(dim=(1, 2)) / (g.shape[1] * g.shape[2]),
        lambda g: g.flatten(start_dim=1).mean(dim=1),
        lambda g: torch.nn.functional.adaptive_avg_pool2d(g, 1)[:, 0, 0],
        lambda g: torch.einsum("kij->k", g) / g[0].numel(),
    ],
    mistakes={
        "You take the maximum of each gradient map; Grad-CAM takes the mean.": lambda g: g.amax(dim=(1, 2)),
        "You add up each gradient map; Grad-CAM takes the mean, so divide by Z, the number of cells.": (
            lambda g: g.sum(dim=(1, 2))
        ),
        "You hand the gradient back as it is, a number for each cell; Grad-CAM asks for one number for each map, "
        "its mean over rows and columns.": lambda g: g,
        "You drop the sign of the gradient; a map whose growth lowers the score must get a negative weight.": (
            lambda g: g.abs().mean(dim=(1, 2))
        ),
        "You drop the negative gradients before the mean; Grad-CAM's ReLU comes at the very end, on the map.": (
            lambda g: g.relu().mean(dim=(1, 2))
        ),
        "You take the mean over the maps (dim 0); Grad-CAM takes it over rows and columns, one number for each map.": (
            lambda g: g.mean(dim=0)
        ),
        "You take the mean over rows only, or columns only; Grad-CAM takes it over both.": (
            lambda g: g.mean(dim=1),
            lambda g: g.mean(dim=2),
        ),
        "You take one mean over everything; Grad-CAM takes one for each map.": lambda g: g.mean(),
    },
)

_map = Exercise(
    cases=[
        (_A, _G),
        (torch.tensor([[[1.0, 2.0, 5.0]], [[3.0, 0.0, 1.0]]]), torch.tensor([[[-1.0, 2.0, -2.5]], [[1, 1, 1.0]]])),
    ],
    right=lambda a, g: _weighted(_alpha(g), a).relu(),
    also_right=[
        lambda a, g: torch.einsum("k,kij->ij", g.mean(dim=(1, 2)), a).clamp(min=0),
        lambda a, g: torch.tensordot(_alpha(g), a, dims=1).relu(),
        lambda a, g: torch.maximum((_alpha(g) @ a.flatten(start_dim=1)).reshape(a.shape[1:]), torch.tensor(0.0)),
    ],
    mistakes={
        "You leave out the ReLU; eq. (2) keeps only what speaks for the class.": lambda a, g: _weighted(_alpha(g), a),
        "You apply the ReLU to each weighted map before the sum; evidence for and against must meet first, so sum, "
        "then ReLU.": lambda a, g: (_alpha(g)[:, None, None] * a).relu().sum(dim=0),
        "You apply the ReLU to the weights; maps that speak against the class must be subtracted, so ReLU the sum.": (
            lambda a, g: _weighted(_alpha(g).relu(), a)
        ),
        "You apply the ReLU to the gradient before its mean; eq. (1) averages the gradient with its signs.": (
            lambda a, g: _weighted(_alpha(g.relu()), a).relu()
        ),
        "You drop the sign of the gradient; a map whose growth lowers the score must be subtracted.": (
            lambda a, g: _weighted(_alpha(g.abs()), a).relu()
        ),
        "You multiply cell by cell, without the mean of eq. (1); that is another method, HiResCAM.": (
            lambda a, g: (g * a).sum(dim=0).relu(),
            lambda a, g: (g * a).sum(dim=0),
            lambda a, g: (g * a).relu().sum(dim=0),
        ),
        "You take the absolute value where eq. (2) has a ReLU: what speaks against the class becomes heat.": (
            lambda a, g: _weighted(_alpha(g), a).abs()
        ),
        "You add up the gradient where eq. (1) takes its mean: your map is Z times too strong.": (
            lambda a, g: _weighted(g.sum(dim=(1, 2)), a).relu()
        ),
        "You weigh with the maximum of each gradient map; Grad-CAM takes the mean.": (
            lambda a, g: _weighted(g.amax(dim=(1, 2)), a).relu()
        ),
        "You take the mean over the weighted maps; eq. (2) asks for their sum.": (
            lambda a, g: (_alpha(g)[:, None, None] * a).mean(dim=0).relu()
        ),
        "Rows and columns are swapped: your map is the right one, transposed.": (
            lambda a, g: _weighted(_alpha(g), a).relu().T
        ),
        "You average the activations and keep the gradient's cells; Grad-CAM averages the gradient and keeps the "
        "activations' cells.": (lambda a, g: _weighted(a.mean(dim=(1, 2)), g).relu()),
        "You divide by the peak; eq. (2) ends at the ReLU, and the scale belongs to the drawing.": (
            lambda a, g: _weighted(_alpha(g), a).relu() / _weighted(_alpha(g), a).relu().max()
        ),
    },
)

_score = Exercise(
    cases=[(torch.tensor([2.0, -1.0, 0.5, 3.0]), 2), (torch.tensor([0.3, 4.0, -2.0]), 0)],
    right=lambda logits, c: logits[c],
    also_right=[
        lambda logits, c: logits.select(0, c),
        lambda logits, c: (torch.eye(len(logits))[c] * logits).sum(),
        lambda logits, c: logits.gather(0, torch.tensor(c)),
    ],
    mistakes={
        "You take the softmax first; the other classes' evidence would leak into the map. Pick the logit.": (
            lambda logits, c: logits.softmax(dim=0)[c]
        ),
        "You take the logarithm of the softmax, as the loss does; it still holds every other logit. Pick the logit.": (
            lambda logits, c: logits.log_softmax(dim=0)[c]
        ),
        "You take the sigmoid of the logit; it flattens where the network is sure. Pick the logit itself.": (
            lambda logits, c: logits[c].sigmoid()
        ),
        "You take the highest logit, whichever class it belongs to; explain the class that is asked for.": (
            lambda logits, c: logits.max()
        ),
        "You add up all logits; explain the one class that is asked for.": lambda logits, c: logits.sum(),
        "You return the class's number; return its logit.": lambda logits, c: c,
        "You return the number of the strongest class; return the logit of the class that is asked for.": (
            lambda logits, c: logits.argmax()
        ),
        "You set the other logits to zero but keep them; return the one number.": (
            lambda logits, c: torch.eye(len(logits))[c] * logits
        ),
    },
)

_M = torch.tensor(
    [[[2.0, 0.0, 1.0], [1.0, 0.0, 0.0]], [[0.0, 3.0, 1.0], [0.0, 1.0, 0.0]], [[1.0, 1.0, 0.0], [0.0, 0.0, 4.0]]]
)
_P = torch.tensor([0.2, 0.7, 0.1])


def _mixed(p: Tensor, maps: Tensor) -> Tensor:
    return (p[:, None, None] * maps).sum(dim=0)


_softmax = Exercise(
    cases=[(_M, _P, 0), (_M, _P, 2)],
    right=lambda maps, p, c: p[c] * (maps[c] - _mixed(p, maps)),
    also_right=[
        lambda maps, p, c: p[c] * maps[c] - p[c] * torch.einsum("j,jhw->hw", p, maps),
        lambda maps, p, c: torch.tensordot(p[c] * (torch.eye(len(p))[c] - p), maps, dims=1),
    ],
    mistakes={
        "You leave out what is subtracted: every class's map, times its probability.": (
            lambda maps, p, c: p[c] * maps[c]
        ),
        "You leave out the factor in front of the bracket: the class's own probability.": (
            lambda maps, p, c: maps[c] - _mixed(p, maps)
        ),
        "You subtract the other classes' maps only; the sum runs over every class, the explained one too.": (
            lambda maps, p, c: p[c] * (maps[c] - _mixed(p, maps) + p[c] * maps[c])
        ),
        "You subtract the plain sum of the maps; each is to be multiplied by its class's probability.": (
            lambda maps, p, c: p[c] * (maps[c] - maps.sum(dim=0))
        ),
        "You add the other classes' maps; they are to be subtracted.": (
            lambda maps, p, c: p[c] * (maps[c] + _mixed(p, maps))
        ),
        "You use p(1 − p) on the class's own map alone; the probability hangs on every other logit too.": (
            lambda maps, p, c: p[c] * maps[c] * (1 - p[c])
        ),
        "You turn the sign round: the mixture of all maps is subtracted from the class's own.": (
            lambda maps, p, c: p[c] * (_mixed(p, maps) - maps[c])
        ),
        "You take a softmax of the maps, cell by cell; the probabilities are given, in p.": (
            lambda maps, p, c: maps.softmax(dim=0)[c]
        ),
    },
)

EXERCISES = {"weights": _weights, "map": _map, "score": _score, "softmax": _softmax}


def _gains_by_softmax(answer: Any) -> tuple[bool, str]:
    asked, scene = aim(answer), cat_and_cup(34, background="brick")
    mask, index = on(scene, "coffee cup"), asked.on(network())
    by_logit = explain(network(), scene, asked)
    by_softmax = explain(network(), scene, lambda output: index(output.log_softmax(dim=0)))
    gain = by_softmax.share_on(mask) - by_logit.share_on(mask)
    says = f"Heat on the cup, by the logit: {share(by_logit, mask)}, by the probability: {share(by_softmax, mask)}."
    return gain >= 0.2, says


EXPERIMENTS = {
    "probability": Experiment(
        measure=_gains_by_softmax,
        example=lambda: "espresso",
        found=[lambda: "toilet seat", lambda: "steel arch bridge"],
        guess=lambda random: random.choice(categories()),
    ),
}
