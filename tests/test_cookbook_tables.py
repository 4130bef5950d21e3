"""The cookbook's decision page says what was measured, and each line translated from another package runs."""

import re
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

import lessons_lib as ll
from tools.cookbook import cells_of

CELLS = cells_of()


def measured(table: str, layer: str, method: str, *names: str) -> list[float]:
    """Return figures of a stored table."""
    row = ll.metrics.stored(table)[layer][method]
    return [row[name] for name in names]


LITE0, VIT, BOXES, REGIONS = "bn2", "encoder.layers.encoder_layer_", "three objects", "one to three objects"
DECISIONS = [
    measured("family", LITE0, "gradcam", "own", "luck", "control"),
    measured("family", "blocks.4", "hirescam", "own")
    + measured("family", "blocks.4", "gradcam", "own")
    + measured("family", "blocks.4", "hirescam", "control"),
    measured("copies", LITE0, "gradcam_plus_plus", "reached 0.5")
    + measured("copies", LITE0, "gradcam", "reached 0.5")
    + measured("copies", LITE0, "gradcam_plus_plus", "control")
    + measured("copies", LITE0, "gradcam", "control"),
    measured("family", LITE0, "ablationcam", "own", "control"),
    measured("family", LITE0, "eigencam", "own", "control"),
    measured("boxes", BOXES, "hirescam", "peak")
    + measured("boxes", BOXES, "gradcam", "peak")
    + measured("boxes", BOXES, "hirescam", "box swapped"),
    measured("regions", REGIONS, "hirescam", "own") + measured("regions", REGIONS, "gradcam", "own"),
    measured("regions", REGIONS, "hirescam", "pixel near") + measured("regions", REGIONS, "gradcam", "pixel near"),
    measured("vit", f"{VIT}5.ln_1", "gradcam", "peak") + measured("vit", f"{VIT}5.ln_2", "gradcam", "peak"),
    measured("vit", f"{VIT}1.ln_2", "hirescam", "peak") + measured("vit", f"{VIT}1.ln_2", "gradcam", "peak"),
    measured("swin", "features.5.1", "gradcam", "peak") + measured("swin", "features.5.1", "hirescam", "peak"),
]
"""The figures of the decision table, row by row, as they stand there from left to right."""


def test_the_decision_table_says_what_was_measured() -> None:
    rows = re.findall(r"^\| (?!you have|---)(.+) \|$", CELLS["decision"], re.MULTILINE)
    said = [[int(figure) for figure in re.findall(r"(\d+) %", row)] for row in rows]
    assert said == [[round(100 * value) for value in row] for row in DECISIONS]


def test_the_recipes_say_what_was_measured() -> None:
    boxes, regions = ll.metrics.stored("boxes")[BOXES], ll.metrics.stored("regions")[REGIONS]
    swin = ll.metrics.stored("swin")["features.5.1"]["gradcam"]["peak"]
    for cell, figures in {
        "faster_rcnn-head": [boxes["gradcam"]["peak"], boxes["hirescam"]["peak"]],
        "segmentation_region-head": [regions["hirescam"]["own"], regions["gradcam"]["own"]],
        "swin-head": [swin],
    }.items():
        assert re.findall(r"(\d+) %", CELLS[cell]) == [f"{100 * value:.0f}" for value in figures]


class TwoInputs(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, picture: Tensor, more: Tensor) -> Tensor:
        return self.body(picture) + more


@cache
def names() -> dict[str, Any]:
    """What a line of the translation speaks of: a ResNet, a batch, and the course's other networks."""
    torch.manual_seed(0)
    model = resnet18(weights=None, num_classes=300).eval()
    x = torch.randn(1, 3, 64, 64)
    segmenter, scene = ll.models.segmenter(), ll.collage.scene(8, count=3, background="brick")
    mask = segmenter.transform.mask(next(one.mask for one in scene.objects if one.name == "cat"))
    binary = nn.Sequential(resnet18(weights=None, num_classes=1)).eval()
    return {
        **{"ll": ll, "model": model, "x": x, "batch": torch.randn(2, 3, 64, 64), "scene": scene, "mask": mask},
        **{"layer": model.layer4, "earlier": model.layer3, "binary": binary, "segmenter": segmenter},
        **{"detector": ll.models.detector(), "vit": ll.models.vit(), "heat": ll.explain(model, x[0], 281)},
        **{"two_inputs": TwoInputs(model), "more": torch.zeros(1, 300)},
    }


LINES = re.findall(r"^\| `(.+?)` \| `(.+?)` \|$", CELLS["translation"], re.MULTILINE)


def test_each_row_of_the_translation_is_a_line_here() -> None:
    rows = re.findall(r"^\| (?!there|---)", CELLS["translation"], re.MULTILINE)
    assert len(rows) == len(LINES) > 40
    packages = re.findall(r"^\*\*([\w-]+)\*\*$", CELLS["translation"], re.MULTILINE)
    assert packages == ["pytorch-grad-cam", "torchcam", "captum", "tf-keras-vis"]


@pytest.mark.slow
@pytest.mark.parametrize("line", sorted({here for _, here in LINES}))
@pytest.mark.filterwarnings("ignore:The map for")  # random weights speak for no class
def test_a_translated_line_runs(line: str) -> None:
    found = eval(line, dict(names()))
    assert found is not None
    if isinstance(found, ll.Heatmap):
        assert found.values.any()
