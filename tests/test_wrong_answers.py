"""Wrong answers as learners write them, each with words of the sentence that must meet it.

The catalogue's own functions stand behind its sentences, so they can't show that a sentence fits a mistake. These
answers were written from the wrong idea alone, in other code. More stand in test_learners_answers.py.
"""

import math
import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from test_learners_answers import WRONG as LEARNERS
from torch.nn import functional as F

from lessons_lib.teach import exercises
from lessons_lib.teach.checks import check, exercise


def relu(x: Any) -> Any:
    return torch.clamp(x, min=0)


def weighted(w: Any, a: Any) -> Any:
    return torch.stack([one * other for one, other in zip(w, a, strict=True)])


def field(layers: Any, start: int = 1, add: Callable[[int], int] = lambda k: k - 1, before: bool = False) -> int:
    r, j = start, 1
    for k, s in layers:
        if before:
            j *= s
        r += add(k) * j
        if not before:
            j *= s
    return r


def place(i: Any, j: Any, h: Any, w: Any, region: Any, aside: float = 0.5) -> list[float]:
    x0, y0, x1, y1 = region
    return [x0 + (x1 - x0) / w * (j + aside), y0 + (y1 - y0) / h * (i + aside)]


def conv(x: Any, w: Any, s: int) -> Any:
    k, m = w.shape[-2:]
    return torch.tensor(
        [
            [float((x[:, i : i + k, j : j + m] * w).sum()) for j in range(0, x.shape[2] - m + 1, s)]
            for i in range(0, x.shape[1] - k + 1, s)
        ]
    )


def corners(a: Any, b: Any) -> float:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return float(max(wide, 0) * max(high, 0))


def iou(a: Any, b: Any) -> float:
    both = corners(a, b)
    return both / (corners(a, a) + corners(b, b) - both)


def roll(blocks: Any, half: float = 0.5) -> Any:
    out = torch.eye(blocks.shape[1])
    for block in blocks:
        out = ((1 - half) * block + half * torch.eye(len(block))) @ out
    return out


def windows(x: Any, size: int, down: int, right: int) -> Any:
    x = torch.cat([x[down:], x[:down]])
    x = torch.cat([x[:, right:], x[:, :right]], dim=1)
    return torch.stack([w for strip in x.split(size) for w in strip.split(size, dim=1)])


def differs(y: Any, z: Any) -> list[list[bool]]:
    return [[bool((a > 0) != (b > 0)) for a, b in zip(p, q, strict=True)] for p, q in zip(y, z, strict=True)]


def half_peak(heat: Any, masks: Any) -> list[bool]:
    return [bool(heat[mask].max() >= heat.max() * 0.5) for mask in masks]


