"""Against pytorch-grad-cam and torchcam on three architectures: equal, or apart for a reason that is computed here.

Where a peer departs from the paper, the test computes the peer's formula, finds it equal to the peer's map, and holds
our map to the paper's. The departures:

pytorch-grad-cam 1.5.7
    Grad-CAM++: adds 1e-6 to the denominator of eq. (19), as large as the squared gradients themselves.
    XGrad-CAM: adds 1e-7 to Σ A (too little to see where A ≥ 0).
    Eigen-CAM: centres each channel, which the paper does not, and leaves the sign to chance.
    Ablation-CAM: where a layer emits negative values, "ablated" is the minimum − 1e7; the paper's is zero.
    Score-CAM: enlarges with aligned corners, and adds 1e-8 to max − min.
torchcam 0.5.0
    Grad-CAM++: sums A · g³ over all cells (eq. (19): Σ A, times the g³ of one cell), and then divides a copy, so that α
    is g² whatever stands in the denominator.
    Score-CAM: normalises before it enlarges (algorithm 1: after).
    All: the final ReLU is inside.
"""

from collections.abc import Callable
from functools import cache, partial

import numpy as np
import pytest
import timm
import torch
import torchcam.methods
import torchvision
from heavy import but_proofs
from pytorch_grad_cam import (
    AblationCAM,
    EigenCAM,
    GradCAM,
    GradCAMPlusPlus,
    HiResCAM,
    LayerCAM,
    ScoreCAM,
    XGradCAM,
)
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torch.nn import functional as F

import lessons_lib as ll
from lessons_lib.core import methods
from lessons_lib.core.engine import capture

# The last maps, and maps from which the rest of the network is far from linear. All of them are ≥ 0.
PLACES = [("resnet18", "layer4"), ("resnet18", "layer3"), ("lite0", "bn2"), ("squeezenet1_1", "features.10")]
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]


@cache
def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name == "lite0":
        return timm.create_model("tf_efficientnet_lite0", num_classes=8).eval()
    net = torchvision.models.get_model(name, num_classes=8).eval()
    if name == "squeezenet1_1":
        net.classifier[1].bias.data += 1  # its logits pass a ReLU, and unlearned ones would mostly be 0
    return net


PICTURES = torch.randn(2, 3, 96, 64, generator=torch.Generator().manual_seed(1))
SMALL = torch.randn(1, 3, 48, 64, generator=torch.Generator().manual_seed(2))  # for what runs once a channel


@cache
def top(name: str, pictures: Tensor = PICTURES) -> list[int]:
    """The class on top in each picture: the one whose map is surely not blank."""
    with torch.no_grad():
        return network(name)(pictures).argmax(1).tolist()


@cache
def seen_at(name: str, layer: str, pictures: Tensor = PICTURES) -> tuple[Tensor, Tensor]:
    aims = top(name, pictures)
    with torch.enable_grad():
        seen = capture.run(network(name), pictures, layer)
        seen = seen.scored(torch.stack([row[category] for row, category in zip(seen.output, aims, strict=True)]))
        return seen.activations, seen.gradients


def ours(name: str, layer: str, method: methods.Method, pictures: Tensor = PICTURES) -> Tensor:
    aims = [ll.ClassScore(category) for category in top(name, pictures)]
    return torch.stack([h.values for h in ll.explain(network(name), pictures, aims, layer=layer, method=method)])


def pytorch_grad_cams(name: str, layer: str, method: type, pictures: Tensor = PICTURES) -> Tensor:
    """Its raw maps, before ReLU, scaling and enlarging."""
    raw: list[np.ndarray] = []
    with method(network(name), [network(name).get_submodule(layer)]) as peer:
        inner = peer.get_cam_image
        peer.get_cam_image = lambda *a, **k: raw.append(inner(*a, **k)) or raw[-1]
        peer(pictures, [ClassifierOutputTarget(category) for category in top(name, pictures)])
    return torch.from_numpy(raw[0])


def torchcams(name: str, layer: str, method: Callable, pictures: Tensor = PICTURES) -> Tensor:
    """Its maps after ReLU, before scaling."""
    with method(network(name), layer, input_shape=tuple(pictures.shape[1:])) as peer:
        return peer(top(name, pictures), network(name)(pictures), normalized=False)[0]


def equal(found: Tensor, expected: Tensor, tolerance: float = 1e-4) -> None:
    for one, other in zip(found, expected, strict=True):
        assert other.abs().max() > 0 and other.max() > other.min(), "nothing would be compared"
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance * float(other.abs().max()))


def weighted(w: Tensor, A: Tensor) -> Tensor:
    return (w.view(*A.shape[:2], 1, 1) * A).sum(1)


@pytest.mark.parametrize(("name", "layer"), PLACES)
@pytest.mark.parametrize(
    ("method", "theirs"),
    [(ll.gradcam, GradCAM), (ll.hirescam, HiResCAM), (ll.layercam, LayerCAM), (ll.xgradcam, XGradCAM)],
)
def test_pytorch_grad_cam_agrees(name: str, layer: str, method, theirs) -> None:
    equal(ours(name, layer, method), pytorch_grad_cams(name, layer, theirs))


