"""Convolutions padded as TensorFlow pads them, which the networks that were published for it were trained with."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F


class SameConv2d(nn.Conv2d):
    """A convolution of stride s that makes ⌈size / s⌉ rows and columns, padded with zeros: TensorFlow's "same".

    Where the number of zeros is odd, one more goes to the bottom and the right. So at stride 2 a map of an even size
    is read from its first row on, while torch's `padding=1` would begin one row above it.

    Example:
        >>> SameConv2d(3, 8, 3, stride=2)(torch.zeros(1, 3, 300, 300)).shape
        torch.Size([1, 8, 150, 150])
    """

    def forward(self, input: Tensor) -> Tensor:
        sides = []
        for size, kernel, stride in zip(input.shape[-2:], self.kernel_size, self.stride, strict=True):
            missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            sides.append((missing // 2, missing - missing // 2))
        (top, bottom), (left, right) = sides
        return super().forward(F.pad(input, (left, right, top, bottom)))


def conv(
    few: int,
    many: int,
    kernel: int = 1,
    stride: int = 1,
    activation: Callable[[], nn.Module] | None = None,
    **options: Any,
) -> nn.Sequential:
    """Return a `SameConv2d` with a bias, and the activation behind it; batch normalisation is folded into both."""
    layers: list[nn.Module] = [SameConv2d(few, many, kernel, stride, **options)]
    return nn.Sequential(*layers, *([activation()] if activation else []))


class Skip(nn.Sequential):
    """Layers whose output is added to what came in."""

    def forward(self, input: Tensor) -> Tensor:
        return input + super().forward(input)


def inverted(
    few: int,
    wide: int | None,
    many: int,
    kernel: int,
    stride: int,
    activation: Callable[[], nn.Module],
    squeeze: nn.Module | None = None,
    skip: bool = False,
) -> nn.Sequential:
    """Return MobileNet's block: `expand` to a wide map, `depthwise` over it, `project` to a narrow one.

    Args:
        few: channels that come in.
        wide: channels in the middle; with None, there is no `expand`, and as many as come in.
        many: channels that go out.
        kernel: of the depthwise convolution.
        stride: of the depthwise convolution.
        activation: behind the first two; the last is linear.
        squeeze: what weighs the wide map's channels before the last, if anything does.
        skip: whether what came in is added to what goes out.
    """
    block = Skip() if skip else nn.Sequential()
    if wide is None:
        wide = few
    else:
        block.add_module("expand", conv(few, wide, activation=activation))
    block.add_module("depthwise", conv(wide, wide, kernel, stride, activation, groups=wide))
    if squeeze is not None:
        block.add_module("squeeze", squeeze)
    block.add_module("project", conv(wide, many))
    return block
