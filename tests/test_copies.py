"""A learner works on copies: what the learner wrote is never lost, and what is new in the course comes in."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from test_notebooks import links

from tools import copies

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
CAM, GRADCAM = "02_cam.ipynb", "04_gradcam.ipynb"


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course of two lessons, one of which reads a file beside it."""
    (tmp_path / "notebooks" / "pictures").mkdir(parents=True)
    (tmp_path / "notebooks" / CAM).write_text("CAM, first edition")
    (tmp_path / "notebooks" / GRADCAM).write_text("Grad-CAM, first edition")
    (tmp_path / "notebooks" / "pictures" / "cat.txt").write_text("a cat")
    (tmp_path / "notebooks" / ".ipynb_checkpoints").mkdir()
    (tmp_path / "notebooks" / ".ipynb_checkpoints" / CAM).write_text("not a lesson")
    (tmp_path / "notebooks" / "assignments" / "a1").mkdir(parents=True)
    (tmp_path / "notebooks" / "assignments" / "a1" / "a1.ipynb").write_text("a teacher's, with solutions")
    return tmp_path


def mine(course: Path) -> dict[str, str]:
    """Return what lies in my_notebooks/, without the list of what was copied."""
    folder = course / "my_notebooks"
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_text() for name, path in files.items() if name != copies.LIST}


def test_lessons_and_what_they_read_are_copied(course: Path) -> None:
    assert copies.bring(course) == []
    lessons = {CAM: "CAM, first edition", GRADCAM: "Grad-CAM, first edition", "pictures/cat.txt": "a cat"}
    assert mine(course) == lessons
    assert copies.bring(course) == []
    assert mine(course) == lessons


def test_a_pull_brings_new_lessons_and_newer_ones_but_never_over_what_the_learner_wrote(course: Path) -> None:
    copies.bring(course)
    (course / "my_notebooks" / GRADCAM).write_text("my answers")
    for name in (CAM, GRADCAM):
        (course / "notebooks" / name).write_text("second edition")
    (course / "notebooks" / "05_more.ipynb").write_text("new")
    for _ in range(2):  # it is said until the learner has decided
        assert copies.bring(course) == [GRADCAM]
        assert mine(course) == {
            CAM: "second edition",
            GRADCAM: "my answers",
            "05_more.ipynb": "new",
            "pictures/cat.txt": "a cat",
        }


def test_a_changed_lesson_is_nothing_to_speak_of_until_the_course_changes(course: Path) -> None:
    copies.bring(course)
    (course / "my_notebooks" / CAM).write_text("my answers")
    assert copies.bring(course) == []
    (course / "my_notebooks" / CAM).unlink()
    assert copies.bring(course) == []
    assert mine(course)[CAM] == "CAM, first edition"


@pytest.mark.parametrize("content", [None, "", "{"])
def test_without_the_list_nothing_is_overwritten(course: Path, content: str | None) -> None:
    copies.bring(course)
    (course / "my_notebooks" / CAM).write_text("my answers")
    listed = course / "my_notebooks" / copies.LIST
    listed.unlink() if content is None else listed.write_text(content)
    assert copies.bring(course) == [CAM]
    assert mine(course)[CAM] == "my answers"
    assert mine(course)[GRADCAM] == "Grad-CAM, first edition"


def test_a_fresh_lesson_keeps_every_older_one(course: Path) -> None:
    copies.bring(course)
    copy, kept = copies.renew("04", course)
    assert kept is None, "nothing was changed, so there is nothing to keep"
    for number in (1, 2):
        copy.write_text(f"answers {number}")
        assert copies.renew("4" if number == 2 else "04", course) == (copy, copy.with_stem(f"04_gradcam_kept_{number}"))
    assert mine(course) == {
        CAM: "CAM, first edition",
        GRADCAM: "Grad-CAM, first edition",
        "04_gradcam_kept_1.ipynb": "answers 1",
        "04_gradcam_kept_2.ipynb": "answers 2",
        "pictures/cat.txt": "a cat",
    }
    (course / "notebooks" / GRADCAM).write_text("second edition")
    assert copies.bring(course) == []
    assert mine(course)[GRADCAM] == "second edition"


@pytest.mark.parametrize("lesson", ["", "11", "gradcam", "04_gradcam", "../02", "pictures"])
def test_a_lesson_that_is_none_gets_a_sentence_and_changes_nothing(course: Path, lesson: str) -> None:
    copies.bring(course)
    before = mine(course)
    with pytest.raises(ValueError, match=r"There is no lesson .* Give one of 02, 04: .*04"):
        copies.renew(lesson, course)
    assert mine(course) == before


def test_what_is_said_works_when_typed(course: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(copies, "bring", lambda: [GRADCAM, "07_detection.ipynb"])
    monkeypatch.setenv("MAKELEVEL", "1")
    assert copies.main([]) == 0
    said = capsys.readouterr().out
    assert "a newer 04_gradcam.ipynb, 07_detection.ipynb. You have changed yours" in said
    assert "make fresh LESSON=04 " in said
    monkeypatch.delenv("MAKELEVEL")
    copies.main([])
    typed = f"{sys.executable} -m tools.copies 04"
    assert f" {typed} " in capsys.readouterr().out
    (course / "tools").mkdir()
    (course / "tools" / "copies.py").write_bytes((ROOT / "tools" / "copies.py").read_bytes())
    for _ in range(2):
        done = subprocess.run(typed.split(), cwd=course, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        (course / "my_notebooks" / GRADCAM).write_text("my answers")
    said = [line.replace(os.sep, "/") for line in done.stdout.splitlines()]
    assert said[0] == "my_notebooks/04_gradcam.ipynb is as in the course."
    assert "in 04_gradcam_kept_1.ipynb" in said[1]


def test_git_takes_no_notice_of_the_copies_and_the_links_between_lessons_hold(tmp_path: Path) -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert f"{copies.FOLDER}/" in ignored
    for name in ("notebooks", "cookbook", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    copies.bring(tmp_path)
    for path in (tmp_path / copies.FOLDER).glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            targets = links(cell.source) if cell.cell_type == "markdown" else []
            assert [target for target in targets if not (path.parent / target).exists()] == []
