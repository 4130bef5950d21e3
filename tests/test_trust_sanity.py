"""Sanity: what ignores the network, the class or the picture is caught, and nothing of yours is changed."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

import lessons_lib as ll
from lessons_lib import baselines, metrics

pytestmark = pytest.mark.slow

pytestmark = pytest.mark.filterwarnings("ignore:The map for")
PICTURES = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(8 * 256, 3),
    ).eval()  # fmt: skip


at_the_end = partial(ll.explain, layer="4", method=ll.hirescam)


def test_an_edge_detector_fails_every_check_and_a_gradient_method_passes() -> None:
    own = network()
    for make, passes in ((baselines.edges, False), (at_the_end, True)):
        stages = metrics.randomised(own, PICTURES, 1, make, stages=3)
        assert list(stages) == ["6", "1", "0"]
        swapped = metrics.class_swap(own, PICTURES, 1, 2, make)
        for found in (stages["6"], swapped):
            assert all((one.rank < 0.7) == passes for one in found), (make, found)
            assert all((one.ssim < 0.7) == passes for one in found)


def test_nothing_at_all_moves_in_an_edge_detectors_map() -> None:
    for one in metrics.randomised(network(), PICTURES[0], 1, baselines.edges, stages=2).values():
        assert (one.rank, one.ssim, one.moved) == pytest.approx((1, 1, 0))


def test_the_parts_forget_from_the_top_and_stay_forgotten() -> None:
    seen: list[tuple[bool, ...]] = []
    own = network()
    before = {name: tensor.clone() for name, tensor in own.state_dict().items()}

    def make(model: Any, pictures: Any, target: Any) -> Any:
        now = ll.Explainable.of(model).network.state_dict()
        seen.append(tuple(torch.equal(now[name], before[name]) for name in ("6.weight", "3.weight", "1.weight")))
        return ll.explain(model, pictures, target, layer="4")

    metrics.randomised(own, PICTURES, 1, make, stages=["6", "3", "0"])
    assert seen == [(True, True, True), (False, True, True), (False, False, True), (False, False, True)]
    after = own.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_a_part_keeps_its_numbers_in_another_order_statistics_too() -> None:
    kept: list[dict[str, torch.Tensor]] = []

    def make(model: Any, pictures: Any, target: Any) -> Any:
        kept.append({name: one.clone() for name, one in ll.Explainable.of(model).network.state_dict().items()})
        return ll.explain(model, pictures, target, layer="4")

    own = network()
    own[1].running_mean.copy_(torch.arange(8.0))
    metrics.randomised(own, PICTURES[0], 1, make, stages=1)
    before, after = kept
    for name in ("6.weight", "1.running_mean"):
        assert not torch.equal(before[name], after[name])
        assert torch.equal(before[name].flatten().sort().values, after[name].flatten().sort().values)
    assert torch.equal(before["1.num_batches_tracked"], after["1.num_batches_tracked"])


def test_a_map_that_is_the_same_for_every_picture_is_caught() -> None:
    def habit(model: Any, pictures: Any, target: Any) -> Any:  # hot in the middle, whatever is shown
        middle = torch.zeros(16, 16)
        middle[6:10, 6:10] = torch.arange(16.0).view(4, 4)
        return [ll.Heatmap(middle, one.photo, one.region, "", "", "") for one in at_the_end(model, pictures, target)]

    same = metrics.input_swap(network(), PICTURES, 1, habit)
    assert len(same) == 3 and all(one.rank == pytest.approx(1) for one in same)
    assert all(one.rank < 0.9 for one in metrics.input_swap(network(), PICTURES, 1, at_the_end))
    assert all(one.rank < 0.5 for one in metrics.input_swap(network(), PICTURES, 1, baselines.edges))


def test_the_last_pictures_map_is_compared_with_the_first() -> None:
    found = metrics.input_swap(network(), PICTURES, 1, at_the_end)
    heats = at_the_end(network(), PICTURES, 1)
    assert found[2].rank == pytest.approx(metrics.alike(heats[2], heats[0]).rank)


def test_little_noise_changes_little_and_more_noise_more() -> None:
    quiet, loud = (
        metrics.stability(network(), PICTURES[0], 1, at_the_end, noise=noise, draws=4) for noise in (1e-4, 0.5)
    )
    assert quiet.rank > 0.999 and quiet.moved < 0.01
    assert loud.rank < quiet.rank - 0.1 and loud.moved > 0.1
    edges = metrics.stability(network(), PICTURES[0], 1, baselines.edges, noise=1e-4, draws=4)
    assert edges.rank > 0.999  # which is why stability alone proves nothing
    both = metrics.stability(network(), PICTURES[:2], 1, at_the_end, noise=1e-4, draws=2)
    assert len(both) == 2


def test_a_stability_is_the_mean_over_the_draws() -> None:
    twice = metrics.stability(network(), PICTURES[0], 1, at_the_end, noise=0.3, draws=2)
    once = metrics.stability(network(), PICTURES[0], 1, at_the_end, noise=0.3, draws=1)
    assert twice != once
    values = iter([1.0, 2.0, 5.0])  # the map as it is, and two noisy ones

    def shifted(model: Any, pictures: Any, target: Any) -> Any:
        heat = at_the_end(model, pictures, target)
        size = next(values)
        row = torch.tensor([[4.0, 4.0 * (size < 2), 4.0 * (size > 3)]])
        return ll.Heatmap(row, heat.photo, heat.region, "", "", "")

    # [4, 4, 0] against [4, 0, 0] moves a half; against [4, 0, 4] a half, too
    assert metrics.stability(network(), PICTURES[0], 1, shifted, draws=2).moved == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: metrics.randomised(network(), PICTURES, 1, []), "give the function that makes it, not"),
        (lambda: metrics.class_swap(network(), PICTURES, 1, 2, 3), "give the function that makes it, not 3"),
        (lambda: metrics.randomised(network(), PICTURES, 1, at_the_end, stages=["head"]), "no part 'head'"),
        (lambda: metrics.randomised(network(), PICTURES, 1, at_the_end, stages=0), "stages=0 is into how many"),
        (lambda: metrics.input_swap(network(), PICTURES[:1], 1, at_the_end), "Two pictures or more"),
        (lambda: metrics.stability(network(), PICTURES, 1, at_the_end, draws=0), "draws=0 is how many"),
        (lambda: metrics.stability(network(), PICTURES, 1, at_the_end, noise=0), "noise=0 is a share"),
    ],
)
def test_wrong_input_gets_a_sentence(call: Any, sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence):
        call()


def test_of_several_questions_about_one_picture_each_has_its_own_likeness() -> None:
    found = metrics.randomised(network(), PICTURES[0], [1, 2], at_the_end, stages=1)
    assert [len(each) for each in found.values()] == [2]
    alone = metrics.randomised(network(), PICTURES[0], 2, at_the_end, stages=1)
    assert [each[1] for each in found.values()] == list(alone.values())
