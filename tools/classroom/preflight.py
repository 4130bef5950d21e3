"""Before grading: is what one student handed in what nbgrader can grade? What is safe is repaired, the rest refused.

A refusal and a repair are sentences. Whatever is refused is never graded, so it is never a zero that nobody can
explain.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import nbformat
from nbformat import NotebookNode

JUNK = {".ds_store", "desktop.ini", "thumbs.db", "timestamp.txt"}
LARGEST = 100_000_000  # bytes of a file that is read at all
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


class Refused(ValueError):
    """What was handed in can't be graded; the sentence says why, and what the student does now."""


@dataclass
class Checked:
    """A notebook that can be graded, and what was repaired."""

    notebook: NotebookNode
    repairs: list[str] = field(default_factory=list)
    stamp: str = ""


def check(folder: Path, released: NotebookNode, name: str) -> Checked:
    """Return what one student handed in, ready for nbgrader.

    Args:
        folder: of the hand-in.
        released: the assignment as it was given out.
        name: its file, "a1.ipynb".

    Raises:
        Refused: it can't be graded.
    """
    repairs: list[str] = []
    notebook = _read(_file(folder, name, repairs), repairs)
    _cells(notebook, released, repairs)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            if "input(" in cell.source:
                repairs.append("A cell calls `input()`, which nobody answers while marking: it fails there.")
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        repairs.append("The notebook named another kernel; it is marked with python3.")
    notebook.metadata["kernelspec"] = nbformat.from_dict(KERNEL)
    return Checked(notebook, repairs, _stamp(folder, repairs))


def _file(folder: Path, name: str, repairs: list[str]) -> Path:
    files = [one for one in sorted(folder.rglob("*")) if one.is_file() and one.name.lower() not in JUNK]
    files = [one for one in files if ".ipynb_checkpoints" not in one.parts and not one.is_symlink()]
    found = folder / name
    if found not in files:
        notebooks = [one for one in files if one.suffix.lower() == ".ipynb"]
        if not files:
            raise Refused(f"Nothing was handed in: the folder is empty. Hand in {name}.")
        if len(notebooks) != 1:
            there = ", ".join(one.name for one in files)
            raise Refused(
                f"There is no {name}, and which file to take instead nobody can tell ({there}). Hand in {name}."
            )
        (found,) = notebooks
        repairs.append(f"The file was called {found.name}; it was read as {name}.")
    others = [one.relative_to(folder).as_posix() for one in files if one != found]
    if others:
        repairs.append(f"Only {name} is marked; left aside: {', '.join(others)}.")
    return found


def _read(path: Path, repairs: list[str]) -> NotebookNode:
    size = path.stat().st_size
    if size > LARGEST:
        raise Refused(
            f"The file has {size / 1e6:.0f} MB, more than {LARGEST / 1e6:.0f}. Clear all outputs, save, and hand it "
            "in again."
        )
    raw = path.read_bytes()
    if raw.startswith(b"\xef\xbb\xbf"):
        repairs.append("The file began with a byte order mark, which was taken away.")
    try:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(
            "The file is no text in UTF-8, so no notebook. Save it in JupyterLab and hand it in again."
        ) from None
    if not text.strip():
        raise Refused("The file is empty. Save the notebook in JupyterLab and hand it in again.")
    if text.lstrip().startswith("<"):
        raise Refused("The file is a web page, not a notebook. Download the notebook itself and hand that in.")
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise Refused(
            f"The file is damaged at line {error.lineno} ({error.msg}). Save it in JupyterLab and hand it in again."
        ) from None
    version = content.get("nbformat") if isinstance(content, dict) else None
    if version not in (3, 4):
        raise Refused(
            f"The file says that it is a notebook of format {version}; 3 and 4 can be read. Save it in JupyterLab 4 "
            "and hand it in again."
        )
    if version == 3:
        repairs.append("The notebook was saved by an older Jupyter (format 3); it was brought up to format 4.")
    if version == 4 and content.get("nbformat_minor", 0) > 5:
        repairs.append(f"The notebook says it is of format 4.{content['nbformat_minor']}; it was read as 4.5.")
        content["nbformat_minor"] = 5
    try:
        notebook = nbformat.convert(nbformat.from_dict(content), 4)
        for cell in notebook.cells:
            cell.setdefault("metadata", nbformat.from_dict({}))
            if not isinstance(cell.source, str):
                cell.source = "".join(cell.source)
        return nbformat.from_dict({**notebook, "nbformat_minor": 5})
    except (AttributeError, KeyError, TypeError, ValueError, nbformat.ValidationError) as error:
        raise Refused(
            f"The file is JSON, but no notebook ({type(error).__name__}: {error}). Save it in JupyterLab and hand it "
            "in again."
        ) from None


