"""What was seen at one layer during one forward pass, and the gradient of what was asked of it."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from lessons_lib.core.engine.calling import called
from lessons_lib.core.engine.outputs import Emitted, kind_of, like, tensors
from lessons_lib.core.engine.places.layouts import Layout
from lessons_lib.core.engine.places.trace import Followed

CHECKPOINTED = (
    "This network saves memory by running parts of itself again on the way back (gradient checkpointing), and then the "
    "layer's maps are others: switch that off, in timm by `network.set_grad_checkpointing(False)`."
)
SILENT = (
    "The forward pass ran under no_grad or inference_mode when it came to {}, so there is no gradient: remove the "
    "`torch.no_grad()` inside the model's forward."
)

Rescore = Callable[[Callable[[], Any], int, int], Tensor]
"""Scores variants of a picture: takes a function that runs the network on M of them, the picture's number, and M."""


@dataclass(frozen=True, eq=False)
class Emission:
    """What one layer put out in a forward pass: the layer, its name, the tensors, and why no graph was kept, if so."""

    module: nn.Module
    layer: str
    emitted: Emitted
    untracked: str


class Question:
    """The score of each picture in one forward pass, and the scores' gradients at all layers that are looked at.

    The gradients are computed when the first of them is asked for, all in one backward pass.

    Args:
        scores: one for each picture, N.
        rescore: scores the other runs that methods without gradients make.
        emissions: of all layers that are looked at.
    """

    def __init__(self, scores: Tensor, rescore: Rescore | None, emissions: Sequence[Emission]):
        self.scores = scores
        self.rescore = rescore
        self._leaves = [leaf for one in emissions for leaf in tensors(one.emitted)]

    @cached_property
    def gradients(self) -> dict[int, Tensor]:
        """∂Σ scores/∂leaf for every leaf that the scores depend on, by the leaf's id."""
        return self.gradients_to(self._leaves)

    def gradients_to(self, wanted: Sequence[Tensor]) -> dict[int, Tensor]:
        wanted = [one for one in wanted if one.requires_grad]
        if not self.scores.requires_grad or not wanted:
            return {}
        try:
            found = torch.autograd.grad(self.scores.sum(), wanted, retain_graph=True, allow_unused=True)
        except RuntimeError as error:
            if "checkpoint" not in str(error).lower():
                raise
            raise RuntimeError(CHECKPOINTED) from error
        return {id(one): gradient for one, gradient in zip(wanted, found, strict=True) if gradient is not None}


