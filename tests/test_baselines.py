"""Other ways to ask: by hand, equal to captum's, and with what a linear network must give."""

from collections.abc import Callable
from typing import Any

import captum.attr
import pytest
import torch
from torch import Tensor, nn

import lessons_lib as ll
from lessons_lib import baselines
from lessons_lib.baselines import hiding

pytestmark = pytest.mark.filterwarnings("ignore:The map for", "ignore:Input Tensor 0")
FIRST = ll.ClassScore(0)
PICTURES = torch.randn(2, 3, 12, 8, generator=torch.Generator().manual_seed(1))


class Weighted(nn.Module):
    """y = Σ w·x + 3."""

    def __init__(self, weights: Tensor):
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.weights).flatten(1).sum(dim=1, keepdim=True) + 3


WEIGHTS = torch.randn(3, 12, 8, generator=torch.Generator().manual_seed(2))
LINEAR = Weighted(WEIGHTS)


def curved() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.SiLU(), nn.Conv2d(6, 4, 3, padding=1), nn.SiLU(), nn.Flatten(),
        nn.Linear(4 * 96, 3),
    ).eval()  # fmt: skip


def test_of_a_linear_network_each_pixels_contribution() -> None:
    exact = (PICTURES * WEIGHTS).sum(dim=1)
    for make in (baselines.input_x_gradient, baselines.integrated_gradients):
        for heat, values in zip(make(LINEAR, PICTURES, FIRST), exact, strict=True):
            torch.testing.assert_close(heat.values, values, atol=1e-5, rtol=1e-5)
    moved = baselines.integrated_gradients(LINEAR, PICTURES[0], FIRST, start=2.0)
    torch.testing.assert_close(moved.values, ((PICTURES[0] - 2) * WEIGHTS).sum(dim=0), atol=1e-5, rtol=1e-5)
    smooth = baselines.smoothgrad(LINEAR, PICTURES[0], FIRST)
    torch.testing.assert_close(smooth.values, WEIGHTS.norm(dim=0), atol=1e-5, rtol=1e-5)
    hidden = baselines.occlusion(LINEAR, PICTURES[0], FIRST, cells=4, square=1)
    torch.testing.assert_close(hidden.values, exact[0].view(4, 3, 4, 2).sum(dim=(1, 3)), atol=1e-4, rtol=1e-4)


def test_input_x_gradient_equals_captums() -> None:
    theirs = captum.attr.InputXGradient(curved()).attribute(PICTURES.clone(), target=1).sum(dim=1).detach()
    ours = baselines.input_x_gradient(curved(), PICTURES, 1)
    for heat, values in zip(ours, theirs, strict=True):
        torch.testing.assert_close(heat.values, values)


def test_integrated_gradients_equal_captums_and_sum_to_the_difference() -> None:
    own = curved()
    peer = captum.attr.IntegratedGradients(own)
    theirs = peer.attribute(PICTURES.clone(), 0.5, target=1, n_steps=20, method="riemann_middle").sum(dim=1)
    ours = baselines.integrated_gradients(own, PICTURES, 1, start=0.5, steps=20, chunk=7)
    for heat, values in zip(ours, theirs.detach(), strict=True):
        torch.testing.assert_close(heat.values, values.float(), atol=1e-5, rtol=1e-4)
    gap = (own(PICTURES) - own(torch.full_like(PICTURES, 0.5)))[:, 1]
    for heat, value in zip(ours, gap.tolist(), strict=True):
        assert float(heat.values.sum()) == pytest.approx(value, abs=1e-2)


def test_smoothgrad_equals_captums_with_the_same_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    own, picture, draws = curved(), PICTURES[:1], 5
    span = float(picture.max() - picture.min())
    unit = torch.randn(1, draws, 3, 12, 8, generator=torch.Generator().manual_seed(7))[0]
    monkeypatch.setattr(torch, "normal", lambda mean, std: mean + std * unit)
    peer = captum.attr.NoiseTunnel(captum.attr.Saliency(own))
    theirs = peer.attribute(picture.clone(), "smoothgrad", draws, stdevs=0.15 * span, target=1, abs=False)
    (ours,) = baselines.smoothgrad(own, picture, 1, draws=draws, seed=7)
    torch.testing.assert_close(ours.values, theirs[0].norm(dim=0).detach(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("square", [1, 2])
def test_occlusion_equals_captums(square: int) -> None:
    own = curved()
    peer = captum.attr.Occlusion(own)
    theirs = peer.attribute(
        PICTURES, (3, 3 * square, 2 * square), strides=(3, 3, 2), baselines=0.25, target=1, show_progress=False
    )
    for heat, values in zip(
        baselines.occlusion(own, PICTURES, 1, cells=4, square=square, fill=0.25, chunk=5), theirs.detach(), strict=True
    ):
        assert heat.values.shape == (4, 4)
        torch.testing.assert_close(heat.values, values[0, ::3, ::2].float(), atol=1e-5, rtol=1e-4)


def test_occlusion_of_cells_that_do_not_come_out_even_hides_every_pixel_once() -> None:
    hidden = baselines.occlusion(LINEAR, PICTURES[0], FIRST, cells=5, square=1)
    assert float(hidden.values.sum()) == pytest.approx(float((PICTURES[0] * WEIGHTS).sum()), abs=1e-3)


def test_rise_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = torch.tensor([[[1.0, 2.0]]])
    network = Weighted(torch.tensor([[[3.0, 5.0]]]))  # 3 and 10, and 3 for nothing
    windows = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, 1.0]], [[0.0, 0.0]]])
    monkeypatch.setattr(hiding, "_windows", lambda *_: windows)
    heat = baselines.rise(network, picture, FIRST, masks=4)
    # scores 6, 13, 16, 3, their mean 9.5; over K·p = 2: ((6 − 9.5) + (16 − 9.5)) / 2, ((13 − 9.5) + 6.5) / 2
    assert heat.values.tolist() == [[1.5, 5.0]]


