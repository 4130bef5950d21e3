"""Lesson 07: the element-wise map, a box found again when the network runs again, and levels laid on one grid."""

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import box_iou

from lessons_lib.teach.exercise import Exercise

# Two maps of 2 × 3, so that rows and columns can't be taken for each other.
_A = torch.tensor([[[1.0, 0.0, 2.0], [3.0, 1.0, 0.0]], [[0.0, 4.0, -1.0], [1.0, 0.0, 2.0]]])
_G = torch.tensor([[[0.6, -0.2, 0.4], [0.0, 0.8, -0.1]], [[-0.9, 0.3, 0.0], [0.5, -1.0, -0.4]]])

_map = Exercise(
    cases=[(_G, _A), (torch.tensor([[[2.0, -1.0]], [[0.5, 0.5]]]), torch.tensor([[[1.0, 3.0]], [[-1.0, 2.0]]]))],
    right=lambda g, a: (g * a).sum(dim=0),
    also_right=[
        lambda g, a: torch.einsum("kij,kij->ij", g, a),
        lambda g, a: sum(one * other for one, other in zip(g, a, strict=True)),
    ],
    mistakes={
        "You average each gradient map, as Grad-CAM does; a score that looks at one place needs every cell's own "
        "gradient.": lambda g, a: (g.mean(dim=(1, 2), keepdim=True) * a).sum(dim=0),
        "You drop the negative gradients, as LayerCAM does; here a cell keeps its sign.": lambda g, a: (
            g.relu() * a
        ).sum(dim=0),
        "You apply the ReLU to the map; the map itself keeps its sign.": lambda g, a: (g * a).sum(dim=0).relu(),
        "You apply the ReLU before the sum over channels; what speaks for and against must meet first.": lambda g, a: (
            (g * a).relu().sum(dim=0)
        ),
        "You leave the activations out; a gradient says what would help, not what was there.": lambda g, a: g.sum(
            dim=0
        ),
        "You leave the gradients out, so the score plays no part.": lambda g, a: a.sum(dim=0),
        "You take the mean over the channels; the sum is asked for.": lambda g, a: (g * a).mean(dim=0),
        "You return one map for each channel; add them up.": lambda g, a: g * a,
        "You swap rows and columns: the map is W × H, and H × W is asked for.": lambda g, a: (g * a).sum(dim=0).T,
    },
)

# The box asked about is 10 × 10. In the new run the list has another order: the third is the box. Of the others of its
# class, a huge one holds it whole, one that is half as wide has the same centre, and the edges of the last differ from
# its edges by less in sum; of another class, one lies exactly on it.
_BOX, _LABEL = torch.tensor([20.0, 20.0, 30.0, 30.0]), torch.tensor(1)
_BOXES = torch.tensor(
    [
        [60.0, 20.0, 70.0, 30.0],
        [70.0, 70.0, 75.0, 85.0],
        [20.2, 18.5, 31.5, 31.5],
        [20.0, 20.0, 30.0, 30.0],
        [0.0, 0.0, 50.0, 50.0],
        [22.5, 20.0, 27.5, 30.0],
        [21.2, 21.2, 29.1, 29.1],
    ]
)
_LABELS = torch.tensor([1, 2, 1, 2, 1, 1, 1])


def _overlap(boxes: Tensor, labels: Tensor, box: Tensor, label: Tensor) -> Tensor:
    return (box_iou(boxes, box[None])[:, 0] * (labels == label)).argmax()


def _shared(boxes: Tensor, box: Tensor) -> Tensor:
    low, high = torch.maximum(boxes[:, :2], box[:2]), torch.minimum(boxes[:, 2:], box[2:])
    return (high - low).clamp(min=0).prod(dim=1)


def _nearest_centre(boxes: Tensor, labels: Tensor, box: Tensor, label: Tensor) -> Tensor:
    apart = ((boxes[:, :2] + boxes[:, 2:]) / 2 - (box[:2] + box[2:]) / 2).norm(dim=1)
    return torch.where(labels == label, apart, torch.inf).argmin()


