"""Figures of bare values beside the photo they belong to: signed maps, feature maps, methods × layers, fine lines."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from torch import Tensor

from lessons_lib.show import given
from lessons_lib.show.figure import Figure
from lessons_lib.show.figures import COLOURS, UNDER, _bar, _canvas, _heat, _lay, outlined, under
from lessons_lib.show.protocols import HeatmapLike
from lessons_lib.show.ties import TIE, first_peak

WIDEST = 12.5
"""Inches of a row of maps beside their photo; more maps are drawn smaller."""


def signed(heats: Sequence[HeatmapLike], titles: Sequence[str] | None = None, *, photo: bool = True) -> Figure:
    """Draw the raw values at the layer's resolution on one scale: what speaks for the target and what against it.

    Args:
        heats: the maps.
        titles: one above each; without them, the explained number.
        photo: draw the outlines of the objects over each map, and the photo first if it is one for all; values that
            belong to no place on it, such as weights, go without.

    Example:
        >>> show.signed([heat])
        tiger cat, probability 0.39: 100 % of the total speaks for it, most at row 4, column 2 · 0 % of the
        total speaks against it · values from 0.057 to 0.39
    """
    heats = given.heatmaps(heats)
    titles = given.titles(titles, [heat.words for heat in heats])
    beside = photo and _one_photo(heats)
    height, width = heats[0].values.shape
    room = WIDEST / (len(heats) + 1)
    inches, narrow = (min(2.6, room), room < 2.6) if beside else (None, False)
    figure, axes = _canvas(1, len(heats) + beside, (width, height), inches, titled=True, told=True)
    if beside:
        _crop(axes[0], heats[0], letters=10)
    top = max(float(heat.values.abs().max()) for heat in heats)
    told = []
    for ax, heat, title in zip(axes[beside:], heats, titles, strict=True):
        ax.imshow(heat.values.numpy(), cmap="RdBu_r", vmin=-top, vmax=top)
        if photo:
            _outlines_on_cells(ax, heat, heat.values.shape, "black")
        ax.set_title(title, fontsize=10)
        speaks_for, against, values = _for_and_against(heat.values)
        told.append(f"{title}: {speaks_for} · {against} · {values}")
        below = [one.replace(" of the total speaks", "") for one in (speaks_for, against)]
        under(ax, [one.partition(",")[0] for one in below] if narrow else below)  # where it is most, the words say
    _bar(figure, axes, Normalize(-top, top), "RdBu_r", "against ← value → for")
    return Figure(figure, "\n".join(told), "")


def maps(
    activations: Tensor | np.ndarray,
    titles: Sequence[str] | None = None,
    *,
    columns: int = 8,
    shared: bool = True,
    beside: HeatmapLike | None = None,
) -> Figure:
    """Draw feature maps as a grid.

    Args:
        activations: K×H×W, a tensor or an array, one map each.
        titles: one above each; without them, the channel's number.
        columns: how many stand beside each other.
        shared: one scale for all; without it, each map's colours run from its own lowest to its own highest value.
        beside: a map of the same picture. What it lies on stands first, with the outlines of the objects, and these are
            drawn over each map, too.

    Raises:
        TypeError, ValueError: what is given is not K×H×W.

    Example:
        >>> show.maps(torch.eye(4).view(2, 2, 4))
        2 maps of 2 × 4 from 0.0 to 1.0 · strongest: channel 0, at row 1, column 1
    """
    activations = given.feature_maps(activations)
    titles = given.titles(titles, [f"channel {k}" for k in range(len(activations))])
    first = beside is not None
    columns = min(given.columns(columns), len(activations) + first)
    count, rows, cells = activations.shape
    figure, axes = _canvas(-(-(count + first) // columns), columns, (cells, rows), inches=1.5, titled=True)
    if beside is not None:
        given.a_heatmap(beside)
        _crop(axes[0], beside)
    low, high = float(activations.min()), float(activations.max())
    colours = "RdBu_r" if low < 0 < high and shared else "viridis"
    if colours == "RdBu_r":
        low, high = -max(-low, high), max(-low, high)
    for ax, values, title in zip(axes[first:], activations, titles, strict=False):
        norm = Normalize(low, high) if shared else Normalize(float(values.min()), float(values.max()))
        ax.imshow(values.numpy(), cmap=colours, norm=norm)
        if beside is not None:
            _outlines_on_cells(ax, beside, (rows, cells), "black" if colours == "RdBu_r" else "white")
        ax.set_title(title, fontsize=8)
    for ax in axes[count + first :]:
        ax.remove()
    norm, label = (Normalize(low, high), "activation") if shared else (Normalize(0, 1), "each from lowest to highest")
    _bar(figure, axes[: count + first], norm, colours, label)
    _, strongest = first_peak(activations.amax(dim=(1, 2))[None])
    r, c = first_peak(activations[strongest])
    return Figure(
        figure,
        f"{count} maps of {rows} × {cells} from {float(activations.min()):.1f} to {float(activations.max()):.1f} · "
        f"strongest: {titles[strongest]}, at row {r + 1}, column {c + 1}",
    )


def grid(heats: Sequence[Sequence[HeatmapLike]], rows: Sequence[str], columns: Sequence[str]) -> Figure:
    """Draw many small heatmaps of one photo as a table, each from nothing to its own peak.

    Args:
        heats: one list for each row, with one map for each column.
        rows: names the rows, as methods.
        columns: names the columns, as layers.

    Raises:
        TypeError, ValueError: these are no heatmaps, or not of one photo, or a row is longer than another.

    Example:
        >>> model, cat = models.imagenet(), photos.cat()
        >>> layers = ["blocks.4", "bn2"]
        >>> maps = [at_layers(model, cat, "tabby", layers=layers, method=one) for one in (gradcam, hirescam)]
        >>> show.grid(maps, ["Grad-CAM", "HiResCAM"], layers)
        columns: blocks.4, bn2
        Grad-CAM: ..., 97 % of the heat on the cat (evenly spread: 95 %)
        HiResCAM: ..., 97 % of the heat on the cat (evenly spread: 95 %)
    """
    if not isinstance(heats, Sequence) or not all(isinstance(one, Sequence) for one in heats):
        raise TypeError(
            "A table of maps is a list with a list of heatmaps for each row: `[[heat, heat], [heat, heat]]`."
        )
    lines = [given.heatmaps(one) for one in heats]
    flat = [heat for line in lines for heat in line]
    names, above = given.titles(rows, [""] * len(lines)), given.titles(columns, [""] * len(lines[0]))
    if any(len(line) != len(above) for line in lines):
        raise ValueError(f"Each row of a table has one map for each of the {len(above)} columns.")
    if not _one_photo(flat):
        raise ValueError("A table shows maps of one photo: draw those of others with `ll.show.row`.")
    left, top, right, bottom = flat[0].region
    size = round(right - left), round(bottom - top)
    figure, axes = _canvas(len(lines), len(above), size, inches=1.05)
    figure.set_figwidth(figure.get_figwidth() + 0.07 * max(map(len, names)))
    figure.set_figheight(figure.get_figheight() + 0.18)
    for index, (ax, heat) in enumerate(zip(axes, flat, strict=True)):
        _heat(ax, heat, float(heat.positive.max()), 0.7)
        ax.set_xlim(left - 0.5, right - 0.5)
        ax.set_ylim(bottom - 0.5, top - 0.5)
        row, column = divmod(index, len(above))
        if row == 0:
            ax.set_title(above[column], fontsize=8)
        if column == 0:
            place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "gid": UNDER}
            ax.annotate(names[row], (0, 0.5), (-4, 0), ha="right", va="center", fontsize=8, **place)
    last = axes[len(above) - 1 :: len(above)]  # the layout measures the bar again for each that it belongs to
    _bar(figure, last, Normalize(0, 1), COLOURS, "heat ÷ its peak", pad=0.1)
    told = [f"columns: {', '.join(above)}"]
    for name, line in zip(names, lines, strict=True):
        parts = []
        for kind, masks in line[0].photo.named().items():
            mask = np.logical_or.reduce(masks)
            shares = ", ".join(f"{100 * heat.share_on(mask):.0f}" for heat in line)
            parts.append(f"{shares} % of the heat on the {kind} (evenly spread: {100 * line[0].luck_on(mask):.0f} %)")
        told.append(f"{name}: {' · '.join(parts) or f'{len(line)} maps'}")
    return Figure(figure, "\n".join(told), "")


ALIKE = 0.005
"""The share of a fine map's pixels that is drawn in one brightness, since a few are far brighter than the rest."""


