"""Lesson 10: channels that come last, windows that are shifted, and CAM at the end of a Swin."""

import torch
from torch import Tensor
from torch.nn import functional as F

from lessons_lib.teach.exercise import Exercise

_LAST = torch.arange(2 * 2 * 3 * 4.0).view(2, 2, 3, 4).sin()

_maps = Exercise(
    cases=[(_LAST,), (torch.arange(1 * 3 * 2 * 5.0).view(1, 3, 2, 5),)],
    right=lambda x: x.permute(0, 3, 1, 2),
    also_right=[
        lambda x: x.movedim(-1, 1),
        lambda x: torch.einsum("nhwc->nchw", x),
        lambda x: x.transpose(1, 3).transpose(2, 3),
    ],
    mistakes={
        "You swap the channels with the rows, and so rows and columns as well: N × C × W × H. Move the channels "
        "(`permute(0, 3, 1, 2)`).": lambda x: x.transpose(1, 3),
        "You reshape, which keeps the numbers in their old order and mixes channels with places; `permute` moves "
        "axes.": lambda x: x.reshape(len(x), x.shape[3], *x.shape[1:3]),
        "You move the rows to the end, not the channels to the front.": lambda x: x.permute(0, 2, 3, 1),
        "You add the channels up; each is a map of its own.": lambda x: x.sum(dim=3),
        "You return the maps of the first picture; all of them are asked for.": lambda x: x.permute(0, 3, 1, 2)[0],
    },
)

_ROWS = torch.arange(8.0).view(8, 1) * 10 + torch.arange(4.0)


def _windows(x: Tensor, size: int, shift: int) -> Tensor:
    x = x.roll((-shift, -shift), dims=(0, 1))
    rows, columns = x.shape
    return x.view(rows // size, size, columns // size, size).transpose(1, 2).reshape(-1, size, size)


_cut = Exercise(
    cases=[(_ROWS, 4, 2), (torch.arange(36.0).view(6, 6), 3, 2)],
    right=_windows,
    also_right=[
        lambda x, size, shift: (
            x.roll((-shift, -shift), (0, 1)).unfold(0, size, size).unfold(1, size, size).reshape(-1, size, size)
        ),
        lambda x, size, shift: torch.stack(
            [
                part
                for strip in torch.roll(x, (-shift, -shift), (0, 1)).split(size, dim=0)
                for part in strip.split(size, dim=1)
            ]
        ),
    ],
    mistakes={
        "You don't shift, so a window never meets its neighbour.": lambda x, size, shift: _windows(x, size, 0),
        "You shift the other way: the first window begins `shift` rows down and `shift` columns to the right, so roll "
        "by a negative number.": lambda x, size, shift: _windows(x, size, -shift),
        "You shift the rows and not the columns.": lambda x, size, shift: _windows(x.roll(-shift, dims=0), size, 0),
        "You shift by half a window, whatever `shift` says.": lambda x, size, shift: _windows(x, size, size // 2),
        "You reshape without `transpose`, and get strips of whole rows instead of windows.": lambda x, size, shift: (
            x.roll((-shift, -shift), dims=(0, 1)).reshape(-1, size, size)
        ),
        "Your windows are in columns first; they are numbered along the rows.": lambda x, size, shift: (
            _windows(x.T, size, shift).mT
        ),
    },
)

_W = torch.tensor([[0.5, -1.0, 2.0], [1.0, 0.0, -0.5]])
_NORMED = torch.arange(1 * 2 * 4 * 3.0).view(1, 2, 4, 3).cos()


def _cam(x: Tensor, w: Tensor, c: int) -> Tensor:
    return x[0] @ w[c]


_map = Exercise(
    cases=[(_NORMED, _W, 0), (_NORMED * 3 - 1, _W, 1)],
    right=_cam,
    also_right=[
        lambda x, w, c: torch.einsum("hwk,k->hw", x[0], w[c]),
        lambda x, w, c: (x[0] * w[c]).sum(dim=2),
        lambda x, w, c: F.linear(x, w)[0, :, :, c],
    ],
    mistakes={
        "You drop what is negative; the mean of the map is the logit only if all of it is there.": (
            lambda x, w, c: _cam(x, w, c).relu()
        ),
        "You take the mean over channels; the weighted sum is asked for.": lambda x, w, c: _cam(x, w, c) / x.shape[3],
        "You return a map for each class; one class is asked for.": lambda x, w, c: (x[0] @ w.T).permute(2, 0, 1),
        "You swap rows and columns.": lambda x, w, c: _cam(x, w, c).T,
        "You average over the places as well; that is the logit, and the map is what was there before.": (
            lambda x, w, c: _cam(x, w, c).mean()
        ),
        "You leave the weights out, so every class has the same map.": lambda x, w, c: x[0].sum(dim=2),
    },
)

EXERCISES = {"maps": _maps, "cut": _cut, "map": _map}
