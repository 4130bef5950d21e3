"""The card beside each stored model: how it was made and what it reached, written by the run and read by the test."""

from collections.abc import Sequence
from dataclasses import dataclass

from lessons_lib.models import weights
from tools import pages
from tools.recipes.scores import Score

_HEADER = ("score", "reached", "standard error", "what is counted")


@dataclass(frozen=True)
class Promise:
    """A score that a card gives: its name, value and standard error."""

    name: str
    value: float
    error: float


def write(name: str, made: Sequence[tuple[str, str]], measured: Sequence[Score], scenes: int, seed: int) -> None:
    """Write the card of the model `name`.

    Args:
        name: of the model.
        made: how it was made, as pairs of what and its value.
        measured: its scores on the held-out scenes, with the stored weights.
        scenes: how many these are.
        seed: what they were made from.
    """
    lines = [f"# {name}", "", f"Written by `python -m tools.recipes.train {name}`.", ""]
    lines += pages.table(("recipe", ""), made)
    lines += ["", f"On {scenes} scenes of seed {seed:,}, never used in training, with the weights as stored:", ""]
    lines += table(measured)
    weights.path_of(name).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def rewrite(name: str, measured: Sequence[Score]) -> None:
    """Put newly measured scores into the card of the model `name`; the rest of it stays."""
    card = weights.path_of(name).with_suffix(".md")
    lines = card.read_text(encoding="utf-8").splitlines()
    start = _start(lines, card.name)
    card.write_text("\n".join([*lines[:start], *table(measured)]) + "\n", encoding="utf-8")


def table(measured: Sequence[Score]) -> list[str]:
    """Return the lines of a Markdown table of scores."""
    return pages.table(_HEADER, [(s.name, f"{s.value:.4f}", f"{s.error:.4f}", s.definition) for s in measured])


def read(name: str) -> list[Promise]:
    """Return what the card of the model `name` promises.

    Raises:
        ValueError: the card holds no table of scores.
    """
    card = weights.path_of(name).with_suffix(".md")
    lines = card.read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines[_start(lines, card.name) + 2 :]]
    return [Promise(cells[0], float(cells[1]), float(cells[2])) for cells in rows]


def _start(lines: list[str], card: str) -> int:
    head = pages.row(_HEADER)
    if head not in lines:
        raise ValueError(f"The card {card} has no line {head!r}: make the model again, python -m tools.recipes.train.")
    return lines.index(head)
