"""A figure together with the words that describe it."""

import base64
import io
import math
import re
import textwrap
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import figure as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import AxesImage
from matplotlib.text import Text
from PIL import Image

TOGETHER = re.compile(r"(?<=\d) (?=[×%])|(?<=×) (?=\d)|(?<=row) (?=\d)|(?<=column) (?=\d)| (?=·)")
"""Spaces at which no line of a caption ends."""
_SHARP = 200
"""Dots an inch in a notebook, which shows them at half their size, so that a screen with many of them has its fill."""
_FEW = 32
"""Cells to a side of a map up to which a figure is a chart: flat squares with sharp edges, which a PNG keeps."""


class Figure:
    """A figure and the words that describe it.

    Jupyter draws it at twice the pixels that it takes, as a JPEG where it shows a photo or maps of many cells, else as
    a PNG; a terminal, a screen reader and a strict notebook test get the words.

    Args:
        figure: a matplotlib figure that belongs to no window.
        words: what it shows.
        under: what of that stands under it, where the rest stands under each panel; without it, all words.

    Example:
        >>> figure = heat.show()
        >>> figure.save("where.png")
    """

    def __init__(self, figure: mpl.Figure, words: str, under: str | None = None):
        self.figure = figure
        self.words = words
        caption = _lines(words if under is None else under, int(figure.get_figwidth() * 13))
        figure.set_figheight(figure.get_figheight() + 0.17 * len(caption))
        for text in figure.findobj(Text):
            text.set_parse_math(False)  # a dollar in a name is a dollar
        self._caption = figure.supxlabel("\n".join(caption), fontsize=9, parse_math=False)
        # Laid out here, until it settles, and not again: left on, the layout would move things at every drawing. Titles
        # take a second time.
        if (layout := figure.get_layout_engine()) is not None:
            layout.execute(figure)
            if any(ax.get_title() for ax in figure.axes):
                layout.execute(figure)
        figure.set_layout_engine("none")

    def png(self, dpi: int = _SHARP) -> bytes:
        """Return the figure as a PNG file's bytes, `dpi` dots an inch, the same for the same figure."""
        file = io.BytesIO()
        self.figure.savefig(file, format="png", dpi=dpi, metadata={"Software": None, "Description": self.words})
        return file.getvalue()

    def jpeg(self, dpi: int = _SHARP) -> bytes:
        """Return the figure as a JPEG file's bytes: of photographs, a fifth of the PNG's."""
        file = io.BytesIO()
        options = {"quality": 80, "optimize": True, "comment": self.words.encode()}
        self.figure.savefig(file, format="jpeg", dpi=dpi, pil_kwargs=options)
        return file.getvalue()

    def picture(self, *, dpi: int = 100) -> Image.Image:
        """Return the drawing alone, without the words under it, for a page on which they stand as text.

        Args:
            dpi: pixels to the inch.
        """
        caption, before = self._caption, self.figure.dpi
        try:
            self.figure.dpi = dpi
            canvas = FigureCanvasAgg(self.figure)
            hidden = caption.get_window_extent(canvas.get_renderer()).y1
            caption.set_visible(False)
            canvas.draw()
            pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        finally:
            caption.set_visible(True)
            self.figure.dpi = before
        return pixels.crop((0, 0, pixels.width, pixels.height - math.ceil(hidden)))

    def save(self, path: str | Path, *, dpi: int = _SHARP) -> None:
        """Write the figure as a PNG file.

        Args:
            path: the file; what stands there is replaced.
            dpi: dots an inch; 200 unless given, 300 is what is printed.

        Raises:
            TypeError, ValueError: this is no path, or nothing can be written there.
        """
        if not isinstance(path, str | PathLike):
            raise TypeError(f"A figure is saved under a path, `figure.save('where.png')`, not {path!r}.")
        try:
            Path(path).write_bytes(self.png(dpi=dpi))
        except OSError as error:
            raise ValueError(
                f"{str(path)!r} can't be written ({error.strerror}): name a file in a folder that there is, and where "
                "you may write."
            ) from None

    def __repr__(self) -> str:
        return self.words

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        kind, file = self.stored()
        data = {kind: base64.b64encode(file).decode(), "text/plain": self.words}
        return data, {kind: {"alt": self.words, "width": self.width}}

    def stored(self) -> tuple[str, bytes]:
        """Return the MIME type and the bytes of the file that a notebook keeps."""
        drawn = [np.shape(np.asarray(image.get_array())) for image in self.figure.findobj(AxesImage)]
        photographic = any(len(shape) == 3 or min(shape) > _FEW for shape in drawn)
        return ("image/jpeg", self.jpeg()) if photographic else ("image/png", self.png())

    @property
    def width(self) -> int:
        """How wide it is shown, in pixels of a web page."""
        return round(100 * self.figure.get_figwidth())


def _lines(words: str, width: int) -> list[str]:
    """Break words into the fewest lines of `width` signs, of even length."""
    lines = []
    for one in TOGETHER.sub("\N{NO-BREAK SPACE}", words).splitlines():
        fewest, longest = len(textwrap.wrap(one, width)), max(map(len, one.split(" ")))
        widths = range(max(1, min(longest, width)), width + 1)
        lines += textwrap.wrap(one, next(w for w in widths if len(textwrap.wrap(one, w)) == fewest))
    return lines
