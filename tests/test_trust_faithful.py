"""Deletion, insertion, ROAD, drop and increase: by hand, exact on a linear network, luck for a random order."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lessons_lib as ll
from lessons_lib import metrics
from lessons_lib.metrics.faithfulness import curves

pytestmark = pytest.mark.slow

pytestmark = pytest.mark.filterwarnings("ignore:The map for", "ignore:__array_wrap__")
FIRST = ll.ClassScore(0)


class Weighted(nn.Module):
    """y = Σ w·x: each pixel's contribution is known exactly."""

    def __init__(self, weights: Tensor):
        super().__init__()
        self.weights = nn.Parameter(weights)
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(len(x))
        return (x * self.weights).flatten(1).sum(dim=1, keepdim=True)


def mapped(picture: Tensor, values: Any) -> ll.Heatmap:
    """A map on a picture, with given values."""
    (photo, *_), _, (region, *_) = ll.core.inputs.ready(picture, ll.Explainable(Weighted(picture)))
    return ll.Heatmap(torch.as_tensor(values, dtype=torch.float32), photo, region, "words", "by hand", "nowhere")


LINE = torch.ones(1, 1, 4)
NETWORK = Weighted(torch.tensor([[[4.0, 3.0, 2.0, 1.0]]]))
BEST = mapped(LINE, [[4.0, 3.0, 2.0, 1.0]])


def test_curves_by_hand() -> None:
    falling = metrics.deletion(NETWORK, LINE, FIRST, BEST, steps=4)
    assert (falling.shares, falling.scores) == ((0.0, 0.25, 0.5, 0.75, 1.0), (10.0, 6.0, 3.0, 1.0, 0.0))
    assert falling.area == pytest.approx((10 / 2 + 6 + 3 + 1) / 4)
    rising = metrics.insertion(NETWORK, LINE, FIRST, BEST, steps=4, fill=0.0)
    assert rising.scores == (0.0, 4.0, 7.0, 9.0, 10.0)
    two = metrics.deletion(NETWORK, LINE, FIRST, BEST, steps=2, fill=-1.0)
    assert two.scores == (10.0, -4.0, -10.0)
    assert repr(two) == "Curve(from 10.00 to -10.00, area -2.00)"


def test_the_exact_order_is_best_and_random_orders_score_luck() -> None:
    random = torch.Generator().manual_seed(0)
    picture, weights = torch.rand(2, 3, 6, 6, generator=random), torch.randn(3, 6, 6, generator=random)
    network = Weighted(weights)
    exact = [mapped(one, (one * weights).sum(dim=0)) for one in picture]
    assert all(
        torch.allclose(a.values, b.values, atol=1e-5)
        for a, b in zip(exact, ll.baselines.input_x_gradient(network, picture, FIRST), strict=True)
    )

    def areas(heats: list[ll.Heatmap]) -> np.ndarray:
        falling = metrics.deletion(network, picture, FIRST, heats, steps=36)
        rising = metrics.insertion(network, picture, FIRST, heats, steps=36, fill=0.0)
        return np.array([[one.area for one in falling], [one.area for one in rising]])

    best, luck = areas(exact), np.stack([areas(metrics.shuffled(exact, seed)) for seed in range(40)])
    assert (best[0] < luck[:, 0].min(axis=0)).all()
    assert (best[1] > luck[:, 1].max(axis=0)).all()
    half = (picture * weights).flatten(1).sum(dim=1).numpy() / 2  # a random order falls along the straight line
    assert luck.mean(axis=0) == pytest.approx(np.stack([half, half]), abs=0.5)


