"""A2, after lesson 05: Grad-CAM and Grad-CAM++, with gradients that come multiplied, as a loss scale does it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator

from lessons_lib.core.explain import explain
from lessons_lib.core.methods import gradcam, gradcam_plus_plus
from lessons_lib.core.targets import ClassScore
from lessons_lib.photos.collage import scene
from lessons_lib.teach.measuring import network
from tools.classroom.question import Measurement, Question, Sheet
from tools.classroom.sheets.chance import positive, signed, whole


def _both(chance: Generator) -> tuple[Any, ...]:
    return signed(chance, 2, 2, 3), signed(chance, 2, 2, 3)


def _logits(chance: Generator) -> tuple[Any, ...]:
    logits = signed(chance, 5)
    return logits, whole(chance, 0, 4)


def _mixture(chance: Generator) -> tuple[Any, ...]:
    p = positive(chance, 3)
    return signed(chance, 3, 2, 3), p / p.sum(), whole(chance, 0, 2)


def _nowhere_zero(chance: Generator) -> tuple[Any, ...]:
    g = positive(chance, 2, 2, 3) * (torch.rand(2, 2, 3, generator=chance) - 0.2).sign()
    return positive(chance, 2, 2, 3), (g / 10).where(g > -0.5, g / 100)


def _copies(chance: Generator) -> tuple[Any, ...]:
    masks = torch.zeros(4, 12, dtype=torch.bool)
    for number, cells in enumerate(torch.randperm(12, generator=chance).split(3)):
        masks[number, cells] = True
    heat = positive(chance, 3, 4)
    heat.view(-1)[masks[0].nonzero()[0]] = 3.2
    heat.view(-1)[masks[1].nonzero()] = torch.tensor([[1.6], [0.2], [0.4]])  # exactly half as hot
    return heat, masks.view(4, 3, 4)


def _pooled(chance: Generator) -> tuple[Any, ...]:
    return signed(chance, 2, 3, 2, 4), signed(chance, 2, 3), signed(chance, 2)


def _cells(chance: Generator) -> tuple[Any, ...]:
    return signed(chance, 12), signed(chance, 2, 2, 3)


def _measure(number: int, copies: int) -> Sequence[float]:
    given, model = scene(number, kinds=["cat"], count=copies, copies=True, area=(0.04, 0.09)), network()
    found = [explain(model, given, ClassScore("Egyptian cat"), method=one) for one in (gradcam, gradcam_plus_plus)]
    mask = torch.tensor([item.mask.tolist() for item in given.objects]).any(dim=0).numpy()
    shares = [heat.share_on(mask) for heat in found]
    return [found[0].score, *shares, found[0].luck_on(mask)]


def _of(lines: str) -> str:
    return lines.strip("\n")


A2 = Sheet(
    name="a2",
    title="Grad-CAM and Grad-CAM++",
    opens="The gradient stands in for the weight, and then every cell gets a weight of its own. You need lessons 03, "
    "04 and 05.",
    questions=[
        Question(
            exercise="cam_without_gap.head",
            title="A head with pooling",
            asks="`a` holds the maps of N pictures, N × K × H × W, `w` the weights, C × K, `b` the biases, C. Return "
            "the logits, N × C, of a head that pools with a mean.",
            arguments={"a": "NKHW", "w": "CK", "b": "C"},
            solution="answer = a.mean(dim=(2, 3)) @ w.T + b",
            fresh=_pooled,
            points=3,
        ),
        Question(
            exercise="cam_without_gap.cells",
            title="A head without pooling",
            asks="This head flattens the maps `a`, K × H × W, and gives each cell a weight of its own: `w` holds them "
            "for one class, K·H·W numbers, in the order of `flatten`. Return the map, H × W, whose sum is the logit "
            "without its bias.",
            arguments={"w": "", "a": "KHW"},
            solution="answer = (w.reshape(a.shape) * a).sum(dim=0)",
            fresh=_cells,
        ),
        Question(
            exercise="gradcam.weights",
            title="A weight from a gradient",
            asks="`g` is the gradient of a score with respect to K maps, K × H × W. Return Grad-CAM's weight of each "
            "map.",
            arguments={"g": "KHW"},
            solution="answer = g.mean(dim=(1, 2))",
            fresh=lambda c: (signed(c, 3, 2, 4),),
            points=3,
        ),
        Question(
            exercise="gradcam.map",
            title="Grad-CAM",
            asks="`a` holds the maps and `g` the gradient, both K × H × W. Return Grad-CAM's map, eq. (2) of the "
            "paper.",
            arguments={"a": "KHW", "g": "KHW"},
            solution="alpha = g.mean(dim=(1, 2))\nanswer = (alpha[:, None, None] * a).sum(dim=0).relu()",
            fresh=_both,
        ),
        Question(
            exercise="gradcam.score",
            title="Which number is explained?",
            asks="`logits` holds one number for each class. Return the number that Grad-CAM differentiates for class "
            "`c`.",
            arguments={"logits": "C", "c": ""},
            solution="answer = logits[c]",
            fresh=_logits,
            points=3,
        ),
        Question(
            exercise="gradcam.softmax",
            title="And if it were the probability?",
            asks="`maps` holds, for each class, the sum over k of the gradient of its logit times the maps (C × H × "
            "W), and `p` the probabilities. Return the map of the probability of class `c`, without a ReLU.",
            arguments={"maps": "CHW", "p": "", "c": ""},
            solution="mixed = (p[:, None, None] * maps).sum(dim=0)\nanswer = p[c] * (maps[c] - mixed)",
            fresh=_mixture,
        ),
        Question(
            exercise="gradcam_plus_plus.alpha",
            title="α of Grad-CAM++",
            asks="`A` and `g` are maps and gradient, K × H × W; no gradient is zero. Return α, eq. (19) of the paper, "
            "for the score exp(S): K × H × W.",
            arguments={"A": "KHW", "g": "KHW"},
            solution="total = A.sum(dim=(1, 2), keepdim=True)\nanswer = g**2 / (2 * g**2 + total * g**3)",
            fresh=_nowhere_zero,
        ),
        Question(
            exercise="gradcam_plus_plus.weights",
            title="The weights of Grad-CAM++",
            asks="Return the weight of each map from `alpha` and `g`, both K × H × W: eq. (5).",
            arguments={"alpha": "KHW", "g": "KHW"},
            solution="answer = (alpha * g.relu()).sum(dim=(1, 2))",
            fresh=lambda c: (positive(c, 2, 2, 3) / 8, signed(c, 2, 2, 3)),
            points=3,
        ),
        Question(
            exercise="gradcam_plus_plus.reached",
            title="How many copies does it reach?",
            asks="`heat` is a map on the photo, H × W, and `masks` (N × H × W) shows N copies of an object. A copy is "
            "reached if its hottest pixel has at least half of the map's peak. Return how many are reached.",
            arguments={"heat": "HW", "masks": ""},
            solution="answer = sum(int(heat[mask].max() >= heat.max() / 2) for mask in masks)",
            fresh=_copies,
            points=3,
        ),
    ],
    experiment=Measurement(
        name="my_cats",
        title="Several cats",
        asks="Your number makes a scene of your own, with {choice} cats. Explain **Egyptian cat** in it and return "
        "four numbers: the logit; the share of Grad-CAM's heat on all cats together; the same of Grad-CAM++; what "
        "evenly spread heat would give.",
        choices=[3, 4, 5, 6, 7],
        solution=_of(
            """
