"""Drawing figures that say in words what they show. This room knows arrays, boxes and words, and no networks."""

from lessons_lib.show.comparison import compare
from lessons_lib.show.figure import Figure
from lessons_lib.show.figures import maps, overlay, photo, row, signed
from lessons_lib.show.sliders import vary

__all__ = ["Figure", "compare", "maps", "overlay", "photo", "row", "signed", "vary"]
