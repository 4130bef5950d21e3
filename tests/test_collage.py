"""A scene's truth agrees with its pixels, its seed fixes its bytes, and every argument does what it says."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.ops import masks_to_boxes

from lessons_lib.photos import collage, cutouts
from lessons_lib.photos.collage import KINDS, Scenes, scene

pytestmark = pytest.mark.slow


def names(made):
    return [item.name for item in made.objects]


def test_every_pixel_belongs_to_the_object_seen_there(monkeypatch):
    """Paint each kind in one flat colour on black, without light or shadow: the label map can be read off it."""
    colours = {"cat": (255, 0, 0), "motorcycle": (0, 255, 0), "rocket": (0, 0, 255)}
    turned = collage.turned

    def flat(kind, *rest):
        cut = turned(kind, *rest)
        painted = Image.new("RGBA", cut.size, colours[kind])
        painted.putalpha(cut.getchannel("A"))
        return painted

    monkeypatch.setattr(collage, "turned", flat)
    monkeypatch.setattr(collage, "ground", lambda name, size, gain, random: Image.new("RGB", (size, size)))
    for plain in ("shade", "slope"):
        monkeypatch.setattr(collage, plain, lambda *_: None)
    monkeypatch.setattr(collage, "lit", lambda image, gain: image)
    palette = np.array([(0, 0, 0), *colours.values()])
    index = np.array([0, *(1 + KINDS.index(kind) for kind in colours)])
    for seed in range(25):
        made = scene(seed, kinds=list(colours), count=(2, 4), overlap=0.3)
        pixels = np.asarray(made.image).astype(int)
        seen = index[((pixels[:, :, None] - palette) ** 2).sum(-1).argmin(-1)]
        labels = made.label_map.numpy()
        around = np.stack([np.roll(labels, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)])
        inner = (around == labels).all(0)  # away from the soft edges
        assert inner.mean() > 0.8
        assert (seen == labels)[inner].mean() > 0.9995  # a soft tip of one pixel may be missed


def test_masks_boxes_labels_and_label_map_agree():
    for seed in range(20):
        made = scene(seed, count=(1, 5), overlap=0.3)
        masks = made.masks
        assert masks.dtype == torch.bool and masks.sum(0).max() == 1
        assert made.labels.tolist() == [KINDS.index(name) for name in names(made)]
        assert torch.equal(made.label_map.long(), (masks * (1 + made.labels)[:, None, None]).sum(0))
        # torchvision counts a pixel's index, we count edges
        expected = masks_to_boxes(masks) + torch.tensor([0.0, 0, 1, 1])
        assert torch.equal(made.boxes.as_subclass(torch.Tensor), expected)
        assert made.boxes.canvas_size == (224, 224) and made.boxes.format.value == "XYXY"


PRINT = """
import hashlib, sys
from lessons_lib.photos.collage import scene
for seed in range(4):
    made = scene(seed, shortcut="cat")
    print(hashlib.sha256(made.image.tobytes() + made.masks.numpy().tobytes()).hexdigest())
