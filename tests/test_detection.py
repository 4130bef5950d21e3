"""One map for each box: on its own object, in its own place, found again when the network runs again."""

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from heavy import but_proofs
from PIL import Image
from torch import Tensor, nn
from torchvision.models import detection

import lessons_lib as ll
from lessons_lib.core.engine import detectors, rerun
from lessons_lib.core.engine.captured import Captured
from lessons_lib.core.engine.hooks import hooked
from lessons_lib.core.engine.places import layouts
from lessons_lib.core.preprocess import Preprocess
from lessons_lib.core.records import Explainable, shown
from lessons_lib.metrics import tables
from tools.recipes import measure

pytestmark = pytest.mark.slow

AS_IS = Preprocess(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
NOISE = np.random.default_rng(0).integers(0, 256, (96, 130, 3), dtype=np.uint8)
PHOTO = ll.photos.Photo(Image.fromarray(NOISE))  # neither square nor a multiple of 32

# The embedded sizes of a small input; what a network does with its size is the network's own.
SMALL = {"min_size": 96, "max_size": 160}
FULL_SIZE: dict[str, dict[str, Any]] = {
    "fasterrcnn_resnet50_fpn_v2": {**SMALL, "rpn_post_nms_top_n_test": 30},
    "retinanet_resnet50_fpn_v2": SMALL,
    "fcos_resnet50_fpn": SMALL,
    "ssdlite320_mobilenet_v3_large": {},
}

SOME = but_proofs(FULL_SIZE, "fasterrcnn_resnet50_fpn_v2", "retinanet_resnet50_fpn_v2", "fcos_resnet50_fpn")


@cache
def full_size(name: str) -> Explainable:
    torch.manual_seed(0)
    network = getattr(detection, name)(weights=None, weights_backbone=None, **FULL_SIZE[name])
    for head in detectors.heads(network):
        head.score_thresh = 1e-4  # at random weights no score is high
    return Explainable(network.eval(), "backbone", AS_IS, layout=layouts.pyramid)


@cache
def detector() -> Explainable:
    return ll.models.detector()


@cache
def copies() -> ll.photos.Photo:
    return measure.TWO_COPIES.scene(0)


# --- torchvision's own networks ---------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:The map for .* width")  # at random weights a width may be cut off by the picture
@pytest.mark.parametrize("name", SOME)
def test_the_score_of_a_box_carries_a_gradient_to_the_layer(name: str) -> None:
    model = full_size(name)
    heat, edge = ll.explain(model, PHOTO, [ll.BoxScore(0), ll.BoxEdge(0, edge="width")], method=ll.hirescam)
    with torch.no_grad():
        (found,) = model.network(AS_IS(PHOTO.image)[None])
    assert heat.values.abs().max() > 0
    assert edge.values.isfinite().all()
    assert edge.words.startswith(f"box 0: width of the class {int(found['labels'][0])} ")
    said = f"{found['scores'][0]:.2f}" if found["scores"][0] >= 0.01 else "below 0.01"
    assert heat.words == f"box 0: class {int(found['labels'][0])}, score {said}"


def changed_by(seen: Captured) -> Tensor:
    """As a method: how far the maps are from those of a black picture."""
    with torch.no_grad():
        black = ll.capture.run(seen.network, torch.zeros_like(seen.inputs), seen.layer, seen.layout)
    return (seen.activations - black.activations).abs().sum(dim=1)


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize(("x", "y"), [(15, 80), (115, 20), (110, 80)])
def test_the_maps_lie_where_the_photo_made_them(name: str, x: int, y: int) -> None:
    pixels = np.zeros((96, 130, 3), np.uint8)
    pixels[y - 3 : y + 4, x - 3 : x + 4] = 255
    model = full_size(name)
    first = next(module for module in model.network.modules() if isinstance(module, nn.Conv2d))
    dotted = ll.photos.Photo(Image.fromarray(pixels))
    heat = ll.explain(model, dotted, lambda found: found["scores"].sum(), layer=first, method=changed_by)
    on_photo = heat.on_photo()
    assert on_photo.shape == (96, 130)
    rows, columns = np.indices(on_photo.shape)
    assert np.average(columns, weights=on_photo) == pytest.approx(x, abs=2)
    assert np.average(rows, weights=on_photo) == pytest.approx(y, abs=2)


def test_the_margin_that_a_detector_adds_is_part_of_the_region() -> None:
    heat = ll.explain(full_size("fasterrcnn_resnet50_fpn_v2"), PHOTO, ll.BoxScore(0), method=ll.hirescam)
    assert heat.region == (0.0, 0.0, 160.0, 96.0)
    stretched = ll.explain(full_size("ssdlite320_mobilenet_v3_large"), PHOTO, ll.BoxScore(0), method=ll.hirescam)
    assert stretched.region == (0.0, 0.0, 130.0, 96.0)


def test_no_heat_lies_outside_what_the_box_head_pools() -> None:
    model = full_size("fasterrcnn_resnet50_fpn_v2")
    with torch.no_grad():
        (found,) = model.network(AS_IS(PHOTO.image)[None])
    wide = int((found["boxes"][:, 2] - found["boxes"][:, 0]).argmin())
    heat = ll.explain(model, PHOTO, ll.BoxScore(wide), method=ll.hirescam)
    proposals: list[Tensor] = []
    hook = model.network.rpn.register_forward_hook(lambda _m, _i, out: proposals.extend(out[0]))
    with torch.no_grad():
        model.network(AS_IS(PHOTO.image)[None])
    hook.remove()
    touched = np.zeros((96, 130), bool)
    for left, top, right, bottom in proposals[0].tolist():
        touched[max(0, int(top) - 8) : int(bottom) + 9, max(0, int(left) - 8) : int(right) + 9] = True
    assert (heat.on_photo()[~touched] == 0).all()
    assert heat.on_photo().max() > 0


@pytest.mark.parametrize("name", SOME)
def test_with_every_score_the_list_only_grows_at_its_end(name: str) -> None:
    network = full_size(name).network
    batch = AS_IS(PHOTO.image)[None]
    heads = detectors.heads(network)
    before = [(head.score_thresh, head.detections_per_img) for head in heads]
    for head in heads:
        head.detections_per_img = 5
    with torch.no_grad():
        (few,) = network(batch)
        with pytest.raises(ZeroDivisionError), detectors.every_score(network):
            (many,) = network(batch)
            raise ZeroDivisionError
    assert [(head.score_thresh, head.detections_per_img) for head in heads] == [(t, 5) for t, _ in before]
    for head, (_, most) in zip(heads, before, strict=True):
        head.detections_per_img = most
    assert len(many["scores"]) > len(few["scores"]) > 0
    for key, values in few.items():
        torch.testing.assert_close(many[key][: len(values)], values)


@pytest.mark.filterwarnings("ignore:The map for .* is blank")  # at random weights a softmax over two is 0 or 1
@pytest.mark.proof
@pytest.mark.parametrize("name", ["maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn"])
def test_masks_and_keypoints_are_not_made_for_boxes_that_nobody_asked_to_see(name: str) -> None:
    torch.manual_seed(0)
    options = {**SMALL, "rpn_post_nms_top_n_test": 30, "box_score_thresh": 1e-4}
    network = getattr(detection, name)(weights=None, weights_backbone=None, **options).eval()
    extras = [module for part, module in network.roi_heads.named_children() if part.startswith(("mask", "keypoint"))]
    runs: list[nn.Module] = []
    for module in extras:
        module.register_forward_hook(lambda module, *_: runs.append(module))
    heat = ll.explain(network, AS_IS(PHOTO.image), ll.BoxScore(0), layer="backbone.fpn", method=ll.hirescam)
    assert extras and not runs
    with torch.no_grad():
        (found,) = network(AS_IS(PHOTO.image)[None])
    assert runs == extras  # they are back
    assert heat.words == f"box 0: class {int(found['labels'][0])}, score {shown(float(found['scores'][0]))}"


# --- found again ------------------------------------------------------------------------------------------------------


def output(*boxes: tuple[tuple[float, ...], int, float]) -> dict[str, Tensor]:
    edges, labels, scores = zip(*boxes, strict=True) if boxes else ([], [], [])
    return {
        "boxes": torch.tensor(edges).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "scores": torch.tensor(scores).reshape(-1).requires_grad_(),
    }


LEFT, RIGHT = (0.0, 0.0, 10.0, 10.0), (40.0, 0.0, 50.0, 10.0)
FIRST = output((LEFT, 1, 0.9), (RIGHT, 1, 0.8), ((1.0, 0.0, 10.0, 10.0), 2, 0.3))


@pytest.mark.parametrize(
    ("target", "score"),
    [
        (ll.BoxScore(0), 0.6),  # the same box, though it has moved, comes second now and another class overlaps it more
        (ll.BoxScore(1), 0.7),
        (ll.BoxScore(LEFT), 0.6),
        (ll.BoxScore(0, 2), 0.5),
        (ll.BoxScore(2), 0.5),
        (ll.BoxScore(RIGHT, 1), 0.7),
    ],
)
def test_a_box_is_found_again_by_place_and_class(target: ll.BoxScore, score: float) -> None:
    again = output(((41.0, 0.0, 51.0, 10.0), 1, 0.7), ((0.0, 2.0, 10.0, 11.0), 1, 0.6), (LEFT, 2, 0.5))
    assert target.settled(FIRST)(again).item() == pytest.approx(score)


def test_a_box_that_is_gone_scores_nothing_and_has_no_edge() -> None:
    gone = output((LEFT, 2, 0.9), ((5.0, 5.0, 15.0, 15.0), 1, 0.9))
    assert ll.BoxScore(0).settled(FIRST)(gone).item() == 0
    assert ll.BoxScore(0).settled(FIRST)(output()).item() == 0
    with pytest.raises(
        ValueError, match="vanishes when the network is run again: the nearest of its class overlaps it"
    ):
        ll.BoxEdge(0).settled(FIRST)(gone)


@pytest.mark.parametrize(
    ("edge", "value"), [("left", 40), ("top", 0), ("right", 50), ("bottom", 10), ("width", 10), ("height", 10)]
)
def test_edges_and_sizes(edge: str, value: float) -> None:
    target = ll.BoxEdge(1, edge=edge).settled(FIRST)
    assert target(FIRST).item() == value
    what = edge if edge in ("width", "height") else f"{edge} edge"
    assert target.words(FIRST, Explainable(nn.Identity())) == f"box 1: {what} of the class 1 {value}"


class Gives(nn.Module):
    """A detector that gives what it was told to, whatever the picture; its maps are the picture."""

    score_thresh, detections_per_img = 0.05, 100

    def __init__(self, found: Any):
        super().__init__()
        self.maps = nn.Identity()
        self.found = found

    def forward(self, x: Tensor) -> Any:
        maps = self.maps(x)
        if not isinstance(self.found, dict):
            return self.found
        kept = self.found["scores"] > self.score_thresh
        found = {key: value.detach()[kept] for key, value in self.found.items()}
        return [{**found, "scores": found["scores"] + 0 * one.sum()} for one in maps]


def asked(found: Any, target: Any) -> Any:
    model = Explainable(Gives(found), "maps", AS_IS, ("background", "cat", "cup"))
    return ll.explain(model, PHOTO, target, method=ll.eigencam)


@pytest.mark.parametrize(
    ("found", "target", "kind", "sentence"),
    [
        (
            output(),
            ll.BoxScore(0),
            ValueError,
            "The network finds no box in this picture with a score above its threshold of 0.05: choose another "
            "picture, or ask about a place, `ll.BoxScore((left, top, right, bottom), category)`.",
        ),
        (
            output((LEFT, 1, 0.01)),
            ll.BoxScore(0),
            ValueError,
            "The network finds no box in this picture with a score above its threshold of 0.05: choose another "
            "picture, or ask about a place, `ll.BoxScore((left, top, right, bottom), category)`.",
        ),
        (FIRST, ll.BoxScore(3), ValueError, "There is no box 3: the network finds 3, numbered from 0."),
        (
            FIRST,
            ll.BoxScore(RIGHT, "cup"),
            ValueError,
            "Around columns 40 to 50, rows 0 to 10 the network, run again, has no box of class 'cup', even below "
            "its threshold, that overlaps by half or more; the nearest overlaps by 0.00. Boxes move when "
            "picture, size or weights change: take the box from this network's output for this very picture.",
        ),
        (
            FIRST,
            ll.BoxScore((0, 0, 90, 90)),
            ValueError,
            "Around columns 0 to 90, rows 0 to 90 the network, run again, has no box at all that overlaps by "
            "half or more; the nearest overlaps by 0.01. Boxes move when picture, size or weights change: take "
            "the box from this network's output for this very picture.",
        ),
        (
            FIRST,
            ll.BoxScore((0, 0, 9)),
            ValueError,
            "A box is a number, or left, top, right and bottom, and this has 3 values.",
        ),
        (FIRST, ll.BoxScore(0, "cot"), ValueError, "There is no class 'cot'; near it: cat."),
        (
            [torch.zeros(1, 3)],
            ll.BoxScore(0),
            TypeError,
            "Boxes are looked for in a dict with 'boxes', 'labels' and 'scores'; this model gives a list of 1: "
            "it gives one row of logits, so take `ll.ClassScore(0)`.",
        ),
    ],
)
def test_sentences(found: Any, target: Any, kind: type[Exception], sentence: str) -> None:
    with pytest.raises(kind) as error:
        asked(found, target)
    assert str(error.value) == sentence


def test_there_is_no_such_edge() -> None:
    with pytest.raises(ValueError, match="A box has no edge 'middle': take one of left, top, right"):
        ll.BoxEdge(0, edge="middle")


def test_what_lies_below_the_threshold_can_be_asked_for_by_place_and_class() -> None:
    low = output((LEFT, 1, 0.9), (RIGHT, 2, 0.02))
    assert asked(low, ll.BoxScore(RIGHT, "cup")).words == "cup, score 0.02"
    both = asked(low, ll.Difference(ll.BoxScore(0), ll.BoxScore(RIGHT, "cup")))
    assert both.words == "box 0: cat, score 0.90 − cup, score 0.02"


def test_boxes_are_laid_on_the_photo_that_was_resized_and_cropped() -> None:
    wide = ll.photos.Photo(Image.new("RGB", (400, 200)))
    found = output(((0.0, 0.0, 50.0, 100.0), 2, 0.9), (LEFT, 1, 0.3))
    model = Explainable(Gives(found), "maps", Preprocess(resize=100, crop=100), ("background", "cat", "cup"))
    (box,) = ll.boxes(model, wide)
    assert (box.name, box.edges) == ("cup", (100.0, 0.0, 200.0, 200.0))
    assert repr(box) == "cup 0.90 · columns 100 to 200, rows 0 to 200"


# --- the seams --------------------------------------------------------------------------------------------------------


def test_a_pyramid_is_laid_on_its_finest_grid() -> None:
    fine, coarse = torch.arange(15.0).view(1, 1, 3, 5), torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
    laid = layouts.pyramid({"coarse": coarse, "fine": fine})
    rows = [[1.0, 1.0, 2.0, 3.0, 3.0], [4.0, 4.0, 5.0, 6.0, 6.0], [4.0, 4.0, 5.0, 6.0, 6.0]]
    torch.testing.assert_close(laid[0, 0], torch.tensor(rows))
    torch.testing.assert_close(laid[0, 1], fine[0, 0])
    with pytest.raises(
        TypeError, match=r"emits 2 tensors in a dict, an `ll\.layouts\.pyramid`: choose a layer inside it"
    ):
        layouts.nchw({"coarse": coarse, "fine": fine})


@pytest.mark.parametrize("method", [ll.gradcam, ll.hirescam])
def test_the_map_of_a_pyramid_is_the_sum_of_its_levels_maps(method: ll.methods.Method) -> None:
    model = full_size("retinanet_resnet50_fpn_v2")

    def target(found: Any) -> Tensor:
        return found["scores"][:40].sum()

    whole = ll.explain(model, PHOTO, target, method=method).values
    seen: list[Captured] = []
    ll.explain(model, PHOTO, target, method=lambda s: seen.append(s) or s.activations.sum(1))
    levels, total = list(seen[0].emission.emitted.values()), torch.zeros_like(whole)
    gradients = torch.autograd.grad(seen[0].scores.sum(), levels)
    for A, g in zip(levels, gradients, strict=True):
        weight = g.mean(dim=(2, 3), keepdim=True) if method is ll.gradcam else g
        small = (weight * A).sum(dim=1, keepdim=True)
        total += nn.functional.interpolate(small, whole.shape, mode="nearest-exact")[0, 0].detach()
    assert sum(bool(g.any()) for g in gradients) > 1
    torch.testing.assert_close(whole, total, rtol=1e-4, atol=1e-7)


def test_all_boxes_of_one_picture_cost_one_forward_pass() -> None:
    model, runs = detector(), []
    ll.explain(model, copies(), ll.BoxScore(0))  # a network that is new is followed in a run of its own
    hook = model.network.register_forward_hook(lambda *_: runs.append(1))
    try:
        together = ll.explain(model, copies(), [ll.BoxScore(0), ll.BoxScore(1)], method=ll.hirescam)
    finally:
        hook.remove()
    assert len(runs) == 1
    for heat, number in zip(together, (0, 1), strict=True):
        alone = ll.explain(model, copies(), ll.BoxScore(number), method=ll.hirescam)
        torch.testing.assert_close(heat.values, alone.values)
        assert heat.words == alone.words


@pytest.mark.parametrize("layer", ["backbone.fpn.layer_blocks.0", "backbone"])
def test_ablation_equals_the_whole_network_and_never_runs_the_backbone_again(layer: str) -> None:
    whole = detector()
    layout = layouts.pyramid if layer == "backbone" else layouts.nchw
    model = Explainable(whole.network, layer, whole.transform, whole.categories, layout)
    channels = [3, 40]
    found: list[Tensor] = []

    def some(seen: Captured) -> Tensor:
        def without(picture: int, numbers: Tensor) -> Tensor:
            maps = seen.activations[picture].repeat(len(numbers), 1, 1, 1)
            maps[torch.arange(len(numbers)), torch.tensor(channels)[numbers]] = 0
            return maps

        found.append(rerun.from_layer(seen, without, count=len(channels), chunk=2)[0])
        return seen.activations.sum(dim=1)

    runs: list[int] = []
    ll.explain(model, copies(), ll.BoxScore(0))  # a network that is new is followed in a run of its own
    hook = model.network.backbone.body.conv_stem.register_forward_hook(lambda *_: runs.append(len(_[2])))
    try:
        ll.explain(model, copies(), ll.BoxScore(0), method=some)
    finally:
        hook.remove()
    assert runs == [1, 1, 1, 1]  # what is explained, the box's proposal, a try with one picture, what is to be repeated
    assert all("forward" not in vars(module) for module in model.network.modules())

    batch = model.transform(copies().image)[None]
    kept: list[Any] = []

    def once(_module: nn.Module, _inputs: Any, proposed: Any) -> Any:
        kept.append(proposed)
        return kept[0]

    with torch.no_grad(), detectors.every_score(model.network):
        fixed = model.network.rpn.register_forward_hook(once)  # the places of the first run, in all
        target = ll.BoxScore(0).settled(model.network(batch)[0])
        for channel, score in zip(channels, found[0], strict=True):

            def zeroed(_module: nn.Module, _inputs: Any, maps: Tensor, channel: int = channel) -> Tensor:
                return maps * (torch.arange(64) != channel)[:, None, None]

            handle = model.network.backbone.fpn.layer_blocks[0].register_forward_hook(zeroed)
            expected = target(model.network(batch)[0])
            handle.remove()
            assert score.item() == pytest.approx(expected.item(), rel=1e-4)
        fixed.remove()


def test_only_the_boxs_own_proposal_runs_again() -> None:
    model, widths = detector(), []
    hook = model.network.roi_heads.box_head.register_forward_hook(lambda _m, inputs, _o: widths.append(len(inputs[0])))
    try:
        ll.explain(model, copies(), ll.BoxScore(0), method=partial(ll.ablationcam, chunk=32))
    finally:
        hook.remove()
    assert widths[-2:] == [32, 32]  # 64 channels, one proposal each
    assert all("forward" not in vars(module) for module in model.network.modules())


# --- against the truth ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table() -> dict[str, tables.Table]:
    three, two = ([scenes.scene(index) for index in range(6)] for scenes in (measure.THREE_OBJECTS, measure.TWO_COPIES))
    return {"three objects": tables.box_maps(detector(), three), "two copies": tables.box_maps(detector(), two)}


@pytest.mark.proof
@pytest.mark.parametrize("scenes", ["three objects", "two copies"])
def test_the_measured_table_holds_on_a_few_of_its_scenes(scenes: str, table: dict[str, tables.Table]) -> None:
    kept = tables.stored("boxes")[scenes]
    for method, row in table[scenes].items():
        for figure in ("own", "other", "box swapped", "class swapped"):
            assert row[figure] == pytest.approx(kept[method][figure], abs=0.13), (method, figure)
    best = table[scenes]["hirescam"]
    promised = kept["hirescam"]["peak"]
    assert best["peak"] >= promised - 2 * math.sqrt(promised * (1 - promised) / best["maps"])  # two standard errors
    assert best["own"] >= 0.55
    assert best["box swapped"] > 0.8
    assert table[scenes]["eigencam"]["box swapped"] == table[scenes]["eigencam"]["class swapped"] == 0
    assert table[scenes]["gradcam"]["own"] < 0.5 * best["own"]


def test_what_was_measured_meets_what_was_asked_for() -> None:
    for rows in tables.stored("boxes").values():
        assert max(row["peak"] for row in rows.values()) >= 0.85
        assert max(row["own"] for row in rows.values()) >= 0.55


def run_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, made: Callable[[], Any]) -> None:
    monkeypatch.setitem(measure.MEASURED, "boxes", made)
    for module in (measure, tables):
        monkeypatch.setattr(module, "data", tmp_path.joinpath)
    measure.main(["boxes"])


