"""Twelve questions before and after the course; each wrong option is what a mistake of the catalogue gives.

python -m tools.classroom.inventory writes docs/concept_inventory.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lessons_lib.teach.checks import exercise
from lessons_lib.teach.exercise import Exercise
from lessons_lib.teach.telling import numbers

PAGE = Path(__file__).parents[2] / "docs" / "concept_inventory.md"


@dataclass(frozen=True)
class Item:
    """One question.

    Args:
        exercise: of the catalogue, that asks the same.
        asks: in words, for one who has seen no lesson.
        case: the exercise's arguments that give the numbers.
        mistakes: how the sentences of three mistakes begin.
        cell: which number of the answer is asked for.
    """

    exercise: str
    asks: str
    case: tuple[Any, ...]
    mistakes: Sequence[str]
    cell: tuple[int, ...] = ()

    def options(self) -> dict[str, str]:
        """Return what each option reads → the sentence of the mistake that gives it, "" for the right one; in order."""
        asked = exercise(self.exercise)
        assert isinstance(asked, Exercise)
        found = {self._read(asked.right): ""}
        for begins in self.mistakes:
            ((sentence, does),) = [(key, one) for key, one in asked.mistakes.items() if key.startswith(begins)]
            found[self._read(does[0] if isinstance(does, Sequence) else does)] = sentence
        return dict(sorted(found.items(), key=lambda one: [float(part) for part in one[0].strip("()").split(", ")]))

    def _read(self, does: Any) -> str:
        answer = numbers(does(*self.case))
        if answer.ndim == 1 and len(answer) == 2 and not self.cell:
            return f"({', '.join(f'{float(one):g}' for one in answer)})"
        return f"{float(answer[self.cell] if self.cell else answer.sum()):.3g}"


def _maps(*cells: float) -> torch.Tensor:
    return torch.tensor(cells)[:, None, None]


_REGION = (125.0, 25.0, 475.0, 375.0)
_GRADIENT = torch.tensor([[0.2, 0.5, 0.1], [0.1, 3.0, 1.0], [0.2, -0.5, -0.1], [0.4, 0.0, 0.0]])[:, :, None]

ITEMS = [
    Item(
        "feature_maps.size",
        "A convolution reads a picture of 10 × 10 pixels with a kernel of 5 × 5, a stride of 2 and a padding of 1 on "
        "each side. How many rows has its map?",
        (10, 5, 2, 1),
        ["You divide the size by the stride", "You forget the padding", "You leave a fraction"],
    ),
    Item(
        "feature_maps.field",
        "Two convolutions with 3 × 3 kernels follow one another; the first has a stride of 2, the second of 1. How "
        "many pixels wide is what one cell behind the second has seen?",
        ([(3, 2), (3, 1)],),
        ["You add kernel − 1 for every layer as if", "You begin with 0", "You return the jump"],
    ),
    Item(
        "cam.map",
        "Behind two feature maps come a mean and one linear layer. For one class their weights are 1 and −2. In one "
        "cell the maps hold 3 and 1. What does the class activation map hold there?",
        (torch.tensor([1.0, -2.0]), _maps(3.0, 1.0)),
        ["You drop the negative weights", "You drop the sign", "You take the mean over the maps"],
    ),
    Item(
        "cam.logit",
        "The class activation map of a class is 2, −1 in its first row and 4, −1 in its second. The bias of the class "
        "is 1; the network pools with a mean. What is the logit?",
        (torch.tensor([[2.0, -1.0], [4.0, -1.0]]), torch.tensor(1.0)),
        ["You take the sum of the map", "You forget the bias.", "You apply the ReLU before the mean"],
    ),
    Item(
        "cam.normalise",
        "A map is −2, 1 in its first row and 4, −1 in its second. It is made ready for the eye: what speaks against "
        "the class at 0, the peak at 1. What becomes of the cell with 1?",
        (torch.tensor([[-2.0, 1.0], [4.0, -1.0]]),),
        ["You stretch from the lowest", "You apply the ReLU and don't", "You divide by the sum"],
        (0, 1),
    ),
    Item(
        "cam.place",
        "A network saw the square of a photo from (125, 25) to (475, 375), and its map has 7 × 7 cells. Where on the "
        "photo is the middle of the first cell of the first row (x, y)?",
        (0, 0, 7, 7, _REGION),
        ["You swap x and y", "You give the cell's upper left", "You lay the crop in the photo's"],
    ),
    Item(
        "gradcam.weights",
        "The gradient of a score at one feature map is 3, −1 in its first row and −5, 1 in its second. Which weight "
        "does Grad-CAM give the map?",
        (torch.tensor([[[3.0, -1.0], [-5.0, 1.0]]]),),
        ["You take the maximum", "You add up each gradient map", "You drop the sign of the gradient"],
    ),
    Item(
        "gradcam.map",
        "Two feature maps of a single cell hold 3 and 1; the gradients there are 1 and −4. What does Grad-CAM's map "
        "hold?",
        (_maps(3.0, 1.0), _maps(1.0, -4.0)),
        ["You leave out the ReLU", "You apply the ReLU to each weighted map", "You take the absolute value"],
    ),
    Item(
        "gradcam.score",
        "A network's logits for four classes are 2, −1, 0.5 and 3. Grad-CAM is asked to explain the third class. Which "
        "number does it differentiate?",
        (torch.tensor([2.0, -1.0, 0.5, 3.0]), 2),
        ["You take the softmax first", "You take the highest logit", "You add up all logits"],
    ),
    Item(
        "gradcam_plus_plus.reached",
        "Three copies of an object have 4, 1 and 2 at their hottest pixel; 4 is the map's peak. A copy counts as "
        "reached at half of the peak. How many are reached?",
        (torch.tensor([[4.0, 1.0, 2.0, 0.5]]), torch.eye(4)[:3, None].bool()),
        ["You leave out a copy that is exactly", "You compare with 0.5 itself", "You return the share"],
    ),
    Item(
        "segmentation.context",
        "A map is 6, 1 in its first row and −2, 3 in its second. The object fills the first column. Which share of "
        "the heat lies beside it?",
        (torch.tensor([[6.0, 1.0], [-2.0, 3.0]]), torch.tensor([[True, False], [True, False]])),
        ["You return the share inside", "You leave the negative cells in", "You divide by what lies inside"],
    ),
    Item(
        "vision_transformer.layer",
        "A score's gradient at four layers of a vision transformer, for the class token and two patches, is: layer 0: "
        "0.2, 0.5, 0.1; layer 1: 0.1, 3, 1; layer 2: 0.2, −0.5, −0.1; layer 3: 0.4, 0, 0. Which is the last layer "
        "whose map of the patches is not blank for want of a gradient?",
        (_GRADIENT,),
        ["You count the class token's gradient", "You drop negative gradients", "You take the first layer"],
    ),
]


def page() -> str:
    """Return the questions, and folded under them the key, in markdown."""
    parts = [
        "# Twelve questions, before and after",
        "<!-- Written by python -m tools.classroom.inventory; do not edit. -->",
        "Answer them before the first lesson and again after the last: 20 minutes, no notes, no computer. Guess where "
        "you have to; “I don't know” is an answer too. The same twelve are asked twice: what counts is the "
        "difference. Each wrong option is what one known mistake gives, so the key says what a class believes, not "
        "only how much it knows.",
    ]
    key = ["| question | right | if chosen | then |", "| --- | --- | --- | --- |"]
    for number, item in enumerate(ITEMS, start=1):
        options = item.options()
        letters = dict(zip(options, "ABCD", strict=True))
        listed = "\n".join(f"- {letters[one]}. {one}" for one in options)
        parts.append(f"## Question {number}\n\n{item.asks}\n\n{listed}\n- E. I don't know.")
        (right,) = (letters[one] for one, sentence in options.items() if not sentence)
        key += [
            f"| {number} (`{item.exercise}`) | {right} | {letters[one]} | {sentence} |"
            for one, sentence in options.items()
            if sentence
        ]
    parts.append("\n".join(["<details><summary>The key, for teachers</summary>", "", *key, "", "</details>"]))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
