"""Hide parts of the picture and see what the score does: occlusion, one square at a time, and RISE, many at random."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lessons_lib.baselines.pixels import at_picture
from lessons_lib.core.engine.captured import Captured
from lessons_lib.core.engine.rerun import from_inputs
from lessons_lib.core.records import Explainable


def occlusion(
    model: Explainable | nn.Module,
    pictures: Any,
    target: Any = None,
    *,
    cells: int = 14,
    square: int = 2,
    fill: float = 0.0,
    chunk: int = 32,
) -> Any:
    """Return how much the score falls when a square of the picture is hidden, averaged over the squares on each cell.

    Formula: y(x) − y(x with the square hidden), Zeiler and Fergus, "Visualizing and understanding convolutional
    networks", arXiv 1311.2901, section 4.2. Squares of `square` × `square` cells go over the picture cell by cell.
    captum's `Occlusion` takes sizes and strides in pixels, in any number of dimensions: take it for those.

    Args:
        model: as in `explain`.
        pictures: as in `explain`.
        target: as in `explain`.
        cells: into how many the picture is divided, along each side; the map has these.
        square: the side of what is hidden, in cells.
        fill: what stands there, in the network's own units; 0 is the mean colour.
        chunk: how many hidden pictures run at a time.

    Returns:
        A `Heatmap` or a list of them, cells × cells, signed: what hides something that spoke against is negative.

    Raises:
        ValueError: the squares do not fit.

    Example:
        >>> occlusion(models.imagenet(), photos.cat(), "tiger cat", cells=4)
        Heatmap(tiger cat, probability 0.39, score 9.24 · occlusion at picture · 4 × 4)
    """
    for name, given in (("cells", cells), ("square", square)):
        if not isinstance(given, int) or isinstance(given, bool) or given < 1:
            raise ValueError(f"{name}={given!r} is a number of cells: give 1 or more.")
    if square > cells:
        raise ValueError(f"A square of {square} cells does not fit into {cells}: give a smaller one, `square={cells}`.")

    def hidden(seen: Captured) -> Tensor:
        height, width = seen.inputs.shape[2:]
        if cells > min(height, width):
            raise ValueError(f"A picture of {height} × {width} has no {cells} cells: `cells={min(height, width)}`.")
        row, column = (torch.arange(side) * cells // side for side in (height, width))  # each pixel's cell
        corners = torch.cartesian_prod(torch.arange(cells - square + 1), torch.arange(cells - square + 1)).view(-1, 2)

        def variants(picture: int, numbers: Tensor) -> Tensor:
            top, left = corners[numbers, 0, None], corners[numbers, 1, None]
            high, wide = (row >= top) & (row < top + square), (column >= left) & (column < left + square)
            gone = (high[:, :, None] & wide[:, None, :])[:, None].to(seen.inputs.device)  # M×1×H×W
            return torch.where(gone, fill, seen.inputs[picture])

        falls = seen.scores.detach()[:, None] - from_inputs(seen, variants, len(corners), chunk)
        # Each square's fall goes to its cells, and each cell takes the mean of what it got.
        falls = falls.view(len(falls), 1, cells - square + 1, -1)
        around = torch.ones(1, 1, square, square).to(falls)
        total, times = (F.conv_transpose2d(each, around) for each in (falls, torch.ones_like(falls)))
        return (total / times)[:, 0]

    return at_picture(model, pictures, target, hidden, "occlusion")


def rise(
    model: Explainable | nn.Module,
    pictures: Any,
    target: Any = None,
    *,
    masks: int = 500,
    cells: int = 7,
    kept: float = 0.5,
    chunk: int = 32,
    seed: int = 0,
) -> Any:
    """Return how much higher the score is when a pixel is seen, over pictures seen through random windows.

    Formula: 1/(K·p) Σ_k (y_k − mean y) · M_k, where y_k scores x ⊙ M_k; masks of cells × cells, each cell open with
    probability p, are stretched bilinearly to a little more than the picture and cut out at random. Petsiuk et al.,
    "RISE", arXiv 1806.07421, eq. (6), do not take the mean away; taken away, it changes the expected map by a constant
    only, and the noise by a lot, so that scores other than probabilities will do.

    Args:
        model: as in `explain`.
        pictures: as in `explain`.
        target: as in `explain`.
        masks: K; each is a forward pass, and the map is noise when they are few.
        cells: of a mask, along each side.
        kept: p.
        chunk: how many masked pictures run at a time.
        seed: of the masks.

    Example:
        >>> rise(models.imagenet(), photos.cat(), "tiger cat", masks=8)
        Heatmap(tiger cat, probability 0.39, score 9.24 · rise at picture · 224 × 224)
    """
    for name, given in (("masks", masks), ("cells", cells)):
        if not isinstance(given, int) or isinstance(given, bool) or given < 2:
            raise ValueError(f"{name}={given!r} is a number of {name}: give 2 or more.")
    if not 0 < kept < 1:
        raise ValueError(f"kept={kept!r} is how likely a cell is open: give a number between 0 and 1, such as 0.5.")

    def seen_through(seen: Captured) -> Tensor:
        height, width = seen.inputs.shape[2:]
        windows = _windows(masks, cells, kept, height, width, seed).to(seen.inputs)
        scores = from_inputs(seen, lambda picture, m: windows[m, None] * seen.inputs[picture], masks, chunk)
        scores = scores - scores.mean(dim=1, keepdim=True)
        return torch.einsum("nk,khw->nhw", scores.to(windows), windows) / (masks * kept)

    return at_picture(model, pictures, target, seen_through, "rise")


def _windows(masks: int, cells: int, kept: float, height: int, width: int, seed: int) -> Tensor:
    """Return K random masks, K×H×W in 0…1."""
    random = torch.Generator().manual_seed(seed)
    high, wide = -(-height // cells), -(-width // cells)  # a cell, in pixels
    grids = (torch.rand(masks, 1, cells, cells, generator=random) < kept).float()
    size = ((cells + 1) * high, (cells + 1) * wide)
    found = torch.empty(masks, height, width)
    downs, rights = (torch.randint(side, (masks,), generator=random).tolist() for side in (high, wide))
    for one, grid, down, right in zip(found, grids, downs, rights, strict=True):
        large = F.interpolate(grid[None], size, mode="bilinear", align_corners=False)[0, 0]
        one.copy_(large[down : down + height, right : right + width])
    return found
