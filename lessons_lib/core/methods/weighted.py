"""The members of the family that take their weights from one run: from gradients, or from the last linear layer.

The final ReLU is left to the map (`Heatmap.positive`), to keep negative evidence. Where no gradient arrives, those that
need it raise RuntimeError.
"""

import torch
from torch import Tensor

from lessons_lib.core.engine.captured import Captured


def cam(seen: Captured) -> Tensor:
    """Class activation map: the feature maps, weighted by the last linear layer's weights for the class.

    Formula: M_c(i, j) = Σ_k w_k^c · A^k(i, j), eq. (2) of Zhou et al., "Learning Deep Features for Discriminative
    Localization", arXiv 1512.04150.

    Returns:
        N×H×W in units of the logit: the mean of a map plus the class's bias is the logit.

    Raises:
        ValueError: the network does not end in global average pooling and one linear layer.

    Example:
        >>> explain(models.imagenet(), photos.cat(), "tabby", method=cam)
        Heatmap(tabby, probability 0.17, score 8.40 · cam at bn2 · 7 × 7)
    """
    w = seen.class_weights
    A = seen.activations
    return seen.summed(w[:, :, None, None] * A)


def gradcam(seen: Captured) -> Tensor:
    """Grad-CAM: the feature maps, each weighted by the mean of its gradient.

    Formula: α_k = 1/Z · Σ_ij ∂y/∂A^k(i, j), eq. (1), and Σ_k α_k · A^k, the inside of eq. (2) of Selvaraju et al.,
    "Grad-CAM", arXiv 1610.02391; Z = H·W.

    Returns:
        N×H×W in units of the score. The paper's ReLU is applied by `Heatmap.positive`.

    Example:
        >>> explain(models.imagenet(), photos.cat(), "tabby", method=gradcam)
        Heatmap(tabby, probability 0.17, score 8.40 · gradcam at bn2 · 7 × 7)
    """
    alpha = seen.gradients.mean(dim=(2, 3))
    A = seen.activations
    return seen.summed(alpha[:, :, None, None] * A)


def hirescam(seen: Captured) -> Tensor:
    """HiResCAM: the feature maps, each cell weighted by its own gradient; the sum without Grad-CAM's average.

    Formula: Σ_k ∂y/∂A^k(i, j) · A^k(i, j), Draelos & Carin, "Use HiResCAM instead of Grad-CAM", arXiv 2011.08891.
    For a network that is linear behind the layer the map's sum is the score without the bias.

    Returns:
        N×H×W in units of the score.

    Example:
        >>> explain(models.imagenet(), photos.cat(), "tabby", method=hirescam)
        Heatmap(tabby, probability 0.17, score 8.40 · hirescam at bn2 · 7 × 7)
    """
    g = seen.gradients
    A = seen.activations
    return seen.summed(g * A)


def layercam(seen: Captured) -> Tensor:
    """LayerCAM: the feature maps, each cell weighted by its own gradient where that is positive.

    Formula: w_k(i, j) = ReLU(∂y/∂A^k(i, j)) and Σ_k w_k(i, j) · A^k(i, j), Jiang et al., "LayerCAM", IEEE TIP 2021.

    Returns:
        N×H×W in units of the score.

    Example:
        >>> explain(models.imagenet(), photos.cat(), "tabby", layer="blocks.4", method=layercam)
        Heatmap(tabby, probability 0.17, score 8.40 · layercam at blocks.4 · 14 × 14)
    """
    g = seen.gradients
    A = seen.activations
    return seen.summed(g.relu() * A)


def xgradcam(seen: Captured) -> Tensor:
    """XGrad-CAM: Grad-CAM with an average in which cells count as much as they are activated.

    Formula: α_k = Σ_ij A^k(i, j) / Σ_ab A^k(a, b) · ∂y/∂A^k(i, j) and Σ_k α_k · A^k, Fu et al., "Axiom-based Grad-CAM",
    arXiv 2008.02312. The map's sum is that of `hirescam`.

    Departure: where the activations of a map sum to zero, 0/0 in the paper, its weight is zero. No epsilon is added.

    Returns:
        N×H×W in units of the score.

    Example:
        >>> explain(models.imagenet(), photos.cat(), "tabby", method=xgradcam)
        Heatmap(tabby, probability 0.17, score 8.40 · xgradcam at bn2 · 7 × 7)
    """
    g = seen.gradients
    A = seen.activations
    total = A.sum(dim=(2, 3))
    alpha = torch.where(total != 0, (g * A).sum(dim=(2, 3)) / total, 0)
    return seen.summed(alpha[:, :, None, None] * A)


def plus_plus_alpha(activations: Tensor, gradients: Tensor) -> Tensor:
    """Return Grad-CAM++'s α: how much each cell's gradient counts in the weight of its map.

    Formula: α_ij^k = g² / (2 g² + Σ_ab A_ab^k · g³) with g = ∂S/∂A_ij^k, eq. (19) of Chattopadhay et al., "Grad-CAM++",
    arXiv 1710.11063. It is eq. (10) for Y = exp(S), where S is the score and piecewise linear in A. The sum runs over
    all of A and over nothing else: g³ stays at (i, j).

    Computed as 1 / (2 + g · Σ_ab A_ab^k), which is the same fraction divided by g²: nothing underflows where gradients
    are small, and at g = 0, where eq. (19) is 0/0, it is ½, its limit. The map does not notice which number stands
    there, because `gradcam_plus_plus` multiplies it with ReLU(g) = 0.

    Args:
        activations: A, N×C×H×W.
        gradients: ∂S/∂A, of the score itself and not of its exponential; the same shape.

    Example:
        >>> plus_plus_alpha(torch.ones(1, 1, 1, 2), torch.tensor([[[[0.0, 1.0]]]]))
        tensor([[[[0.5000, 0.2500]]]])
    """
    return 1 / (2 + gradients * activations.sum(dim=(2, 3), keepdim=True))


def gradcam_plus_plus(seen: Captured) -> Tensor:
    """Grad-CAM++: the feature maps, each weighted by its positive gradients, and these by α.

    Formula: w_k = Σ_ij α_ij^k · ReLU(∂Y/∂A_ij^k), eq. (5) of Chattopadhay et al., arXiv 1710.11063, with α of
    `plus_plus_alpha`, and Σ_k w_k · A^k.

    Departure: the paper's Y is exp(S), so ∂Y/∂A is exp(S) · ∂S/∂A. The factor exp(S) is the same for the whole map and
    overflows at S = 89; it is left out, so ∂S/∂A stands in its place.

    Returns:
        N×H×W in units of the score.

    Example:
        >>> explain(models.imagenet(), photos.cat(), "tabby", method=gradcam_plus_plus)
        Heatmap(tabby, probability 0.17, score 8.40 · gradcam_plus_plus at bn2 · 7 × 7)
    """
    g = seen.gradients
    A = seen.activations
    alpha = plus_plus_alpha(A, g)
    w = torch.where(g > 0, alpha * g, 0).sum(dim=(2, 3))
    return seen.summed(w[:, :, None, None] * A)
