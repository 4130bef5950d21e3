"""A heatmap: raw values at the layer's resolution, where they lie on the photo, and what they say in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lessons_lib import show
from lessons_lib.core.accepted.values import as_mask
from lessons_lib.core.engine.outputs import said
from lessons_lib.core.preprocess import Region
from lessons_lib.core.records import Photo
from lessons_lib.show.ties import first_peak, largest_first


@dataclass(frozen=True, eq=False, repr=False)
class Heatmap:
    """One map, on one photo, for one number of one network. In Jupyter it shows itself.

    Args:
        values: raw and signed, H×W float32 at the layer's resolution, in the method's units.
        photo: what the map lies on.
        region: where on the photo it lies: left, top, right, bottom in the photo's pixels.
        words: the explained number in words, "tiger cat, probability 0.39".
        method: how the map was made.
        layer: where it was made.
        score: the explained number itself, of a class the logit; NaN where no network was asked.
        chosen: why this layer, in words, if nobody named one; the description says so.

    Example:
        >>> heat = explain(models.imagenet(), photos.cat(), "tiger cat")
        >>> heat.peak, heat.values.shape
        ((3, 1), torch.Size([7, 7]))
    """

    values: Tensor
    photo: Photo
    region: Region
    words: str
    method: str
    layer: str
    score: float = math.nan
    chosen: str = ""

    @property
    def positive(self) -> Tensor:
        """What speaks for the target: ReLU(values), the outside of Grad-CAM's eq. (2); H×W, ≥ 0."""
        return self.values.relu()

    @property
    def peak(self) -> tuple[int, int]:
        """The cell of the highest value: row and column, from 0; of cells that tie but for rounding, the first."""
        return first_peak(self.values)

    def normalised(self) -> Tensor:
        """Return the positive part divided by its own peak, H×W in [0, 1]; all zero where nothing is positive.

        No epsilon: the result does not depend on the scale of the logits.
        """
        positive = self.positive
        return positive / positive.max() if positive.max() > 0 else positive

    def on_photo(self) -> np.ndarray:
        """Return the positive part in the photo's pixels, height×width float32; zero where the network did not look.

        Each cell covers its rectangle of the region; between the cells' centres values are bilinear, as in
        `interpolate(…, align_corners=False)`, up to the edge of the region, which need not fall on whole pixels.
        """
        width, height = self.photo.image.size
        left, top, right, bottom = self.region
        # On the CPU, where the values lie, whatever torch's default device is.
        x = ((torch.arange(width, device="cpu") + 0.5 - left) / (right - left)).float()
        y = ((torch.arange(height, device="cpu") + 0.5 - top) / (bottom - top)).float()
        grid = torch.stack(torch.meshgrid(2 * x - 1, 2 * y - 1, indexing="xy"), dim=-1)
        heat = F.grid_sample(self.positive[None, None], grid[None], padding_mode="border", align_corners=False)[0, 0]
        seen = ((y >= 0) & (y <= 1))[:, None] & ((x >= 0) & (x <= 1))[None, :]
        return (heat * seen).numpy()

    def share_on(self, mask: np.ndarray) -> float:
        """Return the share of the heat that lies on `mask` (height×width bool, in the photo's pixels), 0 to 1."""
        heat, mask = self.on_photo(), as_mask(mask)
        if mask.shape != heat.shape:
            raise ValueError(
                f"The mask is {' × '.join(map(str, mask.shape))} and the photo {heat.shape[0]} × {heat.shape[1]}: give "
                "a mask of the photo's own height and width."
            )
        total = float(heat.sum(dtype=np.float64))
        return float(heat[mask].sum(dtype=np.float64)) / total if total else 0.0

    def luck_on(self, mask: np.ndarray) -> float:
        """Return the share that evenly spread heat would have on `mask`: its share of what the network saw, 0 to 1."""
        return replace(self, values=torch.ones_like(self.values)).share_on(mask)

    def describe(self) -> str:
        """Say in words what the map shows: the score, the peak's cell counted from 1, the share on each object.

        Beside each share stands what evenly spread heat would have there, since a large object gets much by luck.

        Example:
            >>> print(heat.describe())
            tiger cat, probability 0.39 · peak at row 4, column 2 of 7 × 7 ·
            97 % of the heat on the cat (evenly spread: 95 %)
        """
        rows, columns = self.values.shape
        if not self.values.isfinite().all():
            return f"{self.words} · no map: some of its values are not finite"
        if self.positive.max() == 0:
            return f"{self.words} · no heat: nothing speaks for it at {self.layer}"
        row, column = self.peak
        parts = [self.words, f"peak at row {row + 1}, column {column + 1} of {rows} × {columns}"]
        shares = largest_first([self._share(name, masks) for name, masks in self.photo.named().items()])
        told = [f"{100 * share:.0f} % {where}" for share, where in shares]
        if told:
            told[0] = told[0].replace(" % ", " % of the heat ", 1)
            parts.append(", ".join([told[0], *(one.replace("evenly spread: ", "") for one in told[1:])]))
        return " · ".join([*parts, f"layer {self.layer}, {self.chosen}"] if self.chosen else parts)

    def _share(self, name: str, masks: list[np.ndarray]) -> tuple[float, str]:
        """Return the share of the heat on all copies of an object, and in words where that is."""
        together = np.logical_or.reduce(masks)
        share, luck = self.share_on(together), f"evenly spread: {100 * self.luck_on(together):.0f} %"
        if len(masks) == 1:
            return share, f"on the {name} ({luck})"
        each = sorted((100 * self.share_on(mask) for mask in masks), reverse=True)
        shares = ", ".join(f"{one:.0f}" for one in each)
        return share, f"on the {len(masks)} copies of {name} ({shares} %) ({luck})"

    def show(self, **options: Any) -> show.Figure:
        """Return the map over its photo, as `show.overlay` draws it; the last line of a cell displays it."""
        return show.overlay(self, **options)

    def __repr__(self) -> str:
        rows, columns = self.values.shape
        score = "" if math.isnan(self.score) or "score" in self.words else f", score {self.score:.2f}"
        return f"Heatmap({self.words}{score} · {self.method} at {self.layer} · {rows} × {columns})"

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        return self.show()._repr_mimebundle_()