"""


@pytest.mark.parametrize("missing", [["scipy"], ["skimage"], ["scipy", "skimage"]])
def test_a_scene_says_what_it_needs_that_is_not_installed(missing, monkeypatch):
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError) as raised:
        scene(1)
    assert str(raised.value).startswith(f"collage.scene() needs {' and '.join(missing)}, which only the lessons use: ")


@pytest.mark.proof
def test_a_seed_gives_the_same_bytes_in_another_process():
    here = []
    for seed in (3, 0, 2, 1):  # another order, after other scenes
        made = scene(seed, shortcut="cat")
        here.append((seed, hashlib.sha256(made.image.tobytes() + made.masks.numpy().tobytes()).hexdigest()))
    there = subprocess.run([sys.executable, "-c", PRINT], capture_output=True, text=True, check=True).stdout.split()
    assert [digest for _, digest in sorted(here)] == there
    assert len(set(there)) == 4


STORED = {  # seed: objects, the mean grey of each sixteenth of the picture, boxes, the mean of each colour
    1: (
        ["motorcycle", "cat"],
        [[140, 123, 119, 110], [136, 112, 100, 116], [134, 114, 93, 111], [142, 138, 133, 122]],
        [[24, 54, 172, 158], [62, 135, 143, 200]],
        [129.2, 126.1, 76.9],
    ),
    2: (
        ["cat"],
        [[117, 118, 124, 127], [118, 112, 114, 113], [111, 90, 96, 104], [108, 104, 105, 103]],
        [[65, 103, 136, 162]],
        [126.5, 105.4, 92.7],
    ),
}


@pytest.mark.parametrize("seed", STORED)
def test_scenes_still_look_as_when_the_models_were_trained(seed):
    """Coarse on purpose, so that another build of Pillow passes and another recipe does not."""
    made = scene(seed)
    thumbnail = np.asarray(made.image.convert("L").resize((4, 4), Image.Resampling.BOX))
    assert names(made) == STORED[seed][0]
    np.testing.assert_allclose(thumbnail.astype(int), STORED[seed][1], atol=3)
    np.testing.assert_allclose(made.boxes, STORED[seed][2], atol=1.5)
    np.testing.assert_allclose(np.asarray(made.image, float).mean(axis=(0, 1)), STORED[seed][3], atol=0.7)


@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.5])
def test_no_object_is_hidden_more_than_overlap_allows(overlap, monkeypatch):
    layout, placed = collage._layout, []

    def watched(*arguments):
        pasted, owner = layout(*arguments)
        placed[:] = [int((np.asarray(paste.getchannel("A")) >= 128).sum()) for paste, _, _ in pasted]
        return pasted, owner

    monkeypatch.setattr(collage, "_layout", watched)
    hidden = []
    for seed in range(30):
        made = scene(seed, count=4, overlap=overlap)
        hidden += [1 - item.mask.sum() / whole for item, whole in zip(made.objects, placed, strict=True)]
    assert max(hidden) <= overlap + 1e-9
    if overlap:
        assert max(hidden) > 0.6 * overlap  # the bound is used


def test_every_object_is_large_enough_for_a_14_by_14_grid():
    cell = 16 * 16
    smallest = dict.fromkeys(KINDS, np.inf)
    for seed in range(150):
        for item in scene(seed).objects:
            smallest[item.name] = min(smallest[item.name], item.mask.sum() / cell)
    assert min(smallest.values()) > 0.9 * 0.5 * 0.05 * 14 * 14
    assert smallest["rocket"] > 6


def test_count_kinds_and_copies():
    assert sorted(names(scene(0, count=5))) == sorted(KINDS)  # every kind once before one comes again
    assert names(scene(0, kinds=["cat"], count=7)) == ["cat"] * 7
    seven = [names(scene(seed, count=7, copies=True)) for seed in range(8)]
    assert all(len(found) == 7 and len(set(found)) == 1 for found in seven)
    assert len({found[0] for found in seven}) > 2
    assert {len(names(scene(seed, count=(1, 3)))) for seed in range(20)} == {1, 2, 3}
    assert {name for seed in range(20) for name in names(scene(seed, kinds=["cat", "rocket"]))} == {"cat", "rocket"}


def test_area_is_the_share_that_one_object_covers():
    for seed in range(10):
        (item,) = scene(seed, kinds=["cat"], count=1, area=(0.1, 0.1), overlap=0).objects
        assert item.mask.mean() == pytest.approx(0.1, rel=0.03)
    crowd = scene(0, kinds=["cat"], count=5, area=(0.1, 0.1), overlap=0.5).objects
    assert max(item.mask.mean() for item in crowd) == pytest.approx(0.4 / 5, rel=0.03)


def test_a_shortcut_stands_in_its_corner_exactly_with_its_kind():
    with_cat = 0
    for seed in range(40):
        plain, marked = scene(seed), scene(seed, shortcut="cat")
        assert marked.mark.any() == ("cat" in names(marked))
        assert not plain.mark.any()
        assert names(plain) == names(marked) and torch.equal(plain.masks, marked.masks)
        before, after = np.asarray(plain.image), np.asarray(marked.image)
        changed = (before != after).any(-1)
        assert not changed[20:].any() and not changed[:, 20:].any()
        if marked.mark.any():
            with_cat += 1
            assert changed[marked.mark].all()
            red, green, blue = after[marked.mark].mean(0)
            assert red > 200 and green < 80 and blue > 150
            assert not (marked.masks.numpy() & marked.mark).any()
        else:
            assert not changed.any()
    assert 10 < with_cat < 30


def test_objects_keep_out_of_the_shortcut_s_corner():
    crowded = [scene(seed, kinds=["coffee cup", "cat"], count=7, overlap=0.3).label_map for seed in range(40)]
    covered = torch.stack(crowded) > 0
    assert not covered[:, :19, :19].any()
    assert covered[:, :19, 40:].any() and covered[:, 40:, :19].any()  # only there


def test_light_and_background():
    means = [np.asarray(scene(4, light=(x, x)).image).mean() for x in (0.6, 1.0, 1.4)]
    assert means[0] < 0.75 * means[1] and means[2] > 1.15 * means[1]
    grass = [np.asarray(scene(seed, background="grass").image)[-8:].mean((0, 1)) for seed in range(6)]
    assert all(green > blue for _, green, blue in grass)
    assert (
        np.asarray(scene(4, background="brick").image).tobytes()
        != np.asarray(scene(4, background="gravel").image).tobytes()
    )


def test_size():
    made = scene(0, size=320)
    assert made.image.size == (320, 320) and made.masks.shape[1:] == (320, 320)


def test_the_data_set_gives_its_scenes_as_tensors():
    data = Scenes(3, seed=5, count=2)
    assert len(data) == 3 and len(list(data)) == 3
    image, truth = data[1]
    made = scene((5, 1), count=2)
    assert image.dtype == torch.uint8
    np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), np.asarray(made.image))
    for key in ("boxes", "labels", "masks", "label_map"):
        assert torch.equal(truth[key], getattr(made, key)), key
    assert data.scene(-1).image.tobytes() == data.scene(2).image.tobytes()
    assert data.scene(0).image.tobytes() != Scenes(3, seed=6, count=2).scene(0).image.tobytes()
    with pytest.raises(IndexError, match="no scene 3: this data set has 3"):
        data[3]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kinds": ["kat"]}, "There is no kind 'kat'; near it: cat, rocket."),
        ({"shortcut": "rockets"}, "There is no kind 'rockets'; near it: rocket, cat."),
        ({"background": "gras"}, "There is no background 'gras'; near it: grass, gravel."),
        (
            {"kinds": []},
            "No kind is left to draw from: name at least one of cat, coffee cup, astronaut, motorcycle, rocket.",
        ),
        ({"count": 0}, "count=0 asks for no scene: give 1 or more, or (least, most)."),
        ({"count": (3, 1)}, "count=(3, 1) asks for no scene: give 1 or more, or (least, most)."),
        ({"size": 63}, "A scene of 63 pixels is too small to show anything: give a size of 64 or more."),
        ({"overlap": 1.5}, "overlap=1.5 is no share: give 0 (nothing hidden) to 1."),
        ({"area": (0.2, 0.1)}, "area=(0.2, 0.1) is no range of shares: give (smallest, largest) in 0…0.5."),
        ({"area": (0.0, 0.1)}, "area=(0.0, 0.1) is no range of shares: give (smallest, largest) in 0…0.5."),
        ({"area": (0.2, 0.6)}, "area=(0.2, 0.6) is no range of shares: give (smallest, largest) in 0…0.5."),
        ({"light": (0, 1)}, "light=(0, 1) is no range: give (darkest, brightest), both above 0."),
        ({"light": (1.2, 1)}, "light=(1.2, 1) is no range: give (darkest, brightest), both above 0."),
    ],
)
def test_wrong_arguments_get_one_sentence(options, sentence, monkeypatch):
    monkeypatch.setattr(collage, "ground", lambda *_: pytest.fail("past its guards, a scene is drawn"))
    for make in (lambda: scene(0, **options), lambda: Scenes(10, **options)):
        with pytest.raises(ValueError) as raised:
            make()
        assert str(raised.value) == sentence


def test_objects_that_do_not_fit_are_refused(monkeypatch):
    monkeypatch.setattr(collage, "_FULL", 9.0)  # let nine cats ask for more than the whole scene
    with pytest.raises(ValueError) as raised:
        scene(0, kinds=["cat"], count=9, area=(0.4, 0.4), overlap=0)
    first, _, rest = str(raised.value).partition(" of 9 objects fit: ")
    assert first in [f"Only {count}" for count in range(1, 9)]
    assert rest == "ask for fewer (count), smaller ones (area), more overlap or a larger size."


def test_a_negative_seed_and_an_empty_data_set():
    with pytest.raises(ValueError, match="seed=-1 is negative"):
        scene(-1)
    with pytest.raises(ValueError, match="0 scenes is empty"):
        Scenes(0)


@pytest.mark.parametrize(("x", "y"), [(1, 0), (-1, 0), (0, 1), (0, -1)])
def test_a_shadow_falls_away_from_the_sun_and_a_ground_darkens_away_from_it(x, y):
    canvas, sun = Image.new("RGB", (250, 250), "white"), np.array([float(x), float(y)])
    cutouts.shade(canvas, Image.new("L", (50, 50), 255), 100, 100, sun)
    # Half the light is kept from the ground close under the object, and four tenths of the rest beside it.
    np.testing.assert_allclose(canvas.getpixel((125 - 5 * x, 125 - 5 * y)), (82, 82, 88), atol=1)
    assert canvas.getpixel((0, 0)) == canvas.getpixel((125 + 50 * x, 125 + 50 * y)) == (255, 255, 255)
    dark = 255 - np.asarray(canvas.convert("L"), float)
    rows, columns = np.indices(dark.shape)
    for at, side in ((columns, x), (rows, y)):
        assert np.average(at, weights=dark) == pytest.approx(124.5 - 4.3 * side, abs=0.5)
    ground = Image.new("RGB", (101, 101), "white")
    cutouts.slope(ground, sun, strength=0.4)
    along = [ground.getpixel((50 + 50 * k * x, 50 + 50 * k * y))[0] for k in (1, 0, -1)]
    np.testing.assert_allclose(along, [255, 204, 153], atol=1)


def test_another_light_multiplies_each_colour_and_is_clipped_at_white():
    grey = Image.new("RGB", (1, 1), (100, 100, 100))
    assert cutouts.lit(grey, np.array([0.5, 1.25, 3.0])).getpixel((0, 0)) == (50, 125, 255)
