"""A single-shot detector on MobileNetV2: boxes read off anchors on six maps, from one look at the picture."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torchvision.ops import batched_nms, clip_boxes_to_image

from lessons_lib.models.same import conv, inverted

_STAGES = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
"""Of MobileNetV2: channels, blocks, and the first block's stride."""
LEVELS = (576, 1280, 512, 256, 256, 128)
"""Channels of the maps that anchors lie on; of 300 × 300 pixels they have 19, 10, 5, 3, 2 and 1 rows."""
_EXTRAS = ((256, 512), (128, 256), (128, 256), (64, 128))
"""Channels of the four maps behind MobileNetV2: of a 1 × 1 convolution, then of one that halves the rows."""
_SCALES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
"""An anchor's size on each level, in units of the picture, and on the one that would follow."""
_RATIOS = (1.0, 2.0, 1 / 2, 3.0, 1 / 3)


class Levels(nn.Module):
    """MobileNetV2 and four smaller maps behind it: a dict of the six that anchors lie on, the finest first.

    The first is the wide map inside block 13, before its depthwise convolution halves the rows. Each stage makes one
    level from the one before, so `stages.1` emits what the second level's anchors are read from.

    Example:
        >>> [tuple(maps.shape[1:]) for maps in Levels()(torch.zeros(1, 3, 300, 300)).values()]
        [(576, 19, 19), (1280, 10, 10), (512, 5, 5), (256, 3, 3), (256, 2, 2), (128, 1, 1)]
    """

    def __init__(self) -> None:
        super().__init__()
        few, blocks = 32, [conv(3, 32, 3, 2, nn.ReLU6)]
        for many, count, stride in _STAGES:
            for number in range(count):
                wide = 6 * few if len(blocks) > 1 else None
                step = 1 if number else stride
                blocks.append(inverted(few, wide, many, 3, step, nn.ReLU6, skip=number > 0))
                few = many
        expand, *rest = blocks[14]  # block 13: the stem stands first
        self.stages = nn.ModuleList(
            [
                nn.Sequential(*blocks[:14], expand),
                nn.Sequential(*rest, *blocks[15:], conv(few, LEVELS[1], activation=nn.ReLU6)),
            ]
        )
        for before, (narrow, wide) in zip(LEVELS[1:], _EXTRAS, strict=False):
            self.stages.append(
                nn.Sequential(conv(before, narrow, activation=nn.ReLU6), conv(narrow, wide, 3, 2, nn.ReLU6))
            )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        levels = {}
        for number, stage in enumerate(self.stages):
            x = levels[str(number)] = stage(x)
        return levels


