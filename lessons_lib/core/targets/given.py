"""What a person may give as a target, a class, a function or a target, made into one target for each picture."""

from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

import numpy as np
from torch import Tensor

from lessons_lib.core.accepted.values import is_bool
from lessons_lib.core.engine.outputs import said
from lessons_lib.core.records import Explainable
from lessons_lib.core.targets.base import Target
from lessons_lib.core.targets.classes import ClassScore

Asked = Target | int | str | Callable[[Any], Tensor]
"""What can be asked of a picture: a target, a class by its index or name, any function of one picture's output."""


class _Function(Target):
    def __init__(self, function: Callable[[Any], Tensor]):
        self._function = function

    def __call__(self, output: Any) -> Tensor:
        return self._function(output)


def one_each(target: Asked | Sequence[Asked] | None, count: int, model: Explainable) -> list[Target]:
    """Return one target for each of `count` pictures, from one for all, from one each, or from none (the top class).

    Raises:
        ValueError: there are more or fewer targets than pictures.
        TypeError: something given as a target can't be one.
    """
    if isinstance(target, Tensor | np.ndarray) and target.ndim == 1:
        target = target.tolist()
    given: list[Any] = list(target) if isinstance(target, list | tuple) else [target] * count
    if not given:
        raise ValueError("The list of targets is empty: give one or more, or none at all for the top class.")
    if len(given) != count:
        raise ValueError(f"{len(given)} targets for {count} pictures: give one target for all, or one for each.")
    return [as_target(one).on(model) for one in given]


def as_target(given: Any) -> Target:
    """Return what was given as a target; nothing is the class with the highest score, an index or a name its score.

    Raises:
        TypeError: it can't be one.

    Example:
        >>> as_target("tiger cat")
        ClassScore(category='tiger cat')
    """
    if given is None:
        return ClassScore()
    if isinstance(given, Target):
        return given
    if isinstance(given, str) or (hasattr(given, "__index__") and not is_bool(given)):
        return ClassScore(given)
    if isinstance(given, type) and issubclass(given, Target):
        needed: list[str] = [one.name for one in fields(given) if one.default is MISSING] if is_dataclass(given) else []
        raise TypeError(f"{given.__name__} is a kind of target: make one, `ll.{given.__name__}({', '.join(needed)})`.")
    if callable(given):
        return _Function(given)
    raise TypeError(
        f"A target is a class by its index or name, a target such as ll.ClassScore(281), or a function of one "
        f"picture's output, not {said(given)}."
    )
