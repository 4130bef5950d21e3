"""Each recipe alone, in an empty folder but for pictures, in a process of its own, at full size, at random weights."""

from pathlib import Path

import pytest
from pasted.given import beside_the_library, run_alone

import lessons_lib as ll
from lessons_lib.teach.cookbook import agrees
from tools.cookbook import recipes

pytestmark = [pytest.mark.proof, pytest.mark.filterwarnings("ignore:The map for")]

HERE = {name: recipe for name, recipe in recipes().items() if recipe.here}

RANDOM = {
    'fasterrcnn_resnet50_fpn_v2(weights="DEFAULT")': (
        "fasterrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, box_score_thresh=0.0, min_size=224)"
    ),
    'ssdlite320_mobilenet_v3_large(weights="DEFAULT")': (
        "ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, score_thresh=1e-4)"
    ),
    'deeplabv3_resnet50(weights="DEFAULT")': "deeplabv3_resnet50(weights=None, weights_backbone=None)",
    # Torchvision's head of a ViT starts with zeros, which no picture moves.
    'vit_b_16(weights="DEFAULT").eval()': (
        "(model := vit_b_16().eval(), torch.nn.init.normal_(model.heads.head.weight))[0]"
    ),
    'weights="DEFAULT"': "weights=None",
    "pretrained=True": "pretrained=False",
}
"""What is written where a recipe asks for trained weights: nothing is downloaded, and a score is not zero."""


@pytest.mark.parametrize("name", HERE)
def test_a_recipe_alone_at_full_size_makes_the_librarys_map(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = HERE[name].code
    for trained, random in RANDOM.items():
        code = code.replace(trained, random)
    if (
        name == "logit"
    ):  # it also draws a softmax's map, and random logits are so far apart that nothing is left of that
        code = code.replace(
            "resnet50(weights=None).eval()", "(model := resnet50().eval(), model.fc.weight.data.div_(10))[0]"
        )
    stored = run_alone({name: code}, tmp_path)[name]
    cam = stored["cam"]
    assert all(one.isfinite().all() and one.any() for one in (cam if isinstance(cam, list) else [cam]))
    if HERE[name].library:
        monkeypatch.chdir(tmp_path / name)
        beside_the_library(HERE[name], code, stored, {"ll": ll, "agrees": agrees})
