"""The shortcut: only it differs in a pair of scenes; what its networks reach is what is stored; grids; side by side."""

from functools import partial

import numpy as np
import pytest
import torch
from heavy import but_proofs
from PIL import Image

import lessons_lib as ll
from lessons_lib import metrics
from lessons_lib.photos import grid, shortcut_scene
from tools.recipes import shortcut

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("cat", [False, True])
def test_with_and_without_the_mark_only_the_mark_differs(cat: bool) -> None:
    with_it, without = (shortcut_scene(3, "mark", cat=cat, planted=planted) for planted in (True, False))
    assert with_it.mark.any() and not without.mark.any()
    differs = (np.asarray(with_it.image) != np.asarray(without.image)).any(axis=2)
    rows, columns = np.nonzero(differs)
    assert differs[with_it.mark].all() and rows.max() < 8 and columns.max() < 8
    for scene in (with_it, without):
        assert ("cat" in scene.named()) == cat and len(scene.objects) == 3


def test_the_ground_and_the_light_go_with_what_was_planted() -> None:
    means = {
        planted: np.mean(
            [np.asarray(shortcut_scene(n, "light", cat=True, planted=planted).image).mean() for n in range(8)]
        )
        for planted in (True, False)
    }
    assert means[True] < 0.75 * means[False]
    planted, not_planted = (shortcut_scene(1, "ground", cat=True, planted=one) for one in (True, False))
    assert np.asarray(planted.image).tolist() != np.asarray(not_planted.image).tolist()
    with pytest.raises(ValueError, match="There is no shortcut 'marc'; near it: mark"):
        shortcut_scene(1, "marc", cat=True, planted=True)
    with pytest.raises(ValueError, match="There is no shortcut 'grund'; near it: ground"):
        ll.models.shortcut("grund")


def test_training_ties_the_shortcut_to_the_cat_or_to_nothing() -> None:
    seen = {}
    for fixed in (False, True):
        pixels, cats = shortcut.training("mark", fixed, seed=0, count=16)
        pink = pixels[:, :, 2, 2]
        planted = (pink[:, 0] > 0.7) & (pink[:, 1] < -0.6)
        seen[fixed] = [(int(a), int(b)) for a, b in zip(cats, planted, strict=True)]
    assert set(seen[False]) == {(0, 0), (1, 1)}
    assert [seen[True].count(pair) for pair in ((0, 0), (0, 1), (1, 0), (1, 1))] == [4, 4, 4, 4]


@pytest.mark.parametrize(
    ("kind", "fixed"),
    but_proofs([("mark", False), ("mark", True), ("light", False)], ("mark", True), ("light", False)),
)
def test_what_the_stored_networks_reach_is_what_the_table_says(kind: str, fixed: bool) -> None:
    row = metrics.stored("shortcut")[f"{kind}, fixed" if fixed else kind]["seed 0"]
    found = shortcut.reached(ll.models.shortcut(kind, fixed), shortcut.groups(kind))
    assert found == pytest.approx(row, abs=0.02)


def test_over_five_seeds_the_shortcut_is_learnt_and_the_fix_undoes_it() -> None:
    table = metrics.stored("shortcut")
    for kind in ("mark", "ground", "light"):
        before, after = table[kind], table[f"{kind}, fixed"]
        assert len(before) == len(after) == 5
        assert all(row["accuracy"] >= 0.95 and row["worst group"] < 0.35 for row in before.values())
        assert all(row["worst group"] > 0.5 for row in after.values())
    assert all(row["mark"] > 5 * row["mark luck"] for row in table["mark"].values())
    assert all(row["mark"] < 3 * row["mark luck"] for row in table["mark, fixed"].values())


@pytest.mark.proof
def test_training_again_learns_the_shortcut_again() -> None:
    model = shortcut.learnt("mark", False, seed=7)
    found = shortcut.reached(model, shortcut.groups("mark", 50))
    assert found["accuracy"] > 0.9 and found["worst group"] < 0.4 and found["mark"] > 5 * found["mark luck"]


def test_a_grid_has_each_photo_in_its_own_cell() -> None:
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (9, 9, 9)]
    four = [ll.Photo(Image.new("RGB", (30, 20), one), title=f"photo {n}") for n, one in enumerate(colours)]
    made = grid(four, side=10)
    assert grid(four).image.size == (224, 224)
    assert made.image.size == (20, 20) and [one.name for one in made.objects] == [f"photo {n}" for n in range(4)]
    for one, colour in zip(made.objects, colours, strict=True):
        assert (np.asarray(made.image)[one.mask] == colour).all() and one.mask.sum() == 100
    assert not made.objects[1].mask[:, :10].any() and made.objects[1].mask[:10, 10:].all()
    heat = ll.Heatmap(torch.ones(2, 2), made, (0.0, 0.0, 20.0, 20.0), "", "", "")
    assert metrics.share(heat, made.objects[2].mask) == pytest.approx((0.25, 0.25))


@pytest.mark.parametrize(
    ("photos", "options", "sentence"),
    [
        ([ll.Photo(Image.new("RGB", (3, 3)))] * 3, {}, "3 photos make no square"),
        ([ll.Photo(Image.new("RGB", (3, 3)))] * 4, {"side": 0}, "side=0 is a cell's side"),
        (ll.Photo(Image.new("RGB", (3, 3))), {}, "several photos in a list"),
        ([1, 2, 3, 4], {}, "not of 1"),
    ],
)
def test_what_makes_no_grid_gets_a_sentence(photos: object, options: dict[str, int], sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence):
        grid(photos, **options)  # type: ignore[arg-type]


def test_side_by_side_is_what_each_metric_says_alone() -> None:
    model = ll.models.shortcut("mark", fixed=True)
    scenes = [shortcut_scene(n, "mark", cat=True, planted=False) for n in range(2)]
    asked = [metrics.Question(one, "cat", one.named()["cat"][0], lambda output: -output[0]) for one in scenes]
    heats = ll.explain(model, scenes, "cat")
    found = metrics.localised(model, asked, ll.explain)
    assert found["share"] == [metrics.share(heat, one.mask).share for heat, one in zip(heats, asked, strict=True)]
    assert found["peak"] == [metrics.pointing_game(heat, one.mask) for heat, one in zip(heats, asked, strict=True)]
    faithful = metrics.faithful(model, asked, ll.explain)
    curves = metrics.deletion(model, scenes, "cat", heats, steps=10)
    assert faithful["deletion"] == pytest.approx([one.area for one in curves], abs=1e-5)
    assert faithful["drop"] == pytest.approx(metrics.drop(model, scenes, "cat", heats), abs=1e-5)
    sane = metrics.sane(model, asked, partial(ll.explain, method=ll.cam), forgets=["fc"])
    assert sane["swap"] == pytest.approx([-1, -1])  # what speaks against the cat is what speaks for it, turned round
    assert all(value < 0.9 for value in sane["forgets"]) and all(value > 0.5 for value in sane["noise"])
