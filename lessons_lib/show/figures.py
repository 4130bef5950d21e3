"""Figures of a photo: by itself, under a heatmap, under several side by side."""

import re
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib import figure as mpl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from lessons_lib.show import given
from lessons_lib.show.figure import TOGETHER, Figure
from lessons_lib.show.luck import outline, said, seen
from lessons_lib.show.protocols import BoxLike, HeatmapLike, PhotoLike
from lessons_lib.show.ties import TIE, middle_of_peak

COLOURS = "inferno"
UNDER = "under"
"""The gid of what stands under a panel."""


def photo(photo: PhotoLike, *, outlines: bool = False, boxes: Sequence[BoxLike] = ()) -> Figure:
    """Draw a photo.

    Args:
        photo: what is drawn.
        outlines: draw the outline of every object on it, too.
        boxes: drawn over it, with their names.

    Example:
        >>> show.photo(photos.cat(), outlines=True)
        cat · 451 × 300 pixels · known outline: cat · share of the picture: cat 74 %
    """
    given.a_photo(photo)
    figure, axes = _canvas(1, 1, photo.image.size)
    _lay(axes[0], np.asarray(photo.image))
    if outlines:
        outlined(axes[0], photo)
    _frame(axes[0], boxes)
    words = photo.describe()
    if outlines and photo.objects:
        sizes = [
            f"{name} {', '.join(f'{100 * mask.mean():.0f}' for mask in masks)} %"
            for name, masks in photo.named().items()
        ]
        words += f" · share of the picture: {', '.join(sizes)}"
    return Figure(figure, "\n".join([words, *(f"box {number}: {box}" for number, box in enumerate(boxes))]))


def overlay(
    heat: HeatmapLike,
    *,
    opacity: float = 0.7,
    boxes: Sequence[BoxLike] = (),
    luck: bool = False,
    cells: bool = False,
) -> Figure:
    """Draw a heatmap over its photo, with a ring at its peak and a colour bar from nothing to that peak.

    Args:
        heat: what `explain` returned.
        opacity: of the heat at its peak, 0 (only the photo) to 1 (only the heat).
        boxes: drawn over it, with their names.
        luck: draw the line inside which the map is hotter than evenly spread heat.
        cells: draw each cell of the map as the rectangle that it is, and not smoothed.

    Example:
        >>> show.overlay(heat, opacity=0.5)
        tiger cat, probability 0.39 · peak at row 4, column 2 of 7 × 7 · 97 % of the heat on the cat ...
    """
    given.a_heatmap(heat)
    figure, axes = _canvas(1, 1, heat.photo.image.size)
    _heat(axes[0], heat, float(heat.positive.max()), opacity, luck, cells)
    _frame(axes[0], boxes)
    _bar(figure, axes, Normalize(0, 1), COLOURS, "heat ÷ its peak")
    return Figure(figure, heat.describe() + (said(heat) if luck else ""))


