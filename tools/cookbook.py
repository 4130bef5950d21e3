"""Write each recipe of the cookbook into a file of its own: python -m tools.cookbook

A recipe is the cells of notebooks/cookbook.ipynb that carry the tag `recipe` and an id that begins with its name: code
cells, or a Markdown cell with one fence where a recipe needs a package that the page has not. Its head is the Markdown
cell NAME-head, and the cell with the tag `library` says the same with lessons_lib.
"""

import ast
import json
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "notebooks" / "cookbook.ipynb"
FOLDER = ROOT / "cookbook"

_FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True)
class Recipe:
    """One recipe: its name, what stands above it, its code, and the library's line; `here` if the page runs it."""

    name: str
    head: str
    code: str
    library: str
    here: bool

    @property
    def title(self) -> str:
        return self.head.partition("\n")[0].removeprefix("### ")

    @property
    def file(self) -> str:
        """The recipe as a file: why, then the code."""
        _, task, when, *_ = self.head.split("\n\n")
        task = task.partition("*")[2].partition("*")[0]
        why = textwrap.fill(_plain(when), 120)
        note = "Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb."
        return f'"""{self.title}: {task[0].lower()}{task[1:]}.\n\n{why}\n\n{note}\n"""\n\n{self.code}'


def recipes(notebook: Path = NOTEBOOK) -> dict[str, Recipe]:
    """Return the recipes of the notebook in their order, by name.

    Raises:
        ValueError: a recipe has no head, or one cell holds no code.
    """
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    heads = {cell["id"].removesuffix("-head"): _text(cell) for cell in cells if cell["id"].endswith("-head")}
    code: dict[str, list[str]] = {}
    library: dict[str, str] = {}
    here = {}
    for cell in cells:
        tags = cell["metadata"].get("tags", [])
        if "recipe" in tags:
            name = re.sub(r"-\d+$", "", cell["id"])  # the second cell of a recipe is NAME-2
            code.setdefault(name, []).append(_code(cell))
            here[name] = cell["cell_type"] == "code"
        elif "library" in tags:
            library[cell["id"].removesuffix("-library")] = _code(cell)
    if lost := sorted({*code, *library} - {*heads} | {*library} - {*code}):
        raise ValueError(f"The cells of {', '.join(lost)} are not all there: a recipe is NAME-head and NAME.")
    return {
        name: Recipe(name, heads[name], _joined(parts), library.get(name, ""), here[name])
        for name, parts in code.items()
    }


def cells_of(notebook: Path = NOTEBOOK) -> dict[str, str]:
    """Return the text of the notebook's cells, by id."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return {cell["id"]: _text(cell) for cell in cells}


def main() -> None:
    """Write the files, and delete those whose recipe is gone."""
    FOLDER.mkdir(exist_ok=True)
    found = recipes()
    for path in FOLDER.glob("*.py"):
        if path.stem not in found:
            path.unlink()
    for name, recipe in found.items():
        (FOLDER / f"{name}.py").write_text(recipe.file, encoding="utf-8")
    print(f"{len(found)} recipes in {FOLDER.relative_to(ROOT)}/")


def _joined(parts: list[str]) -> str:
    """Return cells as one file, with two empty lines around a definition as ruff wants them."""
    whole = parts[0]
    for part in parts[1:]:
        ends = (ast.parse(whole).body[-1], ast.parse(part).body[0])
        around = any(isinstance(one, ast.FunctionDef | ast.ClassDef) for one in ends)
        whole += ("\n\n" if around else "\n") + part
    return whole


def _text(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def _code(cell: dict[str, Any]) -> str:
    text = _text(cell)
    if cell["cell_type"] == "code":
        return f"{text}\n"
    fences = _FENCE.findall(text)
    if len(fences) != 1:
        raise ValueError(f"The cell {cell['id']} holds {len(fences)} fences of Python: give it one.")
    return str(fences[0])


def _plain(text: str) -> str:
    """Return a paragraph of Markdown as plain words."""
    return _LINK.sub(r"\1", text).replace("**", "").replace("*", "").replace("\n", " ")


if __name__ == "__main__":
    main()
