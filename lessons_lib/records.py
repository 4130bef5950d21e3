"""What it takes to explain a network, in one record: network, preprocessing, category names, default layer, layout."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from lessons_lib import layouts

Region = tuple[float, float, float, float]


@dataclass(frozen=True)
class Preprocess:
    """A picture made ready for a network: shorter side to `resize`, centre crop, values in [0, 1], mean and std.

    Args:
        resize: the length of the shorter side in pixels; `None` keeps the picture's size.
        crop: the side of the square cut from the centre; `None` keeps everything.
        mean, std: of the three channels, in units of [0, 1].
        interpolation: how pixels are mixed when the picture is resized.

    Example:
        >>> Preprocess(resize=256, crop=224)(photos.cat().image).shape
        torch.Size([3, 224, 224])
    """

    resize: int | None = None
    crop: int | None = None
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    interpolation: InterpolationMode = InterpolationMode.BILINEAR

    def __call__(self, image: Image.Image) -> Tensor:
        if self.resize is not None:
            image = F.resize(image, [self.resize], interpolation=self.interpolation)
        if self.crop is not None:
            image = F.center_crop(image, [self.crop, self.crop])
        pixels = F.to_dtype(F.pil_to_tensor(image), torch.float32, scale=True)
        return F.normalize(pixels, list(self.mean), list(self.std))

    def mask(self, mask: np.ndarray) -> Tensor:
        """Bring a mask on a picture, height×width bool, to where the network sees it, each pixel as the nearest one."""
        moved = torch.from_numpy(mask.astype(np.uint8))[None]
        if self.resize is not None:
            moved = F.resize(moved, [self.resize], interpolation=InterpolationMode.NEAREST_EXACT)
        if self.crop is not None:
            moved = F.center_crop(moved, [self.crop, self.crop])
        return moved[0].bool()

    def region(self, width: int, height: int) -> Region:
        """Return where on a `width` × `height` picture the network looks: left, top, right, bottom in its pixels."""
        short = min(width, height)
        wide, high = width, height
        if self.resize is not None:
            wide, high = int(self.resize * width / short), int(self.resize * height / short)
        left, top, right, bottom = 0, 0, wide, high
        if self.crop is not None:
            left, top = round((wide - self.crop) / 2), round((high - self.crop) / 2)
            right, bottom = left + self.crop, top + self.crop
        return left * width / wide, top * height / high, right * width / wide, bottom * height / high


@dataclass(frozen=True)
class Explainable:
    """A network with all that is needed to explain it.

    Args:
        network: any `nn.Module`.
        layer: dotted name of the layer that is looked at when none is given.
        transform: from a picture to the network's input; `None` where only tensors are accepted.
        categories: the classes' names, in the order of the logits; empty where they have no names.
        layout: from what the layer emits to maps N×C×H×W; `None` tells it by what is emitted, `layouts.recognised`.
        probability: from the logits to the number shown beside a class, softmax or sigmoid; `None` shows the score.

    Raises:
        TypeError: the network is no `nn.Module`, or one that was scripted or traced.
    """

    network: nn.Module
    layer: str | None = None
    transform: Preprocess | None = None
    categories: tuple[str, ...] = ()
    layout: layouts.Layout | None = None
    probability: Callable[[Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.network, nn.Module):
            raise TypeError(f"A network is an `nn.Module`, not a {type(self.network).__name__}.")
        if isinstance(self.network, torch.jit.ScriptModule):
            raise TypeError(
                "A scripted or traced network shows nothing of what its layers emit: give the network it was made from."
            )
