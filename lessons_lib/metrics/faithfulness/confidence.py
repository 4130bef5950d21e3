"""Is the network as sure when it sees the picture through its map? Drop and increase in confidence."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from lessons_lib.core.records import Explainable
from lessons_lib.metrics.asking import Maps, as_asked, asking, made, on_input


def drop(model: Explainable | nn.Module, pictures: Any, target: Any, maps: Maps) -> Any:
    """Return which share of its confidence the network loses when it sees the picture through the map. Lower is better.

    Formula: max(0, Y − O) / Y, where O is the confidence in x ⊙ M, with M the map's positive part, stretched to the
    input and scaled from its smallest value to its largest onto 0…1; Chattopadhay et al., arXiv 1710.11063, section
    4.1. Their "average drop %" is the mean over pictures × 100. Range 0…1.

    What it can't tell: an even map hides nothing and loses nothing. Here one that is even is taken as 1 everywhere.

    Args:
        model: as in `explain`.
        pictures: as in `explain`.
        target: as in `deletion`.
        maps: as in `deletion`.

    Raises:
        ValueError: the confidence is not above 0, so that no share of it can be lost.

    Example:
        >>> round(metrics.drop(models.vit(), scene, "cat", explain), 2)
        0.0...
    """
    before, after = _through(model, pictures, target, maps)
    if not (before > 0).all():
        raise ValueError(
            f"The confidence is {float(before.min()):.2f} before anything is hidden, and no share of that can be lost: "
            "give a target with values above 0, such as a class of a model whose record has `probability=`."
        )
    return as_asked(((before - after).relu() / before).tolist(), pictures, target)


def increase(model: Explainable | nn.Module, pictures: Any, target: Any, maps: Maps) -> Any:
    """Return whether the network is surer when it sees the picture through the map: 1 or 0. Higher is better.

    Formula: 1 if O > Y, with O and Y as in `drop`; the mean over pictures × 100 is "increase in confidence %".

    What it can't tell: where the network is quite sure already, nothing can make it surer.

    Args:
        model: as in `explain`.
        pictures: as in `explain`.
        target: as in `deletion`.
        maps: as in `deletion`.

    Example:
        >>> metrics.increase(models.vit(), scene, "cat", explain) in (0.0, 1.0)
        True
    """
    before, after = _through(model, pictures, target, maps)
    return as_asked((after > before).float().tolist(), pictures, target)


def _through(model: Any, pictures: Any, target: Any, maps: Maps) -> tuple[Tensor, Tensor]:
    """Return the confidence in each picture, and in each picture seen through its map."""
    with asking(model, pictures, target) as asked:
        heats = [replace(one, values=one.positive) for one in made(maps, model, pictures, target)]
        values = on_input(heats, asked)
        low, high = values.amin((1, 2), keepdim=True), values.amax((1, 2), keepdim=True)
        windows = torch.where(high > low, (values - low) / (high - low), 1.0).to(asked.batch)

        def variants(picture: int, numbers: Tensor) -> Tensor:
            return (asked.batch[picture] * windows[picture])[None]

        return asked.confidence, asked.variants(variants, 1, 1, "through the map")[:, 0]