class SSD(nn.Module):
    """SSD on MobileNetV2, with torchvision's habits: in eval mode a dict of boxes, labels and scores for each picture.

    A score is a sigmoid, one for each class and anchor, and carries gradients, and so does a box. Of each class the
    `topk_candidates` surest are looked at; of two that overlap by more than `nms_thresh` the surer stays. Class 0, the
    background, is never said.

    Liu et al., "SSD: Single Shot MultiBox Detector", arXiv 1512.02325; Sandler et al., "MobileNetV2", arXiv 1801.04381.

    Args:
        classes: how many there are, the background counted.

    Example:
        >>> network = SSD(24).eval()
        >>> network(torch.zeros(1, 3, 300, 300))[0].keys()
        dict_keys(['boxes', 'labels', 'scores'])
    """

    score_thresh = 0.05
    nms_thresh = 0.6
    topk_candidates = 400
    detections_per_img = 100

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.backbone = Levels()
        counts = [3, *([len(_RATIOS) + 1] * (len(LEVELS) - 1))]
        self.box_heads = nn.ModuleList(nn.Conv2d(c, 4 * n, 1) for c, n in zip(LEVELS, counts, strict=True))
        self.class_heads = nn.ModuleList(nn.Conv2d(c, classes * n, 1) for c, n in zip(LEVELS, counts, strict=True))

    def forward(self, x: Tensor) -> list[dict[str, Tensor]]:
        levels = list(self.backbone(x).values())
        codes = torch.cat([_listed(head(maps), 4) for head, maps in zip(self.box_heads, levels, strict=True)], dim=1)
        said = [_listed(head(maps), self.classes) for head, maps in zip(self.class_heads, levels, strict=True)]
        sizes = [(maps.shape[-2], maps.shape[-1]) for maps in levels]
        return self.found(codes, torch.cat(said, dim=1), sizes, (x.shape[-2], x.shape[-1]))

    def found(
        self, codes: Tensor, logits: Tensor, levels: Sequence[tuple[int, int]], size: tuple[int, int]
    ) -> list[dict[str, Tensor]]:
        """Return what is found, from what the heads say of each anchor.

        Args:
            codes: N×anchors×4, as `decoded` reads them.
            logits: N×anchors×classes.
            levels: rows and columns of each level, as `anchors` takes them.
            size: rows and columns of the picture.
        """
        boxes = decoded(codes, anchors(levels).to(codes)) * codes.new_tensor([size[1], size[0]] * 2)
        return [self._kept(*one, size) for one in zip(boxes, logits.sigmoid(), strict=True)]

    def _kept(self, boxes: Tensor, scores: Tensor, size: tuple[int, int]) -> dict[str, Tensor]:
        scores, rows = scores[:, 1:].topk(min(self.topk_candidates, len(scores)), dim=0)  # of each class
        labels = torch.arange(1, self.classes, device=rows.device).expand_as(rows)
        over = scores > self.score_thresh
        boxes, labels, scores = clip_boxes_to_image(boxes[rows[over]], size), labels[over], scores[over]
        with torch.no_grad():
            kept = batched_nms(boxes, scores, labels, self.nms_thresh)[: self.detections_per_img]
        return {"boxes": boxes[kept], "labels": labels[kept], "scores": scores[kept]}


def anchors(sizes: Sequence[tuple[int, int]]) -> Tensor:
    """Return the anchors of all levels, A×4: middle x and y, width and height, in units of the picture.

    On the finest level three lie at each cell: a small square and two of its level's size; on the others one for each
    of five ratios, and a square between its size and the next level's.

    Args:
        sizes: rows and columns of each level.

    Example:
        >>> len(anchors([(19, 19), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)]))
        1917
    """
    found = []
    for level, ((rows, columns), (scale, following)) in enumerate(zip(sizes, pairwise(_SCALES), strict=True)):
        shapes = [(scale, ratio) for ratio in _RATIOS] + [(math.sqrt(scale * following), 1.0)]
        shapes = shapes if level else [(scale / 2, 1.0), *shapes[1:3]]
        wide_high = torch.tensor([(side * math.sqrt(ratio), side / math.sqrt(ratio)) for side, ratio in shapes])
        y, x = torch.meshgrid((torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns, indexing="ij")
        middles = torch.stack([x, y], dim=-1).reshape(-1, 1, 2).expand(-1, len(shapes), 2)
        found.append(torch.cat([middles, wide_high.expand(len(middles), -1, 2)], dim=-1).reshape(-1, 4))
    return torch.cat(found)


def decoded(codes: Tensor, anchors: Tensor) -> Tensor:
    """Return the boxes that the codes make of the anchors: left, top, right and bottom in units of the picture.

    A code moves its anchor's middle by tenths of the anchor's size, and stretches it by e to the power of fifths.

    Args:
        codes: …×A×4, in the order y, x, height, width.
        anchors: A×4, as `anchors` gives them.
    """
    y, x, high, wide = codes.unbind(-1)
    middle_x, middle_y, width, height = anchors.unbind(-1)
    x, y = x / 10 * width + middle_x, y / 10 * height + middle_y
    half_wide, half_high = (wide / 5).exp() * width / 2, (high / 5).exp() * height / 2
    return torch.stack([x - half_wide, y - half_high, x + half_wide, y + half_high], dim=-1)


def _listed(maps: Tensor, length: int) -> Tensor:
    """Return N×(anchors·length)×H×W as N×(H·W·anchors)×length: row by row, and the anchors of a cell together."""
    return maps.permute(0, 2, 3, 1).reshape(len(maps), -1, length)
