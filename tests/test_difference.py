"""The map of a difference is the difference of the two maps, for every kind of target and every linear method."""

import copy
from dataclasses import replace
from functools import cache, partial
from typing import Any

import pytest
import torch
from heavy import but_proofs
from torch import Tensor

import lessons_lib as ll
from lessons_lib.core.engine import rerun
from lessons_lib.core.engine.captured import Captured
from lessons_lib.core.engine.hooks import hooked

pytestmark = pytest.mark.slow


def unnormalised(seen: Captured) -> Tensor:
    """Ablation-CAM without the division by |y|, which is what keeps it from being linear in the score."""
    A = seen.activations

    def without(picture: int, numbers: Tensor) -> Tensor:
        variants = A[picture].repeat(len(numbers), 1, 1, 1)
        variants[torch.arange(len(numbers)), numbers] = 0
        return variants

    w = seen.scores.detach()[:, None] - rerun.from_layer(seen, without, count=A.shape[1], chunk=64)
    return (w[:, :, None, None] * A).sum(dim=1)


@cache
def detector() -> ll.Explainable:
    return ll.models.detector()


@cache
def segmenter() -> ll.Explainable:
    return ll.models.segmenter()


@cache
def scene() -> ll.Photo:
    return ll.collage.scene((3_000_000, 0), count=3)


PAIRS: dict[str, tuple[Any, Any, Any]] = {
    "box against box": (detector, ll.BoxScore(1), ll.BoxScore(2)),
    "box against another class": (detector, ll.BoxScore(1), ll.BoxScore(1, "rocket")),
    "edge against edge": (detector, ll.BoxEdge(1, edge="right"), ll.BoxEdge(1, edge="left")),
    "box against a difference": (detector, ll.BoxScore(0), ll.Difference(ll.BoxScore(1), ll.BoxScore(2))),
    "pixel against pixel": (segmenter, ll.PixelScore(60, 60, "cat"), ll.PixelScore(150, 150, "cat")),
}


CASES = [(pair, method) for pair in PAIRS for method in (ll.gradcam, ll.hirescam, unnormalised)]
HEAVY = [(pair, unnormalised) for pair in PAIRS]


@pytest.mark.parametrize(
    ("pair", "method"), but_proofs(CASES, *HEAVY), ids=lambda case: getattr(case, "__name__", case)
)
def test_the_map_of_a_difference_is_the_difference_of_the_maps(pair: str, method: Any) -> None:
    made, first, second = PAIRS[pair]
    one, other, both = ll.explain(made(), scene(), [first, second, ll.Difference(first, second)], method=method)
    peak = float(torch.stack([one.values, other.values]).abs().max())
    torch.testing.assert_close(both.values, one.values - other.values, rtol=0, atol=1e-4 * peak)
    assert both.score == pytest.approx(one.score - other.score, abs=1e-5)
    assert float((one.values - other.values).abs().max()) > 0.01 * peak, "the two maps are one: nothing was tested"


def test_a_difference_of_boxes_looks_at_two_proposals_and_no_others() -> None:
    counts: list[int] = []
    model = replace(detector(), network=copy.deepcopy(detector().network))  # whose layers nobody has followed yet
    with hooked([model.network.roi_heads.box_head], after=lambda _m, _i, out: counts.append(len(out))):
        ll.explain(
            model, scene(), ll.Difference(ll.BoxScore(1), ll.BoxScore(2)), method=partial(ll.ablationcam, chunk=64)
        )
    first, *again = counts
    channels = 64
    assert first > 20  # all proposals, in the run that is explained
    finding = [count for count in again if count == first]
    # One follows the layer's places, one finds what can be repeated, and one for each box its proposal …
    assert len(finding) == 4
    assert sum(again) - sum(finding) <= 2 * (channels + 4 * 2)  # … and each variant looks at one proposal for each box


def test_a_difference_is_explained_in_the_part_that_both_ask_about() -> None:
    network = detector().network
    inner, outer = ll.BoxScore(0), ll.targets.Target()
    for pair in ((inner, outer), (outer, inner), (inner, inner)):
        assert ll.Difference(*pair).part(network) is network.backbone
    assert ll.Difference(outer, outer).part(network) is network


def test_states_may_be_nested_and_leave_the_network_as_it_was() -> None:
    network = copy.deepcopy(detector().network)
    before = {module: dict(vars(module)) for module in network.modules()}
    ll.explain(
        ll.Explainable(network, transform=detector().transform, layer=detector().layer),
        scene(),
        ll.Difference(ll.BoxScore(0), ll.BoxScore(0, 1)),
        method=ll.ablationcam,
    )
    assert all(vars(module).keys() == before[module].keys() for module in network.modules())
    assert network.roi_heads.score_thresh == detector().network.roi_heads.score_thresh
