"""What lesson 01 asks: how large a map is, how far a cell sees, a convolution by hand, what fires on an object."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lessons_lib.core.engine import capture
from lessons_lib.photos.shipped import cat
from lessons_lib.teach.exercise import Exercise
from lessons_lib.teach.experiment import Experiment
from lessons_lib.teach.measuring import network

Layers = Sequence[tuple[int, int]]


def _size(size: int, kernel: int, stride: int, padding: int) -> int:
    return (size + 2 * padding - kernel) // stride + 1


def _field(layers: Layers, start: int = 1, late: bool = False) -> int:
    """`late` multiplies the jump by the stride before it is used, not after."""
    field, jump = start, 1
    for kernel, stride in layers:
        jump *= stride if late else 1
        field += (kernel - 1) * jump
        jump *= 1 if late else stride
    return field


def _backwards(layers: Layers) -> int:
    field = 1
    for kernel, stride in reversed(layers):
        field = (field - 1) * stride + kernel
    return field


def _jump(layers: Layers) -> int:
    jump = 1
    for _, stride in layers:
        jump *= stride
    return jump


def _convolve(X: Tensor, w: Tensor, stride: int) -> Tensor:
    return F.conv2d(X[None], w[None], stride=stride)[0, 0]


def _windows(X: Tensor, w: Tensor, stride: int) -> Tensor:
    return (X.unfold(1, w.shape[1], stride).unfold(2, w.shape[2], stride) * w[:, None, None]).sum(dim=(0, 3, 4))


def _loops(X: Tensor, w: Tensor, stride: int) -> Tensor:
    _, k, k2 = w.shape
    rows = range(0, X.shape[1] - k + 1, stride)
    columns = range(0, X.shape[2] - k2 + 1, stride)
    return torch.stack([torch.stack([(X[:, i : i + k, j : j + k2] * w).sum() for j in columns]) for i in rows])


def _inside(A: Tensor, mask: Tensor) -> Tensor:
    return (A * mask).sum(dim=(1, 2)) / mask.sum()


def _contrast(A: Tensor, mask: Tensor) -> Tensor:
    return _inside(A, mask) - _inside(A, 1 - mask)


# One decimal each, so that a call can be read.
_X = (10 * torch.arange(60.0).reshape(2, 5, 6).sin()).round() / 10
_w = (10 * torch.arange(18.0).reshape(2, 3, 3).cos()).round() / 10
_A = (10 * torch.arange(24.0).reshape(2, 3, 4).cos() + 10).round() / 10
_mask = torch.tensor([[0.0, 0.5, 1.0, 1.0], [0.0, 0.0, 1.0, 0.25], [0.0, 0.0, 0.0, 0.0]])

EXERCISES = {
    "size": Exercise(
        cases=[(224, 3, 2, 1), (7, 3, 1, 0), (28, 5, 2, 2), (9, 3, 3, 0), (10, 3, 2, 0), (8, 3, 2, 0)],
        right=_size,
        also_right=[
            lambda size, kernel, stride, padding: len(range(0, size + 2 * padding - kernel + 1, stride)),
            lambda size, kernel, stride, padding: (
                F.conv2d(torch.zeros(1, 1, size, size), torch.zeros(1, 1, kernel, kernel), None, stride, padding)
            ).shape[2],
        ],
        mistakes={
            "You divide the size by the stride; the kernel and the padding count too.": (
                lambda size, kernel, stride, padding: size // stride
            ),
            "You add the padding once; it lies on both sides.": (
                lambda size, kernel, stride, padding: (size + padding - kernel) // stride + 1
            ),
            "You count the steps between the windows; the first window counts too, so add 1.": (
                lambda size, kernel, stride, padding: (size + 2 * padding - kernel) // stride
            ),
            "You leave a fraction; a window that does not fit whole is not taken: use //.": (
                lambda size, kernel, stride, padding: (size + 2 * padding - kernel) / stride + 1
            ),
            "You forget the padding.": lambda size, kernel, stride, padding: (size - kernel) // stride + 1,
            "You forget the kernel: the last window must end inside the padded picture.": (
                lambda size, kernel, stride, padding: (size + 2 * padding) // stride
            ),
            "You add 1 before the division; divide, and then add 1 for the first window.": (
                lambda size, kernel, stride, padding: (size + 2 * padding - kernel + 1) // stride
            ),
            "You round up, or to the nearest; a window that does not fit whole is not taken, so round down.": (
                lambda size, kernel, stride, padding: -((kernel - size - 2 * padding) // stride) + 1,
                lambda size, kernel, stride, padding: round((size + 2 * padding - kernel) / stride + 1),
                lambda size, kernel, stride, padding: round((size + 2 * padding - kernel) / stride) + 1,
            ),
        },
    ),
    "field": Exercise(
        cases=[([(3, 2), (3, 1)],), ([(3, 1), (3, 1), (5, 2), (1, 1)],), ([(7, 2), (3, 2), (3, 2)],), ([(1, 2)],)],
        right=_field,
        also_right=[
            lambda layers: 1 + sum((kernel - 1) * _jump(layers[:n]) for n, (kernel, _) in enumerate(layers)),
            _backwards,
        ],
        mistakes={
            "You add kernel − 1 for every layer as if no layer before it had a stride; multiply it by the jump.": (
                lambda layers: 1 + sum(kernel - 1 for kernel, _ in layers)
            ),
            "You multiply the jump by a layer's stride before that layer's kernel is counted; do it after.": (
                lambda layers: _field(layers, late=True)
            ),
            "You begin with 0; before any layer a cell sees the 1 pixel that it is.": lambda layers: _field(layers, 0),
            "You return the jump, the distance between neighbouring cells; asked is how much one cell sees.": _jump,
            "You add the kernel; each layer adds kernel − 1 steps.": (
                lambda layers: 1 + sum(kernel * _jump(layers[:n]) for n, (kernel, _) in enumerate(layers))
            ),
            "You add up the kernels; each layer adds kernel − 1, times the jump before it.": (
                lambda layers: sum(kernel for kernel, _ in layers),
                lambda layers: 1 + sum(kernel for kernel, _ in layers),
            ),
            "You multiply kernel − 1 by the layer's own stride; the strides of the layers before it count.": (
                lambda layers: 1 + sum((kernel - 1) * stride for kernel, stride in layers)
            ),
            "You multiply the kernels; what the layers see adds up.": (
                lambda layers: math.prod(kernel for kernel, _ in layers)
            ),
            "You apply (field − 1) · stride + kernel from the first layer on; it goes from the last to the first.": (
                lambda layers: _backwards(layers[::-1])
            ),
        },
    ),
    "convolve": Exercise(
        cases=[(_X, _w, 1), (_X, _w, 2)],
        right=_convolve,
        also_right=[_windows, _loops],
        mistakes={
            "You flip the kernel, as in mathematics; networks lay it on the picture as it is.": (
                lambda X, w, stride: _convolve(X, w.flip(1, 2), stride)
            ),
            "You forget the stride: move the window by `stride` pixels.": lambda X, w, stride: _convolve(X, w, 1),
            "You take the mean of the products; a convolution takes their sum.": (
                lambda X, w, stride: _convolve(X, w, stride) / w.numel(),
                lambda X, w, stride: _convolve(X, w, stride) / w[0].numel(),
            ),
            "You add the channels up first, or the kernels; each channel of the picture meets a kernel of its own.": (
                lambda X, w, stride: _convolve(X.sum(0, keepdim=True), w.sum(0, keepdim=True), stride)
            ),
            "You leave out the last window; range(n) ends before n, so it must run to H − k + 1.": (
                lambda X, w, stride: _convolve(X[:, :-1, :-1], w, stride)
            ),
            "You return a map for each channel of the picture; add them up to one.": (
                lambda X, w, stride: torch.stack(
                    [_convolve(x[None], k[None], stride) for x, k in zip(X, w, strict=True)]
                )
            ),
            "You swap the kernel's rows and columns.": lambda X, w, stride: _convolve(X, w.transpose(1, 2), stride),
            "You swap rows and columns of the map.": lambda X, w, stride: _convolve(X, w, stride).T,
            "You look at the first input channel only; sum over all of them.": (
                lambda X, w, stride: _convolve(X[:1], w[:1], stride)
            ),
            "You pad the picture; here nothing is added around it.": (
                lambda X, w, stride: F.conv2d(X[None], w[None], stride=stride, padding=1)[0, 0]
            ),
        },
    ),
    "contrast": Exercise(
        cases=[(_A, _mask), (_A.flip(2), _mask)],
        right=_contrast,
        also_right=[
            lambda A, mask: (
                torch.einsum("khw,hw->k", A, mask) / mask.sum()
                - torch.einsum("khw,hw->k", A, 1 - mask) / (1 - mask).sum()
            ),
            lambda A, mask: torch.stack([_contrast(a[None], mask)[0] for a in A]),
        ],
        mistakes={
            "You compare sums; a large object wins by its size alone. Divide each by the cells that it covers.": (
                lambda A, mask: (A * mask).sum(dim=(1, 2)) - (A * (1 - mask)).sum(dim=(1, 2))
            ),
            "You divide both sums by all the cells; divide each by the cells that it covers.": (
                lambda A, mask: (A * mask).mean(dim=(1, 2)) - (A * (1 - mask)).mean(dim=(1, 2))
            ),
            "You return the mean inside; subtract the mean outside.": _inside,
            "You subtract the mean of the whole map; subtract the mean outside the object.": (
                lambda A, mask: _inside(A, mask) - A.mean(dim=(1, 2))
            ),
            "You subtract inside from outside; it is the other way round.": lambda A, mask: -_contrast(A, mask),
            "You divide inside by outside; asked is the difference.": (
                lambda A, mask: _inside(A, mask) / _inside(A, 1 - mask)
            ),
            "You take only cells that the object covers at all, and count them whole; weight each by its cover.": (
                lambda A, mask: _contrast(A, (mask > 0).float())
            ),
            "You leave out the cells that the object covers in part; weight each by its cover.": (
                lambda A, mask: A[:, mask == 1].mean(dim=1) - A[:, mask == 0].mean(dim=1)
            ),
            "You average over the channels too; asked is one number for each channel.": (
                lambda A, mask: _contrast(A, mask).mean()
            ),
        },
    ),
}


@cache
def _cat_at_bn2() -> tuple[Tensor, Tensor]:
    """The whole cat photo's 1280 maps of 8 × 12, and the share of each cell that the cat covers, as in the lesson."""
    photo, model = cat(), network()
    assert model.transform
    picture = replace(model.transform, resize=None, crop=None)(photo.image.resize((384, 256)))
    cover = F.adaptive_avg_pool2d(torch.tensor(photo.objects[0].mask)[None].float(), (8, 12))[0]
    return capture.run(model.network, picture[None], "bn2").activations[0], cover


def _knows_left_from_right(answer: Any) -> tuple[bool, str]:
    maps, cover = _cat_at_bn2()
    if not isinstance(answer, int) or not 0 <= answer < len(maps):
        raise ValueError(f"Return the number of a channel, from 0 to {len(maps) - 1}.")
    there, mirrored = (float(_contrast(maps[[answer]], mask)) for mask in (cover, cover.flip(1)))
    says = f"Channel {answer}: contrast {there:.1f} with the outline of the cat, {mirrored:.1f} with its mirror image."
    return there > 1 and mirrored < 0.5, says


EXPERIMENTS = {
    "channel": Experiment(
        measure=_knows_left_from_right,
        example=lambda: 549,
        found=[lambda: 345, lambda: 1132],
        guess=lambda random: random.randrange(1280),
    ),
}
