"""Which layer, which reshape: vision transformers of torchvision and timm at full size, with nothing said by hand."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import timm
import torch
import torchvision
from heavy import but_proofs
from pytorch_grad_cam import GradCAM as PytorchGradCam
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

import lessons_lib as ll
from lessons_lib.core.engine import detectors
from lessons_lib.core.engine.places import layouts
from lessons_lib.core.layers.listing import Candidate, Candidates
from lessons_lib.core.records import Explainable

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Case:
    """A network, its input's size, the default layer's name, and the reshape that a user of pytorch-grad-cam writes."""

    make: str
    options: dict[str, Any]
    size: tuple[int, int]
    layer: str
    reshape: Callable[[Tensor], Tensor] | None


def grid(rows: int, columns: int, special: int) -> Callable[[Tensor], Tensor]:
    return lambda x: x[:, special:].reshape(len(x), rows, columns, -1).permute(0, 3, 1, 2)


def channels_last(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)


CASES = [
    Case(
        "torchvision vit_b_16", {"image_size": 112}, (112, 112), "encoder.layers.encoder_layer_11.ln_1", grid(7, 7, 1)
    ),
    Case("torchvision swin_t", {}, (128, 96), "features", channels_last),
    Case("torchvision swin_v2_t", {}, (128, 96), "features", channels_last),
    Case("torchvision maxvit_t", {}, (224, 224), "blocks.3", None),
    Case("timm deit_tiny_patch16_224", {}, (224, 224), "blocks.11.norm1", grid(14, 14, 1)),
    Case("timm deit_tiny_distilled_patch16_224", {}, (224, 224), "blocks.11.norm1", grid(14, 14, 2)),
    Case(
        "timm vit_small_patch14_reg4_dinov2",
        {"img_size": (112, 84), "num_classes": 10},
        (112, 84),
        "blocks.11.norm1",
        grid(8, 6, 5),
    ),
    Case("timm swin_tiny_patch4_window7_224", {}, (224, 224), "layers", channels_last),
    Case("timm swinv2_tiny_window8_256", {}, (256, 256), "layers", channels_last),
    Case("timm maxvit_rmlp_pico_rw_256", {}, (256, 256), "stages", None),
    Case("timm convnext_tiny", {}, (96, 128), "stages", None),
]

NORMED = ("swin", "rmlp")  # their maps go through a norm, and are averaged then
HEAVY = [case for case in CASES if "dinov2" not in case.make]  # one that is not square and has registers remains


def built(case: Case) -> nn.Module:
    torch.manual_seed(5)
    library, name = case.make.split()
    if library == "timm":
        network = timm.create_model(name, pretrained=False, **case.options)
    else:
        network = torchvision.models.get_model(name, weights=None, **case.options)
    heads = [module for module in network.modules() if isinstance(module, nn.Linear)]
    for head in heads[-2:]:  # torchvision's ViT begins with a head of zeros; a distilled DeiT has two heads
        nn.init.normal_(head.weight, std=1.0)
    return network.eval()


@pytest.mark.parametrize("case", but_proofs(CASES, *HEAVY), ids=[case.make for case in CASES])
def test_a_network_that_was_never_heard_of_is_explained_and_equals_pytorch_grad_cam(case: Case) -> None:
    network, batch = built(case), torch.randn(2, 3, *case.size, generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        logits = network(batch)
    classes = logits.argmax(1).tolist()
    heats = ll.explain(network, batch)  # no layer, no reshape, no class
    assert [heat.layer for heat in heats] == [case.layer] * 2
    why = (
        "the last before the norm that ends the network"
        if any(kind in case.make for kind in NORMED)
        else "the last that has a say"
    )
    assert all(heat.describe().endswith(f"layer {case.layer}, {why}") for heat in heats)
    layer = network.get_submodule(case.layer)
    targets = [ClassifierOutputTarget(category) for category in classes]
    with PytorchGradCam(network, [layer], reshape_transform=case.reshape) as peer:
        peer(batch, targets)
        A, g = peer.activations_and_grads.activations[0], peer.activations_and_grads.gradients[0]
        raw = torch.from_numpy(peer.get_cam_image(batch, layer, targets, A.numpy(), g.numpy()))
    for heat, theirs in zip(heats, raw, strict=True):
        assert heat.values.abs().max() > 0
        torch.testing.assert_close(
            heat.values / heat.values.abs().max(), theirs / theirs.abs().max(), rtol=0, atol=1e-4
        )


def test_the_list_names_each_layer_once_with_its_maps_and_its_gradient() -> None:
    torch.manual_seed(0)
    network = torchvision.models.resnet18(weights=None).eval()
    found = ll.layers(network, torch.randn(2, 3, 64, 96))
    names = [candidate.layer for candidate in found]
    assert len(names) == len(set(names))
    assert names[0] == "conv1"
    assert names[-1] == "layer4"  # and not layer4.1, which emits the same tensor, nor the 1 × 1 after pooling
    assert found[-1].maps == (512, 2, 3)
    assert not any(name.endswith("relu") and name != "relu" for name in names)  # a block's ReLU runs twice
    first, *_, last = repr(found).splitlines()
    assert first.split() == ["layer", "C", "×", "H", "×", "W", "read", "as", "gradient"]
    assert last.split() == ["layer4", "512", "×", "2", "×", "3", "nchw", "yes"]


def test_the_list_is_printed_as_a_table_that_tells_where_the_gradient_is_zero() -> None:
    found = Candidates([Candidate("a", (512, 7, 7), "nchw", True), Candidate("blocks.3", (8, 14, 9), "tokens", False)])
    assert repr(found).splitlines() == [
        "layer     C × H × W    read as  gradient",
        "a         512 × 7 × 7  nchw     yes",
        "blocks.3  8 × 14 × 9   tokens   zero",
    ]


def test_a_tensor_that_is_changed_in_place_counts_from_the_last_layer_that_changes_it() -> None:
    # One block in the last stage: `x += shortcut; relu_(x)`, so the stage emits the tensor that bn2 made before the
    # shortcut was computed.
    torch.manual_seed(0)
    network = timm.create_model("resnet10t", pretrained=False).eval()
    names = [candidate.layer for candidate in ll.layers(network, torch.randn(1, 3, 64, 64))]
    assert names[-2:] == ["layer4.0.downsample", "layer4"]


@pytest.fixture(scope="module")
def vit() -> Explainable:
    return ll.models.vit()


@pytest.fixture(scope="module")
def scene() -> ll.photos.Photo:
    return ll.collage.scene(2, count=2)


def test_after_the_last_block_of_a_vit_the_patches_gradient_is_exactly_zero(
    vit: Explainable, scene: ll.photos.Photo
) -> None:
    found = {candidate.layer: candidate for candidate in ll.layers(vit, scene)}
    for layer in ("encoder.layers", "encoder"):  # the last block's output, and the norm behind it
        assert not found[layer].gradient
        seen = ll.capture.run(vit.network, vit.transform(scene.image)[None], layer)
        seen = seen.scored(seen.output[:, 0])
        assert not seen.gradients.any()  # every patch, every channel: zero, not small
        raw = seen.question.gradients[id(seen.emission.emitted)]
        assert raw[:, 0].any()  # all that the head reads is the class token
    names = [name for name, candidate in found.items() if candidate.gradient]
    assert names[-1] == "encoder.layers.encoder_layer_5.ln_1"


def test_after_the_last_block_of_a_global_pooled_vit_it_is_not_zero() -> None:
    torch.manual_seed(0)
    network = timm.models.VisionTransformer(
        img_size=(32, 48), patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=4, class_token=False,
        global_pool="avg",
    )  # fmt: skip
    (heat,) = ll.explain(network.eval(), torch.randn(1, 3, 32, 48))
    assert heat.layer == "blocks"
    assert heat.values.shape == (4, 6)
    assert (heat.values != 0).all()


def test_a_map_behind_the_last_block_is_told_as_blank_with_the_way_out(
    vit: Explainable, scene: ll.photos.Photo
) -> None:
    with pytest.warns(UserWarning, match=r"zero everywhere at encoder\.ln; choose an earlier layer"):
        ll.explain(vit, scene, layer="encoder.ln")


def test_the_same_map_for_every_class_is_what_eigencam_gives_and_gradcam_does_not(
    vit: Explainable, scene: ll.photos.Photo
) -> None:
    for method, same in ((ll.eigencam, True), (ll.gradcam, False), (ll.layercam, False)):
        cat, rocket = ll.explain(vit, scene, [ll.ClassScore("cat"), ll.ClassScore("rocket")], method=method)
        assert torch.allclose(cat.values, rocket.values) is same


@pytest.mark.filterwarnings("ignore:The map for 'cat")  # asked of every scene, and not every scene shows one
def test_every_picture_of_a_batch_gets_its_own_map(vit: Explainable) -> None:
    scenes = [ll.collage.scene(seed) for seed in (1, 2, 3)]
    aims = [ll.ClassScore(kind) for kind in ("cat", "rocket", "cat")]
    for scene, aim, heat in zip(scenes, aims, ll.explain(vit, scenes, aims), strict=True):
        torch.testing.assert_close(heat.values, ll.explain(vit, scene, aim).values, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "before", "answer"),
    [
        pytest.param("deeplabv3_resnet50", "classifier.3", "classifier", marks=pytest.mark.proof),
        pytest.param("fcn_resnet50", "classifier.2", "classifier", marks=pytest.mark.proof),
        ("lraspp_mobilenet_v3_large", "classifier.cbr", "classifier.high_classifier"),
    ],
)
def test_what_a_segmentation_answers_is_not_what_speaks_for_it(name: str, before: str, answer: str) -> None:
    torch.manual_seed(0)
    network = getattr(torchvision.models.segmentation, name)(weights=None, weights_backbone=None).eval()
    picture = torch.randn(3, 64, 96)
    # There, one class's own logits are all that the gradient reaches, whatever the pixel.
    seen = ll.capture.run(network, picture[None], answer)
    seen = seen.scored(seen.output["out"][:, 2, 3, 4])
    assert seen.gradients[0].flatten(1).any(1).nonzero().tolist() == [[2]]
    found = [candidate.layer for candidate in ll.layers(network, picture, lambda output: output["out"][2, 3, 4])]
    assert answer not in found and found[-1] == before
    for target in (ll.PixelScore(3, 4, 2), ll.RegionScore(2, torch.ones(64, 96))):
        found = [candidate.layer for candidate in ll.layers(network, picture, target)]
        assert found[-1] in ("backbone.layer4", "backbone.16")
        assert all(layer.startswith("backbone.") for layer in found)


@pytest.mark.proof
@pytest.mark.parametrize(
    "name",
    ["fasterrcnn_resnet50_fpn", "retinanet_resnet50_fpn_v2", "fcos_resnet50_fpn", "ssdlite320_mobilenet_v3_large"],
)
def test_a_detectors_box_is_explained_in_its_backbone_at_the_level_that_it_is_read_from(name: str) -> None:
    torch.manual_seed(0)
    sizes = {} if name.startswith("ssd") else {"min_size": 96, "max_size": 160}
    network = getattr(torchvision.models.detection, name)(weights=None, weights_backbone=None, **sizes).eval()
    for head in detectors.heads(network):
        head.score_thresh = 1e-4  # at random weights no score is high
    picture = torch.rand(3, 96, 130)
    for target in (ll.BoxScore(0), ll.BoxEdge(0), ll.Difference(ll.BoxScore(0), ll.BoxScore(1))):
        found = ll.layers(network, picture, target)
        assert found and all(candidate.layer.startswith("backbone.") for candidate in found)
        assert ll.explain(network, picture, target, method=ll.hirescam).values.any()


def test_windows_are_no_pictures() -> None:
    torch.manual_seed(0)
    network = timm.create_model("swin_tiny_patch4_window7_224", pretrained=False).eval()
    with pytest.raises(ValueError, match=r"64 × 49 × 96, and these are windows or regions"):
        ll.explain(network, torch.randn(1, 3, 224, 224), layer="layers.0.blocks.0.attn")


def test_a_network_without_maps_gets_a_sentence() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    with pytest.raises(ValueError, match=r"No layer of this Sequential emits maps .* it has 0, 1\."):
        ll.explain(network, torch.randn(1, 3, 4, 4))


def test_a_head_of_zeros_is_told_apart_from_a_network_without_maps() -> None:
    network = torchvision.models.vit_b_32(weights=None, image_size=64).eval()  # torchvision's head begins with zeros
    assert len(ll.layers(network, torch.randn(1, 3, 64, 64))) > 50
    with pytest.raises(ValueError, match=r"zero at every layer of this VisionTransformer.* Load trained weights"):
        ll.explain(network, torch.randn(1, 3, 64, 64))


class Lost(nn.Module):
    """Patches that go through an operation of which it is not known what it does to places, then through layers."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 4, 8, stride=8)
        self.blocks = nn.Sequential(*[nn.LayerNorm(4) for _ in range(blocks)])
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).mT.sort(dim=1).values
        answer: Tensor = self.head(self.blocks(tokens).mean(dim=1))
        return answer


