"""The metrics beside Quantus's, where both have the same one; and where they part, how.

Quantus takes a map of the picture's own size. So these maps have one value for each pixel, and nothing is stretched.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import quantus
import torch
from quantus.functions.perturb_func import noisy_linear_imputation
from quantus.functions.similarity_func import correlation_spearman, ssim
from torch import Tensor, nn

import lessons_lib as ll
from lessons_lib import metrics

SIDE = 12
RANDOM = np.random.default_rng(5)
MAPS = RANDOM.random((6, SIDE, SIDE)).astype(np.float32)
MASKS = RANDOM.random((6, SIDE, SIDE)) < 0.4
QUIET: dict[str, Any] = {"display_progressbar": False, "disable_warnings": True}


class Small(nn.Module):
    """Three classes of a grey picture, with random weights."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * (SIDE - 2) ** 2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


NETWORK = Small().eval()
PICTURES = torch.from_numpy(RANDOM.normal(size=(6, 1, SIDE, SIDE)).astype(np.float32))


def mapped(values: np.ndarray, picture: int = 0) -> ll.Heatmap:
    heat = ll.explain(NETWORK, PICTURES[picture], ll.ClassScore(0), layer="layers.0")
    return replace(heat, values=torch.from_numpy(values))


HEATS = [mapped(one, number) for number, one in enumerate(MAPS)]


def theirs(metric: Any, maps: np.ndarray = MAPS, masks: np.ndarray = MASKS) -> list[float]:
    given = {"x_batch": PICTURES.numpy()[: len(maps)], "y_batch": np.zeros(len(maps), int)}
    return metric(NETWORK, **given, a_batch=maps[:, None], s_batch=masks[: len(maps), None], softmax=False)


def test_the_share_is_the_relevance_mass_accuracy() -> None:
    ours = [metrics.share(heat, mask).share for heat, mask in zip(HEATS, MASKS, strict=True)]
    metric = quantus.RelevanceMassAccuracy(abs=False, normalise=False, **QUIET)
    assert ours == pytest.approx(theirs(metric), abs=1e-6)


def test_of_a_signed_map_we_take_the_positive_part_and_quantus_sums_the_signs_away() -> None:
    signed = MAPS - 0.5
    ours = metrics.share(mapped(signed[0]), MASKS[0]).share
    metric = quantus.RelevanceMassAccuracy(abs=False, normalise=False, **QUIET)
    positive = signed.clip(min=0)
    assert ours == pytest.approx(theirs(metric, positive)[0], abs=1e-6)
    assert ours != pytest.approx(theirs(metric, signed)[0], abs=1e-2)


def test_the_pointing_game() -> None:
    ours = [metrics.pointing_game(heat, mask) for heat, mask in zip(HEATS, MASKS, strict=True)]
    metric = quantus.PointingGame(abs=False, normalise=False, **QUIET)
    assert ours == [float(one) for one in theirs(metric)]
    assert 0 < sum(ours) < len(ours)


def test_where_a_peak_ties_quantus_takes_whichever_cell_hits() -> None:
    even, corner = np.ones((1, SIDE, SIDE), np.float32), np.zeros((1, SIDE, SIDE), bool)
    even[0, 5, 5] = 0.5  # a map that is the same everywhere is refused there
    corner[0, -1, -1] = True  # the last of the cells that tie
    metric = quantus.PointingGame(abs=False, normalise=False, **QUIET)
    assert theirs(metric, even, corner) == [True]
    assert metrics.pointing_game(mapped(even[0]), corner[0]) == 0.0


@pytest.mark.parametrize("steps", (4, 12, SIDE**2))
def test_deletion_is_pixel_flipping(steps: int) -> None:
    ours = metrics.deletion(NETWORK, PICTURES, [ll.ClassScore(0)] * 6, HEATS, steps=steps)
    flipping = quantus.PixelFlipping(
        features_in_step=SIDE**2 // steps,
        abs=False,
        normalise=False,
        perturb_baseline=0.0,
        **QUIET,
    )
    # Theirs begins after the first step; ours with the whole picture.
    assert np.array([one.scores[1:] for one in ours]) == pytest.approx(np.array(theirs(flipping)), abs=1e-5)


def test_imputation_without_its_noise_is_the_same_system() -> None:
    picture = torch.from_numpy(RANDOM.normal(size=(3, SIDE, SIDE)).astype(np.float32))
    gone = torch.from_numpy(MASKS[0])
    ours = metrics.imputed(picture, gone[None], noise=0.0)[0].numpy()
    indices = np.flatnonzero(MASKS[0])
    assert ours == pytest.approx(noisy_linear_imputation(picture.numpy(), indices, noise=0.0), abs=1e-5)


def test_road_of_quantus_takes_pixels_of_the_colours_for_pixels_of_the_picture() -> None:
    """So ours is not held to its score: of a grey picture it counts right answers, of a coloured one it fails."""
    metric = quantus.ROAD(percentages=[20, 50], noise=0.0, abs=False, normalise=False, **QUIET)
    given = {"y_batch": np.zeros(6, int), "a_batch": MAPS[:, None], "softmax": False}
    assert set(metric(NETWORK, x_batch=PICTURES.numpy(), **given)) == {20, 50}
    coloured = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE**2, 3)).eval()
    with pytest.raises(IndexError):
        metric(coloured, x_batch=PICTURES.numpy().repeat(3, axis=1), **given)


def test_likeness() -> None:
    ours = metrics.alike(HEATS[0], HEATS[1])
    assert ours.rank == pytest.approx(correlation_spearman(MAPS[0].ravel(), MAPS[1].ravel()), abs=1e-6)
    # Theirs takes the range of both together; ours stretches each to 0…1 before.
    first, second = ((one - one.min()) / (one.max() - one.min()) for one in MAPS[:2])
    assert ours.ssim == pytest.approx(ssim(first, second), abs=1e-5)
