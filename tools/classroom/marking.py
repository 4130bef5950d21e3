"""Marking a student's functions: a plain number of points, and sentences. It runs where the student's code runs.

What is right is worked out before the student's first line runs, and what compares is bound here, by name: code that
puts something else in place of `torch.allclose` changes neither.
"""

import builtins
import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch

from lessons_lib.teach.telling import numbers
from tools.classroom.question import Form, Question, Sheet, choice, form, fresh, unit
from tools.classroom.sheets import SHEETS

_tensor, _list, _print, _as, _detach = (
    torch.Tensor,
    torch.Tensor.tolist,
    builtins.print,
    torch.Tensor.to,
    torch.Tensor.detach,
)
_abs, _all, _len, _zip, _type, _round = abs, all, len, zip, type, round


def plain(answer: Any) -> Any:
    """Return an answer as nested lists of numbers.

    Raises:
        TypeError, ValueError, RuntimeError: it is made of no numbers.
    """
    if isinstance(answer, list | tuple):
        return [plain(one) for one in answer]
    if _type(answer) in (bool, int, float):
        return float(answer)
    if not isinstance(answer, _tensor):
        answer = numbers(answer)
    return _list(_as(_detach(answer), torch.float64))


def equal(found: Any, expected: Any, scale: float) -> bool:
    """Say whether two nested lists hold the same numbers in the same arrangement, up to what float32 rounds away."""
    if isinstance(expected, list):
        alike = isinstance(found, list) and _len(found) == _len(expected)
        return alike and _all(equal(a, b, scale) for a, b in _zip(found, expected, strict=True))
    if isinstance(found, list):
        return False
    if math.isnan(expected):
        return math.isnan(found)
    return _abs(found - expected) <= 1e-5 * scale + 5e-6 * _abs(expected)


def earned(points: int, right: int, tried: int) -> float:
    """Return the points for so many inputs right, down to the quarter: a plain float."""
    return float(4 * points * int(right) // tried) / 4


class Marker:
    """Marks one sheet of one variant."""

    def __init__(self, sheet: str, seed: int) -> None:
        self.sheet: Sheet = SHEETS[sheet]
        self.seed = seed
        self._tried = [_inputs(question, place, seed) for place, question in enumerate(self.sheet.questions)]

    def mark(self, place: int, attempt: Callable[..., Any]) -> float:
        """Return the points of the question at that place, from 0, and say what they are for."""
        question = self.sheet.questions[place]
        ours, cases, expected = self._tried[place]
        right, attempted = 0, False
        for case, wanted in _zip(cases, expected, strict=True):
            try:
                answer = attempt(*deepcopy(case))
                attempted = attempted or answer is not ...
                right += answer is not ... and answer is not None and equal(plain(answer), wanted, ours.unit)
            except Exception:  # noqa: BLE001 - whatever a student's code raises, this input is not right
                attempted = True
        if not attempted:
            _print(f"0 of {question.points} points: not attempted.")
            return 0.0
        points = earned(question.points, right, _len(cases))
        _print(f"{points:g} of {question.points} points: right for {right} of {_len(cases)} inputs.")
        return points

    def measured(self, number: Any, attempt: Callable[[], Any]) -> float:
        """Return the points of the experiment: what a student measured is measured again, on their own number."""
        asked = self.sheet.experiment
        try:
            answer = attempt()
            if answer is ...:
                _print(f"0 of {asked.points} points: not attempted.")
                return 0.0
            if _type(number) is not int or number <= 0:
                _print(f"0 of {asked.points} points: set MY_NUMBER to your own number, a whole number above 0.")
                return 0.0
            found = plain(answer)
        except Exception as error:  # noqa: BLE001 - it is told to the student
            _print(f"0 of {asked.points} points: your function raised {_type(error).__name__}: {error}")
            return 0.0
        wanted = [float(one) for one in asked.measure(number, choice(self.sheet, self.seed))]
        times = unit(self.seed, _len(self.sheet.questions))
        if not isinstance(found, list) or _len(found) != _len(wanted):
            _print(f"0 of {asked.points} points: {_len(wanted)} numbers are asked for.")
            return 0.0
        right = sum(
            not isinstance(a, list) and _abs(a - b * times) <= 0.01 * times for a, b in _zip(found, wanted, strict=True)
        )
        points = earned(asked.points, right, _len(wanted))
        _print(f"{points:g} of {asked.points} points: {right} of {_len(wanted)} numbers agree with scenes of {number}.")
        return points


def _inputs(question: Question, place: int, seed: int) -> tuple[Form, Sequence[Any], Sequence[Any]]:
    """Return a question's form, its inputs as a student gets them, and the right answers as nested lists."""
    ours = form(question, place, seed)
    cases = [*question.asked.cases, *fresh(question, seed)]
    expected = [plain(ours.answer(question.asked.right(*deepcopy(case)))) for case in cases]
    return ours, [ours.handed(question, case) for case in cases], expected
