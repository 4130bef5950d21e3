"""The assignments: solutions get every point, one variant's answers fail another, hand-ins are repaired or refused."""

import ast
import pkgutil
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
import torch
from heavy import but_proofs

from lessons_lib.teach import exercises
from lessons_lib.teach.checks import exercise
from tools import counts
from tools.classroom import build, preflight
from tools.classroom.__main__ import main
from tools.classroom.marking import Marker, earned, equal, plain
from tools.classroom.question import SEEDS, Question, form, fresh, unit
from tools.classroom.sheets import SHEETS
from tools.classroom.synthetic.students import answers, people
from tools.classroom.synthetic.troubles import TROUBLES
from tools.pages import replaced

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
QUESTIONS = [(sheet.name, place) for sheet in SHEETS.values() for place in range(len(sheet.questions))]


def run(sheet: str, seed: int, but: str = "") -> dict[str, Any]:
    """Run the teacher's notebook cell by cell, as a kernel does; return each graded cell's last value, by id.

    `but` names the function that is left out, with its test.
    """
    space: dict[str, Any] = {"get_ipython": lambda: SimpleNamespace(run_line_magic=lambda *_: None)}
    last = {}
    for cell in build.source(SHEETS[sheet], seed).cells:
        if cell.cell_type != "code" or (but and cell.id in (but, f"{but}-test")):
            continue
        *lines, end = ast.parse(cell.source.replace("MY_NUMBER = 0 ", "MY_NUMBER = 77 ")).body
        if isinstance(end, ast.Expr):
            exec(compile(ast.Module(lines, []), cell.id, "exec"), space)
            last[cell.id] = eval(compile(ast.Expression(end.value), cell.id, "eval"), space)
        else:
            exec(compile(ast.Module([*lines, end], []), cell.id, "exec"), space)
    return {name: last[name] for name in build.names(SHEETS[sheet]) if name in last}


def solution(question: Question, place: int, seed: int) -> Callable[..., Any]:
    """Return the function that a variant's solution defines."""
    space: dict[str, Any] = {"torch": torch}
    (cell,) = (one for one in build.source(SHEETS[_sheet(question)], seed).cells if one.id == question.name)
    exec(cell.source, space)
    return space[question.name]


def _sheet(question: Question) -> str:
    return next(name for name, sheet in SHEETS.items() if question in sheet.questions)


@pytest.mark.parametrize("name", SHEETS)
def test_the_sources_that_are_stored_are_those_of_the_variant_that_the_repository_shows(name: str) -> None:
    path = ROOT / "notebooks" / "assignments" / name / f"{name}.ipynb"
    written = nbformat.writes(build.source(SHEETS[name], 1), version=4).rstrip("\n") + "\n"
    assert path.read_text(encoding="utf-8") == written, "make variant COURSE=notebooks/assignments"


@pytest.mark.parametrize("name", SHEETS)
def test_a_sheet_asks_for_eight_to_ten_graded_cells_one_of_them_a_persons(name: str) -> None:
    sheet = SHEETS[name]
    assert 8 <= len(build.names(sheet)) <= 11
    assert sheet.essay_points == 4
    assert all(len(words.split()) <= 120 for words in (sheet.model,))


