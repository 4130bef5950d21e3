"""Find the library's mutants: each is one function with one small change in it. Draw a sample of them.

What is changed, and how, is mutmut's list of operators. It is applied here to every function, as mutmut itself leaves
out those with a decorator: properties, context managers, what is cached.
"""

import difflib
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
LIBRARY = ROOT / "lessons_lib"

ROOMS = {
    "core": 2,
    "core/engine": 2,
    "core/engine/places": 2,
    "core/targets": 2,
    "core/methods": 1,
    "core/layers": 1,
    "core/accepted": 1,
    "show": 2,
    "photos": 1,
    "metrics": 1,
    "metrics/faithfulness": 1,
    "models": 1,
    "baselines": 1,
    "teach": 1,
    "teach/explorer": 1,
}
"""The rooms that are tried, each a folder without those under it, and how many shares of the sample it gets."""

# mutmut's own: nobody changes what these are given.
_LEFT_ALONE = ("len", "isinstance")


@dataclass(frozen=True)
class Mutant:
    """One change of one function.

    Args:
        room: one of `ROOMS`.
        path: of the module, under lessons_lib.
        function: its dotted name in the module.
        lines: the statement that is changed, from its first line to its last.
        change: what was there, what is there now, and which of several such changes in the function it is.
    """

    room: str
    path: str
    function: str
    lines: tuple[int, int]
    change: tuple[str, str, int]

    def order(self, seed: int) -> str:
        """Return its place in the draw, which no change elsewhere in the library moves."""
        return hashlib.sha256(repr((seed, self.path, self.function, self.change)).encode()).hexdigest()


def drawn(mutants: Iterable[Mutant], count: int, seed: int) -> list[Mutant]:
    """Return a sample: of each room as many as its shares, or all that it has."""
    mutants = sorted(mutants, key=lambda one: one.order(seed))
    shares = sum(ROOMS.values())
    return [
        one
        for room, share in ROOMS.items()
        for one in [mutant for mutant in mutants if mutant.room == room][: round(count * share / shares)]
    ]


def everywhere() -> Iterator[Mutant]:
    """Yield every mutant of every room."""
    for room in ROOMS:
        for path in sorted((LIBRARY / room).glob("*.py")):
            yield from (mutant for mutant, _ in _of(path, room))


def mutated(mutant: Mutant) -> str:
    """Return the module's source with the change made."""
    ((module, old, new),) = (change for one, change in _of(LIBRARY / mutant.path, mutant.room) if one == mutant)
    return str(module.deep_replace(old, new).code)


def difference(mutant: Mutant) -> tuple[str, str]:
    """Return the lines that are no longer there, and those that are there instead."""
    before = (LIBRARY / mutant.path).read_text(encoding="utf-8").splitlines()
    lines = list(difflib.unified_diff(before, mutated(mutant).splitlines(), n=0, lineterm=""))[3:]
    gone, come = ("\n".join(line[1:].strip() for line in lines if line[0] == sign) for sign in "-+")
    return gone, come


@cache
def _of(path: Path, room: str) -> list[tuple[Mutant, tuple[Any, Any, Any]]]:
    """Return each mutant of a module, with the module's tree, what is taken out of it and what is put there."""
    import libcst as cst
    from libcst.metadata import MetadataWrapper, PositionProvider
    from mutmut.mutation.mutators import mutation_operators

    wrapper = MetadataWrapper(cst.parse_module(path.read_text(encoding="utf-8")), unsafe_skip_copy=True)
    places = wrapper.resolve(PositionProvider)
    seen: Counter[tuple[str, str, str]] = Counter()

    def walk(node: Any, scope: tuple[str, ...], inside: bool, statement: Any) -> Iterator[Any]:
        if _skipped(node, cst):
            return
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            scope, inside = (*scope, node.name.value), inside or isinstance(node, cst.FunctionDef)
        if isinstance(node, cst.BaseStatement | cst.BaseSmallStatement):
            statement = node
        if inside:
            for kind, operator in mutation_operators:
                for new in operator(node) if isinstance(node, kind) else ():
                    if _strict(node, cst) and not _strict(new, cst):
                        continue  # the same, as long as there is no bug elsewhere
                    gone, come = (wrapper.module.code_for_node(one).strip() for one in (node, new))
                    key = (".".join(scope), gone, come)
                    place = places[statement]
                    lines = (place.start.line, _last(statement, places, cst))
                    relative = path.relative_to(LIBRARY).as_posix()
                    mutant = Mutant(room, relative, key[0], lines, (gone, come, seen[key]))
                    seen[key] += 1
                    yield mutant, (wrapper.module, node, new)
        for child in node.children:
            yield from walk(child, scope, inside, statement)

    return list(walk(wrapper.module, (), False, wrapper.module))


def _last(statement: Any, places: Any, cst: Any) -> int:
    """Return a statement's last line; of one that heads others, as `if` does, the line before those."""
    body = getattr(statement, "body", None)
    if isinstance(body, cst.IndentedBlock) and not isinstance(statement, cst.FunctionDef):
        return max(int(places[statement].start.line), int(places[body].start.line) - 1)
    return int(places[statement].end.line)


def _strict(node: Any, cst: Any) -> bool:
    """Return whether this is a call with `strict=True`, as `zip` takes it."""
    named = {one.keyword.value: one.value for one in node.args if one.keyword} if isinstance(node, cst.Call) else {}
    return isinstance(named.get("strict"), cst.Name) and named["strict"].value == "True"


def _skipped(node: Any, cst: Any) -> bool:
    """Return whether this is no code that runs when the function is called, as mutmut sees it too."""
    if isinstance(node, cst.Annotation | cst.Decorator | cst.Import | cst.ImportFrom):
        return True
    if isinstance(node, cst.Arg) and node.keyword and node.keyword.value == "strict":
        return True
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Name):
        return node.func.value in _LEFT_ALONE
    if isinstance(node, cst.FunctionDef):
        return any(isinstance(one.decorator, cst.Name) and one.decorator.value == "overload" for one in node.decorators)
    simple = cst.Name | cst.BaseNumber | cst.BaseString
    return isinstance(node, cst.Param) and node.default is not None and not isinstance(node.default, simple)