def test_road_is_best_for_the_exact_order_of_spots_in_the_dark_and_nothing_for_random_orders() -> None:
    picture = torch.zeros(1, 12, 12)
    picture[0, 1::4, 1::4] = torch.arange(1.0, 10.0).view(3, 3)  # imputed from the dark around it, a spot is gone
    network = Weighted(torch.ones(1, 12, 12))
    exact = mapped(picture, picture[0])

    def score(heat: ll.Heatmap) -> float:
        return metrics.road(network, picture, FIRST, heat, shares=[0.02, 0.04, 0.0625], noise=0.0)

    luck = [score(one) for seed in range(40) for one in metrics.shuffled([exact], seed)]
    assert score(exact) > max(luck)
    # 3, 6 and 9 of the spots, and a little more, as the cold pixels beside a spot are imputed brighter
    assert score(exact) == pytest.approx((24 + 39 + 45) / 3 / 2, abs=0.6)
    assert np.mean(luck) == pytest.approx(0, abs=0.1 * score(exact))


def test_pixels_that_tie_go_in_a_random_order_that_is_always_the_same() -> None:
    picture = torch.ones(1, 20, 20)
    network = Weighted(torch.arange(400.0).view(1, 20, 20) / 400)
    even = mapped(picture, torch.ones(20, 20))
    falling = metrics.deletion(network, picture, FIRST, even, steps=40)
    assert falling.area == pytest.approx(
        float(network.weights.detach().sum()) / 2, rel=0.05
    )  # by rows it would be 1/3 or 2/3
    assert falling == metrics.deletion(network, picture, FIRST, even, steps=40)


def test_a_map_is_stretched_and_a_negative_value_goes_last() -> None:
    coarse = mapped(LINE, [[-1.0, 0.0]])
    assert metrics.deletion(NETWORK, LINE, FIRST, coarse, steps=4).scores == (10.0, 9.0, 7.0, 4.0, 0.0)


def test_what_is_followed_is_the_probability_where_the_record_knows_it() -> None:
    known = ll.Explainable(NETWORK, probability=torch.sigmoid)
    falling = metrics.deletion(known, LINE, FIRST, BEST, steps=4)
    assert falling.scores == pytest.approx(torch.tensor([10.0, 6.0, 3.0, 1.0, 0.0]).sigmoid().tolist())
    twice = metrics.deletion(known, LINE, lambda output: 2 * output[0], BEST, steps=4)
    assert twice.scores == (20.0, 12.0, 6.0, 2.0, 0.0)


def test_drop_and_increase_by_hand() -> None:
    halves = mapped(LINE, [[2.0, 1.0, 0.0, -5.0]])  # windows 1, ½, 0, 0: 4 + 1.5
    assert metrics.drop(NETWORK, LINE, FIRST, halves) == pytest.approx(0.45)
    assert metrics.increase(NETWORK, LINE, FIRST, halves) == 0.0
    mixed = Weighted(torch.tensor([[[4.0, -3.0, 0.0, 0.0]]]))
    assert metrics.drop(mixed, LINE, FIRST, halves) == 0.0
    assert metrics.increase(mixed, LINE, FIRST, halves) == 1.0
    even = mapped(LINE, [[1.0, 1.0, 1.0, 1.0]])
    assert metrics.drop(NETWORK, LINE, FIRST, even) == metrics.increase(NETWORK, LINE, FIRST, even) == 0.0


def test_imputation_by_hand() -> None:
    picture = torch.arange(9.0).view(1, 3, 3)
    gone = torch.zeros(2, 3, 3, dtype=torch.bool)
    gone[0, 1, 1] = gone[1, 0, 0] = gone[1, 0, 1] = True
    middle, corner = metrics.imputed(picture, gone, noise=0.0)
    assert middle[0, 1, 1] == pytest.approx(4.0)
    assert torch.equal(middle[0][~gone[0]], picture[0][~gone[0]])
    # a = (b/6 + 3/6 + 4/12) / (5/12), b = (a/6 + 2/6 + 4/6 + 3/12 + 5/12) / (2/3), weights outside left out
    a, b = corner[0, 0, :2].tolist()
    assert a == pytest.approx((b / 6 + 3 / 6 + 4 / 12) / (1 / 6 + 1 / 6 + 1 / 12), abs=1e-5)
    assert b == pytest.approx((a / 6 + 2 / 6 + 4 / 6 + 3 / 12 + 5 / 12) / (3 / 6 + 2 / 12), abs=1e-5)
    noisy = metrics.imputed(picture, gone, noise=1.0)
    assert not torch.equal(noisy[0, 0, 1, 1], middle[0, 1, 1])
    assert torch.equal(noisy[0][0][~gone[0]], picture[0][~gone[0]])
    assert not metrics.imputed(picture, torch.ones(1, 3, 3, dtype=torch.bool)).any()


