"""Figures that say in words what they show: drawn from arrays, boxes and words, knowing nothing of networks."""

from lessons_lib.show.figure import Figure
from lessons_lib.show.figures import maps, overlay, photo, row, signed
from lessons_lib.show.sliders import vary

__all__ = ["Figure", "maps", "overlay", "photo", "row", "signed", "vary"]
