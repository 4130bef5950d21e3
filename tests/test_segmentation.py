"""Why this pixel: a region is the sum of its pixels, every form of output is understood, heat keeps to its object."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from heavy import but_proofs
from PIL import Image
from torch import Tensor, nn
from torchvision.models import segmentation

import lessons_lib as ll
from lessons_lib.core.engine.captured import Captured
from lessons_lib.core.engine.places import layouts
from lessons_lib.core.preprocess import Preprocess
from lessons_lib.core.records import Explainable
from lessons_lib.metrics import tables
from lessons_lib.photos import collage
from tools.recipes import measure

pytestmark = pytest.mark.slow

AS_IS = Preprocess(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
NOISE = np.random.default_rng(0).integers(0, 256, (96, 130, 3), dtype=np.uint8)
PHOTO = ll.photos.Photo(Image.fromarray(NOISE))
FULL_SIZE = ("deeplabv3_resnet50", "fcn_resnet50", "lraspp_mobilenet_v3_large")


@cache
def full_size(name: str) -> Explainable:
    torch.manual_seed(0)
    network = getattr(segmentation, name)(weights=None, weights_backbone=None)
    return Explainable(network.eval(), "backbone", AS_IS, layout=layouts.pyramid)


@pytest.mark.parametrize("name", but_proofs(FULL_SIZE, "deeplabv3_resnet50", "fcn_resnet50"))
def test_a_pixel_and_a_region_reach_the_layer_of_torchvisions_own_networks(name: str) -> None:
    model = full_size(name)
    with torch.no_grad():
        logits = model.network(AS_IS(PHOTO.image)[None])["out"][0]
    top = int(logits[:, 70, 120].argmax())
    mask = np.zeros((96, 130), bool)
    mask[60:, 100:] = True
    pixel, region = ll.explain(model, PHOTO, [ll.PixelScore(70, 120), ll.RegionScore(5, mask)], method=ll.hirescam)
    assert pixel.values.abs().max() > 0
    assert region.values.abs().max() > 0
    assert pixel.region == (0.0, 0.0, 130.0, 96.0)
    assert pixel.words == f"class {top}, score {logits[top, 70, 120]:.2f} at pixel row 71, column 121"
    assert region.words == f"class 5, mean score {logits[5][torch.from_numpy(mask)].mean():.2f} over 9 % of the picture"


def changed_by(seen: Captured) -> Tensor:
    """As a method: how far the maps are from those of a black picture."""
    with torch.no_grad():
        black = ll.capture.run(seen.network, torch.zeros_like(seen.inputs), seen.layer, seen.layout)
    return (seen.activations - black.activations).abs().sum(dim=1)


@pytest.mark.parametrize("name", but_proofs(FULL_SIZE, "deeplabv3_resnet50", "fcn_resnet50"))
def test_the_maps_lie_where_the_photo_made_them(name: str) -> None:
    pixels = np.zeros((96, 130, 3), np.uint8)
    pixels[17:24, 107:114] = 255
    model = full_size(name)
    first = next(module for module in model.network.modules() if isinstance(module, nn.Conv2d))
    dotted = ll.photos.Photo(Image.fromarray(pixels))
    on_photo = ll.explain(model, dotted, ll.PixelScore(0, 0), layer=first, method=changed_by).on_photo()
    rows, columns = np.indices(on_photo.shape)
    assert np.average(columns, weights=on_photo) == pytest.approx(110, abs=2)
    assert np.average(rows, weights=on_photo) == pytest.approx(20, abs=2)


@pytest.mark.parametrize("method", [ll.gradcam, ll.hirescam])
def test_a_region_is_the_sum_of_its_pixels(method: ll.methods.Method) -> None:
    torch.manual_seed(0)
    network = segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None).double()
    picture = torch.rand(3, 40, 56, dtype=torch.float64)
    mask = torch.zeros(40, 56, dtype=torch.bool)
    mask[3:5, 50:53] = mask[30, 7] = True
    pixels = [ll.PixelScore(row, column, 4) for row, column in mask.nonzero().tolist()]
    maps: list[Tensor] = []

    def kept(seen: Captured) -> Tensor:
        maps.append(method(seen))  # before `explain` rounds it to float32
        return maps[-1]

    ll.explain(network, picture, [ll.RegionScore(4, mask), *pixels], layer="backbone.16.0", method=kept)
    assert len(pixels) == 7
    torch.testing.assert_close(maps[0], torch.stack(maps[1:]).sum(dim=0), rtol=1e-9, atol=1e-15)


Y = torch.tensor(
    [[[2.0, -1.0, 0.5], [1.0, 0.0, -2.0]], [[0.0, 5.0, 1.0], [2.0, 6.0, 0.5]], [[1.0, 1.0, 0.0], [0.0, 2.0, 0.0]]]
)


@pytest.mark.parametrize("output", [Y, {"aux": -Y, "out": Y}, (Y, -Y), [Y]])
def test_every_form_of_output_is_understood(output: Any) -> None:
    assert ll.PixelScore(1, 2, 0)(output).item() == -2
    assert ll.PixelScore(0, 1)(output).item() == 5
    assert ll.RegionScore(1, np.array([[True, True, False], [False, False, True]]))(output).item() == 5.5
    assert ll.RegionScore(1)(output).item() == 14.5  # 5 + 1 in the first row, 2 + 6 + 0.5 in the second


def test_a_whole_class_is_settled_in_the_first_run() -> None:
    target = ll.RegionScore(0).settled(Y)
    moved = Y.flip(2)
    assert ll.RegionScore(0)(moved).item() == 2
    assert target(moved).item() == 0.5
    assert ll.PixelScore(0, 0).settled(Y)(-Y).item() == -2


@pytest.mark.parametrize(
    ("target", "output", "kind", "sentence"),
    [
        (
            ll.RegionScore(2),
            Y,
            ValueError,
            "The class 2 is nowhere in this picture: at no pixel is its logit the highest. Choose another class, "
            "or say where with a `mask`.",
        ),
        (
            ll.RegionScore(1, np.zeros((2, 3), bool)),
            Y,
            ValueError,
            "The region holds no pixel: give a mask that is true somewhere.",
        ),
        (
            ll.RegionScore(1, np.ones((4, 3), bool)),
            Y,
            ValueError,
            "The mask is 4 × 3 and the output 2 × 3: bring a mask on the photo to the network's size with "
            "`model.transform.mask(mask)`.",
        ),
        (ll.RegionScore(3), Y, ValueError, "There is no class 3: this model has 3, from 0 to 2."),
        (
            ll.PixelScore(2, 0),
            Y,
            ValueError,
            "There is no pixel at row 2, column 0: the output has 2 rows and 3 columns, numbered from 0.",
        ),
        (
            ll.PixelScore(0, 0),
            {"scores": Y},
            TypeError,
            "A pixel is looked for in C × H × W logits, and this model gives a dict with the keys 'scores': give "
            "a target that picks the number, for example `lambda output: output['scores'][2, 0, 0]`.",
        ),
        (
            ll.PixelScore(0, 0, "cat"),
            Y,
            TypeError,
            "The class 'cat' is a name: look it up first, with `target.on(model)`.",
        ),
    ],
)
def test_sentences(target: Any, output: Any, kind: type[Exception], sentence: str) -> None:
    with pytest.raises(kind) as error:
        target(output)
    assert str(error.value) == sentence


def test_without_a_backbone_the_whole_network_is_looked_at() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1))
    found = ll.layers(network, torch.rand(3, 5, 6, generator=torch.Generator().manual_seed(0)), ll.PixelScore(1, 2, 0))
    assert {one.layer for one in found} == {"0", "1"}


def test_a_class_that_is_nowhere_is_called_by_its_name() -> None:
    scene = collage.scene(1, kinds=["cat"], count=1)
    with pytest.raises(ValueError, match="The class 'rocket' is nowhere in this picture"):
        ll.explain(ll.models.segmenter(), scene, ll.RegionScore("rocket"))


@pytest.mark.parametrize("preprocess", [Preprocess(), Preprocess(resize=60), Preprocess(resize=60, crop=50)])
def test_a_mask_goes_where_the_photo_goes(preprocess: Preprocess) -> None:
    mask = np.zeros((90, 140), bool)
    mask[20:70, 30:100] = True
    painted = Preprocess(preprocess.resize, preprocess.crop, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    seen = painted(Image.fromarray(255 * mask.astype(np.uint8)).convert("RGB"))[0]
    moved = preprocess.mask(mask)
    assert moved.shape == seen.shape
    assert (moved == (seen > 0.5)).float().mean() > 0.98
    assert moved.any()


@pytest.fixture(scope="module")
def table() -> tables.Table:
    return tables.region_maps(ll.models.segmenter(), [measure.ANY.scene(index) for index in range(10)])


@pytest.mark.proof
def test_the_measured_table_holds_on_a_few_of_its_scenes(table: tables.Table) -> None:
    kept = tables.stored("regions")["one to three objects"]
    for method, row in table.items():
        for figure in ("own", "other", "ground", "pixel own", "pixel near"):
            assert row[figure] == pytest.approx(kept[method][figure], abs=0.15), (method, figure)
    assert table["hirescam"]["own"] > 0.7
    assert table["hirescam"]["pixel peak"] > 0.9
    assert table["hirescam"]["pixel near"] > 2 * table["gradcam"]["pixel near"]


def test_the_pixel_deepest_inside_a_mask() -> None:
    mask = np.zeros((9, 12), bool)
    mask[1:8, 4:11] = True
    assert tables.deepest(mask) == (4, 7)
    assert tables.deepest(np.ones((3, 5), bool)) == (1, 1)  # the edge of the picture is an edge


def test_a_region_may_be_read_only_mirrored_or_of_whole_numbers(recwarn: pytest.WarningsRecorder) -> None:
    logits = {"out": torch.arange(24.0).view(2, 3, 4)}
    mask = np.zeros((3, 4), bool)
    mask[0, :2] = True
    mask.flags.writeable = False
    assert ll.RegionScore(1, mask)(logits).item() == 12 + 13
    assert ll.RegionScore(1, mask[:, ::-1])(logits).item() == 14 + 15
    assert ll.RegionScore(1, mask.astype(np.uint8))(logits).item() == 12 + 13
    assert ll.RegionScore(1, torch.tensor(mask.copy()))(logits).item() == 12 + 13
    assert not recwarn
