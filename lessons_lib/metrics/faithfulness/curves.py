"""Does the network change its mind when a map's hottest pixels go? No truth is needed, only the network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as V

from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.records import Explainable
from lessons_lib.metrics.asking import Maps, as_asked, asking, made, on_input
from lessons_lib.metrics.faithfulness.imputing import imputed

Fill = float | Callable[[Tensor, Tensor], Tensor]
"""What stands where pixels are gone: a number in the network's own units (0 is the mean colour), or a function of the
picture C×H×W and of M masks of what is gone, M×H×W bool, that gives M×C×H×W; as `blurred` and `imputed`."""


@dataclass(frozen=True)
class Curve:
    """How sure the network is while pixels go, or come: at each share of them, its confidence.

    Args:
        shares: of the pixels, from 0 to 1.
        scores: the confidence at each.

    Example:
        >>> metrics.Curve(shares=(0.0, 0.5, 1.0), scores=(1.0, 0.5, 0.0)).area
        0.5
    """

    shares: tuple[float, ...]
    scores: tuple[float, ...]

    @property
    def area(self) -> float:
        """The area under the curve, by trapezoids: the confidence's mean along the way."""
        return float(torch.trapezoid(torch.tensor(self.scores), torch.tensor(self.shares)))

    def __repr__(self) -> str:
        return f"Curve(from {self.scores[0]:.2f} to {self.scores[-1]:.2f}, area {self.area:.2f})"


def deletion(
    model: Explainable | nn.Module,
    pictures: Any,
    target: Any,
    maps: Maps,
    *,
    steps: int = 28,
    fill: Fill = 0.0,
    chunk: int = 32,
) -> Any:
    """Return how the confidence falls while the pixels that a map calls most important go first. Lower is better.

    Formula: area under f(x with the top t/T of its pixels replaced), t = 0…T, Petsiuk et al., "RISE", arXiv 1806.07421,
    section 4.1. Pixels are ranked by the raw map, stretched bilinearly to the input; ties go in a random order that is
    always the same. Range: that of the confidence; for a probability 0…1.

    What it can't tell: whether the score fell since the evidence is gone, or since no picture ever looked like this.
    With another `fill` the ranking of methods may change. Coarse maps cut out whole patches, fine ones single pixels.

    Args:
        model: as in `explain`.
        pictures: as in `explain`.
        target: as in `explain`. For a class of a model that knows probabilities the probability is followed, else the
            target's own number.
        maps: a heatmap, a list with one for each question, or a function that makes them, such as `explain`.
        steps: T.
        fill: what stands where pixels are gone.
        chunk: how many changed pictures are run at a time.

    Returns:
        A `Curve` for one question, a list of them for several.

    Example:
        >>> metrics.deletion(models.vit(), scene, "cat", explain)
        Curve(from 0.99 to 0.00, area 0.02)
    """
    return _along(model, pictures, target, maps, steps, fill, chunk, kept=False)


def insertion(
    model: Explainable | nn.Module,
    pictures: Any,
    target: Any,
    maps: Maps,
    *,
    steps: int = 28,
    fill: Fill | None = None,
    chunk: int = 32,
) -> Any:
    """Return how the confidence rises while the pixels that a map calls most important come first. Higher is better.

    Formula: area under f(filled picture with the top t/T of its pixels as they are), t = 0…T, arXiv 1806.07421,
    section 4.1; it begins with a blurred picture there. Ranking and range as in `deletion`.

    What it can't tell: a blurred picture may hold the class already; then every map has a large area.

    Args:
        model: as in `explain`.
        pictures: as in `explain`.
        target: as in `deletion`.
        maps: as in `deletion`.
        steps: T.
        fill: what stands where pixels have not come yet; without it, `blurred`.
        chunk: how many changed pictures are run at a time.

    Example:
        >>> metrics.insertion(models.vit(), scene, "cat", explain)  # a blurred cat is a cat for this network
        Curve(from 1.00 to 0.99, area 1.00)
    """
    return _along(model, pictures, target, maps, steps, blurred if fill is None else fill, chunk, kept=True)


