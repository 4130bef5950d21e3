"""Exactly at a threshold, and at a tie: what is in, what is out, and which one is taken."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import lessons_lib as ll
from lessons_lib.core.engine import detectors
from lessons_lib.core.preprocess import Preprocess
from lessons_lib.core.records import Box, Explainable, Outlined, Photo, shown
from lessons_lib.core.targets.boxes import BoxEdge, BoxScore
from lessons_lib.metrics import truth
from lessons_lib.photos.collage import KINDS
from tools.recipes import fitting, scores

BOX = (0.0, 0.0, 10.0, 10.0)
HALF = (0.0, 0.0, 10.0, 20.0)  # IoU with BOX: 100 of 200
LESS = (0.0, 0.0, 10.0, 20.1)
OTHER_HALF = (0.0, 0.0, 5.0, 10.0)  # 50 of 100
PIXELS = Preprocess(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def found(*boxes: tuple[tuple[float, ...], int, float]) -> dict[str, Tensor]:
    edges, labels, sure = zip(*boxes, strict=True)
    return {"boxes": torch.tensor(edges), "labels": torch.tensor(labels), "scores": torch.tensor(sure)}


class Gives(nn.Module):
    """A network that gives what it was told to."""

    def __init__(self, answer: Any):
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor) -> Any:
        return self.answer


def test_an_overlap_of_exactly_a_half_is_the_same_box_and_less_is_not() -> None:
    assert detectors.nearest(found((HALF, 1, 0.9)), BOX, 1) == (0, 0.5)
    assert detectors.nearest(found((OTHER_HALF, 1, 0.9)), BOX, None) == (0, 0.5)
    row, most = detectors.nearest(found((LESS, 1, 0.9)), BOX, 1)
    assert row is None and most == pytest.approx(100 / 201)


def test_of_boxes_that_overlap_alike_the_first_is_taken_and_without_any_overlap_none() -> None:
    assert detectors.nearest(found((LESS, 1, 0.9), (HALF, 1, 0.2), (OTHER_HALF, 1, 0.8)), BOX, 1) == (1, 0.5)
    away = found(((50.0, 50.0, 60.0, 60.0), 1, 0.9))
    assert detectors.nearest(away, BOX, 1, least=0.0) == (None, 0.0)
    assert detectors.nearest(found((LESS, 1, 0.9)), BOX, 1, least=0.0)[0] == 0
    assert detectors.nearest(found((BOX, 2, 0.9)), BOX, 1, least=0.0) == (None, 0.0)


def test_a_box_without_an_area_is_itself_among_others() -> None:
    point = (5.0, 5.0, 5.0, 5.0)
    assert detectors.nearest(found((BOX, 1, 0.9), (point, 1, 0.8)), point, 1) == (1, 1.0)


def test_a_followed_box_is_found_at_half_its_overlap_and_gone_below() -> None:
    asked, edge = (target.settled(found((BOX, 1, 0.9))) for target in (BoxScore(0), BoxEdge(0, edge="bottom")))
    assert asked(found((HALF, 1, 0.7))).item() == pytest.approx(0.7) and edge(found((HALF, 1, 0.7))).item() == 20
    assert asked(found((LESS, 1, 0.7))).item() == 0
    with pytest.raises(ValueError, match=r"overlaps it by 0\.50"):
        edge(found((LESS, 1, 0.7)))


def test_a_place_finds_the_box_that_shares_half_of_it_and_no_other() -> None:
    assert BoxScore(HALF).settled(found((BOX, 1, 0.9))).followed.edges == BOX
    with pytest.raises(ValueError, match=r"overlaps by half or more; the nearest overlaps by 0\.50"):
        BoxScore(LESS).settled(found((BOX, 1, 0.9)))


def test_every_run_keeps_all_boxes_of_a_detector_that_can_not_be_held_to_one_proposal() -> None:
    network = Gives(None)
    network.score_thresh, network.detections_per_img = 0.05, 100
    first, picture = ll.BoxScore(0), torch.zeros(1, 3, 8, 8)
    settled = first.settled(found(((0.0, 0.0, 8.0, 8.0), 1, 0.9)))
    for target, given in ((first, None), (first, picture), (settled, None), (settled, picture)):
        state = target.state(network, given)
        assert state is not None
        for _ in range(2):
            with state():
                assert (network.score_thresh, network.detections_per_img) == (-1.0, 10**9)
            assert (network.score_thresh, network.detections_per_img) == (0.05, 100)


def test_a_box_at_the_threshold_is_left_out() -> None:
    low = found((BOX, 1, 0.75), ((20.0, 20.0, 30.0, 30.0), 1, 0.5), ((40.0, 0.0, 50.0, 10.0), 1, 0.25))
    model = Explainable(Gives([low]), None, PIXELS)
    photo = Photo(Image.new("RGB", (64, 48)))
    assert [[box.score for box in ll.boxes(model, photo, least)] for least in (0.75, 0.5, 0.25, 0.2)] == [
        [],
        [0.75],
        [0.75, 0.5],
        [0.75, 0.5, 0.25],
    ]
    assert len(ll.boxes(model, photo)) == 1  # more than a half, unless told otherwise
    with pytest.raises(ValueError, match="There is no box 1: the network finds 1"):
        BoxScore(1, threshold=0.5).settled(low)
    assert BoxScore(1, threshold=0.25).settled(low).followed.edges == (20, 20, 30, 30)


def scene_of(mask: np.ndarray, name: str = "cat") -> Photo:
    return Photo(Image.new("RGB", mask.shape[::-1]), (Outlined(name, mask),))


@pytest.mark.parametrize(("edges", "matched"), [(HALF, {0: 0}), (LESS, {}), (OTHER_HALF, {0: 0})])
def test_a_box_finds_the_object_that_it_shares_a_half_with(edges: Any, matched: Any) -> None:
    mask = np.zeros((30, 40), dtype=bool)
    mask[:10, :10] = True
    assert truth.matches([Box("cat", 0.9, edges)], scene_of(mask)) == matched
    assert truth.matches([Box("cat", 0.9, edges)], scene_of(mask, "dog")) == {}


def test_an_object_is_found_once_by_the_surest_box_also_where_it_is_no_square() -> None:
    mask = np.zeros((30, 40), dtype=bool)
    mask[4:14, 2:22] = True  # twice as wide as high
    wide = scene_of(mask)
    assert wide.objects[0].edges == (2, 4, 22, 14)
    same, near = Box("cat", 0.9, (2.0, 4.0, 22.0, 14.0)), Box("cat", 0.8, (2.0, 4.0, 22.0, 15.0))
    assert truth.matches([same, near], wide) == {0: 0} and truth.matches([near, same], wide) == {0: 0}
    turned = Box("cat", 0.9, (4.0, 2.0, 14.0, 22.0))
    assert truth.matches([turned, near], wide) == {1: 0}


def test_an_object_that_is_hidden_altogether_has_a_box_of_no_size_and_is_found_by_none() -> None:
    nowhere = scene_of(np.zeros((30, 40), dtype=bool))
    assert nowhere.objects[0].edges == (0, 0, 0, 0)
    assert truth.matches([Box("cat", 0.9, BOX), Box("cat", 0.8, (0.0, 0.0, 0.0, 0.0))], nowhere) == {}


@dataclass
class Truth:
    """As much of a scene as a score looks at."""

    image: Image.Image
    labels: Tensor
    objects: tuple[Any, ...]


def one() -> Truth:
    mask = np.zeros((30, 40), dtype=bool)
    mask[:10, :10] = True
    return Truth(Image.new("RGB", (40, 30)), torch.tensor([2]), (Outlined(KINDS[2], mask),))


ONE: Any = one()


@pytest.mark.parametrize(
    ("edges", "sure", "recall", "boxes"),
    [(HALF, 0.9, 1, 1), (LESS, 0.9, 0, 1), (OTHER_HALF, 0.9, 1, 1), (BOX, 0.5, 0, 0), (BOX, 0.5001, 1, 1)],
)
def test_a_cards_box_must_share_a_half_and_score_above_a_half(edges: Any, sure: float, recall: int, boxes: int) -> None:
    model = Explainable(Gives([found((edges, 3, sure))]), transform=PIXELS)
    found_all, all_found = scores.box_scores(model, [ONE])
    assert (found_all.hits.item(), found_all.of.item()) == (recall, 1)
    assert (all_found.hits.item(), all_found.of.item()) == (recall, boxes)


def test_a_label_at_probability_a_half_is_absent() -> None:
    logits = torch.full((1, len(KINDS)), -1.0)
    logits[0, 2] = 0.0
    for value, right in ((0.0, 4), (1e-6, 5)):
        logits[0, 2] = value
        each, every = scores.label_scores(Explainable(Gives(logits), transform=PIXELS), [ONE])
        assert (each.hits.item(), every.hits.item()) == (right, right == 5)


def test_a_kind_covers_a_patch_from_a_quarter_on() -> None:
    label_map = torch.zeros(1, 4, 8, dtype=torch.uint8)
    label_map[0, :2, :2] = 1  # a quarter of the left patch of 4 × 4
    label_map[0, :2, 4:6] = 2
    label_map[0, 0, 4] = 0  # and less of the right one
    shares = fitting._shares(label_map, 1, 2)
    assert (shares >= 0.25)[0, 0].tolist() == [[True, False, False, False, False], [False] * 5]
    assert fitting.present(label_map).tolist() == [[1, 1, 0, 0, 0]]


def test_a_score_of_exactly_a_hundredth_is_told() -> None:
    assert (shown(0.01), shown(0.0099), shown(0.995)) == ("0.01", "below 0.01", "0.99")


def test_of_equal_logits_the_first_class_is_explained_and_of_equal_cells_the_first_is_the_peak() -> None:
    network = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 3))
    with torch.no_grad():
        network[3].weight.copy_(torch.tensor([[1.0], [2.0], [2.0]]))
        network[3].bias.zero_()
    heat = ll.explain(network, torch.tensor([[[0.0, 3.0, 1.0], [3.0, 0.0, 3.0]]]), layer="0")
    assert heat.words.startswith("class 1") and heat.peak == (0, 1)


def test_a_difference_of_exactly_the_tie_is_no_tie() -> None:
    from lessons_lib.show.ties import TIE, first_peak, largest_first

    assert first_peak(torch.tensor([[1 - 2 * TIE, 1.0]])) == (0, 1)
    assert first_peak(torch.tensor([[1 - TIE / 2, 1.0]])) == (0, 0)
    assert first_peak(torch.tensor([[-1.0, -1.0 - 1e-6]])) == (0, 0)
    assert [name for _, name in largest_first([(0.5, "a"), (0.5 + 2 * TIE, "b"), (0.5 + TIE / 2, "c")])] == [
        "b",
        "c",
        "a",
    ]
