"""Telling a learner what is wrong with their answer. The questions stand in `exercises`, one file for each lesson."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from io import StringIO
from pkgutil import iter_modules
from typing import Any

import torch
from torch import Tensor

from lessons_lib.core.engine.names import near
from lessons_lib.core.engine.outputs import said
from lessons_lib.teach import exercises as exercises_of_lessons
from lessons_lib.teach.exercise import Exercise
from lessons_lib.teach.experiment import Experiment
from lessons_lib.teach.telling import call, difference, numbers, same


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

    A stub that returns `...` is "not attempted". A wrong answer is compared with a catalogue of known mistakes, and the
    mistake is named. One that nobody foresaw is told with the call that shows it. An experiment's answer is measured.

    Args:
        name: the exercise, "lesson.question", as the lesson gives it.
        attempt: the learner's function.

    Raises:
        ValueError: there is no such exercise; the nearest names are offered.
        TypeError: the name is no name, or the function no function.

    Example:
        >>> check("gradcam.weights", lambda gradients: gradients.amax(dim=(1, 2)))
        gradcam.weights: not yet. You take the maximum of each gradient map; Grad-CAM takes the mean.
    """
    if not isinstance(name, str):
        raise TypeError(
            f"The exercise's name comes first, then your function: `ll.check('cam.logit', logit)`, not {said(name)}."
        )
    with torch.device("cpu"):  # where the exercises' numbers lie, whatever torch's default device is
        asked = exercise(name)
        if not callable(attempt):
            raise TypeError(
                f"Give the function itself, `ll.check({name!r}, your_function)`, without calling it, not "
                f"{said(attempt)}."
            )
        return (_measured if isinstance(asked, Experiment) else _compared)(name, asked, attempt)


def _compared(name: str, asked: Any, attempt: Callable[..., Any]) -> Verdict:
    """Try an exercise: compare what the learner's function returns with the right numbers."""
    expected = [numbers(asked.right(*_copies(case))) for case in asked.cases]
    found: list[Tensor] = []
    for case in asked.cases:
        try:
            answer, printed = _tried(attempt, case)
        except Exception as error:  # noqa: BLE001 - whatever a learner's code raises is told to the learner
            raised = f"Your function raised {type(error).__name__}: {error}"
            return Verdict(name, False, f"not yet. {_known(asked, error) or _shown(raised, attempt, case)}")
        if answer is ...:
            return Verdict(name, False, "not attempted")
        if answer is None:
            missed = "You print the answer" if printed else "Your function returns nothing"
            return Verdict(name, False, f"not yet. {missed}: end it with `return` and the answer.")
        try:
            found.append(numbers(answer))
        except (TypeError, ValueError, RuntimeError):
            returned = f"Your function returns a {type(answer).__name__}, not numbers."
            return Verdict(name, False, f"not yet. {_shown(returned, attempt, case)}")
    if same(found, expected):
        return Verdict(name, True, "right")
    number, differs = difference(found, expected)
    return Verdict(name, False, f"not yet. {_known(asked, found) or _shown(differs, attempt, asked.cases[number])}")


def exercise(name: str) -> Exercise | Experiment:
    """Return the exercise or the experiment of that name.

    Raises:
        ValueError: there is none; the nearest names are offered.
    """
    lesson, _, question = name.partition(".")
    exercises = _of(lesson) if lesson in _lessons() else {}
    if question not in exercises:
        known = [f"{lesson}.{other}" for other in exercises] or [
            f"{one}.{other}" for one in _lessons() for other in _of(one)
        ]
        begins = "its name begins with the lesson's, as in 'cam.logit'"
        raise ValueError(f"There is no exercise {name!r}; {near(name.strip(), known, otherwise=begins)}.")
    return exercises[question]


def _lessons() -> list[str]:
    return [module.name for module in iter_modules(exercises_of_lessons.__path__)]


def _of(lesson: str) -> Mapping[str, Exercise | Experiment]:
    held = import_module(f"{exercises_of_lessons.__name__}.{lesson}")
    return held.EXERCISES | getattr(held, "EXPERIMENTS", {})


def _measured(name: str, asked: Any, attempt: Callable[[], Any]) -> Verdict:
    """Try an experiment: measure the claim on what the learner's function returns."""
    try:
        answer = attempt()
    except Exception as error:  # noqa: BLE001 - whatever a learner's code raises is told to the learner
        return Verdict(name, False, f"not yet. Your function raised {type(error).__name__}: {error}")
    if answer is ...:
        return Verdict(name, False, "not attempted")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a blank map is an answer like others
            right, says = asked.measure(answer)
    except ValueError as error:
        return Verdict(name, False, f"not yet. {error}")
    return Verdict(name, right, f"{'right' if right else 'not yet'}. {says}")


def _known(asked: Exercise, found: list[Tensor] | Exception) -> str:
    """Return the sentence of the known mistake that gives these numbers, or raises this error; else nothing."""
    for sentence, mistake in asked.mistakes.items():
        for form in mistake if isinstance(mistake, Sequence) else (mistake,):
            try:
                given: list[Tensor] | Exception = [numbers(form(*_copies(case))) for case in asked.cases]
            except Exception as error:  # noqa: BLE001 - some mistakes do raise, and the learner's did the same
                given = error
            if isinstance(found, Exception) or isinstance(given, Exception):
                if type(found) is type(given) and str(found) == str(given):
                    return sentence
            elif same(found, given):
                return sentence
    return ""


def _tried(attempt: Callable[..., Any], case: tuple[Any, ...]) -> tuple[Any, str]:
    """Return what a learner's function returns, and what it prints, which is shown as ever."""
    printed = StringIO()
    try:
        with redirect_stdout(printed):
            answer = attempt(*_copies(case))
    finally:
        print(printed.getvalue(), end="")
    return answer, printed.getvalue()


def _shown(sentence: str, attempt: Callable[..., Any], case: tuple[Any, ...]) -> str:
    """Return a sentence with the call that reproduces what it says."""
    return f"{sentence} The call that shows it:\n{call(attempt, case)}"


def _copies(case: tuple[Any, ...]) -> tuple[Any, ...]:
    return deepcopy(case)
