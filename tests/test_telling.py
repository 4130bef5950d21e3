"""What a learner is told when no known mistake explains the answer: in words that are true, with a call that runs."""

import pkgutil
from importlib import import_module
from typing import Any

import pytest
import torch

from lessons_lib.teach import exercises
from lessons_lib.teach.checks import check
from lessons_lib.teach.exercise import Exercise
from lessons_lib.teach.telling import call, difference

ASKED = [
    (f"{module.name}.{question}", asked)
    for module in pkgutil.iter_modules(exercises.__path__)
    for question, asked in import_module(f"lessons_lib.teach.exercises.{module.name}").EXERCISES.items()
]


def alike(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    return type(a) is type(b) and a == b


@pytest.mark.parametrize(("name", "asked"), ASKED)
def test_every_call_that_can_be_shown_runs_and_gives_the_function_that_very_input(name: str, asked: Exercise) -> None:
    for case in asked.cases:
        *imports, source = [line.strip() for line in call(lambda: None, case).splitlines()]
        assert len(source) <= 1100, "nobody reads that"
        assert imports == (["import torch"] if "torch" in source else [])
        seen = eval(source, {"torch": torch, "your_function": lambda *given: given})
        assert len(seen) == len(case) and all(map(alike, seen, case))


@pytest.mark.parametrize(
    ("found", "expected", "said"),
    [
        ([[2.0]], [2.0], "Asked for is one number; you return a list of one. The numbers are right"),
        ([[2.5]], [2.0], "Asked for is one number; you return a list of one."),
        ([3.0], [[3.0, 4.0]], "Asked for is a list of 2; you return one number."),
        ([[[1.0], [2.0]]], [[1.0, 2.0]], "a list of 2; you return an array of 2 × 1. The numbers are right"),
        ([[1.0, -2.0]], [[-1.0, 2.0]], "Every number is right but for its sign"),
        ([[6.0, 3.0], 9.0], [[2.0, 1.0], 3.0], "Every number is 3 times what is asked for."),
        ([1.0, 6.0, 8.0], [1.0, 2.0, 8.0], "It is right for 2 of 3 inputs, and not for this one. The numbers differ"),
        ([[1.0, 5.0]], [[1.0, 2.0]], "differ most at [1]: yours is 5, asked for is 2."),
        ([-25.0004], [-25.0], "yours is -25.0004, asked for is -25."),
        ([float("nan")], [1.0], "yours is nan, asked for is 1."),
        ([[0.0, 0.0]], [[1.0, 2.0]], "differ most at [1]: yours is 0, asked for is 2."),
    ],
)
def test_what_is_wrong_is_said_in_words(found: list[Any], expected: list[Any], said: str) -> None:
    as_numbers = [[torch.tensor(one, dtype=torch.float64) for one in answers] for answers in (found, expected)]
    number, sentence = difference(*as_numbers)
    assert said in sentence
    assert sentence.endswith("arrangement is not.") == ("The numbers are right" in said)
    assert found[:number] == expected[:number] and found[number] != expected[number]


def test_what_a_learner_prints_is_shown_and_not_taken_for_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("gradcam.weights", lambda g: [print("looking"), g.mean((1, 2))][1])
    assert capsys.readouterr().out == "looking\nlooking\n"
    assert not check("gradcam.weights", lambda g: print("before it fails") or 1 / 0)
    assert capsys.readouterr().out == "before it fails\n"
