"""Mutation testing: which mutants are drawn, how a change gets into what is imported, and what the table counts."""

import importlib
import random
import sys
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from lessons_lib.photos import shipped
from tools.mutation import trial
from tools.mutation.code import alive, put
from tools.mutation.mutants import LIBRARY, ROOMS, Mutant, drawn
from tools.mutation.scores import Tried, equivalent, page, scores, survivors
from tools.mutation.trial import Trace

pytestmark = pytest.mark.slow


def mutant(room: str, number: int = 0, lines: tuple[int, int] = (3, 3)) -> Mutant:
    return Mutant(room, f"{room}/some.py", "function", lines, ("==", "!=", number))


MANY = [mutant(room, number) for room in ROOMS for number in range(60)]


def test_of_each_room_as_many_are_drawn_as_its_shares() -> None:
    rooms = [one.room for one in drawn(MANY, 10 * sum(ROOMS.values()), seed=1)]
    assert {room: rooms.count(room) for room in ROOMS} == {room: 10 * share for room, share in ROOMS.items()}


def test_a_seed_draws_the_same_again_and_another_seed_others() -> None:
    shuffled = random.Random(0).sample(MANY, len(MANY))
    assert drawn(MANY, 60, seed=1) == drawn(shuffled, 60, seed=1)
    assert len({*drawn(MANY, 60, seed=1)} & {*drawn(MANY, 60, seed=2)}) < 30


def test_a_change_elsewhere_moves_no_mutant_into_or_out_of_the_sample() -> None:
    before, left_out = drawn(MANY, 120, seed=1), random.Random(0).sample(MANY, 100)
    after = drawn([one for one in MANY if one not in left_out], 120, seed=1)
    assert [one for one in before if one not in left_out] == [one for one in after if one in before]


SOURCE = """\
from contextlib import contextmanager
from functools import cache

kept = []

def plain(x, y=2, *, z=3):
    return x + y * z

@cache
def once(x):
    return [inner(x) for inner in [lambda x: x + 1]]

@contextmanager
def within():
    kept.append("in")
    yield
    kept.append("out")

class Thing:
    @property
    def size(self):
        return 5

    def __init__(self):
        self.made = 6
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "to_be_changed.py").write_text(SOURCE)
    monkeypatch.delitem(sys.modules, "to_be_changed", raising=False)
    return importlib.import_module("to_be_changed")


@pytest.mark.parametrize(
    ("gone", "come", "function", "asked", "expected"),
    [
        ("x + y", "x - y", "plain", "plain(1)", -5),
        ("y=2", "y=4", "plain", "plain(1)", 13),
        ("z=3", "z=4", "plain", "plain(1)", 9),
        ("x + 1", "x + 2", "once", "once(1)", [3]),
        ('"out"', "None", "within", "[*within().gen] and kept.pop()", None),
        ("return 5", "return 7", "Thing.size", "Thing().size", 7),
        ("made = 6", "made = 7", "Thing.__init__", "Thing().made", 7),
    ],
)
def test_a_change_reaches_what_was_imported_before(
    gone: str, come: str, function: str, asked: str, expected: object, module: ModuleType
) -> None:
    held = {name: vars(module)[name] for name in ("plain", "once", "within", "Thing", "kept")}
    before = eval(asked, held)
    module.once.cache_clear()
    put(SOURCE, SOURCE.replace(gone, come), function, alive())
    assert eval(asked, held) == expected != before


def test_a_change_that_reaches_nothing_is_no_mutant(module: ModuleType) -> None:
    with pytest.raises(LookupError, match="No function of elsewhere is changed"):
        put("def elsewhere():\n    return 1\n", "def elsewhere():\n    return 2\n", "elsewhere", alive())


def test_the_tests_that_run_the_line_are_chosen_and_the_quickest_comes_first() -> None:
    seconds = {"slow": 3.0, "quick": 1.0, "elsewhere": 0.1}
    lines = {"2": ["elsewhere"], "3": ["slow", ""], "4": ["slow", "quick"], "5": ["elsewhere"]}
    trace = Trace(seconds, {"core/some.py": lines, "show/some.py": {"3": ["elsewhere"]}})
    assert trace.chosen(mutant("core", lines=(3, 4))) == ["quick", "slow"]
    assert trace.chosen(mutant("photos")) == []


def test_a_mutant_meets_nothing_that_was_kept_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    once = cache(lambda: made.append(1))
    once()
    monkeypatch.setattr(trial, "mutated", lambda mutant: "")
    monkeypatch.setattr(trial, "put", lambda *_: once())
    real = Mutant("core", "core/boxes.py", "function", (3, 3), ("==", "!=", 0))
    assert trial._attempt(Any, real, [], [once], [], {}, made.append)
    once()
    assert made == [1, 1]
    # The photographs, which modules of tests load while they are imported, are kept like that.
    assert shipped._cut_out in trial._caches(SimpleNamespace(items=[]))  # type: ignore[arg-type]


TRIED = [
    Tried(mutant("core", 0), "a", "b", "tests/test_a.py::test_b"),
    Tried(mutant("core", 1), "c", "d", "tests/test_a.py::test_c"),
    Tried(mutant("core", 2), "e", "f", ""),
    Tried(mutant("core", 3), "g", "h", ""),
    Tried(mutant("show", 4), "e", "f", ""),
    Tried(mutant("show", 5), "i", "j", "tests/test_a.py::test_b"),
]
KNOWN = [("core/some.py", "g", "h"), ("show/some.py", "i", "j")]


def test_the_table_counts_by_room_and_leaves_the_equivalent_out_of_the_share() -> None:
    _, _, *rows = scores(TRIED, KNOWN)
    assert rows[0] == "| core | 4 | 2 | 1 | 1 | 66 % |"
    assert rows[list(ROOMS).index("show")] == "| show | 2 | 1 | 1 | 0 | 50 % |"
    assert rows[list(ROOMS).index("photos")] == "| photos | 0 | 0 | 0 | 0 | – |"
    assert rows[-1] == "| all | 6 | 3 | 2 | 1 | 60 % |"
    assert len(rows) == len(ROOMS) + 1


def test_a_survivor_is_told_with_its_place_and_what_is_known_to_be_equivalent_is_not() -> None:
    assert survivors(TRIED, KNOWN) == [
        "lessons_lib/core/some.py:3: e  →  f",
        "lessons_lib/show/some.py:3: e  →  f",
    ]


def test_the_page_says_which_command_makes_its_table_again() -> None:
    text = page("a\n<!-- mutation:begin -->\nold\n<!-- mutation:end -->\nb", TRIED, 2, 100, KNOWN)
    assert "old" not in text and text.startswith("a\n") and text.endswith("\nb")
    assert "| all | 6 |" in text and "`make mutation SEED=2 COUNT=100`" in text


def test_each_equivalent_mutant_is_one_of_the_code_that_stands_and_has_its_reason() -> None:
    for (path, gone, come), why in equivalent().items():
        lines = [line.strip() for line in (LIBRARY / path).read_text(encoding="utf-8").splitlines()]
        assert set(gone.splitlines()) <= set(lines), f"{path} has no line {gone!r}"
        assert come != gone and len(why.split()) > 4
