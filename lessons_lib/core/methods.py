"""The members of the family: activations and gradients in, coarse map out, before the final ReLU.

Each is a `Method`: from what was seen at a layer to one map of H×W for each picture. The final ReLU is left to the
map (`Heatmap.positive`), to keep negative evidence. Where no gradient arrives, those that need it raise RuntimeError.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from lessons_lib.core.engine import rerun
from lessons_lib.core.engine.captured import Captured

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
        >>> explain(models.imagenet(), photos.cat(), "tabby", method=cam)
        Heatmap(tabby, probability 0.17, score 8.40 · cam at bn2 · 7 × 7)
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

    Example:
        >>> explain(models.imagenet(), photos.cat(), "tabby", method=gradcam)
        Heatmap(tabby, probability 0.17, score 8.40 · gradcam at bn2 · 7 × 7)
    """
    alpha = seen.gradients.mean(dim=(2, 3))
    A = seen.activations
    return (alpha[:, :, None, None] * A).sum(dim=1)


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
    return (g * A).sum(dim=1)


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
    return (g.relu() * A).sum(dim=1)


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
    return (alpha[:, :, None, None] * A).sum(dim=1)


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
    return (w[:, :, None, None] * A).sum(dim=1)


def eigencam(seen: Captured, centred: bool = True) -> Tensor:
    """Eigen-CAM: the feature maps, projected on the direction in which they vary most. The target plays no part.

    Formula: O = U Σ Vᵀ with the cells as rows and the channels as columns; the map is O · V_1, Muhammad & Yeasin,
    "Eigen-CAM", arXiv 2008.00299. The gradient is never asked for.

    Departures: the paper's O is A itself; here each channel's mean over the cells is taken away first, which makes V_1
    the first principal component. The paper leaves V_1's sign open; here the cell of the largest magnitude is positive.

    Args:
        centred: False gives the paper's own map, `partial(eigencam, centred=False)`.

    Returns:
        N×H×W in units of the activations.

    Example:
        >>> explain(models.imagenet(), photos.cat(), method=eigencam)
        Heatmap(tiger cat, probability 0.39, score 9.24 · eigencam at bn2 · 7 × 7)
    """
    A = seen.activations
    cells = A.flatten(2).transpose(1, 2).to(torch.promote_types(A.dtype, torch.float32))  # no SVD in half precision
    cells = cells - cells.mean(dim=1, keepdim=True) if centred else cells
    finite = torch.where(cells.isfinite().all(dim=(1, 2), keepdim=True), cells, 0)  # a picture of NaN spoils no other
    V1 = torch.linalg.svd(finite, full_matrices=False).Vh[:, 0]
    values = (cells @ V1[:, :, None]).squeeze(2)
    strongest = values.gather(1, values.abs().argmax(dim=1, keepdim=True))
    return (values * strongest.sign()).view(len(A), *A.shape[2:])


def ablationcam(seen: Captured, chunk: int = 64) -> Tensor:
    """Ablation-CAM: the feature maps, each weighted by the share of the score that is lost without it.

    Formula: w_k = (y − y_k) / y, where y_k is the score with map k set to zero, and Σ_k w_k · A^k, Desai & Ramaswamy,
    "Ablation-CAM", WACV 2020. No gradient is used: the network runs once more for each channel, from the layer on.
    Departure: y − y_k is divided by |y|, so that a map whose loss lowers a negative score still speaks for the class;
    for y > 0 this is the paper's. At y = 0 it is not divided.

    Args:
        chunk: how many channels are ablated at a time; memory grows with chunk · C · H · W.

    Returns:
        N×H×W in units of the activations.

    Example:
        >>> explain(models.flat_cnn(), scene, "cat", method=ablationcam)
        Heatmap(cat, probability 1.00, score 12.92 · ablationcam at features · 14 × 14)
        >>> heats = explain(my_model, batch, layer="layer4", method=partial(ablationcam, chunk=8))
    """
    A = seen.activations

    def without(picture: int, numbers: Tensor) -> Tensor:
        variants = A[picture].repeat(len(numbers), 1, 1, 1)
        variants[torch.arange(len(numbers), device="cpu"), numbers] = 0
        return variants

    y = seen.scores.detach()[:, None]
    y_k = rerun.from_layer(seen, without, count=A.shape[1], chunk=chunk)
    w = (y - y_k) / torch.where(y == 0, 1, y.abs())
    return (w[:, :, None, None] * A).sum(dim=1)


def scorecam(seen: Captured, chunk: int = 16) -> Tensor:
    """Score-CAM: the feature maps, each weighted by the score of the picture seen through it.

    Formula: S_k = f(X ∘ s(Up(A^k))) − f(X_b) with s(A) = (A − min A) / (max A − min A), α = softmax of S over the
    channels, and Σ_k α_k · A^k, algorithm 1 of Wang et al., "Score-CAM", arXiv 1910.01279; f is the target (for
    `ClassScore` the logit) and Up is bilinear. The baseline's score f(X_b) is the same for all channels, so the softmax
    takes it away and it is not computed. No gradient is used: the whole network runs once more for each channel.
    Departure: where a map has the same value everywhere, 0/0 in s, its mask is zero.

    Args:
        chunk: how many masked pictures run at a time; memory grows with it.

    Returns:
        N×H×W in units of the activations.

    Example:
        >>> explain(models.flat_cnn(), scene, "cat", method=scorecam)
        Heatmap(cat, probability 1.00, score 12.92 · scorecam at features · 14 × 14)
    """
    A = seen.activations
    X = seen.inputs

    def through_maps(picture: int, numbers: Tensor) -> Tensor:
        up = F.interpolate(A[picture, numbers, None], X.shape[2:], mode="bilinear", align_corners=False)
        low, high = up.amin(dim=(2, 3), keepdim=True), up.amax(dim=(2, 3), keepdim=True)
        return X[picture] * torch.where(high > low, (up - low) / (high - low), 0).to(X.dtype)

    S = rerun.from_inputs(seen, through_maps, count=A.shape[1], chunk=chunk)
    alpha = S.softmax(dim=1)
    return (alpha[:, :, None, None] * A).sum(dim=1)
