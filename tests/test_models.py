"""The records: embedded networks that see what they should, and the full-size ones up to the download."""

from typing import Any
from urllib.error import URLError

import pytest
import torch
from heavy import but_proofs
from PIL import Image
from torch import Tensor, nn

from lessons_lib import models, photos
from lessons_lib.core.engine import capture
from lessons_lib.core.explain import explain
from lessons_lib.core.targets import ClassScore
from lessons_lib.models import networks
from lessons_lib.photos.collage import KINDS, Scene, Scenes

pytestmark = pytest.mark.slow

FULL_SIZE = ("resnet50", "fasterrcnn", "deeplabv3", "vit_b_16", "swin_t")


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scenes(1, seed=4_100_000, kinds=["cat", "rocket"], count=2).scene(0)


@pytest.fixture(scope="module")
def detector() -> models.Explainable:
    return models.detector()


@pytest.fixture(scope="module")
def segmenter() -> models.Explainable:
    return models.segmenter()


def seen_by(network: nn.Module, layer: str, batch: Any) -> Tensor:
    """Return what enters `layer` when the network runs on `batch`."""
    inputs: list[Tensor] = []
    handle = network.get_submodule(layer).register_forward_pre_hook(lambda module, given: inputs.append(given[0]))
    with torch.inference_mode():
        network(batch)
    handle.remove()
    return inputs[0]


@pytest.mark.parametrize(("name", "grid"), [("vit", (14, 14)), ("flat_cnn", (14, 14))])
def test_a_classifier_explains_a_scene_on_its_grid(name: str, grid: tuple[int, int], scene: Scene) -> None:
    model = getattr(models, name)()
    heat = explain(model, scene, ClassScore("rocket"))
    assert heat.values.shape == grid
    assert heat.region == (0, 0, 224, 224)
    assert float(heat.words.removeprefix("rocket, probability ")) > 0.9
    assert explain(model, scene, ClassScore("motorcycle")).score < -2  # a logit: probability below 0.12


def test_swin_explains_a_scene_on_the_grid_of_its_layer(scene: Scene) -> None:
    model = models.swin()
    heat = explain(model, scene, ClassScore("rocket"))
    seen = capture.run(model.network, model.transform(scene.image)[None], model.layer, model.layout)  # type: ignore[misc, arg-type]
    assert heat.values.shape == seen.activations.shape[2:]
    assert float(heat.words.removeprefix("rocket, probability ")) > 0.9


def test_the_detector_names_the_objects_of_a_scene(detector: models.Explainable, scene: Scene) -> None:
    with torch.inference_mode():
        (found,) = detector.network(detector.transform(scene.image)[None])  # type: ignore[misc]
    sure = found["labels"][found["scores"] > 0.5]
    assert sorted(detector.categories[label] for label in sure) == ["cat", "rocket"]


def test_the_detector_normalises_once_and_does_not_resize(detector: models.Explainable) -> None:
    for value, expected in ((0, -1.0), (255, 1.0)):
        picture = Image.new("RGB", (224, 224), (value, value, value))
        batch = detector.transform(picture)[None]  # type: ignore[misc]
        entered = seen_by(detector.network, "backbone.body.conv_stem", batch)
        assert torch.equal(entered, torch.full((1, 3, 224, 224), expected))


def test_the_segmenter_and_the_classifiers_see_the_same_range(segmenter: models.Explainable) -> None:
    picture = Image.new("RGB", (224, 224), (255, 0, 255))
    entered = seen_by(segmenter.network, "backbone.body.conv_stem", segmenter.transform(picture)[None])  # type: ignore[misc]
    assert torch.equal(entered[0, :, 0, 0], torch.tensor([1.0, -1.0, 1.0]))


def test_the_detector_takes_a_batch_tensor_as_a_list(detector: models.Explainable, scene: Scene) -> None:
    batch = torch.stack([detector.transform(scene.image), detector.transform(photos.cat().image)])  # type: ignore[misc]
    with torch.inference_mode():
        together, listed = detector.network(batch), detector.network(list(batch))
    for one, other in zip(together, listed, strict=True):
        assert torch.equal(one["boxes"], other["boxes"])
        assert torch.equal(one["scores"], other["scores"])


def test_every_box_depends_on_the_detectors_default_layer(detector: models.Explainable, scene: Scene) -> None:
    batch = detector.transform(scene.image)[None]  # type: ignore[misc]
    for box in range(2):
        seen = capture.run(detector.network, batch, detector.layer)  # type: ignore[arg-type]
        seen = seen.scored(seen.output[0]["scores"][box : box + 1])
        assert seen.gradients.abs().max() > 0


def test_the_segmenter_colours_the_scene_as_it_is(segmenter: models.Explainable, scene: Scene) -> None:
    with torch.inference_mode():
        out = segmenter.network(segmenter.transform(scene.image)[None])["out"]  # type: ignore[misc]
    guess, truth = out.argmax(1)[0], torch.as_tensor(scene.label_map)
    assert out.shape == (1, 1 + len(KINDS), 224, 224)
    for kind in scene.labels + 1:
        assert (guess[truth == kind] == kind).float().mean() > 0.85
    assert segmenter.categories[0] == "background"


