"""What is on the canvas: images, boxes, outlines, colour bars and captions, in the places and colours that words name.

`EXAMPLES` holds pictures of every public function of `show`. A new function fails here until it has one, and is then
held to all that the tests over `EVERY` ask.
"""

import base64
import io
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import to_rgba
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from lessons_lib import show
from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.records import Box, Outlined, Photo
from lessons_lib.show.figure import Figure
from lessons_lib.show.figures import COLOURS

pytestmark = pytest.mark.slow

GREY = (90, 120, 150)
WIDE, TALL = (90, 60), (50, 80)
BOX = Box("dog", 0.9, (10.0, 30.0, 70.0, 50.0))  # three times as wide as high, on a photo that is no square either
OTHER = Box("cat", 0.8, (60.0, 4.0, 80.0, 26.0))
VALUES = [[4.0, 1.0, 0.0], [-2.0, 0.0, 0.0]]


def photo(size: tuple[int, int] = WIDE) -> Photo:
    """One colour, with an object on columns 20 to 39 and rows 10 to 39."""
    mask = np.zeros(size[::-1], dtype=bool)
    mask[10:40, 20:40] = True
    return Photo(Image.new("RGB", size, GREY), (Outlined("dog", mask),), title="field")


def pair_of_dogs(values: list[float]) -> Heatmap:
    """A map with one cell on each of two dogs."""
    masks = [np.zeros(WIDE[::-1], dtype=bool) for _ in range(2)]
    masks[0][10:50, 5:40], masks[1][10:50, 60:85] = True, True
    two = Photo(Image.new("RGB", WIDE, GREY), tuple(Outlined("dog", mask) for mask in masks))
    return Heatmap(torch.tensor([values]), two, (0.0, 0.0, 90.0, 60.0), "dog 0.70", "method", "layer")


def heat(values: Any = VALUES, size: tuple[int, int] = WIDE, region: Any = None, words: str = "dog 0.70") -> Heatmap:
    region = region or (0.0, 0.0, *map(float, size))
    return Heatmap(torch.tensor(values), photo(size), region, words, "method", "layer")


PAIR = [heat(), heat([[0.0, 2.0, 0.0], [0.0, 0.0, -8.0]])]
GRID = [[heat([[float(k), 1.0, 0.0], [0.0, 2.0, -1.0]]) for k in range(j, j + 3)] for j in (0, 1)]
FINE = torch.arange(60 * 90.0).view(60, 90) / 100 - 4
LONG = " and ".join(["a very long question"] * 9)
BARS = {
    "overlay": "heat ÷ its peak",
    "row": "heat",
    "compare": "heat ÷ the top of its scale",
    "signed": "against ← value → for",
    "maps": "activation",
    "grid": "heat ÷ its peak",
    "sharp": "value",
}
EXAMPLES: dict[str, dict[str, Callable[[], Any]]] = {
    "photo": {
        "boxes": lambda: show.photo(photo(), boxes=[BOX, OTHER]),
        "outlines": lambda: show.photo(photo(TALL), outlines=True),
    },
    "overlay": {
        "boxes": lambda: show.overlay(heat(), boxes=[BOX, OTHER]),
        "crop": lambda: show.overlay(heat(size=TALL, region=(5.0, 20.0, 45.0, 60.0)), opacity=1.0),
        "long": lambda: show.overlay(heat(words=LONG)),
        "luck": lambda: show.overlay(heat(), luck=True),
    },
    "row": {
        "boxes": lambda: show.row(PAIR, ["one", "two"], boxes=[BOX, OTHER]),
        "tall": lambda: show.row([heat(size=TALL)] * 2, shared=False),
        "reach": lambda: show.row([pair_of_dogs([4.0, 1.0]), pair_of_dogs([4.0, 3.0])], ["a", "b"], reach=0.5),
        "cells": lambda: show.row(PAIR, ["one", "two"], cells=True),
    },
    "compare": {"two units": lambda: show.compare([*PAIR, replace(PAIR[0], method="other")], ["one", "two", "three"])},
    "signed": {"pair": lambda: show.signed([heat([[6.0, 0.0, -6.0], [2.0, 0.0, -8.0]]), PAIR[0]], ["one", "two"])},
    "maps": {
        "grid": lambda: show.maps(torch.arange(30.0).view(5, 2, 3) + 7, columns=3),
        "signed": lambda: show.maps(torch.arange(30.0).view(5, 2, 3) - 7, columns=3),
        "beside": lambda: show.maps(torch.arange(120.0).view(5, 4, 6), columns=3, beside=heat()),  # heat is 2 × 3
    },
    "grid": {"two by three": lambda: show.grid(GRID, ["one", "two"], ["a", "b", "c"])},
    "sharp": {"fine": lambda: show.sharp(heat(FINE.tolist()))},
    "vary": {"slider": lambda: show.vary(lambda k: show.overlay(heat([[1.0, k]])), k=(0.0, 2.0, 0.5))},
}
DRAWN = {(function, what): cache(draw) for function, some in EXAMPLES.items() for what, draw in some.items()}
EVERY = [pytest.param(draw, id="-".join(name)) for name, draw in DRAWN.items()]


