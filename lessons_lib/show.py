"""Figures that say in words what they show. The words are computed from the maps, never typed."""

import base64
import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from lessons_lib.heatmaps import Heatmap
from lessons_lib.photos import Photo

COLOURS = "inferno"


class Picture:
    """A figure and the words that describe it, shown as a PNG with a caption.

    Jupyter draws the PNG; a terminal, a screen reader and a strict notebook test get the words.

    Args:
        figure: a matplotlib figure that belongs to no window.
        words: what it shows; they also stand under the picture.

    Example:
        >>> picture = explain(model, photo).show()
        >>> picture.save("where.png")
    """

    def __init__(self, figure: Figure, words: str):
        self.figure = figure
        self.words = words
        width = int(figure.get_figwidth() * 13)
        caption = [line for one in words.splitlines() for line in textwrap.wrap(one, width)]
        figure.set_figheight(figure.get_figheight() + 0.17 * len(caption))
        figure.supxlabel("\n".join(caption), fontsize=9)

    def png(self) -> bytes:
        """Return the picture as a PNG file's bytes, the same for the same figure."""
        file = io.BytesIO()
        self.figure.savefig(file, format="png", dpi=100, metadata={"Software": None, "Description": self.words})
        return file.getvalue()

    def save(self, path: str | Path) -> None:
        """Write the picture as a PNG file."""
        Path(path).write_bytes(self.png())

    def __repr__(self) -> str:
        return self.words

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        data = {"image/png": base64.b64encode(self.png()).decode(), "text/plain": self.words}
        return data, {"image/png": {"alt": self.words}}


def photo(photo: Photo, *, outlines: bool = False) -> Picture:
    """Draw a photo, on request with the outline of every object on it."""
    figure, axes = _canvas(1, 1, photo)
    axes[0].imshow(photo.image)
    for item in photo.objects if outlines else ():
        axes[0].contour(item.mask, levels=[0.5], colors=["white"], linewidths=1.5)
    return Picture(figure, photo.describe())


def overlay(heat: Heatmap, *, opacity: float = 0.7) -> Picture:
    """Draw a heatmap over its photo, with a colour bar from nothing to the map's own peak.

    Args:
        heat: what `explain` returned.
        opacity: of the heat at its peak, 0 (only the photo) to 1 (only the heat).
    """
    figure, axes = _canvas(1, 1, heat.photo)
    _heat(axes[0], heat, float(heat.positive.max()), opacity)
    _bar(figure, axes, Normalize(0, 1), COLOURS, "heat ÷ its peak")
    return Picture(figure, heat.describe())


def row(
    heats: Sequence[Heatmap], titles: Sequence[str] | None = None, *, shared: bool = True, opacity: float = 0.7
) -> Picture:
    """Draw heatmaps side by side, with one colour bar.

    Args:
        heats: the maps.
        titles: one above each; without them, the explained number.
        shared: one scale for all, so that strengths can be compared: for maps in the same units, of one method and one
            model. Without it each map is drawn from nothing to its own peak: for maps in different units.
        opacity: of the heat at the highest peak, 0 to 1.
    """
    titles = [heat.words for heat in heats] if titles is None else list(titles)
    tops = [float(heat.positive.max()) for heat in heats]
    figure, axes = _canvas(1, len(heats), heats[0].photo)
    for ax, heat, title, top in zip(axes, heats, titles, tops, strict=True):
        _heat(ax, heat, max(tops) if shared else top, opacity)
        ax.set_title(title, fontsize=10)
    _bar(figure, axes, Normalize(0, max(tops) if shared else 1), COLOURS, "heat" if shared else "heat ÷ its peak")
    said = [heat.describe() for heat in heats]
    return Picture(figure, "\n".join(s if s.startswith(t) else f"{t}: {s}" for t, s in zip(titles, said, strict=True)))


def signed(heats: Sequence[Heatmap], titles: Sequence[str] | None = None) -> Picture:
    """Draw the raw values at the layer's resolution on one scale: what speaks for the target and what against it."""
    titles = [heat.words for heat in heats] if titles is None else list(titles)
    figure, axes = _canvas(1, len(heats))
    top = max(float(heat.values.abs().max()) for heat in heats)
    said = []
    for ax, heat, title in zip(axes, heats, titles, strict=True):
        ax.imshow(heat.values.numpy(), cmap="RdBu_r", vmin=-top, vmax=top)
        ax.set_title(title, fontsize=10)
        above, below = float(heat.values.relu().sum()), float((-heat.values).relu().sum())
        share = 100 * above / (above + below) if above + below else 0
        said.append(f"{title}: {share:.0f} % of the weight speaks for it, {100 - share:.0f} % against it")
    _bar(figure, axes, Normalize(-top, top), "RdBu_r", "against ← value → for")
    return Picture(figure, "\n".join(said))


def maps(activations: Tensor, titles: Sequence[str] | None = None, *, columns: int = 8) -> Picture:
    """Draw feature maps as a grid on one scale.

    Args:
        activations: K×H×W, one map each.
        titles: one above each; without them, the channel's number.
        columns: how many stand beside each other.
    """
    activations = activations.detach().float().cpu()
    titles = [f"channel {k}" for k in range(len(activations))] if titles is None else list(titles)
    columns = min(columns, len(activations))
    figure, axes = _canvas(-(-len(activations) // columns), columns, inches=1.5)
    low, high = float(activations.min()), float(activations.max())
    for ax, values, title in zip(axes, activations, titles, strict=False):
        ax.imshow(values.numpy(), cmap="viridis", vmin=low, vmax=high)
        ax.set_title(title, fontsize=8)
    for ax in axes[len(activations) :]:
        ax.remove()
    _bar(figure, axes[: len(activations)], Normalize(low, high), "viridis", "activation")
    count, rows, cells = activations.shape
    strongest = int(activations.amax(dim=(1, 2)).argmax())
    r, c = divmod(int(activations[strongest].argmax()), cells)
    return Picture(
        figure,
        f"{count} maps of {rows} × {cells} from {low:.1f} to {high:.1f} · strongest: {titles[strongest]}, "
        f"at row {r + 1}, column {c + 1}",
    )


def _canvas(rows: int, columns: int, on: Photo | None = None, inches: float = 3.2) -> tuple[Figure, list[Axes]]:
    width, height = on.image.size if on else (1, 1)
    tall = inches * min(max(height / width, 0.4), 1.6)
    figure = Figure(figsize=(columns * inches + 0.9, rows * tall + 0.3), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax in axes:
        ax.set_axis_off()
    return figure, axes


def _heat(ax: Axes, heat: Heatmap, top: float, opacity: float) -> None:
    if not 0 <= opacity <= 1:
        raise ValueError(f"An opacity lies between 0 and 1, and {opacity} does not.")
    ax.imshow(heat.photo.image)
    strength = heat.on_photo() / (top or 1)
    colours = colormaps[COLOURS](strength)
    colours[..., 3] = opacity * np.sqrt(strength.clip(0, 1))
    ax.imshow(colours)
    width, height = heat.photo.image.size
    left, upper, right, lower = heat.region
    if (left, upper, right, lower) != (0, 0, width, height):
        ax.add_patch(
            Rectangle((left - 0.5, upper - 0.5), right - left, lower - upper, fill=False, ec="white", ls=":", lw=1)
        )


def _bar(figure: Figure, axes: list[Axes], norm: Normalize, colours: str, label: str) -> None:
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=axes, shrink=0.8, pad=0.02, aspect=18)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=8)
