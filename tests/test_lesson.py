"""A lesson that is started from the template keeps the order of all lessons, and overwrites none."""

from pathlib import Path

import nbformat
import pytest
from test_notebooks import faults

from tools.lesson import TEMPLATE, start

NAME = "can_you_trust_it"


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course of one lesson, whose table asks the next one's question."""
    (tmp_path / "README.md").write_text("| 11 | Can you trust it? | Is a pretty map a true map? |\n", encoding="utf-8")
    (tmp_path / "notebooks").mkdir()
    cell = nbformat.v4.new_markdown_cell(f"# 10 · Which layer?\n\n[11 →](11_{NAME}.ipynb)", id="title")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "notebooks" / "10_swin.ipynb")
    return tmp_path


def test_a_new_lesson_is_clean_but_for_its_run_and_linked_to_what_exists(course: Path) -> None:
    path = start("11", NAME, course)
    cells = nbformat.read(path, as_version=4).cells
    link = "← [10 · Which layer?](10_swin.ipynb)"
    assert cells[0].source == f"# 11 · Is a pretty map a true map?\n\n{link}"
    assert cells[-1].source == link
    assert [cell.id for cell in cells[1:-1]] == list(TEMPLATE)
    assert list(faults(path)) == ["the cells were not executed once each, from top to bottom"]
    for cell in cells:
        if cell.cell_type == "code":
            compile(cell.source, cell.id, "exec")


def test_between_two_lessons_it_is_linked_to_both_and_without_a_question_to_its_name(course: Path) -> None:
    start("11", NAME, course)
    cells = nbformat.read(start("09", "tokens", course), as_version=4).cells
    assert cells[0].source == "# 09 · Tokens?\n\n[10 · Which layer?](10_swin.ipynb) →"


@pytest.mark.parametrize(
    ("number", "name", "sentence"),
    [
        ("10", "windows", r"Lesson 10 is there already, 10_swin\.ipynb: take another number"),
        ("", "", r"NUMBER= NAME= names no lesson: give two digits and a topic .* make lesson NUMBER=11 NAME=can_you"),
        ("1", NAME, "NUMBER=1 NAME=can_you_trust_it names no lesson"),
        ("11", "Can you", "NAME=Can you names no lesson"),
        ("11", "../x", "names no lesson"),
    ],
)
def test_nothing_is_overwritten_and_wrong_names_get_a_sentence(
    number: str, name: str, sentence: str, course: Path
) -> None:
    before = {path: path.read_bytes() for path in course.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=sentence):
        start(number, name, course)
    assert {path: path.read_bytes() for path in course.rglob("*") if path.is_file()} == before
