"""A picture made ready for a network, and where on the picture the network then looks."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import pil_modes_mapping
from torchvision.transforms.v2 import functional as F

from lessons_lib.core.engine.outputs import said

Region = tuple[float, float, float, float]
"""Left, top, right and bottom in a photo's pixels; it may reach over the photo's edge."""


@dataclass(frozen=True)
class Preprocess:
    """A picture made ready for a network: resized, cropped from the centre, values in [0, 1], mean and std.

    Args:
        resize: the length of the shorter side in pixels, or height and width; `None` keeps the picture's size.
        crop: the side of the square cut from the centre, or its height and width; `None` keeps everything.
        mean: of the three channels, in units of [0, 1].
        std: of the three channels, in units of [0, 1].
        interpolation: how pixels are mixed when the picture is resized.

    Example:
        >>> Preprocess(resize=256, crop=224)(Image.new("RGB", (451, 300))).shape
        torch.Size([3, 224, 224])
    """

    resize: int | tuple[int, int] | None = None
    crop: int | tuple[int, int] | None = None
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    interpolation: InterpolationMode = InterpolationMode.BILINEAR

    def __post_init__(self) -> None:
        settled = {
            "resize": _size("resize", self.resize),
            "crop": _size("crop", self.crop),
            "mean": _three("mean", self.mean),
            "std": _three("std", self.std),
            "interpolation": _mode(self.interpolation),
        }
        for name, value in settled.items():
            object.__setattr__(self, name, value)  # a frozen record's one conversion

    def __call__(self, image: Image.Image) -> Tensor:
        if self.resize is not None:
            image = F.resize(image, _pair_or_side(self.resize), interpolation=self.interpolation)
        if self.crop is not None:
            image = F.center_crop(image, list(_pair(self.crop)))
        with torch.device("cpu"):  # whatever torch's default device is
            pixels = F.to_dtype(F.pil_to_tensor(image), torch.float32, scale=True)
        return F.normalize(pixels, list(self.mean), list(self.std))

    def mask(self, mask: np.ndarray) -> Tensor:
        """Bring a mask on a picture, height×width bool, to where the network sees it, each pixel as the nearest one."""
        moved = torch.from_numpy(mask.astype(np.uint8))[None]
        if self.resize is not None:
            moved = F.resize(moved, _pair_or_side(self.resize), interpolation=InterpolationMode.NEAREST_EXACT)
        if self.crop is not None:
            moved = F.center_crop(moved, list(_pair(self.crop)))
        return moved[0].bool()

    def region(self, width: int, height: int) -> Region:
        """Return where on a `width` × `height` picture the network looks: left, top, right, bottom in its pixels."""
        wide, high = width, height
        if isinstance(self.resize, int):
            short = min(width, height)
            wide, high = int(self.resize * width / short), int(self.resize * height / short)
        elif self.resize is not None:
            high, wide = self.resize
        left, top, right, bottom = 0, 0, wide, high
        if self.crop is not None:
            rows, columns = _pair(self.crop)
            left, top = round((wide - columns) / 2), round((high - rows) / 2)
            right, bottom = left + columns, top + rows
        return left * width / wide, top * height / high, right * width / wide, bottom * height / high


def _size(name: str, given: Any) -> int | tuple[int, int] | None:
    """Return a side, or height and width, as Python's own numbers."""
    if given is None:
        return None
    sides = list(given) if isinstance(given, list | tuple) else [given]
    whole = all(isinstance(one, int | np.integer) and not isinstance(one, bool) for one in sides)
    if not whole or len(sides) not in (1, 2) or min(sides) < 1:
        what = "the shorter side" if name == "resize" else "the side of a square"
        raise ValueError(f"{name} is {what}, or height and width, in whole pixels, not {said(given)}: `{name}=224`.")
    return int(sides[0]) if len(sides) == 1 else (int(sides[0]), int(sides[1]))


def _three(name: str, given: Any) -> tuple[float, float, float]:
    """Return the mean or the std of three channels as Python's own numbers."""
    try:
        red, green, blue = (float(one) for one in given)
    except (TypeError, ValueError):
        each = f"({given}, {given}, {given})" if isinstance(given, int | float) else "(0.5, 0.5, 0.5)"
        raise ValueError(
            f"{name} is three numbers, one for each channel, not {said(given)}: `{name}={each}`."
        ) from None
    if name == "std" and not 0 < min(red, green, blue) <= max(red, green, blue) < math.inf:
        raise ValueError(f"Pixels are divided by std, so {said(given)} can't be: give numbers above 0.")
    if name == "mean" and not max(abs(red), abs(green), abs(blue)) <= 1:
        scaled = ", ".join(f"{one / 255:.3f}" for one in (red, green, blue))
        way_out = (
            f": divided by 255 it is `mean=({scaled})`, and std likewise" if math.isfinite(red + green + blue) else ""
        )
        raise ValueError(f"mean is in units of [0, 1], not {said(given)}{way_out}.")
    return red, green, blue


