"""What a torchvision, torchcam or captum user tries first works, or says what to type instead."""

import copy
from functools import cache
from typing import Any

import pytest
import torch
import torchvision
from PIL import Image
from torch import nn
from torchvision import transforms as v1
from torchvision.models import ResNet18_Weights
from torchvision.models.detection import FasterRCNN_MobileNet_V3_Large_320_FPN_Weights as DetectorWeights
from torchvision.models.segmentation import DeepLabV3_ResNet50_Weights
from torchvision.transforms import v2

import lessons_lib as ll
from lessons_lib.core.engine.hooks import hooked
from lessons_lib.core.preprocess import preprocess_of


@cache
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(6, 8, 3, 2, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    ).eval()


@cache
def batch() -> torch.Tensor:
    return torch.randn(2, 3, 32, 24, generator=torch.Generator().manual_seed(1))


def values(target: Any, **options: Any) -> list[torch.Tensor]:
    return [heat.values for heat in ll.explain(network(), batch(), target, **options)]


@pytest.mark.parametrize("target", [2, torch.tensor([2, 2]), [2, 2], lambda output: output[2], ll.ClassScore(2)])
def test_a_class_is_asked_for_by_its_index_in_any_form(target: Any) -> None:
    expected = [heat.values for heat in ll.explain(network(), batch(), ll.ClassScore(2), layer="3")]
    assert all(torch.equal(*pair) for pair in zip(values(target, layer="3"), expected, strict=True))


def test_each_picture_of_a_batch_has_its_own_class() -> None:
    both = values(torch.tensor([0, 3]), layer="3")
    assert torch.equal(both[0], values(0, layer="3")[0]) and torch.equal(both[1], values(3, layer="3")[1])


def test_a_class_is_asked_for_by_its_name() -> None:
    model = ll.Explainable(network(), layer="3", categories=("ant", "bee", "cat", "dog"))
    (named, _), (counted, _) = ll.explain(model, batch(), "cat"), ll.explain(model, batch(), 2)
    assert torch.equal(named.values, counted.values) and named.words.startswith("cat, score ")
    with pytest.raises(ValueError, match="There is no class 'cta'; near it: cat"):
        ll.explain(model, batch(), "cta")


def test_a_heatmap_knows_its_logit_and_its_words_the_probability() -> None:
    model = ll.Explainable(network(), categories=("ant", "bee", "cat", "dog"), probability=lambda row: row.softmax(0))
    (heat, _) = ll.explain(model, batch(), "cat", layer="3")
    logits = network()(batch()).detach()[0]
    assert heat.score == pytest.approx(logits[2].item(), abs=1e-6)
    assert heat.words == f"cat, probability {logits.softmax(0)[2]:.2f}"
    assert repr(heat) == f"Heatmap({heat.words}, score {heat.score:.2f} · gradcam at 3 · 8 × 6)"


@pytest.mark.slow
def test_a_heatmap_shows_itself() -> None:
    (heat, _) = ll.explain(network(), batch(), 1, layer="3")
    data, metadata = heat._repr_mimebundle_()
    assert data["text/plain"] == heat.describe() == metadata["image/jpeg"]["alt"]
    assert data == heat.show()._repr_mimebundle_()[0]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("gradcam", "gradcam"),
        ("cam", "cam"),
        ("GradCAM++", "gradcam_plus_plus"),
        ("Grad-CAM ++", "gradcam_plus_plus"),
        ("Score-CAM", "scorecam"),
        ("x grad-cam", "xgradcam"),
        ("layer cam", "layercam"),
        ("my own Layer-CAM of that paper", "layercam"),
        ("saliency", "gradcam"),
    ],
)
def test_the_name_of_a_method_leads_to_the_function(given: str, meant: str) -> None:
    with pytest.raises(TypeError, match=rf"give `method=ll\.{meant}`, without quotes"):
        ll.explain(network(), batch(), method=given)  # type: ignore[call-overload]
    assert callable(getattr(ll, meant))
    with pytest.raises(TypeError, match=r"A method is a function such as `ll\.gradcam`, not 3"):
        ll.explain(network(), batch(), method=3)  # type: ignore[call-overload]


@pytest.mark.parametrize(("given", "meant"), [("GradCAM", "gradcam"), ("GradCAMPlusPlus", "gradcam_plus_plus")])
def test_the_classes_of_other_packages_lead_to_a_name_of_ours(given: str, meant: str) -> None:
    with pytest.raises(AttributeError, match=f"lessons_lib has no '{given}'; near it: {meant}"):
        getattr(ll, given)


