"""A small person segmenter: MobileNetV3's blocks down to 16 × 16 cells, and three steps up again."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from lessons_lib.models.same import SameConv2d, conv, inverted

_BLOCKS = (
    # channels out, wide, kernel, stride, of the squeeze (0: none)
    (16, 16, 3, 2, 8),
    (24, 72, 3, 2, 0),
    (24, 88, 3, 1, 0),
    (32, 96, 5, 2, 24),
    (32, 128, 5, 1, 32),
    (32, 128, 5, 1, 32),
    (32, 96, 5, 1, 24),
    (32, 96, 5, 1, 24),
)


class Weigh(nn.Sequential):
    """Squeeze and excitation: a weight from 0 to 1 for each channel of a map, from the means of all of them.

    Hu et al., "Squeeze-and-Excitation Networks", arXiv 1709.01507.
    """

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__(
            nn.AdaptiveAvgPool2d(1),
            SameConv2d(channels, squeezed, 1),
            nn.ReLU(),
            SameConv2d(squeezed, channels, 1),
            nn.Sigmoid(),
        )


class Squeeze(nn.Module):
    """A map, each channel times the weight that `Weigh` gives it."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.weigh = Weigh(channels, squeezed)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weigh(x)


class Levels(nn.Module):
    """The way down: a dict of the maps at strides 2, 4, 8 and 16, the coarsest weighed by what the whole picture holds.

    Example:
        >>> {name: tuple(maps.shape[1:]) for name, maps in Levels()(torch.zeros(1, 3, 256, 256)).items()}
        {'2': (16, 128, 128), '4': (16, 64, 64), '8': (24, 32, 32), '16': (128, 16, 16)}
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 16, 3, 2, nn.Hardswish)
        self.blocks = nn.ModuleList()
        few = 16
        for number, (many, wide, kernel, stride, squeezed) in enumerate(_BLOCKS):
            activation: Callable[[], nn.Module] = nn.ReLU if number < 3 else nn.Hardswish
            squeeze = Squeeze(wide, squeezed) if squeezed else None
            self.blocks.append(inverted(few, wide, many, kernel, stride, activation, squeeze, skip=stride == 1))
            few = many
        self.local = conv(few, 128, activation=nn.ReLU)
        self.picture = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(few, 128, activation=nn.Sigmoid))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.stem(x)
        found = {"2": x}
        for number, block in enumerate(self.blocks):
            x = block(x)
            found.update({stride: x for stride, last in (("4", 0), ("8", 2)) if last == number})
        return {**found, "16": self.local(x) * self.picture(x)}


class Up(nn.Module):
    """One step up: the coarser map twice as large, the finer one added as far as both together let it through."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.bring = conv(coarse, fine)
        self.weigh = Weigh(fine, fine)
        self.mix = conv(fine, fine, activation=nn.ReLU)
        self.smooth = conv(fine, fine, 3, activation=nn.ReLU, groups=fine)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        brought = self.bring(F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False))
        mixed = self.mix(fine * self.weigh(fine + brought) + brought)
        return mixed + self.smooth(mixed)


class PersonSegmenter(nn.Module):
    """One logit for each pixel: is this a person? N×3×H×W with values in [0, 1] gives N×1×H×W.

    Height and width are multiples of 16; it was trained on 256 × 256.

    Example:
        >>> PersonSegmenter()(torch.zeros(1, 3, 256, 256)).shape
        torch.Size([1, 1, 256, 256])
    """

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Levels()
        self.up = nn.ModuleDict({"8": Up(128, 24), "4": Up(24, 16), "2": Up(16, 16)})
        self.out = nn.ConvTranspose2d(16, 1, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        levels = self.backbone(x)
        maps = levels["16"]
        for stride, up in self.up.items():
            maps = up(maps, levels[stride])
        return self.out(maps)