def _id(cell: NotebookNode) -> str:
    return str(cell.metadata.get("nbgrader", {}).get("grade_id", ""))


def _cells(notebook: NotebookNode, released: NotebookNode, repairs: list[str]) -> None:
    """Give the notebook every cell of the release once, with the release's metadata; locked ones as released."""
    wanted = {_id(cell): cell for cell in released.cells if _id(cell)}
    if not {_id(cell) for cell in notebook.cells} & {*wanted}:
        _by_cell_id(notebook, wanted, repairs)
    for number, times in Counter(_id(cell) for cell in notebook.cells if _id(cell) in wanted).items():
        if times > 1:
            repairs.append(f"The cell {number} was there {times} times; the last one counts.")
    seen: set[str] = set()
    for cell in reversed(notebook.cells):
        if _id(cell) and (_id(cell) in seen or _id(cell) not in wanted):
            del cell.metadata["nbgrader"]  # an earlier copy, or no cell of ours
        seen.add(_id(cell))
    before = -1
    for number, theirs in wanted.items():
        places = [place for place, cell in enumerate(notebook.cells) if _id(cell) == number]
        if not places:
            places = [_restored(notebook, theirs, number, before, repairs)]
        before = places[0]
        mine = notebook.cells[before]
        if theirs.metadata.nbgrader.locked and (mine.source != theirs.source or mine.cell_type != theirs.cell_type):
            repairs.append(f"The cell {number} is locked and was changed; it is marked as it was given out.")
            mine.source = theirs.source
        if mine.cell_type != theirs.cell_type:
            repairs.append(
                f"The cell {number} had been made a {mine.cell_type} cell; it is a {theirs.cell_type} cell again."
            )
            make = nbformat.v4.new_code_cell if theirs.cell_type == "code" else nbformat.v4.new_markdown_cell
            mine = notebook.cells[before] = make(mine.source)
        mine.metadata["nbgrader"] = theirs.metadata.nbgrader.copy()
    names = Counter(cell.get("id") for cell in notebook.cells)
    for place, cell in enumerate(notebook.cells):
        if not cell.get("id") or names[cell.id] > 1:
            cell["id"] = f"cell-{place}"


def _by_cell_id(notebook: NotebookNode, wanted: dict[str, NotebookNode], repairs: list[str]) -> None:
    """Give cells whose nbgrader metadata an editor dropped their ids back, if the editor left the cells' own ids."""
    found = [cell for cell in notebook.cells if cell.get("id") in wanted]
    if len(found) < len(wanted) / 2:
        raise Refused(
            "None of the sheet's cells can be recognised: the program that saved the file dropped what marks them. "
            "Take the sheet as it was given out, paste your answers into it, save it in JupyterLab and hand that in."
        )
    repairs.append("What marks the sheet's cells had been dropped; they were recognised by their own ids.")
    for cell in found:
        cell.metadata["nbgrader"] = nbformat.from_dict({"grade_id": cell.id})


def _restored(notebook: NotebookNode, theirs: NotebookNode, number: str, before: int, repairs: list[str]) -> int:
    """Find the answer that lost its mark, or put the released cell back; return its place."""
    if theirs.metadata.nbgrader.solution and theirs.cell_type == "code":
        head = (
            theirs.source.partition("\n")[0].partition("=")[0].partition("(")[0].strip()
        )  # "def cam_map" or "MY_NUMBER"
        for place, cell in enumerate(notebook.cells):
            if (
                not _id(cell)
                and cell.cell_type == "code"
                and any(line.startswith(head) for line in cell.source.splitlines())
            ):
                repairs.append(f"The cell {number} had lost its mark; it was recognised by `{head}`.")
                return place
    repairs.append(f"The cell {number} was missing; it is there again as it was given out.")
    notebook.cells.insert(before + 1, nbformat.from_dict(dict(theirs)))
    return before + 1


def _stamp(folder: Path, repairs: list[str]) -> str:
    path = folder / "timestamp.txt"
    if not path.is_file():
        return ""
    text = path.read_text(encoding="utf-8-sig", errors="replace").strip()
    try:
        when = datetime.fromisoformat(text.removesuffix(" UTC").strip())
    except ValueError:
        repairs.append(f"The time of the hand-in can't be read ({text[:40]!r}); no lateness is worked out.")
        return ""
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return f"{when:%Y-%m-%d %H:%M:%S.%f} UTC"