def sharp(heat: HeatmapLike) -> Figure:
    """Draw a map as fine as its picture by itself, dark to bright, beside what it lies on, which would hide it.

    The brightest 0.5 % of its pixels are drawn alike.

    Args:
        heat: a map with a value for each pixel, as those of `baselines` that go back to the picture.

    Example:
        >>> show.sharp(baselines.guided_gradcam(models.imagenet(), photos.cat(), "tiger cat"))
        tiger cat, probability 0.39 · beware: fails the sanity checks (arXiv 1810.03292) · peak at row ...
    """
    given.a_heatmap(heat)
    left, upper, right, lower = heat.region
    figure, axes = _canvas(1, 2, (round(right - left), round(lower - upper)), inches=3.0, titled=True)
    _crop(axes[0], heat)
    values = heat.positive.numpy()
    top = float(np.quantile(values, 1 - ALIKE)) or float(values.max()) or 1.0
    axes[1].imshow(values, cmap="gray", vmin=0, vmax=top)
    axes[1].set_title("the map", fontsize=8)
    _bar(figure, axes, Normalize(0, top), "gray", "value")
    return Figure(figure, heat.describe())


def _for_and_against(values: Tensor) -> list[str]:
    parts = []
    for sign, word in ((1, "for it"), (-1, "against it")):
        side = (sign * values).relu()
        share = 100 * float(side.sum() / values.abs().sum()) if values.any() else 0
        row, column = first_peak(side)
        even = float(side.min()) >= (1 - TIE) * float(side.max())
        where = ", the same everywhere" if even else f", most at row {row + 1}, column {column + 1}"
        parts.append(f"{share:.0f} % of the total speaks {word}{where if share else ''}")
    return [*parts, f"values from {float(values.min()):.2g} to {float(values.max()):.2g}"]


