"""Where two cells, shares or maps are equal but for rounding, words do not depend on who rounds."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

import lessons_lib as ll
from lessons_lib.core.records import Outlined, Photo
from lessons_lib.metrics import centre_of_peak


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words are there before a figure is laid out, which takes most of the time."""
    monkeypatch.setattr(Figure, "draw_without_rendering", lambda figure: None)


def made(values: Tensor, *objects: Outlined) -> ll.Heatmap:
    photo = Photo(Image.new("RGB", (40, 40)), objects)
    return ll.Heatmap(values, photo, (0.0, 0.0, 40.0, 40.0), "cat 0.38", "gradcam", "bn2")


def half(name: str, columns: slice) -> Outlined:
    mask = np.zeros((40, 40), dtype=bool)
    mask[:, columns] = True
    return Outlined(name, mask)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-9, 3.0, 1e9])
@pytest.mark.parametrize("rounding", [0.0, 1e-7, -1e-7])
def test_of_two_cells_that_tie_the_first_is_the_peak_whichever_rounding_favours(rounding: float, scale: float) -> None:
    values = torch.zeros(4, 4)
    values[1, 3] = scale
    values[2, 0] = scale * (1 + rounding)
    heat = made(values)
    assert (values[2, 0] == values[1, 3]) is not bool(rounding)
    assert heat.peak == (1, 3)
    assert centre_of_peak(heat) == (15, 35)
    assert "peak at row 2, column 4 of 4 × 4" in heat.describe()
    assert "most at row 2, column 4" in ll.show.signed([heat]).words
    assert "most at row 2, column 4" in ll.show.signed([made(-values)]).words
    assert ll.show.maps(values[None]).words.endswith("channel 0, at row 2, column 4")


def test_a_cell_that_is_higher_by_more_than_rounding_is_the_peak_though_it_comes_later() -> None:
    values = torch.zeros(4, 4)
    values[1, 3], values[2, 0] = 1, 1.001
    assert made(values).peak == (2, 0)


def test_the_peak_of_a_map_with_no_positive_cell_is_its_highest() -> None:
    assert made(torch.tensor([[-3.0, -1.0], [-1.0000001, -2.0]])).peak == (0, 1)
    assert made(torch.tensor([[-3.0, -1.0], [0.0, -2.0]])).peak == (1, 0)


@pytest.mark.slow
@pytest.mark.parametrize("rounding", [1e-7, -1e-7])
def test_of_two_channels_that_tie_the_first_is_the_strongest(rounding: float) -> None:
    activations = torch.ones(3, 2, 2) * torch.tensor([0.5, 1, 1 + rounding])[:, None, None]
    assert "strongest: channel 1, at row 1, column 1" in ll.show.maps(activations).words


@pytest.mark.parametrize("rounding", [0.0, 1e-6, -1e-6])
def test_objects_with_equal_shares_keep_their_order_whichever_rounding_favours(rounding: float) -> None:
    values = torch.ones(1, 2) * torch.tensor([1.0, 1.0 + rounding])
    left, right = half("astronaut", slice(0, 20)), half("cat", slice(20, 40))
    for objects in ((left, right), (right, left)):
        assert (
            made(values, *objects)
            .describe()
            .endswith("50 % of the heat on the cat (evenly spread: 50 %), 50 % on the astronaut (50 %)")
        )


def test_a_share_that_is_larger_by_more_than_rounding_comes_first() -> None:
    values = torch.tensor([[1.0, 0.999]])
    heat = made(values, half("astronaut", slice(0, 20)), half("cat", slice(20, 40)))
    assert heat.describe().endswith("50 % of the heat on the astronaut (evenly spread: 50 %), 50 % on the cat (50 %)")


@pytest.mark.slow
@pytest.mark.parametrize("rounding", [0.0, 1e-7, -1e-7])
def test_of_two_maps_that_are_equally_high_neither_is_told_to_be_lower(rounding: float) -> None:
    pair = [made(torch.eye(2)), made(torch.eye(2) * (1 + rounding))]
    assert "of the highest" not in ll.show.row(pair, ["one", "two"]).words
    pair[1] = made(torch.eye(2) * 0.97)
    assert "its peak is 97 % of the highest" in ll.show.row(pair, ["one", "two"]).words