@pytest.fixture
def not_laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that ask what was drawn and not where on the canvas: most of the time goes into the layout."""
    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", lambda engine, figure: None)


def figure(drawn: Any) -> Figure:
    """The figure, drawn once: only then do its axes and its bar take their places."""
    picture: Figure = drawn if isinstance(drawn, Figure) else drawn.figure
    pixels(picture)
    return picture


def panels(picture: Figure) -> list[Axes]:
    """The axes that hold a picture or a map."""
    return [ax for ax in picture.figure.axes if ax.images]


def under(ax: Axes) -> list[Any]:
    """What is told under a panel; the names of rows stand beside it."""
    return [text for text in ax.texts if text.get_gid() == "under" and text.get_va() == "top"]


def texts(ax: Axes) -> list[Any]:
    """What is written on a panel."""
    return [text for text in ax.texts if text.get_gid() != "under"]


def bars(picture: Figure) -> list[Colorbar]:
    return [ax._colorbar for ax in picture.figure.axes if hasattr(ax, "_colorbar")]


def mapped(picture: Figure) -> list[AxesImage]:
    """The images whose numbers become colours by a scale."""
    return [image for ax in panels(picture) for image in ax.images if image.get_array().ndim == 2]


def coloured(picture: Figure) -> list[np.ndarray]:
    """The heat that was laid over photos, height×width×RGBA."""
    return [np.asarray(i.get_array()) for ax in panels(picture) for i in ax.images if i.get_array().shape[-1] == 4]


def photographic(picture: Figure) -> bool:
    return any(image.get_array().ndim == 3 for ax in panels(picture) for image in ax.images)


@cache
def pixels(picture: Figure) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.png(dpi=100))).convert("RGB")).astype(int)


def pixel(picture: Figure, ax: Axes, x: float, y: float) -> np.ndarray:
    """The colour on the canvas at a place in an axes' own units."""
    drawn = pixels(picture)
    across, up = ax.transData.transform((x, y))
    return drawn[len(drawn) - 1 - int(up), int(across)]


def bounds(ax: Axes) -> tuple[float, float, float, float]:
    """Left, bottom, right and top on the canvas of what the axes' images cover."""
    left, right, bottom, top = ax.images[0].get_extent()
    (x0, y0), (x1, y1) = ax.transData.transform([(left, bottom), (right, top)])
    return x0, y0, x1, y1


def test_every_public_function_has_an_example_here() -> None:
    assert set(EXAMPLES) == set(show.__all__) - {"Figure"}


