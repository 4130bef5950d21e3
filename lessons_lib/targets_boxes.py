"""Targets of object detection: a box's score for any class, its edges and sizes; and the boxes themselves, to read."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import box_iou

from lessons_lib.capture import left_as_found
from lessons_lib.models import Explainable
from lessons_lib.photos import Photo
from lessons_lib.targets import Target, index_of, kind_of, name_of

Edges = tuple[float, float, float, float]
OVERLAP = 0.5
"""The intersection over union from which on two boxes are taken for the same."""


@dataclass(frozen=True)
class Box:
    """A box on a photo: its class, its score, and left, top, right and bottom in the photo's pixels."""

    name: str
    score: float
    edges: Edges

    def __repr__(self) -> str:
        left, top, right, bottom = self.edges
        return f"{self.name} {_said(self.score)} · columns {left:.0f} to {right:.0f}, rows {top:.0f} to {bottom:.0f}"


def boxes(model: Explainable, photo: Photo, threshold: float = 0.5) -> list[Box]:
    """Return what a detector finds on a photo, the highest score first; the n-th is explained by `BoxScore(n)`.

    Args:
        threshold: of the score; what lies below it is left out.

    Raises:
        ValueError: the model comes without preprocessing.
        TypeError: its output has no boxes.

    Example:
        >>> boxes(models.detector(), collage.scene(3))
    """
    found, scale, corner = _run(model, photo)
    placed = (found["boxes"].cpu() * scale + corner).tolist()
    return [
        Box(name_of(int(label), model), float(score), (edges[0], edges[1], edges[2], edges[3]))
        for edges, label, score in zip(placed, found["labels"], found["scores"], strict=True)
        if score > threshold
    ]


def runner_up(model: Explainable, photo: Photo, number: int = 0) -> str | None:
    """Return the class that a detector would have chosen for a box in second place; None where it offers no other.

    Each other class is judged by its box that overlaps this one most, as `BoxScore(number, category)` does.

    Example:
        >>> runner_up(models.detector(), collage.scene(3))
    """
    with every_score(model.network):
        found, _, _ = _run(model, photo)
    own, edges = found["labels"][number], _edges(found["boxes"][number])
    rows = {int(label): _nearest(found, edges, int(label), least=0.0)[0] for label in found["labels"].unique()}
    scores = {label: float(found["scores"][row]) for label, row in rows.items() if row is not None and label != own}
    return name_of(max(scores, key=lambda label: scores[label]), model) if scores else None


@contextmanager
def every_score(network: nn.Module) -> Iterator[None]:
    """Let a torchvision detector keep boxes of any score, and any number of them; its thresholds are put back.

    A box that stays is not changed by what lies below it, so the list only grows longer at its end. With it comes what
    the detector would have said of a place in second or third choice.

    Example:
        >>> with every_score(network):
        ...     (found,) = network(batch)
    """
    before = [(head, head.score_thresh, head.detections_per_img) for head in _heads(network)]
    try:
        for head, _, _ in before:
            head.score_thresh, head.detections_per_img = -1.0, 10**9
        yield
    finally:
        for head, threshold, most in before:
            head.score_thresh, head.detections_per_img = threshold, most


@dataclass(frozen=True)
class OfBox(Target):
    """What the targets of this room share: a box that is found again when the network runs again.

    The box is chosen in the first run. In any other run it is the box of the same class that overlaps it most, by half
    or more (intersection over union). All boxes are kept for that, also those below the network's threshold.
    """

    box: Any = 0
    category: int | str | None = None

    def __call__(self, output: Any) -> Tensor:
        return self.settled(output)(output)

    def on(self, model: Explainable) -> "OfBox":
        category = None if self.category is None else index_of(self.category, model)
        threshold = max((head.score_thresh for head in _heads(model.network)), default=-1.0)
        return replace(self, box=_Asked(self.box, threshold, repr(self.category)), category=category)

    def prepared(self, network: nn.Module) -> AbstractContextManager[Any]:
        return every_score(network)

    def settled(self, output: Any) -> "OfBox":
        if isinstance(self.box, _Followed):
            return self
        _held(output)
        asked = self.box if isinstance(self.box, _Asked) else _Asked(self.box, -1.0, repr(self.category))
        return replace(self, box=asked.found(output, None if self.category is None else int(self.category)))


