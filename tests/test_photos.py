"""The shipped photographs' outlines lie where a person sees the objects; `open` makes upright RGB of any picture."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lessons_lib import photos

SHIPPED = {
    # name: (label, share of the picture, points (x, y) on it, points (x, y) beside it), read off the photographs by eye
    "cat": (
        "cat",
        (0.70, 0.77),
        [(168, 110), (315, 130), (260, 240), (40, 290), (380, 5)],
        [(15, 60), (420, 100), (380, 250)],
    ),
    "coffee": (
        "coffee cup",
        (0.45, 0.50),
        [(280, 150), (100, 200), (365, 280), (415, 75)],
        [(40, 350), (500, 50), (140, 80), (130, 340)],
    ),
    "astronaut": (
        "astronaut",
        (0.51, 0.56),
        [(225, 100), (170, 385), (400, 400), (60, 420)],
        [(400, 100), (60, 60), (330, 200), (470, 330)],
    ),
    "motorcycle": (
        "motorcycle",
        (0.27, 0.30),
        [(400, 190), (370, 330), (180, 390), (640, 310), (513, 25)],
        [(480, 330), (545, 240), (120, 300), (166, 308), (350, 60)],
    ),
    "rocket": (
        "rocket",
        (0.016, 0.021),
        [(322, 135), (322, 300), (316, 400), (329, 250)],
        [(305, 300), (340, 300), (295, 390), (322, 415)],
    ),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_the_outline_lies_on_the_object(name):
    label, (least, most), inside, outside = SHIPPED[name]
    photo = getattr(photos, name)()
    (item,) = photo.objects
    assert item.name == label
    assert item.mask.dtype == bool and item.mask.shape == photo.image.size[::-1]
    assert least < item.mask.mean() < most
    assert [item.mask[y, x] for x, y in inside] == [True] * len(inside)
    assert [item.mask[y, x] for x, y in outside] == [False] * len(outside)


def test_colours_inside_the_outline_are_the_object_s():
    def means(name):
        photo = getattr(photos, name)()
        pixels, mask = np.asarray(photo.image, dtype=float), photo.objects[0].mask
        return pixels[mask].mean(0), pixels[~mask].mean(0)

    rocket, sky = means("rocket")
    assert rocket.min() > 120 and sky.max() < 90  # a white rocket before a blue dusk
    suit, room = means("astronaut")
    assert suit[0] > suit[2] + 40 and abs(room[0] - room[2]) < 30  # an orange suit before grey


def test_holes_are_seen_through_and_edges_are_soft():
    part = photos.coverage("motorcycle")
    assert part[308, 166] == 0 and part[330, 133] == 1  # between the spokes, on the tyre
    for name in SHIPPED:
        step = np.abs(np.diff(photos.coverage(name), axis=1))
        assert (step == 1).sum() < 0.25 * (step > 0).sum()  # few edges go from nothing to all within one pixel
    assert photos.coverage("cat")[0, 100:350].min() == 1  # the frame, not the outline, ends the cat


def test_a_caller_cannot_spoil_the_next_caller_s_photo():
    first = photos.cat()
    with pytest.raises(ValueError, match="read-only"):
        first.objects[0].mask[0, 0] = True
    first.image.paste("red", (0, 0, 450, 300))
    assert photos.cat().image.getpixel((168, 60)) != (255, 0, 0)


def test_a_photo_speaks():
    words = "cat · 451 × 300 pixels · known outline: cat"
    shown, metadata = photos.cat()._repr_mimebundle_()
    assert shown["text/plain"] == repr(photos.cat()) == words
    assert metadata["image/jpeg"]["alt"] == words


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"mask of 'dog' is \(2, 3\) but the image is \(3, 2\)"):
        photos.Photo(Image.new("RGB", (2, 3)), (photos.Outlined("dog", np.ones((2, 3), bool)),))


def opened(picture, tmp_path, name, **options):
    picture.save(tmp_path / name, **options)
    photo = photos.open(tmp_path / name)
    assert photo.image.mode == "RGB" and photo.title == name.rsplit(".", 1)[0]
    return np.asarray(photo.image)


CORNERS = np.zeros((8, 12, 3), np.uint8)  # four colours, one in each corner, so that every turn and mirror shows
CORNERS[:4, :6], CORNERS[:4, 6:], CORNERS[4:, :6], CORNERS[4:, 6:] = (
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 0),
)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation, tmp_path):
    stored = {  # how a camera held that way stores the upright picture: the inverse of what the tag asks for
        1: CORNERS,
        2: CORNERS[:, ::-1],
        3: CORNERS[::-1, ::-1],
        4: CORNERS[::-1],
        5: CORNERS.transpose(1, 0, 2),
        6: np.rot90(CORNERS, 1),
        7: CORNERS[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(CORNERS, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = opened(Image.fromarray(np.ascontiguousarray(stored)), tmp_path, "held.png", exif=exif)
    np.testing.assert_array_equal(upright, CORNERS)


def test_transparent_over_white(tmp_path):
    pixels = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 51]]], np.uint8)  # solid, none, one fifth
    seen = opened(Image.fromarray(pixels), tmp_path, "glass.png")
    assert seen.tolist() == [[[255, 0, 0], [255, 255, 255], [204, 204, 204]]]


def test_grey_and_one_bit(tmp_path):
    grey = np.array([[0, 7, 255]], np.uint8)
    assert opened(Image.fromarray(grey), tmp_path, "grey.png")[0].tolist() == [[0] * 3, [7] * 3, [255] * 3]
    assert opened(Image.fromarray(grey).convert("1", dither=0), tmp_path, "ink.png")[0, ::2].tolist() == [
        [0] * 3,
        [255] * 3,
    ]


def test_grey_with_transparency(tmp_path):
    half = Image.fromarray(np.array([[[0, 255], [0, 0]]], np.uint8), "LA")
    assert opened(half, tmp_path, "la.png")[0].tolist() == [[0] * 3, [255] * 3]


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_keep_the_gradient(ending, tmp_path):
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16)[None]
    seen = opened(Image.fromarray(ramp), tmp_path, f"deep.{ending}")
    np.testing.assert_array_equal(seen[0], np.repeat(np.arange(256)[:, None], 3, axis=1))


def test_twelve_bits_in_sixteen_and_floats_use_their_own_range(tmp_path):
    expected = np.array([0, 64, 128, 255])
    twelve = np.array([[100, 100 + 64 * 15, 100 + 128 * 15, 100 + 255 * 15]], np.uint16)
    np.testing.assert_array_equal(opened(Image.fromarray(twelve), tmp_path, "scan.png")[0, :, 0], expected)
    floats = (expected[None] / 255 - 0.5).astype(np.float32)
    np.testing.assert_array_equal(opened(Image.fromarray(floats), tmp_path, "depth.tif")[0, :, 0], expected)
    flat = np.full((2, 2), 900, np.uint16)
    assert np.unique(opened(Image.fromarray(flat), tmp_path, "flat.png")).tolist() == [128]


def test_cmyk_is_close_to_the_rgb_it_came_from(tmp_path):
    rgb = Image.fromarray(np.repeat(np.repeat(CORNERS, 8, 0), 8, 1))
    for name, bound in (("print.tif", 1), ("print.jpg", 12)):
        seen = opened(rgb.convert("CMYK"), tmp_path, name)
        assert np.abs(seen[4:28, 4:44].astype(int) - np.asarray(rgb)[4:28, 4:44]).max() <= bound


def test_palette_with_a_transparent_entry(tmp_path):
    indexed = Image.fromarray(np.array([[0, 1]], np.uint8))
    indexed.putpalette([10, 20, 30, 200, 100, 50])
    assert opened(indexed, tmp_path, "few.png").tolist() == [[[10, 20, 30], [200, 100, 50]]]
    assert opened(indexed, tmp_path, "clear.png", transparency=0).tolist() == [[[255, 255, 255], [200, 100, 50]]]


def test_the_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (3, 2), colour) for colour in ("blue", "red", "lime")]
    seen = opened(frames[0], tmp_path, "moving.gif", save_all=True, append_images=frames[1:])
    assert seen.shape == (2, 3, 3) and (seen == [0, 0, 255]).all()


def test_an_open_file_and_bytes_in_memory(tmp_path):
    held = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(held, "png")
    held.seek(0)
    assert photos.open(held).describe() == "picture · 3 × 2 pixels"
    (tmp_path / "named.png").write_bytes(held.getvalue())
    with (tmp_path / "named.png").open("rb") as file:
        assert photos.open(file).title == "named"


def test_what_is_no_picture_gets_one_sentence(tmp_path):
    lost, notes, half = tmp_path / "lost.png", tmp_path / "notes.png", tmp_path / "half.png"
    notes.write_text("no picture")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.png")
    half.write_bytes((tmp_path / "whole.png").read_bytes()[:6000])
    for file, kind, begins, ends in (
        (
            lost,
            FileNotFoundError,
            f"There is no file {str(lost)!r} on this machine: check the spelling, or give the whole path ",
            f"(a short one starts at {str(Path.cwd())!r}).",
        ),
        (tmp_path, ValueError, f"{str(tmp_path)!r} is a folder", ": name one picture inside it."),
        (
            notes,
            ValueError,
            f"{str(notes)!r} is not a picture that Pillow ",
            "can read: save it as PNG or JPEG and open that.",
        ),
        (half, ValueError, f"{str(half)!r} is damaged or cut short (", "): copy or save it again."),
    ):
        with pytest.raises(kind) as raised:
            photos.open(file)
        said = str(raised.value)
        assert said.startswith(begins) and said.endswith(ends)
        assert file is half or said == begins + ends  # what Pillow says of the damage stands between


def test_too_large_a_picture_is_refused(tmp_path, monkeypatch):
    Image.new("L", (40, 40)).save(tmp_path / "vast.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(
        ValueError, match=r"^'.*vast.png' is too large to open safely \(.*\): save a smaller copy and open that\.$"
    ):
        photos.open(tmp_path / "vast.png")
