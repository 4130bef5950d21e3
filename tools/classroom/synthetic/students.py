"""A class made from the catalogue: every right form and every known mistake is somebody's answer.

The marks are worked out here from the catalogue alone, in the lesson's form and with numpy: not by what marks.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import nbformat
import numpy as np
from nbformat import NotebookNode

from lessons_lib.teach.telling import numbers
from tools.classroom import build
from tools.classroom.question import Question, Sheet, choice, form, fresh, unit


@dataclass(frozen=True)
class Answer:
    """One form of an answer: where it stands in the catalogue, and what is expected of it."""

    at: str
    does: Callable[..., Any]
    says: str


@dataclass
class Student:
    """One hand-in, and what is to come of it.

    Args:
        name: of the folder.
        notebook: what is handed in.
        points: graded cell → points that are due.
        says: graded cell → what its output must hold.
    """

    name: str
    notebook: NotebookNode
    points: dict[str, float]
    says: dict[str, str] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The points due altogether, before a person has marked."""
        return sum(self.points.values())


def answers(question: Question) -> list[Answer]:
    """Return every form of the catalogue: right ones first, then each mistake in each of its forms."""
    asked, name = question.asked, question.exercise
    here = f"exercise({name!r})"
    found = [Answer(f"{here}.right", asked.right, f"{name}: right")]
    found += [Answer(f"{here}.also_right[{n}]", form, f"{name}: right") for n, form in enumerate(asked.also_right)]
    for sentence, mistake in asked.mistakes.items():
        several = isinstance(mistake, Sequence)
        for number, does in enumerate(mistake if isinstance(mistake, Sequence) else (mistake,)):
            at = f"{here}.mistakes[{sentence!r}]" + (f"[{number}]" if several else "")
            found.append(Answer(at, does, f"{name}: not yet. {sentence}"))
    return found


def due(question: Question, does: Callable[..., Any], seed: int) -> float:
    """Return the points that an answer is due: for each input that comes out right, down to the quarter."""
    cases = [*question.asked.cases, *fresh(question, seed)]
    right = 0
    for case in cases:
        wanted = np.asarray(numbers(question.asked.right(*deepcopy(case))))
        try:
            found = np.asarray(numbers(does(*deepcopy(case))))
        except Exception:  # noqa: BLE001 - some mistakes raise
            continue
        right += found.shape == wanted.shape and np.allclose(found, wanted, rtol=5e-6, atol=1e-5, equal_nan=True)
    return float(np.floor(4 * question.points * right / len(cases)) / 4)


def people(sheet: Sheet, seed: int, released: NotebookNode) -> list[Student]:
    """Return as many students as it takes for every form of the catalogue to be somebody's answer to this sheet.

    The first answers everything rightly, in the catalogue's own words; the last hands in the sheet as it was given out.
    """
    forms = [answers(question) for question in sheet.questions]
    found = []
    for number in range(max(map(len, forms))):
        chosen = [of_one[number % len(of_one)] for of_one in forms]
        found.append(_student(sheet, seed, released, f"{sheet.name}_student_{number:02}", chosen))
    blank = dict.fromkeys(build.names(sheet), 0.0)
    found.append(Student(f"{sheet.name}_blank", deepcopy(released), blank))
    return found


def fill(notebook: NotebookNode, sources: Mapping[str, str]) -> NotebookNode:
    """Return a copy of a notebook with these cells, by id, written anew."""
    copy = deepcopy(notebook)
    for cell in copy.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id", cell.get("id"))
        if name in sources:
            cell.source = sources[name]
    return copy


def written(question: Question, place: int, seed: int, at: str) -> str:
    """Return the cell that answers with a form of the catalogue."""
    ours = form(question, place, seed)
    body = [f"{name} = {build.back(question, ours, name)}" for name in ours.axes]
    body += [f"answer = {at}({', '.join(question.arguments)})", f"return {ours.unit} * numbers(answer)"]
    lines = ["from lessons_lib.teach.checks import exercise", "", "", f"def {question.name}({', '.join(ours.order)}):"]
    return "\n".join(lines + [f"    {line}" for line in body])


def _student(sheet: Sheet, seed: int, released: NotebookNode, name: str, chosen: Sequence[Answer]) -> Student:
    number = 1000 + sum(name.encode())
    asked = sheet.experiment
    sources = {"number": f"MY_NUMBER = {number}", "essay": sheet.model}
    points, says = {}, {}
    for place, (question, answer) in enumerate(zip(sheet.questions, chosen, strict=True)):
        sources[question.name] = written(question, place, seed, answer.at)
        points[f"{question.name}-test"] = due(question, answer.does, seed)
        says[f"{question.name}-test"] = answer.says
    measured = build.measurement(sheet, choice(sheet, seed), unit(seed, len(sheet.questions)), "")
    sources[asked.name] = "\n".join(line for line in measured.splitlines() if "###" not in line)
    points[f"{asked.name}-test"] = float(asked.points)
    points["essay"] = 0.0  # until a person has marked it
    return Student(name, fill(released, sources), points, says)


def save(notebook: NotebookNode) -> bytes:
    """Return a notebook's bytes, as JupyterLab saves it."""
    return (nbformat.writes(notebook, version=4).rstrip("\n") + "\n").encode()
