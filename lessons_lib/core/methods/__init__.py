"""The members of the family, each a `Method`: from what was seen at a layer to one map of H×W for each picture."""

from lessons_lib.core.engine.captured import Captured
from lessons_lib.core.methods.smoothed import Method, augmented, plain_name, principal
from lessons_lib.core.methods.weighted import (
    cam,
    gradcam,
    gradcam_plus_plus,
    hirescam,
    layercam,
    plus_plus_alpha,
    xgradcam,
)
from lessons_lib.core.methods.without_gradients import ablationcam, eigencam, scorecam

__all__ = [
    "METHODS",
    "Captured",
    "Method",
    "ablationcam",
    "augmented",
    "cam",
    "eigencam",
    "gradcam",
    "gradcam_plus_plus",
    "hirescam",
    "layercam",
    "plain_name",
    "plus_plus_alpha",
    "principal",
    "scorecam",
    "xgradcam",
]

METHODS: dict[str, Method] = {
    one.__name__: one
    for one in (cam, gradcam, hirescam, layercam, xgradcam, gradcam_plus_plus, eigencam, ablationcam, scorecam)
}
"""All methods by name, in the order in which the lessons meet them."""
