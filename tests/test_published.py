"""The two published networks: what their cards promise, their padding, anchors and boxes, and questions to them."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import box_iou

import lessons_lib as ll
from lessons_lib.models import ssd, weights
from lessons_lib.models.person import PersonSegmenter
from lessons_lib.models.same import SameConv2d
from tools.published import convert
from tools.published.tflite_file import Convolution

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def detector() -> ll.Explainable:
    return ll.models.photo_detector()


@pytest.fixture(scope="module")
def segmenter() -> ll.Explainable:
    return ll.models.person_segmenter()


@pytest.mark.parametrize("name", convert.SOURCES)
def test_each_photograph_is_seen_as_the_card_says(name: str) -> None:
    source = convert.SOURCES[name]
    model, promised = source.record(), convert.promised(name)
    assert [row[0] for row in promised] == [make().title for make in convert.PHOTOS]
    for row, make in zip(promised, convert.PHOTOS, strict=True):
        found = source.measured(model, make())
        words = [one for one in zip(row, found, strict=True) if not one[0][0].isdigit()]
        assert all(said == seen for said, seen in words)
        for said, seen in zip(row, found, strict=True):
            if said[0].isdigit():
                figures = [np.array([float(one) for one in text.split(", ")]) for text in (said, seen)]
                assert np.abs(figures[0] - figures[1]).max() <= (2 if "," in said else 0.01), (row, found)


def test_the_cards_say_what_the_issue_counts_on() -> None:
    seen = {row[0]: row for row in convert.promised("photo_detector")}
    assert (seen["cat"][1:3], seen["coffee cup"][1:3]) == (("cat", "0.847"), ("coffee cup", "0.564"))
    assert seen["astronaut"][1:3] == ("person", "0.592")
    assert all(float(seen[missed][2]) < 0.3 and float(seen[missed][4]) < 0.1 for missed in ("motorcycle", "rocket"))
    marked = {row[0]: row for row in convert.promised("person_segmenter")}
    assert float(marked["astronaut"][3]) > 0.95  # IoU with the drawn outline
    assert float(marked["cat"][2]) > 0.9  # and this is no person


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "before", "after"),
    [(300, 3, 2, 0, 1), (75, 3, 2, 1, 1), (19, 3, 1, 1, 1), (16, 5, 1, 2, 2), (32, 5, 2, 1, 2), (2, 3, 2, 0, 1)],
)
def test_zeros_are_added_where_tensorflow_adds_them(
    size: int, kernel: int, stride: int, before: int, after: int
) -> None:
    layer = SameConv2d(1, 1, kernel, stride)
    x = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(0))
    padded = nn.functional.pad(x, (before, after, before, after))
    by_hand = nn.functional.conv2d(padded, layer.weight, layer.bias, stride)
    assert layer(x).shape[2] == math.ceil(size / stride)
    assert torch.allclose(layer(x), by_hand, atol=1e-6)


def test_anchors_lie_where_the_network_was_trained_with_them() -> None:
    placed = ssd.anchors([(19, 19), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)])
    assert placed.shape == (1917, 4)
    middle = 0.5 / 19
    wide, high = 0.2 * math.sqrt(2), 0.2 / math.sqrt(2)
    expected = [[middle, middle, 0.1, 0.1], [middle, middle, wide, high], [middle, middle, high, wide]]
    assert torch.allclose(placed[:3], torch.tensor(expected))
    assert torch.allclose(placed[3, :2], torch.tensor([1.5 / 19, middle]))  # to the right first, then down
    last = placed[-6:]
    assert torch.allclose(last[:, :2], torch.tensor(0.5))
    assert torch.allclose(last[[0, 5], 2:], torch.tensor([[0.95, 0.95], [math.sqrt(0.95)] * 2]))
    assert torch.allclose(last[3, 2:], torch.tensor([0.95 * math.sqrt(3), 0.95 / math.sqrt(3)]))


def test_a_code_moves_and_stretches_its_anchor() -> None:
    anchor = torch.tensor([[0.5, 0.4, 0.2, 0.1]])
    assert torch.allclose(ssd.decoded(torch.zeros(1, 4), anchor), torch.tensor([[0.4, 0.35, 0.6, 0.45]]))
    code = torch.tensor([[10.0, -5.0, 5 * math.log(2), 5 * math.log(3)]])  # y, x, height, width
    assert torch.allclose(ssd.decoded(code, anchor), torch.tensor([[0.1, 0.4, 0.7, 0.6]]), atol=1e-6)


def test_of_two_boxes_of_a_class_that_overlap_the_surer_stays() -> None:
    levels = [(2, 2), *[(0, 0)] * 5]
    network, placed = ssd.SSD(3), ssd.anchors(levels)
    codes, logits = torch.zeros(1, 12, 4), torch.full((1, 12, 3), -9.0)
    codes[0, 10, 2:] = 5 * torch.log(placed[9, [3, 2]] / placed[10, [3, 2]])  # so that both are the same box
    logits[0, 9, 1], logits[0, 10, 1], logits[0, 10, 2] = 1.0, 2.0, 0.0
    (found,) = network.found(codes, logits, levels, (300, 300))
    assert found["labels"].tolist() == [1, 2]  # classes do not suppress one another
    assert torch.allclose(found["scores"], torch.tensor([2.0, 0.0]).sigmoid())
    assert torch.allclose(found["boxes"][0], torch.tensor([210.0, 210.0, 240.0, 240.0]))
    logits[0, 0, 1] = 0.5  # elsewhere
    (more,) = network.found(codes, logits, levels, (300, 300))
    assert more["labels"].tolist() == [1, 1, 2]


def test_no_two_boxes_of_one_class_overlap_by_more_than_it_says(detector: ll.Explainable) -> None:
    with torch.no_grad():
        (found,) = detector.network(detector.transform(ll.photos.astronaut().image)[None])  # type: ignore[misc]
    assert (found["scores"].diff() <= 0).all()
    assert found["labels"].min() > 0
    for label in found["labels"].unique():
        boxes = found["boxes"][found["labels"] == label]
        assert (box_iou(boxes, boxes).fill_diagonal_(0) <= detector.network.nms_thresh).all()


def test_a_batch_is_seen_as_its_pictures_are(detector: ll.Explainable, segmenter: ll.Explainable) -> None:
    pictures = [detector.transform(one().image) for one in (ll.photos.cat, ll.photos.coffee)]  # type: ignore[misc]
    with torch.no_grad():
        together = detector.network(torch.stack(pictures))
        for one, found in zip(pictures, together, strict=True):
            (alone,) = detector.network(one[None])
            assert torch.equal(alone["labels"], found["labels"])
            assert torch.allclose(alone["boxes"], found["boxes"], atol=1e-2)
        small = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        masks = segmenter.network(small)
        assert torch.allclose(segmenter.network(small[1:])[0], masks[1], atol=1e-4)


def raised(model: ll.Explainable, picture: Tensor, layer: str, ask: Any, by: Tensor) -> float:
    """Return how far a number rises when a layer's output is moved a little."""
    hook = model.network.get_submodule(layer).register_forward_hook(lambda _module, _given, maps: maps + by)
    with torch.no_grad():
        moved = ask(model.network(picture))
    hook.remove()
    with torch.no_grad():
        return float(moved - ask(model.network(picture)))