def row(
    heats: Sequence[HeatmapLike],
    titles: Sequence[str] | None = None,
    *,
    shared: bool = True,
    opacity: float = 0.7,
    boxes: Sequence[BoxLike] = (),
    luck: bool = False,
    cells: bool = False,
    reach: float | None = None,
) -> Figure:
    """Draw heatmaps side by side, with one colour bar. Under each stands in two lines what can't be seen at once.

    Args:
        heats: the maps.
        titles: one above each; without them, the explained number.
        shared: one scale for all, so that strengths can be compared: for maps in the same units, of one method and one
            model. Without it each map is drawn from nothing to its own peak: for maps in different units.
        opacity: of the heat at the highest peak, 0 to 1.
        boxes: drawn over each map, with their names.
        luck: draw on each map the line inside which it is hotter than evenly spread heat.
        cells: as in `overlay`.
        reach: a share of a map's peak, 0 to 1. Every object is outlined, with ✓ where its hottest pixel has that much
            and ✗ where it has not, beside the line at which the map has that much.

    Example:
        >>> show.row(explain(models.vit(), scene, ["cat", "motorcycle"]))
        cat, probability 0.99 · peak at row 12, column 7 of 14 × 14 · ... · its peak is 76 % of the highest
        motorcycle, probability 0.99 · peak at row 7, column 6 of 14 × 14 · ...
    """
    heats = given.heatmaps(heats)
    titles = given.titles(titles, [heat.words for heat in heats])
    tops = [float(heat.positive.max()) for heat in heats]
    highest = max(tops) or 1.0
    figure, axes = _canvas(1, len(heats), heats[0].photo.image.size, titled=True, told=True)
    told = []
    for ax, heat, title, top in zip(axes, heats, titles, tops, strict=True):
        _heat(ax, heat, highest if shared else top, opacity, luck, cells)
        _frame(ax, boxes)
        ax.set_title(title, fontsize=10)
        words = heat.describe()
        brief = _brief(heat)
        words = words if words.startswith(title) else f"{title}: {words}"
        if shared and 0 < top < (1 - TIE) * highest:
            words += f" · its peak is {100 * top / highest:.0f} % of the highest"
        if reach is not None:
            brief = [_marked(ax, heat, given.share(reach)), *brief[1:]]
            words += f" · {brief[0]}"
        told.append(words + (said(heat) if luck else ""))
        under(ax, brief)
    _bar(figure, axes, Normalize(0, highest if shared else 1), COLOURS, "heat" if shared else "heat ÷ its peak")
    return Figure(figure, "\n".join(told), "")


def outlined(ax: Axes, photo: PhotoLike, colour: str = "white") -> None:
    """Draw the outline of every object on a photo."""
    for item in photo.objects:
        ax.contour(item.mask, levels=[0.5], colors=[colour], linewidths=1.5)


def _marked(ax: Axes, heat: HeatmapLike, reach: float) -> str:
    """Outline every object, mark which of them the map reaches, draw the line of that share; return it in words."""
    outlined(ax, heat.photo)
    pixels, met = heat.on_photo(), 0
    level = reach * float(pixels.max())
    for item in heat.photo.objects:
        hit = bool(pixels[item.mask].max() >= level > 0)
        met += hit
        y, x = (float(index.mean()) for index in np.nonzero(item.mask))
        style = {"fc": "white" if hit else "black", "ec": "none", "pad": 1}
        mark, colour = ("✓", "black") if hit else ("✗", "white")
        ax.text(x, y, mark, ha="center", va="center", fontsize=9, color=colour, bbox=style)
    if level > 0:
        ax.contour(pixels, levels=[level], colors=["cyan"], linewidths=1)
    return f"{met} of {len(heat.photo.objects)} objects reach {100 * reach:.0f} % of the peak"


def under(ax: Axes, lines: Sequence[str]) -> None:
    """Write at most two lines under a panel, in small letters, each as far as the panel is wide."""
    inches = (ax.figure.bbox.width / ax.figure.dpi - 0.9) / ax.get_gridspec().ncols  # type: ignore[union-attr]
    fitting = [textwrap.shorten(one, max(12, int(15.5 * inches)), placeholder=" …") for one in lines]
    fitting = [TOGETHER.sub("\N{NO-BREAK SPACE}", one) for one in fitting]
    place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "gid": UNDER}
    ax.annotate("\n".join(fitting[:2]), (0.5, 0), (0, -4), ha="center", va="top", fontsize=8, parse_math=False, **place)


def _brief(heat: HeatmapLike) -> list[str]:
    """Return the shares on the two objects with most of the heat; of one object its share, and where the peak is."""
    where, *shares = heat.describe().removeprefix(f"{heat.words} · ").split(" · ")
    each = re.split(r"(?<=\)), ", shares[0].replace(" of the heat", "")) if shares else []
    each = [re.sub(r" \([\d, ]+ %\)(?= \()", "", one) for one in each]  # the single copies of one thing
    return each if len(each) > 1 else [where, *each]


