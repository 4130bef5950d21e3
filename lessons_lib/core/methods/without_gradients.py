"""The members of the family that need no gradient: from the activations alone, or from running the network again.

The final ReLU is left to the map (`Heatmap.positive`), to keep negative evidence.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from lessons_lib.core.engine import rerun
from lessons_lib.core.engine.captured import Captured


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
    return first_component(seen.activations, centred)


def first_component(maps: Tensor, centred: bool = True) -> Tensor:
    """Return N×C×H×W, each cell a row of C numbers, projected on the direction in which the rows vary most: N×H×W.

    The direction's sign is chosen so that the cell of the largest magnitude is positive.

    Args:
        centred: each channel's mean over the cells is taken away first.

    Example:
        >>> first_component(torch.tensor([[[[1.0, 3.0]], [[1.0, 3.0]]]]), centred=False)
        tensor([[[1.4142, 4.2426]]])
    """
    cells = maps.flatten(2).transpose(1, 2)
    cells = cells.to(torch.promote_types(cells.dtype, torch.float32))  # no SVD in half precision
    cells = cells - cells.mean(dim=1, keepdim=True) if centred else cells
    finite = torch.where(cells.isfinite().all(dim=(1, 2), keepdim=True), cells, 0)  # a picture of NaN spoils no other
    V1 = torch.linalg.svd(finite, full_matrices=False).Vh[:, 0]
    values = (cells @ V1[:, :, None]).squeeze(2)
    strongest = values.gather(1, values.abs().argmax(dim=1, keepdim=True))
    return (values * strongest.sign()).view(len(maps), *maps.shape[2:])


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
    return seen.summed(w[:, :, None, None] * A)


def scorecam(seen: Captured, chunk: int = 16) -> Tensor:
    """Score-CAM: the feature maps, each weighted by the score of the picture seen through it.

    Formula: S_k = f(X ∘ s(Up(A^k))) − f(X_b) with s(A) = (A − min A) / (max A − min A), α = softmax of S over the
    channels, and Σ_k α_k · A^k, algorithm 1 of Wang et al., "Score-CAM", arXiv 1910.01279; f is the target (for
    `ClassScore` the logit) and Up is bilinear. The baseline's score f(X_b) is the same for all channels, so the softmax
    takes it away and it is not computed. No gradient is used: the whole network runs once more for each channel.
    Departures: what a mask hides becomes zero of the prepared picture, as in the paper's formula; for a network whose
    `Preprocess` takes a mean away that is the mean colour, a mid-grey, and not black. Where a map has the same value
    everywhere, 0/0 in s, its mask is zero.

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
    return seen.summed(alpha[:, :, None, None] * A)