@dataclass(frozen=True, eq=False)
class Captured:
    """What was seen at one layer during one forward pass, and what was asked of it.

    Args:
        network: what ran.
        layout: from what the layer emits to N×C×H×W.
        inputs: what the network was given, N×…
        output: what it returned.
        emission: what the layer put out, as it was, before the layout; each tensor in it a place where gradients end.
        activations: the layer's feature maps A, N×C×H×W, made of that by the layout; as float32 if of half precision,
            in which sums overflow.
        read: how the output was read in the run that was followed, and where that lies.
        head: the linear layer whose output is a part of the network's, with that output; None if there is none.
        question: what was asked, by `scored`; None in a run that is only looked at.
        summed: how a method makes one map of its weighted ones, N×C×H×W; `principal` puts something else in its place.
    """

    network: nn.Module
    layout: Layout
    inputs: Tensor
    output: Any
    emission: Emission
    activations: Tensor
    read: Followed
    head: tuple[nn.Linear, Tensor] | None = None
    question: Question | None = None
    summed: Callable[[Tensor], Tensor] = field(default_factory=lambda: partial(torch.sum, dim=1))

    def scored(self, scores: Tensor, rescore: Rescore | None = None) -> "Captured":
        """Return the same with a question asked: the score of each picture, N, and how other runs are scored.

        Example:
            >>> seen = capture.run(my_model, batch, "layer4")
            >>> seen.scored(seen.output[:, 281]).gradients.shape
            torch.Size([1, 512, 7, 7])
        """
        return replace(self, question=Question(scores, rescore, [self.emission]))

    @property
    def module(self) -> nn.Module:
        """The layer that was looked at."""
        return self.emission.module

    @property
    def layer(self) -> str:
        """Its dotted name."""
        return self.emission.layer

    @property
    def scores(self) -> Tensor:
        """The explained number of each picture, N.

        Raises:
            RuntimeError: nothing was asked.
        """
        return self._asked.scores

    @property
    def rescore(self) -> Rescore:
        """How a run on variants of a picture is scored.

        Raises:
            RuntimeError: nothing was asked, or it can't be asked again.
        """
        if self._asked.rescore is None:
            raise RuntimeError("Nobody said how another run is scored: give `scored` a second argument.")
        return self._asked.rescore

    @cached_property
    def gradients(self) -> Tensor:
        """∂score/∂A, N×C×H×W; computed when first asked for, and only down to the layer.

        Raises:
            RuntimeError: no gradient can reach the layer; the sentence names why.
        """
        leaves = tensors(self.emission.emitted)
        self._check_tracked()
        everywhere = self._asked.gradients
        self._reached([leaf for leaf in leaves if id(leaf) in everywhere])
        found = [everywhere[id(leaf)] if id(leaf) in everywhere else torch.zeros_like(leaf) for leaf in leaves]
        return maps_of(like(self.emission.emitted, found), self.layout)

    @cached_property
    def class_weights(self) -> Tensor:
        """The weights w of the last linear layer that make each score from the pooled maps, N×C.

        They exist when the network goes on from the layer with global average pooling and one linear layer, and the
        score is a weighted sum of the logits (a class score, a difference of two).

        Raises:
            ValueError: the network does not end so, or the score is no such sum.
            RuntimeError: no gradient leads from the score to the logits; the sentence names why.
        """
        pooled = self.activations.mean(dim=(2, 3))
        linear, logits = self.head or (None, None)
        if (
            linear is None
            or logits is None
            or logits.ndim != 2
            or pooled.shape[1] != linear.in_features
            or not _agree(linear(pooled.to(linear.weight.dtype)), logits)
        ):
            raise ValueError(
                f"CAM needs a network that goes from layer {self.layer!r} through global average pooling and "
                "one linear layer to the logits, and this one does not: take `method=ll.gradcam`, which needs no "
                "special ending."
            )
        self._check_tracked()
        (share,) = self._reached(list(self._asked.gradients_to([logits]).values()))
        if not _agree((share * logits).sum(dim=1), self.scores):
            raise ValueError(
                "CAM explains a logit, or a weighted sum of logits, and this target is neither: take "
                "`method=ll.gradcam`."
            )
        return (share @ linear.weight).detach()

    @property
    def _asked(self) -> Question:
        if self.question is None:
            raise RuntimeError("Nothing was asked of this run: `seen.scored(seen.output[:, 281])` asks for a class.")
        return self.question

    def _check_tracked(self) -> None:
        if self.emission.untracked:
            raise RuntimeError(self.emission.untracked.format(f"layer {self.layer!r}"))

    def _reached(self, found: list[Tensor]) -> list[Tensor]:
        if not found:
            raise RuntimeError(
                f"The score does not depend on layer {self.layer!r}: the layer lies on another branch, or the graph is "
                "cut between them (by `detach`, `no_grad`, `argmax`, rounding). Choose another layer or another target."
            )
        return found


def scored(seen: Sequence[Captured], scores: Tensor, rescore: Rescore | None = None) -> list[Captured]:
    """Return what was seen at several layers of one pass with one question asked; one way back answers for them all."""
    question = Question(scores, rescore, [one.emission for one in seen])
    return [replace(one, question=question) for one in seen]


def untracked() -> str:
    """Return the sentence on why autograd keeps no graph at this moment of a forward pass; nothing if it does."""
    if torch.is_grad_enabled():
        return ""
    step = inspect.currentframe()
    while step := step and step.f_back:
        if step.f_globals.get("__name__") == "torch.utils.checkpoint":
            return CHECKPOINTED
    return SILENT


def maps_of(emitted: Emitted, layout: Layout) -> Tensor:
    """Return what a layer puts out, or its gradient, as maps N×C×H×W, without a graph; half precision as float32.

    Raises:
        ValueError, TypeError, RuntimeError: the layout fails, or gives something else.
    """
    held = like(emitted, [one.detach() for one in tensors(emitted)])
    way_out = "give one that makes N × C × H × W of that, or none at all"
    maps = called("The layout", layout, held, on=kind_of(held), way_out=way_out)
    if not isinstance(maps, Tensor) or maps.ndim != 4 or not maps.numel() or not maps.is_floating_point():
        kind = f", {str(maps.dtype).removeprefix('torch.')}" if isinstance(maps, Tensor) else ""
        raise ValueError(
            f"The layout gives {kind_of(maps)}{kind}, not N × C × H × W of numbers: give one that does, such as "
            "`ll.layouts.nchw`, or none at all, so that the run is followed."
        )
    return maps.float() if maps.dtype in (torch.float16, torch.bfloat16) else maps


def _agree(a: Tensor, b: Tensor) -> bool:
    # Values that are not finite agree with themselves: the map they make is told as blank.
    largest = float(b.detach().abs().nan_to_num(0, 0).max())
    return torch.allclose(a, b, rtol=1e-3, atol=1e-3 * largest, equal_nan=True)