def _mode(given: Any) -> InterpolationMode:
    """Return a way to interpolate from itself, its name or Pillow's number."""
    known = {mode.value: mode for mode in InterpolationMode} | {
        pil_modes_mapping[mode]: mode for mode in InterpolationMode if mode in pil_modes_mapping
    }
    mode = given if isinstance(given, InterpolationMode) else known.get(given) if isinstance(given, str | int) else None
    if mode is None:
        raise ValueError(
            f"There is no interpolation {said(given)}: `InterpolationMode.BILINEAR` is one, of torchvision.transforms."
        )
    return mode


_TO_TENSOR = ("ToTensor", "PILToTensor", "ToImage", "ToPureTensor", "ToDtype", "ConvertImageDtype")
"""Steps that move no pixel, by their names in torchvision; timm puts "Maybe" before some."""


def preprocess_of(transform: Callable[..., Any]) -> Preprocess:
    """Return the resize, crop and normalisation that a transform of torchvision's or timm's stands for.

    Understood are torchvision's presets (`WEIGHTS.transforms()`), and a `Compose` of a resize, a centre crop, steps to
    a tensor and `Normalize`, as timm's `create_transform` builds it: each pixel has one place on the photo there.

    Args:
        transform: a preset, or a `Compose` from `torchvision.transforms` or its `v2`.

    Raises:
        TypeError: it does anything else, so that no map could be laid back on the photo; the sentence names the step.

    Example:
        >>> from torchvision.models import ResNet18_Weights
        >>> preprocess_of(ResNet18_Weights.DEFAULT.transforms()).crop
        224
    """
    if isinstance(transform, Preprocess):
        return transform
    kind, preset = type(transform).__name__, cast(Any, transform)
    if kind == "ObjectDetection":
        return Preprocess(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    if kind in ("ImageClassification", "SemanticSegmentation"):
        crop = _asked(getattr(preset, "crop_size", None))
        return Preprocess(_asked(preset.resize_size), crop, tuple(preset.mean), tuple(preset.std), preset.interpolation)
    if hasattr(transform, "transforms") and callable(preset.transforms) and hasattr(preset, "url"):
        raise TypeError(
            f"{kind} names weights, and the transform is what its method makes: `{kind}.{preset.name}.transforms()`."
        )
    if isinstance(preset, partial) and isinstance(preset.func, type):
        raise TypeError("The transform is what this makes: call it, `WEIGHTS.transforms()`.")
    steps = getattr(transform, "transforms", None) or (
        [transform] if kind in ("Resize", "CenterCrop", *_TO_TENSOR) else None
    )
    if not isinstance(steps, list | tuple):
        raise TypeError(f"Where on the photo the pixels of {said(transform)} come from can't be told: {_WAY_OUT}")
    return _composed(steps)


_WAY_OUT = (
    "give `ll.Preprocess(resize=…, crop=…, mean=…, std=…)` as the transform, or none at all and tensors as pictures."
)


def _composed(steps: Sequence[Any]) -> Preprocess:
    found: dict[str, Any] = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    for step in steps:
        kind = type(step).__name__.removeprefix("Maybe")
        if kind == "Resize" and not {"resize", "crop"} & found.keys() and getattr(step, "max_size", None) is None:
            found["resize"], found["interpolation"] = _asked(step.size), InterpolationMode(step.interpolation)
        elif kind == "CenterCrop" and "crop" not in found:
            found["crop"] = _asked(step.size)
        elif kind == "Normalize":
            listed = (torch.as_tensor(v, device="cpu").flatten().tolist() for v in (step.mean, step.std))
            found["mean"], found["std"] = map(tuple, listed)
        elif kind not in _TO_TENSOR:
            raise TypeError(
                f"The step {kind} of this transform has no one place on the photo for each pixel here, so a map can't "
                f"be laid back: {_WAY_OUT}"
            )
    return Preprocess(**found)


def _asked(size: Any) -> int | tuple[int, int] | None:
    """Return a transform's size as an int, a pair, or None; `[256]` is one side."""
    if size is None or isinstance(size, int):
        return size
    sides = [int(side) for side in size]
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _pair_or_side(size: int | tuple[int, int]) -> list[int]:
    return [size] if isinstance(size, int) else list(size)
