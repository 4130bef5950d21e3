"""Maps compared without a lie: scales by units, one region, raw ranges and luck in the words."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import lessons_lib as ll
from lessons_lib import show

MASK = np.zeros((4, 8), dtype=bool)
MASK[:, 6:] = True
PHOTO = ll.Photo(Image.new("RGB", (8, 4)), (ll.Outlined("cat", MASK),))
WHOLE = (0.0, 0.0, 8.0, 4.0)


def heat(values: Any, method: str = "gradcam", region: Any = WHOLE) -> ll.Heatmap:
    return ll.Heatmap(torch.tensor(values), PHOTO, region, "cat", method, "layer4")


STRONG, WEAK = heat([[-1.0, 8.0]]), heat([[2.0, 0.0]])


@pytest.mark.slow
def test_one_scale_where_the_units_agree_and_own_ones_where_not() -> None:
    other = heat([[0.0, 300.0]], "eigencam")
    told = show.compare([STRONG, WEAK, other], ["strong", "weak", "other"]).words.splitlines()
    assert told[0].endswith("values from -1 to 8 · one scale for all 2 of these units, to 8: its peak is 100 % of that")
    assert told[1].endswith("values from 0 to 2 · one scale for all 2 of these units, to 8: its peak is 25 % of that")
    assert told[2].endswith("values from 0 to 3e+02 · own scale")
    assert all("(evenly spread: 25 %)" in one for one in told)


def drawn(picture: show.Figure) -> list[np.ndarray]:
    return [np.asarray(i.get_array()) for ax in picture.figure.axes for i in ax.images if i.get_array().shape[-1] == 4]


@pytest.mark.slow
def test_a_weak_map_is_drawn_weak() -> None:
    both, alone = drawn(show.compare([STRONG, WEAK])), drawn(show.compare([WEAK]))
    assert both[1][..., 3].max() < alone[0][..., 3].max() == both[0][..., 3].max()
    # In other units nothing can be said of their strengths, so each goes up to its own top.
    apart = drawn(show.compare([STRONG, heat([[2.0, 0.0]], "other")]))
    assert apart[1][..., 3].max() == apart[0][..., 3].max()


def test_shares_are_counted_where_all_maps_saw_the_photo() -> None:
    right = heat([[1.0]], region=(4.0, 0.0, 8.0, 4.0))
    even = heat([[1.0, 1.0]])
    figure = show.compare([even, right])
    told = figure.words.splitlines()
    assert "in columns 4 to 8, rows 0 to 4, which all maps saw" in told[0]
    assert all("50 % of the heat on the cat (evenly spread: 50 %)" in one for one in told)
    assert all(ax.get_xlim() == (3.5, 7.5) for ax in figure.figure.axes if ax.images and not hasattr(ax, "_colorbar"))


def test_without_titles_the_method_and_the_layer_are_named_and_a_blank_map_says_so() -> None:
    told = show.compare([STRONG, heat([[-1.0, -2.0]])]).words.splitlines()
    assert told[0].startswith("gradcam at layer4: cat")
    assert "no heat" in told[1] and told[1].endswith("its peak is 0 % of that")


@pytest.mark.slow
def test_twelve_maps_stand_in_rows_of_four() -> None:
    places = [ax.get_position() for ax in show.compare([STRONG] * 6).figure.axes if len(ax.images) == 2]
    assert len(places) == 6 and len({round(one.x0, 2) for one in places}) == 4


@pytest.mark.parametrize(
    ("heats", "sentence"),
    [
        ([STRONG, replace(STRONG, photo=ll.Photo(Image.new("RGB", (8, 4), (1, 2, 3))))], "Map 1 lies on another photo"),
        ([heat([[1.0]], region=(0, 0, 4, 4)), heat([[1.0]], region=(4, 0, 8, 4))], "no part of the photo in common"),
        (STRONG, "put it in a list"),
        ([], "nothing to draw"),
    ],
)
def test_what_can_not_be_compared_gets_a_sentence(heats: Any, sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence):
        show.compare(heats)
