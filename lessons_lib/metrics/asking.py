"""A network asked again about changed pictures: how sure it still is, and which map belongs to which picture."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lessons_lib.core import inputs
from lessons_lib.core.engine.calling import answer
from lessons_lib.core.engine.outputs import logits_of, rows, said
from lessons_lib.core.engine.rerun import in_chunks
from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.preprocess import Region
from lessons_lib.core.records import Explainable, Photo
from lessons_lib.core.targets import ClassScore, Target
from lessons_lib.core.targets.base import asked_again, score, states
from lessons_lib.core.targets.given import one_each

Maps = Heatmap | Sequence[Heatmap] | Callable[[Any, Any, Any], Any]
"""One map, a list of them, or a function that makes them of model, pictures and target, as `explain` does."""


@dataclass(frozen=True, eq=False)
class Asked:
    """Pictures as the network was given them, and how sure it was of each one's target.

    Args:
        photos: what the maps lie on.
        batch: N×C×H×W, what the network was given.
        regions: where on each photo that lies.
        confidence: N. For a class of a model that knows probabilities, the probability; else the target's own number.
        again: scores changed pictures, M×C×H×W, for the target of picture n, in a network left as it was found.
    """

    photos: list[Photo]
    batch: Tensor
    regions: list[Region]
    confidence: Tensor
    again: Callable[[int, Tensor], Tensor]

    def variants(self, make: Callable[[int, Tensor], Tensor], count: int, chunk: int, what: str) -> Tensor:
        """Return the confidence, N×count, in variants that `make` gives for a picture and the variants' numbers."""

        def scored(picture: int, numbers: Tensor) -> Tensor:
            # Convolutions on a CPU run a quarter faster with the channels last in memory.
            return self.again(picture, make(picture, numbers).contiguous(memory_format=torch.channels_last))

        return in_chunks(scored, len(self.batch), count, chunk, what).cpu()


@contextmanager
def asking(model: Explainable | nn.Module, pictures: Any, target: Any = None) -> Iterator[Asked]:
    """Run a network on pictures once, and let its confidence be asked for again; it is left as it was found.

    Args:
        model: as in `explain`.
        pictures: as in `explain`.
        target: as in `explain`; it is settled by the first run, as the top class is.

    Example:
        >>> with asking(models.vit(), scene, "cat") as asked:
        ...     print(f"{asked.confidence.item():.2f}, and {asked.again(0, 0 * asked.batch).item():.2f} on grey")
        0.99, and 0.00 on grey
    """
    model = Explainable.of(model)
    with inputs.given(pictures, model) as (photos, batch, regions), torch.no_grad():
        if inputs.single(pictures) and isinstance(target, list | tuple):  # one picture, several questions
            count = max(1, len(target))
            photos, batch, regions = photos * count, batch.expand(count, *batch.shape[1:]), regions * count
        aims = one_each(target, len(photos), model)
        with states(aims, model.network):
            found = rows(answer(model.network, batch.clone()), len(photos))
        aims = [_sure(aim.settled(row), model) for aim, row in zip(aims, found, strict=True)]
        confidence = torch.stack([score(aim, row) for aim, row in zip(aims, found, strict=True)]).float().cpu()
        rescore = asked_again(aims, model.network, batch)
        yield Asked(
            photos,
            batch,
            regions,
            confidence,
            lambda picture, variants: rescore(lambda: model.network(variants), picture, len(variants)),
        )


class _Probability(Target):
    """The probability of a class, as the model's record says it."""

    def __init__(self, of: ClassScore, model: Explainable):
        self.of, self.model = of, model

    def __call__(self, output: Any) -> Tensor:
        row = logits_of(output, axes=1)
        assert row is not None and isinstance(self.of.category, int)
        return self.model.probabilities(row)[self.of.category]


def _sure(aim: Target, model: Explainable) -> Target:
    return _Probability(aim, model) if isinstance(aim, ClassScore) and model.probability else aim


def made(maps: Maps, model: Any, pictures: Any, target: Any) -> list[Heatmap]:
    """Return maps that are given, or those that a function makes, as a list.

    Raises:
        TypeError: these are no maps and no function, or the function makes something else.
    """
    given = maps if isinstance(maps, Heatmap | list | tuple) else None
    if given is None:
        if not callable(maps):
            raise TypeError(
                f"A metric takes a heatmap, a list of them, or a function that makes them, not {said(maps)}: "
                "`ll.explain` is such a function."
            )
        given = maps(model, pictures, target)
    heats = list(given) if isinstance(given, list | tuple) else [given]
    for one in heats:
        if not isinstance(one, Heatmap):
            made_by = "The function that makes maps returned" if callable(maps) else "This list of maps holds"
            raise TypeError(f"{made_by} {said(one)}, not a heatmap: `ll.explain` gives heatmaps.")
    return heats


@contextmanager
def without_warnings() -> Iterator[None]:
    """Let blank maps be made without `explain`'s warnings: in a table one counts as a map without heat."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The map for")
        yield


def on_input(heats: Sequence[Heatmap], asked: Asked) -> Tensor:
    """Return each map's raw values at the pixels that the network was given, N×H×W, bilinear between cells.

    Raises:
        ValueError: there are more or fewer maps than pictures, or a map lies on another picture.
    """
    if len(heats) != len(asked.photos):
        raise ValueError(
            f"{len(heats)} map{'s' * (len(heats) != 1)} for {len(asked.photos)} questions: give one for each, in order."
        )
    size = asked.batch.shape[2:]
    found = []
    for number, (heat, photo, region) in enumerate(zip(heats, asked.photos, asked.regions, strict=True)):
        if heat.photo is not photo and not np.array_equal(np.asarray(heat.photo.image), np.asarray(photo.image)):
            raise ValueError(f"Map {number} lies on another picture than the one asked about: give maps in order.")
        values = heat.values[None, None]
        if heat.region == region:
            found.append(F.interpolate(values, size, mode="bilinear", align_corners=False)[0, 0])
            continue
        left, top, right, bottom = heat.region
        x = region[0] + (torch.arange(size[1]) + 0.5) / size[1] * (region[2] - region[0])
        y = region[1] + (torch.arange(size[0]) + 0.5) / size[0] * (region[3] - region[1])
        at = torch.meshgrid(2 * (x - left) / (right - left) - 1, 2 * (y - top) / (bottom - top) - 1, indexing="xy")
        grid = torch.stack(at, dim=-1)[None]
        found.append(F.grid_sample(values, grid, padding_mode="border", align_corners=False)[0, 0])
    return torch.stack(found)


def as_asked(found: list[Any], pictures: Any, target: Any) -> Any:
    """Return one answer where one number of one picture is asked about, and else the list of them."""
    return found[0] if inputs.single(pictures) and not isinstance(target, list | tuple) else found
