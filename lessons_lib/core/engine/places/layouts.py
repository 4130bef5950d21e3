"""What a layer emits, turned into maps of N×C×H×W. A layout rearranges and drops numbers; it computes nothing."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lessons_lib.core.engine.outputs import Emitted, tensors

Layout = Callable[[Any], Tensor]
"""From what a layer puts out to maps, N×C×H×W."""


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
            f"The layer emits {len(emitted)} tensors in a {type(emitted).__name__}, an `ll.layouts.pyramid`: choose a "
            "layer inside it that emits one."
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


def tokens(emitted: Tensor, grid: tuple[int, int]) -> Tensor:
    """Lay patch tokens out in rows and columns, without the special tokens before them: N×(S+H·W)×C to N×C×H×W.

    Patches are numbered along the rows, from the top left.

    Args:
        emitted: N × tokens × C.
        grid: H and W, in patches; what stands before the last H·W tokens is dropped.

    Raises:
        ValueError: the layer emits no tokens, or fewer than the grid has cells.

    Example:
        >>> tokens(torch.zeros(2, 1 + 16 * 12, 768), grid=(16, 12)).shape
        torch.Size([2, 768, 16, 12])
    """
    rows, columns = grid
    if emitted.ndim != 3:
        raise ValueError(
            f"The layer's output is {_shape(emitted)}, not N × tokens × C: choose a layer inside the encoder's blocks."
        )
    if (special := emitted.shape[1] - rows * columns) < 0:
        raise ValueError(
            f"The layer emits {emitted.shape[1]} tokens, and a grid of {rows} × {columns} needs {rows * columns}: give "
            "height and width of the picture in patches."
        )
    return emitted[:, special:].unflatten(1, grid).permute(0, 3, 1, 2)


def pyramid(emitted: Emitted) -> Tensor:
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
    levels = [nchw(level) for level in tensors(emitted)]
    finest = max((level.shape[2:] for level in levels), key=torch.Size.numel)
    return torch.cat([level if level.shape[2:] == finest else _repeated(level, finest) for level in levels], dim=1)


def _repeated(level: Tensor, finest: torch.Size) -> Tensor:
    """Return a level with each of its cells repeated over those of the finest grid whose centres it covers."""
    for axis, many in zip((2, 3), finest, strict=True):
        few = level.shape[axis]
        level = level.index_select(axis, (2 * torch.arange(many, device=level.device) + 1) * few // (2 * many))
    return level


def _shape(emitted: Tensor) -> str:
    return " × ".join(map(str, emitted.shape))