def _by_hand(boxes: Tensor, labels: Tensor, box: Tensor, label: Tensor) -> int:
    both = _shared(boxes, box)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1) + (box[2:] - box[:2]).prod() - both
    return max((i for i in range(len(boxes)) if labels[i] == label), key=lambda i: float(both[i] / areas[i]))


_follow = Exercise(
    cases=[(_BOXES, _LABELS, _BOX, _LABEL), (_BOXES.flip(0), _LABELS.flip(0), _BOX, _LABEL)],
    right=_overlap,
    also_right=[_by_hand, lambda b, n, box, k: torch.where(n == k, box_iou(box[None], b)[0], -1).argmax()],
    mistakes={
        "You take the box that overlaps most, of whatever class; the class must be the same too.": (
            lambda b, n, box, k: box_iou(b, box[None])[:, 0].argmax()
        ),
        "You take the first box of the class; the order changes from run to run, so compare the places.": (
            lambda b, n, box, k: (n == k).int().argmax()
        ),
        "You take the largest intersection; a huge box holds everything, so divide by the union.": (
            lambda b, n, box, k: (_shared(b, box) * (n == k)).argmax()
        ),
        "You take the nearest centre; a box of another size can have it too, so take the overlap.": _nearest_centre,
        "You take the box whose edges differ least in sum; a smaller one can differ less and share less, so take the "
        "overlap.": lambda b, n, box, k: torch.where(n == k, (b - box).abs().sum(dim=1), torch.inf).argmin(),
        "You count among the boxes of the class; the number in the whole list is asked for.": (
            lambda b, n, box, k: box_iou(b[n == k], box[None])[:, 0].argmax()
        ),
        "You return how much it overlaps; the number of the box is asked for.": (
            lambda b, n, box, k: (box_iou(b, box[None])[:, 0] * (n == k)).max()
        ),
    },
)

_FINE = torch.tensor([[1.0, 0.0, 2.0, 0.0], [0.0, 3.0, 0.0, 1.0]])
_COARSE = torch.tensor([[10.0, 20.0]])


def _enlarged(coarse: Tensor) -> Tensor:
    return coarse.repeat_interleave(2, dim=0).repeat_interleave(2, dim=1)


def _smooth(coarse: Tensor, corners: bool | None) -> Tensor:
    return F.interpolate(coarse[None, None], scale_factor=2, mode="bilinear", align_corners=corners)[0, 0]


_pyramid = Exercise(
    cases=[(_FINE, _COARSE), (torch.zeros(4, 6), torch.arange(6.0).view(2, 3))],
    right=lambda fine, coarse: fine + _enlarged(coarse),
    also_right=[
        lambda fine, coarse: fine + torch.kron(coarse, torch.ones(2, 2)),
        lambda fine, coarse: fine + F.interpolate(coarse[None, None], fine.shape, mode="nearest")[0, 0],
        lambda fine, coarse: fine + coarse[torch.arange(len(fine)) // 2][:, torch.arange(fine.shape[1]) // 2],
    ],
    mistakes={
        "You mix the coarse cells (bilinear); the rule repeats each of them.": lambda f, c: f + _smooth(c, False),
        "You mix the coarse cells and pull them to the corners; the rule repeats each of them.": (
            lambda f, c: f + _smooth(c, True)
        ),
        "You lay the coarse map's copies beside each other, like tiles; each cell is repeated where it stands.": (
            lambda f, c: f + c.repeat(2, 2)
        ),
        "You take the mean of the two levels; their sum is asked for.": lambda f, c: (f + _enlarged(c)) / 2,
        "You leave the finer level out.": lambda f, c: _enlarged(c),
        "You divide the coarse cells among their copies; each copy keeps the whole value.": (
            lambda f, c: f + _enlarged(c) / 4
        ),
    },
)

EXERCISES = {"map": _map, "follow": _follow, "pyramid": _pyramid}
