"""A figure together with the words that describe it."""

import base64
import io
import re
import textwrap
from pathlib import Path
from typing import Any

from matplotlib import figure as mpl

_TOGETHER = re.compile(r"(?<=\d) (?=[×%])|(?<=×) (?=\d)|(?<=row) (?=\d)|(?<=column) (?=\d)| (?=·)")
"""Spaces at which no line of a caption ends."""


class Figure:
    """A figure and the words that describe it, shown as a PNG with a caption.

    Jupyter draws the PNG; a terminal, a screen reader and a strict notebook test get the words.

    Args:
        figure: a matplotlib figure that belongs to no window.
        words: what it shows; they also stand under it.

    Example:
        >>> figure = heat.show()
        >>> figure.save("where.png")
    """

    def __init__(self, figure: mpl.Figure, words: str):
        self.figure = figure
        self.words = words
        caption = _lines(words, int(figure.get_figwidth() * 13))
        figure.set_figheight(figure.get_figheight() + 0.17 * len(caption))
        figure.supxlabel("\n".join(caption), fontsize=9)
        # Laid out here, until it settles, and not again: left on, the layout would move things at every drawing.
        for _ in range(2):
            figure.draw_without_rendering()
        figure.set_layout_engine("none")

    def png(self) -> bytes:
        """Return the figure as a PNG file's bytes, the same for the same figure."""
        file = io.BytesIO()
        self.figure.savefig(file, format="png", dpi=100, metadata={"Software": None, "Description": self.words})
        return file.getvalue()

    def save(self, path: str | Path) -> None:
        """Write the figure as a PNG file."""
        Path(path).write_bytes(self.png())

    def __repr__(self) -> str:
        return self.words

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        data = {"image/png": base64.b64encode(self.png()).decode(), "text/plain": self.words}
        return data, {"image/png": {"alt": self.words}}


def _lines(words: str, width: int) -> list[str]:
    """Break words into the fewest lines of `width` signs, of even length."""
    lines = []
    for one in _TOGETHER.sub("\N{NO-BREAK SPACE}", words).splitlines():
        fewest, longest = len(textwrap.wrap(one, width)), max(map(len, one.split(" ")))
        widths = range(max(1, min(longest, width)), width + 1)
        lines += textwrap.wrap(one, next(w for w in widths if len(textwrap.wrap(one, w)) == fewest))
    return lines
