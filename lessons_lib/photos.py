"""Photographs that ship inside scikit-image, with the outline of the object on each, and any picture a person has."""

import json
from dataclasses import dataclass
from functools import cache
from os import PathLike, fspath
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageDraw, ImageOps, UnidentifiedImageError

from lessons_lib.resources import data, needs

_FINE = 4  # an outline is drawn this many times larger, so that its edge can be counted in parts of a pixel


@dataclass(frozen=True, eq=False)
class Outlined:
    """One object whose outline is known: its name and an H×W bool mask, true where the object is seen."""

    name: str
    mask: np.ndarray

    def __repr__(self) -> str:
        return f"{self.name} · {int(self.mask.sum())} of {self.mask.size} pixels"


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture and what is known of it: an upright RGB image, its outlined objects, a title.

    In Jupyter a photo shows itself, with its words. A mask without the image's height and width raises ValueError.

    >>> photos.cat()
    cat · 451 × 300 pixels · known outline: cat
    """

    image: Image.Image
    objects: tuple[Outlined, ...] = ()
    title: str = ""

    def __post_init__(self) -> None:
        for item in self.objects:
            if item.mask.shape != self.image.size[::-1]:
                raise ValueError(
                    f"The mask of {item.name!r} is {item.mask.shape} but the image is {self.image.size[::-1]} "
                    "(height, width): give a mask of the image's own size."
                )

    def describe(self) -> str:
        """Return the photo in words: title, width × height, outlined objects."""
        parts = [self.title or "picture", "{} × {} pixels".format(*self.image.size)]
        if self.objects:
            copies = ((f"{len(masks)} × " if len(masks) > 1 else "") + name for name, masks in self.named().items())
            parts.append("known outline: " + ", ".join(copies))
        return " · ".join(parts)

    def named(self) -> dict[str, list[np.ndarray]]:
        """Return the masks of each name, since a picture may show several copies of one object."""
        masks: dict[str, list[np.ndarray]] = {}
        for item in self.objects:
            masks.setdefault(item.name, []).append(item.mask)
        return masks

    def __repr__(self) -> str:
        return self.describe()

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, object]]:
        from lessons_lib import show

        return show.photo(self)._repr_mimebundle_()


def cat() -> Photo:
    """Return scikit-image's cat Chelsea (451 × 300); the outline takes head and body, not the whiskers."""
    return _shipped("cat")


def coffee() -> Photo:
    """Return scikit-image's espresso (600 × 400); the object "coffee cup" is the cup with its saucer and spoon.

    Cup and saucer are one dark red glaze in one shadow, and people name them together.
    """
    return _shipped("coffee")


def astronaut() -> Photo:
    """Return scikit-image's portrait of Eileen Collins (512 × 512); the outline takes her and the helmet she holds."""
    return _shipped("astronaut")


def motorcycle() -> Photo:
    """Return the left picture of scikit-image's motorcycle pair (741 × 500); the floor seen through it is left out."""
    return _shipped("motorcycle")


def rocket() -> Photo:
    """Return scikit-image's rocket on its pad (640 × 427); the outline takes the rocket without the pad's frame."""
    return _shipped("rocket")


def open(file: str | PathLike[str] | IO[bytes]) -> Photo:
    """Open any picture a person has, as upright RGB.

    Turned as its EXIF orientation says; transparent parts over white; more than 8 bits a pixel scaled from the
    picture's own darkest to its brightest value; of an animation, the first frame. The title is the file's name
    without its ending.

    Args:
        file: a path, or a file opened for reading bytes.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is a folder, no picture, damaged or too large; the sentence says which.

    >>> photos.open("holiday.jpg").describe()
    'holiday · 4032 × 3024 pixels'
    """
    name = str(getattr(file, "name", "picture")) if hasattr(file, "read") else fspath(file)
    try:
        with Image.open(file) as picture:
            return Photo(_upright_rgb(picture), title=Path(name).stem)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"There is no file {name!r} on this machine: check the spelling, or give the whole path "
            f"(a short one starts at {str(Path.cwd())!r})."
        ) from None
    except IsADirectoryError:
        raise ValueError(f"{name!r} is a folder: name one picture inside it.") from None
    except UnidentifiedImageError:
        raise ValueError(
            f"{name!r} is not a picture that Pillow can read: save it as PNG or JPEG and open that."
        ) from None
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{name!r} is too large to open safely ({error}): save a smaller copy and open that."
        ) from None
    except (OSError, SyntaxError, EOFError) as error:
        raise ValueError(f"{name!r} is damaged or cut short ({error}): copy or save it again.") from error


def coverage(name: str) -> np.ndarray:
    """Return how much of each pixel of a shipped photograph its object covers: H×W float32 in 0…1, soft along the edge.

    Args:
        name: "cat", "coffee", "astronaut", "motorcycle" or "rocket", as the function that gives the photo.
    """
    return _cut_out(name)[1]


def _shipped(name: str) -> Photo:
    image, covered, label = _cut_out(name)
    mask = covered >= 0.5
    mask.flags.writeable = False
    return Photo(image.copy(), (Outlined(label, mask),), title=label)


@cache
def _cut_out(name: str) -> tuple[Image.Image, np.ndarray, str]:
    """Return the photograph, its object's coverage (read-only) and the object's name."""
    needs(f"photos.{name}()", "skimage")
    from skimage import data as samples

    read = {
        "cat": samples.chelsea,
        "coffee": samples.coffee,
        "astronaut": samples.astronaut,
        "motorcycle": lambda: samples.stereo_motorcycle()[0],
        "rocket": samples.rocket,
    }[name]
    image = Image.fromarray(read())
    drawn = json.loads(data("outlines", f"{name}.json").read_text(encoding="utf-8"))
    fine = Image.new("L", (image.width * _FINE, image.height * _FINE))
    pen = ImageDraw.Draw(fine)
    for loops, ink in ((drawn["outline"], 255), (drawn["holes"], 0)):
        for loop in loops:
            pen.polygon([(x * _FINE - 0.5, y * _FINE - 0.5) for x, y in _smooth(loop)], fill=ink)
    covered = np.asarray(fine.reduce(_FINE), dtype=np.float32) / 255
    covered.flags.writeable = False
    return image, covered, drawn["object"]


def _smooth(loop: list[list[float]], rounds: int = 2) -> np.ndarray:
    """Round a closed polygon's corners by cutting them at a quarter and three quarters of each side (Chaikin, 1974)."""
    points = np.asarray(loop)
    for _ in range(rounds):
        after = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * after, 0.25 * points + 0.75 * after], axis=1).reshape(-1, 2)
    return points


def _upright_rgb(picture: Image.Image) -> Image.Image:
    picture.seek(0)
    upright = ImageOps.exif_transpose(picture)
    if upright.mode in ("I", "F") or upright.mode.startswith("I;16"):
        return _eight_bits(upright).convert("RGB")
    if upright.has_transparency_data:
        over = upright.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")
    return upright.convert("RGB")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Scale a grey picture of more than 8 bits from its own darkest…brightest value to 0…255.

    The picture's own range, because cameras and scanners keep 10 to 14 bits in 16; a picture of one value becomes
    mid-grey.
    """
    values = np.nan_to_num(np.asarray(picture, dtype=np.float64))
    low, high = values.min(), values.max()
    scaled = (values - low) / (high - low) * 255 if high > low else np.full_like(values, 127.5)
    return Image.fromarray(np.round(scaled).astype(np.uint8))
