"""Steadier maps of any method: the mean over altered pictures, and the first component of the weighted maps."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lessons_lib.core.engine import capture, rerun
from lessons_lib.core.engine.captured import Captured
from lessons_lib.core.engine.outputs import kind_of, logits_of, rows, said
from lessons_lib.core.methods.without_gradients import first_component

Method = Callable[[Captured], Tensor]


def augmented(method: Method, *, flips: bool = True, strengths: Sequence[float] = (0.9, 1.0, 1.1)) -> Method:
    """Return a method that gives the mean of a method's maps over mirrored and dimmed copies of each picture.

    Formula: 1/n · Σ_t t⁻¹(map of t(x)), where t multiplies what the network is given by each of `strengths`, as it is
    and mirrored left to right, and t⁻¹ mirrors the map back. It is pytorch-grad-cam's `aug_smooth`. The network runs
    once more for each copy but the picture itself, and all are asked for what was settled in the picture itself.

    Departures: pytorch-grad-cam takes the ReLU of each map, enlarges it and stretches it to 0…1 before it averages, so
    that each copy counts the same; here the maps are raw and signed, and a copy with more heat counts for more.

    Args:
        method: any method; `principal(method)` too.
        flips: whether mirrored copies are among them.
        strengths: what the prepared picture is multiplied by.

    Returns:
        N×H×W in the units of the method.

    Raises:
        ValueError: the network answers place by place (boxes, pixels), and a mirrored picture has its answer elsewhere.

    Example:
        >>> explain(models.imagenet(), photos.cat(), "tabby", method=augmented(gradcam))
        Heatmap(tabby, probability 0.17, score 8.40 · augmented(gradcam) at bn2 · 7 × 7)
    """
    _refuse(method, "augmented")
    if isinstance(strengths, str) or not isinstance(strengths, Sequence) or not strengths:
        raise TypeError(f"`strengths` are several factors, such as `(0.9, 1.0, 1.1)`, not {said(strengths)}.")
    copies = [(mirrored, strength) for mirrored in (False, True)[: 1 + flips] for strength in strengths]

    def mean(seen: Captured) -> Tensor:
        if flips and any(logits_of(row, axes=1) is None for row in rows(seen.output, len(seen.inputs))):
            raise ValueError(
                f"`augmented` mirrors the picture, and this network, which gives {kind_of(seen.output)}, answers place "
                "by place: leave the mirrored copies out, `ll.augmented(ll.hirescam, flips=False)`."
            )
        own = method(seen) if (False, 1) in copies else None

        def of_copy(picture: int, number: Tensor) -> Tensor:
            mirrored, strength = copies[int(number)]
            if own is not None and (mirrored, strength) == (False, 1):
                return own[picture : picture + 1]
            x = strength * seen.inputs[picture : picture + 1]
            maps = method(_again(seen, x.flip(3) if mirrored else x, picture))
            return maps.flip(2) if mirrored else maps

        what = f"{len(copies)} copies of the picture"
        return rerun.in_chunks(of_copy, len(seen.inputs), len(copies), chunk=1, what=what).mean(dim=1)

    return _named(mean, f"augmented({plain_name(method)})")


def _again(seen: Captured, x: Tensor, picture: int) -> Captured:
    """Return what is seen at the same layer, and asked the same of one picture, when the network is given x instead."""
    runs: list[Captured] = []

    def run() -> Any:
        runs.append(capture.run(seen.network, x, seen.module, seen.layout))
        return runs[-1].output

    scores = seen.rescore(run, picture, 1)
    if len(runs) > 1:
        raise ValueError(
            "`augmented` can't tell apart the runs that a difference of two boxes takes: explain each box by itself, "
            "`ll.BoxScore(0)`."
        )
    asked = runs[0].scored(scores, lambda again, _, count: seen.rescore(again, picture, count))
    return replace(asked, summed=seen.summed)


def principal(method: Method) -> Method:
    """Return a method that takes the first principal component of a method's weighted maps, not their sum.

    Formula: the method's weighted maps w_k · A^k, or g^k ⊙ A^k, are rows of C numbers, one row for each cell; each
    channel's mean is taken away, and the map is the projection on the first right singular vector, as in `eigencam`. It
    is pytorch-grad-cam's `eigen_smooth`. What the maps have in common stays, what single channels add goes; the class
    only chooses how much each map counts.

    Departures: the sign of a component is open, and pytorch-grad-cam leaves it to chance; here the cell of the largest
    magnitude is positive. `eigencam`, which is a component already, is refused; there the switch does nothing to it.

    Args:
        method: one that ends in `return seen.summed(…)`, as all of `methods` do but `eigencam`.

    Returns:
        N×H×W in the units of the method.

    Raises:
        ValueError: the method adds its weighted maps up in another way, so that nothing can be put in its place.

    Example:
        >>> explain(models.imagenet(), photos.cat(), "tabby", method=principal(gradcam))
        Heatmap(tabby, probability 0.17, score 8.40 · principal(gradcam) at bn2 · 7 × 7)
    """
    _refuse(method, "principal")

    def component(seen: Captured) -> Tensor:
        met: list[Tensor] = []

        def projected(weighted: Tensor) -> Tensor:
            met.append(first_component(weighted))
            return met[-1]

        maps = method(replace(seen, summed=projected))
        if not met:
            raise ValueError(
                f"`principal` puts a component in the place of a sum, and {plain_name(method)} has no such sum: take "
                "`ll.principal(ll.gradcam)`, or end your method with `return seen.summed(weights * seen.activations)`."
            )
        return maps

    return _named(component, f"principal({plain_name(method)})")


def plain_name(method: Any) -> str:
    """Return what a method is called in words and sentences."""
    while isinstance(method, partial):
        method = method.func
    return getattr(method, "__name__", type(method).__name__)


def _named(method: Any, name: str) -> Method:
    method.__name__ = method.__qualname__ = name
    return method


def _refuse(method: Any, wrapper: str) -> None:
    if isinstance(method, Captured):
        raise TypeError(f"`{wrapper}` makes a method of a method: give `method=ll.{wrapper}(ll.gradcam)`.")
    if not callable(method) or isinstance(method, type | torch.nn.Module):
        raise TypeError(f"`{wrapper}` takes a method, a function such as `ll.gradcam`, not {said(method)}.")
