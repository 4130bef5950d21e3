"""The demonstration: a class that is no people goes through the whole course folder, by nbgrader's own command line."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import nbformat

from tools.classroom.course import Course
from tools.classroom.question import Sheet
from tools.classroom.synthetic.students import Student, people, save
from tools.classroom.synthetic.troubles import FIRST, TROUBLES


def grown(class_: Sequence[Student], count: int) -> list[Student]:
    """Return a class of at least so many: the same students again, under other names."""
    again = (
        replace(one, name=f"{one.name}_again_{turn}", points=dict(one.points))
        for turn in itertools.count(1)
        for one in class_
    )
    return [*class_, *itertools.islice(again, max(0, count - len(class_)))]


def submit(course: Course, sheet: Sheet, class_: Iterable[Student]) -> None:
    """Hand in as `nbgrader submit` does, one folder of the exchange each, and collect."""
    inbound = course.folder / "exchange" / "heatmaps" / "inbound"
    for number, student in enumerate(class_):
        when = f"2026-03-02 09:{number // 60:02}:{number % 60:02}.000000 UTC"
        folder = inbound / f"{student.name}+{sheet.name}+{when}+{number:04}"
        folder.mkdir(parents=True)
        (folder / f"{sheet.name}.ipynb").write_bytes(save(student.notebook))
        (folder / "timestamp.txt").write_text(when, encoding="utf-8")
    course.collect(sheet)


def trouble(course: Course, sheet: Sheet, seed: int, names: Iterable[str]) -> dict[str, float | None]:
    """Hand in these troubles, straight into submitted/; return the points due to each, None where it is refused."""
    released = nbformat.read(course.released(sheet), as_version=4)
    best = people(sheet, seed, released)[0]
    found: dict[str, float | None] = {}
    for name in names:
        folder = course.folder / "submitted" / name / sheet.name
        folder.mkdir(parents=True)
        TROUBLES[name].hand_in(best.notebook, folder)
        lost = best.points[f"{FIRST}-test"] if TROUBLES[name].lost else 0.0
        found[name] = best.score - lost if TROUBLES[name].graded else None
    return found


def mark_essays(course: Course, sheet: Sheet, points: Mapping[str, float]) -> None:
    """Enter marks for the essay, as a person does in formgrader."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course.folder / 'gradebook.db'}") as book:
        for student, given in points.items():
            mark = book.find_grade("essay", sheet.name, sheet.name, student)
            mark.manual_score, mark.needs_manual_grade = given, False
        book.db.commit()


def expected(class_: Iterable[Student], troubles: Mapping[str, float | None], sheet: Sheet) -> dict[str, str]:
    """Return the score that the export is to show for each student: a number, or nothing where one is refused."""
    due = {student.name: str(student.score) for student in class_}
    return due | {name: "" if points is None else str(points) for name, points in troubles.items()}


def folder_of(path: Path) -> Path:
    """Return a folder for a demonstration, which must be new: nothing of a teacher's is overwritten.

    Raises:
        ValueError: it is there already.
    """
    if path.exists() and any(path.iterdir()):
        raise ValueError(
            f"{path} is not empty, and a demonstration begins from nothing: name another, COURSE=another_folder."
        )
    return path
