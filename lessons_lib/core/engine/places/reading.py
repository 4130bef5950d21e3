"""How a layer's output is read as maps, from the places of its numbers, and where on the picture those maps lie."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from lessons_lib.core.engine.places.positions import Places, narrow, varies


@dataclass(frozen=True)
class Reading:
    """How one tensor becomes maps N×C×H×W: the axis of the pictures, of the channels, and of the grid.

    Args:
        pictures: the axis along which the pictures lie.
        channels: the axis of the channels.
        grid: the axes of rows and columns, or one axis of tokens.
        order: along each of them, which entry stands where; of tokens H×W numbers, so that special ones are left out.
        rows: first and last edge of the grid on what the network was given, in its pixels; NaN of a side that was
            pooled away.
        columns: the same from left to right.
    """

    pictures: int
    channels: int
    grid: tuple[int, ...]
    order: tuple[Tensor, ...]
    rows: tuple[float, float]
    columns: tuple[float, float]

    def __call__(self, emitted: Tensor) -> Tensor:
        """Return N×C×H×W."""
        for axis, order, steady in zip(self.grid, self.order, self._steady, strict=True):
            if not steady or len(order) != emitted.shape[axis]:
                emitted = emitted.index_select(axis, order.flatten().to(emitted.device))
        maps = emitted.permute(self.pictures, self.channels, *self.grid)
        return maps if len(self.grid) == 2 else maps.unflatten(2, self.order[0].shape)

    @cached_property
    def _steady(self) -> tuple[bool, ...]:
        """Whether the entries along each axis of the grid stand in their order, so that nothing has to be moved."""
        return tuple(order.ndim == 1 and not bool((order.diff() != 1).any()) for order in self.order)

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom on what the network was given."""
        return self.columns[0], self.rows[0], self.columns[1], self.rows[1]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.order[0].shape if len(self.grid) == 1 else map(len, self.order)
        return rows, columns

    @property
    def __name__(self) -> str:
        """What the order of axes is called, for tables."""
        if len(self.grid) == 1:
            return "tokens"
        return "nchw" if self.channels < min(self.grid) else "nhwc"


def read(places: Places, pictures: int) -> Reading:
    """Return how a tensor is read, from the places of its numbers.

    Raises:
        ValueError: it is no stack of maps; the sentence says what it is instead, to be put behind the tensor's shape.
    """
    shape = places.rows.shape
    axes = range(len(shape))
    down = [axis for axis in axes if varies(places.rows, axis)]
    right = [axis for axis in axes if varies(places.columns, axis)]
    if not down and not right and len(shape) == 4 and shape[2:] == (1, 1):
        down, right = [2], [3]  # pooled to one cell
    if not down and not right:
        raise ValueError("its numbers stand for no places in the picture that can be told apart")
    grid = sorted({*down, *right})
    own = [axis for axis in axes if shape[axis] == pictures and axis not in grid]
    if pictures > 1:
        own = [axis for axis in own if varies(places.pictures, axis)]
    if not own:
        raise ValueError("these are windows or regions, not pictures")
    rest = [axis for axis in axes if axis != own[0]]
    if len(rest) == 3 and len(grid) == 1 and not (down and right):  # of one row, or of one column
        line = next((axis for axis in reversed(rest) if shape[axis] == 1), None)
        if line is None:
            raise ValueError("it has one axis more than those of pictures, channels and tokens")
        down, right = (down, [line]) if down else ([line], right)
        grid = sorted({*down, *right})
    channels = [axis for axis in rest if axis not in grid]
    if len(channels) != 1 or len(grid) > 2 or (len(grid) == 2 and not len(down) == len(right) == 1):
        raise ValueError("it has other axes than those of pictures, channels, rows and columns")
    if len(grid) == 2:
        (i,), (j,) = down, right
        y, rows = _line(places.rows, places.heights, i)
        x, columns = _line(places.columns, places.widths, j)
        return Reading(own[0], channels[0], (i, j), (y, x), rows, columns)
    (t,) = grid
    r, c = (_whole_if_pooled(_along(x, t)) for x in (places.rows, places.columns))
    order = _tokens(r, c)
    rows = _edges(r[order[:, 0]], _along(places.heights, t)[order[:, 0]])
    columns = _edges(c[order[0]], _along(places.widths, t)[order[0]])
    return Reading(own[0], channels[0], (t,), (order,), rows, columns)


def _along(x: Tensor, axis: int) -> Tensor:
    """Return the numbers along one axis, where they are the same along all others."""
    count, x = x.shape[axis], narrow(x)
    x = x.transpose(0, axis).flatten(1)
    known = torch.where(x.isnan(), -torch.inf, x).amax(dim=1)
    return torch.where(known == -torch.inf, torch.nan, known).expand(count)


def _whole_if_pooled(at: Tensor) -> Tensor:
    """Return the places along an axis; where all were pooled away, one that stands for the whole side."""
    return torch.zeros_like(at) if bool(at.isnan().all()) else at


def _line(middles: Tensor, extents: Tensor, axis: int) -> tuple[Tensor, tuple[float, float]]:
    at, extent = _along(middles, axis), _along(extents, axis)
    if len(at) == 1 and bool(at.isnan()):
        return torch.zeros(1, dtype=torch.long, device="cpu"), (
            torch.nan,
            torch.nan,
        )  # one that stands for the whole side
    if bool(at.isnan().any()):
        raise ValueError("some of its rows or columns stand for no place in the picture")
    order = at.argsort(stable=True)
    at = at[order]
    if len(at) > 1 and not _even(at):
        raise ValueError("its rows or columns do not lie at even steps")
    return order, _edges(at, extent[order])


def _even(at: Tensor) -> bool:
    steps = at.diff()
    return bool(steps.min() > 0) and float(steps.max() - steps.min()) <= 0.5 * float(steps.median())


def _edges(at: Tensor, extent: Tensor) -> tuple[float, float]:
    step = float((at[-1] - at[0]) / (len(at) - 1)) if len(at) > 1 else float(extent[0])
    return float(at[0]) - step / 2, float(at[-1]) + step / 2


def _tokens(rows: Tensor, columns: Tensor) -> Tensor:
    """Return which token stands at each row and column, H×W."""
    known = (~(rows.isnan() | columns.isnan())).nonzero()[:, 0]
    if not len(known):
        raise ValueError("its tokens stand for no places in the picture")
    y, at_row = _levels(rows[known])
    x, at_column = _levels(columns[known])
    if len(y) * len(x) != len(known) or len(y) * len(x) < 2:
        raise ValueError(f"its {len(known)} tokens that have a place do not fill a grid")
    cell = at_row * len(x) + at_column
    if len(cell.unique()) != len(cell):
        raise ValueError("several of its tokens stand for one place")
    for at in (y, x):
        if len(at) > 1 and not _even(at):
            raise ValueError("its tokens do not lie at even steps")
    return known[cell.argsort()].view(len(y), len(x))


def _levels(at: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct places, and of each number which it is; what differs by rounding is one."""
    return (at * 64).round().div(64).unique(return_inverse=True)
