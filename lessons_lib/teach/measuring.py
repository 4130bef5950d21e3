"""What several experiments measure with: the network, the scenes that lessons use, a peak and a share in words."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.targets import ClassScore
from lessons_lib.metrics.truth import centre_of_peak
from lessons_lib.models.embedded import imagenet
from lessons_lib.photos.collage import Scene, scene

CAT, CUP = ClassScore("Egyptian cat"), ClassScore("espresso")

network = cache(imagenet)


@cache
def categories() -> tuple[str, ...]:
    """Return the names of the classes that the network knows."""
    return tuple(network().categories or ())


def cat_and_cup(seed: int, **options: Any) -> Scene:
    """Return a scene as lessons 02, 04 and 06 make it: a cat and a coffee cup."""
    return scene(seed, kinds=["cat", "coffee cup"], count=2, area=(0.12, 0.2), **options)


def aim(answer: Any) -> ClassScore:
    """Return the class that a learner names.

    Raises:
        ValueError: it is no class; what one looks like is said.
    """
    if not isinstance(answer, str | int) or isinstance(answer, bool):
        raise ValueError('Return a class: its name, as in "tiger cat", or its number.')
    return ClassScore(answer)


def with_objects(answer: Any, name: str | None = None, least: int = 1) -> Scene:
    """Return the scene that a learner gives, if enough objects of that name are in it.

    Raises:
        ValueError: it is no such scene; how to make one is said.
    """
    if not isinstance(answer, Scene):
        raise ValueError("Return a scene, as collage.scene(1) makes it.")
    if sum(item.name == (name or item.name) for item in answer.objects) < least:
        raise ValueError(f'Return a scene with {least} or more objects of the kind "{name}".')
    return answer


def on(scene: Scene, name: str) -> np.ndarray:
    """Return where all objects of that name are seen."""
    return np.any([item.mask for item in scene.objects if item.name == name], axis=0)


def peak_on(heat: Heatmap, mask: np.ndarray) -> bool:
    """Say whether the middle of a map's hottest cell lies on an object."""
    return bool(mask[centre_of_peak(heat)])


def share(heat: Heatmap, mask: np.ndarray) -> str:
    """Return how much of the heat lies on an object, beside its luck, in words."""
    return f"{100 * heat.share_on(mask):.0f} % (evenly spread: {100 * heat.luck_on(mask):.0f} %)"


def a_kind(answer: Any) -> tuple[Scene, str]:
    """Return the scene and the kind that a learner gives, if an object of that kind is in the scene.

    Raises:
        ValueError: it is no such pair; what one looks like is said.
    """
    if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(answer[1], str):
        raise ValueError('Return a scene and a kind, as in (collage.scene(1), "cat").')
    return with_objects(*answer), answer[1]


def told(names: Sequence[str], hits: Sequence[bool], kind: str, shares: Sequence[str]) -> str:
    """Return where maps lie, in words: whether each one's peak is on the object, and which share of its heat."""
    found = (
        f"{name} has its peak {'on' if hit else 'beside'} the {kind}, and {part} of its heat there"
        for name, hit, part in zip(names, hits, shares, strict=True)
    )
    said = "; ".join(found)
    return f"{said[0].upper()}{said[1:]}."
