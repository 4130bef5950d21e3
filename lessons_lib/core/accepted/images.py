"""Pictures as people give them: any of Pillow's as upright RGB, and what to do with something that is none."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor


def upright_rgb(picture: Image.Image, name: str = "This picture") -> Image.Image:
    """Return any picture of Pillow's as upright RGB: every picture comes into the course through this door.

    Turned as its EXIF orientation says; transparent parts over white; more than 8 bits a pixel scaled from the
    picture's own darkest to its brightest value; of an animation, the first frame.
    """
    if not all(picture.size):
        size = "{} × {}".format(*picture.size)
        raise ValueError(f"{name} is {size} pixels, so there is nothing to see: give one with pixels.")
    with told_as_damaged(name):
        picture.seek(0)
        upright = ImageOps.exif_transpose(picture)
        if upright.mode == "La":  # which Pillow turns into nothing else
            upright = upright.convert("LA")
    if upright.mode in ("I", "F") or upright.mode.startswith("I;16"):
        return _eight_bits(upright).convert("RGB")
    if upright.has_transparency_data:
        over = upright.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")
    return upright.convert("RGB")


@contextmanager
def told_as_damaged(name: str) -> Iterator[None]:
    """Let what Pillow raises while it reads a picture be one sentence.

    What is no picture, too large, or an error of the operating system comes through as it is.

    Raises:
        ValueError: it is damaged, cut short, closed, or of a kind that can't be read here.
    """
    try:
        yield
    except (MemoryError, UnidentifiedImageError, Image.DecompressionBombError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise
        words = next(iter(str(error).splitlines()), type(error).__name__)
        if "closed" in words.lower():
            raise ValueError(f"{name} was closed before it was read: open it again, `ll.photos.open(path)`.") from error
        if any(sign in words for sign in ("Ghostscript", "not available", "cannot find loader")):
            raise ValueError(f"{name} can't be read here ({words}): save it as PNG or JPEG and open that.") from error
        raise ValueError(f"{name} is damaged or cut short ({words}): copy or save it again.") from error


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Scale a grey picture of more than 8 bits from its own darkest…brightest value to 0…255.

    The picture's own range, because cameras and scanners keep 10 to 14 bits in 16; a picture of one value becomes
    mid-grey. An infinity is as bright or as dark as the others get, and what is no number is dark.
    """
    values = np.asarray(picture, dtype=np.float64)
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    scaled = (values - low) / (high - low) * 255 if high > low else np.full_like(values, 127.5)
    return Image.fromarray(np.round(scaled).astype(np.uint8))


def no_picture(given: Any, count: int) -> str:
    """Return what to do with something that is no picture."""
    if isinstance(given, str | bytes | PathLike):
        return f"open the file, `ll.photos.open({str(given) if isinstance(given, PathLike) else given!r})`"
    if isinstance(given, Tensor):
        return "stack tensors, `torch.stack(pictures)`"
    if isinstance(given, np.ndarray):
        as_picture = given.dtype == np.uint8 and (given.ndim == 2 or (given.ndim == 3 and given.shape[2] in (3, 4)))
        return "make the array " + (
            "a picture, `PIL.Image.fromarray(array)`" if as_picture else "a tensor, `torch.from_numpy(array)`"
        )
    if isinstance(given, list | tuple) and count == 1:
        return "give the inner list alone, `pictures[0]`"
    if isinstance(given, Iterable) and not isinstance(given, dict):
        return (
            "open a file with `ll.photos.open(file)`" if hasattr(given, "read") else "make it a list, `list(pictures)`"
        )
    if callable(given) and getattr(given, "__name__", "").isidentifier():
        return f"call it, `{given.__name__}()`"
    return "open a file with `ll.photos.open(path)`, or take one that ships, `ll.photos.cat()`"
