"""Maps compared so that the figure cannot lie: one scale where units agree, one region, raw numbers in the words."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import Normalize

from lessons_lib.show import given
from lessons_lib.show.figure import Figure
from lessons_lib.show.figures import COLOURS, _bar, _canvas, _heat
from lessons_lib.show.protocols import HeatmapLike

_COLUMNS, _SMALL = 4, 1.6


def compare(heats: Sequence[HeatmapLike], titles: Sequence[str] | None = None, *, opacity: float = 0.7) -> Figure:
    """Draw any maps of one photo beside one another, on one scale where their units agree, and say how far each goes.

    Units agree where the method and the layer are the same. Maps in other units have scales of their own, and the words
    say so: no strength can be read across them. Every map is drawn, and its shares counted, only where all of them saw
    the photo. Maps that are not one network's can't be told from those that are: compare only what belongs together.

    Args:
        heats: the maps.
        titles: one above each; without them, the method and the layer.
        opacity: of the heat at the top of its scale, 0 to 1.

    Raises:
        TypeError, ValueError: these are no heatmaps, or they lie on different photos, or have no region in common.

    Example:
        >>> model, cat = models.imagenet(), photos.cat()
        >>> maps = [explain(model, cat, "tiger cat", method=one) for one in (gradcam, eigencam)]
        >>> show.compare(maps, ["Grad-CAM", "Eigen-CAM"])
        Grad-CAM: tiger cat, probability 0.39 · peak at row 4, column 2 of 7 × 7 · 97 % of the heat on the cat (evenly
        spread: 95 %) · values from 0.057 to 0.39 · own scale
        Eigen-CAM: tiger cat, probability 0.39 · peak at row ... · values from ... to ... · own scale
    """
    heats = given.heatmaps(heats)
    units = [(getattr(heat, "method", ""), getattr(heat, "layer", "")) for heat in heats]
    default = [" at ".join(filter(None, unit)) or heat.words for unit, heat in zip(units, heats, strict=True)]
    titles = given.titles(titles, default)
    region = _common(heats)
    tops = dict.fromkeys(units, 0.0)
    for heat, unit in zip(heats, units, strict=True):
        tops[unit] = max(tops[unit], float(heat.positive.max()))
    columns = min(len(heats), _COLUMNS)
    inches = 3.2 if len(heats) <= _COLUMNS else _SMALL
    figure, axes = _canvas(-(-len(heats) // columns), columns, heats[0].photo.image.size, inches, titled=True)
    said = []
    for ax, heat, title, unit in zip(axes, heats, titles, units, strict=False):
        _heat(ax, heat, tops[unit], opacity)
        left, top, right, bottom = region
        ax.set_xlim(left - 0.5, right - 0.5)
        ax.set_ylim(bottom - 0.5, top - 0.5)
        ax.set_title(title, fontsize=10)
        said.append(f"{title}: {_words(heat, region)} · {_scale(heat, unit, units, tops[unit])}")
    for ax in axes[len(heats) :]:
        ax.remove()
    one = len(set(units)) == 1
    bar = Normalize(0, (tops[units[0]] or 1) if one else 1)
    _bar(figure, axes[: len(heats)], bar, COLOURS, "heat" if one else "heat ÷ the top of its scale")
    return Figure(figure, "\n".join(said))


def _common(heats: Sequence[HeatmapLike]) -> tuple[float, float, float, float]:
    """Return the part of the photo that all maps lie on."""
    first = heats[0].photo
    for number, heat in enumerate(heats):
        photo = heat.photo
        if photo is not first and not np.array_equal(np.asarray(photo.image), np.asarray(first.image)):
            raise ValueError(
                f"Map {number} lies on another photo than map 0: compare maps of one photo, and draw others with "
                "`ll.show.row`."
            )
    left, top, right, bottom = zip(*(heat.region for heat in heats), strict=True)
    width, height = first.image.size
    region = max(0.0, *left), max(0.0, *top), min(width, *right), min(height, *bottom)
    if region[0] >= region[2] or region[1] >= region[3]:
        raise ValueError("These maps have no part of the photo in common: compare maps of one region.")
    return region


def _words(heat: HeatmapLike, region: tuple[float, float, float, float]) -> str:
    """Return what a map shows, its shares counted in a region."""
    if tuple(heat.region) == region or not heat.positive.any():
        return heat.describe()
    left, top, right, bottom = region
    height, width = heat.on_photo().shape
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    inside = ((y >= top) & (y <= bottom))[:, None] & ((x >= left) & (x <= right))
    pixels = heat.on_photo() * inside
    parts = [heat.words, f"in columns {left:.0f} to {right:.0f}, rows {top:.0f} to {bottom:.0f}, which all maps saw"]
    for name, masks in heat.photo.named().items():
        mask = np.logical_or.reduce(masks)
        share, luck = pixels[mask].sum() / (pixels.sum() or 1), (mask & inside).sum() / inside.sum()
        parts.append(f"{100 * share:.0f} % of the heat on the {name} (evenly spread: {100 * luck:.0f} %)")
    return " · ".join(parts)


def _scale(heat: HeatmapLike, unit: tuple[str, str], units: list[tuple[str, str]], top: float) -> str:
    told = f"values from {float(heat.values.min()):.2g} to {float(heat.values.max()):.2g}"
    if units.count(unit) == 1:
        return f"{told} · own scale"
    own = 100 * float(heat.positive.max()) / top if top else 0
    shared = f"one scale for all {units.count(unit)} of these units, to {top:.2g}"
    return f"{told} · {shared}: its peak is {own:.0f} % of that"
