"""What a network is given: pictures of any kind made ready, and where on each photo the network looks."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from lessons_lib.core.engine.hooks import forwards, left_as_found
from lessons_lib.core.engine.outputs import kind_of
from lessons_lib.core.preprocess import Region
from lessons_lib.core.records import Explainable, Outlined, Photo

OnePicture = Photo | Image.Image
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
        >>> with given((photos.cat(), size), my_record) as (photos, batch, regions):
        ...     logits = my_record.network(batch)
    """
    photos, batch, regions = ready(picture_of(pictures), model)
    call = _with_the_others(pictures, model.network, len(batch))
    with left_as_found(model.network), forwards({model.network: call} if call else {}):
        yield photos, batch, regions


def picture_of(pictures: Any) -> Any:
    """Return the picture among a network's several inputs: the first photo or N×C×H×W, or else the first C×H×W.

    What is no such tuple or dict is returned as it is.
    """
    held = _several(pictures)
    return held[_key(held)] if held else pictures


def _several(pictures: Any) -> dict[Any, Any]:
    """Return a network's several inputs by position or name; nothing where these are pictures alone."""
    if isinstance(pictures, Mapping):
        return dict(pictures)
    several = isinstance(pictures, tuple) and any(isinstance(one, Tensor) for one in pictures)
    return dict(enumerate(pictures)) if several else {}


def _key(held: dict[Any, Any]) -> Any:
    for axes in (4, 3):
        for key, one in held.items():
            if isinstance(one, OnePicture) or (
                isinstance(one, Tensor) and one.ndim == axes and one.is_floating_point()
            ):
                return key
    told = ", ".join(f"{key}: {kind_of(one)}" for key, one in held.items())
    raise TypeError(f"None of these inputs is a picture ({told}): give a photo or a batch N × C × H × W among them.")


def _with_the_others(pictures: Any, network: nn.Module, count: int) -> Callable[[Tensor], Any] | None:
    """Return a `forward` that takes the picture alone; None where the network's own does."""
    own, held = network.forward, _several(pictures)
    if not held:
        _check_taken(network, pictures)
        return None
    key, apart = _key(held), isinstance(pictures, Mapping)
    others = {name: one for name, one in held.items() if name != key}
    if any(isinstance(one, OnePicture) for one in others.values()):
        raise TypeError("One picture is explained at a time: give the other ones as tensors that are ready.")
    if count > 1 and any(isinstance(one, Tensor) and one.ndim and len(one) == count for one in others.values()):
        raise ValueError(f"{count} pictures with inputs of their own: explain them one by one.")
    args, kwargs = ((), held) if apart else (tuple(held.values()), {})
    whole = not _taken(network, args, kwargs) and _taken(network, (pictures,), {})  # a forward that unpacks it itself
    if not whole:
        _check_taken(network, *args, **kwargs)

    def call(batch: Tensor) -> Any:
        # Where one picture stands for many variants, so does what belongs to it.
        now = {
            name: one.expand(len(batch), *one.shape[1:]) if isinstance(one, Tensor) and one.shape[:1] == (1,) else one
            for name, one in others.items()
        }
        now = {name: batch if name == key else now[name] for name in held}
        if whole:
            return own(now if apart else tuple(now.values()))
        return own(**now) if apart else own(*now.values())

    return call


def _taken(network: nn.Module, args: tuple[Any, ...], kwargs: dict[Any, Any]) -> bool:
    """Return whether a network's `forward` takes such arguments, as far as its signature says."""
    try:
        inspect.signature(network.forward).bind(*args, **kwargs)
    except TypeError:
        return False
    except ValueError:  # it has none
        pass
    return True


def _check_taken(network: nn.Module, *args: Any, **kwargs: Any) -> None:
    if _taken(network, args, kwargs):
        return
    known = inspect.signature(network.forward).parameters.values()
    names = [
        one.name for one in known if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    by_name = ", ".join(f"{name!r}: {name}" for name in names)
    raise TypeError(
        f"The forward of this {type(network).__name__} takes {' and '.join(names) or 'nothing'}, and was given "
        f"{' and '.join(kwargs) or f'{len(args)} input' + 's' * (len(args) > 1)}: give all of them, in order, "
        f"`ll.explain(network, ({', '.join(names)}))`, or by name, `ll.explain(network, {{{by_name}}})`."
    )


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