scene = collage.scene(number, kinds=["cat"], count=choice, copies=True, area=(0.04, 0.09))
mask = torch.tensor([item.mask.tolist() for item in scene.objects]).any(dim=0).numpy()
model, cat = ll.models.imagenet(), ll.ClassScore("Egyptian cat")
heats = [ll.explain(model, scene, cat, method=method) for method in (ll.gradcam, ll.gradcam_plus_plus)]
shares = [heat.share_on(mask) for heat in heats]
answer = torch.tensor([heats[0].score, *shares, heats[0].luck_on(mask)])"""
        ),
        measure=_measure,
    ),
    essay="You have measured one scene with several cats. A friend writes: “Grad-CAM++ covers more of the cats, as "
    "its paper says, so use it.” Answer in at most 120 words: does your scene show that, what would have to be "
    "measured, and what must stand beside the number?",
    rubric={
        "one scene proves nothing": "says that one scene shows and does not prove, or asks for many scenes and their "
        "spread",
        "luck": "compares with what evenly spread heat would give",
        "another question": "asks whether a class that is not there reaches as many copies",
        "threshold or layer": "says that the count hangs on the threshold, or on the layer",
    },
    model="One scene shows, it does not prove: I would take many scenes and give the spread. Beside each share must "
    "stand what evenly spread heat would give, and what the map of a class that is not there, violin, would give. How "
    "many copies are reached also hangs on the threshold and on the layer, so I would try several of both before I "
    "say that one method is better.",
)
