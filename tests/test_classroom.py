"""A class is graded by nbgrader's own command line, in the teacher's environment, and every line is as expected."""

import csv
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tools.classroom import build
from tools.classroom.sheets import SHEETS
from tools.classroom.synthetic.students import Student, due, people
from tools.classroom.synthetic.troubles import FIRST, TROUBLES

ROOT = Path(__file__).parent.parent
TEACHER = ROOT / ".classroom" / "venv" / "bin" / "python"
SEED = 4711
SIX = ["a1_student_00", "a1_student_08", "a1_blank", "copied_cell", "tampered_test", "truncated"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the classroom forks"),
    pytest.mark.skipif(not TEACHER.exists(), reason="nbgrader is not there: `make test` installs it"),
]


def graded(folder: Path, *arguments: str) -> Path:
    """Let a class go through everything in a new folder, named from here as a teacher names it; return the folder."""
    named = os.path.relpath(folder, ROOT)
    command = [TEACHER, "-m", "tools.classroom", "demo", "--folder", named, "--seed", str(SEED), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


def lines(folder: Path) -> dict[str, dict[str, str]]:
    """Return the export, by student."""
    with (folder / "grades.csv").open(encoding="utf-8") as file:
        return {line["student_id"]: line for line in csv.DictReader(file)}


def of(folder: Path, sheet: str, student: str) -> dict[str, Any]:
    """Return a student's graded cells as they were marked, by id."""
    path = folder / "autograded" / student / sheet / f"{sheet}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return {cell["metadata"].get("nbgrader", {}).get("grade_id"): cell for cell in cells}


def said(cell: dict[str, Any]) -> str:
    """Return what a cell printed."""
    return "".join("".join(one.get("text", "")) for one in cell["outputs"])


@cache
def mixed_student() -> Student:
    """Return the one of the six who has something right and something wrong."""
    class_ = people(SHEETS["a1"], SEED, build.source(SHEETS["a1"], SEED))
    return next(one for one in class_ if one.name == "a1_student_08")


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return graded(tmp_path_factory.mktemp("six") / "course", "--sheets", "a1", "--only", ",".join(SIX))


def test_the_gradebook_of_six_is_as_expected_line_by_line(six: Path) -> None:
    sheet = SHEETS["a1"]
    found = lines(six)
    assert sorted(found) == sorted(SIX)
    full = sheet.machine_points
    mixed = mixed_student()
    assert 0 < mixed.score < full
    scores = {name: line["score"] for name, line in found.items()}
    assert scores == {
        "a1_student_00": str(float(full + sheet.essay_points)),  # a person has marked the essay
        "a1_student_08": str(mixed.score),
        "a1_blank": "0.0",
        "copied_cell": str(float(full)),
        "tampered_test": str(float(full - 3)),
        "truncated": "",  # and no zero
    }
    assert {line["max_score"] for line in found.values()} == {str(float(full + sheet.essay_points))}
    assert {name: line["status"].partition(".")[0] for name, line in found.items()} == {
        "a1_student_00": "graded",
        "a1_student_08": "graded; the essay waits for a person",
        "a1_blank": "graded; nothing was attempted, or nothing was right",
        "copied_cell": "graded; the essay waits for a person",
        "tampered_test": "graded; the essay waits for a person",
        "truncated": found["truncated"]["status"].partition(".")[0],
    }
    assert "is damaged at line" in found["truncated"]["status"]
    assert f"The cell {FIRST} was there 2 times" in found["copied_cell"]["status"]


def test_every_mark_and_every_name_of_a_mistake_is_the_catalogues(six: Path) -> None:
    SHEETS["a1"]
    student = mixed_student()
    cells = of(six, "a1", student.name)
    for name, points in student.points.items():
        if name != "essay":
            assert cells[name]["outputs"][-1]["data"]["text/plain"] == [str(points)]
        assert student.says.get(name, "") in said(cells[name]) if name != "essay" else True
    page = (six / "feedback" / student.name / "a1" / "a1.html").read_text(encoding="utf-8")
    for sentence in student.says.values():
        assert sentence.partition(";")[0].replace("'", "&#39;") in page


@pytest.mark.parametrize("folder", ["release", "feedback", "exchange"])
def test_no_solution_and_no_unseen_test_is_in_the_bytes(six: Path, folder: str) -> None:
    sheet = SHEETS["a1"]
    bird = build.canary(sheet, SEED).encode()
    assert bird in (six / "source" / "a1" / "a1.ipynb").read_bytes(), "the canary sings where it should"
    files = [path for path in (six / folder).rglob("*") if path.is_file()]
    assert files
    for path in files:
        held = path.read_bytes()
        for secret in (bird, b"HIDDEN TESTS", b"BEGIN SOLUTION", b"classroom.marking"):
            assert secret not in held, f"{secret!r} in {path.relative_to(six)}"


def test_the_released_sheet_has_stubs_that_are_not_attempted(six: Path) -> None:
    cells = json.loads((six / "release" / "a1" / "a1.ipynb").read_text(encoding="utf-8"))["cells"]
    stubs = ["".join(cell["source"]) for cell in cells if cell["metadata"].get("nbgrader", {}).get("solution")]
    assert len(stubs) == len(build.names(SHEETS["a1"]))
    assert all(stub.endswith("    return ...") for stub in stubs[:-1])
    blank = of(six, "a1", "a1_blank")
    assert all("not attempted" in said(blank[name]) for name in build.names(SHEETS["a1"])[:-1])


def test_the_report_counts_what_the_marks_say(six: Path) -> None:
    page = (six / "reports" / "a1" / "report.md").read_text(encoding="utf-8")
    assert page.startswith("# A1 · Feature maps and CAM: 6 hand-ins, 5 graded")
    rows = re.findall(r"^\| ([\w.]+) \| (\d) \| (\d) \| (\d) \| (\d) \|$", page, re.MULTILINE)
    assert [row[0] for row in rows] == [*(one.exercise for one in SHEETS["a1"].questions), "my_scene"]
    assert all(sum(map(int, row[1:])) == 5 for row in rows)
    assert {row[0]: row[1:] for row in rows}["my_scene"] == ("4", "0", "0", "1")
    student = mixed_student()
    for sentence in student.says.values():
        assert f"- 1 × {sentence.partition('not yet. ')[2]}" in page
    assert "- truncated: The file is damaged" in page
    assert (six / "reports" / "a1" / "report.png").stat().st_size > 10_000


@pytest.mark.proof
def test_the_whole_class_is_graded_as_expected(tmp_path: Path) -> None:
    assert held(graded(tmp_path / "course"), list(SHEETS)) >= 60


def held(folder: Path, sheets: list[str]) -> int:
    """Hold a class to what is due, line by line and cell by cell; return how many of the catalogue's there were."""
    expected = {}
    for sheet in map(SHEETS.__getitem__, sheets):
        class_ = people(sheet, SEED, build.source(sheet, SEED))
        for student in class_:
            expected[sheet.name, student.name] = student.score
            cells = of(folder, sheet.name, student.name)
            for name, sentence in student.says.items():
                assert sentence in said(cells[name])
                assert cells[name]["outputs"][-1]["data"]["text/plain"] == [str(student.points[name])]
        expected[sheet.name, class_[0].name] += sheet.essay_points  # which a person has marked
    with (folder / "grades.csv").open(encoding="utf-8") as file:
        found = {(line["assignment"], line["student_id"]): line for line in csv.DictReader(file)}
    assert {key: found[key]["score"] for key in expected} == {key: str(score) for key, score in expected.items()}
    for name, trouble in TROUBLES.items() if "a1" in sheets else ():
        line = found["a1", name]
        full = float(SHEETS["a1"].machine_points)
        assert line["score"] == (str(full - 3 * trouble.lost) if trouble.graded else ""), name
        assert trouble.says in line["status"], name
    for (sheet, name), line in found.items():
        if line["score"] in ("", "0.0"):
            assert line["status"] not in ("", "graded"), f"{sheet} of {name} is a zero that nobody can explain"
    birds = [build.canary(SHEETS[sheet], SEED).encode() for sheet in sheets]
    for path in [*(folder / "release").rglob("*.ipynb"), *(folder / "feedback").rglob("*.*")]:
        assert not any(bird in path.read_bytes() for bird in birds if path.is_file()), path
    return len(expected)


def test_the_points_that_are_due_are_worked_out_and_not_copied() -> None:
    question = SHEETS["a1"].questions[4]
    assert due(question, question.asked.right, 1) == question.points
    assert due(question, lambda *_: 1 / 0, 1) == 0
