"""Which number is being explained. A target takes one picture's output and returns that number."""

import operator
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from torch import Tensor, nn

from lessons_lib.models import Explainable
from lessons_lib.outputs import kind_of, logits_of


class Target:
    """One number of a network's output. Subclass it, or give `explain` any function of one picture's output.

    Example:
        >>> explain(model, photo, lambda output: output[281] - output[282])     # tabby rather than tiger cat
    """

    def __call__(self, output: Any) -> Tensor:
        """Return the number, a tensor with one element that carries gradients."""
        raise NotImplementedError

    def on(self, model: Explainable) -> "Target":
        """Return this target with the names that it uses looked up in `model`."""
        return self

    def part(self, network: nn.Module) -> nn.Module:
        """Return the part of `network` in which a layer is looked for when none is named."""
        return network

    def prepared(self, network: nn.Module) -> AbstractContextManager[Any]:
        """Return the state in which `network` runs while this target is asked for; it ends as it began."""
        return nullcontext()

    def again(self, network: nn.Module, picture: Tensor) -> Callable[[int], AbstractContextManager[Any]]:
        """Return, for a number of variants, the state in which `network` runs again on a picture's changed activations.

        It may leave out what this target does not ask for.
        """
        return lambda count: nullcontext()

    def settled(self, output: Any) -> "Target":
        """Return this target with what it chooses by looking at a picture's output chosen once and for all.

        Methods that run the network again on changed activations must go on asking for the same class.
        """
        return self

    def words(self, output: Any, model: Explainable) -> str:
        """Return what is explained and its value, as a caption begins: "tiger cat 0.38"."""
        return f"score {self(output).item():.2f}"


class Local(Target):
    """A target that asks about a place: a box, a pixel. What speaks for it is looked for in the network's `backbone`.

    The head behind it turns maps into answers, place by place; a map there would show the answer itself.
    """

    def part(self, network: nn.Module) -> nn.Module:
        backbone = getattr(network, "backbone", None)
        return backbone if isinstance(backbone, nn.Module) else network


class _Function(Target):
    def __init__(self, function: Callable[[Any], Tensor]):
        self._function = function

    def __call__(self, output: Any) -> Tensor:
        return self._function(output)


@dataclass(frozen=True)
class ClassScore(Target):
    """The logit of one class, before softmax or sigmoid.

    Formula: y^c, "the score for class c (before the softmax)", section 3 of Selvaraju et al., arXiv 1610.02391. The
    logits may lie in a dict or a tuple (`outputs.logits_of`), if that leaves no doubt which row they are.

    Args:
        category: the class, by its index or by its name; `None` is the class with the highest logit.

    Raises:
        ValueError: the name or the index is not one of the model's.
        TypeError: the model's output holds no row of logits.

    Example:
        >>> explain(models.imagenet(), photos.cat(), ClassScore("tiger cat"))
        >>> explain(my_model, batch, ClassScore(281), layer=my_model.layer4)
    """

    category: int | str | None = None

    def __call__(self, output: Any) -> Tensor:
        row = _row(output)
        return row[self._index(row)]

    def on(self, model: Explainable) -> "ClassScore":
        return ClassScore(index_of(self.category, model)) if isinstance(self.category, str) else self

    def settled(self, output: Any) -> "ClassScore":
        return ClassScore(self._index(_row(output)))

    def words(self, output: Any, model: Explainable) -> str:
        row = _row(output)
        index = self._index(row)
        shown = model.probability(row) if model.probability else row
        return f"{name_of(index, model)} {shown[index].item():.2f}"

    def _index(self, row: Tensor) -> int:
        if self.category is None:
            return int(row.argmax())
        if isinstance(self.category, str):
            raise TypeError(f"The class {self.category!r} is a name: look it up first, with `target.on(model)`.")
        index = _whole(self.category)
        if 0 <= index < len(row):
            return index
        if len(row) == 1:
            raise ValueError(
                f"This model gives one logit, so there is no class {index}: take ClassScore(0) for the "
                "positive class, or `lambda output: -output[0]` for the negative one."
            )
        raise ValueError(f"There is no class {index}: this model has {len(row)}, from 0 to {len(row) - 1}.")