PRESETS: dict[str, tuple[Any, ll.Preprocess]] = {
    "classification": (ResNet18_Weights.DEFAULT.transforms(), ll.Preprocess(256, 224)),
    "segmentation": (DeepLabV3_ResNet50_Weights.DEFAULT.transforms(), ll.Preprocess(520)),
    "detection": (DetectorWeights.DEFAULT.transforms(), ll.Preprocess(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))),
    "composed": (
        v1.Compose([v1.Resize(40), v1.CenterCrop((32, 24)), v1.ToTensor(), v1.Normalize([0.5] * 3, [0.25] * 3)]),
        ll.Preprocess(40, (32, 24), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
    ),
    "both sides": (
        v2.Compose([v2.Resize((32, 48)), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]),
        ll.Preprocess((32, 48), None, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    ),
}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_the_same_preprocessing_to_the_pixel(name: str) -> None:
    preset, expected = PRESETS[name]
    read = preprocess_of(preset)
    for own, theirs in zip(vars(read).values(), vars(expected).values(), strict=True):
        assert own == pytest.approx(theirs) if isinstance(own, tuple) else own == theirs
    image = ll.photos.cat().image.crop((0, 0, 90, 60))
    torch.testing.assert_close(read(image), torch.as_tensor(preset(image)).float(), rtol=0, atol=1e-6)


def test_where_a_preset_looks_is_where_the_map_lies() -> None:
    white = Image.new("RGB", (80, 40))
    white.paste("white", (40, 20, 50, 25))
    preset = v1.Compose([v1.Resize((64, 64)), v1.CenterCrop(32), v1.ToTensor()])
    model = ll.Explainable(nn.Sequential(nn.Conv2d(3, 1, 1), nn.Flatten(), nn.Linear(1024, 1)), transform=preset)
    bright = ll.explain(model, white, 0, layer="0", method=lambda seen: seen.inputs.mean(dim=1))
    rows, columns = (bright.on_photo() > 0.5).nonzero()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 24, 40, 49)
    assert bright.region == (20.0, 10.0, 60.0, 30.0)


@pytest.mark.parametrize(
    ("transform", "step"),
    [
        (v1.Compose([v1.RandomResizedCrop(32), v1.ToTensor()]), "The step RandomResizedCrop"),
        (v1.Compose([v1.CenterCrop(32), v1.Resize(16), v1.ToTensor()]), "The step Resize"),
        (v1.Compose([v1.Resize(32, max_size=40), v1.ToTensor()]), "The step Resize"),
        (v1.Compose([v1.Pad(4), v1.ToTensor()]), "The step Pad"),
        (lambda image: torch.zeros(3, 8, 8), "Where on the photo the pixels of a function come from"),
    ],
)
def test_what_has_no_one_place_on_the_photo_is_refused(transform: Any, step: str) -> None:
    with pytest.raises(TypeError, match=rf"{step}.*give `ll\.Preprocess\(resize=…, crop=…, mean=…, std=…\)`"):
        ll.Explainable(network(), transform=transform)


@pytest.mark.slow
def test_boxes_take_what_explain_takes() -> None:
    torch.manual_seed(0)
    detector = torchvision.models.detection.fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None)
    pictures = torch.rand(2, 3, 60, 90)
    one, two = ll.boxes(detector, pictures, threshold=0.0)
    with torch.no_grad():
        found = detector.eval()(list(pictures))
    for boxes, output in zip((one, two), found, strict=True):
        assert [box.edges for box in boxes] == [pytest.approx(edges, abs=1e-3) for edges in output["boxes"].tolist()]
    scene, model = ll.collage.scene(3), ll.models.detector()
    assert ll.boxes(model, scene.image) == ll.boxes(model, scene)
    assert repr(ll.boxes(model, [scene, scene])) == repr([ll.boxes(model, scene)] * 2)


def test_several_layers_come_from_one_run_and_are_the_maps_of_each_alone() -> None:
    runs: list[None] = []
    names = ["1", "0", "3"]  # in any order
    ll.at_layers(network(), batch(), [1, 2], layers=names)  # a network that is new is followed in a run of its own
    with hooked([network()], after=lambda *_: runs.append(None)):
        maps = ll.at_layers(network(), batch(), [1, 2], layers=names)
    assert len(runs) == 1
    for name, heats in zip(names, maps, strict=True):
        alone = ll.explain(network(), batch(), [1, 2], layer=name)
        for heat, one in zip(heats, alone, strict=True):
            assert heat.layer == name
            torch.testing.assert_close(heat.values, one.values)
    fused = ll.explain(network(), batch(), [1, 2], layer=names)
    for first, *others in zip(fused, *maps, strict=True):
        assert torch.equal(first.values, ll.fuse(others).values)


def test_records_and_targets_have_one_line() -> None:
    model = ll.Explainable(copy.deepcopy(network()), layer="3", transform=ResNet18_Weights.DEFAULT.transforms())
    assert repr(model) == "Explainable(Sequential, layer 3, resize 256, crop 224, 0 categories)"
    assert (
        repr(ll.Explainable(network()))
        == "Explainable(Sequential, layer chosen when it runs, takes tensors only, 0 categories)"
    )
    assert repr(ll.BoxScore(1, "rocket")) == "BoxScore(box=1, category='rocket')"


def test_what_a_lesson_uses_is_named() -> None:
    assert {"Explainable", "Preprocess", "Photo", "Target", "collage", "metrics"} <= set(ll.__all__)
    assert all(hasattr(ll, name) for name in ll.__all__)
