"""What a convolution, a pooling or an enlargement leaves of places: even cells over what it was given."""

from typing import Any

import torch
from torch import Tensor

from lessons_lib.core.engine.places.positions import Places, compact, mixed, narrow, sampled

_POOLS = ("avg_pool1d", "avg_pool2d", "max_pool1d", "max_pool2d", "max_pool2d_with_indices", "mkldnn_max_pool2d")
_TILED = (
    *("_adaptive_avg_pool", "adaptive_avg_pool", "adaptive_max_pool", "upsample_", "_upsample_", "max_unpool"),
    "deform_conv2d",  # its windows may lie anywhere: only its cells are known
)


def window_of(name: str, args: Any) -> tuple[int, ...] | None:
    """Return the sides of an operation's windows, for the last axes; None of an operation that has none.

    They are left out where it adds a padding of its own, resizes, or chooses where its windows lie.
    """
    if name == "convolution":
        return () if any(args[4]) else tuple(args[1].shape[2:])
    if name in _POOLS:
        sides = (args[1],) if isinstance(args[1], int) else tuple(args[1])
        padding = args[3] if len(args) > 3 else 0
        if padding and any([padding] if isinstance(padding, int) else padding):
            return ()
        return sides if len(sides) > 1 or name.endswith("1d") else sides * 2
    return () if name.startswith(_TILED) else None


def through(given: Places, name: str, out: Tensor, size: tuple[int, int]) -> Places:
    """Return the places of what an operation on windows puts out.

    Its cells tile what it was given evenly, as a heatmap is drawn. The middles of receptive fields may lie up to some
    cells beside that, by strides and paddings; the convention leaves them out. A cell as large as half of the picture
    stands for no place in it.
    """
    convolved = name in ("convolution", "deform_conv2d")
    for axis in range(2 if given.rows.ndim > 3 or convolved else 1, given.rows.ndim):
        before, after = given.rows.shape[axis], out.shape[axis]
        given = sampled(given, axis, (torch.arange(after, device="cpu") + 0.5) * before / after - 0.5, before / after)
    if convolved:
        given = mixed(given, [1], size)
    rows, heights = _small(given.rows, given.heights, size[0] / 2)
    columns, widths = _small(given.columns, given.widths, size[1] / 2)
    return Places(rows, columns, heights, widths, given.pictures).each(lambda x: x.expand(out.shape))


def unfolded(given: Places, func: Any, args: Any, out: Tensor) -> Places:
    """Return the places of patches that are cut out and laid in a row, N×C·h·w×patches, as by `nn.Unfold`.

    Patches side by side keep each number's own place; of those that overlap, each stands for its cell, as a
    convolution's window does.
    """
    sides, dilation, padding, steps = args[1:]
    if _side_by_side(sides, dilation, padding, steps):
        return given.each(lambda x: compact(func(x, *args[1:])))
    for axis, side, apart, margin, step in zip((2, 3), sides, dilation, padding, steps, strict=True):
        before = given.rows.shape[axis]
        after = (before + 2 * margin - apart * (side - 1) - 1) // step + 1
        given = sampled(given, axis, (torch.arange(after, device="cpu") + 0.5) * before / after - 0.5, before / after)
    each = out.shape[1] // given.rows.shape[1]
    return given.each(lambda x: x.flatten(2).repeat_interleave(each, dim=1))


def folded(given: Places, func: Any, args: Any) -> Places | None:
    """Return the places of patches side by side that are laid back to maps, as by `nn.Fold`; None if they overlap."""
    return given.each(lambda x: compact(func(x, *args[1:]))) if _side_by_side(*args[2:]) else None


def _side_by_side(sides: Any, dilation: Any, padding: Any, steps: Any) -> bool:
    """Return whether patches neither overlap, nor leave anything out between them, nor begin outside."""
    return (list(steps), list(dilation), list(padding)) == (list(sides), [1, 1], [0, 0])


def _small(middles: Tensor, extents: Tensor, most: float) -> tuple[Tensor, Tensor]:
    middles, extents = narrow(middles), narrow(extents)
    large = extents > max(most, 1)
    return torch.where(large, torch.nan, middles), torch.where(large, torch.nan, extents)