def fuse(heats: Sequence[Heatmap]) -> Heatmap:
    """Return the average of one picture's maps, each divided by its own peak first.

    Formula: 1/L · Σ_l Up(ReLU(M_l) / max ReLU(M_l)). Dividing makes layers comparable whose units differ; Up is
    bilinear (`align_corners=False`), to the grid with the most cells. A blank map adds nothing and still counts in L.
    Where the result comes near 1, the layers agree.

    Departure: LayerCAM's paper, which puts layers together too, scales a map by tanh(γ · M / max M) and takes the
    largest value of each cell; here the maps are averaged as they are, so that one layer alone makes no peak.

    Args:
        heats: maps of one picture, for one target, by one method.

    Returns:
        H×W of the finest grid, in [0, 1]; its `layer` names them all.

    Raises:
        ValueError: there is no map, or they lie on different pictures.

    Example:
        >>> fuse(at_layers(models.imagenet(), photos.cat(), "tiger cat", layers=["blocks.4", "bn2"]))
        Heatmap(tiger cat, probability 0.39, score 9.24 · gradcam at blocks.4 + bn2 · 14 × 14)
        >>> explain(models.imagenet(), photos.cat(), "tiger cat", layer=["blocks.4", "bn2"]).layer      # the same
        'blocks.4 + bn2'
    """
    if not isinstance(heats, list | tuple) or not all(isinstance(heat, Heatmap) for heat in heats):
        parts = heats if isinstance(heats, list | tuple) else [heats]
        wrong = heats if isinstance(heats, Heatmap) else next(one for one in parts if not isinstance(one, Heatmap))
        raise TypeError(f"Several heatmaps are fused, as `ll.at_layers` returns them in a list, not {said(wrong)}.")
    if not heats:
        raise ValueError("There is no map to fuse: name at least one layer.")
    first, *others = heats
    if not all(heat.region == first.region and _same_picture(heat.photo, first.photo) for heat in others):
        raise ValueError("These maps lie on different pictures: fuse the maps of one picture.")
    finest = max((heat.values.shape for heat in heats), key=torch.Size.numel)
    maps = [
        F.interpolate(heat.normalised()[None, None], finest, mode="bilinear", align_corners=False)[0, 0]
        for heat in heats
    ]
    return replace(heats[0], values=torch.stack(maps).mean(dim=0), layer=" + ".join(heat.layer for heat in heats))


def _same_picture(one: Photo, other: Photo) -> bool:
    return one is other or np.array_equal(np.asarray(one.image), np.asarray(other.image))
