"""Opening the explorer, on what is given or on what ships with the course."""

import sys
from typing import Any

from torch import nn

from lessons_lib.core.engine.outputs import said
from lessons_lib.core.inputs import OnePicture
from lessons_lib.core.records import Explainable, Photo
from lessons_lib.teach.explorer.explorer import Explorer
from lessons_lib.teach.explorer.question import Named


def explorer(model: Explainable | nn.Module | None = None, photo: OnePicture | None = None) -> Explorer:
    """Return controls to choose a photo, a network and a question, with the map, its words and its code below them.

    In Jupyter it shows itself. A photo can be uploaded; it goes to the kernel and nowhere else.

    Args:
        model: a network of your own beside those of the course: a record, `Explainable(network, transform=…)`.
        photo: a photo of your own beside those of the course.

    Raises:
        TypeError, ValueError: the model is no network, or one that takes no photo; the sentence says what to give.

    Example:
        >>> explorer()
        tiger cat, probability 0.39 · peak at row 4, column 2 of 7 × 7 · 97 % of the heat on the cat ...
        >>> explorer(models.vit(), scene).heat
        Heatmap(cat, probability 0.99, score 5.20 · gradcam at encoder.layers.encoder_layer_5.ln_1 · 14 × 14)
    """
    if photo is not None and not isinstance(photo, OnePicture):
        raise TypeError(
            f"The explorer takes a photo, not {said(photo)}: open a file with `ll.photos.open(path)`, or take one that "
            "ships, `ll.photos.cat()`."
        )
    network = None if model is None else Named(_called(model, "model"), Explainable.of(model))
    picture = photo if photo is None or isinstance(photo, Photo) else Photo(photo.convert("RGB"))
    return Explorer(network, None if picture is None else Named(_called(photo, "photo"), picture))


def _called(thing: Any, otherwise: str) -> str:
    """Return the name that something has in the notebook, so that code which uses it runs there as pasted."""
    python = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    known = getattr(python, "user_ns", {})
    return next((name for name, one in known.items() if one is thing and name[0] != "_"), otherwise)