def test_where_nearly_all_layers_are_lost_no_early_one_is_taken_without_a_word() -> None:
    torch.manual_seed(0)
    network, picture = Lost(10).eval(), torch.rand(1, 3, 32, 48)
    with pytest.raises(ValueError) as raised:
        ll.explain(network, picture, 0)
    assert str(raised.value) == (
        "Of the layers of this Lost only 1 can be followed to places in the picture, the last one 'patches', and 10 "
        "can't. Name it, `layer='patches'`, if it is the one you mean; or name one of the others, such as 'blocks', "
        "and say with a layout in the model's record how its output becomes maps N × C × H × W, "
        "`ll.Explainable(network, layout=…)`."
    )
    (early,) = ll.explain(network, picture, 0, layer="patches")
    assert early.values.shape == (4, 6)

    def laid(emitted: Tensor) -> Tensor:
        return emitted if emitted.ndim == 4 else emitted.mT.unflatten(2, (4, 6))

    for layer in ("blocks", None):
        (late,) = ll.explain(ll.Explainable(network, layout=laid), picture, 0, layer=layer)
        assert (late.layer.partition(".")[0], late.values.shape) == ("blocks", (4, 6))


def test_a_few_lost_layers_behind_those_that_are_followed_are_let_be() -> None:
    torch.manual_seed(0)
    (heat,) = ll.explain(Lost(9).eval(), torch.rand(1, 3, 32, 48), 0)
    assert (heat.layer, heat.chosen) == ("patches", "the last that has a say and can be followed")
    assert len(ll.layers(Lost(10).eval(), torch.rand(1, 3, 32, 48), 0)) == 1


def test_a_layout_of_the_users_is_listed_by_its_name_and_one_without_a_name_as_their_own() -> None:
    class Laid:
        def __call__(self, emitted: Tensor) -> Tensor:
            return layouts.nchw(emitted)

    for layout, name in (
        (layouts.nchw, "nchw"),
        (partial(layouts.nchw), "nchw"),
        (lambda x: x, "<lambda>"),
        (Laid(), "own layout"),
    ):
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
        (found, *_) = ll.layers(ll.Explainable(network, layout=layout), torch.rand(1, 3, 8, 8), 0)
        assert (found.layer, found.read_as) == ("0", name)


def test_an_answer_that_is_enlarged_smoothly_is_still_the_answer() -> None:
    """Each number of it is read from more cells than four, and still the asked class's logits alone are reached."""
    torch.manual_seed(0)
    logits = nn.Conv2d(6, 5, 1)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=4), nn.ReLU(), logits, nn.Upsample(scale_factor=4, mode="bicubic")
    )
    target = lambda output: output[2].mean()  # noqa: E731
    assert [one.layer for one in ll.layers(network.eval(), torch.rand(1, 3, 32, 48), target)] == ["0", "1"]