@dataclass(frozen=True)
class Difference(Target):
    """One number less another: what speaks for the first rather than for the second.

    Args:
        first, second: targets, or functions of one picture's output.

    Example:
        >>> explain(model, photo, Difference(ClassScore("tabby"), ClassScore("tiger cat")))
    """

    first: Any
    second: Any

    def __call__(self, output: Any) -> Tensor:
        first, second = map(_as_target, (self.first, self.second))
        return first(output) - second(output)

    def on(self, model: Explainable) -> "Difference":
        return Difference(_as_target(self.first).on(model), _as_target(self.second).on(model))

    def part(self, network: nn.Module) -> nn.Module:
        return _as_target(self.first).part(network)

    def prepared(self, network: nn.Module) -> AbstractContextManager[Any]:
        both = ExitStack()
        for one in (self.first, self.second):
            both.enter_context(_as_target(one).prepared(network))
        return both

    def settled(self, output: Any) -> "Difference":
        return Difference(_as_target(self.first).settled(output), _as_target(self.second).settled(output))

    def words(self, output: Any, model: Explainable) -> str:
        return " − ".join(_as_target(one).words(output, model) for one in (self.first, self.second))


def one_each(target: Any, count: int, model: Explainable) -> list[Target]:
    """Return one target for each of `count` pictures, from one for all, from one each, or from none (the top class).

    Raises:
        ValueError: there are more or fewer targets than pictures.
        TypeError: something given as a target can't be one.
    """
    given = list(target) if isinstance(target, list | tuple) else [target] * count
    if not given:
        raise ValueError("The list of targets is empty: give one or more, or none at all for the top class.")
    if len(given) != count:
        raise ValueError(f"{len(given)} targets for {count} pictures: give one target for all, or one for each.")
    return [_as_target(one).on(model) for one in given]


def index_of(category: int | str, model: Explainable) -> int:
    """Return the index of a class that is given by its index or by its name.

    Raises:
        ValueError: the model has no such name, or more than one; the nearest names are offered.
        TypeError: it is neither an index nor a name.
    """
    if not isinstance(category, str):
        return _whole(category)
    if not model.categories:
        raise ValueError(
            f"This model's classes have no names, so {category!r} can't be found: give the class by its index."
        )
    found = [index for index, name in enumerate(model.categories) if name == category]
    if not found:
        near = get_close_matches(category, model.categories, n=3, cutoff=0.4)
        raise ValueError(
            f"There is no class {category!r}; {'near it: ' + ', '.join(near) if near else 'see model.categories'}."
        )
    if len(found) > 1:
        raise ValueError(
            f"Several classes are called {category!r}: give one of the indices {', '.join(map(str, found))}."
        )
    return found[0]


def name_of(index: int, model: Explainable) -> str:
    """Return the name of a class, or "class 7" where the model's classes have no names."""
    return model.categories[index] if index < len(model.categories) else f"class {index}"


def _row(output: Any) -> Tensor:
    row = logits_of(output, axes=1)
    parts = output if isinstance(output, list | tuple) else ()
    if row is None or sum(logits_of(part, axes=1) is not None for part in parts) > 1:  # features and logits, say
        example = "output[1][3]" if parts else "output['scores'][3]"
        raise TypeError(
            f"ClassScore needs one row of logits for each picture, and this model gives {kind_of(output)}: "
            f"give a target that picks the number, for example `lambda output: {example}`."
        )
    return row


def _as_target(given: Any) -> Target:
    if given is None:
        return ClassScore()
    if isinstance(given, Target):
        return given
    if callable(given):
        return _Function(given)
    raise TypeError(
        f"A target is ClassScore(…) or a function of one picture's output, not {given!r}: try ClassScore({given!r})."
    )


def _whole(category: Any) -> int:
    try:
        return operator.index(category)
    except TypeError:
        raise TypeError(f"A class is given by its index or its name, not by {category!r}.") from None
