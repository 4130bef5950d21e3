"""See where a neural network looks: the library behind the lessons.

Example:
    >>> import lessons_lib as ll
    >>> ll.explain(ll.models.imagenet(), ll.photos.cat(), "tiger cat")
    Heatmap(tiger cat, probability 0.39, score 9.24 · gradcam at bn2 · 7 × 7)
"""

from typing import Any

from lessons_lib import baselines, metrics, models, photos, show
from lessons_lib.baselines import attention_relevance, attention_rollout
from lessons_lib.core import methods, targets
from lessons_lib.core.boxes import boxes, runner_up
from lessons_lib.core.engine import capture
from lessons_lib.core.engine.names import near
from lessons_lib.core.engine.places import layouts
from lessons_lib.core.explain import at_layers, explain
from lessons_lib.core.heatmap import Heatmap, fuse
from lessons_lib.core.layers.listing import layers
from lessons_lib.core.methods import (
    ablationcam,
    augmented,
    cam,
    eigencam,
    gradcam,
    gradcam_plus_plus,
    hirescam,
    layercam,
    principal,
    scorecam,
    xgradcam,
)
from lessons_lib.core.preprocess import Preprocess
from lessons_lib.core.records import Box, Explainable, Outlined, Photo
from lessons_lib.core.targets import BoxEdge, BoxScore, ClassScore, Difference, PixelScore, RegionScore, Target
from lessons_lib.photos import collage
from lessons_lib.teach import check
from lessons_lib.teach.explorer.opening import explorer

__all__ = [
    "Box",
    "BoxEdge",
    "BoxScore",
    "ClassScore",
    "Difference",
    "Explainable",
    "Heatmap",
    "Outlined",
    "Photo",
    "PixelScore",
    "Preprocess",
    "RegionScore",
    "Target",
    "ablationcam",
    "at_layers",
    "attention_relevance",
    "attention_rollout",
    "augmented",
    "baselines",
    "boxes",
    "cam",
    "capture",
    "check",
    "collage",
    "eigencam",
    "explain",
    "explorer",
    "fuse",
    "gradcam",
    "gradcam_plus_plus",
    "hirescam",
    "layercam",
    "layers",
    "layouts",
    "methods",
    "metrics",
    "models",
    "photos",
    "principal",
    "runner_up",
    "scorecam",
    "show",
    "targets",
    "xgradcam",
]


def __getattr__(name: str) -> Any:
    """Say what a name that another package uses is called here."""
    plain = name.lower().replace("plusplus", "_plus_plus").replace("pp", "_plus_plus")
    raise AttributeError(f"lessons_lib has no {name!r}; {near(plain, __all__, otherwise='see `dir(lessons_lib)`')}.")
