"""What a detector finds in a picture, to read; and the state in which it tells more than that."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import box_iou

from lessons_lib.capture import left_as_found
from lessons_lib.models import Explainable
from lessons_lib.outputs import kind_of
from lessons_lib.photos import Photo
from lessons_lib.targets import name_of

Edges = tuple[float, float, float, float]
OVERLAP = 0.5
"""The intersection over union from which on two boxes are taken for the same."""
_ALL = {"score_thresh": -1.0, "detections_per_img": 10**9, "mask_roi_pool": None, "keypoint_roi_pool": None}
"""Attributes of a torchvision detector with which it keeps all its boxes, and nothing but boxes."""


@dataclass(frozen=True)
class Box:
    """A box on a photo: its class, its score, and left, top, right and bottom in the photo's pixels."""

    name: str
    score: float
    edges: Edges

    def __repr__(self) -> str:
        left, top, right, bottom = self.edges
        return f"{self.name} {shown(self.score)} · columns {left:.0f} to {right:.0f}, rows {top:.0f} to {bottom:.0f}"


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
    own, edges = found["labels"][number], edges_of(found["boxes"][number])
    rows = {int(label): nearest(found, edges, int(label), least=0.0)[0] for label in found["labels"].unique()}
    scores = {label: float(found["scores"][row]) for label, row in rows.items() if row is not None and label != own}
    return name_of(max(scores, key=lambda label: scores[label]), model) if scores else None


@contextmanager
def every_score(network: nn.Module) -> Iterator[None]:
    """Let a torchvision detector keep boxes of any score, and any number of them; its thresholds are put back.

    A box that stays is not changed by what lies below it, so the list only grows longer at its end. With it comes what
    the detector would have said of a place in second or third choice. Masks and keypoints, which Mask and Keypoint
    R-CNN make for every box they keep, are left out meanwhile: there may be tens of thousands.

    Example:
        >>> with every_score(network):
        ...     (found,) = network(batch)
    """
    before = [(head, {name: getattr(head, name) for name in _ALL if hasattr(head, name)}) for head in heads(network)]
    try:
        for head, kept in before:
            for name in kept:
                setattr(head, name, _ALL[name])
        yield
    finally:
        for head, kept in before:
            for name, value in kept.items():
                setattr(head, name, value)


def nearest(output: Any, edges: Edges, label: int | None, least: float = OVERLAP) -> tuple[int | None, float]:
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


def edges_of(box: Tensor) -> Edges:
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
    held(found)
    left, top, right, bottom = model.transform.region(*photo.image.size)
    scale = torch.tensor([(right - left) / inputs.shape[2], (bottom - top) / inputs.shape[1]] * 2)
    return found, scale, torch.tensor([left, top, left, top])


def held(output: Any) -> None:
    if not isinstance(output, dict) or not {"boxes", "labels", "scores"} <= output.keys():
        raise TypeError(
            f"Boxes are looked for in a dict with 'boxes', 'labels' and 'scores'; this model gives {kind_of(output)}: "
            "give a function of that instead."
        )


def heads(network: nn.Module) -> list[Any]:
    """Return the parts of a torchvision detector that drop boxes: its RoI heads, or the one-stage detector itself."""
    return [m for m in network.modules() if hasattr(m, "detections_per_img") and hasattr(m, "score_thresh")]


def shown(score: float) -> str:
    return f"{score:.2f}" if score >= 0.01 else "below 0.01"