def _canvas(
    rows: int,
    columns: int,
    size: tuple[int, int],
    inches: float | None = None,
    titled: bool = False,
    told: bool = False,
) -> tuple[mpl.Figure, list[Axes]]:
    """Return a figure with room for `rows` × `columns` pictures of a size (width, height), and its axes in a list."""
    width, height = size
    inches = inches or {1: 4.4, 2: 3.8}.get(columns, 3.2)
    tall = inches * min(max(height / width, 0.4), 1.6) + 0.18 * titled + 0.3 * told
    figure = mpl.Figure(figsize=(columns * inches + 0.9, rows * tall + 0.2), layout="compressed")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax in axes:
        ax.set_axis_off()
        ax.set(xticks=[], yticks=[])  # else the layout makes ticks that nobody sees, which takes most of its time
    return figure, axes


def on_cells(heat: HeatmapLike) -> np.ndarray:
    """Return the positive part in the photo's pixels, as `on_photo` does, each pixel with the value of its cell."""
    (rows, columns), (width, height) = heat.positive.shape, heat.photo.image.size
    left, top, right, bottom = heat.region
    row = ((np.arange(height) + 0.5 - top) / (bottom - top) * rows).astype(int).clip(0, rows - 1)
    column = ((np.arange(width) + 0.5 - left) / (right - left) * columns).astype(int).clip(0, columns - 1)
    return heat.positive.numpy()[row][:, column] * seen(heat)


def _lay(ax: Axes, pixels: np.ndarray) -> None:
    """Draw pixels where they lie on the photo; of a picture far finer than the figure, only every k-th."""
    height, width = pixels.shape[:2]
    k = max(1, min(height, width) // 800)
    ax.imshow(pixels[k // 2 :: k, k // 2 :: k], extent=(-0.5, width - 0.5, height - 0.5, -0.5))


def _frame(ax: Axes, boxes: Sequence[BoxLike]) -> None:
    for box in given.boxes(boxes):
        left, top, right, bottom = box.edges
        ax.add_patch(Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, ec="cyan", lw=1.2))
        style = {"fc": "cyan", "ec": "none", "pad": 1}
        ax.text(left + 2, top + 2, box.name, va="top", fontsize=7, color="black", bbox=style)


def _heat(ax: Axes, heat: HeatmapLike, top: float, opacity: float, luck: bool = False, cells: bool = False) -> None:
    opacity = given.opacity(opacity)
    _lay(ax, np.asarray(heat.photo.image))
    strength = (on_cells(heat) if cells else heat.on_photo()) / (top or 1)
    colours = colormaps[COLOURS](strength, bytes=True)
    colours[..., 3] = (255 * opacity * np.sqrt(strength.clip(0, 1))).round()
    _lay(ax, colours)
    width, height = heat.photo.image.size
    left, upper, right, lower = heat.region
    if heat.positive.any():
        y, x = middle_of_peak(heat)
        size = min(8, ax.bbox.width / ax.figure.dpi * 4)  # smaller on small maps
        for colour, line in (("black", 2.6), ("white", 1.2)):  # seen on dark and on bright
            ring: dict[str, Any] = {"marker": "o", "markersize": size, "mfc": "none", "mec": colour, "mew": line}
            ax.plot(x - 0.5, y - 0.5, **ring, scalex=False, scaley=False)  # in a detector's margin it is out of sight
    right, lower = min(right, width), min(lower, height)  # a margin that a detector adds is no part of the photo
    if (left, upper, right, lower) != (0, 0, width, height):
        ax.add_patch(
            Rectangle((left - 0.5, upper - 0.5), right - left, lower - upper, fill=False, ec="white", ls=":", lw=1)
        )
    if luck:
        outline(ax, heat)


def _bar(figure: mpl.Figure, axes: list[Axes], norm: Normalize, colours: str, label: str, pad: float = 0.02) -> None:
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=axes, shrink=0.8, pad=pad, aspect=18)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=8)
