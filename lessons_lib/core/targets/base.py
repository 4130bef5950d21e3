"""What a target is: it takes one picture's output and returns the number that is explained."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lessons_lib.core.engine.calling import called
from lessons_lib.core.engine.captured import Rescore
from lessons_lib.core.engine.outputs import kind_of, rows
from lessons_lib.core.records import Explainable

State = Callable[[], AbstractContextManager[Any]]
"""A context that puts a network into the state in which a target is asked for; it may be entered many times."""


class Target:
    """One number of a network's output. Subclass it, or give `explain` any function of one picture's output.

    A target needs `__call__` and, to be said well, `words`. The other hooks are for targets that look names up (`on`),
    choose something by looking at the output (`settled`), ask about a place (`part`), want the network in another
    state (`state`), or are made of others (`terms`).

    Example:
        >>> explain(models.imagenet(), photos.cat(), lambda output: output[281] - output[282])  # tabby, not tiger cat
        Heatmap(score -0.84 · gradcam at bn2 · 7 × 7)
    """

    def __call__(self, output: Any) -> Tensor:
        """Return the number, a tensor with one element that carries gradients."""
        raise NotImplementedError

    def words(self, output: Any, model: Explainable) -> str:
        """Return what is explained and its value, as a caption begins: "tiger cat, probability 0.38"."""
        return f"score {self(output).item():.2f}"

    def on(self, model: Explainable) -> "Target":
        """Return this target with the names that it uses looked up in `model`."""
        return self

    def settled(self, output: Any) -> "Target":
        """Return this target with what it chooses by looking at a picture's output chosen once and for all.

        Methods that run the network again on changed activations must go on asking for the same class.
        """
        return self

    def part(self, network: nn.Module) -> nn.Module:
        """Return the part of `network` in which a layer is looked for when none is named."""
        return network

    def state(self, network: nn.Module, picture: Tensor | None = None) -> State | None:
        """Return what puts `network` into the state in which it is run for this target; None if it runs as it is.

        Args:
            picture: in the first run, None; when a settled target is asked again on changed activations of one
                picture, that picture, 1×…: what the target does not ask for may then be left out.
        """
        return None

    def terms(self) -> Iterator[tuple[int, "Target"]]:
        """Yield the signed targets whose sum this one is; each is asked for in its own state."""
        yield 1, self


class Local(Target):
    """A target that asks about a place: a box, a pixel. What speaks for it is looked for in the network's `backbone`.

    The head behind it turns maps into answers, place by place; a map there would show the answer itself.
    """

    def part(self, network: nn.Module) -> nn.Module:
        backbone = getattr(network, "backbone", None)
        return backbone if isinstance(backbone, nn.Module) else network


@contextmanager
def states(aims: Sequence[Target], network: nn.Module) -> Iterator[None]:
    """Put `network` into the state in which all these targets can be asked of one run."""
    with ExitStack() as entered:
        for aim in aims:
            for _, term in aim.terms():
                if state := term.state(network):
                    entered.enter_context(state())
        yield


def score(target: Target, output: Any) -> Tensor:
    """Return a target's number for one picture's output, without axes.

    Raises:
        TypeError: the target returned no tensor.
        ValueError: it returned more than one number.
    """
    way_out = f"it gets one picture's output, so pick one number of that{_for_example(output)}"
    found = called("The target", target, output, on=kind_of(output), way_out=way_out)
    if isinstance(found, float | int | np.generic):
        raise TypeError(f"The target returned {kind_of(found)}, not a tensor: leave out `.item()` and `float()`.")
    if not isinstance(found, Tensor):
        raise TypeError(f"The target returned {kind_of(found)}, not a tensor: pick one number{_for_example(output)}.")
    if found.numel() != 1:
        raise ValueError(f"The target returned {kind_of(found)}, not one number: pick an element, or take a sum.")
    if found.is_complex():
        raise TypeError("The target returned a complex number: take its `.abs()` or its `.real`.")
    return found.reshape(())


def _for_example(output: Any) -> str:
    if not isinstance(output, Tensor):
        return ""
    return f", for example `lambda output: output{[0] * output.ndim or ''}`"


def asked_again(aims: Sequence[Target], network: nn.Module, inputs: Tensor) -> Rescore:
    """Return how runs on variants of a picture are scored for settled targets, one for each picture.

    The terms of a target that run the network as it is share one run; each other term has a run in its own state.
    """

    @lru_cache(maxsize=1)
    def found(picture: int) -> list[tuple[int, Target, State | None]]:
        shown = inputs[picture : picture + 1]
        return [(sign, term, term.state(network, shown)) for sign, term in aims[picture].terms()]

    def rescore(run: Callable[[], Any], picture: int, count: int) -> Tensor:
        as_it_is = cache(lambda: rows(run(), count))
        parts = []
        for sign, term, state in found(picture):
            if state is None:
                output = as_it_is()
            else:
                with state():
                    output = rows(run(), count)
            parts.append(sign * torch.stack([score(term, row) for row in output]))
        return torch.stack(parts).sum(dim=0)

    return rescore
