"""Every picture speaks, and what it says and shows comes from the map."""

import base64
import io
import re
import textwrap
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib import figure as mpl
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from PIL import Image

import lessons_lib as ll
from lessons_lib import show
from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.records import Outlined, Photo
from lessons_lib.show.figure import Figure
from lessons_lib.show.figures import COLOURS
from lessons_lib.show.values import WIDEST

LIBRARY = Path(ll.__file__).parent
GREY = (90, 120, 150)


def photo(width: int = 90, height: int = 60) -> Photo:
    """One colour, with an object "dog" on the left quarter."""
    mask = np.zeros((height, width), bool)
    mask[:, : width // 4] = True
    return Photo(Image.new("RGB", (width, height), GREY), (Outlined("dog", mask),), title="field")


def heat(values: Any, *, region: Any = None, words: str = "dog 0.70", on: Photo | None = None) -> Heatmap:
    on = on or photo()
    return Heatmap(torch.tensor(values), on, region or (0.0, 0.0, *map(float, on.image.size)), words, "method", "layer")


LEFT, RIGHT = [[4.0, 0.0, 0.0], [0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0], [0.0, -8.0, 2.0]]
PICTURES: dict[str, Callable[[], Figure]] = {
    "photo": lambda: show.photo(photo()),
    "outlined photo": lambda: show.photo(photo(), outlines=True),
    "overlay": lambda: show.overlay(heat(LEFT)),
    "row": lambda: show.row([heat(LEFT), heat(RIGHT)]),
    "row, own scales": lambda: show.row([heat(LEFT), heat(RIGHT)], ["one", "two"], shared=False),
    "signed": lambda: show.signed([heat(LEFT), heat(RIGHT)]),
    "maps": lambda: show.maps(torch.tensor([LEFT, RIGHT, LEFT]), columns=2),
}
DRAWN = {name: cache(draw) for name, draw in PICTURES.items()}


def pixels(picture: Figure) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.png(dpi=100))).convert("RGB"))


def panel(picture: Figure, number: int = 0) -> np.ndarray:
    """The pixels inside one of a picture's axes, without their border."""
    drawn = pixels(picture)
    box = picture.figure.axes[number].get_window_extent()
    return drawn[len(drawn) - int(box.y1) + 2 : len(drawn) - int(box.y0) - 2, int(box.x0) + 2 : int(box.x1) - 2]


def layers(picture: Figure, number: int = 0) -> list[Any]:
    return picture.figure.axes[number].images


@pytest.mark.slow
@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_nothing_is_cut_off_and_nothing_lies_on_the_caption(draw):
    picture = draw()
    drawn = pixels(picture)
    assert (drawn[[0, -1]] == 255).all() and (drawn[:, [0, -1]] == 255).all()  # a white edge on every side
    figure = picture.figure
    caption = figure._supxlabel.get_window_extent()
    assert caption.y0 >= 0 and caption.x0 >= 0 and caption.x1 <= drawn.shape[1]
    for ax in figure.axes:
        box = ax.get_tightbbox()
        assert box.y0 >= caption.y1 - 1 and box.y1 <= drawn.shape[0] + 1
        assert box.x0 >= -1 and box.x1 <= drawn.shape[1] + 1
    band = drawn[len(drawn) - int(caption.y1) : len(drawn) - int(caption.y0)]
    assert (band < 100).any() or not figure.get_supxlabel()  # ink


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_two_renders_are_the_same_bytes(name):
    once = DRAWN[name]()
    assert once.png() == once.png() == PICTURES[name]().png()


@pytest.mark.slow
def test_no_line_of_a_caption_breaks_a_size_a_share_or_a_place_or_begins_with_a_dot(monkeypatch):
    monkeypatch.setattr(mpl.Figure, "draw_without_rendering", lambda figure: None)  # a caption is broken before that
    for width in range(12, 40):
        caption = show.overlay(heat(LEFT, words="d" * width)).figure.get_supxlabel()
        assert not re.search(r"(×|\d|row|column)\n(×|%|\d)|\n%|\n·", caption)


