"""The members of the family: activations and gradients in, coarse map out, before the final ReLU.

Each takes what `capture` saw and returns one map of H×W for each picture. The final ReLU is the map's own business
(`Heatmap.positive`), so that negative evidence is not lost.
"""

from collections.abc import Callable

from torch import Tensor

from lessons_lib.capture import Captured

Method = Callable[[Captured], Tensor]


def cam(seen: Captured) -> Tensor:
    """Class activation map: the feature maps, weighted by the last linear layer's weights for the class.

    Formula: M_c(i, j) = Σ_k w_k^c · A^k(i, j), eq. (2) of Zhou et al., "Learning Deep Features for Discriminative
    Localization", arXiv 1512.04150.

    Returns:
        N×H×W in units of the logit: the mean of a map plus the class's bias is the logit.

    Raises:
        ValueError: the network does not end in global average pooling and one linear layer.

    Example:
        >>> explain(models.imagenet(), photos.cat(), ClassScore("tabby"), method=cam)
    """
    w = seen.class_weights
    A = seen.activations
    return (w[:, :, None, None] * A).sum(dim=1)


def gradcam(seen: Captured) -> Tensor:
    """Grad-CAM: the feature maps, each weighted by the mean of its gradient.

    Formula: α_k = 1/Z · Σ_ij ∂y/∂A^k(i, j), eq. (1), and Σ_k α_k · A^k, the inside of eq. (2) of Selvaraju et al.,
    "Grad-CAM", arXiv 1610.02391; Z = H·W.

    Returns:
        N×H×W in units of the score. The paper's ReLU is applied by `Heatmap.positive`.

    Raises:
        RuntimeError: no gradient reaches the layer.

    Example:
        >>> explain(models.imagenet(), photos.cat(), ClassScore("tabby"), method=gradcam)
    """
    alpha = seen.gradients.mean(dim=(2, 3))
    A = seen.activations
    return (alpha[:, :, None, None] * A).sum(dim=1)