def test_the_command_writes_what_the_lesson_reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    run_command(monkeypatch, tmp_path, lambda: {"two copies": {"hirescam": {"own": 0.12345}}})
    assert tables.stored("boxes") == {"two copies": {"hirescam": {"own": 0.123}}}


def test_a_detector_held_to_one_proposal_refuses_maps_for_another_number_of_pictures() -> None:
    """RoIAlign does not check: with two proposals and one map it reads whatever lies behind the map in memory."""
    model, scene = detector(), ll.collage.scene(8, count=3)
    x = model.transform(scene.image)[None]
    with torch.no_grad():
        (found,) = model.network(x)
    held = detectors.narrowed(model.network, x, tuple(found["boxes"][0].tolist()), int(found["labels"][0]))
    layer = model.network.get_submodule(model.layer)
    assert held is not None
    with held(), torch.no_grad():
        one, other = model.network(torch.cat([x, x]))
        with (
            hooked([layer], after=lambda *given: torch.cat([given[2]] * 2)),
            pytest.raises(ValueError, match=r"levels .* hold different numbers of pictures: \{1, 2\}"),
        ):
            model.network(x)
    assert len(one["scores"]) == len(other["scores"]) <= len(ll.collage.KINDS)  # one proposal: a box for each class
    torch.testing.assert_close(one["scores"], other["scores"])
    torch.testing.assert_close(one["scores"][0], found["scores"][0])
    assert len(model.network(x)[0]["boxes"]) == len(found["boxes"]) > 1  # afterwards all proposals are back
