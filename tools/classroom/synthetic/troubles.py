"""Hand-ins with the troubles that public trackers report, each with what the teacher's page promises for it.

Each is made from the reference: everything right, essay written. `lost` names the cells that lose their points; a
hand-in that is refused has no points at all. The numbers are those of the list of troubles in the teacher's page.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools.classroom.synthetic.students import save

FIRST = "feature_maps_size"  # the question that is spoilt


@dataclass(frozen=True)
class Trouble:
    """One trouble.

    Args:
        number: in the list of troubles.
        hand_in: from the reference notebook and an empty folder to what is handed in.
        says: what the teacher and the student are told, in part; "" for nothing.
        graded: is it graded?
        lost: does the first question lose its points?
    """

    number: int
    hand_in: Callable[[NotebookNode, Path], None]
    says: str = ""
    graded: bool = True
    lost: bool = False


def _notebook(change: Callable[[NotebookNode], object]) -> Callable[[NotebookNode, Path], None]:
    def hand_in(notebook: NotebookNode, folder: Path) -> None:
        copy = deepcopy(notebook)
        change(copy)
        (folder / "a1.ipynb").write_bytes(save(copy))

    return hand_in


def _bytes(change: Callable[[bytes], bytes], name: str = "a1.ipynb") -> Callable[[NotebookNode, Path], None]:
    def hand_in(notebook: NotebookNode, folder: Path) -> None:
        (folder / name).write_bytes(change(save(notebook)))

    return hand_in


def _at(notebook: NotebookNode, name: str) -> int:
    return next(n for n, cell in enumerate(notebook.cells) if cell.get("id") == name)


def _first(line: str, where: str = "inside") -> Callable[[NotebookNode, Path], None]:
    """Put a line into the first answer: before its function, or inside as its first statement."""

    def change(notebook: NotebookNode) -> None:
        cell = notebook.cells[_at(notebook, FIRST)]
        head, rest = cell.source.split(f"def {FIRST}", 1)
        first, body = rest.split("\n", 1)
        inside = "".join(f"    {one}\n" for one in line.splitlines()) if where == "inside" else ""
        before = "" if where == "inside" else f"{line}\n\n\n"
        cell.source = f"{head}{before}def {FIRST}{first}\n{inside}{body}"

    return _notebook(change)


def _twice(notebook: NotebookNode) -> None:
    for name in (FIRST, f"{FIRST}-test"):
        copied = deepcopy(notebook.cells[_at(notebook, name)])
        copied["id"] = f"{name}-copied"
        notebook.cells.insert(_at(notebook, name) + 1, copied)


def _without(name: str) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells.pop(_at(notebook, name)) and None


def _tampered(notebook: NotebookNode) -> None:
    notebook.cells[_at(notebook, FIRST)].source = f"def {FIRST}(*given):\n    return 7"
    notebook.cells[_at(notebook, f"{FIRST}-test")].source = "3.0"


def _stripped(notebook: NotebookNode, ids: bool) -> None:
    for number, cell in enumerate(notebook.cells):
        cell.metadata.pop("nbgrader", None)
        if ids:
            cell["id"] = f"other-{number}"


def _older(notebook: NotebookNode, folder: Path) -> None:
    older = nbformat.convert(deepcopy(notebook), 3)
    (folder / "a1.ipynb").write_text(nbformat.v3.writes_json(older), encoding="utf-8")


def _format(major: int, minor: int) -> Callable[[bytes], bytes]:
    return lambda raw: json.dumps({**json.loads(raw), "nbformat": major, "nbformat_minor": minor}).encode()


def _with_junk(notebook: NotebookNode, folder: Path) -> None:
    (folder / "a1.ipynb").write_bytes(save(notebook))
    (folder / "desktop.ini").write_text("[ViewState]")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "a1-checkpoint.ipynb").write_bytes(save(notebook))
    (folder / "notes.txt").write_text("mine")


def _large(notebook: NotebookNode) -> None:
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", name="stdout", text="x" * 60_000_000)]


def _patched(notebook: NotebookNode) -> None:
    cell = notebook.cells[_at(notebook, FIRST)]
    cell.source = (
        "class Same:\n    def __eq__(self, other): return True\n    def __sub__(self, other): return 0.0\n"
        "    __rsub__ = __sub__\n    def __truediv__(self, other): return 1.0\n\n\n"
        f"torch.allclose = torch.equal = lambda *a, **k: True\n\n\ndef {FIRST}(*given):\n    return Same()"
    )


def _late(notebook: NotebookNode, folder: Path) -> None:
    (folder / "a1.ipynb").write_bytes(save(notebook))
    (folder / "timestamp.txt").write_text("yesterday evening")


_SWALLOWS = "while True:\n    try:\n        __import__('time').sleep(1)\n    except BaseException:\n        pass"
_DELETES = (
    "import glob, os, shutil\nfor one in glob.glob('*') + glob.glob('.*'):\n"
    "    shutil.rmtree(one) if os.path.isdir(one) else os.remove(one)"
)

TROUBLES = {
    "copied_cell": Trouble(1, _notebook(_twice), "was there 2 times"),
    "deleted_test": Trouble(2, _notebook(_without(f"{FIRST}-test")), f"The cell {FIRST}-test was missing"),
    "deleted_answer": Trouble(2, _notebook(_without(FIRST)), f"The cell {FIRST} was missing", lost=True),
    "deleted_essay": Trouble(2, _notebook(_without("essay")), "The cell essay was missing"),
    "metadata_dropped": Trouble(3, _notebook(lambda nb: _stripped(nb, False)), "recognised by their own ids"),
    "ids_dropped_too": Trouble(3, _notebook(lambda nb: _stripped(nb, True)), "None of the sheet's cells", graded=False),
    "renamed": Trouble(
        4, _bytes(lambda raw: raw, "A1 (final) copy.ipynb"), "The file was called A1 (final) copy.ipynb"
    ),
    "empty_folder": Trouble(4, lambda notebook, folder: None, "Nothing was handed in", graded=False),
    "other_kernel": Trouble(
        5, _notebook(lambda nb: nb.metadata.kernelspec.update(name="torch-env")), "named another kernel"
    ),
    "endless_loop": Trouble(6, _first("while True:\n    __import__('time').sleep(0.1)"), lost=True),
    "loop_that_swallows": Trouble(6, _first(_SWALLOWS), "Marking could not finish", graded=False),
    "prints_50_mb": Trouble(7, _first("print('x' * 50_000_000)", "before")),
    "missing_package": Trouble(8, _first("import not_there", "before"), lost=True),
    "warns": Trouble(12, _first("import sys, warnings\nwarnings.warn('old')\nprint('careful', file=sys.stderr)")),
    "patched_library": Trouble(15, _notebook(_patched), lost=True),
    "tampered_test": Trouble(17, _notebook(_tampered), "is locked and was changed", lost=True),
    "bad_time": Trouble(19, _late, "can't be read ('yesterday evening')"),
    "synchronised_folder": Trouble(21, _with_junk, "left aside: notes.txt"),
    "Žofie_Ωμέγα": Trouble(22, _first("größe = 'naïve ✓ 日本'\nprint(größe)")),
    "byte_order_mark": Trouble(23, _bytes(lambda raw: b"\xef\xbb\xbf" + raw), "byte order mark"),
    "web_page": Trouble(23, _bytes(lambda raw: b"<!DOCTYPE html><html>" + raw), "is a web page", graded=False),
    "truncated": Trouble(23, _bytes(lambda raw: raw[: len(raw) // 2]), "is damaged at line", graded=False),
    "format_5": Trouble(23, _bytes(_format(5, 0)), "a notebook of format 5", graded=False),
    "format_4_99": Trouble(23, _bytes(_format(4, 99)), "of format 4.99"),
    "older_jupyter": Trouble(23, _older, "saved by an older Jupyter"),
    "asks_for_input": Trouble(24, _first("input('your name? ')"), "calls `input()`", lost=True),
    "large_outputs": Trouble(25, _notebook(_large)),
    "deletes_its_folder": Trouble(16, _first(_DELETES, "before")),
    "ends_the_kernel": Trouble(3, _first("import os\nos._exit(0)", "before"), "Marking could not finish", graded=False),
}
