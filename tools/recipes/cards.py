"""The card beside each stored model: how it was made and what it reached, written by the run and read by the test."""

from collections.abc import Sequence
from dataclasses import dataclass

from lessons_lib.models import weights
from tools.recipes.scores import Figure

_HEADER = ("figure", "reached", "standard error", "what is counted")


@dataclass(frozen=True)
class Promise:
    """A figure that a card gives: its name, value and standard error."""

    name: str
    value: float
    error: float


def write(name: str, made: Sequence[tuple[str, str]], figures: Sequence[Figure], scenes: int, seed: int) -> None:
    """Write the card of the model `name`.

    Args:
        made: how, as pairs of what and its value.
        figures: measured on `scenes` held-out scenes of `seed`, with the stored weights.
    """
    lines = [f"# {name}", "", f"Written by `python -m tools.recipes.train {name}`.", ""]
    lines += _table(("recipe", ""), made)
    lines += ["", f"On {scenes} scenes of seed {seed:,}, never used in training, with the weights as stored:", ""]
    lines += table(figures)
    weights.stored(name).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def rewrite(name: str, figures: Sequence[Figure]) -> None:
    """Put newly measured figures into the card of the model `name`; the rest of it stays."""
    card = weights.stored(name).with_suffix(".md")
    lines = card.read_text(encoding="utf-8").splitlines()
    start = _start(lines, card.name)
    card.write_text("\n".join([*lines[:start], *table(figures)]) + "\n", encoding="utf-8")


def table(figures: Sequence[Figure]) -> list[str]:
    """Return the lines of a Markdown table of figures."""
    return _table(_HEADER, [(f.name, f"{f.value:.4f}", f"{f.error:.4f}", f.definition) for f in figures])


def read(name: str) -> list[Promise]:
    """Return what the card of the model `name` promises.

    Raises:
        ValueError: the card holds no table of figures.
    """
    card = weights.stored(name).with_suffix(".md")
    lines = card.read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines[_start(lines, card.name) + 2 :]]
    return [Promise(cells[0], float(cells[1]), float(cells[2])) for cells in rows]


def _start(lines: list[str], card: str) -> int:
    head = _row(_HEADER)
    if head not in lines:
        raise ValueError(f"The card {card} has no line {head!r}: make the model again, python -m tools.recipes.train.")
    return lines.index(head)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
