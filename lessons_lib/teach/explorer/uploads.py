"""Files that come in, with one sentence where one can't be taken, and files that go out: a figure, the raw values."""

import re
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.records import Photo
from lessons_lib.photos import files
from lessons_lib.show import Figure

MEGABYTES, LONGEST, SHORTEST, KEPT = 10, 10_000, 32, 1600
"""The most that a file may weigh (a Jupyter server hangs up on more), a picture's sides, the longest that is kept."""


def photo(name: str, content: bytes) -> Photo:
    """Return the photo in a file's bytes, no longer than `KEPT` pixels a side, so that each map is drawn at once.

    Raises:
        ValueError: it is too heavy, too long, too small, an animation, or no sound picture; the sentence says which.

    Example:
        >>> photo("dot.png", b"")
        Traceback (most recent call last):
        ValueError: 'dot.png' is empty, it has no bytes: copy or save it again.
    """
    if len(content) > MEGABYTES * 1_000_000:
        raise ValueError(heavy(name, f"{len(content) / 1e6:.0f}"))
    file = BytesIO(content)
    file.name = name
    _refuse_by_its_header(name, file)
    opened = files.open(file)
    image = opened.image
    image.thumbnail((KEPT, KEPT), Image.Resampling.LANCZOS)
    return Photo(image, title=opened.title)


def heavy(name: str, megabytes: str) -> str:
    """Return what is said of a file that is too heavy; a page says it itself, with JavaScript in the two places."""
    return f"'{name}' has {megabytes} MB, and at most {MEGABYTES} MB are taken: save a smaller copy and choose that."


def _refuse_by_its_header(name: str, file: BytesIO) -> None:
    """Refuse what need not be read to its end to be refused; what can't be read at all is left to `photos.open`."""
    try:
        with Image.open(BytesIO(file.getvalue())) as picture:
            (width, height), frames = picture.size, getattr(picture, "n_frames", 1)
            frames = 1 if picture.format == "MPO" else frames  # a phone's photo with a second view behind it
    except (UnidentifiedImageError, OSError, EOFError, ValueError, SyntaxError, Image.DecompressionBombError):
        return
    if frames > 1:
        raise ValueError(f"{name!r} is an animation of {frames} pictures: save one of them as PNG and choose that.")
    if max(width, height) > LONGEST:
        raise ValueError(
            f"{name!r} is {width} × {height} pixels, and at most {LONGEST:,} a side are taken: save a smaller copy or "
            "a part of it and choose that."
        )
    if min(width, height) < SHORTEST:
        raise ValueError(
            f"{name!r} is {width} × {height} pixels, too few to show anything: choose a picture of {SHORTEST} or more "
            "a side."
        )


def png(figure: Figure, heat: Heatmap) -> str:
    """Write the figure at 300 dots an inch into the working folder, and return the file's name."""
    path = free(heat, ".png")
    figure.save(path, dpi=300)
    return path.name


def npy(heat: Heatmap) -> str:
    """Write the raw, signed values at the layer's resolution, H×W float32, and return the file's name."""
    path = free(heat, ".npy")
    try:
        np.save(path, heat.values.numpy())
    except OSError as error:
        raise ValueError(
            f"{path.name!r} can't be written ({error.strerror}): start Jupyter in a folder where you may write."
        ) from None
    return path.name


def free(heat: Heatmap, ending: str) -> Path:
    """Return a path of which nothing is there yet, named after what is explained, how and where.

    Example:
        >>> free(heat, ".png").name
        'tiger_cat_gradcam_bn2.png'
    """
    asked = heat.words.partition(",")[0]
    stem = re.sub(r"\W+", "_", f"{asked} {heat.method} {heat.layer}").strip("_").lower()
    number, path = 1, Path(stem + ending)
    while path.exists():
        number += 1
        path = Path(f"{stem}_{number}{ending}")
    return path
