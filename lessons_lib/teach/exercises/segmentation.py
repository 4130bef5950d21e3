"""Lesson 08: one pixel's score, a region's score, and how much of the heat is context."""

import torch
from torch import Tensor

from lessons_lib.teach.exercise import Exercise

# Logits of three classes for a picture of 2 × 4 pixels: classes, rows and columns can't be taken for one another.
_Y = torch.tensor(
    [
        [[2.0, -1.0, 0.5, 3.0], [1.0, 0.0, -2.0, 4.0]],
        [[0.0, 5.0, 1.0, -3.0], [2.0, 6.0, 0.5, 1.0]],
        [[1.0, 1.5, 7.0, 0.0], [-1.0, 2.5, 8.0, 0.0]],
    ]
)
_M = torch.tensor([[True, True, False, False], [True, False, False, True]])

_pixel = Exercise(
    cases=[(_Y, 1, 0, 2), (_Y, 2, 1, 3), (_Y, 0, 0, 3)],
    right=lambda y, c, i, j: y[c, i, j],
    also_right=[lambda y, c, i, j: y[c][i][j], lambda y, c, i, j: y.movedim(0, -1)[i, j, c]],
    mistakes={
        "You swap row and column: a pixel is row first, then column.": (
            lambda y, c, i, j: y[c, j, i],  # raises: there is no such row
            lambda y, c, i, j: y[c, min(j, y.shape[1] - 1), min(i, y.shape[2] - 1)],
        ),
        "You take the class with the highest logit at the pixel; the class that was asked for may be another.": (
            lambda y, c, i, j: y[:, i, j].max()
        ),
        "You take the softmax over the classes; the logit is asked for.": lambda y, c, i, j: y.softmax(dim=0)[c, i, j],
        "You add up the whole class; one pixel is asked for.": lambda y, c, i, j: y[c].sum(),
        "You return all the classes' logits at the pixel; one of them is asked for.": lambda y, c, i, j: y[:, i, j],
        "You return the number of the class; its logit is asked for.": lambda y, c, i, j: y[:, i, j].argmax(),
    },
)

_region = Exercise(
    cases=[(_Y, 1, _M), (_Y, 2, ~_M), (_Y, 0, _M)],
    right=lambda y, c, m: y[c][m].sum(),
    also_right=[
        lambda y, c, m: (y[c] * m).sum(),
        lambda y, c, m: torch.where(m, y[c], 0).sum(),
        lambda y, c, m: torch.stack([y[c, i, j] for i, j in m.nonzero().tolist()]).sum(),
    ],
    mistakes={
        "You take the mean over the region; the sum is asked for, so that the map is the sum of the pixels' maps.": (
            lambda y, c, m: y[c][m].mean()
        ),
        "You add up the whole picture; only the pixels of the region count.": lambda y, c, m: y[c].sum(),
        "You take the region's strongest pixel; the sum is asked for.": lambda y, c, m: y[c][m].max(),
        "You drop the negative logits; pixels that are against the class count too.": lambda y, c, m: (
            y[c][m].relu().sum()
        ),
        "You add up all classes; one of them is asked for.": lambda y, c, m: y[:, m].sum(),
        "You count the region's pixels where the class wins; the number has no gradient, add up the logits.": (
            lambda y, c, m: (y.argmax(dim=0)[m] == c).sum()
        ),
        "You add up what lies outside the region.": lambda y, c, m: y[c][~m].sum(),
    },
)

_HEAT = torch.tensor([[4.0, 1.0, 0.0, -3.0], [2.0, -1.0, 3.0, 0.5]])


def _share(heat: Tensor, mask: Tensor) -> Tensor:
    positive = heat.relu()
    return positive[~mask].sum() / positive.sum()


_context = Exercise(
    cases=[(_HEAT, _M), (_HEAT.flip(1), torch.tensor([[True, False, False, False], [True, False, False, False]]))],
    right=_share,
    also_right=[
        lambda h, m: 1 - h.relu()[m].sum() / h.relu().sum(),
        lambda h, m: (h.clamp(min=0) * ~m).sum() / h.clamp(min=0).sum(),
    ],
    mistakes={
        "You return the share inside; what lies outside is asked for.": lambda h, m: h.relu()[m].sum() / h.relu().sum(),
        "You leave the negative cells in; heat is what speaks for the class.": lambda h, m: h[~m].sum() / h.sum(),
        "You take the absolute value; heat is what is positive.": lambda h, m: h.abs()[~m].sum() / h.abs().sum(),
        "You count cells; a share of the heat adds up their values.": (
            lambda h, m: (h.relu()[~m] > 0).sum() / (h.relu() > 0).sum()
        ),
        "You compare means; a share is a sum divided by the whole sum.": (
            lambda h, m: h.relu()[~m].mean() / (h.relu()[~m].mean() + h.relu()[m].mean())
        ),
        "You divide by what lies inside; divide by all the heat.": lambda h, m: h.relu()[~m].sum() / h.relu()[m].sum(),
        "You forget to divide; a share lies between 0 and 1.": lambda h, m: h.relu()[~m].sum(),
    },
)

EXERCISES = {"pixel": _pixel, "region": _region, "context": _context}