@dataclass(frozen=True)
class BoxScore(OfBox):
    """The score of one class for one box of a detector, after softmax or sigmoid: torchvision's own `scores`.

    These carry gradients in eval mode: through the box head and RoIAlign, or through the head over the anchors, to the
    feature maps. Only the places of proposals and anchors carry none. In a run in which a changed network no longer
    finds the box, its score is 0.

    Args:
        box: its number in the network's output, from 0, the highest score; or its left, top, right and bottom in pixels
            of the network's input, as they stand in that output, or where a box is missed.
        category: the class, by index or name; `None` is the box's own. Of another class, it is the box of
            that class that overlaps this one most, as the network gives it with its threshold lowered: detectors place
            a box for every class anew.

    Raises:
        ValueError: there is no such box, or none of that class; the sentence says what there is.
        TypeError: the output has no boxes.

    Example:
        >>> explain(models.detector(), scene, [BoxScore(0), BoxScore(1), BoxScore(0, "astronaut")], method=hirescam)
    """

    def __call__(self, output: Any) -> Tensor:
        if not isinstance(self.box, _Followed):
            return self.settled(output)(output)
        row, _ = _nearest(output, self.box.edges, self.box.label)
        return output["scores"].sum() * 0 if row is None else output["scores"][row]

    def words(self, output: Any, model: Explainable) -> str:
        assert isinstance(self.box, _Followed)
        return f"{self.box.said}{name_of(self.box.label, model)} {_said(self(output).item())}"


_EDGES = {
    "left": (1, 0, 0, 0),
    "top": (0, 1, 0, 0),
    "right": (0, 0, 1, 0),
    "bottom": (0, 0, 0, 1),
    "width": (-1, 0, 1, 0),
    "height": (0, -1, 0, 1),
}


@dataclass(frozen=True)
class BoxEdge(OfBox):
    """Where an edge of a detector's box lies, or the box's width or height, in pixels of the network's input.

    What speaks for it pushes the edge to the right or down, or makes the box larger.

    Args:
        box, category: as in `BoxScore`.
        edge: "left", "top", "right", "bottom", "width" or "height".

    Raises:
        ValueError: there is no such edge or box, or the box vanishes when the network is run again.

    Example:
        >>> explain(models.detector(), scene, BoxEdge(0, edge="width"), method=hirescam)
    """

    edge: str = "left"

    def __post_init__(self) -> None:
        if self.edge not in _EDGES:
            raise ValueError(f"A box has no edge {self.edge!r}: take one of {', '.join(_EDGES)}.")

    def __call__(self, output: Any) -> Tensor:
        if not isinstance(self.box, _Followed):
            return self.settled(output)(output)
        row, most = _nearest(output, self.box.edges, self.box.label)
        if row is None:
            raise ValueError(
                f"The box vanishes when the network is run again: the nearest of its class overlaps it by {most:.2f}, "
                "and there is no edge to follow. Take BoxScore, which is then 0, or a method that runs once."
            )
        return (output["boxes"][row] * torch.tensor(_EDGES[self.edge], device=output["boxes"].device)).sum()

    def words(self, output: Any, model: Explainable) -> str:
        assert isinstance(self.box, _Followed)
        what = self.edge if self.edge in ("width", "height") else f"{self.edge} edge"
        return f"{self.box.said}{what} of the {name_of(self.box.label, model)} {self(output).item():.0f}"


@dataclass(frozen=True)
class _Followed:
    """A box that has been chosen: its edges, the class that is asked for, and how it is called."""

    edges: Edges
    label: int
    said: str


