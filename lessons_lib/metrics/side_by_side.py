"""Methods side by side on the same questions: by truth, by the network, by sanity; a number for each question."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lessons_lib.core.records import Explainable, Photo
from lessons_lib.metrics.asking import made, without_warnings
from lessons_lib.metrics.faithfulness import deletion, drop, insertion, road
from lessons_lib.metrics.sanity import Maker, class_swap, randomised, stability
from lessons_lib.metrics.truth import iou, pointing_game, share

_CHUNK = 25
SHARES = (0.1, 0.3, 0.5)
"""Of the pixels, that `faithful` imputes for ROAD."""


@dataclass(frozen=True, eq=False)
class Question:
    """One number of one picture that a map explains, and what is known of it.

    Args:
        picture: a photo.
        target: as in `explain`.
        mask: H×W bool on the photo, where what was asked for is.
        other: another target for the same picture, for the class swap; None where there is none.
        followed: what the faithfulness curves follow, if not the target: where its number is no probability.

    Example:
        >>> metrics.Question(scene, "cat", scene.objects[1].mask, other="motorcycle").target
        'cat'
    """

    picture: Photo
    target: Any
    mask: np.ndarray
    other: Any = None
    followed: Callable[[Any], Any] | None = None


Columns = dict[str, list[float]]
"""A number for each question, by the name of the metric."""


def localised(model: Explainable, questions: Sequence[Question], make: Maker) -> Columns:
    """Return what the truth says of a method's maps: "peak", "share", its "luck", and "iou" at half the peak.

    Args:
        model: the network.
        questions: what is asked.
        make: makes the maps of model, pictures and targets, as `explain` does.

    Example:
        >>> one = metrics.Question(scene, "cat", scene.objects[1].mask)
        >>> metrics.localised(models.vit(), [one], explain)["peak"]
        [1.0]
    """
    found: Columns = {name: [] for name in ("peak", "share", "luck", "iou")}
    for part in _chunks(questions):
        with without_warnings():
            heats = made(make, model, [one.picture for one in part], [one.target for one in part])
        for heat, one in zip(heats, part, strict=True):
            found["peak"].append(pointing_game(heat, one.mask))
            on, luck = share(heat, one.mask)
            found["share"].append(on)
            found["luck"].append(luck)
            found["iou"].append(iou(heat, one.mask))
    return found


def faithful(model: Explainable, questions: Sequence[Question], make: Maker) -> Columns:
    """Return what the network says of a method's maps: "deletion", "insertion" (both on grey), "road", and "drop".

    Args:
        model: the network.
        questions: what is asked.
        make: makes the maps of model, pictures and targets, as `explain` does.

    Example:
        >>> one = metrics.Question(scene, "cat", scene.objects[1].mask)
        >>> list(metrics.faithful(models.vit(), [one], explain))
        ['deletion', 'insertion', 'road', 'drop']
    """
    found: Columns = {name: [] for name in ("deletion", "insertion", "road", "drop")}
    for part in _chunks(questions):
        pictures = [one.picture for one in part]
        aims = [one.followed or one.target for one in part]
        with without_warnings():
            heats = made(make, model, pictures, [one.target for one in part])
        found["deletion"] += [one.area for one in deletion(model, pictures, aims, heats, steps=10)]
        found["insertion"] += [one.area for one in insertion(model, pictures, aims, heats, steps=10, fill=0.0)]
        found["road"] += road(model, pictures, aims, heats, shares=SHARES)
        found["drop"] += drop(model, pictures, aims, heats)
    return found


def sane(model: Explainable, questions: Sequence[Question], make: Maker, *, forgets: Sequence[str]) -> Columns:
    """Return rank correlations of a method's maps: "forgets", "swap", "noise".

    Args:
        model: the network.
        questions: what is asked; those with no `other` have no "swap".
        make: makes the maps of model, pictures and targets, as `explain` does.
        forgets: the parts of the network that forget, all of them, before the map is made again.

    Example:
        >>> one = metrics.Question(scene, "cat", scene.objects[1].mask, other="motorcycle")
        >>> list(metrics.sane(models.vit(), [one], explain, forgets=["heads"]))
        ['forgets', 'swap', 'noise']
    """
    found: Columns = {name: [] for name in ("forgets", "swap", "noise")}
    for part in _chunks(questions):
        pictures, aims = [one.picture for one in part], [one.target for one in part]
        with without_warnings():
            stages = randomised(model, pictures, aims, make, stages=forgets)
            found["forgets"] += [one.rank for one in stages[forgets[-1]]]
            found["noise"] += [one.rank for one in stability(model, pictures, aims, make, draws=1)]
            if swapped := [one for one in part if one.other is not None]:
                shown, now = [one.picture for one in swapped], [one.target for one in swapped]
                pairs = class_swap(model, shown, now, [one.other for one in swapped], make)
                found["swap"] += [one.rank for one in pairs]
    return found


def _chunks(questions: Sequence[Question]) -> list[Sequence[Question]]:
    return [questions[first : first + _CHUNK] for first in range(0, len(questions), _CHUNK)]