def test_rise_finds_the_pixel_that_counts_and_its_windows_are_half_open() -> None:
    weights = torch.zeros(1, 28, 28)
    weights[0, 20, 6] = 1.0
    heat = baselines.rise(Weighted(weights), torch.ones(1, 28, 28), FIRST, masks=400)
    row, column = heat.peak
    assert abs(row - 20) <= 3 and abs(column - 6) <= 3
    windows = hiding._windows(400, 7, 0.3, 28, 20, seed=0)
    assert windows.shape == (400, 28, 20) and windows.min() >= 0 and windows.max() <= 1
    assert float(windows.mean()) == pytest.approx(0.3, abs=0.02)
    assert windows.std(dim=0).min() > 0.2  # they are moved at random, so that no pixel is always between two cells


def test_edges_by_hand_and_whatever_was_asked() -> None:
    picture = torch.zeros(3, 12, 8)
    picture[:, :, 4:] = 1.0
    heat = baselines.edges(LINEAR, picture, FIRST)
    expected = torch.zeros(12, 8)
    expected[:, 3:5] = 4.0
    assert torch.equal(heat.values, expected)
    assert torch.equal(baselines.edges(curved(), picture, 2).values, expected)
    lying = torch.zeros(3, 12, 8)
    lying[:, 6:] = -1.0
    assert baselines.edges(LINEAR, lying, FIRST).values[:, 3].tolist() == [0.0] * 5 + [4.0] * 2 + [0.0] * 5


@pytest.mark.parametrize(
    "make",
    [baselines.input_x_gradient, baselines.smoothgrad, baselines.integrated_gradients, baselines.occlusion,
     baselines.rise, baselines.edges],
)  # fmt: skip
def test_one_picture_one_map_a_batch_a_list_and_the_network_as_it_was(make: Callable[..., Any]) -> None:
    own = curved().train()
    options = {"cells": 4} if make is baselines.occlusion else {"masks": 8} if make is baselines.rise else {}
    both = make(own, PICTURES, 1, **options)
    alone = make(own, PICTURES[1], 1, **options)
    assert [type(one) for one in (both, alone)] == [list, ll.Heatmap] and len(both) == 2
    assert alone.method == make.__name__ and alone.layer == "picture"
    assert all(module.training for module in own.modules())
    assert all(one.requires_grad and one.grad is None for one in own.parameters())
    if make is not baselines.smoothgrad:  # whose second picture has noise of its own
        torch.testing.assert_close(both[1].values, alone.values, atol=1e-5, rtol=1e-4)


def test_a_detectors_box_and_a_segmenters_region_can_be_asked() -> None:
    class Regions(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"out": torch.stack([x[:, 0], 2 * x[:, 1]], dim=1)}

    heat = baselines.integrated_gradients(Regions(), PICTURES[0], ll.PixelScore(3, 5, 1))
    assert float(heat.values[3, 5]) == pytest.approx(2 * float(PICTURES[0, 1, 3, 5]), rel=1e-4)
    assert int((heat.values != 0).sum()) == 1


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: baselines.smoothgrad(LINEAR, PICTURES, draws=0), "draws=0 is how many"),
        (lambda: baselines.integrated_gradients(LINEAR, PICTURES, steps=0.5), r"steps=0\.5 is how many"),
        (lambda: baselines.occlusion(LINEAR, PICTURES, cells=0), "cells=0 is a number of cells"),
        (lambda: baselines.occlusion(LINEAR, PICTURES, cells=2, square=3), "does not fit into 2"),
        (lambda: baselines.occlusion(LINEAR, PICTURES, cells=14), "has no 14 cells: `cells=8`"),
        (lambda: baselines.rise(LINEAR, PICTURES, kept=1), "kept=1 is how likely"),
        (lambda: baselines.rise(LINEAR, PICTURES, masks=1), "masks=1 is a number of masks"),
    ],
)
def test_wrong_input_gets_a_sentence(call: Any, sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence):
        call()
