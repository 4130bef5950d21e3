"""The measured tables, counted by hand on maps that a stand-in for `explain` gives."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.records import Box, Outlined, Photo
from lessons_lib.core.targets import BoxScore, PixelScore, RegionScore
from lessons_lib.metrics import tables
from lessons_lib.metrics.classes import class_maps, copy_maps, reached
from lessons_lib.metrics.tables import by_kind

WIDE = (90, 60)
MODEL: Any = "a model"


def outlined(name: str, left: int, top: int, right: int, bottom: int) -> Outlined:
    mask = np.zeros(WIDE[::-1], dtype=bool)
    mask[top:bottom, left:right] = True
    return Outlined(name, mask)


DOG, PUP, CAT = outlined("dog", 0, 0, 21, 21), outlined("dog", 60, 0, 70, 10), outlined("cat", 40, 40, 90, 60)
SCENE = Photo(Image.new("RGB", WIDE), (PUP, DOG, CAT))


def lit(*cells: tuple[int, int, float]) -> Heatmap:
    """A map with a cell for each pixel, dark but for some (row, column, value)."""
    values = torch.zeros(WIDE[::-1])
    for row, column, value in cells:
        values[row, column] = value
    return Heatmap(values, SCENE, (0.0, 0.0, *map(float, WIDE)), "words", "method", "layer")


def answered(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Heatmap]) -> None:
    """Let `explain` answer by heart, and only for Grad-CAM with heat."""

    def explain(model: Any, scene: Photo, aims: list[Any], *, method: Any) -> list[Heatmap]:
        assert model is MODEL and scene is SCENE
        return [answers[str(aim)] if method.__name__ == "gradcam" else lit() for aim in aims]

    monkeypatch.setattr(tables, "explain", explain)


def found(monkeypatch: pytest.MonkeyPatch, boxes: list[Box], *second: str | None) -> None:
    """Let the model find these boxes in the scene, and these classes come second there, and in no other scene."""
    answers = {(MODEL, id(SCENE)): boxes, **{(MODEL, id(SCENE), n): kind for n, kind in enumerate(second)}}
    monkeypatch.setattr(tables, "boxes", lambda model, scene: answers[model, id(scene)])
    monkeypatch.setattr(tables, "runner_up", lambda model, scene, number: answers[model, id(scene), number])


def test_maps_of_boxes_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = [Box("cat", 0.9, CAT.edges), Box("dog", 0.8, DOG.edges), Box("dog", 0.7, (30.0, 30.0, 35.0, 35.0))]
    found(monkeypatch, boxes, "dog", None)
    answers = {
        str(BoxScore(0)): lit((50, 60, 3.0), (5, 5, 1.0)),  # three parts on the cat, one on the dog
        str(BoxScore(1)): lit((30, 30, 2.0), (5, 5, 1.0), (5, 65, 1.0)),  # two on the ground, one on each dog
        str(BoxScore(0, "dog")): lit((50, 60, 1.0)),
    }
    answered(monkeypatch, answers)
    table = tables.box_maps(MODEL, [SCENE])
    assert list(table) == ["gradcam", "hirescam", "layercam", "eigencam"]
    assert table["gradcam"] == pytest.approx(
        {"peak": 0.5, "own": 0.5, "other": 0.25, "box swapped": 0.75, "class swapped": 0.25, "maps": 2.0}
    )
    # Without heat the peak is the first cell, which lies on the dog.
    assert table["eigencam"] == {
        "peak": 0.5,
        "own": 0.0,
        "other": 0.0,
        "box swapped": 0.0,
        "class swapped": 0.0,
        "maps": 2.0,
    }


def test_one_box_has_no_other_to_be_swapped_with(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, [Box("cat", 0.9, CAT.edges)], None)
    answered(monkeypatch, {str(BoxScore(0)): lit((50, 60, 1.0))})
    assert tables.box_maps(MODEL, [SCENE])["gradcam"] == {"peak": 1.0, "own": 1.0, "other": 0.0, "maps": 1.0}


def test_maps_of_regions_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        str(RegionScore("cat")): lit((50, 50, 1.0), (30, 30, 1.0)),
        str(RegionScore("dog")): lit((5, 5, 1.0), (5, 65, 1.0), (50, 50, 1.0), (30, 30, 1.0)),
        # The larger dog's deepest pixel is its middle. One cell lies 28 pixels from it, the next 29.
        str(PixelScore(10, 10, "dog")): lit((10, 10, 1.0), (10, 38, 2.0), (10, 39, 1.0)),
        str(PixelScore(49, 49, "cat")): lit((0, 0, 1.0)),
    }
    answered(monkeypatch, answers)
    table = tables.region_maps(MODEL, [SCENE])
    assert list(table) == ["gradcam", "hirescam", "layercam", "eigencam"]
    assert table["gradcam"] == pytest.approx(
        {
            "own": (1 / 2 + 2 / 4) / 2,
            "other": (0 + 1 / 4) / 2,
            "ground": (1 / 2 + 1 / 4) / 2,
            "pixel own": (0 + 1 / 4) / 2,
            "pixel near": (0 + 3 / 4) / 2,
            "pixel peak": 1 / 2,
            "maps": 2.0,
        },
        abs=1e-5,
    )


def test_maps_of_classes_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "hound": lit((5, 5, 1.0), (5, 65, 2.0), (30, 30, 1.0)),  # three parts on the dogs, one on the ground
        "tabby": lit((5, 5, 3.0), (50, 50, 1.0)),  # one part on the cat, and the peak beside it
        "violin": lit((5, 5, 1.0), (50, 50, 1.0), (30, 30, 2.0)),
    }

    def at_layers(model: Any, scene: Photo, aims: list[Any], *, layers: list[str], method: Any) -> list[list[Heatmap]]:
        assert model is MODEL and scene is SCENE and layers == ["low", "high"]
        heats = [answers[aim.category] for aim in aims]
        return [heats, [lit() for _ in heats]] if method == "one" else [heats[:1] * 3] * 2

    monkeypatch.setattr(tables, "at_layers", at_layers)
    classes, compared = {"cat": "tabby", "dog": "hound"}, {"first": "one", "second": "other"}
    table = class_maps(MODEL, ["low", "high"], [SCENE], classes, compared)  # type: ignore[arg-type]
    assert {layer: list(rows) for layer, rows in table.items()} == {key: ["first", "second"] for key in ("low", "high")}
    dogs, cat = 21 * 21 + 10 * 10, 50 * 20
    assert table["low"]["first"] == pytest.approx(
        {
            "own": (3 / 4 + 1 / 4) / 2,
            "spread": 1 / 4,
            "luck": (dogs + cat) / 2 / (90 * 60),
            "control": 1 / 4,
            "peak": 1 / 2,
            "other": (1 / 4 + 3 / 4) / 2,
            "maps": 2.0,
        }
    )
    assert table["high"]["first"]["own"] == table["high"]["first"]["control"] == 0
    assert table["low"]["second"]["own"] == table["low"]["second"]["control"] == pytest.approx((3 / 4 + 0) / 2)


COPIES = Photo(Image.new("RGB", WIDE), (PUP, DOG, outlined("dog", 40, 40, 50, 50)))


@pytest.mark.parametrize(
    ("cells", "at"),
    [
        ([(5, 65, 1.0), (5, 5, 0.51), (45, 45, 0.31)], {0.3: 3, 0.5: 2, 0.7: 1}),
        ([(30, 30, 10.0), (5, 65, 6.9), (45, 45, 2.9)], {0.3: 1, 0.5: 1, 0.7: 0}),  # the peak itself is on the ground
        ([], {0.3: 0, 0.5: 0, 0.7: 0}),  # no heat
    ],
)
def test_a_copy_is_reached_by_its_hottest_pixel(cells: list[tuple[int, int, float]], at: dict[float, int]) -> None:
    heat = replace(lit(*cells), photo=COPIES)
    assert {share: reached(heat, share) for share in at} == at
    assert reached(heat) == at[0.5]
    assert reached(replace(heat, values=40 * heat.values)) == at[0.5]
    assert reached(replace(heat, values=torch.ones(WIDE[::-1])), 1.0) == 3  # as hot as the peak is enough


def test_maps_of_copies_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Photo(Image.new("RGB", WIDE), (CAT,))
    answers = {
        "hound": replace(lit((5, 65, 2.0), (5, 5, 1.2), (30, 30, 0.8)), photo=COPIES),  # two of three dogs at 0.5
        "tabby": replace(lit((30, 30, 1.0), (50, 50, 0.25)), photo=one),
        ("violin", 3): replace(lit((5, 65, 1.0)), photo=COPIES),
        ("violin", 1): replace(lit((30, 30, 1.0)), photo=one),
    }

    def at_layers(model: Any, scene: Photo, aims: list[Any], *, layers: list[str], method: Any) -> list[list[Heatmap]]:
        named, control = (aim.category for aim in aims)
        return [[answers[named], answers[control, len(scene.objects)]] for _ in layers]

    monkeypatch.setattr(tables, "at_layers", at_layers)
    compared: Any = {"first": "one"}
    table = copy_maps(MODEL, ["low", "high"], [COPIES, one], {"cat": "tabby", "dog": "hound"}, compared)
    assert table["low"] == table["high"]
    dogs, cat = 21 * 21 + 10 * 10 + 10 * 10, 50 * 20
    assert table["low"]["first"] == pytest.approx(
        {
            "reached 0.3": 2 / 4,
            "reached 0.5": 2 / 4,
            "reached 0.7": 1 / 4,
            "control": 1 / 4,
            "own": (3.2 / 4 + 1 / 5) / 2,
            "luck": (dogs + cat) / 2 / (90 * 60),
            "maps": 2.0,
        }
    )


def test_the_deepest_pixel_may_lie_on_the_pictures_edge() -> None:
    mask = np.zeros((4, 5), dtype=bool)
    mask[3, 2] = True
    assert tables.deepest(mask) == (3, 2)


def test_maps_of_kinds_by_hand_whoever_makes_them() -> None:
    model: Any = type("Model", (), {"categories": ("cat", "dog", "rocket")})
    answers = {
        "cat": lit((50, 50, 3.0), (5, 65, 1.0)),  # the peak and three quarters on the cat, a quarter on a dog
        "dog": lit((50, 50, 3.0), (5, 65, 1.0)),
        "rocket": lit((30, 30, 2.0), (5, 5, 2.0)),
    }
    makers: Any = {"asked": lambda _model, _scene, aim: answers[aim.category], "deaf": lambda *_: lit((50, 50, 1.0))}
    table = by_kind(model, makers, [SCENE, Photo(SCENE.image, (CAT,))])
    assert list(table) == ["all", "cat", "dog"] and all(list(rows) == list(makers) for rows in table.values())
    dogs, cat, whole = 21 * 21 + 10 * 10, 50 * 20, 90 * 60
    assert table["dog"]["asked"] == pytest.approx(
        {"peak": 0, "own": 0.25, "other": 0.75, "class swapped": 1, "luck": dogs / whole, "maps": 1, "spread": 0}
    )
    assert table["cat"]["asked"] == pytest.approx(
        {"peak": 1, "own": 0.75, "other": 0.125, "class swapped": 0, "luck": cat / whole, "maps": 2, "spread": 0}
    )
    every = table["all"]["asked"]
    assert every["own"] == pytest.approx((0.75 + 0.25 + 0.75) / 3)
    assert every["spread"] == pytest.approx(np.std([0.75, 0.25, 0.75])) and every["maps"] == 3
    assert table["all"]["deaf"]["class swapped"] == 0 and table["all"]["deaf"]["own"] == pytest.approx(2 / 3)
