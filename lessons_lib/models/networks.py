"""The embedded models' networks, without weights: torchvision's own classes in small sizes."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import SwinTransformer, VisionTransformer
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.segmentation.deeplabv3 import DeepLabHead, DeepLabV3
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.misc import Conv2dNormActivation

STRIDES = (4, 8, 16, 32)
_CHANNELS = {4: 24, 8: 40, 16: 112, 32: 320}
_LAST_BLOCK = {4: 1, 8: 2, 16: 4, 32: 6}


class Stages(nn.Module):
    """EfficientNet-Lite0 without its head: frozen, always in eval mode, giving its maps at strides 4, 8, 16 and 32.

    Args:
        lite0: timm's `tf_efficientnet_lite0`; its layers are shared, not copied.

    Example:
        >>> stages = Stages(models.imagenet().network)
        >>> {stride: tuple(maps.shape[1:]) for stride, maps in stages(batch).items()}
        {4: (24, 56, 56), 8: (40, 28, 28), 16: (112, 14, 14), 32: (320, 7, 7)}
    """

    def __init__(self, lite0: Any):
        super().__init__()
        self.conv_stem, self.bn1, self.blocks = lite0.conv_stem, lite0.bn1, lite0.blocks
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "Stages":
        # Frozen means the statistics of batch normalisation too, whatever mode the network around it is in.
        return super().train(False)

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        x = self.bn1(self.conv_stem(x))
        maps = {}
        for number, block in enumerate(self.blocks):
            x = block(x)
            maps.update({stride: x for stride, last in _LAST_BLOCK.items() if last == number})
        return maps


class Pyramid(nn.Module):
    """Lite0's maps at strides 8, 16 and 32 through a feature pyramid of 64 channels, as Faster R-CNN wants them."""

    out_channels = 64

    def __init__(self, lite0: Any):
        super().__init__()
        self.body = Stages(lite0)
        self.fpn = FeaturePyramidNetwork([_CHANNELS[stride] for stride in (8, 16, 32)], self.out_channels)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps = self.body(x)
        return self.fpn({str(level): maps[stride] for level, stride in enumerate((8, 16, 32))})


class Merged(nn.Module):
    """Lite0's maps at all four strides, brought to stride 8 and mixed into 64 channels, as DeepLabV3 wants them."""

    out_channels = 64

    def __init__(self, lite0: Any):
        super().__init__()
        self.body = Stages(lite0)
        self.merge = Conv2dNormActivation(sum(_CHANNELS.values()), self.out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps = self.body(x)
        size = maps[8].shape[-2:]
        same = [nn.functional.interpolate(maps[s], size=size, mode="bilinear", align_corners=False) for s in STRIDES]
        return {"out": self.merge(torch.cat(same, dim=1))}


def detector(lite0: Any, classes: int) -> FasterRCNN:
    """Return a Faster R-CNN on frozen Lite0 maps; `classes` counts the background, which is class 0.

    It takes a list of 3×H×W or a batch N×3×H×W with values in [0, 1] and normalises them itself, as torchvision's do;
    a square picture of 224 pixels is not resized. Boxes up to 224 pixels are pooled from the finest map (stride 8).
    Of two boxes of one kind that overlap by more than 0.3 the surer is kept: at torchvision's 0.5, one alarm in 30 was
    a second box on an object already found.
    """
    pyramid = Pyramid(lite0)
    return FasterRCNN(
        pyramid,
        min_size=224,
        max_size=224,
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
        rpn_anchor_generator=AnchorGenerator(((32,), (64,), (128,)), ((0.5, 1.0, 2.0),) * 3),
        rpn_pre_nms_top_n_train=400,
        rpn_pre_nms_top_n_test=200,
        rpn_post_nms_top_n_train=200,
        rpn_post_nms_top_n_test=50,
        box_roi_pool=MultiScaleRoIAlign(["0", "1", "2"], output_size=7, sampling_ratio=2),
        box_head=TwoMLPHead(pyramid.out_channels * 7 * 7, 128),
        box_predictor=FastRCNNPredictor(128, classes),
        box_batch_size_per_image=64,
        box_nms_thresh=0.3,
    )


def segmenter(lite0: Any, classes: int) -> DeepLabV3:
    """Return a DeepLabV3 on frozen Lite0 maps; `classes` counts the background, which is class 0.

    Its atrous rates suit a map of 28 × 28: at torchvision's 12, 24 and 36 most of a 3 × 3 kernel would fall outside it.
    """
    merged = Merged(lite0)
    return DeepLabV3(merged, DeepLabHead(merged.out_channels, classes, atrous_rates=(2, 4, 8)))


def vit(classes: int) -> VisionTransformer:
    """Return a VisionTransformer for 112 × 112 pixels: 14 × 14 patches of 8, as many as in ViT-B/16; 6 blocks."""
    return VisionTransformer(
        image_size=112,
        patch_size=8,
        num_layers=6,
        num_heads=4,
        hidden_dim=128,
        mlp_dim=256,
        num_classes=classes,
    )


def swin(classes: int) -> SwinTransformer:
    """Return a SwinTransformer for 112 × 112 pixels: two blocks at 28 × 28, at 14 × 14 and at 7 × 7, windows of 7."""
    return SwinTransformer(
        patch_size=[4, 4],
        embed_dim=48,
        depths=[2, 2, 2],
        num_heads=[2, 4, 8],
        window_size=[7, 7],
        stochastic_depth_prob=0.0,
        num_classes=classes,
    )


def flat_cnn(classes: int) -> nn.Sequential:
    """Return a plain CNN for 112 × 112 pixels: `features` gives 96 maps of 14 × 14, `head` is flatten + MLP."""
    widths = (3, 16, 32, 64)
    stages = [
        nn.Sequential(nn.Conv2d(few, many, 3, padding=1), nn.BatchNorm2d(many), nn.ReLU(), nn.MaxPool2d(2))
        for few, many in pairwise(widths)
    ]
    last = nn.Sequential(nn.Conv2d(widths[-1], 96, 3, padding=1), nn.BatchNorm2d(96), nn.ReLU())
    head = nn.Sequential(nn.Flatten(), nn.Linear(96 * 14 * 14, 32), nn.ReLU(), nn.Linear(32, classes))
    network = nn.Sequential()
    network.add_module("features", nn.Sequential(*stages, last))
    network.add_module("head", head)
    return network


def small_cnn() -> nn.Sequential:
    """Return a CNN for 64 × 64 pixels and one logit: 64 maps of 16 × 16 (`features`), their means, one linear layer."""
    widths, strides = (3, 16, 32, 64), (2, 2, 1)
    stages = [
        nn.Sequential(nn.Conv2d(few, many, 3, stride, padding=1, bias=False), nn.BatchNorm2d(many), nn.ReLU())
        for (few, many), stride in zip(pairwise(widths), strides, strict=True)
    ]
    network = nn.Sequential()
    network.add_module("features", nn.Sequential(*stages))
    network.add_module("pool", nn.AdaptiveAvgPool2d(1))
    network.add_module("flatten", nn.Flatten())
    network.add_module("fc", nn.Linear(widths[-1], 1))
    return network