def test_frozen_stages_are_those_of_the_imagenet_model_and_stay_in_eval_mode() -> None:
    lite0 = models.imagenet().network
    network = networks.segmenter(lite0, 6).train()
    body = network.backbone.body
    assert body.blocks is lite0.blocks
    assert not any(module.training for module in body.modules())
    assert not any(parameter.requires_grad for parameter in body.parameters())
    assert network.classifier.training
    assert all(parameter.requires_grad for parameter in network.classifier.parameters())


def test_the_stages_are_those_of_timms_own_feature_extractor() -> None:
    import timm

    lite0 = models.imagenet().network
    theirs = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=(1, 2, 3, 4)).eval()
    theirs.load_state_dict(lite0.state_dict(), strict=False)
    x = torch.randn(1, 3, 96, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        for ours, other in zip(networks.Stages(lite0)(x).values(), theirs(x), strict=True):
            assert torch.equal(ours, other)


@pytest.mark.parametrize(
    ("name", "first", "last", "count"),
    [
        ("resnet50", "tench", "toilet tissue", 1000),
        pytest.param("fasterrcnn", "__background__", "toothbrush", 91, marks=pytest.mark.proof),
        ("deeplabv3", "__background__", "tvmonitor", 21),
        pytest.param("vit_b_16", "tench", "toilet tissue", 1000, marks=pytest.mark.proof),
        ("swin_t", "tench", "toilet tissue", 1000),
    ],
)
def test_full_size_has_torchvisions_categories_a_layer_and_its_preset(
    name: str, first: str, last: str, count: int
) -> None:
    model = models.full_size(name, weights=None)
    assert (model.categories[0], model.categories[-1], len(model.categories)) == (first, last, count)
    assert capture.find(model.network, model.layer)[1] == model.layer  # type: ignore[arg-type]
    assert not any(module.training for module in model.network.modules())


@pytest.mark.parametrize(
    ("name", "grid"),
    [("resnet50", (7, 7)), pytest.param("vit_b_16", (14, 14), marks=pytest.mark.proof), ("swin_t", (7, 7))],
)
def test_full_size_explains_a_photo(name: str, grid: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model = models.full_size(name, weights=None)
    if name == "vit_b_16":
        nn.init.normal_(model.network.heads.head.weight, std=0.02)  # torchvision starts it at zero: no gradient passes
    heat = explain(model, photos.cat(), ClassScore("tabby"))
    assert heat.values.shape == grid
    assert heat.values.std() > 0
    assert heat.words == "tabby, probability below 0.01"
    assert heat.region[2] - heat.region[0] == pytest.approx(heat.region[3] - heat.region[1], abs=1)


def test_full_size_preprocessing_is_torchvisions() -> None:
    from torchvision.models import Swin_T_Weights

    theirs = Swin_T_Weights.DEFAULT.transforms()(photos.cat().image)
    ours = models.full_size("swin_t", weights=None).transform(photos.cat().image)  # type: ignore[misc]
    assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("name", but_proofs(FULL_SIZE, "resnet50", "fasterrcnn", "deeplabv3", "vit_b_16"))
def test_full_size_loads_what_was_downloaded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    published = models.full_size(name, weights=None).network.state_dict()
    asked: dict[str, Any] = {}

    def download(url: str, **options: Any) -> dict[str, Tensor]:
        asked.update(options, url=url)
        return published

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", download)
    torch.manual_seed(2)
    loaded = models.full_size(name).network.state_dict()
    assert all(torch.equal(loaded[key], published[key]) for key in published)
    assert asked["url"].startswith("https://download.pytorch.org/models/")
    assert asked["weights_only"] is True  # no pickle's powers
    assert asked["check_hash"] is True


def test_without_a_network_full_size_says_so_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(url: str, **options: Any) -> dict[str, Tensor]:
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    sentence = (
        r"can't be downloaded from https://.*resnet50.* \(.*not known.*\): connect this machine .* or copy the file"
    )
    with pytest.raises(ConnectionError, match=sentence):
        models.full_size("resnet50")


def test_a_download_that_is_cut_off_says_so_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    import urllib.request

    def refused(*arguments: Any, **options: Any) -> Any:
        raise TimeoutError("timed out")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", refused)
    monkeypatch.setattr(torch.hub, "urlopen", refused)
    with pytest.raises(ConnectionError, match=r"can't be downloaded .*timed out"):
        models.full_size("swin_t")


def test_unknown_names_offer_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no full-size network 'vit'; near it: vit_b_16"):
        models.full_size("vit")
    with pytest.raises(ValueError, match=r"resnet50 has no weights 'IMAGENET1K_V3'; near it: IMAGENET1K_V"):
        models.full_size("resnet50", weights="IMAGENET1K_V3")
    with pytest.raises(ValueError, match=r"No lesson runs on a model 'resnet': choose one of imagenet, detector"):
        models.lesson("resnet")


def test_the_switch_takes_lessons_to_full_size(monkeypatch: pytest.MonkeyPatch) -> None:
    from lessons_lib.models import pretrained

    monkeypatch.delenv("LESSONS_FULL_SIZE", raising=False)
    assert type(models.lesson("imagenet").network).__name__ == "EfficientNet"
    monkeypatch.setenv("LESSONS_FULL_SIZE", "1")
    monkeypatch.setattr(
        pretrained, "_downloaded", lambda entry: models.full_size("resnet50", None).network.state_dict()
    )
    assert type(models.lesson("imagenet").network).__name__ == "ResNet"
