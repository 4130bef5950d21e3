"""Scoring a map by the network alone: does its answer change when what the map calls important goes?"""

from lessons_lib.metrics.faithfulness.confidence import drop, increase
from lessons_lib.metrics.faithfulness.curves import Curve, blurred, deletion, insertion, road, shuffled
from lessons_lib.metrics.faithfulness.imputing import imputed

__all__ = ["Curve", "blurred", "deletion", "drop", "imputed", "increase", "insertion", "road", "shuffled"]
