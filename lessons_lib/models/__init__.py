"""Networks ready to be explained: the course's own, two that Google published, and torchvision's at full size."""

from lessons_lib.core.preprocess import Preprocess, Region
from lessons_lib.core.records import Explainable
from lessons_lib.models.embedded import detector, flat_cnn, imagenet, lesson, segmenter, shortcut, swin, vit
from lessons_lib.models.pretrained import full_size
from lessons_lib.models.published import person_segmenter, photo_detector

__all__ = [
    "Explainable",
    "Preprocess",
    "Region",
    "detector",
    "flat_cnn",
    "full_size",
    "imagenet",
    "lesson",
    "person_segmenter",
    "photo_detector",
    "segmenter",
    "shortcut",
    "swin",
    "vit",
]
