"""The place in the picture that each number of a tensor stands for, and what reading, sampling and mixing do to it."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Places(NamedTuple):
    """For each number of a tensor the middle and the extent, in pixels, of what it stands for, and its picture.

    All five have the tensor's own shape, mostly expanded; NaN where a number stands for no place, as a class token's.
    """

    rows: Tensor
    columns: Tensor
    heights: Tensor
    widths: Tensor
    pictures: Tensor

    def each(self, change: Callable[[Tensor], Tensor]) -> "Places":
        """Return the places with one change made to all five: what an operation does that only moves numbers."""
        return Places(*map(change, self))


def of_pictures(batch: Tensor) -> Places:
    """Return the places of a network's input, N×C×H×W: of each pixel itself."""
    count, _, height, width = batch.shape
    rows = torch.arange(height, dtype=torch.float32, device=batch.device).view(1, 1, -1, 1) + 0.5
    columns = torch.arange(width, dtype=torch.float32, device=batch.device).view(1, 1, 1, -1) + 0.5
    one, numbers = (
        torch.ones(1, 1, 1, 1, device=batch.device),
        torch.arange(count, dtype=torch.float32, device=batch.device).view(-1, 1, 1, 1),
    )
    return Places(rows, columns, one, one, numbers).each(lambda x: x.expand(batch.shape))


def unknown(tensor: Tensor) -> Places:
    """Return the places of what comes from no picture, such as a parameter."""
    nowhere = torch.full((1,) * tensor.ndim, torch.nan, device=tensor.device).expand(tensor.shape)
    return Places(nowhere, nowhere, nowhere, nowhere, nowhere)


def narrow(x: Tensor) -> Tensor:
    """Return a tensor with one entry along each axis along which it was expanded."""
    for axis, stride in enumerate(x.stride()):
        if stride == 0 and x.shape[axis] > 1:
            x = x[(slice(None),) * axis + (slice(0, 1),)]
    return x


def varies(x: Tensor, axis: int) -> bool:
    """Return whether any two numbers along an axis differ; NaN differs from every number, and not from itself."""
    x = narrow(x)
    if x.shape[axis] == 1:
        return False
    first = x.narrow(axis, 0, 1)
    return bool(((x != first) & ~(x.isnan() & first.isnan())).any())


def compact(x: Tensor) -> Tensor:
    """Return a tensor of the same shape and numbers, expanded along every axis along which they do not vary."""
    shape, x = x.shape, narrow(x)
    for axis in reversed(range(x.ndim)):
        if x.shape[axis] > 1 and not varies(x, axis):
            x = x.narrow(axis, 0, 1)
    return x.expand(shape)


def mixed(places: Places, axes: list[int], size: tuple[int, int]) -> Places:
    """Return what sums over some axes stand for, which stay with one entry: the box around all that went in.

    What has no place does not count. A box that is higher than half the picture stands for no row, a wide one for no
    column: a global pooling, an attention's sum over all tokens.
    """
    rows, heights = _around(narrow(places.rows), narrow(places.heights), axes, size[0] / 2)
    columns, widths = _around(narrow(places.columns), narrow(places.widths), axes, size[1] / 2)
    first, last = _ends(narrow(places.pictures), axes)
    return Places(rows, columns, heights, widths, torch.where(first == last, first, torch.nan)).each(compact)


def _ends(x: Tensor, axes: list[int]) -> tuple[Tensor, Tensor]:
    """Return the smallest and the largest along some axes, of numbers; NaN where there are none."""
    none = x.isnan()
    low, high = (
        x.masked_fill(none, torch.inf).amin(axes, keepdim=True),
        x.masked_fill(none, -torch.inf).amax(axes, keepdim=True),
    )
    return torch.where(low <= high, low, torch.nan), torch.where(low <= high, high, torch.nan)


def _around(middles: Tensor, extents: Tensor, axes: list[int], most: float) -> tuple[Tensor, Tensor]:
    low, _ = _ends(middles - extents / 2, axes)
    _, high = _ends(middles + extents / 2, axes)
    extent = torch.where(high - low <= max(most, 1), high - low, torch.nan)
    # What is one place stays that place, however large.
    first, last = _ends(middles, axes)
    same = first == last
    return torch.where(same, first, (low + high) / 2 + 0 * extent), torch.where(same, _ends(extents, axes)[1], extent)


def sampled(places: Places, axis: int, at: Tensor, scale: float) -> Places:
    """Return the places at fractional indices along an axis, also beyond its ends, where each extent grows by `scale`.

    That is what a convolution, a pooling or an enlargement leaves of the axis: the middles of its windows.
    """

    at = at.to(places.rows.device)

    def along(x: Tensor, times: float = 1, nearest: bool = False) -> Tensor:
        shape = (*x.shape[:axis], len(at), *x.shape[axis + 1 :])
        x = narrow(x) * times
        if (count := x.shape[axis]) == 1:
            return x.expand(shape)
        low = at.floor().long().clamp(0, count - 2)
        part = (at - low).view(-1, *[1] * (x.ndim - axis - 1))
        a, b = x.index_select(axis, low), x.index_select(axis, low + 1)
        if nearest:
            return torch.where(part < 0.5, a, b).expand(shape)
        return torch.where(part == 0, a, torch.where(part == 1, b, a + (b - a) * part)).expand(shape)

    rows, columns = along(places.rows), along(places.columns)
    heights = along(places.heights, scale if varies(places.rows, axis) else 1)
    widths = along(places.widths, scale if varies(places.columns, axis) else 1)
    return Places(rows, columns, heights, widths, along(places.pictures, nearest=True))


def together(first: Places, second: Places, shape: torch.Size) -> Places:
    """Return what numbers stand for that are made of two, entry by entry: the place that is known better.

    Of two places of one extent that lie far apart there is none.
    """
    rows, heights = _better(first.rows, first.heights, second.rows, second.heights)
    columns, widths = _better(first.columns, first.widths, second.columns, second.widths)
    a, b = narrow(first.pictures), narrow(second.pictures)
    pictures = torch.where(a.isnan(), b, torch.where(b.isnan() | (a == b), a, torch.nan))
    return Places(rows, columns, heights, widths, pictures).each(lambda x: compact(x.expand(shape)))


def _better(a: Tensor, large_a: Tensor, b: Tensor, large_b: Tensor) -> tuple[Tensor, Tensor]:
    a, large_a, b, large_b = narrow(a), narrow(large_a), narrow(b), narrow(large_b)
    take = a.isnan() | (large_b < 0.999 * large_a)
    far = ((a - b).abs() > 1.5 * large_a) & (large_b < 1.001 * large_a) & ~take
    middle, large = torch.where(take, b, a), torch.where(take, large_b, large_a)
    return torch.where(far, torch.nan, middle), torch.where(far, torch.nan, large)
