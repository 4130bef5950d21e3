"""Targets of semantic segmentation: one pixel's class score, or the sum of those of a region or of a whole class."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lessons_lib.core.accepted.values import as_mask, is_bool, whole
from lessons_lib.core.engine.outputs import kind_of, logits_of, said, way_out
from lessons_lib.core.records import Explainable, index_of, name_of, shown
from lessons_lib.core.targets.base import Local


@dataclass(frozen=True)
class PixelScore(Local):
    """The logit of one class at one pixel of a segmentation.

    Args:
        row: from 0, in the network's output, which has the size of its input.
        column: the same.
        category: the class, by index or name; `None` is the one with the highest logit there.

    Raises:
        ValueError: the output has no such pixel or class.
        TypeError: the output holds no maps of logits.

    Example:
        >>> explain(models.segmenter(), scene, PixelScore(160, 100, "cat"), method=hirescam).words
        'cat, probability 1.00 at pixel row 161, column 101'
    """

    row: int
    column: int
    category: int | str | None = None

    def __call__(self, output: Any) -> Tensor:
        logits = self._at(output)
        return logits[logits.argmax() if self.category is None else _checked(self.category, len(logits))]

    def on(self, model: Explainable) -> "PixelScore":
        for name, value in (("row", self.row), ("column", self.column)):
            if is_bool(value) or not hasattr(value, "__index__"):
                raise TypeError(f"A pixel's {name} is a whole number, counted from 0, not {said(value)}.")
        return self if self.category is None else replace(self, category=index_of(self.category, model))

    def settled(self, output: Any) -> "PixelScore":
        return self if self.category is not None else replace(self, category=int(self._at(output).argmax()))

    def words(self, output: Any, model: Explainable) -> str:
        category = index_of(self.category or 0, model)
        value = _value(_shown(output, model)[category, self.row, self.column], model)
        return f"{name_of(category, model)}, {value} at pixel row {self.row + 1}, column {self.column + 1}"

    def _at(self, output: Any) -> Tensor:
        logits = _logits(output)
        _, height, width = logits.shape
        if not (0 <= self.row < height and 0 <= self.column < width):
            raise ValueError(
                f"There is no pixel at row {self.row}, column {self.column}: the output has {height} rows and {width} "
                "columns, numbered from 0."
            )
        return logits[:, self.row, self.column]


@dataclass(frozen=True, eq=False)
class RegionScore(Local):
    """The sum of one class's logits over a region of a segmentation.

    Formula: Σ_(i,j)∈M y_ij^c, Vinogradova et al., "Seg-Grad-CAM", arXiv 2002.11434, eq. (2). A sum, so the maps of
    methods that are linear in the gradient (Grad-CAM, HiResCAM) are the sums of the pixels' maps.

    Args:
        category: the class, by index or name.
        mask: the region M, height × width of the network's output, true inside; `None` is the whole class, all pixels
            where its logit is the highest in the first run, or, of a single class, positive. A mask on a photo comes
            there by `Preprocess.mask`.
        called: the class as it was asked for; `on` sets it.

    Raises:
        ValueError: the region holds no pixel, the class is nowhere in the picture, or the mask has another size.
        TypeError: the output holds no maps of logits.

    Example:
        >>> explain(models.segmenter(), scene, RegionScore("cat")).words
        'cat, mean probability 0.97 over 9 % of the picture'
        >>> explain(models.segmenter(), scene, RegionScore("cat", scene.objects[1].mask)).words
        'cat, mean probability 0.99 over 8 % of the picture'
    """

    category: int | str
    mask: np.ndarray | Tensor | None = None
    called: str = field(default="", repr=False)

    def __call__(self, output: Any) -> Tensor:
        logits = _logits(output)
        return logits[_checked(self.category, len(logits))][self._region(logits)].sum()

    def on(self, model: Explainable) -> "RegionScore":
        return replace(self, category=index_of(self.category, model), called=repr(self.category))

    def settled(self, output: Any) -> "RegionScore":
        return replace(self, mask=self._region(_logits(output)))

    def words(self, output: Any, model: Explainable) -> str:
        category, mask = index_of(self.category, model), self._region(_logits(output))
        value = _value(_shown(output, model)[category][mask].mean(), model)
        share = 100 * float(mask.float().mean())
        return f"{name_of(category, model)}, mean {value} over {share:.0f} % of the picture"

    def _region(self, logits: Tensor) -> Tensor:
        category = _checked(self.category, len(logits))
        if self.mask is None:
            mask = logits[0] > 0 if len(logits) == 1 else logits.argmax(dim=0) == category
            if not mask.any():
                least = "positive" if len(logits) == 1 else "the highest"
                raise ValueError(
                    f"The class {self.called or category} is nowhere in this picture: at no pixel is its logit {least}"
                    ". Choose another class, or say where with a `mask`."
                )
            return mask
        given = self.mask if isinstance(self.mask, Tensor) else torch.from_numpy(as_mask(self.mask).copy())
        mask = given.to(logits.device, torch.bool)
        if mask.shape != logits.shape[1:]:
            raise ValueError(
                f"The mask is {' × '.join(map(str, mask.shape))} and the output {logits.shape[1]} × {logits.shape[2]}: "
                "bring a mask on the photo to the network's size with `model.transform.mask(mask)`."
            )
        if not mask.any():
            raise ValueError("The region holds no pixel: give a mask that is true somewhere.")
        return mask


def _logits(output: Any) -> Tensor:
    logits = logits_of(output, axes=3)
    if logits is None:
        raise TypeError(
            f"A pixel is looked for in C × H × W logits, and this model gives {kind_of(output)}: {way_out(output)}."
        )
    return logits


def _shown(output: Any, model: Explainable) -> Tensor:
    logits = _logits(output)
    return logits if model.probability is None else model.probabilities(logits)


def _value(number: Tensor, model: Explainable) -> str:
    return f"probability {shown(number.item())}" if model.probability else f"score {number.item():.2f}"


def _checked(category: Any, count: int) -> int:
    if isinstance(category, str):
        raise TypeError(f"The class {category!r} is a name: look it up first, with `target.on(model)`.")
    category = whole(category)
    if not 0 <= category < count:
        raise ValueError(f"There is no class {category}: this model has {count}, from 0 to {count - 1}.")
    return int(category)
