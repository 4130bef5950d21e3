"""What a network is given: pictures of any kind made ready, and where on each photo the network looks."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lessons_lib.core.accepted.images import no_picture, told_as_damaged, upright_rgb
from lessons_lib.core.engine.calling import recipe
from lessons_lib.core.engine.hooks import forwards, left_as_found
from lessons_lib.core.engine.outputs import said
from lessons_lib.core.preprocess import Region
from lessons_lib.core.records import Explainable, Outlined, Photo
from lessons_lib.core.several import OnePicture, picture_of, with_the_others

Pictures = OnePicture | Sequence[OnePicture] | Tensor | tuple[Any, ...] | Mapping[str, Any]
"""What can be explained: a photo or a Pillow image, several of them, a tensor C×H×W or a batch N×C×H×W; or all inputs
of a network that takes more."""


def single(pictures: Any) -> bool:
    """Return whether this is one picture, so that one answer is given for it, and no list."""
    pictures = picture_of(pictures)
    return isinstance(pictures, OnePicture) or (isinstance(pictures, Tensor) and pictures.ndim == 3)


@contextmanager
def given(pictures: Any, model: Explainable) -> Iterator[tuple[list[Photo], Tensor, list[Region]]]:
    """Make pictures ready; meanwhile the network is in the state of `left_as_found` and takes its other inputs too.

    Args:
        pictures: as `ready` takes them; or, of a network with several inputs, all of them: a tuple in order, or a dict
            by name. One of them is the picture, `picture_of`; the others stay as they are, also when changed pictures
            are run.
        model: the network and what it needs.

    Raises:
        TypeError: these are not the inputs that the network's `forward` takes.

    Example:
        >>> model = models.imagenet()
        >>> with given(photos.cat(), model) as (seen, batch, regions):
        ...     print(tuple(model.network(batch).shape))
        (1, 1000)
    """
    photos, batch, regions = ready(picture_of(pictures), model)
    call = with_the_others(pictures, model.network, len(batch))
    with left_as_found(model.network), forwards({model.network: call} if call else {}):
        yield photos, batch, regions


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
        hints = {2: "; a grey picture has a channel, too: `pictures[None]`", 5: f"; {recipe(3)}"}
        way_out = hints.get(pictures.ndim, "")
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
    seen = batch.detach().float().cpu().numpy().copy()  # all at once: of a small network, each by itself would show
    return [_Shown(one) for one in seen], batch, [(0.0, 0.0, float(width), float(height))] * len(batch)


_NO_PICTURE = "There is no picture to explain: give one or more."


def _of_photos(given: list[Any], model: Explainable) -> tuple[list[Photo], Tensor, list[Region]]:
    if not given:
        raise ValueError(_NO_PICTURE)
    for one in given:
        if not isinstance(one, OnePicture):
            raise TypeError(
                f"Give photos, PIL images or one batch tensor, not {said(one)}: {no_picture(one, len(given))}."
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


class _Shown(Photo):
    """A network's input, C×H×W, as something to draw on: its range stretched to black and white.

    It is drawn when somebody looks: beside a small network, whose run takes milliseconds, drawing would show.
    """

    given: np.ndarray

    def __init__(self, image: np.ndarray | Image.Image, objects: tuple[Outlined, ...] = (), title: str = ""):
        vars(self).update(objects=objects, title=title)
        if isinstance(image, Image.Image):  # by `dataclasses.replace`
            vars(self).update(image=image)
        else:
            vars(self).update(given=image)

    @cached_property
    def image(self) -> Image.Image:
        bands = self.given if len(self.given) == 3 else self.given.mean(axis=0, keepdims=True).repeat(3, axis=0)
        bands = np.nan_to_num(bands, posinf=0, neginf=0)
        low, high = bands.min(), bands.max()
        bands = np.rint((bands - low) / (high - low if high > low else 1) * 255).astype(np.uint8)
        return Image.fromarray(bands.transpose(1, 2, 0).copy())
