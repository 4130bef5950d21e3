"""How alike two maps are: in the order of their cells, in their structure, in where the heat lies."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from lessons_lib.core.engine.outputs import said
from lessons_lib.core.heatmap import Heatmap
from lessons_lib.metrics.truth import moved


@dataclass(frozen=True)
class Alike:
    """How alike two maps are.

    Args:
        rank: Spearman's rank correlation of the raw values, −1…1; 0 where one of the maps is even.
        ssim: structural similarity of the raw values, each map scaled onto 0…1, −1…1.
        moved: how much of the heat lies elsewhere, 0…1, as `moved` has it.

    Example:
        >>> metrics.Alike(rank=0.2, ssim=0.3, moved=0.8)
        Alike(rank 0.20, ssim 0.30, moved 0.80)
    """

    rank: float
    ssim: float
    moved: float

    def __repr__(self) -> str:
        return f"Alike(rank {self.rank:.2f}, ssim {self.ssim:.2f}, moved {self.moved:.2f})"


def alike(one: Heatmap, other: Heatmap) -> Alike:
    """Return how alike two maps are; the coarser one is stretched bilinearly to the finer one's cells.

    Formula: Spearman's ρ is the correlation of the values' ranks, ties sharing their mean rank. SSIM as in Wang et al.
    (IEEE TIP 2004), eq. (13), over 7 × 7 windows (or the largest odd side that fits), C₁ = 0.01², C₂ = 0.03². Both are
    the measures of Adebayo et al., "Sanity checks for saliency maps", arXiv 1810.03292.

    What it can't tell: which of the two is right.

    Example:
        >>> metrics.alike(heat, heat)
        Alike(rank 1.00, ssim 1.00, moved 0.00)
    """
    for each in (one, other):
        if not isinstance(each, Heatmap):
            raise TypeError(f"Two heatmaps are compared, and this is {said(each)}: `ll.explain` gives heatmaps.")
    size = max(one.values.shape, other.values.shape, key=torch.Size.numel)
    a, b = (
        replace(each, values=F.interpolate(each.values[None, None], size, mode="bilinear", align_corners=False)[0, 0])
        for each in (one, other)
    )
    return Alike(_rank(a.values, b.values), _ssim(_scaled(a.values), _scaled(b.values)), moved(a, b))


def _rank(a: Tensor, b: Tensor) -> float:
    pair = torch.stack([_ranked(a), _ranked(b)])
    pair = pair - pair.mean(dim=1, keepdim=True)
    length = pair.norm(dim=1).prod()
    return float((pair[0] * pair[1]).sum() / length) if length > 0 else 0.0


def _ranked(values: Tensor) -> Tensor:
    """Return each value's rank, those that tie sharing their mean rank."""
    _, inverse, counts = values.flatten().unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    return (last - (counts - 1) / 2)[inverse]


def _scaled(values: Tensor) -> Tensor:
    span = values.max() - values.min()
    return (values - values.min()) / span if span > 0 else torch.zeros_like(values)


def _ssim(a: Tensor, b: Tensor) -> float:
    side = min(7, *a.shape)
    side -= 1 - side % 2
    pair = torch.stack([a, b, a * a, b * b, a * b]).double()[:, None]
    mean_a, mean_b, aa, bb, ab = F.avg_pool2d(pair, side, stride=1)[:, 0]
    more = side**2 / max(1, side**2 - 1)  # unbiased, as scikit-image has it
    var_a, var_b, both = (more * (each - m) for each, m in ((aa, mean_a**2), (bb, mean_b**2), (ab, mean_a * mean_b)))
    c1, c2 = 0.01**2, 0.03**2
    up = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    return float((up / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean())
