"""Choosing among equal numbers by place or name, so that rounding, which differs between processors, never chooses."""

from torch import Tensor, isclose

from lessons_lib.show.protocols import HeatmapLike

TIE = 1e-4
"""Nearer than this, two numbers are equal: sums in float32 are more exact, and nobody sees so small a difference."""


def first_peak(values: Tensor) -> tuple[int, int]:
    """Return the cell of the highest value of H×W: its row and column, from 0.

    Of the cells that lie within `TIE` of the highest, relative to it, it is the first in reading order.

    Example:
        >>> first_peak(torch.tensor([[0.0, 1.0], [1.0000001, 0.5]]))
        (0, 1)
    """
    tied = isclose(values, values.max(), rtol=TIE, atol=0, equal_nan=True)
    return divmod(int(tied.flatten().nonzero()[0]), values.shape[1])


def middle_of_peak(heat: HeatmapLike) -> tuple[float, float]:
    """Return where on the photo the middle of a map's highest cell lies: y and x in pixels, from its upper left corner.

    Example:
        >>> middle_of_peak(heat)
        (150.0, 150.33...)
    """
    (row, column), (rows, columns) = first_peak(heat.values), heat.values.shape
    left, top, right, bottom = heat.region
    return top + (bottom - top) * (row + 0.5) / rows, left + (right - left) * (column + 0.5) / columns


def largest_first(shares: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return shares, 0…1, with their words: the largest first, and those within `TIE` of their neighbour Z to A.

    Example:
        >>> largest_first([(0.2, "on the cat"), (0.2000001, "on the astronaut"), (0.6, "on the cup")])
        [(0.6, 'on the cup'), (0.2, 'on the cat'), (0.2000001, 'on the astronaut')]
    """
    groups: list[list[tuple[float, str]]] = []
    for share in sorted(shares, reverse=True):
        if groups and groups[-1][-1][0] - share[0] < TIE:
            groups[-1].append(share)
        else:
            groups.append([share])
    return [share for group in groups for share in sorted(group, key=lambda one: one[1], reverse=True)]