def road(
    model: Explainable | nn.Module,
    pictures: Any,
    target: Any,
    maps: Maps,
    *,
    shares: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    noise: float = 0.01,
    chunk: int = 32,
) -> Any:
    """Return how much more the hottest pixels matter than the coldest, when each is imputed. Higher is better.

    Formula: ½ · mean over shares of f(coldest share imputed) − f(hottest share imputed). Imputation is noisy and
    linear, `imputed`, Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods" (ROAD),
    arXiv 2202.00449, section 5; the difference of both orders is pytorch-grad-cam's `ROADCombined`. Range: for a
    probability −½…½; 0 is luck.

    What it can't tell: imputed pixels still show where something was cut out, and a smooth patch may be evidence.

    Args:
        model: as in `explain`.
        pictures: as in `explain`.
        target: as in `deletion`.
        maps: as in `deletion`.
        shares: of the pixels, that are imputed.
        noise: its standard deviation, in the network's own units.
        chunk: how many changed pictures are run at a time.

    Returns:
        A number for one question, a list for several.

    Example:
        >>> metrics.road(models.vit(), scene, "cat", explain, shares=[0.2, 0.5]) < 0.1  # so is an imputed one
        True
    """
    for share in shares:
        if not 0 < share < 1:
            raise ValueError(
                f"A share of the pixels lies between 0 and 1, and {share!r} does not: `shares=[0.2, 0.5]`."
            )
    if not len(shares):
        raise ValueError("There is no share to impute: give one or more, `shares=[0.2, 0.5]`.")
    with asking(model, pictures, target) as asked:
        ranks = _ranks(on_input(made(maps, model, pictures, target), asked))
        pixels = ranks[0].numel()
        counts = torch.tensor([round(share * pixels) for share in shares])

        def variants(picture: int, numbers: Tensor) -> Tensor:
            hottest = ranks[picture] < counts[:, None, None]  # S×H×W
            coldest = ranks[picture] >= pixels - counts[:, None, None]
            gone = torch.cat([hottest, coldest])[numbers]
            return imputed(asked.batch[picture], gone, noise)

        scores = asked.variants(variants, 2 * len(counts), chunk, "ROAD")
    hot, cold = scores.chunk(2, dim=1)
    return as_asked(((cold - hot) / 2).mean(dim=1).tolist(), pictures, target)


def shuffled(heats: Sequence[Heatmap], seed: int = 0) -> list[Heatmap]:
    """Return the same maps with their cells in a random order: the luck of a faithfulness score, at the same fineness.

    Args:
        heats: the maps.
        seed: of the order.

    Example:
        >>> bool(metrics.shuffled([heat])[0].values.sum() == heat.values.sum())
        True
    """
    random = torch.Generator().manual_seed(seed)
    return [
        replace(
            one, values=one.values.flatten()[torch.randperm(one.values.numel(), generator=random)].view_as(one.values)
        )
        for one in heats
    ]


def blurred(picture: Tensor, gone: Tensor) -> Tensor:
    """Return the whole picture, blurred, for each of M masks: M×C×H×W. The blur's σ is 1/22 of the shorter side.

    Args:
        picture: C×H×W.
        gone: M×H×W bool.

    Example:
        >>> metrics.blurred(batch[0], torch.ones(2, 224, 224, dtype=torch.bool)).shape
        torch.Size([2, 3, 224, 224])
    """
    sigma = min(picture.shape[1:]) / 22
    width = min(2 * round(2 * sigma) + 1, 2 * ((min(picture.shape[1:]) - 1) // 2) + 1)
    return V.gaussian_blur(picture, [width, width], [sigma, sigma]).expand(len(gone), *picture.shape)


def _along(model: Any, pictures: Any, target: Any, maps: Maps, steps: int, fill: Fill, chunk: int, kept: bool) -> Any:
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise ValueError(f"steps={steps!r} is how many steps the way from 0 to 1 has: give 1 or more.")
    with asking(model, pictures, target) as asked:
        ranks = _ranks(on_input(made(maps, model, pictures, target), asked))
        shares = [step / steps for step in range(steps + 1)]
        counts = torch.tensor([round(share * ranks[0].numel()) for share in shares])

        def variants(picture: int, numbers: Tensor) -> Tensor:
            # The whole picture is not run again: deletion begins with it, and insertion ends.
            top = ranks[picture] < counts[numbers + (0 if kept else 1), None, None]
            return _filled(asked.batch[picture], ~top if kept else top, fill)

        scores = asked.variants(variants, steps, chunk, "insertion" if kept else "deletion")
    whole = asked.confidence[:, None]
    scores = torch.cat([scores, whole] if kept else [whole, scores], dim=1)
    return as_asked([Curve(tuple(shares), tuple(one)) for one in scores.tolist()], pictures, target)


def _filled(picture: Tensor, gone: Tensor, fill: Fill) -> Tensor:
    other = fill(picture, gone) if callable(fill) else torch.full_like(picture, fill)
    return torch.where(gone[:, None].to(picture.device), other, picture)


def _ranks(values: Tensor) -> Tensor:
    """Return each pixel's place in its map's order, from 0, the hottest; ties in a random order, always the same."""
    flat = values.flatten(1)
    shuffle = torch.randperm(flat.shape[1], generator=torch.Generator().manual_seed(0))
    order = shuffle[flat[:, shuffle].argsort(dim=1, descending=True, stable=True)]
    return order.argsort(dim=1).view_as(values)
