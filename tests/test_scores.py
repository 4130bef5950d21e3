"""The scores: counted by hand on tiny answers; and no card promises more than its model keeps."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lessons_lib.core.preprocess import Preprocess
from lessons_lib.core.records import Explainable
from lessons_lib.models import weights
from lessons_lib.models.weights import path_of
from lessons_lib.photos.collage import KINDS, Scene, Scenes
from tools.recipes import cards, scores, train
from tools.recipes.scores import Score

pytestmark = pytest.mark.slow

FRESH = Scenes(150, seed=4_000_000)
PIXELS = Preprocess(224, 224, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.fixture(scope="module")
def fresh() -> list[Scene]:
    return scores.all_of(FRESH)


@pytest.fixture
def scene() -> Scene:
    """A scene of two objects."""
    return Scenes(1, seed=6, count=2).scene(0)


class Answers(nn.Module):
    """A network that has learnt its answers by heart."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor) -> Any:
        return self.answer


def broken_promises(name: str, measured: Sequence[Score]) -> list[str]:
    """Return each score of the card that is more than two standard errors above what was measured now."""
    promised = cards.read(name)
    return [
        f"{name}: the card promises {promise.name} {promise.value:.4f}, measured {now.value:.4f}"
        for promise, now in zip(promised, measured, strict=True)
        if promise.name != now.name or promise.value > most(promise, now)
    ]


def most(promise: cards.Promise, now: Score) -> float:
    """Return the most that a card may promise, from what was measured on fewer scenes: two standard errors above it."""
    return now.value + 2 * math.hypot(promise.error, now.error)


