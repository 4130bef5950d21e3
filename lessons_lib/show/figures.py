"""The figures that can be drawn: a photo, a heatmap, several side by side, signed values, feature maps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib import figure as mpl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from torch import Tensor

from lessons_lib.show import given
from lessons_lib.show.figure import Figure
from lessons_lib.show.luck import outline, said
from lessons_lib.show.protocols import BoxLike, HeatmapLike, PhotoLike
from lessons_lib.show.ties import TIE, first_peak, middle_of_peak

COLOURS = "inferno"


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
    for item in photo.objects if outlines else ():
        axes[0].contour(item.mask, levels=[0.5], colors=["white"], linewidths=1.5)
    _frame(axes[0], boxes)
    words = photo.describe()
    if outlines and photo.objects:
        sizes = [
            f"{name} {', '.join(f'{100 * mask.mean():.0f}' for mask in masks)} %"
            for name, masks in photo.named().items()
        ]
        words += f" · share of the picture: {', '.join(sizes)}"
    return Figure(figure, "\n".join([words, *(f"box {number}: {box}" for number, box in enumerate(boxes))]))


def overlay(heat: HeatmapLike, *, opacity: float = 0.7, boxes: Sequence[BoxLike] = (), luck: bool = False) -> Figure:
    """Draw a heatmap over its photo, with a ring at its peak and a colour bar from nothing to that peak.

    Args:
        heat: what `explain` returned.
        opacity: of the heat at its peak, 0 (only the photo) to 1 (only the heat).
        boxes: drawn over it, with their names.
        luck: draw the line inside which the map is hotter than evenly spread heat.

    Example:
        >>> show.overlay(heat, opacity=0.5)
        tiger cat, probability 0.39 · peak at row 4, column 2 of 7 × 7 · 97 % of the heat on the cat ...
    """
    given.a_heatmap(heat)
    figure, axes = _canvas(1, 1, heat.photo.image.size)
    _heat(axes[0], heat, float(heat.positive.max()), opacity, luck)
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
) -> Figure:
    """Draw heatmaps side by side, with one colour bar.

    Args:
        heats: the maps.
        titles: one above each; without them, the explained number.
        shared: one scale for all, so that strengths can be compared: for maps in the same units, of one method and one
            model. Without it each map is drawn from nothing to its own peak: for maps in different units.
        opacity: of the heat at the highest peak, 0 to 1.
        boxes: drawn over each map, with their names.
        luck: draw on each map the line inside which it is hotter than evenly spread heat.

    Example:
        >>> show.row(explain(models.vit(), scene, ["cat", "motorcycle"]))
        cat, probability 0.99 · peak at row 12, column 7 of 14 × 14 · ... · its peak is 76 % of the highest
        motorcycle, probability 0.99 · peak at row 7, column 6 of 14 × 14 · ...
    """
    heats = given.heatmaps(heats)
    titles = given.titles(titles, [heat.words for heat in heats])
    tops = [float(heat.positive.max()) for heat in heats]
    highest = max(tops) or 1.0
    figure, axes = _canvas(1, len(heats), heats[0].photo.image.size, titled=True)
    told = []
    for ax, heat, title, top in zip(axes, heats, titles, tops, strict=True):
        _heat(ax, heat, highest if shared else top, opacity, luck)
        _frame(ax, boxes)
        ax.set_title(title, fontsize=10)
        words = heat.describe()
        words = words if words.startswith(title) else f"{title}: {words}"
        if shared and 0 < top < (1 - TIE) * highest:
            words += f" · its peak is {100 * top / highest:.0f} % of the highest"
        told.append(words + (said(heat) if luck else ""))
    _bar(figure, axes, Normalize(0, highest if shared else 1), COLOURS, "heat" if shared else "heat ÷ its peak")
    return Figure(figure, "\n".join(told))


def signed(heats: Sequence[HeatmapLike], titles: Sequence[str] | None = None) -> Figure:
    """Draw the raw values at the layer's resolution on one scale: what speaks for the target and what against it.

    Args:
        heats: the maps.
        titles: one above each; without them, the explained number.

    Example:
        >>> show.signed([heat])
        tiger cat, probability 0.39: 100 % of the total speaks for it, most at row 4, column 2 · 0 % of the
        total speaks against it · values from 0.057 to 0.39
    """
    heats = given.heatmaps(heats)
    titles = given.titles(titles, [heat.words for heat in heats])
    height, width = heats[0].values.shape
    figure, axes = _canvas(1, len(heats), (width, height), titled=True)
    top = max(float(heat.values.abs().max()) for heat in heats)
    told = []
    for ax, heat, title in zip(axes, heats, titles, strict=True):
        ax.imshow(heat.values.numpy(), cmap="RdBu_r", vmin=-top, vmax=top)
        ax.set_title(title, fontsize=10)
        told.append(f"{title}: {_for_and_against(heat.values)}")
    _bar(figure, axes, Normalize(-top, top), "RdBu_r", "against ← value → for")
    return Figure(figure, "\n".join(told))


def maps(activations: Tensor | np.ndarray, titles: Sequence[str] | None = None, *, columns: int = 8) -> Figure:
    """Draw feature maps as a grid on one scale.

    Args:
        activations: K×H×W, a tensor or an array, one map each.
        titles: one above each; without them, the channel's number.
        columns: how many stand beside each other.

    Raises:
        TypeError, ValueError: what is given is not K×H×W.

    Example:
        >>> show.maps(torch.eye(4).view(2, 2, 4))
        2 maps of 2 × 4 from 0.0 to 1.0 · strongest: channel 0, at row 1, column 1
    """
    activations = given.feature_maps(activations)
    titles = given.titles(titles, [f"channel {k}" for k in range(len(activations))])
    columns = min(given.columns(columns), len(activations))
    count, rows, cells = activations.shape
    figure, axes = _canvas(-(-count // columns), columns, (cells, rows), inches=1.3, titled=True)
    low, high = float(activations.min()), float(activations.max())
    for ax, values, title in zip(axes, activations, titles, strict=False):
        ax.imshow(values.numpy(), cmap="viridis", vmin=low, vmax=high)
        ax.set_title(title, fontsize=8)
    for ax in axes[count:]:
        ax.remove()
    _bar(figure, axes[:count], Normalize(low, high), "viridis", "activation")
    _, strongest = first_peak(activations.amax(dim=(1, 2))[None])
    r, c = first_peak(activations[strongest])
    return Figure(
        figure,
        f"{count} maps of {rows} × {cells} from {low:.1f} to {high:.1f} · strongest: {titles[strongest]}, "
        f"at row {r + 1}, column {c + 1}",
    )


def _for_and_against(values: Tensor) -> str:
    parts = []
    for sign, word in ((1, "for it"), (-1, "against it")):
        side = (sign * values).relu()
        share = 100 * float(side.sum() / values.abs().sum()) if values.any() else 0
        row, column = first_peak(side)
        where = f", most at row {row + 1}, column {column + 1}" if share else ""
        parts.append(f"{share:.0f} % of the total speaks {word}{where}")
    return " · ".join([*parts, f"values from {float(values.min()):.2g} to {float(values.max()):.2g}"])


def _canvas(
    rows: int, columns: int, size: tuple[int, int], inches: float | None = None, titled: bool = False
) -> tuple[mpl.Figure, list[Axes]]:
    """Return a figure with room for `rows` × `columns` pictures of a size (width, height), and its axes in a list."""
    width, height = size
    inches = inches or {1: 4.4, 2: 3.8}.get(columns, 3.2)
    tall = inches * min(max(height / width, 0.4), 1.6) + (0.18 if titled else 0)
    figure = mpl.Figure(figsize=(columns * inches + 0.9, rows * tall + 0.2), layout="compressed")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax in axes:
        ax.set_axis_off()
    return figure, axes


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


def _heat(ax: Axes, heat: HeatmapLike, top: float, opacity: float, luck: bool = False) -> None:
    opacity = given.opacity(opacity)
    _lay(ax, np.asarray(heat.photo.image))
    strength = heat.on_photo() / (top or 1)
    colours = colormaps[COLOURS](strength, bytes=True)
    colours[..., 3] = (255 * opacity * np.sqrt(strength.clip(0, 1))).round()
    _lay(ax, colours)
    width, height = heat.photo.image.size
    left, upper, right, lower = heat.region
    if heat.positive.any():
        y, x = middle_of_peak(heat)
        for colour, line in (("black", 2.6), ("white", 1.2)):  # seen on dark and on bright
            ring: dict[str, Any] = {"marker": "o", "markersize": 8, "mfc": "none", "mec": colour, "mew": line}
            ax.plot(x - 0.5, y - 0.5, **ring, scalex=False, scaley=False)  # in a detector's margin it is out of sight
    right, lower = min(right, width), min(lower, height)  # a margin that a detector adds is no part of the photo
    if (left, upper, right, lower) != (0, 0, width, height):
        ax.add_patch(
            Rectangle((left - 0.5, upper - 0.5), right - left, lower - upper, fill=False, ec="white", ls=":", lw=1)
        )
    if luck:
        outline(ax, heat)


def _bar(figure: mpl.Figure, axes: list[Axes], norm: Normalize, colours: str, label: str) -> None:
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=axes, shrink=0.8, pad=0.02, aspect=18)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=8)