@pytest.mark.parametrize("draw", EVERY)
def test_every_axes_holds_an_image_or_a_colour_bar_and_lies_inside_the_figure(draw: Callable[[], Any]) -> None:
    picture = figure(draw())
    height, width = pixels(picture).shape[:2]
    assert panels(picture)
    assert len(panels(picture)) + len(bars(picture)) == len(picture.figure.axes)
    for ax in picture.figure.axes:
        around = ax.get_tightbbox()
        assert around.x0 >= 0 and around.y0 >= 0 and around.x1 <= width and around.y1 <= height
    for ax in panels(picture):
        assert not ax.axison  # no ticks around a picture
        (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
        for image in ax.images:
            assert image.get_visible() and image.get_alpha() in (None, 1)
            assert image.get_extent() == [left, right, bottom, top]  # whole, and no image beside another
        assert left < right and top < bottom  # columns to the right, rows downwards


@pytest.mark.parametrize("draw", EVERY)
def test_pictures_are_neither_stretched_nor_squeezed_nor_on_one_another(draw: Callable[[], Any]) -> None:
    picture = figure(draw())
    covered = 0.0
    for ax in panels(picture):
        x0, y0, x1, y1 = bounds(ax)
        left, right, bottom, top = ax.images[0].get_extent()
        assert (x1 - x0) / (right - left) == pytest.approx((y1 - y0) / (bottom - top), rel=0.01)
        assert min(x1 - x0, y1 - y0) > 60
        covered += (x1 - x0) * (y1 - y0)
        for other in panels(picture):
            a0, b0, a1, b1 = bounds(other)
            assert other is ax or x1 <= a0 or a1 <= x0 or y1 <= b0 or b1 <= y0
    caption = picture.figure._supxlabel.get_window_extent()
    height, width = pixels(picture).shape[:2]
    assert covered > 0.4 * width * (height - caption.height)


@pytest.mark.parametrize("draw", EVERY)
def test_the_caption_lies_under_everything_in_full_and_each_title_over_its_own_panel(draw: Callable[[], Any]) -> None:
    picture = figure(draw())
    caption = picture.figure._supxlabel
    around = caption.get_window_extent()
    told, apart = " ".join(picture.words.split()), [ax for ax in panels(picture) if under(ax)]
    assert " ".join(caption.get_text().split()) in (told, "")
    for ax in apart:
        (text,) = under(ax)
        x0, y0, x1, _ = bounds(ax)
        box = text.get_window_extent()
        assert box.y1 <= y0 and abs((box.x0 + box.x1) - (x0 + x1)) < 2 and box.x1 - box.x0 < 1.15 * (x1 - x0)
        lines = text.get_text().replace("\N{NO-BREAK SPACE}", " ").splitlines()
        assert len(lines) <= 2 and all(set(line.split()) <= set(told.split()) | {"…"} for line in lines)
    assert around.x0 >= 0 and around.y0 >= 0 and around.x1 <= pixels(picture).shape[1]
    for ax in picture.figure.axes:
        assert ax.get_tightbbox().y0 >= around.y1 - 1
    for ax in panels(picture):
        if ax.get_title():
            x0, _, x1, y1 = bounds(ax)
            title = ax.title.get_window_extent()
            assert title.y0 >= y1 - 1 and x0 < (title.x0 + title.x1) / 2 < x1


@pytest.mark.parametrize("draw", EVERY)
def test_whatever_is_coloured_by_a_scale_has_a_colour_bar_with_that_scale(draw: Callable[[], Any]) -> None:
    picture = figure(draw())
    assert len(bars(picture)) == bool(mapped(picture) or coloured(picture))
    for bar in bars(picture):
        for image in mapped(picture):
            assert image.get_cmap() == bar.cmap
            assert image.get_clim() == (bar.norm.vmin, bar.norm.vmax) and type(image.norm) is type(bar.norm)
        palette = bar.cmap(np.arange(256), bytes=True)[:, :3].astype(int)
        for layer in coloured(picture):
            seen = np.unique(layer.reshape(-1, 4), axis=0).astype(int)
            step = np.array([np.abs(palette - one[:3]).sum(axis=1).argmin() for one in seen])
            assert (palette[step] == seen[:, :3]).all()  # no colour that the bar has not
            assert (np.diff(seen[np.argsort(step, kind="stable"), 3]) >= 0).all()  # and what is higher is less clear
        assert bar.ax.get_ylabel() and bar.ax.get_ylim() == (bar.norm.vmin, bar.norm.vmax)  # low below, high above
        x0, y0, x1, y1 = bar.ax.get_window_extent().extents
        drawn, middle = pixels(picture), int((x0 + x1) / 2)
        for up, colour in ((int(y1) - 2, palette[-1]), (int(y0) + 2, palette[0])):
            assert np.abs(drawn[len(drawn) - 1 - up, middle] - colour).max() < 30
        edges = [bounds(ax) for ax in panels(picture)]
        assert 0 < x0 - max(edge[2] for edge in edges) < 0.03 * drawn.shape[1]  # beside what it explains
        assert y1 - y0 > 0.5 * (max(edge[3] for edge in edges) - min(edge[1] for edge in edges))
        assert (y1 - y0) / (x1 - x0) == pytest.approx(18, abs=0.5)  # slender, and alike in every figure


@pytest.mark.parametrize("draw", EVERY)
def test_the_words_are_in_the_text_the_alt_and_the_file(draw: Callable[[], Any]) -> None:
    drawn = draw()
    data, metadata = drawn._repr_mimebundle_()
    words, kind = figure(drawn).words, "image/jpeg" if photographic(figure(drawn)) else "image/png"
    stored = Image.open(io.BytesIO(base64.b64decode(data[kind])))
    inside = stored.text["Description"] if kind == "image/png" else stored.info["comment"].decode()
    assert words == data["text/plain"] == metadata[kind]["alt"] == inside == repr(drawn)
    assert any(sign.isdigit() for sign in words)  # computed, not typed
    assert set(getattr(stored, "text", [])) <= {"Description"}  # no release of Matplotlib's: the bytes stay the same
    assert stored.size == pytest.approx(200 * figure(drawn).figure.get_size_inches(), abs=1)
    assert metadata[kind]["width"] == pytest.approx(stored.size[0] / 2, abs=1)  # twice the pixels that it takes
    assert {one for one in data if one.startswith("image/")} == {kind}


@pytest.mark.usefixtures("not_laid_out")
def test_maps_of_many_cells_are_stored_as_a_photo_is_and_those_of_few_without_loss() -> None:
    assert show.maps(torch.rand(2, 28, 28)).stored()[0] == "image/png"
    assert show.maps(torch.rand(2, 56, 56)).stored()[0] == "image/jpeg"


@pytest.mark.parametrize("function", ["photo", "overlay", "row"])
def test_boxes_are_drawn_where_they_lie_with_their_names_inside(function: str) -> None:
    picture = DRAWN[function, "boxes"]()
    for ax in panels(picture):
        assert [patch.get_bbox().bounds for patch in ax.patches] == [(9.5, 29.5, 60, 20), (59.5, 3.5, 20, 22)]
        assert [text.get_text() for text in texts(ax)] == ["dog", "cat"]
        for patch, text, box in zip(ax.patches, texts(ax), (BOX, OTHER), strict=True):
            assert not patch.get_fill() and patch.get_edgecolor() == to_rgba("cyan")
            assert patch.get_linewidth() == 1.2 and text.get_fontsize() == 7  # seen, and covers little
            assert text.get_position() == (box.edges[0] + 2, box.edges[1] + 2)
            left, top, right, bottom = box.edges
            (x0, y1), (x1, y0) = ax.transData.inverted().transform(text.get_window_extent().get_points())
            assert left < x0 < x1 and top < y0 < y1 < bottom and x0 - left < 4 and y0 - top < 4
            assert text.get_color() == "black" and text.get_bbox_patch().get_facecolor() == to_rgba("cyan")
            edge = np.array([[left, bottom - 2], [right, bottom - 2], [right - 2, top], [right - 2, bottom]]) - 0.5
            for x, y in edge:
                red, green, blue = pixel(picture, ax, x, y)
                assert min(green, blue) > red + 40
            inside = pixel(picture, ax, right - 4, bottom - 4)
            assert not min(inside[1:]) > inside[0] + 80  # the frame is empty


def test_the_words_of_a_photo_tell_its_boxes_on_a_line_each() -> None:
    assert DRAWN["photo", "boxes"]().words.splitlines()[1:] == [
        "box 0: dog 0.90 · columns 10 to 70, rows 30 to 50",
        "box 1: cat 0.80 · columns 60 to 80, rows 4 to 26",
    ]


def test_without_boxes_none_is_drawn() -> None:
    for name in (("photo", "outlines"), ("overlay", "long"), ("row", "tall")):
        assert not any(ax.patches or texts(ax) for ax in panels(DRAWN[name]()))


@pytest.mark.usefixtures("not_laid_out")
@pytest.mark.parametrize("cell", [(0, 0), (0, 2), (1, 1)])
def test_a_ring_seen_on_dark_and_bright_marks_the_middle_of_the_peaks_cell(cell: tuple[int, int]) -> None:
    values = torch.zeros(2, 3)
    values[cell] = 4
    for picture in (show.overlay(heat(values.tolist())), show.row([heat(values.tolist()), heat()])):
        rings = panels(picture)[0].lines
        assert [ring.get_markeredgecolor() for ring in rings] == ["black", "white"]  # the wider one below
        assert rings[0].get_markeredgewidth() > rings[1].get_markeredgewidth()
        for ring in rings:
            assert ring.get_marker() == "o" and ring.get_markerfacecolor() == "none"
            assert ring.get_xydata().tolist() == [[30 * cell[1] + 14.5, 30 * cell[0] + 14.5]]
    (margin,) = panels(show.overlay(heat([[0.0, 0.0, 0.0, 1.0]], region=(0.0, 0.0, 120.0, 60.0))))
    assert margin.get_xlim() == (-0.5, 89.5) and margin.get_ylim() == (59.5, -0.5)  # out of sight, and nothing squeezed
    assert not panels(show.overlay(heat([[-1.0, 0.0]])))[0].lines
    assert not panels(show.row([heat([[-1.0, 0.0]]), heat()]))[0].lines  # not on another map's scale either


@pytest.mark.parametrize("opacity", [0.35, 1.0])
def test_heat_has_the_colour_of_its_bar_and_the_opacity_that_was_asked_for(opacity: float) -> None:
    picture = show.overlay(heat(), opacity=opacity)
    (layer,) = coloured(picture)
    strength = heat().on_photo() / 4
    np.testing.assert_array_equal(layer[..., :3], colormaps[COLOURS](strength, bytes=True)[..., :3])
    np.testing.assert_allclose(layer[..., 3], 255 * opacity * strength**0.5, atol=0.51)
    peak = np.unravel_index(strength.argmax(), strength.shape)
    assert tuple(layer[peak]) == (*colormaps[COLOURS](1.0, bytes=True)[:3], round(255 * opacity))
    top = np.array(colormaps[COLOURS](1.0, bytes=True)[:3], dtype=float)
    on_canvas = pixel(picture, panels(picture)[0], 2, 2)
    assert np.abs(on_canvas - (opacity * top + (1 - opacity) * np.array(GREY))).max() < 3


@pytest.mark.usefixtures("not_laid_out")
def test_the_default_opacity_lets_the_photo_through_and_is_one_and_the_same() -> None:
    for picture in (show.overlay(heat()), show.row([heat()]), heat().show()):
        assert coloured(picture)[0][..., 3].max() == round(255 * 0.7)


@pytest.mark.usefixtures("not_laid_out")
def test_a_row_draws_on_the_highest_peaks_scale_or_each_map_on_its_own() -> None:
    shared, own = coloured(show.row(PAIR, opacity=1.0)), coloured(show.row(PAIR, opacity=1.0, shared=False))
    for layers, tops in ((shared, (1.0, 0.5)), (own, (1.0, 1.0))):
        for one, layer, top in zip(PAIR, layers, tops, strict=True):
            strength = one.on_photo() / one.positive.max().item() * top
            np.testing.assert_array_equal(layer[..., :3], colormaps[COLOURS](strength, bytes=True)[..., :3])
            np.testing.assert_allclose(layer[..., 3], 255 * strength**0.5, atol=0.51)
    (bar,) = bars(show.row(PAIR))
    assert (bar.norm.vmin, bar.norm.vmax, bar.ax.get_ylabel()) == (0, 4, "heat")
    (bar,) = bars(show.row(PAIR, shared=False))
    assert (bar.norm.vmin, bar.norm.vmax, bar.ax.get_ylabel()) == (0, 1, "heat ÷ its peak")


@pytest.mark.usefixtures("not_laid_out")
def test_maps_without_heat_are_drawn_as_their_photo() -> None:
    blank = heat([[-1.0, 0.0], [0.0, -3.0]])
    for picture in (show.overlay(blank), show.row([blank, heat()]), show.row([blank], shared=False)):
        assert not coloured(picture)[0][..., 3].any()
    assert not show.row([blank, heat()]).words.splitlines()[0].endswith("of the highest")


@pytest.mark.usefixtures("not_laid_out")
def test_titles_stand_over_their_own_maps_and_are_the_explained_number_unless_given() -> None:
    two = [heat(words="dog 0.70"), heat(words="cat 0.20")]
    grid = show.maps(torch.eye(4).view(2, 2, 4))
    for picture, size in ((show.row(two), 10), (show.signed(two), 10), (grid, 8)):
        assert {ax.title.get_fontsize() for ax in panels(picture)} == {size}
        assert picture.figure._supxlabel.get_fontsize() == 9
    for draw in (show.row, show.signed):
        assert [ax.get_title() for ax in panels(draw(two))][-2:] == ["dog 0.70", "cat 0.20"]
        assert [ax.get_title() for ax in panels(draw(two, ["a", "b"]))][-2:] == ["a", "b"]
    assert [ax.get_title() for ax in panels(grid)] == ["channel 0", "channel 1"]
    assert [ax.get_title() for ax in panels(show.maps(torch.eye(4).view(2, 2, 4), ["a", "b"]))] == ["a", "b"]
    assert not panels(show.overlay(heat()))[0].get_title() and not panels(show.photo(photo()))[0].get_title()


@pytest.mark.usefixtures("not_laid_out")
def test_objects_that_a_map_reaches_are_ticked_and_the_others_crossed() -> None:
    picture = DRAWN["row", "reach"]()
    for ax, marks, count in zip(panels(picture), (["✓", "✗"], ["✓", "✓"]), (1, 2), strict=True):
        assert [text.get_text() for text in texts(ax)] == marks
        assert [text.get_position() for text in texts(ax)] == [(22.0, 29.5), (72.0, 29.5)]  # in the middle of each dog
        *outlines, line = ax.collections
        assert len(outlines) == 2 and to_rgba("cyan") == tuple(line.get_edgecolor()[0])
        assert under(ax)[0].get_text().startswith(f"{count} of 2 objects reach 50\N{NO-BREAK SPACE}% of the peak")
    assert [line.split(" · ")[-1] for line in picture.words.splitlines()] == [
        "1 of 2 objects reach 50 % of the peak",
        "2 of 2 objects reach 50 % of the peak",
    ]
    assert "0 of 2" in show.row([pair_of_dogs([-1.0, 0.0])], reach=0.5).words
    assert "2 of 2" in show.row([pair_of_dogs([4.0, 1.7])], reach=0.5).words  # one pixel is enough
    for wrong in (0, 1.5, True, "half"):
        with pytest.raises(ValueError, match=r"reach=.* is a share of the map's peak: give a number above 0"):
            show.row(PAIR, reach=wrong)  # type: ignore[arg-type]


@pytest.mark.usefixtures("not_laid_out")
def test_cells_are_drawn_as_the_rectangles_that_they_are() -> None:
    for layers, maps in (
        (coloured(DRAWN["row", "cells"]()), PAIR),
        (coloured(show.overlay(PAIR[0], cells=True)), PAIR),
    ):
        top = 4 if len(layers) > 1 else float(maps[0].positive.max())
        for layer, one in zip(layers, maps, strict=False):
            expected = one.positive.numpy().repeat(30, 0).repeat(30, 1) / top
            np.testing.assert_array_equal(layer[..., :3], colormaps[COLOURS](expected, bytes=True)[..., :3])
    crop = coloured(show.overlay(heat(region=(30.0, 0.0, 90.0, 60.0)), cells=True))[0][..., 3]
    assert not crop[:, :30].any() and crop[0, 30:50].all() and (crop[0, 30:50] == crop[0, 30]).all()


def test_signed_values_and_feature_maps_stand_beside_what_they_lie_on_with_its_outlines() -> None:
    for picture, cells in ((DRAWN["signed", "pair"](), (2, 3)), (DRAWN["maps", "beside"](), (4, 6))):
        first, *others = panels(picture)
        assert first.images[0].get_array().shape == (60, 90, 3) and first.get_title() == "what the network saw"
        assert len(first.collections) == 1
        for ax in others:
            (line,) = ax.collections
            corners = np.concatenate([path.vertices for path in line.get_paths()])
            # The dog covers columns 20 to 39 and rows 10 to 39 of a photo of 90 × 60.
            scale = np.array([cells[1] / 90, cells[0] / 60])
            np.testing.assert_allclose(corners.min(axis=0), np.array([20, 10]) * scale - 0.5, atol=0.02)
            np.testing.assert_allclose(corners.max(axis=0), np.array([40, 40]) * scale - 0.5, atol=0.02)


@pytest.mark.usefixtures("not_laid_out")
def test_signed_maps_of_two_photos_stand_without_one() -> None:
    assert len(panels(show.signed([heat(), heat(size=TALL)]))) == 2
    (alone,) = panels(show.signed([heat()], photo=False))
    assert not alone.collections  # nor an outline


@pytest.mark.usefixtures("not_laid_out")
def test_feature_maps_may_have_a_scale_each() -> None:
    A = torch.tensor([[[0.0, 1.0]], [[0.0, -50.0]]])
    assert [one.get_clim() for one in mapped(show.maps(A, shared=False))] == [(0, 1), (-50, 0)]
    (bar,) = bars(show.maps(A, shared=False))
    assert bar.ax.get_ylabel() == "each from lowest to highest" and (bar.norm.vmin, bar.norm.vmax) == (0, 1)


@pytest.mark.usefixtures("not_laid_out")
def test_a_table_names_its_rows_and_columns_and_tells_every_share() -> None:
    picture = DRAWN["grid", "two by three"]()
    assert [ax.get_title() for ax in panels(picture)] == ["a", "b", "c", "", "", ""]
    assert [text.get_text() for ax in panels(picture) for text in ax.texts] == ["one", "two"]
    for layer, one in zip(coloured(picture), [one for line in GRID for one in line], strict=True):
        strength = one.on_photo() / float(one.positive.max())
        np.testing.assert_array_equal(layer[..., :3], colormaps[COLOURS](strength, bytes=True)[..., :3])
    first, *lines = picture.words.splitlines()
    assert first == "columns: a, b, c"
    mask = photo().objects[0].mask
    for name, line, said in zip(("one", "two"), GRID, lines, strict=True):
        shares = ", ".join(f"{100 * one.share_on(mask):.0f}" for one in line)
        assert said == f"{name}: {shares} % of the heat on the dog (evenly spread: {100 * line[0].luck_on(mask):.0f} %)"
    with pytest.raises(ValueError, match="Each row of a table has one map for each of the 2 columns"):
        show.grid([PAIR, PAIR[:1]], ["a", "b"], ["c", "d"])
    with pytest.raises(ValueError, match=r"maps of one photo: draw those of others with `ll\.show\.row`"):
        show.grid([[heat(), heat(size=TALL)]], ["a"], ["b", "c"])
    with pytest.raises(TypeError, match="a list with a list of heatmaps for each row"):
        show.grid(PAIR, ["a"], ["b", "c"])  # type: ignore[arg-type]


@pytest.mark.usefixtures("not_laid_out")
def test_a_fine_map_is_drawn_by_itself_and_its_brightest_pixels_alike() -> None:
    first, second = panels(DRAWN["sharp", "fine"]())
    assert first.images[0].get_array().shape == (60, 90, 3)
    (image,) = second.images
    np.testing.assert_array_equal(image.get_array(), FINE.relu())
    assert image.get_cmap().name == "gray" and image.get_clim() == (0, pytest.approx(np.quantile(FINE.relu(), 0.995)))
    few = torch.zeros(60, 90)
    few[3, 4] = 2.0  # so few that the brightest half per cent would be dark
    assert panels(show.sharp(heat(few.tolist())))[1].images[0].get_clim() == (0, 2)


def test_an_outline_runs_along_the_edge_of_its_mask() -> None:
    picture = show.photo(photo(), outlines=True)
    (ax,) = panels(picture)
    (line,) = ax.collections
    corners = np.concatenate([path.vertices for path in line.get_paths()])
    assert (*corners.min(axis=0), *corners.max(axis=0)) == (19.5, 9.5, 39.5, 39.5)
    assert tuple(line.get_edgecolor()[0]) == to_rgba("white") and line.get_linewidth()[0] == 1.5
    for x, y in ((19.5, 25), (39.5, 25), (30, 9.5), (30, 39.5)):
        assert pixel(picture, ax, x, y).min() > 150
    assert not panels(show.photo(photo()))[0].collections


@pytest.mark.usefixtures("not_laid_out")
def test_every_object_has_its_own_outline() -> None:
    masks = [np.zeros(WIDE[::-1], dtype=bool) for _ in range(2)]
    masks[0][5:20, 5:30], masks[1][30:50, 50:60] = True, True
    two = Photo(Image.new("RGB", WIDE, GREY), tuple(Outlined("cat", mask) for mask in masks))
    assert len(panels(show.photo(two, outlines=True))[0].collections) == 2


@pytest.mark.usefixtures("not_laid_out")
@pytest.mark.parametrize(
    ("size", "region", "frame"),
    [
        (WIDE, (20.0, 10.0, 60.0, 50.0), (19.5, 9.5, 40, 40)),
        (WIDE, (20.0, 0.0, 70.0, 60.0), (19.5, -0.5, 50, 60)),
        (TALL, (0.0, 15.0, 50.0, 65.0), (-0.5, 14.5, 50, 50)),
        (WIDE, (0.0, 0.0, 99.0, 64.0), None),  # with a detector's margin: the whole photo
        (WIDE, (0.0, 20.0, 99.0, 64.0), (-0.5, 19.5, 90, 40)),
        (WIDE, (0.0, 0.0, 90.0, 60.0), None),
    ],
)
def test_a_dotted_frame_marks_what_the_network_saw(size: Any, region: Any, frame: Any) -> None:
    for picture in (show.overlay(heat(size=size, region=region)), show.row([heat(size=size, region=region)])):
        patches = panels(picture)[0].patches
        assert [patch.get_bbox().bounds for patch in patches] == [frame] * (frame is not None)
        for patch in patches:
            assert patch.get_linestyle() in (":", "dotted") and not patch.get_fill()
            assert patch.get_edgecolor() == to_rgba("white") and patch.get_linewidth() == 1


def test_a_caption_of_many_lines_takes_no_room_from_the_picture() -> None:
    short, long = DRAWN["overlay", "boxes"](), DRAWN["overlay", "long"]()
    assert long.figure.get_supxlabel().count("\n") > short.figure.get_supxlabel().count("\n") + 1
    for one, other in zip(short.figure.axes, long.figure.axes, strict=True):
        wide, high = one.get_window_extent().size
        assert other.get_window_extent().size == pytest.approx((wide, high), rel=0.03)
    x0, _, x1, _ = bounds(panels(long)[0])
    assert x1 - x0 > 0.6 * pixels(long).shape[1]


def test_signed_values_are_red_for_and_blue_against_as_on_their_bar() -> None:
    picture = DRAWN["signed", "pair"]()
    ax, (bar,) = panels(picture)[1], bars(picture)
    red, white, blue = (pixel(picture, ax, column, 0) for column in range(3))
    assert red[0] > red[2] + 80 and blue[2] > blue[0] + 80 and white.min() > 230
    assert np.abs(pixel(picture, bar.ax, 0.5, 6) - red).max() < 8
    assert np.abs(pixel(picture, bar.ax, 0.5, -6) - blue).max() < 8
    assert bar.ax.get_ylabel() == "against ← value → for" and bar.ax.get_ylim() == (-8, 8)


@pytest.mark.usefixtures("not_laid_out")
def test_one_maps_negative_values_set_the_scale_of_all() -> None:
    picture = show.signed([heat([[1.0, 0.0]]), heat([[0.0, -3.0]])])
    assert [image.get_clim() for image in mapped(picture)] == [(-3, 3), (-3, 3)]
    np.testing.assert_array_equal(mapped(picture)[1].get_array(), [[0, -3]])


def test_maps_lie_in_reading_order_on_the_figures_one_scale() -> None:
    A, picture = torch.arange(30.0).view(5, 2, 3) + 7, DRAWN["maps", "grid"]()
    assert len(panels(picture)) == 5
    places = [bounds(ax)[:2] for ax in panels(picture)]
    (x, y), row = places[0], [place[1] for place in places]
    assert row == pytest.approx([y, y, y, row[3], row[3]]) and row[3] < y - 60
    assert x < places[1][0] < places[2][0] and [place[0] for place in places[3:]] == pytest.approx([x, places[1][0]])
    for image, values in zip(mapped(picture), A, strict=True):
        np.testing.assert_array_equal(image.get_array(), values)
        assert image.get_clim() == (7, 36)
    assert {image.get_clim() for image in mapped(DRAWN["maps", "signed"]())} == {(-22, 22)}  # white is zero


@pytest.mark.parametrize("function", BARS)
def test_the_bar_says_what_its_numbers_are_in_letters_that_can_be_read(function: str) -> None:
    (bar,) = bars(DRAWN[function, next(iter(EXAMPLES[function]))]())
    assert bar.ax.get_ylabel() == BARS[function]
    assert {text.get_fontsize() for text in (bar.ax.yaxis.label, *bar.ax.get_yticklabels())} == {8}


@pytest.mark.usefixtures("not_laid_out")
@pytest.mark.parametrize(
    ("size", "share"), [((90, 60), 2 / 3), ((400, 100), 0.4), ((100, 400), 1.6), ((100, 250), 1.6), ((60, 90), 1.5)]
)
def test_a_figure_is_as_high_as_its_photo_and_neither_a_ribbon_nor_a_tower(size: Any, share: float) -> None:
    for picture, across, titled in (
        (show.photo(photo(size)), 1, 0),
        (show.row([heat(size=size)] * 2), 2, 0.18 + 0.3 - 0.17),  # two lines under each panel, none under all
        (show.maps(torch.zeros(3, *size[::-1])), 3, 0.18),
    ):
        one = {1: 4.4, 2: 3.8, 3: 1.5}[across]  # inches across each panel
        lines = picture.figure.get_supxlabel().count("\n") + 1
        high = one * share + titled + 0.2 + 0.17 * lines
        assert tuple(picture.figure.get_size_inches()) == pytest.approx((across * one + 0.9, high))


@pytest.mark.usefixtures("not_laid_out")
def test_eight_maps_stand_beside_each_other_unless_a_number_is_given() -> None:
    for count, options, columns in ((9, {}, 8), (3, {"columns": 20}, 3), (3, {"columns": 2}, 2)):
        grid = panels(show.maps(torch.rand(count, 2, 3), **options))[0].get_subplotspec().get_gridspec()
        assert grid.ncols == columns


def test_cells_are_not_blurred_into_one_another() -> None:
    picture = show.maps(torch.tensor([[[0.0, 1.0, 0.0]]]))
    (ax,) = panels(picture)
    for column, value in enumerate((0.0, 1.0, 0.0)):
        for aside in (-0.35, 0.35):
            colour = np.array(colormaps["viridis"](value, bytes=True)[:3], dtype=int)
            assert np.abs(pixel(picture, ax, column + aside, 0) - colour).max() < 3


def test_of_a_very_large_photo_every_part_lies_in_its_place() -> None:
    columns, rows = np.meshgrid(np.arange(2400), np.arange(1600))
    fine = Photo(
        Image.fromarray(
            np.stack([columns // 10, rows // 10, 90 * (columns % 2) + 60 * (rows % 2)], axis=-1).astype(np.uint8)
        )
    )
    picture = show.photo(fine)
    (ax,) = panels(picture)
    # Of each two pixels by two the one behind the middle, so that nothing moves by more than half a pixel.
    np.testing.assert_array_equal(ax.images[0].get_array(), np.asarray(fine.image)[1::2, 1::2])
    for x, y in ((400, 1200), (2000, 300)):
        assert np.abs(pixel(picture, ax, x, y) - (x // 10, y // 10, 150)).max() <= 2


def test_a_slider_draws_when_it_is_let_go_and_once_for_each_change() -> None:
    from ipywidgets import Dropdown, FloatSlider

    drawn: list[tuple[float, str]] = []

    def draw(k: float, name: str) -> Figure:
        drawn.append((k, name))
        return PLAIN

    own = FloatSlider(1.5, min=0.0, max=2.0, step=0.5, continuous_update=True)
    varied = show.vary(draw, k=own, name=["a", "b"])
    slider, menu, _ = varied.widget.children
    assert isinstance(menu, Dropdown) and drawn == [(1.5, "a")]
    assert slider is own and slider.continuous_update is False and slider.description == "k"
    slider.value = 2.0
    menu.value = "b"
    menu.value = "b"
    slider.max = 3.0
    assert drawn == [(1.5, "a"), (2.0, "a"), (2.0, "b")]
    for control in ((0, 4), (0.0, 1.0, 0.25), 3, "word"):
        assert show.vary(lambda k: PLAIN, k=control).widget.children[0].continuous_update is False


def test_without_sliders_installed_the_way_out_can_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(ModuleNotFoundError) as raised:
        show.vary(lambda k: PLAIN, k=3)
    assert raised.value.name == "ipywidgets"
    assert str(raised.value) == "show.vary() needs ipywidgets, which only the lessons use: pip install ipywidgets"


PLAIN = show.photo(photo())


def test_the_line_of_luck_is_white_dashes_on_black() -> None:
    black, white = DRAWN["overlay", "luck"]().figure.axes[0].collections
    for line, colour, style in ((black, "black", "solid"), (white, "white", "dashed")):
        assert tuple(line.get_edgecolor()[0]) == to_rgba(colour)
        ((_, dashes),) = line.get_linestyle()
        assert (dashes is None) == (style == "solid")


def test_a_fine_map_of_a_crop_takes_as_much_room_wherever_the_crop_lies() -> None:
    sizes = {
        tuple(
            show.sharp(heat(FINE.tolist(), size=(200, 150), region=(x, y, x + 60.0, y + 40.0))).figure.get_size_inches()
        )
        for x, y in ((0.0, 0.0), (120.0, 0.0), (0.0, 90.0))
    }
    assert len(sizes) == 1