@pytest.mark.parametrize(
    ("target", "ask"),
    [
        (ll.BoxScore(0), lambda found: found[0]["scores"][0]),
        (ll.BoxEdge(0, edge="right"), lambda found: found[0]["boxes"][0, 2]),
        (ll.BoxEdge(0, edge="top"), lambda found: found[0]["boxes"][0, 1]),
    ],
)
def test_gradients_of_a_box_are_its_slopes(target: ll.Target, ask: Any, detector: ll.Explainable) -> None:
    photo = ll.photos.coffee()
    picture = detector.transform(photo.image)[None]  # type: ignore[misc]
    heat = ll.explain(detector, photo, target, method=lambda seen: (seen.gradients).sum(dim=1))
    row, column = divmod(int(heat.values.abs().argmax()), heat.values.shape[1])
    by = torch.zeros(1, 1, *heat.values.shape)
    by[..., row, column] = 2e-3
    slope = raised(detector, picture, detector.layer, ask, by) / 2e-3  # type: ignore[arg-type]
    assert slope == pytest.approx(float(heat.values[row, column]), rel=0.05)


def test_every_question_to_a_box_is_answered(detector: ll.Explainable) -> None:
    photo = ll.photos.coffee()
    second = ll.runner_up(detector, photo)
    assert second == "mug"
    asked = [
        ll.BoxScore(0),
        ll.BoxScore(0, "mug"),
        ll.Difference(ll.BoxScore(0), ll.BoxScore(0, "mug")),
        ll.BoxEdge(0, edge="width"),
        ll.BoxScore((86, 16, 210, 243), "coffee cup"),  # its place, in pixels of the network's input
    ]
    heats = ll.explain(detector, photo, asked, method=ll.hirescam)
    assert [heat.words for heat in heats] == [
        "box 0: coffee cup, score 0.56",
        "box 0: mug, score 0.24",
        "box 0: coffee cup, score 0.56 − box 0: mug, score 0.24",
        "box 0: width of the coffee cup 124",
        "coffee cup, score 0.56",
    ]
    assert torch.equal(heats[4].values, heats[0].values)
    assert float(heats[0].share_on(photo.objects[0].mask)) > 1.5 * float(heats[0].luck_on(photo.objects[0].mask))


