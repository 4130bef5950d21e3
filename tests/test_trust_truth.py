"""Pointing, share and IoU: by hand, the truth best, an even map at luck; and how sure a difference is."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import lessons_lib as ll
from lessons_lib import metrics

MASK = np.zeros((4, 8), dtype=bool)
MASK[1:3, 4:7] = True  # 6 of 32 pixels


def on_photo(values: Any, region: tuple[float, float, float, float] = (0.0, 0.0, 8.0, 4.0)) -> ll.Heatmap:
    photo = ll.Photo(Image.new("RGB", (8, 4)))
    return ll.Heatmap(torch.as_tensor(values, dtype=torch.float32), photo, region, "words", "by hand", "nowhere")


TRUTH = on_photo(MASK.astype(float))
EVEN = on_photo(np.ones((4, 8)))


def test_by_hand() -> None:
    values = np.zeros((4, 8))
    values[1, 4], values[2, 6], values[0, 0] = 2.0, 1.0, 1.0
    heat = on_photo(values)
    assert metrics.pointing_game(heat, MASK) == 1.0
    assert metrics.share(heat, MASK) == (0.75, 6 / 32)
    # At half the peak three pixels are hot, two of them on the mask: 2 of 7. At more than half, one: 1 of 6.
    assert metrics.iou(heat, MASK) == pytest.approx(2 / 7)
    assert metrics.iou(heat, MASK, threshold=0.6) == pytest.approx(1 / 6)


def test_a_negative_value_is_no_heat_and_a_map_without_heat_misses() -> None:
    values = np.full((4, 8), -1.0)
    assert metrics.pointing_game(on_photo(values), ~MASK) == 0.0
    assert metrics.share(on_photo(values), ~MASK).share == metrics.iou(on_photo(values), ~MASK) == 0.0
    values[0, 0] = 1.0
    assert metrics.share(on_photo(values), MASK) == (0.0, 6 / 32)
    assert metrics.share(on_photo(values), ~MASK).share == 1.0


def test_the_pointing_game_forgives_by_distance() -> None:
    values = np.zeros((4, 8))
    values[2, 1] = 1.0  # three columns from the mask
    assert [metrics.pointing_game(on_photo(values), MASK, tolerance=t) for t in (0, 2.9, 3)] == [0.0, 0.0, 1.0]


def test_the_truth_scores_best_and_an_even_map_scores_luck() -> None:
    assert metrics.share(TRUTH, MASK) == (1.0, 6 / 32)
    assert (metrics.iou(TRUTH, MASK), metrics.pointing_game(TRUTH, MASK)) == (1.0, 1.0)
    assert metrics.share(EVEN, MASK) == (6 / 32, 6 / 32)
    assert metrics.iou(EVEN, MASK) == 6 / 32
    random = torch.Generator().manual_seed(0)
    hits = [metrics.pointing_game(on_photo(torch.rand(4, 8, generator=random)), MASK) for _ in range(2000)]
    assert np.mean(hits) == pytest.approx(6 / 32, abs=0.03)


def test_what_the_network_did_not_see_counts_for_nothing() -> None:
    heat = on_photo(np.ones((4, 4)), region=(4.0, 0.0, 8.0, 4.0))
    assert metrics.share(heat, MASK) == (6 / 16, 6 / 16)
    assert metrics.iou(heat, MASK) == 6 / 16
    assert metrics.iou(heat, np.ones_like(MASK)) == 1.0


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: metrics.share([TRUTH], MASK), "A heatmap is scored, and this is a list of 1"),
        (lambda: metrics.iou(TRUTH, MASK.T), "The mask is 8 × 4 and the photo 4 × 8"),
        (lambda: metrics.iou(TRUTH, MASK, threshold=0), "threshold=0 is a share of the peak"),
        (lambda: metrics.pointing_game(TRUTH, MASK, tolerance=-1), "tolerance=-1 is a distance"),
        (lambda: metrics.sure([1.0], [2.0]), "two or more of each, not 1 and 1"),
        (lambda: metrics.sure([1.0, 2.0], [2.0, 3.0], draws=0), "draws=0 is how often"),
        (lambda: metrics.alike(TRUTH, MASK), "Two heatmaps are compared"),
    ],
)
def test_wrong_input_gets_a_sentence(call: Any, sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence):
        call()


def test_a_difference_on_the_same_scenes_is_surer_than_its_parts() -> None:
    random = np.random.default_rng(0)
    scene = random.normal(size=200)  # some scenes are hard for every method
    first, second = scene + 0.1 + random.normal(size=200) * 0.1, scene + random.normal(size=200) * 0.1
    paired = metrics.sure(first, second)
    assert paired.survives and paired.ahead == 1.0
    assert paired.low < paired.difference < paired.high
    assert not metrics.sure(first, second[random.permutation(200)]).survives


def test_the_interval_leaves_a_fortieth_of_the_draws_out_on_either_side() -> None:
    gaps = np.random.default_rng(1).normal(size=400)
    found = metrics.sure(gaps, np.zeros(400), draws=20_000)
    error = gaps.std() / 20
    assert found.low == pytest.approx(gaps.mean() - 1.96 * error, abs=0.08 * error)
    assert found.high == pytest.approx(gaps.mean() + 1.96 * error, abs=0.08 * error)
    behind = metrics.sure(gaps, gaps + 1)
    assert behind.survives and behind.difference == pytest.approx(-1) and behind.ahead == 0.0


def test_a_toss_is_a_toss() -> None:
    same = metrics.sure([0.1, 0.5, 0.9], [0.1, 0.5, 0.9])
    assert (same.difference, same.low, same.high, same.ahead, same.survives) == (0.0, 0.0, 0.0, 0.5, False)
    assert "does not survive" in repr(same)
    # Two scenes, one for each side: a draw has both of one (¼ each) or one of both.
    pair = metrics.sure([1.0, 0.0], [0.0, 1.0], draws=20000)
    assert pair.ahead == pytest.approx(0.5, abs=0.02) and (pair.low, pair.high) == (-1.0, 1.0)


def test_likeness_by_hand() -> None:
    one = on_photo([[1.0, 2.0], [3.0, 4.0]])
    other = on_photo([[1.0, 3.0], [2.0, 40.0]])
    assert metrics.alike(one, other).rank == pytest.approx(0.8)  # 1 − 6·(1 + 1) / (4·15)
    assert metrics.alike(one, replace(one, values=-one.values)).rank == pytest.approx(-1.0)
    assert metrics.alike(one, on_photo([[2.0, 2.0], [2.0, 2.0]])).rank == 0.0
    tied = on_photo([[1.0, 1.0], [2.0, 3.0]])  # ranks 1½, 1½, 3, 4
    assert metrics.alike(one, tied).rank == pytest.approx(0.9486833)
    same = metrics.alike(one, one)
    assert (same.rank, same.ssim, same.moved) == pytest.approx((1.0, 1.0, 0.0))


@pytest.mark.slow
def test_likeness_equals_scikit_images_and_scipys() -> None:
    from scipy.stats import spearmanr
    from skimage.metrics import structural_similarity

    random = torch.Generator().manual_seed(0)
    a, b = (torch.randn(14, 9, generator=random).round(decimals=1) for _ in range(2))
    found = metrics.alike(on_photo(a), on_photo(b))
    scaled = [((v - v.min()) / (v.max() - v.min())).double().numpy() for v in (a, b)]
    assert found.ssim == pytest.approx(structural_similarity(*scaled, win_size=7, data_range=1.0), abs=1e-6)
    assert found.rank == pytest.approx(spearmanr(a.flatten(), b.flatten()).statistic, abs=1e-6)


def test_a_coarse_map_is_stretched_to_the_finer_one() -> None:
    coarse = on_photo([[0.0, 1.0]])
    fine = on_photo(torch.tensor([[0.0, 0.25, 0.75, 1.0]]).repeat(2, 1))  # what bilinear stretching gives
    assert metrics.alike(coarse, fine).ssim == pytest.approx(1.0)
    assert metrics.alike(fine, coarse).moved == pytest.approx(0.0, abs=1e-6)
