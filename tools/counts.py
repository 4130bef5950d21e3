"""How many forms of answers tests hold the exercises to, for README.md: python -m tools.counts"""

import pkgutil
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from lessons_lib.teach import exercises
from lessons_lib.teach.checks import exercise
from lessons_lib.teach.exercise import Exercise
from tools.classroom.sheets import SHEETS
from tools.pages import replaced, table

README = Path(__file__).parents[1] / "README.md"


def counted(asked: Sequence[Exercise]) -> list[str]:
    """Return of these exercises: how many, right forms beside the solutions, known mistakes, wrong forms."""
    mistakes = [one for exercise in asked for one in exercise.mistakes.values()]
    forms = sum(len(one) if isinstance(one, Sequence) else 1 for one in mistakes)
    return [str(n) for n in (len(asked), sum(len(one.also_right) for one in asked), len(mistakes), forms)]


def block() -> str:
    """Return the table for README.md."""
    modules = [module.name for module in pkgutil.iter_modules(exercises.__path__)]
    names = [f"{name}.{one}" for name in modules for one in import_module(f"{exercises.__name__}.{name}").EXERCISES]
    found = [one for one in map(exercise, names) if isinstance(one, Exercise)]
    rows = [("lessons", *counted(found))]
    rows += [
        (f"sheet {name.upper()}", *counted([one.asked for one in sheet.questions])) for name, sheet in SHEETS.items()
    ]
    head = (
        "exercises of",
        "solutions, accepted",
        "other right forms, accepted",
        "known mistakes",
        "wrong forms, rejected",
    )
    return "\n".join(table(head, rows))


if __name__ == "__main__":
    README.write_text(replaced(README.read_text(encoding="utf-8"), "exercises", block()), encoding="utf-8")
