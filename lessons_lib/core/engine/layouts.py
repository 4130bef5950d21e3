"""What a layer emits, turned into maps of N×C×H×W. A layout rearranges and drops numbers; it computes nothing."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lessons_lib.core.engine.outputs import Emitted, tensors

Layout = Callable[[Any], Tensor]
"""From what a layer puts out to maps, N×C×H×W."""

SPECIAL = {
    0: "none",
    1: "a class token",
    2: "class and distillation token",
    4: "four registers",
    5: "a class token and four registers",
}
"""The tokens that stand before a picture's patches, by their number, in the transformers that are in use."""


def recognised(emitted: Emitted, pictures: int, size: tuple[int, int]) -> Layout:
    """Return the layout of what a layer emits, told by its shape and the picture's, whatever the network is called.

    Several tensors are a `pyramid`, and one in a tuple or a dict is read as if it were bare. Four axes are `nchw` or
    `nhwc`, whichever two are the picture's height and width divided by one stride; where both are, `nchw`, as torch has
    it. Three axes are `tokens` on the grid of H/p × W/p patches that leaves no special tokens, or as many as `SPECIAL`
    knows.

    A shape does not tell the order. Tokens are read along the rows; a network that shuffles them on its way, as Hiera
    does before its last stage, needs a layout of its own there.

    Args:
        emitted: what the layer put out.
        pictures: how many pictures the network was given, N.
        size: height and width of what its first convolution was given, in pixels.

    Raises:
        ValueError: the layer emits no picture; the sentence names the shapes and, for tokens, the counts. Attention
            weights are as square as a picture is, and told by their rows, which sum to 1.

    Example:
        >>> recognised(torch.zeros(2, 5 + 16 * 12, 384), pictures=2, size=(256, 192))(torch.zeros(2, 197, 384)).shape
        torch.Size([2, 384, 16, 12])
    """
    if not isinstance(emitted, Tensor):
        alone, *others = tensors(emitted)
        if others:
            return pyramid
        layout = recognised(alone, pictures, size)
        return lambda emitted: layout(tensors(emitted)[0])
    if emitted.ndim not in (3, 4):
        return nchw  # which says what is wrong
    if len(emitted) != pictures:
        raise ValueError(
            f"The layer's output is {_shape(emitted)} for {pictures} picture{'s' * (pictures > 1)}: these are windows "
            "or regions, not pictures. Choose a layer that sees whole pictures, for example the block around it."
        )
    if _attention(emitted):
        raise ValueError(
            f"The layer's output is {_shape(emitted)}, and each of its rows sums to 1: these are attention weights, "
            "from token to token, not a picture. Choose the norm before the attention, or the block around it."
        )
    if emitted.ndim == 4:
        _, first, second, third = emitted.shape
        if _fits((second, third), size):
            return nchw
        if _fits((first, second), size):
            return nhwc
        raise ValueError(
            f"The layer's output is {_shape(emitted)}, and neither its last two axes nor the two before the last are a "
            f"picture of {size[0]} × {size[1]} on a coarser grid. Choose another layer, or say how to read it with a "
            "layout in the model's record, for example `ll.Explainable(…, layout=ll.layouts.nchw)`."
        )
    return numbered(emitted.shape[1], size)


def numbered(count: int, size: tuple[int, int]) -> Layout:
    """Return the layout of so many tokens: on the grid of H/p × W/p patches that leaves as many as `SPECIAL` knows.

    Args:
        count: how many tokens there are, special ones included.
        size: height and width of what the first convolution was given, in pixels.

    Raises:
        ValueError: no grid leaves such a number; the sentence names the counts.

    Example:
        >>> numbered(5 + 16 * 12, size=(256, 192))(torch.zeros(2, 197, 384)).shape
        torch.Size([2, 384, 16, 12])
    """
    for grid in _grids(size):
        if count - grid[0] * grid[1] in SPECIAL:
            return partial(tokens, grid=grid)
    below = [grid for grid in _grids(size) if grid[0] * grid[1] <= count]
    rows, columns = max(below, key=lambda grid: grid[0] * grid[1], default=(0, 0))
    known = ", ".join(f"{number} ({what})" for number, what in SPECIAL.items() if number)
    raise ValueError(
        f"The layer emits {count} tokens for a picture of {size[0]} × {size[1]}. The nearest grid, {rows} × {columns}, "
        f"has {rows * columns} patches, and {count - rows * columns} tokens are left, where 0, {known} were expected. "
        "Give the grid yourself: `ll.Explainable(…, layout=partial(ll.layouts.tokens, grid=(rows, columns)))`."
    )


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


def _attention(emitted: Tensor) -> bool:
    """Return whether the layer emits what a softmax over tokens does: every row, of the first picture, sums to 1."""
    if (
        not emitted.shape[-2] == emitted.shape[-1] > 1
        or abs(float(emitted[0].detach().flatten(0, -2)[0].sum()) - 1) > 1e-3
    ):
        return False  # most layers' first row tells at once
    rows = emitted[0].detach().sum(dim=-1)
    return torch.allclose(rows, torch.ones_like(rows), atol=1e-3)


def _fits(grid: tuple[int, int], size: tuple[int, int]) -> bool:
    """Return whether a grid is a picture's size divided by one stride, to the cell."""
    (rows, columns), (height, width) = grid, size
    return rows <= height and columns <= width and abs(rows * width - columns * height) <= max(height, width)


def _grids(size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield the grids of square patches on a picture, the finest first; a patch at the edge may be cut off."""
    height, width = size
    for patch in range(1, min(size) // 2 + 1):
        yield height // patch, width // patch
        if height % patch or width % patch:
            yield -(-height // patch), -(-width // patch)


def _shape(emitted: Tensor) -> str:
    return " × ".join(map(str, emitted.shape))
