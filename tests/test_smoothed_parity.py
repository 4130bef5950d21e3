"""`augmented` and `principal` against pytorch-grad-cam's aug_smooth and eigen_smooth."""

from typing import Any

import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAM, HiResCAM, LayerCAM, XGradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from test_family import deep
from test_smoothed import PICTURES, equal, values
from torch import Tensor

import lessons_lib as ll

pytestmark = pytest.mark.slow

PAIRS = [(ll.gradcam, GradCAM), (ll.hirescam, HiResCAM), (ll.layercam, LayerCAM), (ll.xgradcam, XGradCAM)]


def peers(theirs: Any, target: int, layer: str = "2", pictures: Tensor = PICTURES, **options: bool) -> Tensor:
    """Its maps: ReLU, stretched to 0…1, of the picture's size."""
    network = deep()
    with theirs(network, [network.get_submodule(layer)]) as peer, torch.enable_grad():
        return torch.from_numpy(np.asarray(peer(pictures, [ClassifierOutputTarget(target)] * len(pictures), **options)))


def raw(theirs: Any, target: int) -> Tensor:
    """Its maps with `eigen_smooth`, before ReLU and stretching."""
    network, kept = deep(), []
    with theirs(network, [network[2]]) as peer, torch.enable_grad():
        inner = peer.get_cam_image
        peer.get_cam_image = lambda *a, **k: kept.append(inner(*a, **k)) or kept[-1]
        peer(PICTURES, [ClassifierOutputTarget(target)] * 2, eigen_smooth=True)
    return torch.from_numpy(kept[0])


def stretched(maps: Tensor) -> Tensor:
    """What pytorch-grad-cam does to a map of the picture's size before it averages: ReLU, then 0…1 with an epsilon."""
    maps = maps.relu()
    maps = maps - maps.amin((1, 2), keepdim=True)
    return maps / (1e-7 + maps.amax((1, 2), keepdim=True))


@pytest.mark.parametrize(("method", "theirs"), PAIRS)
def test_principal_is_pytorch_grad_cams_eigen_smooth_but_for_the_sign(method: Any, theirs: Any) -> None:
    for one, other in zip(values(deep(), PICTURES, ll.principal(method)), raw(theirs, 1), strict=True):
        equal(one, other * (one * other).sum().sign())


@pytest.mark.parametrize(("method", "theirs"), PAIRS)
def test_augmented_is_pytorch_grad_cams_aug_smooth_once_each_map_is_stretched(method: Any, theirs: Any) -> None:
    """The map has the picture's size at layer "2", so nothing is enlarged; theirs stretches each map, and each mean."""

    def each_stretched(seen: Any) -> Tensor:
        return stretched(stretched(method(seen)))

    equal(values(deep(), PICTURES, ll.augmented(each_stretched)), peers(theirs, 1, aug_smooth=True))


def test_raw_maps_make_another_mean_than_stretched_ones() -> None:
    ours = stretched(values(deep(), PICTURES, ll.augmented(ll.gradcam)))
    assert (ours - peers(GradCAM, 1, aug_smooth=True)).abs().max() > 0.02
