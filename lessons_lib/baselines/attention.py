"""The attention that a network used, read off the operations that one run recorded, whoever wrote the network."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node
from torch.nn.attention import SDPBackend, sdpa_kernel

from lessons_lib.core.engine.captured import maps_of, untracked
from lessons_lib.core.engine.hooks import hooked, left_as_found
from lessons_lib.core.engine.outputs import paths
from lessons_lib.core.engine.places.trace import Followed, followed
from lessons_lib.core.records import Explainable

_LAST = 2**64 - 1
"""How a recorded operation writes an axis counted from the end, −1."""


@dataclass(frozen=True)
class Attended:
    """What each block's attention was in one run, and which of its tokens stand where on the picture.

    Args:
        weights: of each block in order, N×heads×T×T, each row sums to 1; as float32.
        read: how the tokens are read.
        nodes: the operations that made them.
    """

    weights: list[Tensor]
    read: Followed
    nodes: list[Node]

    def gradients(self, score: Tensor) -> list[Tensor]:
        """Return the gradient of one number at each of the weights, N×heads×T×T."""
        edges = [GradientEdge(node, 0) for node in self.nodes]
        found = torch.autograd.grad(score, edges, retain_graph=True, allow_unused=True)
        return [
            torch.zeros_like(W) if one is None else one.float().reshape(W.shape)
            for one, W in zip(found, self.weights, strict=True)
        ]

    def laid_out(self, flow: Tensor, model: Explainable) -> Tensor:
        """Return what each token holds of each patch, N×T×rows×columns, of what it holds of each token, N×T×T."""
        return maps_of(flow.mT, model.layout) if model.layout else flow[:, :, self.read.tokens.to(flow.device)]


class Listener:
    """Listens to one network, and afterwards tells its attention.

    Args:
        network: that is run while `listening` is entered.
        purpose: what is made of its attention, in a word.

    Attributes:
        refused: what was raised, if no attention can be told.
    """

    def __init__(self, network: nn.Module, purpose: str) -> None:
        self.network, self._purpose = network, purpose
        self.refused: ValueError | RuntimeError | None = None
        self._emitted: dict[nn.Module, Any] = {}
        self._silent: list[str] = []

    @contextmanager
    def listening(self, network: nn.Module) -> Iterator[None]:
        """Keep what modules emit as rows of tokens, and let fused attention run step by step, so that it is recorded.

        The network's answer is the same but for rounding.
        """

        def keep(module: nn.Module, _inputs: Any, output: Any) -> None:
            held = [one for _, one in paths(output, "") if one.ndim == 3]
            if any(one.grad_fn is not None for one in held):
                self._emitted.setdefault(module, output)
            elif held and (why := untracked()):
                self._silent.append(why.format("the attention"))

        with left_as_found(network) as modules, sdpa_kernel(SDPBackend.MATH), hooked(modules, after=keep):
            yield

    def attended(self, outputs: Sequence[Tensor], batch: Tensor) -> Attended:
        """Return the attention on which some outputs of that run depend.

        Args:
            outputs: with the graph of the run.
            batch: what the network was given, N×C×H×W.

        Raises:
            ValueError: there is none, or it stays within windows, or the number of tokens changes.
            RuntimeError: the run recorded nothing.
        """
        nodes = _softmaxes(outputs)
        weights = [_by_head(node, len(batch)) for node in nodes]
        among = [W for W in weights if W is not None]
        first = next((W for W in among if W.shape[2] == W.shape[3]), None)
        module = None if first is None else self._of_tokens(nodes[0], {len(batch), first.shape[3]})
        if not nodes and self._silent and not self._emitted:
            raise self._refusal(RuntimeError(self._silent[-1]))
        kind, way_out = type(self.network).__name__, "take a gradient method, `ll.explain(…, method=ll.gradcam)`."
        if first is None and len(among) == len(weights):
            why = f"shows no attention among all tokens in what its run recorded, and {self._purpose} is made of that"
            raise self._refusal(ValueError(f"This {kind} {why}: {way_out}"))
        if module is None or len(among) < len(weights) or len({W.shape for W in among}) > 1:
            why = f"a changing number of tokens, and {self._purpose} takes the same tokens in every block"
            raise self._refusal(ValueError(f"This {kind} attends within windows or to {why}: {way_out}"))
        read = followed(self.network, batch, {module: self._emitted[module]})[module]
        return Attended([W.float() for W in among], read, nodes)

    def _refusal(self, error: ValueError | RuntimeError) -> ValueError | RuntimeError:
        self.refused = error
        return error

    def _of_tokens(self, softmax: Node, sides: set[int]) -> nn.Module | None:
        """Return what first emitted all the tokens once they had attended, as N×T×C or T×N×C."""
        for module, output in self._emitted.items():
            for _, one in paths(output, ""):
                made = one.grad_fn and one.grad_fn._sequence_nr()
                if one.ndim == 3 and set(one.shape[:2]) == sides and made and made > softmax._sequence_nr():
                    return module
        return None


def _softmaxes(outputs: Sequence[Tensor]) -> list[Node]:
    """Return the operations that made rows which sum to 1, along the last of three axes or more, as they ran."""
    waiting, met, found = [one.grad_fn for one in outputs], set[Node](), list[Node]()
    while waiting:
        node = waiting.pop()
        if node is None or node in met:
            continue
        met.add(node)
        waiting += [earlier for earlier, _ in node.next_functions]
        if "SoftmaxBackward" in node.name() and "Log" not in node.name():
            made, axis = node._saved_result, node._saved_dim  # type: ignore[attr-defined]
            if made.ndim > 2 and axis in (_LAST, -1, made.ndim - 1):
                found.append(node)
    return sorted(found, key=lambda node: node._sequence_nr())


def _by_head(softmax: Node, pictures: int) -> Tensor | None:
    """Return what a softmax made, N×heads×queries×keys; None if it is of parts of the pictures."""
    made: Tensor = softmax._saved_result.detach()  # type: ignore[attr-defined]
    if made.ndim == 4 and 1 in made.shape[:2]:  # pictures and heads may share an axis
        made = made.flatten(0, 1)
    if made.ndim == 3 and len(made) % pictures == 0:
        return made.unflatten(0, (pictures, -1))
    return made if made.ndim == 4 and len(made) == pictures else None
