"""Scoring a map against the truth of a scene, and against another map."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torchvision.ops import box_iou

from lessons_lib.core.accepted.values import as_mask
from lessons_lib.core.engine.detectors import OVERLAP
from lessons_lib.core.engine.outputs import said
from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.records import Box, Photo
from lessons_lib.show.ties import middle_of_peak


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
    y, x = middle_of_peak(heat)
    return int(y), int(x)


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


def pointing_game(heat: Heatmap, mask: np.ndarray, *, tolerance: float = 0.0) -> float:
    """Return whether a map's peak lies on what was asked for, 1 or 0; the mean is the pointing game's accuracy.

    Formula: hits / (hits + misses), Zhang et al., "Top-down neural attention by excitation backprop", arXiv 1608.00507,
    section 4.1, where a peak within 15 pixels of the object is a hit, too: `tolerance=15`. The peak is the centre of
    the highest cell. A map without heat points nowhere and misses. Luck is the mask's share of what the network saw.

    What it can't tell: how much heat lies elsewhere; and large objects are hit by luck.

    Args:
        heat: the map.
        mask: H×W bool on the photo, true on what was asked for.
        tolerance: in the photo's pixels.

    Example:
        >>> metrics.pointing_game(explain(models.vit(), scene, "cat"), scene.objects[1].mask)
        1.0
    """
    mask = _on(heat, mask)
    if not (np.isreal(tolerance) and tolerance >= 0):
        raise ValueError(f"tolerance={tolerance!r} is a distance in pixels: give 0 or more.")
    if not heat.positive.any():
        return 0.0
    row, column = centre_of_peak(heat)
    if not tolerance:
        return float(mask[row, column])
    rows, columns = np.nonzero(mask)
    return float(len(rows) > 0 and np.hypot(rows - row, columns - column).min() <= tolerance)


class Share(NamedTuple):
    """The share of a map's heat on a mask, and what evenly spread heat would have there.

    Example:
        >>> metrics.Share(share=0.65, luck=0.08)
        65 % (evenly spread: 8 %)
    """

    share: float
    luck: float

    def __repr__(self) -> str:
        return f"{100 * self.share:.0f} % (evenly spread: {100 * self.luck:.0f} %)"


def share(heat: Heatmap, mask: np.ndarray) -> Share:
    """Return the share of a map's heat on a mask, 0…1, with its luck. Higher is better, and below luck misleads.

    Formula: Σ heat on the mask / Σ heat. With boxes for masks this is the energy-based pointing game, Wang et al.,
    "Score-CAM", arXiv 1910.01279, section 4.3; with the cells of `photos.grid`, the grid pointing game, Böhle et al.,
    "Convolutional dynamic alignment networks", arXiv 2104.00032, section 5.2. Heat is the raw map's positive part.

    What it can't tell: whether the network used what lies there; evidence may be off the object, as a rail is for a
    train. A map that covers an object thinly and one that sits in its middle may have the same share.

    Args:
        heat: the map.
        mask: H×W bool on the photo, true on what was asked for.

    Example:
        >>> metrics.share(explain(models.vit(), scene, "cat"), scene.objects[1].mask)
        65 % (evenly spread: 8 %)
    """
    mask = _on(heat, mask)
    return Share(heat.share_on(mask), heat.luck_on(mask))


def iou(heat: Heatmap, mask: np.ndarray, *, threshold: float = 0.5) -> float:
    """Return how well the map's hot part covers a mask: intersection ÷ union, 0…1. Higher is better.

    Formula: |hot ∩ mask| / |hot ∪ mask|, where hot is what has at least `threshold` of the map's peak, within what the
    network saw; the localisation of CAM (arXiv 1512.04150, section 3.2: 20 %) with masks for boxes. An even map is hot
    everywhere, and its luck is the mask's share of what was seen.

    What it can't tell: anything that does not hang on the threshold. State it, and try 0.3 to 0.7.

    Args:
        heat: the map.
        mask: H×W bool on the photo, true on what was asked for.
        threshold: of the map's peak, above 0 and at most 1.

    Example:
        >>> 0 < metrics.iou(explain(models.vit(), scene, "cat"), scene.objects[1].mask, threshold=0.3) < 1
        True
    """
    mask = _on(heat, mask)
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold={threshold!r} is a share of the peak: give one above 0, and at most 1.")
    pixels = heat.on_photo()
    seen = replace(heat, values=torch.ones_like(heat.values)).on_photo() > 0
    hot = (pixels >= threshold * pixels.max()) & (pixels > 0)
    union = int((hot | (mask & seen)).sum())
    return float((hot & mask).sum() / union) if union else 0.0


def _on(heat: Heatmap, mask: np.ndarray) -> np.ndarray:
    """Return a mask on a map's photo as bool.

    Raises:
        TypeError, ValueError: this is no heatmap, or no mask of the photo's own size.
    """
    if not isinstance(heat, Heatmap):
        raise TypeError(
            f"A heatmap is scored, and this is {said(heat)}: `ll.explain` gives heatmaps; take one of them."
        )
    mask, (width, height) = as_mask(mask), heat.photo.image.size
    if mask.shape != (height, width):
        raise ValueError(
            f"The mask is {' × '.join(map(str, mask.shape))} and the photo {height} × {width}: give a mask of the "
            "photo's own height and width."
        )
    return mask


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