@pytest.mark.parametrize("name", but_proofs(SHEETS, "a1", "a2"))  # test_classroom.py grades a1's solutions anyway
def test_the_solutions_get_every_point_as_plain_floats(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = SHEETS[name]
    marks = run(name, 1)
    points = [float(one.points) for one in sheet.questions] + [float(sheet.experiment.points)]
    assert list(marks.values()) == points
    assert {type(one) for one in marks.values()} == {float}, "nbgrader takes np.float64(0.0) for full marks"
    assert capsys.readouterr().out.count(": right\n") == len(sheet.questions)


@pytest.mark.parametrize(("name", "place"), QUESTIONS)
def test_an_answer_to_one_variant_gets_no_full_marks_in_another(name: str, place: int) -> None:
    question = SHEETS[name].questions[place]
    for ours, theirs in ((1, 2), (1, 4711), (4711, 1)):
        answer = solution(question, place, ours)
        assert Marker(name, ours).mark(place, answer) == question.points
        assert Marker(name, theirs).mark(place, answer) < question.points / 2


def test_every_unit_belongs_to_one_seed_and_is_odd_so_that_no_fixed_point_makes_up_for_it() -> None:
    for place in range(12):
        units = [unit(seed, place) for seed in range(SEEDS)]
        assert len({*units}) == SEEDS
        assert all(one % 2 for one in units)


@pytest.mark.parametrize(("name", "place"), QUESTIONS)
def test_what_is_handed_over_comes_back_to_the_bit(name: str, place: int) -> None:
    question = SHEETS[name].questions[place]
    ours = form(question, place, 5)
    for case in [*question.asked.cases, *fresh(question, 5)]:
        back = ours.lesson(question, ours.handed(question, case))
        assert all(torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in zip(case, back, strict=True))


@pytest.mark.parametrize(("name", "place"), QUESTIONS)
def test_every_form_of_the_catalogue_gets_full_marks_or_not_by_being_right(name: str, place: int) -> None:
    question = SHEETS[name].questions[place]
    ours, marker = form(question, place, 3), Marker(name, 3)
    for answer in answers(question):
        marks = marker.mark(place, lambda *given, does=answer.does: ours.answer(does(*ours.lesson(question, given))))
        assert (marks == question.points) == answer.says.endswith(": right"), answer.at


class Same:
    """Equal to whatever it is compared with."""

    def __eq__(self, other: object) -> bool:
        return True

    __sub__ = __rsub__ = lambda self, other: 0.0


def test_what_is_no_answer_gets_a_plain_zero(capsys: pytest.CaptureFixture[str]) -> None:
    marker = Marker("a1", 1)
    for answer in (..., None, "7", float("nan"), float("inf"), [], {}, Same(), torch.tensor([])):
        marks = marker.mark(0, lambda *_, answer=answer: answer)
        assert type(marks) is float and marks == 0
    assert marker.mark(0, lambda *_: 1 / 0) == 0.0
    assert "not attempted" in capsys.readouterr().out
    assert marker.measured(77, lambda: ...) == 0.0
    assert marker.measured(0, lambda: [1.0]) == 0.0
    assert "set MY_NUMBER" in capsys.readouterr().out


def test_a_patched_library_moves_no_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    marker = Marker("a1", 1)
    monkeypatch.setattr(torch, "allclose", lambda *a, **k: True)
    monkeypatch.setattr(torch, "equal", lambda *a, **k: True)
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: Same())
    assert marker.mark(5, lambda b, M: torch.tensor(1.0)) == 0.0


@pytest.mark.parametrize(("right", "points"), [(0, 0.0), (1, 0.5), (3, 1.5), (5, 2.5), (6, 3.0)])
def test_points_are_given_for_each_input_down_to_the_quarter(right: int, points: float) -> None:
    assert earned(3, right, 6) == points
    assert earned(4, 2, 7) == 1.0


def test_numbers_are_equal_in_one_arrangement_only() -> None:
    assert equal(plain(torch.tensor([[1.0, 2.0]])), [[1.0, 2.000001]], 1)
    assert not equal(plain(torch.tensor([1.0, 2.0])), [[1.0, 2.0]], 1)
    assert not equal([1.0], [1.0, 2.0], 1)
    assert not equal([1.001], [1.0], 1)
    assert not equal([1.0], 1.0, 1)


@pytest.fixture(scope="module")
def given_out() -> Any:
    """A1 with everything right, and as it was given out: metadata and ids are what is looked at."""
    sheet, notebook = SHEETS["a1"], build.source(SHEETS["a1"], 1)
    return people(sheet, 1, notebook)[0].notebook, notebook