@pytest.mark.parametrize(("name", "layer"), PLACES)
@pytest.mark.parametrize(
    ("method", "theirs"),
    [
        (ll.gradcam, torchcam.methods.GradCAM),
        (ll.layercam, torchcam.methods.LayerCAM),
        (ll.xgradcam, torchcam.methods.XGradCAM),
    ],
)
def test_torchcam_agrees(name: str, layer: str, method, theirs) -> None:
    equal(ours(name, layer, method).relu(), torchcams(name, layer, theirs))


@pytest.mark.parametrize(("name", "layer"), [("resnet18", "layer4"), ("lite0", "bn2")])
def test_torchcams_cam_agrees(name: str, layer: str) -> None:
    category, head = top(name)[0], "fc" if name == "resnet18" else "classifier"
    heats = ll.explain(network(name), PICTURES, ll.ClassScore(category), layer=layer, method=ll.cam)
    with torchcam.methods.CAM(network(name), layer, fc_layer=head, input_shape=(3, 96, 64)) as peer:
        network(name)(PICTURES)
        equal(torch.stack([heat.values for heat in heats]), peer(category, normalized=False)[0])  # the one without ReLU


@pytest.mark.parametrize(("name", "layer"), PLACES)
def test_gradcam_plus_plus_is_eq_19_and_the_peers_are_not(name: str, layer: str) -> None:
    A, g = (tensor.double() for tensor in seen_at(name, layer))
    denominator = 2 * g**2 + A.sum((2, 3), keepdim=True) * g**3
    papers = torch.where(g == 0, 0, g**2 / denominator)
    with_epsilon = torch.where(g == 0, 0, g**2 / (denominator + 1e-6))
    never_divided = g**2
    maps = {
        which: weighted((alpha * g.relu()).sum((2, 3)), A).float()
        for which, alpha in {"paper": papers, "epsilon": with_epsilon, "copy": never_divided}.items()
    }
    equal(ours(name, layer, ll.gradcam_plus_plus), maps["paper"])
    equal(pytorch_grad_cams(name, layer, GradCAMPlusPlus), maps["epsilon"])
    equal(torchcams(name, layer, torchcam.methods.GradCAMpp), maps["copy"].relu())
    normalised = {which: values / values.amax((1, 2), keepdim=True) for which, values in maps.items()}
    assert (normalised["copy"] - normalised["paper"]).abs().max() > 0.02


@pytest.mark.parametrize(("name", "layer"), PLACES)
def test_eigencam_is_pytorch_grad_cams_with_a_sign_and_the_papers_is_not_centred(name: str, layer: str) -> None:
    theirs = pytorch_grad_cams(name, layer, EigenCAM)
    found = ours(name, layer, ll.eigencam)
    sign = (found * theirs).sum((1, 2), keepdim=True).sign()
    equal(found, sign * theirs, 1e-3)
    assert (ours(name, layer, partial(ll.eigencam, centred=False)) >= 0).all()


@pytest.mark.parametrize(("name", "layer"), but_proofs([PLACES[0], PLACES[2], PLACES[3]], PLACES[0], PLACES[2]))
def test_ablationcam_is_pytorch_grad_cams_where_both_ablate_to_zero(name: str, layer: str) -> None:
    assert seen_at(name, layer, SMALL)[0].min() == 0
    with torch.no_grad():
        y = network(name)(SMALL)[0].max()
    # Theirs divides by y, ours by |y|: a negative score would turn their map round.
    equal(ours(name, layer, ll.ablationcam, SMALL), y.sign() * pytorch_grad_cams(name, layer, AblationCAM, SMALL), 2e-3)


def loop(name: str, layer: str, masks: Callable[[Tensor], Tensor], pictures: Tensor = SMALL) -> Tensor:
    """Score-CAM as algorithm 1 has it, with the given enlarged and normalised maps, picture by picture."""
    A, _ = seen_at(name, layer, pictures)
    S = torch.stack(
        [
            torch.cat([network(name)(part)[:, category] for part in (picture * masks(maps[:, None])).split(64)])
            for picture, maps, category in zip(pictures, A, top(name, pictures), strict=True)
        ]
    )
    return weighted(S.softmax(1), A).detach()


def s(maps: Tensor) -> Tensor:
    low, high = maps.amin((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
    return torch.where(high > low, (maps - low) / (high - low), 0)


def up(maps: Tensor, align_corners: bool = False) -> Tensor:
    return F.interpolate(maps, SMALL.shape[2:], mode="bilinear", align_corners=align_corners)


@pytest.mark.parametrize(
    ("name", "layer"),
    but_proofs(
        [("resnet18", "layer2"), ("lite0", "blocks.3"), ("squeezenet1_1", "features.6")],
        ("resnet18", "layer2"),
        ("lite0", "blocks.3"),
    ),
)
def test_scorecam_is_algorithm_1_and_the_peers_mask_otherwise(name: str, layer: str) -> None:
    with torch.no_grad():
        papers = loop(name, layer, lambda maps: s(up(maps)))
        aligned, enlarged_after = (loop(name, layer, masks) for masks in (lambda m: s(up(m, True)), lambda m: up(s(m))))
        equal(ours(name, layer, ll.scorecam, SMALL), papers, 1e-5)
        equal(pytorch_grad_cams(name, layer, ScoreCAM, SMALL), aligned, 1e-5)
        equal(torchcams(name, layer, torchcam.methods.ScoreCAM, SMALL).relu(), enlarged_after.relu(), 1e-5)