@pytest.mark.slow
def test_the_lines_of_a_caption_are_as_few_as_can_be_and_even(monkeypatch):
    monkeypatch.setattr(mpl.Figure, "draw_without_rendering", lambda figure: None)
    for count in (8, 13, 14, 27, 60):
        picture = show.overlay(heat(LEFT, words="word " * count + "end"))
        lines = picture.figure.get_supxlabel().splitlines()
        widest = int(picture.figure.get_figwidth() * 13)
        assert len(lines) == len(textwrap.wrap(" ".join(lines), widest))
        assert max(map(len, lines[:-1])) - len(lines[-1]) < len(lines) * len("word ")
        assert max(map(len, lines)) <= widest


def test_words_of_an_overlay_come_from_the_map():
    assert show.overlay(heat(LEFT)).words == (
        "dog 0.70 · peak at row 1, column 1 of 2 × 3 · 71 % of the heat on the dog (evenly spread: 24 %)"
    )
    words = "dog 0.70 · peak at row 2, column 3 of 2 × 3 · 0 % of the heat on the dog (evenly spread: 24 %)"
    assert show.overlay(heat(RIGHT)).words == words
    assert "no heat" in show.overlay(heat([[-1.0, -2.0]])).words


def test_words_of_a_photo_come_from_its_outlines():
    assert show.photo(photo()).words == "field · 90 × 60 pixels · known outline: dog"
    assert show.photo(photo(), outlines=True).words.endswith("· share of the picture: dog 24 %")
    bare = Photo(Image.new("RGB", (90, 60), GREY), title="mine")
    assert show.photo(bare, outlines=True).words == "mine · 90 × 60 pixels"


@pytest.mark.slow
def test_words_of_a_row_tell_the_strength_that_its_scale_shows():
    one, two = show.row([heat(LEFT, words="dog 1"), heat(RIGHT, words="cat 1")]).words.splitlines()
    assert one.endswith("on the dog (evenly spread: 24 %)")
    assert two.endswith("on the dog (evenly spread: 24 %) · its peak is 50 % of the highest")
    own = show.row([heat(LEFT, words="dog 1"), heat(RIGHT, words="cat 1")], ["A", "B"], shared=False).words
    assert "highest" not in own and own.splitlines()[1].startswith("B: cat 1 · peak at row 2, column 3")


def test_words_of_signed_values_tell_both_sides():
    words = show.signed([heat([[3.0, 0.0], [-1.0, 0.0]]), heat([[0.0, 0.0]])], ["A", "B"]).words
    assert words.splitlines() == [
        "A: 75 % of the total speaks for it, most at row 1, column 1 · "
        "25 % of the total speaks against it, most at row 2, column 1 · values from -1 to 3",
        "B: 0 % of the total speaks for it · 0 % of the total speaks against it · values from 0 to 0",
    ]
    even = show.signed([heat([[2.0, 2.0]])], ["C"]).words  # no cell has most
    assert even.startswith("C: 100 % of the total speaks for it, the same everywhere · 0 % of")


@pytest.mark.slow
def test_words_of_maps_tell_range_and_strongest():
    A = torch.zeros(3, 2, 3)
    A[1, 1, 2], A[2, 0, 0] = 7, -1.5
    assert show.maps(A).words == "3 maps of 2 × 3 from -1.5 to 7.0 · strongest: channel 1, at row 2, column 3"
    assert show.maps(A, ["a", "b", "c"]).words.endswith("strongest: b, at row 2, column 3")