@pytest.mark.parametrize("name", but_proofs(TROUBLES, "large_outputs"))
def test_a_hand_in_is_repaired_or_refused_with_a_sentence(name: str, given_out: Any, tmp_path: Path) -> None:
    best, released = given_out
    trouble = TROUBLES[name]
    trouble.hand_in(best, tmp_path)
    if not trouble.graded and "Marking" not in trouble.says:
        with pytest.raises(preflight.Refused, match=r"(?i)hand") as refused:
            preflight.check(tmp_path, released, "a1.ipynb")
        assert trouble.says in str(refused.value)
        return
    checked = preflight.check(tmp_path, released, "a1.ipynb")
    if "Marking" not in trouble.says:
        assert trouble.says in " ".join(checked.repairs) or not trouble.says
    ids = [cell.metadata.nbgrader.grade_id for cell in checked.notebook.cells if "nbgrader" in cell.metadata]
    assert ids == [cell.metadata.nbgrader.grade_id for cell in released.cells if "nbgrader" in cell.metadata]
    for cell in released.cells:
        if cell.metadata.get("nbgrader", {}).get("locked"):
            (mine,) = (one for one in checked.notebook.cells if one.metadata.get("nbgrader") == cell.metadata.nbgrader)
            assert mine.source == cell.source
    nbformat.validate(checked.notebook)


def test_what_has_no_trouble_is_left_alone(given_out: Any, tmp_path: Path) -> None:
    best, released = given_out
    (tmp_path / "a1.ipynb").write_text(nbformat.writes(best, version=4), encoding="utf-8")
    (tmp_path / "timestamp.txt").write_text("2026-03-02 09:00:00.000000 UTC")
    checked = preflight.check(tmp_path, released, "a1.ipynb")
    assert (checked.repairs, checked.stamp) == ([], "2026-03-02 09:00:00.000000 UTC")
    assert [cell.source for cell in checked.notebook.cells] == [cell.source for cell in best.cells]


def test_every_trouble_of_the_list_that_can_be_played_is_there() -> None:
    assert {trouble.number for trouble in TROUBLES.values()} >= {
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        12,
        15,
        16,
        17,
        19,
        21,
        22,
        23,
        24,
        25,
    }


def test_the_counts_in_the_readme_are_the_catalogues_and_every_exercise_has_two_other_right_forms() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert replaced(readme, "exercises", counts.block()) == readme, "python -m tools.counts"
    assert all(len(question.asked.also_right) >= 2 for sheet in SHEETS.values() for question in sheet.questions)


@pytest.mark.parametrize("page", ["teaching.md", "concept_inventory.md"])
def test_a_teachers_page_names_only_what_exists(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make ([a-z-]+)(?=`| +#| [A-Z]+=|\n)", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (ROOT / "docs" / link).exists(), link
    anchors = {
        re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^## (.+)$", text, re.MULTILINE)
    }
    assert {*re.findall(r"\]\(#([^)]+)", text)} <= anchors
    for name in re.findall(r"`(\w+\.\w+)`", text):
        if name.partition(".")[0] in {module.name for module in pkgutil.iter_modules(exercises.__path__)}:
            assert exercise(name)


def test_the_teachers_page_promises_each_trouble_what_the_demonstration_shows() -> None:
    text = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
    section = text.partition("## What can go wrong")[2].partition("\n## ")[0]
    numbers = {int(number) for number in re.findall(r"^\| (\d+) \| ", section, re.MULTILINE)}
    assert {trouble.number for trouble in TROUBLES.values()} == numbers
    for sheet in SHEETS.values():
        assert f"| {sheet.machine_points} + {sheet.essay_points} |" in text


def test_solutions_and_unseen_tests_stand_between_markers_with_the_canary() -> None:
    for sheet in SHEETS.values():
        bird = build.canary(sheet, 1)
        for cell in build.source(sheet, 1).cells:
            outside, inside = deepcopy(cell.source), False
            kept = []
            for line in outside.splitlines():
                inside = inside or "### BEGIN" in line
                if not inside:
                    kept.append(line)
                inside = inside and "### END" not in line
            assert bird not in "\n".join(kept)
            assert ("### BEGIN" in cell.source) == (bird in cell.source)


def test_a_demonstration_overwrites_nothing_and_a_sheet_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["demo", "--folder", str(tmp_path)]) == 1
    assert "begins from nothing: name another, COURSE=another_folder." in capsys.readouterr().err
    assert main(["variant", "--folder", str(tmp_path), "--sheets", "a9"]) == 1
    assert capsys.readouterr().err == "There is no sheet 'a9'; there are: a1, a2, a3.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
