"""What a network does with a picture before its first layer: torchvision's detectors resize it and pad it."""

import torch
from torch import Tensor, nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from lessons_lib.capture import left_as_found
from lessons_lib.models import Region


def padded(network: nn.Module, inputs: Tensor, region: Region) -> Region:
    """Return where on a photo the maps of `network` lie, from where its inputs lie.

    Detectors resize what they are given and add a margin at the right and at the bottom, so that sides are multiples of
    32. Their maps cover the margin too, so the region reaches over the photo's edge. Other networks add none.

    Args:
        inputs: N×C×H×W, what the network is given.
        region: where on the photo these lie: left, top, right, bottom in the photo's pixels.

    Example:
        >>> padded(fasterrcnn_resnet50_fpn_v2(), torch.zeros(1, 3, 300, 451), (0.0, 0.0, 451.0, 300.0))
        (0.0, 0.0, 451.57…, 300.37…)        # resized to 800 × 1202, padded to 800 × 1216
    """
    transform = getattr(network, "transform", None)
    if not isinstance(transform, GeneralizedRCNNTransform) or inputs.ndim != 4:
        return region
    with left_as_found(network), torch.no_grad():
        made, _ = transform([inputs[0]])
    (high, wide), (height, width) = made.tensors.shape[2:], made.image_sizes[0]
    left, top, right, bottom = region
    return left, top, left + (right - left) * wide / width, top + (bottom - top) * high / height
