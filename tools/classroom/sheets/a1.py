"""A1, after lesson 02: feature maps and CAM, on the maps of a network that keeps them in fixed point."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator

from lessons_lib.core.explain import explain
from lessons_lib.core.methods import cam
from lessons_lib.core.targets import ClassScore
from lessons_lib.teach.measuring import cat_and_cup, network, on
from tools.classroom.question import Measurement, Question, Sheet
from tools.classroom.sheets.chance import positive, signed, whole


def _layers(chance: Generator) -> tuple[Any, ...]:
    return ([(whole(chance, 2, 5), whole(chance, 1, 3)) for _ in range(whole(chance, 3, 5))],)


def _cover(chance: Generator) -> tuple[Any, ...]:
    mask = torch.tensor([[0.0, 0.5, 1.0, 0.25], [0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.25, 0.0]])
    return signed(chance, 3, 3, 4), mask.flatten()[torch.randperm(12, generator=chance)].view(3, 4)


def _region(chance: Generator) -> tuple[Any, ...]:
    rows, columns = whole(chance, 3, 7), whole(chance, 3, 7)
    left, top = float(whole(chance, 5, 99)), float(whole(chance, 5, 99))
    region = (left, top, left + whole(chance, 101, 399), top + whole(chance, 101, 399))
    return whole(chance, 0, rows - 1), whole(chance, 0, columns - 1), rows, columns, region


def _measure(number: int, category: str) -> Sequence[float]:
    scene, model = cat_and_cup(number), network()
    heat, mask = explain(model, scene, ClassScore(category), method=cam), on(scene, "cat")
    bias = float(model.network.get_parameter("classifier.bias").detach()[(model.categories or ()).index(category)])
    return [heat.score, float(heat.values.mean()) + bias, heat.share_on(mask), heat.luck_on(mask)]


A1 = Sheet(
    name="a1",
    title="Feature maps and CAM",
    opens="What a layer sees, and what a class weight multiplies. You need lessons 00, 01 and 02.",
    questions=[
        Question(
            exercise="feature_maps.size",
            title="How large is the map?",
            asks="A convolution with a square kernel of `kernel`, a stride of `stride` and `padding` on each side "
            "reads a square picture of `size` pixels. Return how many rows its map has.",
            arguments={"size": "", "kernel": "", "stride": "", "padding": ""},
            solution="answer = (size + 2 * padding - kernel) // stride + 1",
            fresh=lambda c: (whole(c, 9, 60), whole(c, 2, 7), whole(c, 2, 4), whole(c, 1, 3)),
            points=3,
        ),
        Question(
            exercise="feature_maps.field",
            title="How far does one cell see?",
            asks="`layers` lists (kernel, stride) of each layer, from the picture on. Return the receptive field of a "
            "cell behind the last one, in pixels.",
            arguments={"layers": ""},
            solution="field, jump = 1, 1\nfor kernel, stride in layers:\n    field += (kernel - 1) * jump\n"
            "    jump *= stride\nanswer = field",
            fresh=_layers,
            points=3,
        ),
        Question(
            exercise="feature_maps.convolve",
            title="One channel by hand",
            asks="`X` is a picture, C × H × W, and `w` the kernel of one output channel, C × I × J. Lay the kernel on "
            "every place, `stride` pixels apart, nothing padded. Return the map.",
            arguments={"X": "CHW", "w": "CIJ", "stride": ""},
            solution="height, width = w.shape[1:]\nrows = range(0, X.shape[1] - height + 1, stride)\n"
            "columns = range(0, X.shape[2] - width + 1, stride)\n"
            "answer = torch.stack(\n    [torch.stack([(X[:, i : i + height, j : j + width] * w).sum() for j in "
            "columns]) for i in rows]\n)",
            fresh=lambda c: (signed(c, 2, 5, 6), signed(c, 2, 3, 3), whole(c, 1, 2)),
        ),
        Question(
            exercise="feature_maps.contrast",
            title="Which channel fires on the object?",
            asks="`A` holds K maps, K × H × W, and `mask` (H × W) the share of each cell that an object covers, 0 to "
            "1. Return for each map its mean on the object minus its mean beside it.",
            arguments={"A": "KHW", "mask": ""},
            solution="inside = (A * mask).sum(dim=(1, 2)) / mask.sum()\n"
            "outside = (A * (1 - mask)).sum(dim=(1, 2)) / (1 - mask).sum()\nanswer = inside - outside",
            fresh=_cover,
        ),
        Question(
            exercise="cam.map",
            title="The class activation map",
            asks="`w` holds the weights of one class, one for each of K maps, and `A` the maps, K × H × W. Return the "
            "class activation map, H × W.",
            arguments={"w": "K", "A": "KHW"},
            solution="answer = (w[:, None, None] * A).sum(dim=0)",
            fresh=lambda c: (signed(c, 3), signed(c, 3, 2, 4)),
        ),
        Question(
            exercise="cam.logit",
            title="Back to the logit",
            asks="`M` is the class activation map of a class, H × W, and `b` its bias. Return the logit of a network "
            "that pools with a mean.",
            arguments={"M": "HW", "b": ""},
            solution="answer = M.mean() + b",
            fresh=lambda c: (signed(c, 3, 4), signed(c)),
            points=3,
        ),
        Question(
            exercise="cam.normalise",
            title="Ready for the eye",
            asks="Return the map `M` with everything negative at 0 and its peak at 1. Some cell is positive, but it "
            "may be as small as 0.00000002.",
            arguments={"M": "HW"},
            solution="heat = M.relu()\nanswer = heat / heat.max()",
            fresh=lambda c: (torch.cat([signed(c, 2, 4), positive(c, 1, 4)]),),
            points=3,
        ),
        Question(
            exercise="cam.place",
            title="Where on the photo is that cell?",
            asks="Return x and y of the middle of a cell, in the photo's pixels. `row` and `column` count from 0; "
            "`region` is left, top, right, bottom of what the network saw.",
            arguments={"row": "", "column": "", "rows": "", "columns": "", "region": ""},
            solution="left, top, right, bottom = region\nx = left + (column + 0.5) * (right - left) / columns\n"
            "y = top + (row + 0.5) * (bottom - top) / rows\nanswer = torch.tensor([x, y])",
            fresh=_region,
        ),
    ],
    experiment=Measurement(
        name="my_scene",
        title="Your own scene",
        asks="Your number makes a scene of your own, with a cat and a coffee cup. Explain **{choice}** in it with CAM "
        "and return four numbers: the logit; the mean of the map plus the bias of the class; the share of the heat on "
        "the cat; what evenly spread heat would give.",
        choices=["Egyptian cat", "tabby", "lynx", "espresso", "violin", "cliff dwelling", "teapot", "banana"],
        solution="model = ll.models.imagenet()\n"
        'scene = collage.scene(number, kinds=["cat", "coffee cup"], count=2, area=(0.12, 0.2))\n'
        "heat = ll.explain(model, scene, ll.ClassScore(choice), method=ll.cam)\n"
        "bias = model.network.classifier.bias[model.categories.index(choice)].item()\n"
        'mask = next(item.mask for item in scene.objects if item.name == "cat")\n'
        "mean = heat.values.mean().item()\n"
        "answer = torch.tensor([heat.score, mean + bias, heat.share_on(mask), heat.luck_on(mask)])",
        measure=_measure,
    ),
    essay="Someone shows you the CAM of *violin* on a photograph of a coffee cup. It is bright on the cup. They say: "
    "“So the network sees something like a violin there.” Answer in at most 120 words: what does the picture show, "
    "what does it hide, and which number would you ask for?",
    rubric={
        "the picture was divided by its own peak": "says that brightness says nothing about how strong the map is",
        "the score decides": "asks for the logit or the probability of violin, beside another class's",
        "the control": "says that classes that are not in the picture often prefer the same object, or asks for luck",
        "no cause claimed": "claims nothing about what the network thinks that the numbers do not show",
    },
    model="The picture was divided by its own peak, so even a weak map looks bright. I would ask for the logit of "
    "violin beside the one of espresso, and compare both maps on one scale. Many classes that are not in the picture "
    "prefer the cup, also with shuffled weights: so where the heat lies says little about violins. It does not show "
    "what the network takes the cup for.",
)
