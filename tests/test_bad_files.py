"""Mistakes with files, records, figures, scenes and exercises: the sentence names the cause, and its advice works."""

import builtins
import io
import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from refusals import X, advice, net, refused

import lessons_lib as ll
from lessons_lib.core import resources
from lessons_lib.models import weights
from lessons_lib.photos import collage, shipped


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a good picture, damaged ones, and what is none."""
    good = tmp_path / "good.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90, 3), dtype=np.uint8)).save(good)
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:2000])
    (tmp_path / "empty.png").touch()
    (tmp_path / "page.jpg").write_text("<html>404</html>")
    (tmp_path / "head.ppm").write_bytes(b"P6\n3\x80 20\n255\n" + bytes(1800))
    (tmp_path / "drawing.eps").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("cut.png", "is damaged or cut short"),
        ("head.ppm", "is damaged or cut short"),
        ("empty.png", "is empty, it has no bytes"),
        ("page.jpg", "is not a picture that Pillow can read"),
        ("good.png/inside.png", r"can't be opened \(Not a directory\)"),
        ("n" * 300, r"can't be opened \(File name too long\)"),
        ("", "is a folder"),
        ("nothing.png", "There is no file"),
        ("zero\0.png", "zero byte"),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="words of the operating system")
def test_a_file_that_can_t_be_opened_is_told_by_its_own_cause(folder: Path, name: str, cause: str) -> None:
    refused(lambda: ll.photos.open(os.path.join(folder, name)), cause)


@pytest.mark.skipif(shutil.which("gs") is not None, reason="Ghostscript is here, so PostScript can be read")
def test_postscript_without_ghostscript_is_not_called_damaged(folder: Path) -> None:
    refused(lambda: ll.photos.open(folder / "drawing.eps"), r"can't be read here \(.*Ghostscript.*\): save it as PNG")


@pytest.mark.parametrize("address", ["https://example.org/cat.jpg", "s3://a/b.png", "data:image/png;base64,AAAA"])
def test_an_address_is_no_path(address: str) -> None:
    refused(lambda: ll.photos.open(address), "is an address: download the picture")


def test_a_file_that_is_not_open_for_reading_bytes_is_told(folder: Path) -> None:
    path = folder / "good.png"
    with (
        builtins.open(path) as text,
        builtins.open(folder / "new", "wb") as written,
        builtins.open(path, "rb") as closed,
    ):
        closed.close()
        for file, cause in ((text, "open as text"), (written, "open for writing"), (closed, "was closed")):
            said = refused(lambda file=file: ll.photos.open(file), cause)
            with advice(said, "open(", path=path) as again:
                assert ll.photos.open(again).image.size == (90, 90)
    assert ll.photos.open(os.fsencode(path)).title == "good"


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        (lambda path: np.zeros((4, 4, 3), np.uint8), "not from an array of shape 4 × 4 × 3"),
        (lambda path: Image.open(path), "not from a PngImageFile"),
        (lambda path: path.read_bytes(), "bytes of a file, and not its path"),
        (lambda path: bytearray(path.read_bytes()), "bytes of a file, and not its path"),
        (lambda path: [path], "not from a list of 1"),
        (lambda path: None, "not from None"),
    ],
)
def test_what_is_no_path_is_told_with_what_makes_it_a_photo(folder: Path, given: Any, cause: str) -> None:
    one = given(folder / "good.png")
    said = refused(lambda: ll.photos.open(one), cause)
    if one is not None:
        made = advice(said, array=one, image=one, content=one, files=one, io=io)
        assert isinstance(made[0] if isinstance(made, list) else made, ll.Photo)


@pytest.mark.parametrize("ask", [ll.explain, ll.attention_rollout, ll.layers, ll.boxes])
def test_pictures_that_are_empty_damaged_or_closed_are_told_wherever_they_come_in(
    folder: Path, ask: Callable[..., Any]
) -> None:
    record = ll.models.vit(trained=False)
    closed = Image.open(folder / "good.png")
    closed.close()
    for picture, cause in (
        (Image.new("RGB", (0, 10)), "is 0 × 10 pixels"),
        (ll.Photo(Image.new("L", (10, 0))), "is 10 × 0 pixels"),
        (Image.open(folder / "cut.png"), "is damaged or cut short"),
        (ll.Photo(Image.open(folder / "cut.png")), "is damaged or cut short"),
        (closed, "was closed before it was read"),
    ):
        refused(lambda picture=picture: ask(record, picture), cause)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "La", "P", "RGBA", "CMYK", "I", "F", "HSV", "LAB"])
def test_a_picture_of_any_mode_is_explained_in_a_photo_too(mode: str) -> None:
    record = ll.Explainable(net(), transform=ll.Preprocess(32, 32))
    for picture in (Image.new(mode, (40, 30)), ll.Photo(Image.new(mode, (40, 30)))):
        assert ll.explain(record, picture, lambda output: output[1]).photo.image.mode == "RGB"


def test_class_names_forgive_case_and_offer_what_holds_the_word() -> None:
    record = ll.Explainable(net(), categories=["tabby", "tiger cat", "crate", "castle", "Egyptian cat"])
    assert ll.explain(record, X, "TABBY")[0].words == ll.explain(record, X, 0)[0].words
    refused(lambda: ll.explain(record, X, "cat"), "no class 'cat'; near it: tiger cat, Egyptian cat")
    refused(lambda: ll.explain(record, X, "3"), "give an index without quotes, 3")


@pytest.mark.parametrize("mask", [np.eye(32, dtype=np.uint8), 255 * np.eye(32), np.eye(32).tolist(), torch.eye(32)])
def test_a_mask_is_true_where_it_is_not_zero_in_whatever_it_comes(mask: Any) -> None:
    heat = ll.explain(net(), X, 1)[0]
    assert heat.share_on(mask) == heat.share_on(np.eye(32, dtype=bool)) > 0
    assert ll.Outlined("line", mask).mask.sum() == 32
    for wrong, cause in ((None, "not None"), (X, "this one is 2 × 3 × 32 × 32"), ([[1], [1, 2]], "not a list of 2")):
        refused(lambda wrong=wrong: heat.share_on(wrong), f"A mask is height × width.*{cause}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("draw", "cause"),
    [
        (lambda heats: ll.show.overlay(heats), "A heatmap is drawn, not a list of 2: take one of them"),
        (lambda heats: ll.show.overlay(heats[0].values), "A heatmap is drawn, not a Tensor"),
        (lambda heats: ll.show.row(heats[0]), "this is one: put it in a list"),
        (lambda heats: ll.show.row(None), "not None"),
        (lambda heats: ll.show.row(heats, "ab"), "Titles stand in a list"),
        (lambda heats: ll.show.photo(heats[0].photo.image), r"make it one, `ll.Photo\(image\)`"),
        (lambda heats: ll.show.photo(heats[0]), "draw `heat.photo`"),
        (lambda heats: ll.show.maps(torch.rand(3, 4, 4), columns=0), "columns=0"),
        (lambda heats: ll.show.maps([torch.rand(4, 4)]), r"`torch.stack\(maps\)`"),
        (lambda heats: heats[0].show(opacity="a"), "An opacity is a number between 0 and 1, not 'a'"),
        (lambda heats: heats[0].show(boxes=[(0, 0, 3, 3)]), "Boxes are drawn from a list.*not a tuple of 4"),
        (lambda heats: heats[0].show(boxes=ll.Box("a", 1.0, (0, 0, 3, 3))), r"put it in a list, `\[box\]`"),
        (lambda heats: ll.fuse(heats), "lie on different pictures"),
        (lambda heats: ll.fuse(heats[0]), "Several heatmaps are fused"),
        (lambda heats: heats[0].show().save("/no/such/folder/a.png"), "can't be written"),
    ],
)
def test_what_can_t_be_drawn_is_told(draw: Callable[[Any], Any], cause: str) -> None:
    refused(lambda: draw(ll.explain(net(), X, 1)), cause)


@pytest.mark.slow
def test_a_dollar_in_a_name_is_drawn_as_a_dollar() -> None:
    heats = ll.explain(net(), X, 1)
    titles = ["$x_$", "$\\nothing{$"]
    figure = ll.show.row(heats, titles, boxes=[ll.Box("$_$", 1.0, (0, 0, 3, 3))])
    assert figure.png() and "$x_$" in figure.words


@pytest.mark.slow
def test_feature_maps_may_come_in_an_array() -> None:
    assert ll.show.maps(X[0].numpy()).words == ll.show.maps(X[0]).words


@pytest.mark.parametrize(
    ("given", "controls", "cause"),
    [
        (lambda a: ll.explain(net(), X, 1)[0], {"a": (0, 3)}, "draw returned a Heatmap, .* return `heat.show"),
        (lambda a: None, {"a": (0, 3)}, "draw returned None"),
        (lambda a: None, {"b": (0, 3)}, "The controls are not draw's arguments"),
        (lambda a: None, {"a": []}, "makes no control for 'a'"),
        (lambda a: None, {"a": (1.0, 0.0)}, "makes no control for 'a'"),
        (None, {"a": (0, 3)}, "A figure is drawn by a function"),
    ],
)
def test_sliders_that_can_t_be_made_are_told(given: Any, controls: dict[str, Any], cause: str) -> None:
    refused(lambda: ll.show.vary(given, **controls), cause)


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"turn": math.nan}, "turn=nan is no angle"),
        ({"turn": -30}, "turn=-30 is no angle"),
        ({"light": (1, math.inf)}, "light=.* is no range"),
        ({"area": 0.1}, "area=0.1 is no range of shares"),
        ({"overlap": "a"}, "overlap='a' is no share"),
        ({"size": "224"}, "size='224' is no whole number"),
        ({"count": 1.5}, "count=1.5 is no number of objects"),
        ({"kinds": "cat"}, r"The kinds stand in a list, not 'cat': `kinds=\['cat'\]`"),
        ({"background": 3}, "A background is a name, not 3"),
        ({"seed": None}, "seed=None is no whole number"),
    ],
)
def test_a_scene_s_options_are_checked_before_anything_is_drawn(options: dict[str, Any], cause: str) -> None:
    refused(lambda: collage.scene(**{"seed": 1, **options}), cause)


@pytest.mark.parametrize(
    ("name", "attempt", "cause"),
    [
        (len, "gradcam.weights", "The exercise's name comes first"),
        ("gradcam.weights", torch.zeros(2), "Give the function itself, .*, without calling it"),
        ("gradcam.weights", ..., "Give the function itself"),
        ("gradcma.weights", len, "near it: gradcam.weights"),
        ("GradCAM.weights", len, "near it: gradcam.weights"),
        ("__init__.x", len, "There is no exercise"),
    ],
)
def test_an_exercise_asked_wrongly_is_told(name: Any, attempt: Any, cause: str) -> None:
    refused(lambda: ll.check(name, attempt), cause)


def test_damaged_data_is_told_by_the_file_that_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for wing in ("weights", "outlines"):
        (tmp_path / wing).mkdir()
    monkeypatch.setattr(weights, "path_of", lambda name: tmp_path / "weights" / f"{name}.safetensors")
    monkeypatch.setattr(shipped, "data", lambda *parts: tmp_path.joinpath(*parts))
    shutil.copy(resources.data("weights", "vit.safetensors"), tmp_path / "weights")
    sums, outline = tmp_path / "weights" / "SHA256SUMS", tmp_path / "outlines" / "cat.json"
    good = resources.data("weights", "SHA256SUMS").read_text()
    refused(ll.models.vit, "The list data/weights/SHA256SUMS is missing: fetch it again")
    for damaged, cause in (("garbage", "SHA256SUMS is damaged"), ("", "has no line for vit.safetensors")):
        sums.write_text(damaged)
        refused(ll.models.vit, cause)
    sums.write_text(good + "\n")
    assert ll.models.vit().network
    shipped._cut_out.cache_clear()
    refused(ll.photos.cat, "There is no file cat.json in data/outlines")
    for damaged in ("", "{", json.dumps({"outline": []})):
        outline.write_text(damaged)
        refused(ll.photos.cat, "The outline data/outlines/cat.json is damaged")


@pytest.mark.slow
def test_full_size_networks_tell_the_cache_from_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    refused(lambda: ll.models.full_size(None), "There is no full-size network None; there are resnet50")  # type: ignore[arg-type]
    refused(lambda: ll.models.full_size("swin_t", 3), "swin_t has no weights 3")  # type: ignore[arg-type]
    file = tmp_path / "hub" / "checkpoints" / "swin_t-704ceda3.pth"
    file.parent.mkdir(parents=True)
    for damaged in (b"", b"garbage"):
        file.write_bytes(damaged)
        refused(
            lambda: ll.models.full_size("swin_t"),
            r"The file .*swin_t-704ceda3.pth' is damaged or another one: delete it",
        )
    shutil.rmtree(tmp_path / "hub")
    (tmp_path / "hub").touch()
    refused(lambda: ll.models.full_size("swin_t"), "torch's cache, .*, can't be written .* TORCH_HOME")
