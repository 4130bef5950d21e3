"""What came of the mutants: the score of each room, the survivors, and the table for CONTRIBUTING.md."""

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tools.mutation.mutants import ROOMS, Mutant
from tools.pages import replaced, table

EQUIVALENT = Path(__file__).with_name("equivalent.toml")


class Tried(NamedTuple):
    """A mutant, the lines that it took away and put there, and the test that noticed; none if it survived."""

    mutant: Mutant
    gone: str
    come: str
    noticed: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is known by in the list of the equivalent ones."""
        return self.mutant.path, self.gone, self.come


def equivalent() -> dict[tuple[str, str, str], str]:
    """Return the mutants that nobody could notice, each with the reason why."""
    listed = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))["mutant"]
    return {(one["path"], one["gone"].strip(), one["come"].strip()): one["why"] for one in listed}


def survivors(tried: Iterable[Tried], known: Iterable[tuple[str, str, str]]) -> list[str]:
    """Return a line for each mutant that no test noticed and that is not known to be equivalent."""
    known = set(known)
    return [
        f"lessons_lib/{one.mutant.path}:{one.mutant.lines[0]}: {one.gone}  →  {one.come}"
        for one in tried
        if not one.noticed and one.key not in known
    ]


def scores(tried: Sequence[Tried], known: Iterable[tuple[str, str, str]]) -> list[str]:
    """Return the lines of a table with a row for each room: its mutants, and the share of them that was killed.

    Those that are known to be equivalent are left out of the share, as there is nothing to notice.
    """
    known = set(known)
    rows = []
    for room in [*ROOMS, "all"]:
        here = [one for one in tried if room in (one.mutant.room, "all")]
        killed = sum(bool(one.noticed) for one in here)
        same = sum(not one.noticed and one.key in known for one in here)
        counts = len(here), killed, len(here) - killed - same, same
        # Rounded down, so that 100 % says that none survived.
        share = f"{100 * killed // (len(here) - same)} %" if len(here) > same else "–"
        rows.append([room, *map(str, counts), share])
    return table(("room", "mutants", "killed", "survived", "equivalent", "score"), rows)


def page(text: str, tried: Sequence[Tried], seed: int, count: int, known: Iterable[tuple[str, str, str]]) -> str:
    """Return CONTRIBUTING.md with the table of these mutants, and under it the command that made it."""
    command = f"`make mutation SEED={seed} COUNT={count}`"
    return replaced(text, "mutation", "\n".join([*scores(tried, known), "", f"Measured by {command}."]))
