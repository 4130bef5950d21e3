"""What a detector finds in a picture, to read before a box is asked about."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lessons_lib.core import inputs
from lessons_lib.core.engine import detectors
from lessons_lib.core.engine.calling import answer
from lessons_lib.core.engine.hooks import left_as_found
from lessons_lib.core.engine.outputs import kind_of, rows, said
from lessons_lib.core.preprocess import Region
from lessons_lib.core.records import Box, Explainable, name_of


def boxes(model: Any, pictures: Any, threshold: float = 0.5) -> Any:
    """Return what a detector finds, the highest score first; the n-th is explained by `BoxScore(n)`.

    Args:
        model: a record from `models`, or any detector that gives "boxes", "labels" and "scores".
        pictures: as in `explain`.
        threshold: of the score; what lies below it is left out.

    Returns:
        A list of `Box` for one picture, their edges in the photo's pixels; a list of such lists for several.

    Raises:
        ValueError: the model comes without preprocessing and is given a photo.
        TypeError: its output has no boxes.

    Example:
        >>> boxes(models.detector(), scene)
        [cat 1.00 · columns 64 to 141, rows 134 to 201, motorcycle 0.99 · columns 31 to 173, rows 55 to 166]
    """
    if isinstance(threshold, bool) or not isinstance(threshold, int | float | np.number) or not 0 <= threshold <= 1:
        raise ValueError(f"A threshold lies between 0 and 1, and {said(threshold)} does not.")
    model = Explainable.of(model)
    found = [
        [box for box in _placed(model, output, size, region) if box.score > threshold]
        for output, size, region in _run(model, pictures)
    ]
    return found[0] if inputs.single(pictures) else found


def runner_up(model: Any, picture: Any, number: int = 0) -> str | None:
    """Return the class that a detector would have chosen for a box in second place; None where it offers no other.

    Each other class is judged by its box that overlaps this one most, as `BoxScore(number, category)` does.

    Args:
        model: as in `boxes`.
        picture: one, as in `explain`.
        number: of the box.

    Example:
        >>> runner_up(models.detector(), scene)
        'astronaut'
    """
    model = Explainable.of(model)
    if not inputs.single(picture):
        raise TypeError(f"The runner-up is asked of one picture, not of {kind_of(picture)}: give one of them.")
    with left_as_found(model.network), detectors.every_score(model.network):
        ((found, _, _),) = _run(model, picture)
    count = len(found["scores"])
    if not isinstance(number, int | np.integer) or isinstance(number, bool) or not 0 <= number < count:
        raise ValueError(f"There is no box {said(number)}: the network finds {count}, numbered from 0.")
    own, edges = found["labels"][number], detectors.edges_of(found["boxes"][number])
    rows = {int(label): detectors.nearest(found, edges, int(label), least=0.0)[0] for label in found["labels"].unique()}
    scores = {label: float(found["scores"][row]) for label, row in rows.items() if row is not None and label != own}
    return name_of(max(scores, key=lambda label: scores[label]), model) if scores else None


def _run(model: Explainable, pictures: Any) -> list[tuple[dict[str, Tensor], tuple[int, int], Region]]:
    """Return for each picture what the detector gives, the size of its input, and where that lies on the photo."""
    with inputs.given(pictures, model) as (photos, batch, regions), torch.no_grad():
        found = rows(answer(model.network, batch.clone()), len(photos))
    for one in found:
        detectors.held(one)
    height, width = batch.shape[2:]
    return [(one, (height, width), region) for one, region in zip(found, regions, strict=True)]


def _placed(model: Explainable, found: dict[str, Tensor], size: tuple[int, int], region: Region) -> list[Box]:
    (height, width), (left, top, right, bottom) = size, region
    scale = torch.tensor([(right - left) / width, (bottom - top) / height] * 2, device="cpu")
    edges = (found["boxes"].cpu() * scale + torch.tensor([left, top, left, top], device="cpu")).tolist()
    return [
        Box(name_of(int(label), model), float(score), (one[0], one[1], one[2], one[3]))
        for one, label, score in zip(edges, found["labels"], found["scores"], strict=True)
    ]
