"""Getting activations and gradients out of a running network, and leaving the network as it was found."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lessons_lib import leaves
from lessons_lib.layouts import Layout, recognised

Layer = str | nn.Module


class Captured:
    """What was seen at one layer during one forward pass.

    Attributes:
        network, module, layer: what ran, the layer in it, the layer's name.
        layout: from what the layer emits to N×C×H×W.
        inputs: what the network was given, N×…
        output: what it returned.
        emitted: what the layer put out, as it was, before the layout; each tensor in it a leaf of the graph.
        activations: the layer's feature maps A, N×C×H×W.
        scores: the explained number of each picture, N; set by whoever chose the targets.
        score: the same for another run, as methods without gradients make them: from the network's output for M
            variants of a picture, the picture's number and M, to M numbers; set by whoever chose the targets.
        again: from a picture's number and M to the state in which such a run on changed activations takes place; may be
            set by whoever chose the targets.
    """

    scores: Tensor
    score: Callable[[Any, int, int], Tensor]
    again: Callable[[int], Callable[[int], AbstractContextManager[Any]]]

    def __init__(
        self,
        network: nn.Module,
        module: nn.Module,
        layer: str,
        layout: Layout,
        inputs: Tensor,
        emitted: leaves.Emitted,
        output: Any,
        head: tuple[nn.Linear, Tensor] | None,
        tracked: bool,
    ):
        self.network = network
        self.module = module
        self.layer = layer
        self.layout = layout
        self.inputs = inputs
        self.emitted = emitted
        self.output = output
        self.again = lambda picture: lambda count: nullcontext()
        self.activations = layout(leaves.like(emitted, [leaf.detach() for leaf in leaves.tensors(emitted)]))
        self._head = head
        self._tracked = tracked

    @cached_property
    def gradients(self) -> Tensor:
        """∂score/∂A, N×C×H×W; computed when first asked for, and only down to the layer.

        Raises:
            RuntimeError: no gradient can reach the layer; the sentence names why.
        """
        found = self._gradients_to(leaves.tensors(self.emitted))
        return self.layout(leaves.like(self.emitted, found))

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
        linear, logits = self._head or (None, None)
        if (
            linear is None
            or logits is None
            or logits.ndim != 2
            or pooled.shape[1] != linear.in_features
            or not _agree(linear(pooled), logits)
        ):
            raise ValueError(
                f"CAM needs a network that goes from layer {self.layer!r} through global average pooling and "
                "one linear layer to the logits, and this one does not: take `gradcam`, which needs no special ending."
            )
        (share,) = self._gradients_to([logits])
        if not _agree((share * logits).sum(dim=1), self.scores):
            raise ValueError(
                "CAM explains a logit, or a weighted sum of logits, and this target is neither: take `method=gradcam`."
            )
        return (share @ linear.weight).detach()

    def _gradients_to(self, wanted: list[Tensor]) -> list[Tensor]:
        if not self._tracked:
            raise RuntimeError(
                f"The forward pass ran under no_grad or inference_mode when it came to layer {self.layer!r}, so "
                "there is no gradient: remove the `torch.no_grad()` inside the model's forward."
            )
        tracked = [one for one in wanted if one.requires_grad]
        found: dict[int, Tensor] = {}
        if self.scores.requires_grad and tracked:
            try:
                gradients = torch.autograd.grad(self.scores.sum(), tracked, retain_graph=True, allow_unused=True)
            except RuntimeError as error:
                if "checkpoint" not in str(error).lower():
                    raise
                raise RuntimeError(
                    "This network saves memory by running parts of itself again on the way back (gradient "
                    "checkpointing), and then the layer's maps are others: switch that off, in timm by "
                    "`network.set_grad_checkpointing(False)`."
                ) from error
            found = {id(one): g for one, g in zip(tracked, gradients, strict=True) if g is not None}
        if not found:
            raise RuntimeError(
                f"The score does not depend on layer {self.layer!r}: the layer lies on another branch, or the graph is "
                "cut between them (by `detach`, `no_grad`, `argmax`, rounding). Choose another layer or another target."
            )
        return [found[id(one)] if id(one) in found else torch.zeros_like(one) for one in wanted]


def _agree(a: Tensor, b: Tensor) -> bool:
    # Values that are not finite agree with themselves: the map they make is told as blank.
    largest = float(b.detach().abs().nan_to_num(0, 0).max())
    return torch.allclose(a, b, rtol=1e-3, atol=1e-3 * largest, equal_nan=True)


def run(network: nn.Module, inputs: Tensor, layer: Layer, layout: Layout | None = None) -> Captured:
    """Run `network` once on `inputs` and keep what `layer` emits, as the place where the gradient starts.

    The layer's output is replaced by a fresh leaf of the graph, and no parameter asks for a gradient, so that nothing
    below the layer is recorded or differentiated: the cost is one forward pass and what lies above the layer.
    The network runs in eval mode; hooks, modes, `requires_grad` flags and `.grad` fields are afterwards as they were.

    Args:
        network: any network; parameters are not changed.
        inputs: a batch, N×…
        layer: a module of the network or its dotted name.
        layout: from what the layer emits to N×C×H×W; None tells it by what is emitted.

    Raises:
        ValueError: the layer is not in the network, did not run, or ran more than once; or it emits no picture.
        TypeError: the layer emits no tensor, dict, list or tuple of tensors, or is itself neither a module nor a name.
        RuntimeError: the weights were created under inference_mode.

    Example:
        >>> seen = run(resnet, batch, "layer4")
        >>> seen.scores = seen.output[:, 281]
        >>> seen.gradients.shape
        torch.Size([1, 2048, 7, 7])
    """
    module, name = find(network, layer)
    if any(parameter.is_inference() for parameter in network.parameters()):
        raise RuntimeError(
            f"The weights of this {type(network).__name__} were created under inference_mode, so no gradient passes "
            "through them: build the model outside `torch.inference_mode()`."
        )
    kept: list[leaves.Emitted] = []
    tracked: list[bool] = []
    linears: list[tuple[nn.Linear, Tensor]] = []
    size: list[int] = []

    def branch_off(_module: nn.Module, _inputs: Any, emitted: Any) -> leaves.Emitted:
        if not (found := leaves.tensors(emitted)):
            raise TypeError(f"Layer {name!r} emits a {type(emitted).__name__}, not a tensor: choose a layer inside it.")
        own = [one.detach().requires_grad_(one.is_floating_point()) for one in found]
        kept.append(leaves.like(emitted, own))
        tracked.append(torch.is_grad_enabled())
        # A copy goes on, so that an in-place ReLU behind the layer neither fails on the leaf nor changes it.
        return leaves.like(emitted, [leaf.clone() for leaf in own])

    def remember(linear: nn.Linear, _inputs: Any, output: Tensor) -> None:
        linears[:] = [(linear, output)]

    with left_as_found(network), torch.inference_mode(False), torch.enable_grad():
        handles = [m.register_forward_hook(remember) for m in network.modules() if isinstance(m, nn.Linear)]
        handles.append(module.register_forward_hook(branch_off))
        handles.extend(measuring(network, size))
        try:
            inputs = inputs.clone() if inputs.is_inference() else inputs
            output = network(inputs)
        finally:
            for handle in handles:
                handle.remove()
    if not kept:
        raise ValueError(f"Layer {name!r} did not run in this forward pass: choose one that does.")
    if len(kept) > 1:
        raise ValueError(
            f"Layer {name!r} ran {len(kept)} times in one forward pass, so there is no one map: "
            "choose a layer that runs once."
        )
    height, width = size or inputs.shape[-2:]
    layout = layout or recognised(kept[0], len(inputs), (height, width))
    head = next((one for one in linears if any(one[1] is tensor for tensor in leaves.tensors(output))), None)
    return Captured(network, module, name, layout, inputs, kept[0], output, head, tracked[0])


def measuring(network: nn.Module, size: list[int]) -> list[RemovableHandle]:
    """Let the next run write into `size` the height and width of what the first convolution is given.

    That is the picture whose coarser grids the layers emit: detectors resize and pad what they are given.
    """

    def measure(_conv: nn.Module, given: Any) -> None:
        size[:] = size or given[0].shape[-2:]

    first = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
    return [first.register_forward_pre_hook(measure)] if first else []


def find(network: nn.Module, layer: Layer) -> tuple[nn.Module, str]:
    """Return a layer of `network` and its dotted name, from either of the two.

    Raises:
        ValueError: the network has no such layer; the sentence offers the nearest names.
        TypeError: this is neither a module nor a name.
    """
    if isinstance(layer, str) and layer:
        with suppress(AttributeError):
            return network.get_submodule(layer), layer
    names = {name: module for name, module in network.named_modules() if name}
    if isinstance(layer, nn.Module):
        for name, module in names.items():
            if module is layer:
                return module, name
        raise ValueError(
            f"The layer you gave ({type(layer).__name__}) is not part of this {type(network).__name__}: "
            "take it from the model that you explain, for example `model.layer4`."
        )
    if not isinstance(layer, str):
        raise TypeError(f"A layer is a module of the model or its dotted name, not {layer!r}.")
    near = get_close_matches(layer, names, n=3, cutoff=0.4) or [name for name, _ in network.named_children()]
    raise ValueError(f"{type(network).__name__} has no layer {layer!r}; near it: {', '.join(near)}.")


@contextmanager
def left_as_found(network: nn.Module) -> Iterator[None]:
    """Put `network` into eval mode with frozen weights, and back as it was, after an error or Ctrl-C too."""
    training = [module for module in network.modules() if module.training]
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    try:
        if training:
            network.eval()
        for parameter in learning:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
        for module in training:
            module.training = True
