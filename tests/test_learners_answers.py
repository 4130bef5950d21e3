"""Forty wrong answers as learners are wrong, written from the lessons' words: none passes, most are told by name.

They were written before the catalogue was made to know them, and twelve were named then. What is still not named is
told with the call that shows it.
"""

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from lessons_lib.teach.checks import check


def share_of_hot_pixels(heat: Any, mask: Any) -> Any:
    hot = heat > heat.mean()
    return (hot & mask).sum() / hot.sum()


def share_printed(heat: Any, mask: Any) -> None:
    (heat[mask].sum() / heat.sum()).item()  # and printed; nothing is returned


def field_forwards(layers: Any) -> int:
    seen = 1
    for kernel, stride in layers:
        seen = (seen - 1) * stride + kernel
    return seen


def convolve_without_the_last_window(X: Any, w: Any, stride: int) -> Any:
    k = w.shape[1]
    rows = []
    for i in range(0, X.shape[1] - k, stride):
        rows.append([(X[:, i : i + k, j : j + k] * w).sum().item() for j in range(0, X.shape[2] - k, stride)])
    return rows


def convolve_each_channel(X: Any, w: Any, stride: int) -> Any:
    return F.conv2d(X[None], w[:, None], stride=stride, groups=len(w))[0]


def place_in_whole_pixels(row: int, column: int, rows: int, columns: int, region: Any) -> list[int]:
    left, top, right, bottom = region
    wide, high = (right - left) // columns, (bottom - top) // rows
    return [left + wide * column + wide // 2, top + high * row + high // 2]


def place_of_the_corner(row: int, column: int, rows: int, columns: int, region: Any) -> list[float]:
    left, top, right, bottom = region
    return [left + column * (right - left) / columns, top + row * (bottom - top) / rows]


def place_with_the_axes_mixed(row: int, column: int, rows: int, columns: int, region: Any) -> list[float]:
    left, top, right, bottom = region
    return [left + (column + 0.5) * (right - left) / rows, top + (row + 0.5) * (bottom - top) / columns]


def alpha_with_its_own_cell(A: Any, g: Any) -> Any:
    return g**2 / (2 * g**2 + A * g**3)


def alpha_with_a_guard(A: Any, g: Any) -> Any:
    return g**2 / (2 * g**2 + A.sum(dim=(1, 2), keepdim=True) * g**3 + 1e-3)


def rollout_of_plain_products(attention: Any) -> Any:
    out = attention[0]
    for block in attention[1:]:
        out = block @ out
    return out[0, 1:]


WRONG: list[tuple[str, Callable[..., Any], str]] = [
    ("start.share", lambda heat, mask: (heat * mask).mean(), "You take the mean over the whole picture"),
    ("start.share", lambda heat, mask: heat[mask].max() / heat.max(), "You divide two peaks"),
    ("start.share", share_of_hot_pixels, "You count the pixels"),
    ("start.share", share_printed, "end it with `return`"),
    (
        "feature_maps.size",
        lambda size, kernel, stride, padding: round((size + 2 * padding - kernel) / stride + 1),
        "You round up",
    ),
    (
        "feature_maps.size",
        lambda size, kernel, stride, padding: math.ceil((size + 2 * padding - kernel) / stride) + 1,
        "You round up",
    ),
    (
        "feature_maps.size",
        lambda size, kernel, stride, padding: (size + 2 * padding - kernel + 1) // stride,
        "You add 1 before",
    ),
    (
        "feature_maps.field",
        lambda layers: 1 + sum((kernel - 1) * stride for kernel, stride in layers),
        "layer's own stride",
    ),
    ("feature_maps.field", lambda layers: math.prod(kernel for kernel, _ in layers), "You multiply the kernels"),
    ("feature_maps.field", field_forwards, "from the first layer on"),
    ("feature_maps.convolve", convolve_without_the_last_window, "You leave out the last window"),
    ("feature_maps.convolve", convolve_each_channel, "a map for each channel"),
    (
        "feature_maps.contrast",
        lambda A, mask: A[:, mask == 1].mean(dim=1) - A[:, mask == 0].mean(dim=1),
        "covers in part",
    ),
    (
        "feature_maps.contrast",
        lambda A, mask: (A * mask).mean(dim=(1, 2)) - (A * (1 - mask)).mean(dim=(1, 2)),
        "You divide both sums by all",
    ),
    ("cam.map", lambda w, A: w @ A.flatten(1), ""),
    ("cam.map", lambda w, A: (w.view(-1, 1, 1) * A).sum(), "You add up the cells too"),
    ("cam.map", lambda w, A: torch.relu(torch.einsum("k,khw->hw", w, A)), "You apply a ReLU to the map"),
    ("cam.logit", lambda M, b: torch.sigmoid(M.mean() + b), "You apply a sigmoid"),
    ("cam.logit", lambda M, b: M.mean(dim=0) + b, "along one side only"),
    ("cam.logit", lambda M, b: [M.mean() + b], ""),
    ("cam.normalise", lambda M: (M - M.min()) / (M.max() - M.min()), "You stretch from the lowest"),
    ("cam.normalise", lambda M: M.clamp(0, 1), "You cut off"),
    ("cam.place", place_in_whole_pixels, "You take whole pixels"),
    ("cam.place", place_of_the_corner, "upper left corner"),
    ("cam.place", place_with_the_axes_mixed, "divide the width by the rows"),
    ("cam_without_gap.head", lambda A, w, b: A.mean(dim=(2, 3)) @ w + b, "turn it round: w.T"),
    (
        "cam_without_gap.differ",
        lambda y, z: (y.argmax(dim=1) != z.argmax(dim=1)).float().mean(),
        "strongest class only",
    ),
    ("cam_without_gap.cells", lambda w, A: (w.view_as(A) * A).sum(dim=(1, 2)), "You add up rows and columns"),
    ("gradcam.weights", lambda gradients: gradients.mean(dim=0), "the mean over the maps (dim 0)"),
    ("gradcam.weights", lambda gradients: gradients.mean(), "one mean over everything"),
    ("gradcam.map", lambda A, g: torch.einsum("k,kij->ij", g.mean(dim=(1, 2)), A), "You leave out the ReLU"),
    ("gradcam.map", lambda A, g: (g * A).relu().sum(dim=0), "You multiply cell by cell"),
    ("gradcam.score", lambda logits, c: logits.argmax(), "number of the strongest class"),
    ("gradcam.softmax", lambda maps, p, c: maps.softmax(dim=0)[c], "You take a softmax of the maps"),
    ("gradcam_plus_plus.alpha", alpha_with_its_own_cell, "at its own cell"),
    ("gradcam_plus_plus.alpha", alpha_with_a_guard, "You add a small number"),
    ("family_and_layers.ablation", lambda y, y_k: y_k - y, "the wrong way round"),
    (
        "detection.pyramid",
        lambda fine, coarse: fine + F.interpolate(coarse[None, None], size=fine.shape)[0, 0] / 4,
        "You divide the coarse cells",
    ),
    ("vision_transformer.rollout", rollout_of_plain_products, "You leave out the connection"),
    ("swin.maps", lambda x: x.reshape(x.shape[0], x.shape[3], x.shape[1], x.shape[2]), "You reshape"),
]


def test_there_are_forty() -> None:
    assert len(WRONG) == 40


@pytest.mark.slow
@pytest.mark.parametrize(("name", "answer", "part"), WRONG)
def test_a_wrong_answer_is_told_by_name_or_by_its_call(name: str, answer: Callable[..., Any], part: str) -> None:
    verdict = check(name, answer)
    assert not verdict
    if part:
        assert part in verdict.says
        assert "The call" not in verdict.says
    else:
        assert "The call that shows it:\n    import torch\n    your_function(" in verdict.says


def test_the_call_that_is_shown_gives_what_is_said() -> None:
    def my_mean(M: Any, b: Any) -> Any:
        return M.mean() + b + (M.shape[0] == 1) / 8  # wrong for the second input only

    said = check("cam.logit", my_mean).says
    assert said.startswith("not yet. It is right for 1 of 2 inputs, and not for this one.")
    (yours,) = re.findall(r"yours is (-?[\d.]+),", said)
    *_, source = said.splitlines()
    assert eval(source, {"torch": torch, "my_mean": my_mean}).item() == float(yours)
