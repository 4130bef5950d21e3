"""Drawing figures that say in words what they show. This room knows arrays, boxes and words, and no networks."""

from lessons_lib.show.comparison import compare
from lessons_lib.show.figure import Figure
from lessons_lib.show.figures import overlay, photo, row
from lessons_lib.show.sliders import vary
from lessons_lib.show.values import grid, maps, sharp, signed

__all__ = ["Figure", "compare", "grid", "maps", "overlay", "photo", "row", "sharp", "signed", "vary"]
