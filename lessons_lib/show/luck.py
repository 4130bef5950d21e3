"""The line between what is hotter and what is colder than heat that was spread evenly, and what it holds, in words."""

import numpy as np
from matplotlib.axes import Axes

from lessons_lib.show.protocols import HeatmapLike


def hotter(heat: HeatmapLike) -> tuple[np.ndarray, float] | None:
    """Return the heat on the photo and the level that evenly spread heat would have; None where there is no heat."""
    strength = heat.on_photo()
    level = float(strength[seen(heat)].mean(dtype=np.float64))
    return (strength, level) if level > 0 else None


def seen(heat: HeatmapLike) -> np.ndarray:
    """Return which pixels of the photo the network saw, height×width bool: those whose middle lies in the region."""
    width, height = heat.photo.image.size
    left, top, right, bottom = heat.region
    columns, rows = np.arange(width) + 0.5, np.arange(height) + 0.5
    inside: np.ndarray = ((rows >= top) & (rows <= bottom))[:, None] & ((columns >= left) & (columns <= right))
    return inside


def outline(ax: Axes, heat: HeatmapLike) -> None:
    """Draw the line, white dashes on black, so that it is seen on any photo."""
    if found := hotter(heat):
        strength, level = found
        k = max(1, min(strength.shape) // 400)  # a line needs no more points than the figure has
        height, width = strength.shape
        rows, columns = np.arange(k // 2, height, k), np.arange(k // 2, width, k)
        for colour, style, wide in (("black", "solid", 2.0), ("white", "dashed", 1.2)):
            ax.contour(
                columns, rows, strength[rows][:, columns], [level], colors=colour, linestyles=style, linewidths=wide
            )


def held(heat: HeatmapLike) -> tuple[float, float] | None:
    """Return how much of the heat the line holds, and how much of what the network saw, 0 to 1 each; or None."""
    if not (found := hotter(heat)):
        return None
    strength, level = found
    inside = strength > level
    return float(strength[inside].sum(dtype=np.float64) / strength.sum(dtype=np.float64)), inside.sum() / seen(
        heat
    ).sum()


def said(heat: HeatmapLike) -> str:
    """Say what the line holds, as words to be added to a map's own; nothing where there is no heat.

    Example:
        >>> said(heat)
        ' · the dashed line holds what is hotter than evenly spread heat: 58 % of the heat on 44 % of what was seen'
    """
    if not (found := held(heat)):
        return ""
    return (
        f" · the dashed line holds what is hotter than evenly spread heat: {100 * found[0]:.0f} % of the heat on "
        f"{100 * found[1]:.0f} % of what was seen"
    )
