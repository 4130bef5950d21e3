"""Scoring a map against the truth of a scene, and against another map."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

import numpy as np

from lessons_lib import methods
from lessons_lib.heatmaps import Heatmap, explain
from lessons_lib.methods import Method
from lessons_lib.records import Explainable

Table = dict[str, dict[str, float]]
"""A figure for each row and column; rows are methods."""

COMPARED: tuple[Method, ...] = (methods.gradcam, methods.hirescam, methods.layercam, methods.eigencam)
"""The methods of every measured table."""


def centre_of_peak(heat: Heatmap) -> tuple[int, int]:
    """Return the photo's pixel in which the centre of a map's highest cell lies: row and column."""
    (row, column), (rows, columns) = heat.peak, heat.values.shape
    left, top, right, bottom = heat.region
    return int(top + (row + 0.5) / rows * (bottom - top)), int(left + (column + 0.5) / columns * (right - left))


def on_truth(heat: Heatmap, own: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """Return where a map lies: is its peak on what was asked for, and which share of its heat there and on the rest.

    Args:
        own, others: H×W bool on the photo: what was asked for, and the other objects.

    Returns:
        "peak": 1 or 0, for the centre of the highest cell; "own", "other": shares of the heat, 0…1.
    """
    return {"peak": float(own[centre_of_peak(heat)]), "own": heat.share_on(own), "other": heat.share_on(others)}


def moved(one: Heatmap, other: Heatmap) -> float:
    """Return how much of the heat lies elsewhere in the other map: half the sum of |differences| of their shares, 0…1.

    A map without heat has moved altogether, unless both are without.
    """
    positive = [heat.positive for heat in (one, other)]
    if not all(values.any() for values in positive):
        return float(any(values.any() for values in positive))
    shares = [values / values.sum() for values in positive]
    return float((shares[0] - shares[1]).abs().sum()) / 2


def quiet(model: Explainable, pictures: Any, aims: list[Any], method: Method, **options: Any) -> list[Heatmap]:
    """Return `explain`'s maps as a list, without its warnings: in a table a blank map counts as one without heat."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The map for")
        heats: Heatmap | list[Heatmap] = explain(model, pictures, aims, method=method, **options) if aims else []
    return heats if isinstance(heats, list) else [heats]


def averaged(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each figure over the rows that have it, and how many rows there are, as "maps"."""
    names = dict.fromkeys(name for row in rows for name in row)
    averages = {name: mean(row[name] for row in rows if name in row) for name in names}
    return {**averages, "maps": float(len(rows))}


def union(masks: Iterable[np.ndarray], like: np.ndarray) -> np.ndarray:
    """Return where at least one of the masks is true; nowhere, in the shape of `like`, if there is none."""
    return np.logical_or.reduce([np.zeros_like(like), *masks])