def test_road_by_hand() -> None:
    # Hottest quarter gone: the first pixel becomes its neighbour, 1; coldest: the last becomes 1. On a line of ones
    # nothing changes, so the picture falls off to the right here.
    picture = torch.tensor([[[4.0, 3.0, 2.0, 1.0]]])
    heat = mapped(picture, [[4.0, 3.0, 2.0, 1.0]])
    # hottest: (3, 3, 2, 1) scores 12 + 9 + 4 + 1 = 26; coldest: (4, 3, 2, 2) scores 16 + 9 + 4 + 2 = 31
    assert metrics.road(NETWORK, picture, FIRST, heat, shares=[0.25], noise=0.0) == pytest.approx(2.5)


def test_a_map_a_list_and_a_function_and_the_number_of_runs() -> None:
    batch = torch.stack([LINE, 2 * LINE])
    both = [mapped(one, BEST.values) for one in batch]
    one = metrics.deletion(NETWORK, LINE, FIRST, BEST, steps=4)
    many = metrics.deletion(NETWORK, batch, FIRST, both, steps=4)
    made = metrics.deletion(NETWORK, batch, FIRST, lambda model, pictures, target: both, steps=4)
    assert many == made and many[0] == one and many[1].scores[0] == 20.0
    asked = metrics.deletion(NETWORK, LINE, [FIRST, FIRST], [BEST, BEST], steps=4)
    assert asked == [one, one]
    NETWORK.seen.clear()
    metrics.deletion(NETWORK, batch, FIRST, both, steps=4, chunk=3)
    assert NETWORK.seen == [2, 3, 1, 3, 1]  # the pictures as they are, then four changed ones of each, three at a time
    NETWORK.seen.clear()
    metrics.road(NETWORK, LINE, FIRST, BEST, shares=[0.25, 0.5])
    assert NETWORK.seen == [1, 4]


def test_the_network_is_left_as_it_was() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.Dropout(0.5)).train()
    metrics.deletion(network, LINE, FIRST, BEST)
    with pytest.raises(RuntimeError, match="The target fails"):
        metrics.insertion(network, LINE, lambda output: 1 / 0, BEST)
    assert all(module.training for module in network.modules())
    assert all(one.requires_grad and one.grad is None for one in network.parameters())


def test_a_map_that_covers_part_of_the_picture_is_laid_where_it_lies() -> None:
    right = replace(BEST, values=torch.tensor([[1.0, 9.0]]), region=(2.0, 0.0, 4.0, 1.0))
    assert metrics.deletion(NETWORK, LINE, FIRST, right, steps=4).scores[:2] == (10.0, 9.0)


def test_blurring_keeps_an_even_picture_and_smooths_an_edge() -> None:
    gone = torch.ones(2, 22, 22, dtype=torch.bool)
    even = torch.full((1, 22, 22), 3.0)
    assert torch.allclose(metrics.blurred(even, gone), even.expand(2, 1, 22, 22))
    edge = torch.zeros(1, 22, 22)
    edge[..., 11:] = 1.0
    soft = metrics.blurred(edge, gone)[0, 0, 11]
    assert 0.2 < soft[10] < 0.5 < soft[11] < 0.8 and soft[0] == 0.0


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: metrics.deletion(NETWORK, LINE, FIRST, "gradcam"), "a function that makes them, not 'gradcam'"),
        (lambda: metrics.deletion(NETWORK, LINE, FIRST, [BEST, BEST]), "2 maps for 1 questions"),
        (lambda: metrics.deletion(NETWORK, LINE, FIRST, [3]), "This list of maps holds 3, not a heatmap"),
        (lambda: metrics.deletion(NETWORK, LINE, FIRST, lambda *_: None), "returned None, not a heatmap"),
        (lambda: metrics.deletion(NETWORK, LINE, FIRST, BEST, steps=0), "steps=0 is how many steps"),
        (lambda: metrics.deletion(NETWORK, torch.eye(4)[None], FIRST, BEST), "Map 0 lies on another picture"),
        (lambda: metrics.road(NETWORK, LINE, FIRST, BEST, shares=[1.5]), "and 1.5 does not"),
        (lambda: metrics.road(NETWORK, LINE, FIRST, BEST, shares=[]), "no share to impute"),
        (lambda: metrics.drop(NETWORK, -LINE, FIRST, mapped(-LINE, BEST.values)), "The confidence is -10.00"),
        (lambda: metrics.imputed(LINE, torch.ones(4, 4) > 0), "What is gone is M × H × W"),
    ],
)
def test_wrong_input_gets_a_sentence(call: Callable[[], Any], sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence):
        call()


