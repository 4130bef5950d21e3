"""What a convolution, a pooling or an enlargement leaves of places: the middles of its windows and their step."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lessons_lib.core.engine.places.positions import Places, mixed, narrow, sampled

Windows = Callable[[int, int, int], tuple[Tensor, float]]
"""From an axis' number among the rows and columns, its length before and after, to its windows' middles and step."""

_POOLS = ("avg_pool1d", "avg_pool2d", "max_pool1d", "max_pool2d", "max_pool2d_with_indices", "mkldnn_max_pool2d")
_EVEN = ("_adaptive_avg_pool", "adaptive_avg_pool", "adaptive_max_pool", "upsample_", "_upsample_")


def windows_of(name: str, args: Any) -> Windows | None:
    """Return the windows of an operation; None of one that has none."""
    if name == "convolution":
        _, weight, _, stride, padding, dilation, transposed = args[:7]

        def convolved(number: int, _before: int, after: int) -> tuple[Tensor, float]:
            k, s, p, d = weight.shape[2 + number], *(_one(each, number) for each in (stride, padding, dilation))
            if transposed:
                return (_counted(after) + p - d * (k - 1) / 2) / s, 1 / s
            return _stepping(after, k, s, p, d)

        return convolved
    if name in _POOLS:
        kernel, stride, padding, dilation = (*args[1:5], *(None,) * 4)[:4]
        steps = stride or kernel, padding or 0, (dilation or 1) if name.startswith("m") else 1

        def pooled(number: int, _before: int, after: int) -> tuple[Tensor, float]:
            k, s, p, d = (_one(each, number) for each in (kernel, *steps))
            return _stepping(after, k, s, p, d)

        return pooled
    if name.startswith(_EVEN):
        return lambda _number, before, after: ((_counted(after) + 0.5) * before / after - 0.5, before / after)
    return None


def through(windows: Windows, given: Places, name: str, out: Tensor, size: tuple[int, int]) -> Places:
    """Return the places of what an operation on windows puts out.

    A window as large as half of the picture stands for no place in it.
    """
    axes = range(2 if given.rows.ndim > 3 or name == "convolution" else 1, given.rows.ndim)
    for number, axis in enumerate(axes):
        given = sampled(given, axis, *windows(number, given.rows.shape[axis], out.shape[axis]))
    if name == "convolution":
        given = mixed(given, [1], size)
    rows, heights = _small(given.rows, given.heights, size[0] / 2)
    columns, widths = _small(given.columns, given.widths, size[1] / 2)
    return Places(rows, columns, heights, widths, given.pictures).each(lambda x: x.expand(out.shape))


def _small(middles: Tensor, extents: Tensor, most: float) -> tuple[Tensor, Tensor]:
    middles, extents = narrow(middles), narrow(extents)
    large = extents > max(most, 1)
    return torch.where(large, torch.nan, middles), torch.where(large, torch.nan, extents)


def _stepping(after: int, kernel: int, stride: int, padding: int, dilation: int) -> tuple[Tensor, float]:
    reach = dilation * (kernel - 1)
    # Of a single window there is no step, and it stands for all that it covers.
    return _counted(after) * stride - padding + reach / 2, stride if after > 1 else reach + 1


def _counted(many: int) -> Tensor:
    return torch.arange(many, dtype=torch.float32, device="cpu")


def _one(value: Any, number: int) -> int:
    if isinstance(value, int):
        return value
    found: int = value[number] if len(value) > 1 else value[0]
    return found
