"""What a network is given: pictures of any kind made ready, and where on each photo the network looks."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from os import PathLike
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from lessons_lib.core.engine.outputs import said
from lessons_lib.core.preprocess import Region
from lessons_lib.core.records import Explainable, Outlined, Photo

OnePicture = Photo | Image.Image
Pictures = OnePicture | Sequence[OnePicture] | Tensor
"""What can be explained: a photo or a Pillow image, several of them, a tensor C×H×W or a batch N×C×H×W."""


def single(pictures: Any) -> bool:
    """Return whether this is one picture, so that one answer is given for it, and no list."""
    return isinstance(pictures, OnePicture) or (isinstance(pictures, Tensor) and pictures.ndim == 3)


def ready(pictures: Any, model: Explainable) -> tuple[list[Photo], Tensor, list[Region]]:
    """Return what is drawn on, what the network is given, and where on the one the other lies.

    Args:
        pictures: a photo or a Pillow image, a list of them, or a tensor.
        model: whose transform, device and type the tensor is made for.
    """
    if isinstance(pictures, Tensor):
        return _of_tensor(pictures)
    return _of_photos(list(pictures) if isinstance(pictures, list | tuple) else [pictures], model)


def _of_tensor(pictures: Tensor) -> tuple[list[Photo], Tensor, list[Region]]:
    if pictures.is_nested:
        raise TypeError(
            "A nested tensor holds pictures of several sizes: explain them one by one, of `pictures.unbind()`."
        )
    if pictures.layout != torch.strided:
        raise TypeError(
            f"This tensor is stored as {str(pictures.layout).removeprefix('torch.')}: give `pictures.to_dense()`."
        )
    if pictures.is_meta:
        raise ValueError(
            "This tensor lies on the device 'meta', which holds no pixels: give one that does, on the CPU, say."
        )
    shape = " × ".join(map(str, pictures.shape)) or "one number"
    if pictures.ndim not in (3, 4):
        way_out = "; a grey picture has a channel, too: `pictures[None]`" if pictures.ndim == 2 else ""
        raise ValueError(f"A batch is N × C × H × W and a picture C × H × W; this tensor is {shape}{way_out}.")
    if pictures.ndim == 4 and not len(pictures):
        raise ValueError(_NO_PICTURE)
    if not pictures.numel():
        raise ValueError(f"This tensor is {shape}, so there is no pixel in it: give pictures that have some.")
    if pictures.is_quantized:
        raise TypeError("This tensor is quantised, and a network takes floating point: give `pictures.dequantize()`.")
    if not pictures.is_floating_point():
        raise TypeError(
            f"This tensor holds {str(pictures.dtype).removeprefix('torch.')}, and a network takes what it was "
            "trained on: pixels in [0, 1], less the mean and divided by the standard deviation. "
            "`ll.Preprocess()` makes that of a picture, with ImageNet's."
        )
    batch = pictures if pictures.ndim == 4 else pictures[None]
    height, width = batch.shape[2:]
    return [_Shown(one) for one in batch], batch, [(0.0, 0.0, float(width), float(height))] * len(batch)


_NO_PICTURE = "There is no picture to explain: give one or more."


def _of_photos(given: list[Any], model: Explainable) -> tuple[list[Photo], Tensor, list[Region]]:
    if not given:
        raise ValueError(_NO_PICTURE)
    for one in given:
        if not isinstance(one, OnePicture):
            raise TypeError(
                f"Give photos, PIL images or one batch tensor, not {said(one)}: {_way_out(one, len(given))}."
            )
    if model.transform is None:
        raise ValueError(
            "This model comes without preprocessing, so it can't take a photo: give it a tensor that is ready for it, "
            "or a record, `ll.Explainable(network, transform=ll.Preprocess(256, 224))`."
        )
    photos = [_photo(one) for one in given]
    inputs = [model.transform(photo.image) for photo in photos]
    if len({one.shape for one in inputs}) > 1:
        raise ValueError("These photos have different sizes and this model does not crop: explain them one by one.")
    dtype = next((p.dtype for p in model.network.parameters() if p.is_floating_point()), torch.float32)
    batch = torch.stack(inputs).to(model.device, dtype)
    return photos, batch, [model.transform.region(*photo.image.size) for photo in photos]


def _photo(given: OnePicture) -> Photo:
    """Return a picture as an upright RGB photo; one that is a photo with its objects, which lie as its image does."""
    if not isinstance(given, Photo):
        return Photo(upright_rgb(given))
    if given.image.mode == "RGB" and all(given.image.size):
        with told_as_damaged("This photo"):
            given.image.load()
        return given
    return replace(given, image=upright_rgb(given.image))


def _way_out(given: Any, count: int) -> str:
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


class _Shown(Photo):
    """A network's input, C×H×W, as something to draw on: its range stretched to black and white.

    It is drawn when somebody looks: beside a small network, whose run takes milliseconds, drawing would show.
    """

    given: np.ndarray

    def __init__(self, image: Tensor | Image.Image, objects: tuple[Outlined, ...] = (), title: str = ""):
        vars(self).update(objects=objects, title=title)
        if isinstance(image, Image.Image):  # by `dataclasses.replace`
            vars(self).update(image=image)
        else:
            vars(self).update(given=image.detach().float().cpu().numpy().copy())

    @cached_property
    def image(self) -> Image.Image:
        bands = self.given if len(self.given) == 3 else self.given.mean(axis=0, keepdims=True).repeat(3, axis=0)
        bands = np.nan_to_num(bands, posinf=0, neginf=0)
        low, high = bands.min(), bands.max()
        bands = np.rint((bands - low) / (high - low if high > low else 1) * 255).astype(np.uint8)
        return Image.fromarray(bands.transpose(1, 2, 0).copy())


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
