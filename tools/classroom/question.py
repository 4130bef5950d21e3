"""What a sheet asks: questions of the lessons' catalogue, and the form in which a variant hands each of them over.

A variant with another seed hands the same ideas over in another form: arguments in another order, arrays with their
axes in another order and in fixed point with other bits, the answer in other units. Every unit is odd and belongs to
one seed alone (of 9,973 neighbours), so no answer to one variant is right in another.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any

import torch
from torch import Generator, Tensor

from lessons_lib.teach.checks import exercise
from lessons_lib.teach.exercise import Exercise
from lessons_lib.teach.telling import numbers

SEEDS = 9973  # a prime: so many neighbouring seeds give as many units
FRESH = 4  # how many inputs are tried that no student sees


@dataclass(frozen=True)
class Question:
    """One graded question: an exercise of the catalogue, asked on other numbers and in another form.

    Args:
        exercise: its name in the catalogue, "cam.map".
        title: of its section in the sheet.
        asks: what is asked, in markdown, in the lesson's symbols.
        arguments: the lesson's arguments by name, in its order → the axes of those that are kept in fixed point, "KHW";
            "" for what is handed over as it is.
        solution: the statements that compute `answer` from the lesson's arguments.
        fresh: from a source of chance, new arguments in the lesson's form.
        points: for all inputs right.
    """

    exercise: str
    title: str
    asks: str
    arguments: Mapping[str, str]
    solution: str
    fresh: Callable[[Generator], tuple[Any, ...]]
    points: int = 4

    @property
    def name(self) -> str:
        """The function's name in the sheet, `cam_map`."""
        return self.exercise.replace(".", "_")

    @cached_property
    def asked(self) -> Exercise:
        """The exercise of the catalogue."""
        found = exercise(self.exercise)
        assert isinstance(found, Exercise)
        return found


@dataclass(frozen=True)
class Measurement:
    """The experiment of a sheet: numbers that a student measures on scenes of their own number.

    Args:
        name: of the function in the sheet.
        title: of its section.
        asks: what is asked, in markdown; `{choice}` is what the variant draws.
        choices: what a variant draws from.
        solution: the body of the function, of `number` and `choice`, that computes `answer`.
        measure: the same by the library, from the student's number and the choice.
        points: for all numbers right.
    """

    name: str
    title: str
    asks: str
    choices: Sequence[Any]
    solution: str
    measure: Callable[[int, Any], Sequence[float]]
    points: int = 4


@dataclass(frozen=True)
class Sheet:
    """One assignment.

    Args:
        name: "a1".
        title: its first line.
        opens: what it is about, in markdown.
        questions: the graded ones, in order.
        experiment: the one measured on the student's own number.
        essay: the question that a person marks, in markdown.
        rubric: points → what they are given for.
        model: an answer to it that gets full marks.
    """

    name: str
    title: str
    opens: str
    questions: Sequence[Question]
    experiment: Measurement
    essay: str
    rubric: Mapping[str, str]
    model: str

    @property
    def essay_points(self) -> int:
        """What the essay is worth: a point for each line of its rubric."""
        return len(self.rubric)

    @property
    def machine_points(self) -> int:
        """What a machine marks."""
        return sum(question.points for question in self.questions) + self.experiment.points


@dataclass(frozen=True)
class Form:
    """How one variant hands one question over.

    Args:
        order: the arguments' names, as the student's function takes them.
        axes: of each argument in fixed point, in the order in which the student gets them.
        bits: of each argument in fixed point, behind the point: what is handed over is 2 ** bits times as large.
        unit: the answer is asked for times this.
    """

    order: Sequence[str]
    axes: Mapping[str, str]
    bits: Mapping[str, int]
    unit: int

    def handed(self, question: Question, case: Sequence[Any]) -> list[Any]:
        """Return the student's arguments for a case in the lesson's form."""
        given = dict(zip(question.arguments, case, strict=True))
        for name, axes in self.axes.items():
            order = [question.arguments[name].index(axis) for axis in axes]
            given[name] = given[name].permute(order) * 2 ** self.bits[name]
        return [given[name] for name in self.order]

    def lesson(self, question: Question, handed: Sequence[Any]) -> list[Any]:
        """Return the case in the lesson's form for a student's arguments."""
        given = dict(zip(self.order, handed, strict=True))
        for name, axes in self.axes.items():
            order = [axes.index(axis) for axis in question.arguments[name]]
            given[name] = given[name].permute(order) / 2 ** self.bits[name]
        return [given[name] for name in question.arguments]

    def answer(self, lesson: Any) -> Tensor:
        """Return what is asked for where the lesson asks for this."""
        return numbers(lesson) * self.unit


def unit(seed: int, place: int) -> int:
    """Return the unit of a variant's question: odd, and another for every seed below `SEEDS`."""
    return 101 + 2 * ((7919 * seed + 1223 * place) % SEEDS)


def form(question: Question, place: int, seed: int) -> Form:
    """Draw the form of a question.

    Args:
        question: which.
        place: its number in the sheet, from 0.
        seed: of the variant.
    """
    chance = Random(f"{seed} {question.exercise}")
    kept = {name: axes for name, axes in question.arguments.items() if axes}
    return Form(
        order=chance.sample(list(question.arguments), len(question.arguments)),
        axes={name: "".join(chance.sample(axes, len(axes))) for name, axes in kept.items()},
        bits={name: chance.randrange(1, 9) for name in kept},
        unit=unit(seed, place),
    )


def fresh(question: Question, seed: int) -> list[tuple[Any, ...]]:
    """Return the inputs that no student sees, in the lesson's form."""
    chance = Random(f"{seed} {question.exercise} unseen")
    return [question.fresh(torch.Generator().manual_seed(chance.randrange(2**31))) for _ in range(FRESH)]


def choice(sheet: Sheet, seed: int) -> Any:
    """Return what a variant draws for a sheet's experiment."""
    return Random(f"{seed} {sheet.experiment.name}").choice(sheet.experiment.choices)
