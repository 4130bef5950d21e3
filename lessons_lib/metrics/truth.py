"""Scoring a map against the truth of a scene, and against another map."""

from collections.abc import Sequence

import numpy as np
import torch
from torchvision.ops import box_iou

from lessons_lib.core.engine.detectors import OVERLAP
from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.records import Box, Photo


def matches(boxes: Sequence[Box], photo: Photo) -> dict[int, int]:
    """Return which object each box finds: the numbers of boxes that find one, each with its object's.

    A box finds the object of its name that it overlaps most, by half or more (intersection over union), and that no
    box before it has found; so boxes come with the highest score first.

    Args:
        boxes: as `boxes` gives them.
        photo: whose objects' outlines are known.

    Example:
        >>> metrics.matches(boxes(models.detector(), scene), scene)
        {0: 1, 1: 0}
    """
    if not boxes or not photo.objects:
        return {}
    here, there = (torch.tensor([one.edges for one in held], device="cpu") for held in (boxes, photo.objects))
    overlaps = box_iou(here, there)
    found: dict[int, int] = {}
    for number, (box, row) in enumerate(zip(boxes, overlaps.tolist(), strict=True)):
        free = [
            index for index, one in enumerate(photo.objects) if one.name == box.name and index not in found.values()
        ]
        best = max(free, key=row.__getitem__, default=None)
        if best is not None and row[best] >= OVERLAP:
            found[number] = best
    return found


def centre_of_peak(heat: Heatmap) -> tuple[int, int]:
    """Return the photo's pixel in which the centre of a map's highest cell lies: row and column.

    Example:
        >>> metrics.centre_of_peak(heat)
        (150, 150)
    """
    (row, column), (rows, columns) = heat.peak, heat.values.shape
    left, top, right, bottom = heat.region
    return int(top + (row + 0.5) / rows * (bottom - top)), int(left + (column + 0.5) / columns * (right - left))


def on_truth(heat: Heatmap, own: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """Return where a map lies: is its peak on what was asked for, and which share of its heat there and on the rest.

    Args:
        heat: the map.
        own: H×W bool on the photo, true on what was asked for.
        others: the same, true on the other objects.

    Returns:
        "peak": 1 or 0, for the centre of the highest cell; "own", "other": shares of the heat, 0…1.

    Example:
        >>> cat, motorcycle = scene.objects[1].mask, scene.objects[0].mask
        >>> metrics.on_truth(explain(models.vit(), scene, "cat"), cat, motorcycle)
        {'peak': 1.0, 'own': 0.64..., 'other': 0.01...}
    """
    return {"peak": float(own[centre_of_peak(heat)]), "own": heat.share_on(own), "other": heat.share_on(others)}


def moved(one: Heatmap, other: Heatmap) -> float:
    """Return how much of the heat lies elsewhere in the other map: half the sum of |differences| of their shares, 0…1.

    A map without heat has moved altogether, unless both are without.

    Example:
        >>> metrics.moved(*explain(models.vit(), scene, ["cat", "motorcycle"])) > 0.5
        True
    """
    positive = [heat.positive for heat in (one, other)]
    if not all(values.any() for values in positive):
        return float(any(values.any() for values in positive))
    shares = [values / values.sum() for values in positive]
    return float((shares[0] - shares[1]).abs().sum()) / 2