@pytest.mark.proof
@pytest.mark.parametrize("name", train.RECIPES)
def test_every_card_is_kept_by_its_model_and_a_better_one_would_not_be(
    name: str, fresh: list[Scene], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = train.score(name, fresh)
    assert broken_promises(name, measured) == []

    card = tmp_path / f"{name}.md"
    text, promised = path_of(name).with_suffix(".md").read_text(encoding="utf-8"), cards.read(name)
    monkeypatch.setattr(weights, "data", lambda *parts: tmp_path / parts[-1])
    for promise, now in zip(promised, measured, strict=True):
        better = f"{most(promise, now) + 1e-4:.4f}"
        card.write_text(
            text.replace(f"| {promise.name} | {promise.value:.4f} |", f"| {promise.name} | {better} |"),
            encoding="utf-8",
        )
        (broken,) = broken_promises(name, measured)
        assert broken.startswith(f"{name}: the card promises {promise.name} {better}, measured")


@pytest.mark.parametrize(
    ("name", "what", "least"),
    [
        ("detector", "recall", 0.98),
        ("detector", "precision", 0.98),
        ("segmenter", "mean IoU", 0.85),
        ("vit", "scenes right", 0.95),
        ("vit", "peak on object", 0.85),
        ("swin", "scenes right", 0.95),
        ("swin", "peak on object", 0.85),
        ("flat_cnn", "labels right", 0.90),
    ],
)
def test_the_cards_promise_what_the_lessons_need(name: str, what: str, least: float) -> None:
    (value,) = [promise.value for promise in cards.read(name) if promise.name == what]
    assert value >= least


def test_a_scores_value_and_error_by_hand() -> None:
    # Three scenes with 2, 1 and 1 objects, of which 1, 1 and 1 are found: 3 of 4.
    score = Score("found", torch.tensor([[1.0], [1.0], [1.0]]), torch.tensor([[2.0], [1.0], [1.0]]), "")
    assert score.value == 0.75
    # Residuals 1 − 0.75·2, 1 − 0.75, 1 − 0.75, over 4; and one scene more in which everything fails, 0.75 ÷ 3.
    assert score.error == pytest.approx(math.sqrt((0.5**2 + 2 * 0.25**2) / 16 + 0.25**2))
    # Two classes: the mean of two ratios, not the ratio of the sums.
    both = Score("IoU", torch.tensor([[1.0, 90.0]]), torch.tensor([[2.0, 100.0]]), "")
    assert both.value == pytest.approx((0.5 + 0.9) / 2)


def test_a_box_counts_once_when_kind_place_and_score_are_right(scene: Scene) -> None:
    first, second = torch.as_tensor(scene.boxes)
    kind, other = (scene.labels + 1).tolist()
    away = first + 500
    boxes = [first, first, away, second, second, first]
    labels = [kind, kind, kind, kind, other, kind]
    sure = [0.9, 0.8, 0.8, 0.7, 0.4, 0.3]
    answer = [{"boxes": torch.stack(boxes), "labels": torch.tensor(labels), "scores": torch.tensor(sure)}]
    recall, precision = scores.box_scores(Explainable(Answers(answer), transform=PIXELS), [scene])
    assert recall.value == 1 / 2  # the second object's box is of the wrong kind, or not sure enough
    assert precision.value == 1 / 4  # of the four sure boxes: one right, one twice, one away, one of the wrong kind


def test_iou_of_a_box_must_reach_a_half(scene: Scene) -> None:
    box, _ = torch.as_tensor(scene.boxes)
    for share, found in ((0.51, 1), (0.49, 0)):
        part = box.clone()
        part[2] = box[0] + share * (box[2] - box[0])  # lies inside the object's box, so its share is its IoU
        answer = [{"boxes": part[None], "labels": scene.labels[:1] + 1, "scores": torch.tensor([0.9])}]
        recall, _ = scores.box_scores(Explainable(Answers(answer), transform=PIXELS), [scene])
        assert recall.value == found / 2


def test_mean_iou_is_the_mean_over_kinds_of_pixels_shared(scene: Scene) -> None:
    truth = torch.as_tensor(scene.label_map).long()
    first, second = scene.labels.tolist()
    guess = truth.clone()
    guess[truth == 1 + second] = 0  # the second object is missed
    rows, columns = (truth == 0).nonzero(as_tuple=True)
    guess[rows[:100], columns[:100]] = 1 + first  # and the first is drawn 100 pixels too large
    logits = nn.functional.one_hot(guess, 1 + len(KINDS)).permute(2, 0, 1)[None].float()
    (score,) = scores.region_scores(Explainable(Answers({"out": logits}), transform=PIXELS), [scene])
    size = int((truth == 1 + first).sum())
    ratios = (score.hits / score.of)[0]
    assert ratios[first].item() == pytest.approx(size / (size + 100))
    assert ratios[second].item() == 0


def test_labels_are_right_one_by_one_and_a_scene_when_all_are(scene: Scene) -> None:
    right = torch.full((2, len(KINDS)), -1.0)
    right[:, scene.labels] = 1.0
    absent = next(kind for kind in range(len(KINDS)) if kind not in scene.labels)
    right[1, absent] = 0.1
    each, every = scores.label_scores(Explainable(Answers(right), transform=PIXELS), [scene, scene])
    assert each.value == pytest.approx(9 / 10)
    assert every.value == 1 / 2


class Pointer(nn.Module):
    """A network of one layer that lights one cell of a 14 × 14 grid for every class."""

    def __init__(self, row: int, column: int) -> None:
        super().__init__()
        self.place = row, column
        self.maps = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        lit = torch.zeros(14, 14)
        lit[self.place] = 1
        maps = nn.functional.adaptive_avg_pool2d(x[:, :1], 14) * 0 + lit
        return self.maps(maps).sum((2, 3)).expand(-1, len(KINDS))


def test_a_peak_counts_when_its_cells_centre_is_on_an_object_of_the_kind(scene: Scene) -> None:
    label_map = torch.as_tensor(scene.label_map)
    centres = label_map[8::16, 8::16]
    for kind, hits in ((1 + int(scene.labels[0]), 1), (0, 0)):
        row, column = (centres == kind).nonzero()[0].tolist()
        model = Explainable(Pointer(row, column), layer="maps", transform=PIXELS, categories=KINDS)
        (score,) = scores.peak_scores(model, [scene])
        assert score.value == hits / 2  # asked for both kinds, it points at one place


def test_a_card_gives_back_what_was_written_and_rewriting_keeps_the_rest(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "data", lambda *parts: tmp_path / parts[-1])
    one = Score("recall", torch.tensor([[1.0], [1.0]]), torch.tensor([[2.0], [1.0]]), "counted so")
    other = Score("recall", torch.tensor([[1.0]]), torch.tensor([[1.0]]), "counted so")
    cards.write("tiny", [("seed", "7")], [one], scenes=500, seed=9)
    assert cards.read("tiny") == [cards.Promise("recall", 0.6667, round(one.error, 4))]
    cards.rewrite("tiny", [other])
    assert cards.read("tiny") == [cards.Promise("recall", 1.0, 1.0)]
    assert "| seed | 7 |" in (tmp_path / "tiny.md").read_text(encoding="utf-8")


def test_a_card_without_its_table_is_named(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "data", lambda *parts: tmp_path / parts[-1])
    (tmp_path / "tiny.md").write_text("# tiny\n")
    with pytest.raises(ValueError, match=r"The card tiny\.md has no line .* make the model again"):
        cards.read("tiny")


def test_no_scene_is_both_trained_on_and_held_out() -> None:
    assert len({scores.HELD_OUT.seed, FRESH.seed}) == 2
    assert min(scores.HELD_OUT.seed, FRESH.seed) >= 2_000_000  # recipes take seeds below it, as test_train shows
