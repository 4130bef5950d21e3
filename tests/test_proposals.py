"""Gradients of a box go back through its own proposal only, and are the same as through all of them."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from heavy import but_proofs
from torch import Tensor
from torchvision.models import detection

import lessons_lib as ll
from lessons_lib.core.engine import detectors
from lessons_lib.core.records import Explainable

pytestmark = pytest.mark.slow

BATCH = torch.rand(2, 3, 96, 130, generator=torch.Generator().manual_seed(3))


@cache
def full_size() -> Explainable:
    """Four convolutions with batch normalisation in its box head, and random weights."""
    torch.manual_seed(0)
    network = detection.fasterrcnn_resnet50_fpn_v2(
        weights=None,
        weights_backbone=None,
        min_size=96,
        max_size=160,
        rpn_post_nms_top_n_test=30,
        box_score_thresh=1e-4,
    )
    return Explainable(network.eval(), "backbone", layout=ll.layouts.pyramid)


@cache
def embedded() -> tuple[Explainable, Tensor]:
    model = ll.models.detector()
    scenes = [ll.collage.scene(seed, count=2) for seed in (1, 2)]
    return model, torch.stack([model.transform(scene.image) for scene in scenes])


CASES: dict[str, Callable[[], tuple[Explainable, Tensor]]] = {
    "full size": lambda: (full_size(), BATCH),
    "embedded": embedded,
}
# A target, and the same number picked by hand, which is differentiated through all proposals.
ASKED: dict[str, tuple[Any, Callable[[Any], Tensor]]] = {
    "score": (ll.BoxScore(0), lambda found: found["scores"][0]),
    "size": (ll.BoxEdge(1, edge="height"), lambda found: found["boxes"][1, 3] - found["boxes"][1, 1]),
    "two boxes": (
        ll.Difference(ll.BoxScore(1), ll.BoxScore(0)),
        lambda found: found["scores"][1] - found["scores"][0],
    ),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("case", but_proofs(CASES, "full size"))
def test_the_gradient_is_that_through_all_proposals(case: str, asked: str) -> None:
    model, batch = CASES[case]()
    target, by_hand = ASKED[asked]
    found, expected = (ll.explain(model, batch, aim, method=ll.hirescam) for aim in (target, by_hand))
    for one, other in zip(found, expected, strict=True):
        largest = float(other.values.abs().max())
        assert largest > 0
        torch.testing.assert_close(one.values / largest, other.values / largest, rtol=0, atol=1e-4)


@pytest.mark.parametrize("case", but_proofs(CASES, "full size"))
def test_only_the_proposals_that_are_asked_for_go_through_the_box_head_again(case: str) -> None:
    model, batch = CASES[case]()
    ll.explain(model, batch[0], ll.BoxScore(0), method=ll.hirescam)  # a network that is new is followed once
    sizes: list[int] = []
    linear = next(
        module for module in model.network.roi_heads.box_head.modules() if isinstance(module, torch.nn.Linear)
    )
    hook = linear.register_forward_hook(lambda _module, _inputs, output: sizes.append(len(output)))
    ll.explain(model, batch[0], [ll.BoxScore(0), ASKED["two boxes"][0]], method=ll.hirescam)
    hook.remove()
    assert sizes[0] >= 30 and sizes[1:] == [1, 2]


def test_without_a_gradient_nothing_is_recorded_and_nothing_runs_again() -> None:
    model, batch = full_size(), BATCH[:1]
    with torch.no_grad():
        (plain,) = model.network(batch)
        with detectors.sparse(model.network):
            (found,) = model.network(batch)
    for key, values in plain.items():
        torch.testing.assert_close(found[key], values)
        assert not found[key].requires_grad


def test_the_network_is_as_it_was_after_an_error_too() -> None:
    network = full_size().network
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), detectors.sparse(network), detectors.sparse(network):
            raise ZeroDivisionError
        assert not [module for module in network.modules() if "forward" in vars(module)]


def test_detectors_of_one_stage_run_as_they_are() -> None:
    torch.manual_seed(0)
    network = detection.fcos_resnet50_fpn(weights=None, weights_backbone=None, min_size=96, max_size=160).eval()
    with detectors.sparse(network):
        assert not [module for module in network.modules() if "forward" in vars(module)]
