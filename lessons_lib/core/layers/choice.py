"""Which of several layers is taken when nobody names one: by what was seen there, and by no name or type."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lessons_lib.core.engine.outputs import paths

LAST = "the last that has a say"
FOLLOWED = "the last that has a say and can be followed"
COARSEST = "the last of the coarsest that have a say"
BEFORE = "the last before the norm that ends the network"

_SPOT = 4
"""A number of an enlarged answer is read from so many cells at most: the four around it."""
_LINEAR = ("Addmm", "Mm", "Linear", "Bmm")
_MOVES = (
    "View",
    "UnsafeView",
    "Reshape",
    "T",
    "Transpose",
    "Permute",
    "Expand",
    "Squeeze",
    "Unsqueeze",
    "Alias",
    "AsStrided",
)
_KEEPS = ("Add", "Mul", "Div", "Sub", "Clone", "ToCopy", "NativeDropout", "Slice", "Select")


@dataclass(frozen=True, eq=False)
class Looked:
    """What was seen at one layer.

    Args:
        maps: N×C×H×W.
        gradient: of the score, the same; zeros where it depends on none of the maps.
        spot: of one number of an answer that is laid out in places; None where the answer is a row of logits.
    """

    maps: Tensor
    gradient: Tensor
    spot: Tensor | None = None

    @property
    def heard(self) -> bool:
        """Whether the score has a gradient other than zero here."""
        return bool(self.gradient.any())

    @property
    def cells(self) -> int:
        """Rows times columns."""
        return self.maps.shape[2:].numel()

    @property
    def answers(self) -> bool:
        """Whether one place of the answer is read from one place here: then these maps show the answer itself."""
        if self.spot is None:
            return False
        reached = int(self.spot.abs().sum(dim=(0, 1)).count_nonzero())
        return 0 < reached <= _SPOT and reached < self.cells


def chosen(looked: Sequence[Looked], somewhere: bool) -> tuple[int, str]:
    """Return the number of the layer that is taken, and why, in words.

    Most networks end in one vector, and the last layer in which the gradient is not zero is taken. There are two
    exceptions. Where a norm of each cell alone and an average end the network, all that the last maps still tell is
    a direction: how strongly a cell speaks is gone, so the maps before the norm are taken. And where a place of the
    answer is asked about (`somewhere`), the last layers show the answer itself; so the last of the coarsest maps are
    taken, the bottleneck, as in Vinogradova et al., "Seg-Grad-CAM", arXiv 2002.11434.

    Args:
        looked: what was seen, in the order in which the layers ran; at least one has a gradient other than zero.
    """
    heard = [index for index, one in enumerate(looked) if one.heard]
    if somewhere:
        apart = [index for index in heard if not looked[index].answers] or heard
        coarsest = min(looked[index].cells for index in apart)
        taken = [index for index in apart if looked[index].cells == coarsest][-1]
        return taken, LAST if taken == heard[-1] else COARSEST
    if _even(looked[heard[-1]].gradient):
        before = next((index for index in reversed(heard) if not _even(looked[index].gradient)), None)
        if before is not None and looked[before].cells == looked[heard[-1]].cells and _cancels(looked[before]):
            return before, BEFORE
    return heard[-1], LAST


def _even(gradient: Tensor) -> bool:
    """Return whether the gradient is the same in every cell, as where an average follows."""
    return bool((gradient - gradient[:, :, :1, :1]).abs().max() <= 1e-4 * gradient.abs().max())


def _cancels(one: Looked) -> bool:
    """Return whether gradient · activation adds up to nothing in every cell.

    So it is, by Euler, where multiplying a cell's channels by one number changes nothing: where each cell is normed.
    """
    products = one.gradient.float() * one.maps.float()
    return bool(products.sum(dim=1).abs().max() <= 1e-2 * products.abs().sum(dim=1).max())


def spot_of(score: Tensor, output: Any) -> Tensor | None:
    """Return that number of a network's output from which a score is read most, if it lies among others in two axes.

    A class's logit at a pixel or at an anchor does, one of a row of logits does not. Of maps it is the one in their
    middle.

    Args:
        score: the sum of all pictures' scores.
        output: of the whole batch.
    """
    made = {one.grad_fn._sequence_nr(): one for _, one in paths(output, "") if one.grad_fn is not None}
    held = [made[number] for number in sorted(made, reverse=True)]
    found = torch.autograd.grad(score, held, retain_graph=True, allow_unused=True) if held else ()
    for one, gradient in zip(held, found, strict=True):
        if gradient is not None:  # of tensors that are made of one another, the last is what the score is read from
            if sum(side > 1 for side in one.shape[1:]) < 2:
                return None
            number = gradient.abs().argmax()
            if one.ndim == 4:  # at the border, and between cells of coarser maps, less is read than elsewhere
                picture, channel = divmod(int(number) // one.shape[2:].numel(), one.shape[1])
                row, column = (min(side // 2 + 1, side - 1) for side in one.shape[2:])
                return one[picture, channel, row, column]
            return one.flatten()[number]
    return None


def projects(given: Sequence[Tensor], emitted: Tensor) -> bool:
    """Return whether a tensor is a linear projection of what a module was given, token by token, and nothing else.

    So are queries, keys and values, whatever wraps the layer that makes them. The recorded operations say it.
    """
    starts = {one.grad_fn for one in given if one.grad_fn is not None}
    waiting, met, linear = [emitted.grad_fn], set(), False
    if not starts or emitted.grad_fn in starts:
        return False
    while waiting:
        step = waiting.pop()
        if step is None or step in starts or step in met:
            continue
        met.add(step)
        name = step.name().rpartition("::")[2].partition("Backward")[0]
        earlier = [one for one, _ in step.next_functions if one is not None]
        linear = linear or name in _LINEAR
        if name == "CopySlices" and len(earlier) > 1:  # something was added to a view, in place
            waiting += earlier
            continue
        if name not in (*_LINEAR, *_MOVES, *_KEEPS) or (name in (*_LINEAR[:-1], "Mul", "Div") and len(earlier) > 1):
            return False
        waiting += earlier
    return linear


def outermost(owners: dict[str, tuple[int, bool]]) -> str | None:
    """Return who emitted a tensor as it was in the end: the outermost that emits it bare, or else in a dict or tuple.

    Args:
        owners: each one's name, how often the tensor had been changed by then, and whether it was wrapped.
    """
    latest = max((version for version, _ in owners.values()), default=0)
    found = [(wrapped, name.count("."), name) for name, (version, wrapped) in owners.items() if version == latest]
    return min(found, key=lambda one: one[:2], default=(False, 0, None))[2]


def shared(names: dict[nn.Module, str], runs: Counter[nn.Module]) -> str | None:
    """Return the outermost part, with layers in it, that ran more than once."""
    found = [name for module, name in names.items() if runs[module] > 1 and any(True for _ in module.children())]
    return min(found, key=lambda name: name.count("."), default=None)
