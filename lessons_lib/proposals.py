"""A two-stage detector's proposals: gradients go back through those that are asked for, runs look at one only."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import box_iou

from lessons_lib.detections import Edges, nearest

Run = Callable[[dict[str, Tensor], list[Tensor]], tuple[Tensor, Tensor]]
"""From the maps and each picture's proposals to their logits and moved edges: what a box head does."""


@contextmanager
def sparse(network: nn.Module) -> Iterator[None]:
    """Let gradients go back through those proposals of a two-stage detector that the score depends on, and no others.

    Forward, the box head computes what it always does and records nothing. On the way back those proposals whose logits
    or edges have a gradient, one or two of a thousand, go through it once more, and autograd takes it from there. The
    gradient is the same, since in eval mode a box head treats each proposal by itself. Other networks run as they are.

    Example:
        >>> with sparse(network):
        ...     (found,) = network(batch)
    """
    with ExitStack() as changed:
        for module in network.modules():
            if isinstance(module, RoIHeads) and "forward" not in vars(module.box_predictor):
                changed.enter_context(_sparse(module))
        yield


@contextmanager
def _sparse(heads: RoIHeads) -> Iterator[None]:
    pool, head, predictor = heads.box_roi_pool, heads.box_head, heads.box_predictor
    pooled, headed, predicted = pool.forward, head.forward, predictor.forward
    given: list[Any] = []

    def keep(maps: dict[str, Tensor], proposals: list[Tensor], shapes: list[tuple[int, int]]) -> Tensor:
        given[:] = maps, proposals, shapes
        with torch.no_grad():
            return pooled(maps, proposals, shapes)

    def predict(features: Tensor) -> tuple[Tensor, Tensor]:
        maps, proposals, shapes = given

        def again(maps: dict[str, Tensor], proposals: list[Tensor]) -> tuple[Tensor, Tensor]:
            return predicted(headed(pooled(maps, proposals, shapes)))

        with torch.no_grad():
            answers = predicted(features)
        return _Asked.apply(again, answers, proposals, list(maps), *maps.values())

    vars(pool)["forward"], vars(head)["forward"], vars(predictor)["forward"] = keep, torch.no_grad()(headed), predict
    try:
        yield
    finally:
        for module in (pool, head, predictor):
            vars(module).pop("forward")


class _Asked(torch.autograd.Function):
    """What a box head answered; differentiated, it is run again on the proposals whose answers have a gradient."""

    @staticmethod
    def forward(
        ctx: Any, again: Run, answers: tuple[Tensor, ...], proposals: list[Tensor], names: list[str], *maps: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.again, ctx.proposals, ctx.names = again, proposals, names
        ctx.save_for_backward(*maps)
        return answers

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        asked = torch.stack([gradient.any(dim=1) for gradient in gradients]).any(dim=0)
        counts = [len(one) for one in ctx.proposals]
        chosen = [one[of] for one, of in zip(ctx.proposals, asked.split(counts), strict=True)]
        maps = [one.detach().requires_grad_() for one in ctx.saved_tensors]
        with torch.enable_grad():
            answers = ctx.again(dict(zip(ctx.names, maps, strict=True)), chosen)
        found = torch.autograd.grad(answers, maps, [one[asked] for one in gradients], allow_unused=True)
        return None, None, None, None, *found


def narrowed(
    network: nn.Module, picture: Tensor, edges: Edges, label: int
) -> Callable[[int], AbstractContextManager[None]]:
    """Return, for a number of variants, the state in which a two-stage detector looks at one proposal only.

    It is the proposal that the box comes from, the same for every variant. So places are held fixed, as they are for
    the gradient, which does not flow into them either; and what a head would have said of all other places is not
    computed. One run on the picture finds the proposal. Other networks run as they are.

    Args:
        picture: 1×3×H×W, as the network is given it.
        edges, label: of the box, as in the network's output.

    Example:
        >>> with narrowed(network, picture, edges, label)(2):
        ...     network(torch.cat([picture, picture]))
    """
    detector = next((module for module in network.modules() if isinstance(module, GeneralizedRCNN)), None)
    if detector is None:
        return lambda count: nullcontext()
    proposals, logits = [], []
    seen = [
        detector.rpn.register_forward_hook(lambda _m, _i, output: proposals.extend(output[0])),
        detector.roi_heads.box_predictor.register_forward_hook(lambda _m, _i, output: logits.append(output[0])),
    ]
    try:
        (found,) = network(picture)
    finally:
        for hook in seen:
            hook.remove()
    row, _ = nearest(found, edges, label)
    if row is None:
        return lambda count: nullcontext()
    scores = logits[0].softmax(dim=1)[:, label]
    (same,) = torch.where(scores == found["scores"][row])
    overlaps = box_iou(proposals[0][same], found["boxes"][row : row + 1])[:, 0]
    proposal = proposals[0][same[overlaps.argmax()]][None]

    @contextmanager
    def state(count: int) -> Iterator[None]:
        def propose(_images: Any, maps: dict[str, Tensor], *_: Any) -> tuple[list[Tensor], dict[str, Tensor]]:
            if any(len(level) != count for level in maps.values()):
                # RoIAlign does not look whether there is a map for each proposal: it would read foreign memory.
                raise ValueError(f"The detector was to look at {count} pictures, and a level has another number.")
            return [proposal] * count, {}

        vars(detector.rpn)["forward"] = propose  # found before the class's own
        try:
            yield
        finally:
            vars(detector.rpn).pop("forward")

    return state
