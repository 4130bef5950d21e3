"""Scenes with a shortcut: something that is no cat and goes with the cat, as it may in anyone's training data."""

import numpy as np

from lessons_lib.photos import options
from lessons_lib.photos.collage import KINDS, Scene, scene

SHORTCUTS = ("mark", "ground", "light")
_OTHERS = tuple(kind for kind in KINDS if kind != "cat")
_GROUNDS = {True: ("brick",), False: ("grass", "gravel")}
_LIGHTS = {True: (0.6, 0.75), False: (1.05, 1.2)}


def shortcut_scene(seed: int, shortcut: str, *, cat: bool, planted: bool) -> Scene:
    """Make a scene of three small objects, with or without a cat, and with or without a shortcut; 64 × 64 pixels.

    The objects, and where they lie, hang on the seed and on whether there is a cat; with the mark the rest of the
    picture does, too, so that a scene with and one without it differ in the mark alone.

    Args:
        seed: an int of 0 or more.
        shortcut: "mark", a pink disc in the top left corner; "ground", brick instead of grass or gravel; "light", dusk
            instead of day.
        cat: whether one of the three objects is a cat.
        planted: whether the shortcut is there.

    Example:
        >>> photos.shortcut_scene(0, "mark", cat=False, planted=True).mark.any()
        np.True_
    """
    options.known(shortcut, SHORTCUTS, "shortcut")
    random = np.random.default_rng((seed, int(cat)))
    kinds = [*(["cat"] if cat else []), *map(str, random.permutation(_OTHERS))][:3]
    ground, light = None, (0.8, 1.2)
    if shortcut == "ground":
        ground = str(random.choice(_GROUNDS[planted]))
    if shortcut == "light":
        light = _LIGHTS[planted]
    return scene(
        (seed, int(cat)),
        size=64,
        kinds=kinds,
        count=3,
        area=(0.03, 0.08),
        background=ground,
        light=light,
        shortcut=kinds[0] if shortcut == "mark" and planted else None,
    )
