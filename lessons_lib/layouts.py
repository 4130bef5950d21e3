"""What a layer emits, turned into maps of N×C×H×W. A layout rearranges and drops numbers; it computes nothing."""

from collections.abc import Callable
from math import isqrt
from typing import Any

import torch
from torch import Tensor

from lessons_lib import leaves

Layout = Callable[[Any], Tensor]


def nchw(emitted: Tensor) -> Tensor:
    """Return the feature maps of a convolutional layer as they are.

    Args:
        emitted: what the layer put out, N×C×H×W.

    Raises:
        ValueError: the layer's output is not a stack of maps.
        TypeError: it is several tensors.

    Example:
        >>> nchw(torch.zeros(2, 512, 7, 7)).shape
        torch.Size([2, 512, 7, 7])
    """
    if not isinstance(emitted, Tensor):
        raise TypeError(
            f"The layer emits {len(emitted)} tensors in a {type(emitted).__name__}: choose a layer inside it that "
            "emits one, or `layout=layouts.pyramid` in the model's record, `models.Explainable(…)`."
        )
    if emitted.ndim != 4:
        raise ValueError(
            f"The layer's output is {_shape(emitted)}, not N × C × H × W: it has no rows and columns to draw. "
            "Choose a layer before the flattening, for example the last convolution."
        )
    return emitted


def nhwc(emitted: Tensor) -> Tensor:
    """Bring channels that come last, as in Swin, to their place: N×H×W×C to N×C×H×W.

    Raises:
        ValueError: the layer's output does not have four axes.

    Example:
        >>> nhwc(torch.zeros(2, 14, 14, 96)).shape
        torch.Size([2, 96, 14, 14])
    """
    if emitted.ndim != 4:
        raise ValueError(
            f"The layer's output is {_shape(emitted)}, not N × H × W × C: it has no rows and columns to draw. "
            "Choose a layer inside the stages, before the pooling."
        )
    return emitted.permute(0, 3, 1, 2)


def tokens(emitted: Tensor) -> Tensor:
    """Lay a square picture's patch tokens out in rows and columns, without the class token: N×(1+H·W)×C to N×C×H×W.

    Patches are numbered along the rows, from the top left. One leading token is dropped when the rest is a square.

    Raises:
        ValueError: neither all tokens nor all but one fill a square.

    Example:
        >>> tokens(torch.zeros(2, 1 + 14 * 14, 768)).shape
        torch.Size([2, 768, 14, 14])
    """
    if emitted.ndim != 3:
        raise ValueError(
            f"The layer's output is {_shape(emitted)}, not N × tokens × C: choose a layer inside the encoder's blocks."
        )
    count = emitted.shape[1]
    side = isqrt(count)
    special = count - side * side
    if special > 1 or side < 2:
        raise ValueError(
            f"{count} tokens do not fill a square: {side} × {side} is {side * side}, and {special} are left where one "
            "class token would be. Give the picture's grid with a layout of your own."
        )
    return emitted[:, special:].unflatten(1, (side, side)).permute(0, 3, 1, 2)


def pyramid(emitted: leaves.Emitted) -> Tensor:
    """Lay the levels of a feature pyramid over one another on the finest grid: a dict of N×C×h×w to N×(L·C)×H×W.

    The rule: each coarser level's cells are repeated, none are mixed, and the levels' channels stand one after another.
    So the map of a pyramid is the sum of its levels' maps, each enlarged to the finest grid. A cell (i, j) takes the
    cell of the level that lies under its centre: row ⌊(i + ½) · h/H⌋, column ⌊(j + ½) · w/W⌋.

    Args:
        emitted: what the layer put out, a dict, list or tuple of N×C×h×w; the levels may differ in C, h and w.

    Raises:
        ValueError: one of the levels is not a stack of maps.

    Example:
        >>> pyramid({"0": torch.zeros(2, 64, 28, 28), "1": torch.zeros(2, 64, 14, 14)}).shape
        torch.Size([2, 128, 28, 28])
    """
    levels = [nchw(level) for level in leaves.tensors(emitted)]
    height, width = max((level.shape[2:] for level in levels), key=torch.Size.numel)
    return torch.cat(
        [level[:, :, _under(level.shape[2], height)][..., _under(level.shape[3], width)] for level in levels], 1
    )


def _under(few: int, many: int) -> Tensor:
    """Return, for each of `many` cells, which of `few` on the same stretch lies under its centre."""
    return (2 * torch.arange(many) + 1) * few // (2 * many)


def _shape(emitted: Tensor) -> str:
    return " × ".join(map(str, emitted.shape))
