"""A pytest plugin: nbval compares what cells print as `rounding` does, so that every processor gives one verdict."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

from tools.rounding import difference


class Printed(str):
    """A text that equals every text which differs from it in rounding only."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and difference(self, other) is None

    def __ne__(self, other: object) -> bool:
        return not self == other


class Cell(IPyNbCell):
    """A cell of a notebook, whose texts (streams, results, words of pictures) are compared but for rounding."""

    def sanitize(self, s: Any) -> Any:
        clean = super().sanitize(s)
        return Printed(clean) if isinstance(clean, str) else clean

    def format_output_compare(self, key: str, left: Any, right: Any) -> None:
        if isinstance(left, str) and isinstance(right, str):
            self.comparison_traceback.append(f" beyond rounding, {difference(left, right)}")
            left, right = str(left), str(right)
        super().format_output_compare(key, left, right)


class Notebook(IPyNbFile):
    """A notebook of such cells."""

    def collect(self) -> Iterator[Cell]:
        for cell in super().collect():
            parts = {key: getattr(cell, key) for key in ("name", "cell_num", "cell", "options")}
            yield Cell.from_parent(self, **parts)


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Generator[None, list[Any], list[Any]]:
    """Put our `Notebook` in the place of each that nbval collects."""
    found = yield
    return [Notebook.from_parent(parent, path=file_path) if type(one) is IPyNbFile else one for one in found]