def test_a_bare_network_is_asked_at_a_level_that_the_box_depends_on(detector: ll.Explainable) -> None:
    photo = ll.photos.coffee()
    picture = detector.transform(photo.image)  # type: ignore[misc]
    heat = ll.explain(detector.network, picture, ll.BoxScore(0), method=ll.hirescam)
    assert heat.layer.startswith("backbone.stages.")
    assert heat.values.max() > 0


def test_a_pixel_a_region_and_the_whole_person_are_asked_about(segmenter: ll.Explainable) -> None:
    photo = ll.photos.astronaut()
    drawn = segmenter.transform.mask(photo.objects[0].mask)  # type: ignore[union-attr]
    row, column = ll.metrics.deepest(drawn.numpy())
    asked = [ll.PixelScore(row, column), ll.RegionScore("person", drawn), ll.RegionScore("person")]
    pixel, region, whole = ll.explain(segmenter, photo, asked, method=ll.hirescam)
    assert pixel.words == f"person, probability 1.00 at pixel row {row + 1}, column {column + 1}"
    assert region.words.startswith("person, mean probability 0.9")
    assert region.values.shape == whole.values.shape == (16, 16)
    mask = photo.objects[0].mask
    assert all(heat.share_on(mask) > heat.luck_on(mask) for heat in (pixel, region, whole))


def test_a_picture_without_a_person_is_said_to_hold_none(segmenter: ll.Explainable) -> None:
    with pytest.raises(ValueError, match="The class 'person' is nowhere in this picture: at no pixel is its logit pos"):
        ll.explain(segmenter, ll.photos.rocket(), ll.RegionScore("person"))


def test_a_file_with_other_convolutions_is_refused() -> None:
    own = PersonSegmenter()
    state = list(own.state_dict().values())
    found = [Convolution("", *pair) for pair in zip(state[::2], state[1::2], strict=True)]
    other = PersonSegmenter()
    assert all(
        torch.equal(a, b) for a, b in zip(convert.filled(other, found).state_dict().values(), state, strict=True)
    )
    with pytest.raises(ValueError, match="The file's 54 convolutions are not those of PersonSegmenter"):
        convert.filled(other, found[1:])


def test_the_command_says_what_it_needs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        convert.main([])
    assert "what reads a TFLite file is not installed here: run `make convert`" in capsys.readouterr().err


def test_weights_that_are_gone_say_what_makes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "data", lambda *parts: tmp_path / parts[-1])
    for make in (ll.models.photo_detector, ll.models.person_segmenter):
        with pytest.raises(FileNotFoundError, match="fetch it again from the repository, or make it: make convert"):
            make()


def test_the_detectors_heads_come_last_in_the_files_order() -> None:
    names = ["a/Conv2D", "BoxPredictor_0/ClassPredictor/Conv2D", "b;BoxPredictor_5/ClassPredictor/Conv2D"]
    names += ["BoxPredictor_0/BoxEncodingPredictor/Conv2D"]
    kernels = [Convolution(name, torch.zeros(1), torch.zeros(1)) for name in names]
    ordered = sorted(kernels, key=convert.SOURCES["photo_detector"].order)
    assert [names.index(one.name) for one in ordered] == [0, 2, 3, 1]
