"""Telling a learner what is wrong with their answer. The questions stand in `exercises`, one file for each lesson."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lessons_lib.core.engine.names import near
from lessons_lib.teach.exercise import Exercise


@dataclass(frozen=True)
class Verdict:
    """What `check` found. It prints as a sentence, and counts as true when the answer is right."""

    exercise: str
    right: bool
    says: str

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return f"{self.exercise}: {self.says}"


def check(name: str, attempt: Callable[..., Any]) -> Verdict:
    """Try a learner's function on small fixed inputs and say what is wrong with it.

    A stub that returns `...` or nothing is "not attempted". A wrong answer is compared with a catalogue of known
    mistakes, and the mistake is named.

    Args:
        name: the exercise, "lesson.question", as the lesson gives it.
        attempt: the learner's function.

    Raises:
        ValueError: there is no such exercise; the nearest names are offered.

    Example:
        >>> check("gradcam.weights", lambda gradients: gradients.amax(dim=(1, 2)))
        gradcam.weights: not yet. You take the maximum of each gradient map; Grad-CAM takes the mean.
    """
    asked = exercise(name)
    expected = [_numbers(asked.right(*_copies(case))) for case in asked.cases]
    found: list[Tensor] = []
    for case in asked.cases:
        try:
            answer = attempt(*_copies(case))
        except Exception as error:  # noqa: BLE001 - whatever a learner's code raises is told to the learner
            raised = f"Your function raised {type(error).__name__}: {error}"
            return Verdict(name, False, f"not yet. {_known(asked, error) or raised}")
        if answer is ... or answer is None:
            return Verdict(name, False, "not attempted")
        try:
            found.append(_numbers(answer))
        except (TypeError, ValueError, RuntimeError):
            return Verdict(name, False, f"not yet. Your function returns a {type(answer).__name__}, not numbers.")
    if _same(found, expected):
        return Verdict(name, True, "right")
    return Verdict(name, False, f"not yet. {_known(asked, found) or _difference(found, expected)}")


def exercise(name: str) -> Exercise:
    """Return the exercise of that name.

    Raises:
        ValueError: there is none; the nearest names are offered.
    """
    lesson, _, question = name.partition(".")
    module = f"lessons_lib.teach.exercises.{lesson}"
    exercises: Mapping[str, Exercise] = {}
    if lesson.isidentifier() and find_spec(module):
        exercises = import_module(module).EXERCISES
    if question not in exercises:
        known = [f"{lesson}.{other}" for other in exercises]
        offer = f"; {near(name, known)}" if known else ": its name begins with the lesson's, as in 'cam.logit'"
        raise ValueError(f"There is no exercise {name!r}{offer}.")
    return exercises[question]


def _known(asked: Exercise, found: list[Tensor] | Exception) -> str:
    """Return the sentence of the known mistake that gives these numbers, or raises this error; else nothing."""
    for sentence, mistake in asked.mistakes.items():
        for form in mistake if isinstance(mistake, Sequence) else (mistake,):
            try:
                given: list[Tensor] | Exception = [_numbers(form(*_copies(case))) for case in asked.cases]
            except Exception as error:  # noqa: BLE001 - some mistakes do raise, and the learner's did the same
                given = error
            if isinstance(found, Exception) or isinstance(given, Exception):
                if type(found) is type(given) and str(found) == str(given):
                    return sentence
            elif _same(found, given):
                return sentence
    return ""


def _copies(case: tuple[Any, ...]) -> tuple[Any, ...]:
    return deepcopy(case)


def _numbers(answer: Any) -> Tensor:
    if isinstance(answer, list | tuple) and answer:
        return torch.stack([_numbers(one) for one in answer])
    if isinstance(answer, np.ndarray):
        answer = answer.copy()  # which torch asks for where an array runs backwards
    return torch.as_tensor(answer).detach().to(torch.float64)


def _same(found: list[Tensor], expected: list[Tensor]) -> bool:
    return all(
        a.shape == b.shape and torch.allclose(a, b, rtol=5e-6, atol=1e-5, equal_nan=True)
        for a, b in zip(found, expected, strict=True)
    )


def _difference(found: list[Tensor], expected: list[Tensor]) -> str:
    for mine, theirs in zip(found, expected, strict=True):
        if mine.shape != theirs.shape:
            return f"The shape is {tuple(mine.shape)} where {tuple(theirs.shape)} is asked for."
        if not _same([mine], [theirs]):
            place = tuple(torch.unravel_index((mine - theirs).abs().nan_to_num(torch.inf).argmax(), mine.shape))
            where = f" at {[int(i) for i in place]}" if place else ""
            yours, asked = mine[place].item(), theirs[place].item()
            return f"The numbers differ most{where}: yours is {yours:.4g}, asked for is {asked:.4g}."
    return "The numbers differ."
