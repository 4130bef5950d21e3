"""Grad-CAM equals pytorch-grad-cam's, torchcam's and captum's on real architectures, and where a peer departs, why.

Maps are compared before any resizing, each divided by its own largest value, to 1e-4. Where the peers' own ways end:

- pytorch-grad-cam 1.5.7 returns stretched and resized maps, so its raw map is taken from `get_cam_image`; what it
  returns is compared in a test of its own.
- torchcam 0.5.0 applies the ReLU before it hands the map over, with `normalized=False` too, so ours is taken after it.
- captum 0.9.0 hands over the raw signed map.
"""

from collections.abc import Callable, Iterator
from functools import cached_property

import pytest
import torch
import torchvision
from captum.attr import LayerGradCam
from heavy import but_proofs
from pytorch_grad_cam import GradCAM as PytorchGradCam
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torch.nn import functional as F
from torchcam.methods import GradCAM as TorchCam

import lessons_lib as ll
from lessons_lib.core.engine.captured import Captured

pytestmark = pytest.mark.slow

# The last stage with rows and columns that nothing behind it overwrites. DenseNet's `features` is overwritten by an
# in-place ReLU: see `test_a_layer_with_an_in_place_relu_behind_it`.
NETWORKS = {
    "resnet18": "layer4",
    "vgg16": "features",
    "mobilenet_v3_large": "features",
    "densenet121": "features.denseblock4",
    "efficientnet_b0": "features",
    "convnext_tiny": "features",
    "googlenet": "inception5b",
}


class Case:
    """A network with random weights, two pictures of 192 × 256 and a class for each; every map is made once."""

    def __init__(self, name: str, layer: str):
        torch.manual_seed(4)
        settings = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
        self.network = torchvision.models.get_model(name, weights=None, num_classes=10, **settings).eval()
        self.name, self.layer = name, layer
        self.module = self.network.get_submodule(layer)
        self.batch = torch.randn(2, 3, 192, 256)
        head = [module for module in self.network.modules() if isinstance(module, nn.Linear)][-1]
        with torch.no_grad():
            head.bias.zero_()
            first, second = logits = self.network(self.batch)
            # Random logits are tiny: their maps would drown in pytorch-grad-cam's epsilon.
            head.weight.mul_(10 / logits.std())
        # High logits, for maps with a positive part, and two classes.
        ranked = second.argsort(descending=True).tolist()
        self.classes = [int(first.argmax()), next(category for category in ranked if category != first.argmax())]
        targets = [ll.ClassScore(category) for category in self.classes]
        heats = ll.explain(self.network, self.batch, targets, layer=layer, method=self.watched)
        self.ours = torch.stack([heat.values for heat in heats])

    def watched(self, seen: Captured) -> Tensor:
        self.seen = seen
        return ll.gradcam(seen)

    @cached_property
    def pytorch_grad_cam(self) -> tuple[Tensor, Tensor]:
        """Its raw map, and what it returns."""
        targets = [ClassifierOutputTarget(category) for category in self.classes]
        with PytorchGradCam(self.network, [self.module]) as peer:
            returned = peer(self.batch, targets)
            A, g = peer.activations_and_grads.activations[0], peer.activations_and_grads.gradients[0]
            raw = peer.get_cam_image(self.batch, self.module, targets, A.numpy(), g.numpy())
        return torch.from_numpy(raw), torch.from_numpy(returned)

    @cached_property
    def torchcam(self) -> Tensor:
        with TorchCam(self.network, self.layer) as peer:
            return peer(self.classes, self.network(self.batch), normalized=False)[0]

    @cached_property
    def captum(self) -> Tensor:
        peer = LayerGradCam(self.network, self.module)
        return peer.attribute(self.batch, target=torch.tensor(self.classes))[:, 0].detach()


@pytest.fixture(scope="module", params=but_proofs(NETWORKS, "vgg16", "convnext_tiny", "densenet121"))
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    yield Case(request.param, NETWORKS[request.param])


def same(mine: Tensor, theirs: Tensor) -> bool:
    assert theirs.abs().amax(dim=(1, 2)).min() > 0, "a blank map proves nothing"
    return mine.shape == theirs.shape and bool((scaled(mine) - scaled(theirs)).abs().max() <= 1e-4)


def scaled(maps: Tensor) -> Tensor:
    return maps / maps.abs().amax(dim=(1, 2), keepdim=True)


