"""What tools write into Markdown pages: tables, and blocks between two markers."""

import re
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table.

    Example:
        >>> table(("network", "time"), [("resnet50", "1.09")])
        ['| network | time |', '| --- | --- |', '| resnet50 | 1.09 |']
    """
    return [row(head), row(["---"] * len(head)), *map(row, rows)]


def row(cells: Sequence[str]) -> str:
    """Return one line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def replaced(page: str, name: str, block: str) -> str:
    """Return a page with another block between `<!-- name:begin -->` and `<!-- name:end -->`.

    Raises:
        ValueError: the markers are not there, once each.

    Example:
        >>> replaced("a <!-- x:begin -->old<!-- x:end --> b", "x", "new")
        'a <!-- x:begin -->\\nnew\\n<!-- x:end --> b'
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    parts = re.split(f"{re.escape(begin)}.*?{re.escape(end)}", page, flags=re.DOTALL)
    if len(parts) != 2:
        raise ValueError(f"The page needs {begin} and {end} once each, where the block is to stand.")
    return f"{parts[0]}{begin}\n{block}\n{end}{parts[1]}"