WRONG: dict[str, list[tuple[Callable[..., Any], str]]] = {
    "start.share": [
        (lambda h, m: m.sum() / m.numel(), "how much of the picture the object covers"),
        (lambda h, m: (h * m).sum(), "divide that by the sum of all the heat"),
        (lambda h, m: (h * m).sum() / m.sum(), "You take the mean of the heat on the object"),
        (lambda h, m: 1 - (h * m).sum() / h.sum(), "your mask is turned round"),
        (lambda h, m: (h * m).sum() / (h * ~m).sum(), "You divide by the heat beside the object"),
        (lambda h, m: (h * m).sum() / m.sum() / (h.sum() / h.numel()), "You divide two means"),
        (lambda h, m: ((h != 0) & m).sum() / (h != 0).sum(), "You count the pixels that have heat"),
        (lambda h, m: 100 * (h * m).sum() / h.sum(), "You return per cent"),
    ],
    "feature_maps.size": [
        (lambda n, k, s, p: math.floor(n / s), "You divide the size by the stride"),
        (lambda n, k, s, p: math.floor((n - k + p) / s) + 1, "You add the padding once"),
        (lambda n, k, s, p: math.floor((n - k + 2 * p) / s), "the first window counts too"),
        (lambda n, k, s, p: (n - k + 2 * p) / s + 1, "You leave a fraction"),
        (lambda n, k, s, p: math.floor((n - k) / s) + 1, "You forget the padding"),
        (lambda n, k, s, p: math.floor((n + 2 * p) / s), "You forget the kernel"),
        (lambda n, k, s, p: math.floor((n - k + 2 * p + 1) / s), "You add 1 before the division"),
    ],
    "feature_maps.field": [
        (lambda ls: 1 + sum(k for k, _ in ls) - len(ls), "as if no layer before it had a stride"),
        (lambda ls: field(ls, before=True), "before that layer's kernel is counted"),
        (lambda ls: field(ls, start=0), "You begin with 0"),
        (lambda ls: math.prod(s for _, s in ls), "You return the jump"),
        (lambda ls: field(ls, add=lambda k: k), "You add the kernel"),
        (lambda ls: sum(k for k, _ in ls), "You add up the kernels"),
    ],
    "feature_maps.convolve": [
        (lambda x, w, s: conv(x, torch.rot90(w, 2, (1, 2)), s), "You flip the kernel"),
        (lambda x, w, s: conv(x, w, 1), "You forget the stride"),
        (lambda x, w, s: conv(x, w, s) / (w.shape[0] * w.shape[1] * w.shape[2]), "mean of the products"),
        (lambda x, w, s: conv(x, w.mT, s), "You swap the kernel's rows and columns"),
        (lambda x, w, s: conv(x, w, s).T, "You swap rows and columns of the map"),
        (lambda x, w, s: conv(x[0:1], w[0:1], s), "first input channel only"),
        (lambda x, w, s: conv(F.pad(x, (1, 1, 1, 1)), w, s), "You pad the picture"),
        (lambda x, w, s: conv(x.sum(0)[None], w.sum(0)[None], s), "You add the channels up first"),
        (lambda x, w, s: sum(conv(x[i : i + 1], w.sum(0)[None], s) for i in range(len(x))), "You add the channels up"),
        (lambda x, w, s: conv(x, w, s) / (w.shape[1] * w.shape[2]), "mean of the products"),
    ],
    "feature_maps.contrast": [
        (lambda a, m: (2 * m - 1).mul(a).flatten(1).sum(1), "You compare sums"),
        (lambda a, m: (2 * m - 1).mul(a).flatten(1).mean(1), "You divide both sums by all the cells"),
        (lambda a, m: a.mul(m).flatten(1).sum(1) / m.sum(), "subtract the mean outside"),
        (lambda a, m: a.mul(m).flatten(1).sum(1) / m.sum() - a.flatten(1).mean(1), "mean of the whole map"),
        (
            lambda a, m: a.mul(1 - m).flatten(1).sum(1) / (1 - m).sum() - a.mul(m).flatten(1).sum(1) / m.sum(),
            "You subtract inside from outside",
        ),
        (
            lambda a, m: a.mul(m).flatten(1).sum(1) / m.sum() * (1 - m).sum() / a.mul(1 - m).flatten(1).sum(1),
            "You divide inside by outside",
        ),
        (lambda a, m: a[:, m > 0].mean(1) - a[:, m == 0].mean(1), "count them whole"),
        (
            lambda a, m: (a.mul(m).flatten(1).sum(1) / m.sum()).mean() - (a * (1 - m)).sum() / (1 - m).sum() / len(a),
            "You average over the channels too",
        ),
    ],
    "cam.map": [
        (lambda w, a: relu(weighted(w, a)).sum(0), "ReLU to each weighted map before the sum"),
        (lambda w, a: relu(weighted(w, a).sum(0)), "You apply a ReLU to the map"),
        (lambda w, a: weighted(relu(w), a).sum(0), "You drop the negative weights"),
        (lambda w, a: weighted(w.abs(), a).sum(0), "You drop the sign of the weights"),
        (lambda w, a: weighted(w, a).sum(0) / len(w), "You take the mean over the maps"),
        (lambda w, a: weighted(w, a).max(dim=0).values, "strongest map in each cell"),
        (lambda w, a: sum(a), "You leave the weights out"),
        (lambda w, a: weighted(w, a).sum(0).T, "You swap rows and columns"),
        (lambda w, a: weighted(w, a).sum() / a[0].numel(), "You average over rows and columns too"),
        (weighted, "You return all weighted maps"),
        (lambda w, a: weighted(w, a).sum(0) / (a.shape[1] * a.shape[2]), "You divide by the number of cells"),
    ],
    "cam.logit": [
        (lambda m, b: b + m.sum(), "You take the sum of the map"),
        (lambda m, b: m.sum() / m.numel(), "You forget the bias."),
        (lambda m, b: sum(m.flatten()), "You forget the bias, and take the sum"),
        (lambda m, b: m.mean() - b, "You subtract the bias"),
        (lambda m, b: m.sum() + b * m.numel(), "You add the bias in every cell"),
        (lambda m, b: relu(m).mean() + b, "You apply the ReLU before the mean"),
        (lambda m, b: m.amax() + b, "You take the peak of the map"),
        (lambda m, b: m.sum() / len(m[0]) + b, "You divide by the number of rows only"),
        (lambda m, b: m.sum() / len(m) + b, "You divide by the number of rows only"),
    ],
    "cam.normalise": [
        (lambda m: m / m.amax(), "You leave the ReLU out"),
        (lambda m: (m - m.amin()) / (m.amax() - m.amin()), "You stretch from the lowest to the highest"),
        (relu, "don't divide by the peak"),
        (lambda m: m.abs() / m.abs().amax(), "You drop the sign"),
        (lambda m: relu(m / m.abs().amax()), "largest value of either sign"),
        (lambda m: relu(m) / relu(m).sum(), "You divide by the sum"),
        (lambda m: relu(m) / (relu(m).max() + 1e-7), "You add a small number"),
        (lambda m: relu(m) / (relu(m).max() + 1e-8), "You add a small number"),
        (lambda m: relu(m) / (relu(m).max() + 1e-6), "You add a small number"),
        (lambda m: m.exp() / m.exp().sum(), "You take a softmax"),
        (lambda m: (relu(m) - relu(m).min()) / (relu(m).max() - relu(m).min()), "You stretch what the ReLU leaves"),
        (lambda m: (relu(m) - relu(m).min()) / (relu(m).max() - relu(m).min() + 1e-8), "You stretch what the ReLU"),
    ],
    "cam.place": [
        (lambda i, j, h, w, r: place(i, j, h, w, r)[::-1], "You swap x and y"),
        (lambda i, j, h, w, r: place(j, i, w, h, r), "You use the row for x"),
        (lambda i, j, h, w, r: place(i, j, h, w, r, aside=0), "upper left corner; its middle"),
        (lambda i, j, h, w, r: place(i, j, h, w, (0, 0, r[2] - r[0], r[3] - r[1])), "in the photo's upper left corner"),
        (
            lambda i, j, h, w, r: [(j + 0.5) / w * r[2], (i + 0.5) / h * r[3]],
            "You stretch the map from the photo's edge",
        ),
        (
            lambda i, j, h, w, r: [float(np.linspace(r[0], r[2], w)[j]), float(np.linspace(r[1], r[3], h)[i])],
            "align_corners=True",
        ),
        (lambda i, j, h, w, r: place(i, j, h, w, r, aside=-0.5), "You count cells from 1"),
        (lambda i, j, h, w, r: place(i, j, h, w, r, aside=1), "lower right corner"),
    ],
    "cam_without_gap.head": [
        (lambda a, w, b: F.linear(F.adaptive_max_pool2d(a, 1).flatten(1), w, b), "You take the maximum of each map"),
        (lambda a, w, b: F.linear(a.flatten(2).sum(2), w, b), "You add up each map"),
        (lambda a, w, b: F.linear(a.flatten(2).mean(2), w), "You forget the bias"),
        (lambda a, w, b: torch.sigmoid(F.linear(a.flatten(2).mean(2), w, b)), "You apply a sigmoid"),
        (lambda a, w, b: relu(F.linear(a.flatten(2).mean(2), w, b)), "You apply a ReLU to the logits"),
        (lambda a, w, b: a.mean(dim=1) @ w.T + b, "You average over the maps"),
        (lambda a, w, b: F.linear(a.flatten(2).mean(2).mean(0), w, b), "You average over the pictures"),
        (lambda a, w, b: a.flatten(2).mean(2), "You stop at the pooled maps"),
        (lambda a, w, b: F.softmax(F.linear(a.flatten(2).mean(2), w, b), dim=-1), "You apply a softmax"),
        (lambda a, w, b: F.linear(a.mean(2), w, b), "over rows only"),
    ],
    "cam_without_gap.differ": [
        (lambda y, z: float(np.mean(differs(y, z))), "You count labels"),
        (lambda y, z: sum(not any(row) for row in differs(y, z)) / len(y), "You return the share that agrees"),
        (lambda y, z: sum(all(row) for row in differs(y, z)) / len(y), "in which all labels differ"),
        (lambda y, z: sum(any(row) for row in differs(y - 0.5, z - 0.5)) / len(y), "You cut the logits at 0.5"),
        (lambda y, z: (y.max(1).indices != z.max(1).indices).double().mean(), "strongest class only"),
        (lambda y, z: sum(not torch.equal(a, b) for a, b in zip(y, z, strict=True)) / len(y), "compare the logits"),
        (lambda y, z: sum(any(row) for row in differs(y, z)), "divide by the number of pictures"),
        (lambda y, z: int(any(any(row) for row in differs(y, z))), "You ask once"),
    ],
    "cam_without_gap.cells": [
        (lambda w, a: weighted(w.view(len(a), -1).mean(1), a).sum(0), "You average each map's weights"),
        (lambda w, a: (w.view(*a.shape[1:], len(a)) * a.permute(1, 2, 0)).sum(2), "as H × W × K"),
        (lambda w, a: (w.view(len(a), a.shape[2], a.shape[1]).mT * a).sum(0), "as K × W × H"),
        (lambda w, a: (w.view_as(a) * a).sum(0) / len(a), "You average over the maps"),
        (lambda w, a: w.dot(a.reshape(-1)), "that is the logit without its bias"),
        (lambda w, a: relu(w.view_as(a) * a).sum(0), "ReLU to each product"),
        (lambda w, a: w.view_as(a) * a, "You return all products"),
        (lambda w, a: (w.view_as(a) * a).sum(0) / a.shape[1] / a.shape[2], "You divide by the number of cells"),
    ],
    "gradcam.weights": [
        (lambda g: torch.stack([one.max() for one in g]), "You take the maximum of each gradient map"),
        (lambda g: torch.stack([one.sum() for one in g]), "You add up each gradient map"),
        (lambda g: g.clone(), "You hand the gradient back as it is"),
        (lambda g: torch.stack([one.abs().mean() for one in g]), "You drop the sign of the gradient"),
        (lambda g: torch.stack([relu(one).mean() for one in g]), "You drop the negative gradients"),
        (lambda g: sum(g) / len(g), "You take the mean over the maps"),
        (lambda g: g.sum(1) / g.shape[1], "You take the mean over rows only"),
        (lambda g: g.sum(2) / g.shape[2], "You take the mean over rows only"),
        (lambda g: g.sum() / g.numel(), "You take one mean over everything"),
    ],
    "gradcam.map": [
        (lambda a, g: weighted(g.flatten(1).mean(1), a).sum(0), "You leave out the ReLU"),
        (lambda a, g: relu(weighted(g.flatten(1).mean(1), a)).sum(0), "to each weighted map before the sum"),
        (lambda a, g: relu(weighted(relu(g.flatten(1).mean(1)), a).sum(0)), "You apply the ReLU to the weights"),
        (lambda a, g: relu(weighted(relu(g).flatten(1).mean(1), a).sum(0)), "ReLU to the gradient before its mean"),
        (lambda a, g: relu(weighted(g.abs().flatten(1).mean(1), a).sum(0)), "You drop the sign of the gradient"),
        (lambda a, g: relu(sum(g * a)), "HiResCAM"),
        (lambda a, g: relu(weighted(g.flatten(1).sum(1), a).sum(0)), "You add up the gradient"),
        (lambda a, g: relu(weighted(g.flatten(1).max(1).values, a).sum(0)), "You weigh with the maximum"),
        (lambda a, g: relu(weighted(g.flatten(1).mean(1), a).mean(0)), "You take the mean over the weighted maps"),
        (lambda a, g: relu(weighted(g.flatten(1).mean(1), a).sum(0)).T, "Rows and columns are swapped"),
        (lambda a, g: relu(weighted(a.flatten(1).mean(1), g).sum(0)), "You average the activations"),
        (
            lambda a, g: F.normalize(
                relu(weighted(g.flatten(1).mean(1), a).sum(0)).flatten(), p=math.inf, dim=0
            ).view_as(a[0]),
            "You divide by the peak",
        ),
        (lambda a, g: weighted(g.flatten(1).mean(1), a).sum(0).abs(), "You take the absolute value"),
    ],
    "gradcam.score": [
        (lambda y, c: y[c].exp() / y.exp().sum(), "You take the softmax first"),
        (lambda y, c: y[c] - y.exp().sum().log(), "You take the logarithm of the softmax"),
        (lambda y, c: 1 / (1 + (-y[c]).exp()), "You take the sigmoid"),
        (lambda y, c: y.sort().values[-1], "You take the highest logit"),
        (lambda y, c: sum(y), "You add up all logits"),
        (lambda y, c: torch.tensor(c), "You return the class's number"),
        (lambda y, c: F.one_hot(torch.tensor(c), len(y)) * y, "but keep them"),
    ],
    "gradcam.softmax": [
        (lambda m, p, c: m[c] * p[c], "You leave out what is subtracted"),
        (lambda m, p, c: m[c] - weighted(p, m).sum(0), "You leave out the factor"),
        (
            lambda m, p, c: p[c] * (m[c] - sum(p[k] * m[k] for k in range(len(p)) if k != c)),
            "You subtract the other classes' maps only",
        ),
        (lambda m, p, c: p[c] * (m[c] - sum(m)), "You subtract the plain sum"),
        (lambda m, p, c: p[c] * m[c] + p[c] * weighted(p, m).sum(0), "You add the other classes' maps"),
        (lambda m, p, c: p[c] * (1 - p[c]) * m[c], "You use p(1 − p)"),
        (lambda m, p, c: p[c] * (sum(q * one for q, one in zip(p, m, strict=True)) - m[c]), "You turn the sign round"),
    ],
    "gradcam_plus_plus.alpha": [
        (
            lambda a, g: (
                g * g / (2 * g * g + torch.stack([(x * y**3).sum() for x, y in zip(a, g, strict=True)])[:, None, None])
            ),
            "You sum A and g³ together",
        ),
        (lambda a, g: g * g, "Your α is g²"),
        (lambda a, g: 1 / (2 + g * a), "You multiply g³ with A at its own cell"),
        (lambda a, g: 1 / (2 + g * a.sum()), "You sum over all maps"),
        (lambda a, g: 1 / (2 + g * a.flatten(1).mean(1)[:, None, None]), "You take the mean of the map"),
        (lambda a, g: 1 / (1 + g * a.flatten(1).sum(1)[:, None, None]), "You leave out the 2"),
        (lambda a, g: g**2 / (2 * g**2), "You leave out the third derivative"),
        (lambda a, g: g / (2 * g + a.flatten(1).sum(1)[:, None, None]), "You use g where eq. (19) has g³"),
        (
            lambda a, g: relu(g) ** 2 / (2 * relu(g) ** 2 + a.flatten(1).sum(1)[:, None, None] * relu(g) ** 3),
            "You apply the ReLU to the gradient inside α",
        ),
        (
            lambda a, g: torch.where(g > 0, 1 / (2 + g * a.flatten(1).sum(1)[:, None, None]), 0),
            "You apply the ReLU to the gradient inside α",
        ),
        (
            lambda a, g: 1 / (2 + relu(g) * a.flatten(1).sum(1)[:, None, None]),
            "You apply the ReLU to the gradient inside α",
        ),
        *(
            (lambda a, g, e=e: g * g / (2 * g * g + a.flatten(1).sum(1)[:, None, None] * g**3 + e), "You add a small")
            for e in (1e-6, 1e-7)
        ),
    ],
    "gradcam_plus_plus.weights": [
        (lambda q, g: (q * g).flatten(1).sum(1), "You leave out the ReLU"),
        (lambda q, g: relu((q * g).flatten(1).sum(1)), "You apply the ReLU after the sum"),
        (lambda q, g: (q * relu(g)).flatten(1).mean(1), "You take the mean over the cells"),
        (lambda q, g: relu(g).flatten(1).sum(1), "You leave out α"),
        (lambda q, g: (q * g)[g > 0].sum(), "You sum over the maps too"),
        (lambda q, g: g.flatten(1).mean(1), "You take Grad-CAM's weights"),
        (lambda q, g: (q * g).abs().flatten(1).sum(1), "You take the absolute value"),
    ],
    "gradcam_plus_plus.reached": [
        (
            lambda h, m: sum(bool((h * one).sum() / one.sum() >= h.max() / 2) for one in m),
            "You take the mean over a copy",
        ),
        (lambda h, m: sum(bool(h[one].max() > 0.5) for one in m), "You compare with 0.5 itself"),
        (lambda h, m: sum(int((h[one] >= h.max() / 2).sum()) for one in m), "You count hot pixels"),
        (lambda h, m: float(np.mean(half_peak(h, m))), "You return the share of the copies"),
        (lambda h, m: sum(bool(h[one].any()) for one in m), "with any heat at all"),
        (lambda h, m: sum(bool((h[one] > h.max() * 0.5).any()) for one in m), "exactly half as hot"),
    ],
    "family_and_layers.layercam": [
        (lambda a, g: sum(a * g), "You leave out the ReLU; that is HiResCAM"),
        (lambda a, g: relu(sum(a * g)), "You apply the ReLU to the finished map"),
        (lambda a, g: weighted(relu(g.flatten(1).mean(1)), a).sum(0), "You average the gradient first"),
        (lambda a, g: weighted(g.flatten(1).mean(1), a).sum(0), "You average the gradient first"),
        (lambda a, g: weighted(relu(g).flatten(1).mean(1), a).sum(0), "You average the positive gradients"),
        (lambda a, g: sum(a * relu(g)) / len(a), "You take the mean over the maps"),
        (lambda a, g: relu(sum(a * relu(g))), "You apply a second ReLU"),
        (lambda a, g: sum(a * g.abs()), "You take the absolute value"),
    ],
    "family_and_layers.xgradcam": [
        (lambda a, g: g.flatten(1).sum(1) / g[0].numel(), "that is Grad-CAM's weight"),
        (lambda a, g: (a * g).flatten(1).sum(1), "You forget to divide by the sum of the map"),
        (lambda a, g: (a * g).flatten(1).sum(1) / a[0].numel(), "You divide by the number of cells"),
        (lambda a, g: (a * g).flatten(1).sum(1) / sum(a.flatten()), "You divide by the sum of all maps"),
        (lambda a, g: (a * relu(g)).flatten(1).sum(1) / a.flatten(1).sum(1), "You apply a ReLU to the gradient"),
    ],
    "family_and_layers.ablation": [
        (lambda y, k: 1 - k / y, "You divide by y itself"),
        (lambda y, k: (k - y) / y.abs(), "the wrong way round"),
        (lambda y, k: -(k - y), "You do not divide"),
        (lambda y, k: (y - k) / k.abs(), "You divide by the new score"),
        (lambda y, k: y / k - 1, "You divide by the new score"),
        (lambda y, k: k / y.abs(), "You return the score that is left"),
    ],
    "detection.map": [
        (lambda g, a: weighted(g.flatten(1).mean(1), a).sum(0), "as Grad-CAM does"),
        (lambda g, a: sum(relu(g) * a), "as LayerCAM does"),
        (lambda g, a: relu(sum(g * a)), "You apply the ReLU to the map"),
        (lambda g, a: sum(relu(g * a)), "ReLU before the sum over channels"),
        (lambda g, a: sum(g), "You leave the activations out"),
        (lambda g, a: sum(a), "You leave the gradients out"),
        (lambda g, a: sum(g * a) / len(g), "You take the mean over the channels"),
        (lambda g, a: a * g, "You return one map for each channel"),
        (lambda g, a: sum(g * a).T, "You swap rows and columns"),
    ],
    "detection.follow": [
        (lambda b, n, box, k: int(np.argmax([iou(one, box) for one in b])), "of whatever class"),
        (lambda b, n, box, k: n.tolist().index(int(k)), "You take the first box of the class"),
        (
            lambda b, n, box, k: int(
                np.argmax([corners(one, box) * bool(m == k) for one, m in zip(b, n, strict=True)])
            ),
            "You take the largest intersection",
        ),
        (
            lambda b, n, box, k: min(
                (i for i in range(len(b)) if n[i] == k),
                key=lambda i: math.dist((b[i, :2] + b[i, 2:]).tolist(), (box[:2] + box[2:]).tolist()),
            ),
            "You take the nearest centre",
        ),
        (
            lambda b, n, box, k: min(
                range(len(b)), key=lambda i: (int(n[i] != k), float(np.abs(b[i].numpy() - box.numpy()).sum()))
            ),
            "whose edges differ least in sum",
        ),
        (
            lambda b, n, box, k: int(np.argmax([iou(one, box) for one, m in zip(b, n, strict=True) if m == k])),
            "You count among the boxes of the class",
        ),
        (
            lambda b, n, box, k: max(iou(one, box) for one, m in zip(b, n, strict=True) if m == k),
            "the number of the box",
        ),
    ],
    "detection.pyramid": [
        (
            lambda f, c: f + F.interpolate(c[None, None], f.shape, mode="bilinear")[0, 0],
            "You mix the coarse cells (bil",
        ),
        (
            lambda f, c: f + F.interpolate(c[None, None], f.shape, mode="bilinear", align_corners=True)[0, 0],
            "pull them to the corners",
        ),
        (lambda f, c: f + torch.cat([torch.cat([c, c], 1)] * 2), "like tiles"),
        (lambda f, c: 0.5 * f + 0.5 * torch.kron(c, torch.ones(2, 2)), "You take the mean of the two levels"),
        (lambda f, c: torch.kron(c, torch.ones(2, 2)), "You leave the finer level out"),
        (lambda f, c: f + torch.kron(c, torch.full((2, 2), 0.25)), "You divide the coarse cells"),
    ],
    "segmentation.pixel": [
        (lambda y, c, i, j: y[c, j, i], "You swap row and column"),
        (lambda y, c, i, j: max(y[:, i, j]), "highest logit at the pixel"),
        (lambda y, c, i, j: y[c, i, j].exp() / y[:, i, j].exp().sum(), "You take the softmax"),
        (lambda y, c, i, j: sum(y[c].flatten()), "You add up the whole class"),
        (lambda y, c, i, j: torch.stack([one[i, j] for one in y]), "all the classes' logits"),
        (lambda y, c, i, j: y.max(0).indices[i, j], "You return the number of the class"),
    ],
    "segmentation.region": [
        (lambda y, c, m: (y[c] * m).sum() / m.sum(), "You take the mean over the region"),
        (lambda y, c, m: sum(y[c].flatten()), "You add up the whole picture"),
        (lambda y, c, m: max(y[c][m]), "strongest pixel"),
        (lambda y, c, m: relu(y[c] * m).sum(), "You drop the negative logits"),
        (lambda y, c, m: (y * m).sum(), "You add up all classes"),
        (lambda y, c, m: ((y.max(0).indices == c) & m).sum(), "You count the region's pixels"),
        (lambda y, c, m: (y[c] * ~m).sum(), "what lies outside the region"),
    ],
    "segmentation.context": [
        (lambda h, m: (relu(h) * m).sum() / relu(h).sum(), "You return the share inside"),
        (lambda h, m: (h * ~m).sum() / sum(h.flatten()), "You leave the negative cells in"),
        (lambda h, m: ((h > 0) & ~m).sum() / (h > 0).sum(), "You count cells"),
        (
            lambda h, m: 1 / (1 + ((relu(h) * m).sum() / m.sum()) / ((relu(h) * ~m).sum() / (~m).sum())),
            "You compare means",
        ),
        (lambda h, m: (relu(h) * ~m).sum() / (relu(h) * m).sum(), "You divide by what lies inside"),
        (lambda h, m: (relu(h) * ~m).sum(), "You forget to divide"),
        (lambda h, m: (h * ~m).abs().sum() / h.abs().sum(), "You take the absolute value"),
    ],
    "vision_transformer.grid": [
        (lambda t, h, w: t[1:][: h * w].T.reshape(-1, h, w), "You drop one token"),
        (lambda t, h, w: t[1:].T.reshape(-1, h, w), "You drop one token"),
        (lambda t, h, w: t[1:].unflatten(0, (h, w)).permute(2, 0, 1), "You drop one token"),
        (lambda t, h, w: t[: h * w].T.reshape(-1, h, w), "You keep the special tokens"),
        (lambda t, h, w: t[-h * w :].T.reshape(-1, w, h), "You swap rows and columns"),
        (lambda t, h, w: t[-h * w :].T.reshape(-1, w, h).mT, "You number the patches down the columns"),
        (lambda t, h, w: t[-h * w :].reshape(t.shape[1], h, w), "You reshape without moving the channels"),
        (lambda t, h, w: t[-h * w :].reshape(h, w, -1), "The channels come last"),
    ],
    "vision_transformer.layer": [
        (lambda g: max(i for i, one in enumerate(g) if one.count_nonzero()), "You count the class token's gradient"),
        (lambda g: max(i for i, one in enumerate(g) if float(one[1:].sum())), "You add the gradient up"),
        (lambda g: max(i for i, one in enumerate(g) if relu(one[1:]).any()), "You drop negative gradients"),
        (lambda g: next(i for i, one in enumerate(g) if one[1:].any()), "You take the first layer"),
        (lambda g: int(np.argmax([float(one[1:].norm()) for one in g])), "You take the layer with the largest"),
        (lambda g: [bool(one[1:].any()) for one in g], "You return which layers"),
    ],
    "vision_transformer.rollout": [
        (lambda a: roll(a.flip(0))[0, 1:], "You multiply in the wrong order"),
        (lambda a: roll(a, half=0)[0, 1:], "You leave out the connection"),
        (lambda a: roll(2 * a + torch.eye(a.shape[1]))[0, 1:], "You add the identity without halving"),
        (lambda a: roll(a).T[0, 1:], "You take the class token's column"),
        (lambda a: roll(a)[0], "share of itself"),
        (lambda a: (0.5 * a[-1] + 0.5 * torch.eye(a.shape[1]))[0, 1:], "You take the last block alone"),
        (lambda a: a[-1][0, 1:], "You take the last block alone"),
        (lambda a: (0.5 * a.mean(0))[0, 1:], "You take the mean of the blocks"),
        (lambda a: a.mean(0)[0, 1:], "You take the mean of the blocks"),
        (lambda a: torch.stack([0.5 * w[0, 1:] for w in a]).prod(0), "You multiply cell by cell"),
    ],
    "swin.maps": [
        (lambda x: x.permute(0, 3, 2, 1), "You swap the channels with the rows"),
        (lambda x: x.view(x.shape[0], x.shape[3], x.shape[1], x.shape[2]), "You reshape"),
        (lambda x: x.movedim(1, -1), "You move the rows to the end"),
        (lambda x: sum(x[..., c] for c in range(x.shape[3])), "You add the channels up"),
        (lambda x: x[0].movedim(-1, 0), "the maps of the first picture"),
    ],
    "swin.cut": [
        (lambda x, n, s: windows(x, n, 0, 0), "You don't shift"),
        (lambda x, n, s: windows(x, n, len(x) - s, x.shape[1] - s), "You shift the other way"),
        (lambda x, n, s: windows(x, n, s, 0), "You shift the rows and not the columns"),
        (lambda x, n, s: windows(x, n, n // 2, n // 2), "You shift by half a window"),
        (lambda x, n, s: torch.roll(x, (-s, -s), (0, 1)).view(-1, n, n), "You reshape without `transpose`"),
        (
            lambda x, n, s: windows(torch.nn.functional.pad(x, (0, s, 0, s))[s:, s:], n, 0, 0),
            "Your windows do not wrap around",
        ),
        (lambda x, n, s: x[s:].unfold(0, n, n)[:, s:].unfold(1, n, n).mT.reshape(-1, n, n), "do not wrap around"),
        (
            lambda x, n, s: torch.stack([x[s:, s:][i : i + n, j : j + n] for i in (0,) for j in range(0, 4 - n, n)]),
            "do not wrap around",
        ),
        (
            lambda x, n, s: torch.stack(
                [w for strip in torch.roll(x, (-s, -s), (0, 1)).split(n, 1) for w in strip.split(n)]
            ),
            "in columns first",
        ),
    ],
    "swin.map": [
        (lambda x, w, c: relu((x[0] * w[c]).sum(-1)), "You drop what is negative"),
        (lambda x, w, c: (x[0] * w[c]).mean(-1), "You take the mean over channels"),
        (lambda x, w, c: torch.stack([(x[0] * one).sum(-1) for one in w]), "You return a map for each class"),
        (lambda x, w, c: (x[0] * w[c]).sum(-1).T, "You swap rows and columns"),
        (lambda x, w, c: x[0].flatten(0, 1).mean(0).dot(w[c]), "You average over the places as well"),
        (lambda x, w, c: torch.einsum("nhwk->hw", x), "You leave the weights out"),
    ],
    "can_you_trust_it.luck": [
        (lambda m, s: m.sum() / m.numel(), "You count the whole photo"),
        (lambda m, s: np.count_nonzero(m) / np.count_nonzero(s), "but count the mask outside of it too"),
        (lambda m, s: s[m].float().mean(), "the share of the mask that was seen"),
        (lambda m, s: (m * s).sum() / m.numel(), "and then divide by the whole photo"),
    ],
    "can_you_trust_it.hottest": [
        (lambda v, k: v <= v.flatten().sort().values[round(k * v.numel()) - 1], "You take the coldest pixels"),
        (lambda v, k: v / v.max() >= k, "a threshold"),
        (lambda v, k: v.abs() >= v.abs().flatten().sort().values[-round(k * v.numel())], "without the sign"),
        (lambda v, k: v < v.flatten().sort().values[-round(k * v.numel())], "You return what stays"),
    ],
    "can_you_trust_it.rank": [
        (lambda a, b: np.corrcoef(a.numpy(), b.numpy())[0, 1], "You correlate the values"),
        (lambda a, b: np.corrcoef(np.argsort(a.numpy()), np.argsort(b.numpy()))[0, 1], "You take `argsort`"),
        (lambda a, b: np.corrcoef(np.argsort(np.argsort(a.numpy())), b.numpy())[0, 1], "You rank one map"),
        (
            lambda a, b: np.corrcoef(np.argsort(np.argsort(-a.numpy())), np.argsort(np.argsort(b.numpy())))[0, 1],
            "Your sign is wrong",
        ),
    ],
}

NAMES = [
    f"{module.name}.{question}"
    for module in pkgutil.iter_modules(exercises.__path__)
    for question in import_module(f"lessons_lib.teach.exercises.{module.name}").EXERCISES
]


def test_every_exercise_and_every_sentence_of_its_catalogue_meets_an_answer_from_here() -> None:
    assert set(WRONG) == set(NAMES)
    for name in NAMES:
        met = [part for _, part in WRONG[name]] + [part for one, _, part in LEARNERS if one == name and part]
        for sentence in exercise(name).mistakes:
            assert any(part in sentence for part in met), f"{name}: nobody here makes the mistake {sentence!r}"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_idea_is_told_by_its_own_sentence(name: str) -> None:
    told = [(part, repr(check(name, answer))) for answer, part in WRONG[name]]
    assert [one for one in told if one[0] not in one[1]] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_answer_that_is_off_by_five_thousandths_is_wrong(name: str) -> None:
    right = exercise(name).right
    for off in (0.005, -0.005):
        assert not check(name, lambda *given, off=off: torch.as_tensor(right(*given), dtype=torch.float64) + off)
        assert not check(name, lambda *given, off=off: torch.as_tensor(right(*given)) * (1 + off) + 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_one_number_that_is_off_by_five_thousandths_is_wrong_however_large_it_is(name: str) -> None:
    def nearly(*given: Any) -> Any:
        answer = torch.as_tensor(exercise(name).right(*given), dtype=torch.float64).clone()
        answer.view(-1)[answer.abs().argmax()] += 0.005
        return answer

    assert not check(name, nearly)


@pytest.mark.parametrize("name", NAMES)
def test_rounding_to_float32_is_right(name: str) -> None:
    right = exercise(name).right
    assert check(name, lambda *given: torch.as_tensor(right(*given)).double().mul(1 + 1e-6))


def test_an_answer_that_empties_its_list_harms_nobody() -> None:
    def pops(layers: list[tuple[int, int]]) -> int:
        seen, jump = 1, 1
        layers.reverse()
        while layers:
            kernel, stride = layers.pop()
            seen += (kernel - 1) * jump
            jump *= stride
        return seen

    before = repr(exercise("feature_maps.field").cases)
    assert not check("feature_maps.field", lambda layers: 1)
    for _ in range(2):
        assert check("feature_maps.field", pops)
    assert not check("feature_maps.field", lambda layers: 1)
    assert repr(exercise("feature_maps.field").cases) == before


def test_right_numbers_are_right_in_whatever_they_come() -> None:
    for answer in (
        lambda g: np.flip(g.flip(0).numpy().mean((1, 2))),  # a view that runs backwards
        lambda g: list(g.mean((1, 2))),
        lambda g: tuple(float(one.mean()) for one in g),
        lambda g: g.mean((1, 2)).requires_grad_(),
        lambda g: g.double().mean((1, 2)).numpy(),
    ):
        assert check("gradcam.weights", answer)
    assert check(
        "cam.map", lambda w, a: [list(np.flip(row.numpy())) for row in torch.einsum("k,kij->ij", w, a).flip(1)]
    )
    assert check("cam.map", lambda w, a: list(torch.einsum("k,kij->ij", w, a)))
    assert "not numbers" in repr(check("gradcam.weights", lambda g: [{}]))
