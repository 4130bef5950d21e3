"""One map from the maps of several layers."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch.nn import functional as F

from lessons_lib.heatmaps import Heatmap


def fuse(heats: Sequence[Heatmap]) -> Heatmap:
    """Return the average of one picture's maps, each divided by its own peak first.

    Formula: 1/L · Σ_l Up(ReLU(M_l) / max ReLU(M_l)). Dividing makes layers comparable whose units differ; Up is
    bilinear (`align_corners=False`), to the grid with the most cells. A blank map adds nothing and still counts in L.
    Where the result comes near 1, the layers agree.

    Args:
        heats: maps of one picture, for one target, by one method.

    Returns:
        H×W of the finest grid, in [0, 1]; its `layer` names them all.

    Raises:
        ValueError: there is no map, or they lie on different pictures.

    Example:
        >>> fuse([explain(model, photo, layer=layer) for layer in ("blocks.4", "bn2")])
        >>> explain(model, photo, layer=["blocks.4", "bn2"])        # the same
    """
    if not heats:
        raise ValueError("There is no map to fuse: name at least one layer.")
    if len({heat.photo.image.size for heat in heats}) > 1 or len({heat.region for heat in heats}) > 1:
        raise ValueError("These maps lie on different pictures: fuse the maps of one picture.")
    finest = max((heat.values.shape for heat in heats), key=torch.Size.numel)
    maps = [
        F.interpolate(heat.normalised()[None, None], finest, mode="bilinear", align_corners=False)[0, 0]
        for heat in heats
    ]
    return replace(heats[0], values=torch.stack(maps).mean(dim=0), layer=" + ".join(heat.layer for heat in heats))