def test_equal_to_torchcams_curves_and_drop() -> None:
    from torchcam.methods import GradCAM
    from torchcam.metrics import ClassificationMetric, DeletionInsertionMetric

    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)
    ).eval()
    batch = torch.rand(2, 3, 16, 16)
    record = ll.Explainable(network, layer="1", probability=lambda row: row.softmax(dim=-1))
    softmax = lambda logits: logits.softmax(dim=-1)  # noqa: E731
    with GradCAM(network, "1") as peer:
        theirs, through = DeletionInsertionMetric(peer, softmax, steps=16), ClassificationMetric(peer, softmax)
        theirs.update(batch, 1)
        through.update(batch, 1)
    heats = ll.explain(record, batch, 1)
    # torchcam ranks the map after its ReLU, in which cells may tie: ours is ranked so for the comparison.
    heats = [replace(one, values=one.positive) for one in heats]
    ours = (
        metrics.deletion(record, batch, 1, heats, steps=16),
        metrics.insertion(record, batch, 1, heats, steps=16, fill=0.0),
    )
    means = [float(np.mean([one.area for one in each])) for each in ours]
    assert means == pytest.approx([theirs.summary()["deletion_auc"], theirs.summary()["insertion_auc"]], abs=2e-3)
    drop = np.mean(metrics.drop(record, batch, 1, heats))
    assert drop == pytest.approx(through.summary()["avg_drop"], abs=1e-4)
    assert np.mean(metrics.increase(record, batch, 1, heats)) == through.summary()["conf_increase"]


def test_imputation_and_road_equal_pytorch_grad_cams() -> None:
    from pytorch_grad_cam.metrics import road as peer
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    random = torch.Generator().manual_seed(0)
    picture = torch.rand(3, 12, 10, generator=random)
    gone = torch.rand(1, 12, 10, generator=random) < 0.6
    theirs = peer.NoisyLinearImputer(noise=0.0)(picture, (~gone[0]).float())
    torch.testing.assert_close(metrics.imputed(picture, gone, noise=0.0)[0], theirs, atol=1e-5, rtol=1e-5)

    network = Weighted(torch.rand(3, 12, 10, generator=random))
    heat = mapped(picture, torch.rand(12, 10, generator=random))
    combined = peer.ROADCombined(percentiles=[10, 50, 90])
    for averager in (combined.morf_averager, combined.lerf_averager):
        made = averager.imputer

        def quiet(percentile: int, made: Any = made) -> Any:  # without noise
            one = made(percentile)
            one.perturbation.imputer.noise = 0.0
            return one

        averager.imputer = quiet
    (score,) = combined(picture[None], heat.values[None].numpy(), [ClassifierOutputTarget(0)], network)
    assert metrics.road(network, picture, FIRST, heat, shares=[0.1, 0.5, 0.9], noise=0.0) == pytest.approx(
        score, rel=1e-4
    )


def test_ranks_are_places_in_the_order() -> None:
    assert curves._ranks(torch.tensor([[[3.0, 9.0], [-1.0, 4.0]]])).tolist() == [[[2, 0], [3, 1]]]
