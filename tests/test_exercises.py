"""Every exercise: right answers pass in every form, known mistakes are named, every lesson holds its solution."""

import json
import pkgutil
import re
from importlib import import_module
from pathlib import Path

import pytest
import torch
from test_experiments import NAMES as EXPERIMENTS

from lessons_lib.teach import exercises
from lessons_lib.teach.checks import check, exercise

NAMES = [
    f"{module.name}.{question}"
    for module in pkgutil.iter_modules(exercises.__path__)
    for question in import_module(f"lessons_lib.teach.exercises.{module.name}").EXERCISES
]
NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("[0-9]*.ipynb"))


@pytest.mark.parametrize("name", NAMES)
def test_right_answers_pass_in_every_form(name: str) -> None:
    asked = exercise(name)
    assert asked.also_right, "give at least one other correct form"
    for answer in (asked.right, *asked.also_right):
        assert repr(check(name, answer)) == f"{name}: right"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_known_mistake_is_named(name: str) -> None:
    mistakes = exercise(name).mistakes
    assert len(mistakes) >= 2, "a check that only says 'wrong' teaches nothing"
    for sentence, mistake in mistakes.items():
        for form in mistake if isinstance(mistake, tuple) else (mistake,):
            assert repr(check(name, form)) == f"{name}: not yet. {sentence}"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_stub_is_not_attempted(name: str) -> None:
    assert repr(check(name, lambda *_: ...)) == f"{name}: not attempted"
    assert not any(check(name, stub) for stub in (lambda *_: ..., lambda *_: None, lambda *_: "7", lambda *_: 1 / 0))
    assert "returns nothing: end it with `return`" in repr(check(name, lambda *_: None))
    assert "You print the answer: end it with `return`" in repr(check(name, lambda *_: print("7")))


def test_every_exercise_is_asked_in_a_lesson_and_solved_there() -> None:
    asked: set[str] = set()
    solved: set[str] = set()
    for path in NOTEBOOKS:
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            checked = re.findall(r'll\.check\("([\w.]+)"', "".join(cell["source"]))
            if "solution" in cell["metadata"].get("tags", []):
                words = json.dumps(cell["outputs"], ensure_ascii=False)
                solved |= {name for name in checked if f"{name}: right" in words}
            else:
                asked |= set(checked)
    assert asked == {*NAMES, *EXPERIMENTS}
    assert solved == {*NAMES, *EXPERIMENTS}


def first(name: str):
    """The right answer of an exercise, to be spoilt."""
    return exercise(name).right


@pytest.mark.skipif("cam.map" not in NAMES, reason="lesson 02 is not written yet")
def test_an_unknown_mistake_is_told_by_its_place_shape_or_error() -> None:
    right = first("cam.map")

    def shifted(*arguments):
        answer = right(*arguments).clone()
        answer.view(-1)[-1] += 1
        return answer

    assert "The numbers differ most at" in repr(check("cam.map", shifted))
    assert "is an array of 2 × 4; you return an array of 1 × 2 × 4" in repr(
        check("cam.map", lambda *a: right(*a)[None])
    )
    assert "raised ZeroDivisionError" in repr(check("cam.map", lambda *a: 1 / 0))
    assert "returns a str, not numbers" in repr(check("cam.map", lambda *a: "seven"))


@pytest.mark.skipif("cam.map" not in NAMES, reason="lesson 02 is not written yet")
def test_a_learner_who_changes_the_inputs_in_place_harms_nobody() -> None:
    right = first("cam.map")
    before = [[v.clone() if isinstance(v, torch.Tensor) else v for v in case] for case in exercise("cam.map").cases]

    def zeroes(*arguments):
        for value in arguments:
            if isinstance(value, torch.Tensor):
                value.zero_()
        return right(*arguments)

    assert not check("cam.map", zeroes)
    for case, kept in zip(exercise("cam.map").cases, before, strict=True):
        for value, old in zip(case, kept, strict=True):
            assert torch.equal(value, old) if isinstance(value, torch.Tensor) else value == old


def test_an_unknown_exercise_offers_the_nearest() -> None:
    with pytest.raises(ValueError) as raised:
        check("cam.logitt", lambda: 1)
    assert str(raised.value).startswith("There is no exercise 'cam.logitt'; near it: cam.logit")
    with pytest.raises(ValueError) as raised:
        check("zzz.zzz", lambda: 1)
    offered = "There is no exercise 'zzz.zzz'; its name begins with the lesson's, as in 'cam.logit'."
    assert str(raised.value) == offered and "cam.logit" in NAMES


def test_of_a_wrong_number_no_place_is_said() -> None:
    verdict = repr(check("cam.logit", lambda *_: 7.0))
    said = "cam.logit: not yet. The numbers differ most: yours is 7, asked for is 1.5. The call that shows it:"
    assert verdict.splitlines()[0] == said
