"""The measured tables, counted by hand on maps that a stand-in for `explain` gives."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.records import Box, Outlined, Photo
from lessons_lib.core.targets import BoxScore, PixelScore, RegionScore
from lessons_lib.metrics import tables

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


def test_the_deepest_pixel_may_lie_on_the_pictures_edge() -> None:
    mask = np.zeros((4, 5), dtype=bool)
    mask[3, 2] = True
    assert tables.deepest(mask) == (3, 2)