def weighted(alpha: Tensor, A: Tensor) -> Tensor:
    return (alpha[:, :, None, None] * A).sum(dim=1)


def test_equals_pytorch_grad_cam(case: Case) -> None:
    assert same(case.ours, case.pytorch_grad_cam[0])


def test_equals_torchcam(case: Case) -> None:
    assert same(case.ours.relu(), case.torchcam)


def test_equals_captum(case: Case) -> None:
    assert same(case.ours, case.captum)


def test_the_maps_are_worth_comparing(case: Case) -> None:
    """A flat map, or one that is the same for both pictures, would be equal for the wrong reasons."""
    assert case.ours.amax(dim=(1, 2)).min() > 0
    assert scaled(case.ours).std(dim=(1, 2)).min() > 0.02
    assert (scaled(case.ours)[0] - scaled(case.ours)[1]).abs().max() > 0.02


NOT_POOLED = ("vgg16", "densenet121")

MUTANTS: dict[str, Callable[[Captured], Tensor]] = {
    "max for mean": lambda seen: weighted(seen.gradients.amax(dim=(2, 3)), seen.activations),
    "absolute gradient": lambda seen: weighted(seen.gradients.abs().mean(dim=(2, 3)), seen.activations),
    "transposed": lambda seen: ll.gradcam(seen).mT,
    "rows read as columns": lambda seen: ll.gradcam(seen).mT.reshape(ll.gradcam(seen).shape),
    "the other picture's weights": lambda seen: weighted(seen.gradients.mean(dim=(2, 3)).flip(0), seen.activations),
    "the first picture's map for all": lambda seen: ll.gradcam(seen)[:1].expand(2, -1, -1),
}


def test_a_spoilt_gradcam_would_be_noticed(case: Case) -> None:
    """Every mistake is noticed on every network, but for one: where pooling follows, the mean *is* the maximum."""
    noticed = {name for name, mutant in MUTANTS.items() if not same(mutant(case.seen), case.captum)}
    assert noticed == set(MUTANTS) - (set() if case.name in NOT_POOLED else {"max for mean"})


def test_what_pytorch_grad_cam_returns(case: Case) -> None:
    """Behind the ReLU it subtracts the smallest value, divides by (largest + 1e-7), resizes, and does both once more.

    `Heatmap.normalised` subtracts nothing, so that zero still means that nothing speaks for the class, and has no
    epsilon, so that a network with small logits does not get a dim map.
    """

    def stretched(maps: Tensor) -> Tensor:
        above = maps - maps.amin(dim=(1, 2), keepdim=True)
        return above / (above.amax(dim=(1, 2), keepdim=True) + 1e-7)

    small = stretched(case.ours.relu())
    large = F.interpolate(small[:, None], size=(192, 256), mode="bilinear", align_corners=False)[:, 0]
    returned = case.pytorch_grad_cam[1]
    assert returned.shape == large.shape
    assert (stretched(large) - returned).abs().max() <= 1e-4


@pytest.mark.proof
def test_a_layer_with_an_in_place_relu_behind_it() -> None:
    """DenseNet runs `relu(features(x), inplace=True)`, which overwrites the tensor that a forward hook has kept.

    Ours and captum's send a copy on and are right. pytorch-grad-cam multiplies the gradient before the ReLU with the
    activations behind it; torchcam takes both behind it, which is the ReLU's Grad-CAM and not the layer's.
    """
    case = Case("densenet121", "features")
    before = case.network.features(case.batch).detach().requires_grad_()
    behind = before.relu()
    scores = case.network.classifier(F.adaptive_avg_pool2d(behind, 1).flatten(1))
    score = scores[0, case.classes[0]] + scores[1, case.classes[1]]
    g_before, g_behind = (g.mean(dim=(2, 3)) for g in torch.autograd.grad(score, [before, behind]))
    A_before, A_behind = before.detach(), behind.detach()

    truth = weighted(g_before, A_before)
    assert same(case.ours, truth)
    assert same(case.captum, truth)
    assert same(case.pytorch_grad_cam[0], weighted(g_before, A_behind))
    assert same(case.torchcam, weighted(g_behind, A_behind).relu())
    assert not same(case.pytorch_grad_cam[0], truth)
    assert not same(case.torchcam, truth.relu())
