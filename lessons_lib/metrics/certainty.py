"""How sure a ranking is: the same scenes drawn again and again, with replacement."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sure:
    """A difference between two rows of numbers on the same scenes, and how sure it is.

    Args:
        difference: the mean of the first less that of the second.
        low: below which it lies in 2.5 % of the draws.
        high: above which it lies in 2.5 % of them.
        ahead: the share of the draws in which the first is ahead; ½ is a toss.
        scenes: how many there are.

    Example:
        >>> metrics.Sure(difference=0.1, low=-0.02, high=0.2, ahead=0.95, scenes=20)
        Sure(+0.10, 95 %: -0.02 to +0.20, does not survive)
    """

    difference: float
    low: float
    high: float
    ahead: float
    scenes: int

    @property
    def survives(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0

    def __repr__(self) -> str:
        verdict = "survives" if self.survives else "does not survive"
        return f"Sure({self.difference:+.2f}, 95 %: {self.low:+.2f} to {self.high:+.2f}, {verdict})"


def sure(first: Sequence[float], second: Sequence[float], *, draws: int = 2000, seed: int = 0) -> Sure:
    """Return how sure the difference of two means is, by a bootstrap over the scenes that both were measured on.

    Formula: percentile interval of the mean of paired differences over draws of n scenes with replacement, Efron,
    "Bootstrap methods: another look at the jackknife", Annals of Statistics 7 (1979).

    What it can't tell: anything about pictures that are made in another way. Scenes pasted from five photographs are no
    new objects, however many there are; nor does it know how many comparisons you looked at before you chose this one.

    Args:
        first: a number for each scene.
        second: the same scenes, in the same order.
        draws: how often the scenes are drawn.
        seed: of the draws.

    Raises:
        ValueError: they are not of the same scenes, or fewer than two.

    Example:
        >>> metrics.sure([0.9, 0.8, 0.7, 0.9], [0.5, 0.4, 0.6, 0.5])
        Sure(+0.32, 95 %: +0.18 to +0.40, survives)
    """
    one, other = (np.asarray(values, float) for values in (first, second))
    if one.ndim != 1 or one.shape != other.shape or len(one) < 2:
        raise ValueError(
            f"Two rows of numbers on the same scenes are compared, two or more of each, not {one.size} and "
            f"{other.size}: give one number for each scene, in the same order."
        )
    if not isinstance(draws, int) or isinstance(draws, bool) or draws < 1:
        raise ValueError(f"draws={draws!r} is how often the scenes are drawn: give 1 or more, such as 2000.")
    gaps = one - other
    random = np.random.default_rng(seed)
    means = gaps[random.integers(len(gaps), size=(draws, len(gaps)))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    ahead = float((means > 0).mean() + (means == 0).mean() / 2)
    return Sure(float(gaps.mean()), float(low), float(high), ahead, len(gaps))
