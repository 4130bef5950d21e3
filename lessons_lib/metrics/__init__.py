"""Scoring a map: against the truth of a scene, and averaged over many scenes."""

from lessons_lib.metrics.classes import class_maps, copy_maps, reached
from lessons_lib.metrics.tables import box_maps, deepest, quiet, region_maps, stored, sweep
from lessons_lib.metrics.truth import centre_of_peak, matches, moved, on_truth

__all__ = [
    "box_maps",
    "centre_of_peak",
    "class_maps",
    "copy_maps",
    "deepest",
    "matches",
    "moved",
    "on_truth",
    "quiet",
    "reached",
    "region_maps",
    "stored",
    "sweep",
]
