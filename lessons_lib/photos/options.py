"""The options of a scene, checked before anything is drawn."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lessons_lib.core.engine.names import near
from lessons_lib.core.engine.outputs import said


def known(name: Any, names: Sequence[str], what: str) -> str:
    """Return a name that is one of several.

    Raises:
        ValueError: it is none; the nearest are offered.
        TypeError: it is no name.
    """
    if not isinstance(name, str):
        raise TypeError(f"A {what} is a name, not {said(name)}; there are {', '.join(names)}.")
    if name not in names:
        raise ValueError(f"There is no {what} {name!r}; {near(name, names)}.")
    return name


def several(given: Any, names: Sequence[str], what: str) -> list[str]:
    """Return one name or more as a list."""
    if not isinstance(given, list | tuple):
        one = given if given in names else names[0]
        raise TypeError(f"The {what}s stand in a list, not {said(given)}: `{what}s=[{one!r}]`.")
    if not given:
        raise ValueError(f"No {what} is left to draw from: name at least one of {', '.join(names)}.")
    return [known(one, names, what) for one in given]


def seeds(given: Any) -> None:
    """Refuse what is no seed."""
    parts = list(given) if isinstance(given, list | tuple) else [given]
    if not parts or not all(map(whole, parts)):
        raise TypeError(f"seed={said(given)} is no whole number: give 0 or more, or several of them.")
    if min(parts) < 0:
        raise ValueError(f"seed={given} is negative: give 0 or more.")


def side(given: Any) -> int:
    """Return a scene's side."""
    if not whole(given):
        raise TypeError(f"size={said(given)} is no whole number: give the side of the square in pixels, `size=224`.")
    if given < 64:
        raise ValueError(f"A scene of {given} pixels is too small to show anything: give a size of 64 or more.")
    return int(given)


def counts(given: Any) -> tuple[int, int]:
    """Return how many objects there are, the least and the most."""
    pair = [given, given] if whole(given) else list(given) if isinstance(given, list | tuple) else []
    if len(pair) != 2 or not all(map(whole, pair)):
        raise TypeError(f"count={said(given)} is no number of objects: give one, `count=3`, or (least, most).")
    if not 1 <= pair[0] <= pair[1]:
        raise ValueError(f"count={given} asks for no scene: give 1 or more, or (least, most).")
    return int(pair[0]), int(pair[1])


def number(name: str, given: Any, least: float, most: float, sentence: str) -> float:
    """Return a number within bounds."""
    if not _real(given):
        raise TypeError(f"{name}={said(given)} {sentence}.")
    if not least <= given <= most:
        raise ValueError(f"{name}={given} {sentence}.")
    return float(given)


def span(name: str, given: Any, most: float, sentence: str) -> tuple[float, float]:
    """Return a range above 0, its lower end first."""
    pair = list(given) if isinstance(given, list | tuple) else []
    if len(pair) != 2 or not all(map(_real, pair)):
        raise TypeError(f"{name}={said(given)} {sentence}.")
    if not 0 < pair[0] <= pair[1] <= most or math.isinf(pair[1]):
        raise ValueError(f"{name}={given} {sentence}.")
    return float(pair[0]), float(pair[1])


def whole(given: Any) -> bool:
    """Return whether this is a whole number."""
    return isinstance(given, int | np.integer) and not isinstance(given, bool)


def _real(given: Any) -> bool:
    return isinstance(given, int | float | np.integer | np.floating) and not isinstance(given, bool)
