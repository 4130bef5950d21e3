"""See where a neural network looks: the library behind the lessons.

Example:
    >>> import lessons_lib as ll
    >>> ll.explain(ll.models.imagenet(), ll.photos.cat(), ll.ClassScore("tiger cat")).show()
"""

from lessons_lib import capture, detections, explorer, fusing, guided, layouts, methods, models, photos, show, targets
from lessons_lib.candidates import layers
from lessons_lib.checks import check
from lessons_lib.detections import boxes
from lessons_lib.heatmaps import Heatmap, explain
from lessons_lib.methods import (
    ablationcam,
    cam,
    eigencam,
    gradcam,
    gradcam_plus_plus,
    hirescam,
    layercam,
    scorecam,
    xgradcam,
)
from lessons_lib.rollout import attention_rollout
from lessons_lib.targets import ClassScore, Difference
from lessons_lib.targets_boxes import BoxEdge, BoxScore
from lessons_lib.targets_pixels import PixelScore, RegionScore

__all__ = [
    "BoxEdge",
    "BoxScore",
    "ClassScore",
    "Difference",
    "Heatmap",
    "PixelScore",
    "RegionScore",
    "ablationcam",
    "attention_rollout",
    "boxes",
    "cam",
    "capture",
    "check",
    "detections",
    "eigencam",
    "explain",
    "explorer",
    "fusing",
    "gradcam",
    "gradcam_plus_plus",
    "guided",
    "hirescam",
    "layercam",
    "layers",
    "layouts",
    "methods",
    "models",
    "photos",
    "scorecam",
    "show",
    "targets",
    "xgradcam",
]
