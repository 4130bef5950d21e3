"""Targets: which number is explained, a class's, a box's, a pixel's, or a difference of two."""

from lessons_lib.core.targets.base import Local, Target
from lessons_lib.core.targets.boxes import BoxEdge, BoxScore
from lessons_lib.core.targets.classes import ClassScore
from lessons_lib.core.targets.difference import Difference
from lessons_lib.core.targets.pixels import PixelScore, RegionScore

__all__ = ["BoxEdge", "BoxScore", "ClassScore", "Difference", "Local", "PixelScore", "RegionScore", "Target"]
