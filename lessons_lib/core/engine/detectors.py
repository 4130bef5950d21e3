"""Torchvision's detectors, changed for as long as a box is asked about: keeping all boxes, or looking at one place."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import box_iou

from lessons_lib.core.engine.hooks import certainly, forwards, hooked
from lessons_lib.core.engine.outputs import kind_of, way_out

Edges = tuple[float, float, float, float]
OVERLAP = 0.5
"""The intersection over union from which on two boxes are taken for the same."""
_ALL = {"score_thresh": -1.0, "detections_per_img": 10**9, "mask_roi_pool": None, "keypoint_roi_pool": None}
"""Attributes of a torchvision detector with which it keeps all its boxes, and nothing but boxes."""

_Run = Callable[[dict[str, Tensor], list[Tensor]], tuple[Tensor, Tensor]]
"""From the maps and each picture's proposals to their logits and moved edges: what a box head does."""


def held(output: Any) -> None:
    """Refuse a picture's output that holds no boxes, with a TypeError that says what it is instead."""
    if not isinstance(output, dict) or not {"boxes", "labels", "scores"} <= output.keys():
        raise TypeError(
            f"Boxes are looked for in a dict with 'boxes', 'labels' and 'scores'; this model gives {kind_of(output)}: "
            f"{way_out(output)}."
        )


def heads(network: nn.Module) -> list[Any]:
    """Return the parts of a torchvision detector that drop boxes: its RoI heads, or the one-stage detector itself."""
    return [m for m in network.modules() if hasattr(m, "detections_per_img") and hasattr(m, "score_thresh")]


@contextmanager
def every_score(network: nn.Module) -> Iterator[None]:
    """Let a torchvision detector keep boxes of any score, and any number of them; its thresholds are put back.

    A box that stays is not changed by what lies below it, so the list only grows longer at its end. With it comes what
    the detector would have said of a place in second or third choice. Masks and keypoints, which Mask and Keypoint
    R-CNN make for every box they keep, are left out meanwhile: there may be tens of thousands.

    Example:
        >>> with every_score(detector):
        ...     (found,) = detector(picture)
        >>> len(found["scores"]) > len(detector(picture)[0]["scores"])
        True
    """
    before = [(head, {name: getattr(head, name) for name in _ALL if hasattr(head, name)}) for head in heads(network)]

    def undo() -> None:
        for head, kept in before:
            for name, value in kept.items():
                setattr(head, name, value)

    try:
        for head, kept in before:
            for name in kept:
                setattr(head, name, _ALL[name])
        yield
    finally:
        certainly(undo)


def nearest(output: Any, edges: Edges, label: int | None, least: float = OVERLAP) -> tuple[int | None, float]:
    """Return the row of the box of class `label` (any, if None) that overlaps `edges` most, and by how much it does.

    The row is None where that is less than `least`, or nothing.
    """
    boxes = output["boxes"].detach()
    if not len(boxes):
        return None, 0.0
    wanted = boxes.new_tensor([edges])
    overlaps = box_iou(boxes, wanted)[:, 0].nan_to_num()
    overlaps[(boxes == wanted).all(dim=1)] = 1  # also where a box has no area and there is nothing to divide by
    if label is not None:
        overlaps = overlaps * (output["labels"] == label)
    row = int(overlaps.argmax())
    most = float(overlaps[row])
    return (row if most > 0 and most >= least else None), most


def edges_of(box: Tensor) -> Edges:
    """Return a box, a tensor of four numbers, as left, top, right and bottom."""
    left, top, right, bottom = box.tolist()
    return left, top, right, bottom


@contextmanager
def sparse(network: nn.Module) -> Iterator[None]:
    """Let gradients go back through those proposals of a two-stage detector that the score depends on, and no others.

    Forward, the box head computes what it always does and records nothing. On the way back those proposals whose logits
    or edges have a gradient, one or two of a thousand, go through it once more, and autograd takes it from there. The
    gradient is the same, since in eval mode a box head treats each proposal by itself. Other networks run as they are.

    Example:
        >>> with sparse(detector):
        ...     (found,) = detector(picture)
        >>> found["scores"].requires_grad
        True
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
        return _BoxHead.apply(again, answers, proposals, list(maps), *maps.values())

    with forwards({pool: keep, head: torch.no_grad()(headed), predictor: predict}):
        yield


class _BoxHead(torch.autograd.Function):
    """What a box head answered; differentiated, it is run again on the proposals whose answers have a gradient."""

    @staticmethod
    def forward(
        ctx: Any, again: _Run, answers: tuple[Tensor, ...], proposals: list[Tensor], names: list[str], *maps: Tensor
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
) -> Callable[[], AbstractContextManager[None]] | None:
    """Return the state in which a two-stage detector looks at one proposal only; None for other networks.

    It is the proposal that the box comes from, the same for every variant of the picture. So places are held fixed, as
    they are for the gradient, which does not flow into them either; and what a head would have said of all other places
    is not computed. One run on the picture finds the proposal. The state can be entered as often as one likes.

    Args:
        network: any network.
        picture: 1×3×H×W, as the network is given it.
        edges: of the box, as in the network's output.
        label: the box's class.

    Example:
        >>> (found,) = detector(picture)
        >>> state = narrowed(detector, picture, edges_of(found["boxes"][0]), int(found["labels"][0]))
        >>> with state():
        ...     one, other = detector(torch.cat([picture, picture]))
        >>> torch.equal(one["boxes"], other["boxes"])
        True
    """
    detector = next((module for module in network.modules() if isinstance(module, GeneralizedRCNN)), None)
    if detector is None:
        return None
    proposals: list[Tensor] = []
    logits: list[Tensor] = []
    with (
        hooked([detector.rpn], after=lambda _m, _i, output: proposals.extend(output[0])),
        hooked([detector.roi_heads.box_predictor], after=lambda _m, _i, output: logits.append(output[0])),
        every_score(network),
    ):
        (found,) = network(picture.clone())
    row, _ = nearest(found, edges, label)
    if row is None:
        return None
    scores = logits[0].softmax(dim=1)[:, label]
    (same,) = torch.where(scores == found["scores"][row])
    overlaps = box_iou(proposals[0][same], found["boxes"][row : row + 1])[:, 0]
    proposal = proposals[0][same[overlaps.argmax()]][None]

    def propose(_images: Any, maps: dict[str, Tensor], *_: Any) -> tuple[list[Tensor], dict[str, Tensor]]:
        counts = {len(level) for level in maps.values()}
        if len(counts) > 1:
            # RoIAlign does not look whether there is a map for each proposal: it would read foreign memory.
            raise ValueError(f"The levels of the detector's maps hold different numbers of pictures: {counts}.")
        return [proposal] * counts.pop(), {}

    @contextmanager
    def state() -> Iterator[None]:
        with every_score(network), forwards({detector.rpn: propose}):
            yield

    return state
