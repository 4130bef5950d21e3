"""Copy the lessons to where a learner works, so that edits there touch neither the course nor its tests.

python -m tools.copies         # what is new comes in; what the learner has changed stays
python -m tools.copies 04      # a fresh copy of lesson 04; the old one is kept under another name

Beside the copies lies a list of what each was copied from, as SHA-256. A file that no longer matches has been changed.
"""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = "my_notebooks"
LIST = ".copied.json"


def bring(root: Path = ROOT) -> list[str]:
    """Copy every lesson that is missing or untouched; return the names of changed ones that the course has newer.

    Args:
        root: the folder that holds notebooks/, and my_notebooks/ with the copies.
    """
    copied = _copied(root)
    newer = []
    for name, source in _lessons(root).items():
        copy, digest = root / FOLDER / name, _digest(source)
        if not copy.exists() or _digest(copy) in (copied.get(name), digest):
            _put(source, copy)
            copied[name] = digest
        elif copied.get(name) != digest:
            newer.append(name)
    _note(root, copied)
    return newer


def renew(lesson: str, root: Path = ROOT) -> tuple[Path, Path | None]:
    """Copy one lesson again; return the copy, and where the old one lies if it was changed.

    Args:
        lesson: its number, 04, or its name, cookbook.
        root: the folder that holds notebooks/, and my_notebooks/ with the copies.

    Raises:
        ValueError: there is no such lesson; the numbers of all are given.
    """
    lessons = {name: path for name, path in _lessons(root).items() if path.suffix == ".ipynb"}
    found = [name for name in lessons if lesson and Path(name).stem.partition("_")[0] in (lesson, lesson.zfill(2))]
    if not found:
        numbers = ", ".join(Path(name).stem.partition("_")[0] for name in lessons)
        raise ValueError(f"There is no lesson {lesson!r}. Give one of {numbers}: {typed('04')}")
    (name,) = found
    source, copy, kept = lessons[name], root / FOLDER / name, None
    if copy.exists() and _digest(copy) != _digest(source):
        taken = (copy.with_stem(f"{copy.stem}_kept_{number}") for number in range(1, 10_000))
        kept = copy.rename(next(path for path in taken if not path.exists()))
    _put(source, copy)
    _note(root, _copied(root) | {name: _digest(source)})
    return copy, kept


def typed(lesson: str) -> str:
    """Return what to type for a fresh copy: make's target if make runs this, else a call of Python."""
    return f"make fresh LESSON={lesson}" if "MAKELEVEL" in os.environ else f"{sys.executable} -m tools.copies {lesson}"


def _lessons(root: Path) -> dict[str, Path]:
    """Return what is copied, by its path below notebooks/: the notebooks, and whatever they read from beside them.

    The assignments stay where they are: their sources are a teacher's, with solutions and unseen tests.
    """
    folder = root / "notebooks"
    found = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    kept = {name: path for name, path in found.items() if name.parts[0] != "assignments"}
    return {
        name.as_posix(): path for name, path in kept.items() if not any(part.startswith(".") for part in name.parts)
    }


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _put(source: Path, copy: Path) -> None:
    """Copy a file whole or not at all: one cut short would look like a learner's."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    part = copy.with_name(f".{copy.name}.part")
    shutil.copyfile(source, part)
    part.replace(copy)


def _copied(root: Path) -> dict[str, str]:
    try:
        return dict(json.loads((root / FOLDER / LIST).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}  # without the list every copy that differs counts as changed, so nothing can be lost


def _note(root: Path, copied: dict[str, str]) -> None:
    (root / FOLDER).mkdir(exist_ok=True)
    (root / FOLDER / LIST).write_text(json.dumps(copied, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    if not arguments:
        newer = bring()
        if newer:
            number = Path(newer[0]).stem.partition("_")[0]
            print(f"The course has a newer {', '.join(newer)}. You have changed yours, so it stays as it is.")
            print(f"For the newer one: {typed(number)} (what you wrote is kept under another name).")
        return 0
    try:
        copy, kept = renew(arguments[0])
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{copy.relative_to(ROOT)} is as in the course.")
    if kept:
        print(f"What you wrote lies beside it, in {kept.name}. If the lesson is open in JupyterLab, close and open it.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
