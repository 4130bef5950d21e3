"""See where a neural network looks: the library behind the lessons.

Example:
    >>> import lessons_lib as ll
    >>> ll.explain(ll.models.imagenet(), ll.photos.cat(), ll.ClassScore("tiger cat")).show()
"""

from lessons_lib import capture, explorer, fusing, guided, layouts, methods, models, photos, show, targets
from lessons_lib.checks import check
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
from lessons_lib.targets import ClassScore, Difference
from lessons_lib.targets_boxes import BoxEdge, BoxScore, boxes
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
    "boxes",
    "cam",
    "capture",
    "check",
    "eigencam",
    "explain",
    "explorer",
    "fusing",
    "gradcam",
    "gradcam_plus_plus",
    "guided",
    "hirescam",
    "layercam",
    "layouts",
    "methods",
    "models",
    "photos",
    "scorecam",
    "show",
    "targets",
    "xgradcam",
]
