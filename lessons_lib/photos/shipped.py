"""Photographs that ship inside scikit-image, with the outline of the object on each."""

import json
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from lessons_lib.core.engine.names import near
from lessons_lib.core.records import Outlined, Photo
from lessons_lib.core.resources import data, needs

_NAMES = ("cat", "coffee", "astronaut", "motorcycle", "rocket")
_FINE = 4  # an outline is drawn this many times larger, so that its edge can be counted in parts of a pixel


def cat() -> Photo:
    """Return scikit-image's cat Chelsea (451 × 300); the outline takes head and body, not the whiskers.

    Example:
        >>> photos.cat()
        cat · 451 × 300 pixels · known outline: cat
    """
    return _shipped("cat")


def coffee() -> Photo:
    """Return scikit-image's espresso (600 × 400); the object "coffee cup" is the cup with its saucer and spoon.

    Cup and saucer are one dark red glaze in one shadow, and people name them together.

    Example:
        >>> photos.coffee()
        coffee cup · 600 × 400 pixels · known outline: coffee cup
    """
    return _shipped("coffee")


def astronaut() -> Photo:
    """Return scikit-image's portrait of Eileen Collins (512 × 512); the outline takes her and the helmet she holds.

    Example:
        >>> photos.astronaut()
        astronaut · 512 × 512 pixels · known outline: astronaut
    """
    return _shipped("astronaut")


def motorcycle() -> Photo:
    """Return the left picture of scikit-image's motorcycle pair (741 × 500); the floor seen through it is left out.

    Example:
        >>> photos.motorcycle()
        motorcycle · 741 × 500 pixels · known outline: motorcycle
    """
    return _shipped("motorcycle")


def rocket() -> Photo:
    """Return scikit-image's rocket on its pad (640 × 427); the outline takes the rocket without the pad's frame.

    Example:
        >>> photos.rocket()
        rocket · 640 × 427 pixels · known outline: rocket
    """
    return _shipped("rocket")


def coverage(name: str) -> np.ndarray:
    """Return how much of each pixel of a shipped photograph its object covers: H×W float32 in 0…1, soft along the edge.

    Args:
        name: "cat", "coffee", "astronaut", "motorcycle" or "rocket", as the function that gives the photo.

    Example:
        >>> photos.coverage("cat").shape
        (300, 451)
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
    if name not in _NAMES:
        raise ValueError(f"There is no photograph {name!r}; {near(str(name), _NAMES)}.")
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
    outlined = _outline(f"{name}.json")
    fine = Image.new("L", (image.width * _FINE, image.height * _FINE))
    pen = ImageDraw.Draw(fine)
    for loops, ink in ((outlined["outline"], 255), (outlined["holes"], 0)):
        for loop in loops:
            pen.polygon([(x * _FINE - 0.5, y * _FINE - 0.5) for x, y in _smooth(loop)], fill=ink)
    covered = np.asarray(fine.reduce(_FINE), dtype=np.float32) / 255
    covered.flags.writeable = False
    return image, covered, outlined["object"]


def _outline(file: str) -> dict[str, Any]:
    remedy = f"fetch it again from the repository, `git checkout -- data/outlines/{file}`"
    path = data("outlines", file)
    try:
        outlined = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {file} in data/outlines: {remedy}.") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"The outline data/outlines/{file} is damaged ({error}): {remedy}.") from None
    if not isinstance(outlined, dict) or not {"outline", "holes", "object"} <= outlined.keys():
        raise ValueError(f"The outline data/outlines/{file} is damaged, with a part missing: {remedy}.")
    return outlined


def _smooth(loop: list[list[float]], rounds: int = 2) -> np.ndarray:
    """Round a closed polygon's corners by cutting them at a quarter and three quarters of each side (Chaikin, 1974)."""
    points = np.asarray(loop)
    for _ in range(rounds):
        after = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * after, 0.25 * points + 0.75 * after], axis=1).reshape(-1, 2)
    return points
