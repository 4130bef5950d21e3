"""Forty right answers in forms that nobody foresaw, written from the lessons' words alone: each of them passes."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lessons_lib.teach.checks import check


def share_by_looking_at_every_pixel(heat: Any, mask: Any) -> float:
    on = total = 0.0
    for row in range(len(heat)):
        for column in range(len(heat[0])):
            total += heat[row][column].item()
            if mask[row][column]:
                on += heat[row][column].item()
    return on / total


def size_by_sliding(size: int, kernel: int, stride: int, padding: int) -> int:
    count, top = 0, -padding
    while top + kernel <= size + padding:
        count += 1
        top += stride
    return count


def field_by_listing_pixels(layers: Any) -> int:
    pixels = {0}
    for kernel, stride in reversed(layers):
        pixels = {cell * stride + step for cell in pixels for step in range(kernel)}
    return max(pixels) - min(pixels) + 1


def field_by_gradient(layers: Any) -> int:
    x = torch.zeros(1, 1, 200, requires_grad=True)
    y = x
    for kernel, stride in layers:
        y = F.conv1d(y, torch.ones(1, 1, kernel), stride=stride)
    y[0, 0, 0].backward()
    return int((x.grad != 0).sum())


def field_recursive(layers: Any) -> int:
    return 1 if not layers else layers[0][0] + (field_recursive(layers[1:]) - 1) * layers[0][1]


def convolve_by_unfold(X: Any, w: Any, stride: int) -> Any:
    columns = F.unfold(X[None], w.shape[1:], stride=stride)[0]
    rows = (X.shape[1] - w.shape[1]) // stride + 1
    return (w.flatten() @ columns).view(rows, -1)


def convolve_channel_by_channel(X: Any, w: Any, stride: int) -> Any:
    return sum(F.conv2d(x[None, None], k[None, None], stride=stride)[0, 0] for x, k in zip(X, w, strict=True))


def convolve_with_a_module(X: Any, w: Any, stride: int) -> Any:
    layer = nn.Conv2d(len(w), 1, w.shape[-1], stride=stride, bias=False)
    layer.weight.data[0] = w
    return layer(X).squeeze(0)


def contrast_in_numpy(A: Any, mask: Any) -> Any:
    A, mask = A.numpy(), mask.numpy()
    return [np.average(a, weights=mask) - np.average(a, weights=1 - mask) for a in A]


def map_by_adding_in_a_loop(w: Any, A: Any) -> Any:
    M = torch.zeros_like(A[0])
    for k in range(len(w)):
        M += w[k] * A[k]
    return M


def place_with_linspace(row: int, column: int, rows: int, columns: int, region: Any) -> tuple[float, float]:
    left, top, right, bottom = region
    x = np.linspace(left, right, 2 * columns + 1)[1::2]
    y = np.linspace(top, bottom, 2 * rows + 1)[1::2]
    return x[column], y[row]


def head_with_modules(A: Any, w: Any, b: Any) -> Any:
    layer = nn.Linear(w.shape[1], w.shape[0])
    layer.weight.data, layer.bias.data = w, b
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), layer)(A)


def differ_by_counting(y: Any, z: Any) -> float:
    return sum((a > 0).tolist() != (b > 0).tolist() for a, b in zip(y, z, strict=True)) / len(y)


def alpha_cell_by_cell(A: Any, g: Any) -> Any:
    alpha = torch.empty_like(g)
    for k, i, j in itertools.product(*map(range, g.shape)):
        alpha[k, i, j] = g[k, i, j] ** 2 / (2 * g[k, i, j] ** 2 + A[k].sum() * g[k, i, j] ** 3)
    return alpha


def follow_by_sorting(boxes: Any, labels: Any, box: Any, label: Any) -> Any:
    from torchvision.ops import box_iou

    overlap = box_iou(boxes, box[None])[:, 0]
    best_first = overlap.argsort(descending=True).tolist()
    return next(n for n in best_first if labels[n] == label)


def rollout_backwards(attention: Any) -> Any:
    row = torch.eye(attention.shape[1])[0]
    for block in attention.flip(0):
        row = row @ (block + torch.eye(len(block))) / 2
    return row[1:]


def windows_by_index(x: Any, size: int, shift: int) -> Any:
    rows, columns = x.shape
    return [
        [[x[(i + r + shift) % rows, (j + c + shift) % columns] for c in range(size)] for r in range(size)]
        for i in range(0, rows, size)
        for j in range(0, columns, size)
    ]


RIGHT: list[tuple[str, Callable[..., Any]]] = [
    ("start.share", share_by_looking_at_every_pixel),
    ("start.share", lambda heat, mask: np.average(mask, weights=heat)),
    ("start.share", lambda heat, mask: heat.masked_fill(~mask, 0).sum().item() / sum(map(sum, heat.tolist()))),
    ("feature_maps.size", size_by_sliding),
    (
        "feature_maps.size",
        lambda size, kernel, stride, padding: (
            -((kernel - size - 2 * padding) // stride) + 0
            if (size + 2 * padding - kernel) % stride
            else (size + 2 * padding - kernel) // stride + 1
        ),
    ),
    ("feature_maps.size", lambda n, k, s, p: nn.MaxPool1d(k, s)(torch.zeros(1, n + 2 * p)).numel()),
    ("feature_maps.size", lambda n, k, s, p: int((n + 2 * p - k) / s + 1)),
    ("feature_maps.field", field_by_listing_pixels),
    ("feature_maps.field", field_by_gradient),
    ("feature_maps.field", field_recursive),
    ("feature_maps.convolve", convolve_by_unfold),
    ("feature_maps.convolve", convolve_channel_by_channel),
    ("feature_maps.convolve", convolve_with_a_module),
    ("feature_maps.contrast", contrast_in_numpy),
    ("feature_maps.contrast", lambda A, m: A.flatten(1) @ (m / m.sum() - (1 - m) / (1 - m).sum()).flatten()),
    ("cam.map", map_by_adding_in_a_loop),
    ("cam.map", lambda w, A: (A.permute(1, 2, 0) @ w).numpy()),
    ("cam.map", lambda w, A: np.tensordot(w.numpy(), A.numpy(), axes=(0, 0)).tolist()),
    ("cam.logit", lambda M, b: F.adaptive_avg_pool2d(M[None, None], 1).squeeze() + b),
    ("cam.logit", lambda M, b: math.fsum(M.flatten().tolist()) / M.numel() + b.item()),
    ("cam.normalise", lambda M: torch.maximum(M, torch.zeros_like(M)).div(M.max())),
    ("cam.normalise", lambda M: [[max(0.0, v) / max(map(max, M.tolist())) for v in row] for row in M.tolist()]),
    ("cam.normalise", lambda M: (M / M.max()).clamp(0, 1)),
    ("cam.place", place_with_linspace),
    (
        "cam.place",
        lambda i, j, H, W, r: torch.tensor(
            [
                r[0] * (1 - (2 * j + 1) / (2 * W)) + r[2] * (2 * j + 1) / (2 * W),
                r[1] * (1 - (2 * i + 1) / (2 * H)) + r[3] * (2 * i + 1) / (2 * H),
            ]
        ),
    ),
    ("cam_without_gap.head", head_with_modules),
    ("cam_without_gap.head", lambda A, w, b: torch.einsum("nkhw,ck->nchw", A, w).mean((2, 3)) + b),
    ("cam_without_gap.differ", differ_by_counting),
    ("cam_without_gap.differ", lambda y, z: 1 - (y.sigmoid().round() == z.sigmoid().round()).all(1).double().mean()),
    ("cam_without_gap.cells", lambda w, A: (w * A.flatten()).unflatten(0, A.shape).sum(0)),
    ("gradcam.weights", lambda g: F.adaptive_avg_pool2d(g, 1)[:, 0, 0]),
    ("gradcam.weights", lambda g: [sum(map(sum, one)) / (len(one) * len(one[0])) for one in g.tolist()]),
    ("gradcam.map", lambda A, g: F.relu(F.conv2d(A[None], g.mean((1, 2))[None, :, None, None]))[0, 0]),
    ("gradcam.score", lambda logits, c: logits.tolist()[c]),
    ("gradcam.softmax", lambda m, p, c: sum(p[c] * (float(j == c) - p[j]) * m[j] for j in range(len(p)))),
    ("gradcam_plus_plus.alpha", alpha_cell_by_cell),
    ("gradcam_plus_plus.reached", lambda heat, masks: len([m for m in masks if (2 * heat[m] >= heat.max()).any()])),
    ("detection.follow", follow_by_sorting),
    ("vision_transformer.rollout", rollout_backwards),
    ("swin.cut", windows_by_index),
]


def test_there_are_forty() -> None:
    assert len(RIGHT) == 40


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_an_unusual_right_answer_passes(name: str, answer: Callable[..., Any]) -> None:
    assert repr(check(name, answer)) == f"{name}: right"
