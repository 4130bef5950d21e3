"""Docstrings: what an example prints is what it says, and every argument stands on a line of its own."""

import ast
import doctest
import pkgutil
import re
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import resnet18

import lessons_lib as ll

ROOT = Path(__file__).parent.parent
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

# Examples that are not run, each with its reason.
NOT_RUN = {"lessons_lib.models.pretrained.full_size": "downloads the weights"}


def examples() -> dict[str, doctest.DocTest]:
    """Return every docstring of the library that holds an example, by its object's full name."""
    found = {}
    for module in [ll.__name__, *(each.name for each in pkgutil.walk_packages(ll.__path__, "lessons_lib."))]:
        for one in doctest.DocTestFinder().find(import_module(module)):
            if one.examples:
                found[one.name] = one
    return found


EXAMPLES = examples()


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What a reader of an example is taken to have: the library's public names, a network, a batch, a scene, a map."""
    torch.manual_seed(0)
    each = {name: getattr(ll.models, name) for name in ll.models.__all__}
    made = {name: cache(one) for name, one in each.items() if not isinstance(one, type) and callable(one)}
    models, scene = SimpleNamespace(**each | made), ll.collage.scene(1)
    return {
        **{name: getattr(ll, name) for name in ll.__all__},
        **{"ll": ll, "torch": torch, "nn": nn, "np": np, "Image": Image, "partial": partial, "models": models},
        "my_model": resnet18(weights=None).eval(),
        "batch": torch.randn(1, 3, 224, 224),
        "scene": scene,
        "detector": models.detector().network,
        "picture": models.detector().transform(scene.image)[None],
        "heat": ll.explain(models.imagenet(), ll.photos.cat(), "tiger cat"),
    }


def failures(example: doctest.DocTest, names: dict[str, Any]) -> str:
    """Run one docstring's examples and return what they print that they do not say."""
    told: list[str] = []
    example = doctest.DocTest(example.examples, {**example.globs, **names}, *vars(example).values())
    doctest.DocTestRunner(optionflags=OPTIONS, verbose=False).run(example, out=told.append)
    return "".join(told)


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in NOT_RUN])
def test_an_example_prints_what_it_says(
    name: str, names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (640, 480)).save("holiday.jpg")
    torch.manual_seed(0)
    assert failures(EXAMPLES[name], names) == ""
