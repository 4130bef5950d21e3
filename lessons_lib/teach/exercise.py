"""What an exercise is: small fixed inputs, the right answer, and the mistakes that are known by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Exercise:
    """One question with a checkable answer.

    Args:
        cases: the arguments of each call that is tried, small and fixed.
        right: a function that answers them.
        also_right: other correct ways to write it; a test holds `check` to accepting them.
        mistakes: what a wrong answer did, as a sentence to the learner → a function that does it, or several that do it
            in other forms. A function may raise: an answer that raises the same error made the same mistake.
    """

    cases: Sequence[tuple[Any, ...]]
    right: Callable[..., Any]
    also_right: Sequence[Callable[..., Any]]
    mistakes: Mapping[str, Callable[..., Any] | Sequence[Callable[..., Any]]]