def test_the_photo_has_no_heat_outside_the_region():
    # The network saw the middle third only, and everything in it is hot.
    picture = show.overlay(heat([[1.0, 1.0], [1.0, 1.0]], region=(30.0, 0.0, 60.0, 60.0)), opacity=1.0)
    drawn = panel(picture).astype(int)
    width = drawn.shape[1]
    left, middle, right = (
        drawn[:, : width * 3 // 10],
        drawn[:, width * 4 // 10 : width * 6 // 10],
        drawn[:, -width // 4 :],
    )
    assert np.abs(left - GREY).max() <= 1 and np.abs(right - GREY).max() <= 1
    assert np.median(np.abs(middle - GREY), axis=(0, 1)).max() > 50  # but for the ring at the peak


@pytest.mark.slow
def test_rows_and_columns_are_not_swapped_on_a_tall_photo():
    picture = show.overlay(heat([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]], on=photo(40, 60)), opacity=1.0)
    changed = np.abs(panel(picture).astype(int) - GREY).sum(axis=2) > 60
    rows, columns = np.nonzero(changed)
    assert rows.max() < 0.55 * len(changed) and columns.max() < 0.8 * changed.shape[1]


@pytest.mark.slow
def test_no_rainbow_colours():
    for path in LIBRARY.rglob("*.py"):
        assert not re.search(r"[\"'](jet|turbo|rainbow|hsv|gist_rainbow)[\"']", path.read_text(encoding="utf-8")), path
    for name in ("signed", "maps"):
        assert layers(PICTURES[name]())[0].get_cmap().name in ("viridis", "RdBu_r")
    from matplotlib import colormaps

    brightness = [np.dot(to_rgb(c), (0.2126, 0.7152, 0.0722)) for c in colormaps[COLOURS](np.linspace(0, 1, 64))]
    assert (np.diff(brightness) > 0).all()  # stronger is brighter, also for who sees no colours


def test_wrong_input_gets_one_sentence():
    with pytest.raises(ValueError, match=r"opacity lies between 0 and 1, and 1\.5 does not"):
        show.overlay(heat(LEFT), opacity=1.5)
    with pytest.raises(ValueError, match="1 titles for 2 maps: give one for each, or none"):
        show.row([heat(LEFT), heat(RIGHT)], ["only one"])
    with pytest.raises(ValueError, match="1 titles for 2 maps"):
        show.maps(torch.zeros(2, 3, 3), ["only one"])
    with pytest.raises(ValueError, match="There is nothing to draw"):
        show.row([])
    with pytest.raises(ValueError, match="There is nothing to draw"):
        show.signed([])
    with pytest.raises(ValueError, match=r"K × H × W, and this is 1 × 8 × 7 × 7: take one picture's"):
        show.maps(torch.zeros(1, 8, 7, 7))


@pytest.mark.slow
def test_save_writes_the_same_bytes(tmp_path):
    picture = show.overlay(heat(LEFT))
    picture.save(tmp_path / "where.png")
    assert (tmp_path / "where.png").read_bytes() == picture.png()


@pytest.mark.slow
def test_a_slider_redraws_picture_and_words():
    A = torch.eye(3)[:, None]  # map k has its peak in column k + 1
    varied = ll.show.vary(lambda k: show.maps(A[k : k + 1]), k=(0, 2, 1))
    slider, view = varied.widget.children
    assert (slider.description, slider.value) == ("k", 1) and repr(varied).endswith("column 2")
    first = view.value
    assert f'alt="{varied.figure.words}"' in first
    slider.value = 2
    assert repr(varied).endswith("column 3") and view.value != first
    png = base64.b64decode(re.search(r"base64,([^\"]+)", view.value)[1])
    assert Image.open(io.BytesIO(png)).text["Description"] == varied.figure.words


@pytest.mark.slow
def test_controls_stand_over_a_picture_that_needs_no_widgets():
    varied = show.vary(lambda name: show.overlay(heat(LEFT, words=name)), name=["a <b>", "c"])
    data, metadata = varied._repr_mimebundle_()
    assert data["text/plain"] == metadata["image/jpeg"]["alt"] == varied.figure.words
    assert base64.b64decode(data["image/jpeg"]) == varied.figure.jpeg()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert 'alt="a &lt;b&gt; ·' in varied.widget.children[1].value


def test_an_error_while_drawing_is_not_swallowed():
    def draw(k):
        if k == 2:
            raise RuntimeError("no such <layer>")
        return show.photo(photo())

    with pytest.raises(RuntimeError, match="no such <layer>"):
        show.vary(draw, k=[2, 1])
    slider, view = show.vary(draw, k=(0, 2, 1)).widget.children
    with pytest.raises(RuntimeError, match="no such <layer>"):
        slider.value = 2
    assert view.value == "<pre>RuntimeError: no such &lt;layer&gt;</pre>"
    slider.value = 0
    assert "<img" in view.value
    with pytest.raises(ValueError, match=r"None makes no control for 'k': give \(lowest, highest, step\)"):
        show.vary(lambda k: show.photo(photo()), k=None)


def test_a_row_of_many_maps_is_drawn_smaller_and_nothing_under_a_panel_is_cut():
    few, many = show.signed([heat(LEFT)] * 3), show.signed([heat(LEFT)] * 7)
    assert many.width < 1.2 * 100 * WIDEST < 7 * few.width / 3
    assert not [text.get_text() for text in many.figure.findobj(Text) if "…" in text.get_text()]
    assert "most at row" in many.words
