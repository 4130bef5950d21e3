"""Scoring a map: against the truth of a scene, against the network, against its own changes; over many scenes."""

from lessons_lib.metrics.certainty import Sure, sure
from lessons_lib.metrics.classes import class_maps, copy_maps, reached
from lessons_lib.metrics.faithfulness import (
    Curve,
    blurred,
    deletion,
    drop,
    imputed,
    increase,
    insertion,
    road,
    shuffled,
)
from lessons_lib.metrics.likeness import Alike, alike
from lessons_lib.metrics.sanity import class_swap, input_swap, randomised, stability
from lessons_lib.metrics.side_by_side import Question, faithful, localised, sane
from lessons_lib.metrics.tables import box_maps, by_kind, deepest, quiet, region_maps, stored, sweep
from lessons_lib.metrics.truth import Share, centre_of_peak, iou, matches, moved, on_truth, pointing_game, share

__all__ = [
    "Alike",
    "Curve",
    "Question",
    "Share",
    "Sure",
    "alike",
    "blurred",
    "box_maps",
    "by_kind",
    "centre_of_peak",
    "class_maps",
    "class_swap",
    "copy_maps",
    "deepest",
    "deletion",
    "drop",
    "faithful",
    "imputed",
    "increase",
    "input_swap",
    "insertion",
    "iou",
    "localised",
    "matches",
    "moved",
    "on_truth",
    "pointing_game",
    "quiet",
    "randomised",
    "reached",
    "region_maps",
    "road",
    "sane",
    "share",
    "shuffled",
    "stability",
    "stored",
    "sure",
    "sweep",
]