def _one_photo(heats: Sequence[HeatmapLike]) -> bool:
    first, image = heats[0], np.asarray(heats[0].photo.image)
    return all(
        heat.region == first.region
        and (heat.photo is first.photo or np.array_equal(np.asarray(heat.photo.image), image))
        for heat in heats
    )


def _crop(ax: Axes, heat: HeatmapLike, letters: int = 8) -> None:
    """Draw what a map lies on, with the outlines of the objects."""
    _lay(ax, np.asarray(heat.photo.image))
    outlined(ax, heat.photo)
    left, top, right, bottom = heat.region
    ax.set_xlim(left - 0.5, right - 0.5)
    ax.set_ylim(bottom - 0.5, top - 0.5)
    ax.set_title("what the network saw", fontsize=letters)


def _outlines_on_cells(ax: Axes, heat: HeatmapLike, shape: tuple[int, ...], colour: str) -> None:
    """Draw the outlines of the objects over a map of some rows and columns that lies where the heatmap lies."""
    (rows, columns), (left, top, right, bottom) = shape, heat.region
    width, height = heat.photo.image.size
    x = (np.arange(width) + 0.5 - left) / (right - left) * columns - 0.5
    y = (np.arange(height) + 0.5 - top) / (bottom - top) * rows - 0.5
    for item in heat.photo.objects:
        ax.contour(x, y, item.mask, levels=[0.5], colors=[colour], linewidths=1)
    ax.set_xlim(-0.5, columns - 0.5)
    ax.set_ylim(rows - 0.5, -0.5)
