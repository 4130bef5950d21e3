"""The target that asks what speaks for one thing rather than for another."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from lessons_lib.core.records import Explainable
from lessons_lib.core.targets.base import Target
from lessons_lib.core.targets.given import Asked, as_target


@dataclass(frozen=True)
class Difference(Target):
    """One number less another: what speaks for the first rather than for the second.

    Formula: y = y₁ − y₂, so for every method that is linear in the score (Grad-CAM, HiResCAM) the map is the difference
    of the two maps.

    Args:
        first: a target, a class by its index or name, or a function of one picture's output.
        second: the same.

    Example:
        >>> explain(models.imagenet(), photos.cat(), Difference("tabby", "tiger cat"))
        Heatmap(tabby, probability 0.17 − tiger cat, probability 0.39, score -0.84 · gradcam at bn2 · 7 × 7)
    """

    first: Asked
    second: Asked

    def __call__(self, output: Any) -> Tensor:
        first, second = map(as_target, (self.first, self.second))
        return first(output) - second(output)

    def on(self, model: Explainable) -> "Difference":
        return Difference(as_target(self.first).on(model), as_target(self.second).on(model))

    def settled(self, output: Any) -> "Difference":
        return Difference(as_target(self.first).settled(output), as_target(self.second).settled(output))

    def terms(self) -> Iterator[tuple[int, Target]]:
        for sign, one in ((1, self.first), (-1, self.second)):
            yield from ((sign * inner, term) for inner, term in as_target(one).terms())

    def part(self, network: nn.Module) -> nn.Module:
        first, second = (as_target(one).part(network) for one in (self.first, self.second))
        return second if second in set(first.modules()) else first

    def words(self, output: Any, model: Explainable) -> str:
        return " − ".join(as_target(one).words(output, model) for one in (self.first, self.second))
