"""What a network is given: pictures of any kind made ready, and where on each photo the network looks."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from lessons_lib.core.engine.outputs import kind_of
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
    if len(pictures if isinstance(pictures, Tensor | list | tuple) else [pictures]) == 0:
        raise ValueError("There is no picture to explain: give one or more.")
    return (_of_tensor if isinstance(pictures, Tensor) else _of_photos)(pictures, model)


def _of_tensor(pictures: Tensor, _model: Explainable) -> tuple[list[Photo], Tensor, list[Region]]:
    if pictures.ndim not in (3, 4):
        raise ValueError(f"A batch is N × C × H × W and a picture C × H × W; this tensor is {kind_of(pictures)}.")
    if not pictures.is_floating_point():
        raise TypeError(
            f"This tensor holds {str(pictures.dtype).removeprefix('torch.')}, and a network takes what it was "
            "trained on: pixels in [0, 1], less the mean and divided by the standard deviation. "
            "`ll.Preprocess()` makes that of a picture, with ImageNet's."
        )
    batch = pictures if pictures.ndim == 4 else pictures[None]
    height, width = batch.shape[2:]
    return [_Shown(one) for one in batch], batch, [(0.0, 0.0, float(width), float(height))] * len(batch)


def _of_photos(pictures: Any, model: Explainable) -> tuple[list[Photo], Tensor, list[Region]]:
    given = list(pictures) if isinstance(pictures, list | tuple) else [pictures]
    for one in given:
        if not isinstance(one, OnePicture):
            raise TypeError(
                f"Give photos, PIL images or one batch tensor, not {kind_of(one)}: open a file with "
                "`ll.photos.open(path)`, stack tensors with `torch.stack`, make an array a picture with "
                "`PIL.Image.fromarray`."
            )
    if model.transform is None:
        raise ValueError(
            "This model comes without preprocessing, so it can't take a photo: give it a tensor that is ready for it, "
            "or a record, `ll.Explainable(network, transform=ll.Preprocess(256, 224))`."
        )
    photos = [one if isinstance(one, Photo) else Photo(upright_rgb(one)) for one in given]
    inputs = [model.transform(photo.image) for photo in photos]
    if len({one.shape for one in inputs}) > 1:
        raise ValueError("These photos have different sizes and this model does not crop: explain them one by one.")
    dtype = next((p.dtype for p in model.network.parameters() if p.is_floating_point()), torch.float32)
    batch = torch.stack(inputs).to(model.device, dtype)
    return photos, batch, [model.transform.region(*photo.image.size) for photo in photos]


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


def upright_rgb(picture: Image.Image) -> Image.Image:
    """Return any picture of Pillow's as upright RGB: every picture comes into the course through this door.

    Turned as its EXIF orientation says; transparent parts over white; more than 8 bits a pixel scaled from the
    picture's own darkest to its brightest value; of an animation, the first frame.
    """
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
    mid-grey. An infinity is as bright or as dark as the others get, and what is no number is dark.
    """
    values = np.asarray(picture, dtype=np.float64)
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    scaled = (values - low) / (high - low) * 255 if high > low else np.full_like(values, 127.5)
    return Image.fromarray(np.round(scaled).astype(np.uint8))
