"""What an experiment is: a question that a learner answers by measuring, checked by measuring the answer again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any


@dataclass(frozen=True)
class Experiment:
    """One question whose answer is found, not written: a scene, a class, a channel or a layer.

    Args:
        measure: from an answer to whether it shows what was asked for, and what was measured, as a sentence. It raises
            ValueError, with a sentence, where the answer is no scene, class, channel or layer at all.
        example: a function that returns what the lesson shows; that does not show what is asked for.
        found: two or more that return something that does, of different kinds.
        guess: a blind answer. At most ten of a hundred may do: the rest is the learner's work.
    """

    measure: Callable[[Any], tuple[bool, str]]
    example: Callable[[], Any]
    found: Sequence[Callable[[], Any]]
    guess: Callable[[Random], Any]
