"""Keeping what the explorer shows: the figure as it is printed, and the raw values."""

import re
from pathlib import Path

import numpy as np

from lessons_lib.core.heatmap import Heatmap
from lessons_lib.show import Figure


def png(figure: Figure, heat: Heatmap) -> str:
    """Write the figure at 300 dots an inch into the working folder, and return the file's name."""
    path = free(heat, ".png")
    figure.save(path, dpi=300)
    return path.name


def npy(heat: Heatmap) -> str:
    """Write the raw, signed values at the layer's resolution, H×W float32, and return the file's name."""
    path = free(heat, ".npy")
    try:
        np.save(path, heat.values.numpy())
    except OSError as error:
        raise ValueError(
            f"{path.name!r} can't be written ({error.strerror}): start Jupyter in a folder where you may write."
        ) from None
    return path.name


def free(heat: Heatmap, ending: str) -> Path:
    """Return a path of which nothing is there yet, named after what is explained, how and where.

    Example:
        >>> free(heat, ".png").name
        'tiger_cat_gradcam_bn2.png'
    """
    asked = heat.words.partition(",")[0]
    stem = re.sub(r"\W+", "_", f"{asked} {heat.method} {heat.layer}").strip("_").lower()
    number, path = 1, Path(stem + ending)
    while path.exists():
        number += 1
        path = Path(f"{stem}_{number}{ending}")
    return path
