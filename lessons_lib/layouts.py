"""What a layer emits, turned into maps of N×C×H×W. A layout rearranges and drops numbers; it computes nothing."""

from collections.abc import Callable

from torch import Tensor

Layout = Callable[[Tensor], Tensor]


def nchw(emitted: Tensor) -> Tensor:
    """Return the feature maps of a convolutional layer as they are.

    Args:
        emitted: what the layer put out, N×C×H×W.

    Raises:
        ValueError: the layer's output is not a stack of maps.

    Example:
        >>> nchw(torch.zeros(2, 512, 7, 7)).shape
        torch.Size([2, 512, 7, 7])
    """
    if emitted.ndim != 4:
        shape = " × ".join(map(str, emitted.shape))
        raise ValueError(
            f"The layer's output is {shape}, not N × C × H × W: it has no rows and columns to draw. "
            "Choose a layer before the flattening, for example the last convolution."
        )
    return emitted
