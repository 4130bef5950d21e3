"""A3, after lesson 11: a box, a pixel, a token, and one honest measurement."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Generator

from lessons_lib.core import methods
from lessons_lib.core.explain import explain
from lessons_lib.models.embedded import vit
from lessons_lib.photos.collage import scene
from lessons_lib.teach.measuring import on
from tools.classroom.question import Measurement, Question, Sheet
from tools.classroom.sheets.chance import signed, whole


def _boxes(chance: Generator) -> tuple[Any, ...]:
    low = torch.randint(10, 40, (2,), generator=chance).float()
    box = torch.cat([low, low + whole(chance, 8, 20)])
    size = (box[2:] - box[:2]).repeat(2)
    the_same = box + size * torch.tensor([0.02, 0.02, 0.3, 0.3])
    smaller = box + size * torch.tensor([0.15, 0.15, -0.13, -0.13])  # its edges differ by less in sum
    narrow = box + size * torch.tensor([0.25, 0.0, -0.25, 0.0])  # has its centre
    grown = torch.cat([box[:2] - 15, box[2:] + 15])  # holds the box whole
    # The first is of another class, so that counting among the box's own class gives another number.
    boxes = torch.stack([box + 80, box + 40, grown, box, narrow, smaller, the_same])
    order = torch.cat([torch.tensor([0]), 1 + torch.randperm(6, generator=chance)])
    label = whole(chance, 1, 4)
    labels = torch.tensor([label + 1, label, label, label + 1, label, label, label])
    return boxes[order], labels[order], box, torch.tensor(label)


def _levels(chance: Generator) -> tuple[Any, ...]:
    rows, columns = whole(chance, 1, 3), whole(chance, 2, 4)
    return signed(chance, 2 * rows, 2 * columns), signed(chance, rows, columns)


def _logits(chance: Generator) -> tuple[Any, ...]:
    return signed(chance, 3, 3, 4), whole(chance, 0, 2), whole(chance, 0, 2), whole(chance, 0, 3)


def _part(chance: Generator) -> Any:
    order = torch.randperm(8, generator=chance).view(2, 4)
    return order < whole(chance, 2, 6)


def _tokens(chance: Generator) -> tuple[Any, ...]:
    special, rows, columns = whole(chance, 1, 4), whole(chance, 2, 3), whole(chance, 4, 5)
    return signed(chance, special + rows * columns, 2), rows, columns


def _blocks(chance: Generator) -> tuple[Any, ...]:
    tokens = whole(chance, 4, 6)
    return (torch.randn(whole(chance, 2, 4), tokens, tokens, generator=chance).mul(2).softmax(dim=2),)


def _last(chance: Generator) -> tuple[Any, ...]:
    return signed(chance, 1, 2, 4, 3), signed(chance, 2, 3), whole(chance, 0, 1)


def _measure(number: int, method: str) -> Sequence[float]:
    model, how = vit(), getattr(methods, method)
    scenes = [scene((number, n), kinds=["cat", "motorcycle"], count=2) for n in range(6)]
    masks = [on(one, "cat") for one in scenes]
    heats = {name: [explain(model, one, name, method=how) for one in scenes] for name in ("cat", "rocket")}
    shares = {
        name: np.array([heat.share_on(mask) for heat, mask in zip(found, masks, strict=True)])
        for name, found in heats.items()
    }
    luck = np.array([heat.luck_on(mask) for heat, mask in zip(heats["cat"], masks, strict=True)])
    return [shares["cat"].mean(), shares["cat"].std(ddof=1), luck.mean(), shares["rocket"].mean()]


A3 = Sheet(
    name="a3",
    title="Beyond classification",
    opens="A box, a pixel, a token, and one honest measurement. You need lessons 07 to 11.",
    questions=[
        Question(
            exercise="detection.map",
            title="A map for one box",
            asks="`g` is the gradient of a box's score and `a` the activations, both K × H × W. Return the "
            "element-wise map (HiResCAM), H × W, with its sign.",
            arguments={"g": "KHW", "a": "KHW"},
            solution="answer = (g * a).sum(dim=0)",
            fresh=lambda c: (signed(c, 3, 2, 4), signed(c, 3, 2, 4)),
            points=3,
        ),
        Question(
            exercise="detection.follow",
            title="The same box, in another run",
            asks="A detector runs again, and its boxes come in another order: `boxes`, N × 4 (x0, y0, x1, y1), with "
            "`labels`. Return the number, from 0, of the one that is `box` with its `label`: the same class, the "
            "largest intersection over union.",
            arguments={"boxes": "NE", "labels": "", "box": "", "label": ""},
            solution="from torchvision.ops import box_iou\n\n"
            "overlap = box_iou(boxes.contiguous(), box[None])[:, 0]\n"
            "answer = torch.where(labels == label, overlap, -1).argmax()",
            fresh=_boxes,
        ),
        Question(
            exercise="detection.pyramid",
            title="Two levels of a pyramid",
            asks="`fine` is 2H × 2W and `coarse` H × W. Repeat each coarse cell in a square of 2 × 2 and add the two.",
            arguments={"fine": "HW", "coarse": "HW"},
            solution="answer = fine + coarse.repeat_interleave(2, dim=0).repeat_interleave(2, dim=1)",
            fresh=_levels,
            points=3,
        ),
        Question(
            exercise="segmentation.pixel",
            title="Why this pixel?",
            asks="`y` holds a segmenter's logits, C × H × W. Return the number that is explained for class `c` at row "
            "`i`, column `j`.",
            arguments={"y": "CHW", "c": "", "i": "", "j": ""},
            solution="answer = y[c, i, j]",
            fresh=_logits,
            points=3,
        ),
        Question(
            exercise="segmentation.region",
            title="Why this region?",
            asks="Return the number that is explained for class `c` in the region `m` (H × W, true inside), so that "
            "its map is the sum of the pixels' maps.",
            arguments={"y": "CHW", "c": "", "m": ""},
            solution="answer = y[c][m].sum()",
            fresh=lambda c: (signed(c, 3, 2, 4), whole(c, 0, 2), _part(c)),
            points=3,
        ),
        Question(
            exercise="segmentation.context",
            title="How much of it is context?",
            asks="Return the share of the heat of `h`, H × W, that lies outside the region `m`. Heat is what is "
            "positive.",
            arguments={"h": "HW", "m": ""},
            solution="heat = h.relu()\nanswer = heat[~m].sum() / heat.sum()",
            fresh=lambda c: (signed(c, 2, 4) + 0.3 * _part(c), _part(c)),
            points=3,
        ),
        Question(
            exercise="vision_transformer.grid",
            title="Tokens laid out",
            asks="`t` holds a transformer's tokens, T × C: special ones first, as many as there are, then the "
            "patches, row by row. Return the maps, C × `rows` × `columns`.",
            arguments={"t": "TC", "rows": "", "columns": ""},
            solution="answer = t[len(t) - rows * columns :].T.reshape(-1, rows, columns)",
            fresh=_tokens,
        ),
        Question(
            exercise="vision_transformer.rollout",
            title="Attention rolled out",
            asks="`attention` holds one matrix for each block, B × T × T, averaged over heads; row: who reads, "
            "column: what is read. Half of each token stays with itself. Return how much of each patch the class "
            "token (token 0) holds at the end: T − 1 numbers.",
            arguments={"attention": "BTS"},
            solution="unit = torch.eye(attention.shape[1])\nrolled = unit\nfor block in attention:\n"
            "    rolled = (block + unit) / 2 @ rolled\nanswer = rolled[0, 1:]",
            fresh=_blocks,
        ),
        Question(
            exercise="swin.map",
            title="CAM at the end of a Swin",
            asks="`x` is what a Swin's last norm puts out for one picture, 1 × H × W × K, and `w` the weights of its "
            "head, C × K. Return the class activation map of class `c`, H × W, with its sign.",
            arguments={"x": "NHWK", "w": "CK", "c": ""},
            solution="answer = x[0] @ w[c]",
            fresh=_last,
            points=3,
        ),
    ],
    experiment=Measurement(
        name="my_measurement",
        title="One honest measurement",
        asks="Your number makes six scenes with a cat and a motorcycle. Explain **cat** in each with "
        "`ll.models.vit()` and `ll.{choice}`, and return four numbers: the mean share of the heat on the cat; its "
        "standard deviation over the six (divide by 5); what evenly spread heat would give, in the mean; and the mean "
        "share on the cat when you ask for **rocket**, which is in none of them.",
        choices=["layercam", "hirescam", "gradcam_plus_plus"],
        solution="model = ll.models.vit()\n"
        'scenes = [collage.scene((number, n), kinds=["cat", "motorcycle"], count=2) for n in range(6)]\n'
        'masks = [next(item.mask for item in one.objects if item.name == "cat") for one in scenes]\n\n'
        "def heats(name):\n"
        "    return [ll.explain(model, one, name, method=getattr(ll, choice)) for one in scenes]\n\n"
        "def shares(name):\n"
        "    return torch.tensor([heat.share_on(mask) for heat, mask in zip(heats(name), masks, strict=True)])\n\n"
        'luck = torch.tensor([heat.luck_on(mask) for heat, mask in zip(heats("cat"), masks, strict=True)])\n'
        'cat = shares("cat")\n'
        'answer = torch.stack([cat.mean(), cat.std(), luck.mean(), shares("rocket").mean()])',
        measure=_measure,
    ),
    essay="You have four numbers. In at most 120 words: does your method show where this network sees a cat? Say "
    "which of the four numbers could have refuted you, what six scenes pasted from the same photographs can't show, "
    "and one more measurement that you would make.",
    rubric={
        "luck is the measure": "compares the share with evenly spread heat, not with zero",
        "the absent class is the control": "uses the share for rocket: the same share would have refuted the claim",
        "spread and number": "gives n and the spread, and says that pasted scenes are not new objects",
        "one more measurement": "names a faithfulness or a sanity check, another layer, or another network",
    },
    model="The share on the cat is several times what evenly spread heat gives, and higher than when I ask for "
    "rocket: had rocket given the same share, the map would be about the scene and not about the class. Six scenes "
    "give a spread, but all are pasted from one photograph of a cat, so they say nothing about other cats. Next I "
    "would randomise the network's weights and see whether the map changes.",
)