@dataclass(frozen=True)
class _Asked:
    """A box as the user gave it, the network's own threshold, below which it counts as not found, the class's name."""

    box: Any
    threshold: float
    name: str

    def found(self, output: Any, category: int | None) -> _Followed:
        kept = {key: output[key][output["scores"] > self.threshold] for key in ("boxes", "labels", "scores")}
        count = len(kept["scores"])
        if isinstance(self.box, int | np.integer):
            if not count:
                above = f" with a score above its threshold of {self.threshold:g}" if self.threshold >= 0 else ""
                raise ValueError(
                    f"The network finds no box in this picture{above}: choose another picture, or ask about a place, "
                    "`BoxScore((left, top, right, bottom), category)`."
                )
            if not 0 <= self.box < count:
                raise ValueError(f"There is no box {self.box}: the network finds {count}, numbered from 0.")
            edges, own = _edges(kept["boxes"][self.box]), int(kept["labels"][self.box])
            if category in (None, own):
                return _Followed(edges, own, f"box {self.box}: ")
            said = f"box {self.box}: "
        else:
            if len(self.box) != 4:
                raise ValueError(
                    f"A box is a number, or left, top, right and bottom, and this has {len(self.box)} values."
                )
            edges, said = _edges(torch.as_tensor(self.box)), ""
        within = kept if category is None else output
        row, most = _nearest(within, edges, category, least=0.0 if said else OVERLAP)
        if row is None:
            which = "no box at all" if category is None else f"no box of class {self.name}, even below its threshold,"
            raise ValueError(
                f"Around columns {edges[0]:.0f} to {edges[2]:.0f}, rows {edges[1]:.0f} to {edges[3]:.0f} the network, "
                f"run again, has {which} that overlaps by half or more; the nearest overlaps by {most:.2f}. Boxes move "
                "when picture, size or weights change: take the box from this network's output for this very picture."
            )
        return _Followed(_edges(within["boxes"][row]), int(within["labels"][row]), said)


def _nearest(output: Any, edges: Edges, label: int | None, least: float = OVERLAP) -> tuple[int | None, float]:
    """Return the row of the box of class `label` (any, if None) that overlaps `edges` most, and by how much it does.

    The row is None where that is less than `least`, or nothing.
    """
    boxes = output["boxes"].detach()
    if not len(boxes):
        return None, 0.0
    wanted = boxes.new_tensor([edges])
    overlaps = box_iou(boxes, wanted)[:, 0].nan_to_num()
    overlaps[(boxes == wanted).all(dim=1)] = 1  # also where a box has no area and there is nothing to divide by
    if label is not None:
        overlaps = overlaps * (output["labels"] == label)
    row = int(overlaps.argmax())
    most = float(overlaps[row])
    return (row if most > 0 and most >= least else None), most


def _edges(box: Tensor) -> Edges:
    left, top, right, bottom = box.tolist()
    return left, top, right, bottom


def _run(model: Explainable, photo: Photo) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Return what a detector gives for a photo, and the scale and corner that lay its boxes on the photo."""
    if model.transform is None:
        raise ValueError("This model comes without preprocessing, so it can't take a photo: give it a `transform`.")
    inputs = model.transform(photo.image)
    device = next((p.device for p in model.network.parameters()), torch.device("cpu"))
    with left_as_found(model.network), torch.no_grad():
        (found,) = model.network(inputs[None].to(device))
    _held(found)
    left, top, right, bottom = model.transform.region(*photo.image.size)
    scale = torch.tensor([(right - left) / inputs.shape[2], (bottom - top) / inputs.shape[1]] * 2)
    return found, scale, torch.tensor([left, top, left, top])


def _held(output: Any) -> None:
    if not isinstance(output, dict) or not {"boxes", "labels", "scores"} <= output.keys():
        raise TypeError(
            f"Boxes are looked for in a dict with 'boxes', 'labels' and 'scores'; this model gives {kind_of(output)}: "
            "give a function of that instead."
        )


def _heads(network: nn.Module) -> list[Any]:
    """Return the parts of a torchvision detector that drop boxes: its RoI heads, or the one-stage detector itself."""
    return [m for m in network.modules() if hasattr(m, "detections_per_img") and hasattr(m, "score_thresh")]


def _said(score: float) -> str:
    return f"{score:.2f}" if score >= 0.01 else "below 0.01"
