"""Lesson 02: the map from weights, the logit from the map, the map for the eye, and where a cell lies on the photo."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lessons_lib.core.explain import explain
from lessons_lib.core.methods import cam
from lessons_lib.photos.collage import scene
from lessons_lib.teach.exercise import Exercise
from lessons_lib.teach.experiment import Experiment
from lessons_lib.teach.measuring import CAT, cat_and_cup, network, on, peak_on, share, with_objects

# Three maps of 2 × 4: rows, columns and maps can't be taken for one another.
_W = torch.tensor([1.0, -2.0, 0.5])
_A = torch.tensor(
    [
        [[1.0, 0.0, 2.0, 0.0], [3.0, 1.0, 0.0, 5.0]],
        [[0.0, 1.0, 0.0, 0.0], [2.0, 0.0, 1.0, 1.0]],
        [[4.0, 0.0, 0.0, 2.0], [0.0, 6.0, 0.0, 0.0]],
    ]
)
_M = torch.tensor([[3.0, -2.0, 2.0, 1.0], [-1.0, 4.0, -2.0, 3.0]])


def _weighted(w: Tensor, a: Tensor) -> Tensor:
    return w[:, None, None] * a


_map = Exercise(
    cases=[(_W, _A), (torch.tensor([-1.0, 3.0]), torch.tensor([[[2.0, 0.0, 1.0]], [[1.0, -1.0, 0.0]]]))],
    right=lambda w, a: _weighted(w, a).sum(dim=0),
    also_right=[
        lambda w, a: torch.einsum("k,kij->ij", w, a),
        lambda w, a: torch.tensordot(w, a, dims=1),
        lambda w, a: (w @ a.flatten(start_dim=1)).reshape(a.shape[1:]),
        lambda w, a: F.conv2d(a[None], w[None, :, None, None])[0, 0],
    ],
    mistakes={
        "You apply the ReLU to each weighted map before the sum; maps that speak for and against the class must meet "
        "first.": lambda w, a: _weighted(w, a).relu().sum(dim=0),
        "You apply a ReLU to the map; it is right for a picture, but the map itself keeps its sign.": (
            lambda w, a: _weighted(w, a).sum(dim=0).relu()
        ),
        "You drop the negative weights; a map that speaks against the class must be subtracted.": (
            lambda w, a: _weighted(w.relu(), a).sum(dim=0)
        ),
        "You drop the sign of the weights; a map that speaks against the class must be subtracted.": (
            lambda w, a: _weighted(w.abs(), a).sum(dim=0)
        ),
        "You take the mean over the maps; eq. (2) takes their sum.": lambda w, a: _weighted(w, a).mean(dim=0),
        "You take the strongest map in each cell; eq. (2) adds all maps up.": lambda w, a: _weighted(w, a).amax(dim=0),
        "You leave the weights out; without them every class has the same map.": lambda w, a: a.sum(dim=0),
        "You swap rows and columns: the map is W × H, and H × W is asked for.": lambda w, a: (
            _weighted(w, a).sum(dim=0).T
        ),
        "You average over rows and columns too: that gives the logit without its bias, and the place is lost.": (
            lambda w, a: w @ a.mean(dim=(1, 2))
        ),
        "You add up the cells too, to one number; the map keeps its rows and columns.": (
            lambda w, a: _weighted(w, a).sum()
        ),
        "You divide by the number of cells; that belongs to the logit, which is the map's mean.": (
            lambda w, a: _weighted(w, a).sum(dim=0) / a[0].numel()
        ),
        "You return all weighted maps; eq. (2) adds them up, over k, to one.": _weighted,
    },
)

_logit = Exercise(
    cases=[(_M, torch.tensor(0.5)), (torch.tensor([[2.0, -5.0, 6.0]]), torch.tensor(-3.0))],
    right=lambda m, b: m.mean() + b,
    also_right=[
        lambda m, b: m.sum() / m.numel() + b,
        lambda m, b: (m + b).mean(),
        lambda m, b: m.flatten() @ torch.full((m.numel(),), 1 / m.numel()) + b,
        lambda m, b: m.mean(dim=0).mean() + b,
    ],
    mistakes={
        "You take the sum of the map; this network pools with a mean, so divide by the number of cells.": (
            lambda m, b: m.sum() + b
        ),
        "You forget the bias.": lambda m, b: m.mean(),
        "You forget the bias, and take the sum where the network takes the mean.": lambda m, b: m.sum(),
        "You subtract the bias; the network adds it.": lambda m, b: m.mean() - b,
        "You add the bias in every cell and then take the sum; it is added once.": lambda m, b: (m + b).sum(),
        "You apply the ReLU before the mean; cells that speak against the class count in the logit.": (
            lambda m, b: m.relu().mean() + b
        ),
        "You take the peak of the map; the logit is made of all cells, by their mean.": lambda m, b: m.max() + b,
        "You divide by the number of rows only, or columns only; there are H·W cells.": (
            lambda m, b: m.sum() / m.shape[1] + b,
            lambda m, b: m.sum() / m.shape[0] + b,
        ),
        "You take the mean along one side only, so a list is left; take it over rows and columns.": (
            lambda m, b: m.mean(dim=0) + b,
            lambda m, b: m.mean(dim=1) + b,
        ),
        "You apply a sigmoid; asked is the logit itself.": lambda m, b: (m.mean() + b).sigmoid(),
    },
)


def _stretched(m: Tensor, small: float = 0) -> Tensor:
    return (m - m.min()) / (m.max() - m.min() + small)


_normalise = Exercise(
    cases=[(_M,), (1e-8 * torch.tensor([[2.0, -8.0, 6.0]]),), (torch.tensor([[2.0, 1.0], [4.0, 3.0]]),)],
    right=lambda m: m.relu() / m.max(),
    also_right=[
        lambda m: m.clamp(min=0) / m.clamp(min=0).max(),
        lambda m: (m / m.max()).relu(),
        lambda m: torch.where(m > 0, m, torch.tensor(0.0)) / m.amax(),
    ],
    mistakes={
        "You leave the ReLU out, so what speaks against the class is still there, below 0.": lambda m: m / m.max(),
        "You stretch from the lowest to the highest value, so a cell that speaks against the class gets heat: "
        "ReLU first, then divide.": lambda m: _stretched(m),
        "You apply the ReLU and don't divide by the peak.": lambda m: m.relu(),
        "You drop the sign, so what speaks against the class becomes heat; a ReLU sets it to 0.": (
            lambda m: m.abs() / m.abs().max()
        ),
        "You divide by the largest value of either sign, before or after the ReLU; divide by the positive peak.": (
            lambda m: m.relu() / m.abs().max()
        ),
        "You divide by the sum; then the peak is not 1 and small maps look brighter than large ones.": (
            lambda m: m.relu() / m.relu().sum()
        ),
        "You add a small number to the peak before dividing; a network with small logits then gets a dim map.": (
            *(lambda m, small=10**-n: m.relu() / (m.max() + small) for n in range(5, 11)),
        ),
        "You stretch what the ReLU leaves down to 0; a map may be positive everywhere, so divide by the peak alone.": (
            lambda m: _stretched(m.relu()),
            *(lambda m, small=10**-n: _stretched(m.relu(), small) for n in range(5, 11)),
        ),
        "You cut off what is above 1; divide by the peak.": lambda m: m.clamp(0, 1),
        "You take a softmax; it makes a share of each cell, and heat where the map is negative.": (
            lambda m: m.flatten().softmax(dim=0).reshape(m.shape)
        ),
    },
)


def _middle(
    row: int, column: int, rows: int, columns: int, region: tuple[float, float, float, float]
) -> tuple[float, float]:
    left, top, right, bottom = region
    return left + (column + 0.5) / columns * (right - left), top + (row + 0.5) / rows * (bottom - top)


def _by_slices(row: int, column: int, rows: int, columns: int, region: tuple[float, float, float, float]) -> Tensor:
    edges = [torch.linspace(region[i], region[i + 2], n + 1) for i, n in ((0, columns), (1, rows))]
    return torch.stack([(e[n] + e[n + 1]) / 2 for e, n in zip(edges, (column, row), strict=True)])


_place = Exercise(
    cases=[
        (1, 4, 3, 6, (125.0, 25.0, 485.0, 385.0)),
        (0, 2, 2, 5, (10.0, 30.0, 110.0, 90.0)),
        (6, 0, 7, 7, (125.0, 25.0, 475.0, 375.0)),
        (2, 1, 4, 3, (0.0, 10.0, 50.0, 43.0)),  # cells that are no whole number of pixels
    ],
    right=_middle,
    also_right=[_by_slices, lambda *given: list(_middle(*given))],
    mistakes={
        "You swap x and y: x, from the left edge, comes first, and it is made from the column.": (
            lambda *given: _middle(*given)[::-1]
        ),
        "You use the row for x and the column for y; a row tells how far down a cell is.": (
            lambda i, j, h, w, r: _middle(j, i, w, h, r)
        ),
        "You give the cell's upper left corner; its middle lies half a cell further.": (
            lambda i, j, h, w, r: _middle(i - 0.5, j - 0.5, h, w, r)
        ),
        "You give the cell's lower right corner; its middle lies half a cell before it.": (
            lambda i, j, h, w, r: _middle(i + 0.5, j + 0.5, h, w, r)
        ),
        "You divide the width by the rows and the height by the columns; it is the other way round.": (
            lambda i, j, h, w, r: _middle(i, j, w, h, r)
        ),
        "You take whole pixels; the middle of a cell may lie between two.": (
            lambda i, j, h, w, r: [
                r[side] + n * ((r[side + 2] - r[side]) // count) + (r[side + 2] - r[side]) // count // 2
                for side, n, count in ((0, j, w), (1, i, h))
            ],
            lambda *given: [round(place) for place in _middle(*given)],
            lambda *given: [int(place) for place in _middle(*given)],
        ),
        "You lay the crop in the photo's upper left corner: add the region's left and top.": (
            lambda i, j, h, w, r: _middle(i, j, h, w, (0, 0, r[2] - r[0], r[3] - r[1]))
        ),
        "You stretch the map from the photo's edge to the region's right and bottom: the crop begins at its left and "
        "top.": lambda i, j, h, w, r: _middle(i, j, h, w, (0, 0, r[2], r[3])),
        "You lay the first and the last cell's middles on the region's edges, as align_corners=True does: cell j's "
        "middle is (j + ½)/W of the way.": (
            lambda i, j, h, w, r: (r[0] + j / (w - 1) * (r[2] - r[0]), r[1] + i / (h - 1) * (r[3] - r[1]))
        ),
        "You count cells from 1; row 0 is the first.": (lambda i, j, h, w, r: _middle(i - 1, j - 1, h, w, r)),
    },
)

EXERCISES = {"map": _map, "logit": _logit, "normalise": _normalise, "place": _place}


def _misses(answer: Any) -> tuple[bool, str]:
    given = with_objects(answer, "cat")
    heat, mask = explain(network(), given, CAT, method=cam), on(given, "cat")
    misses = not peak_on(heat, mask)
    return misses and heat.share_on(
        mask
    ) > 0.5, f"The peak lies {'beside' if misses else 'on'} the cat. Heat on the cat: {share(heat, mask)}."


EXPERIMENTS = {
    "miss": Experiment(
        measure=_misses,
        example=lambda: cat_and_cup(34, background="brick"),
        found=[
            lambda: cat_and_cup(165),
            lambda: scene(1, kinds=["cat"], count=5, copies=True, area=(0.05, 0.09)),
        ],
        guess=lambda random: cat_and_cup(random.randrange(10_000)),
    ),
}
