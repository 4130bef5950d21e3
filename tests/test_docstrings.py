"""Docstrings: what an example prints is what it says, and every argument stands on a line of its own."""

import doctest
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
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
from tools.rounding import difference

pytestmark = pytest.mark.proof

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

# Examples that are not run, each with its reason.
NOT_RUN = {"lessons_lib.models.pretrained.full_size": "downloads the weights"}


class Checker(doctest.OutputChecker):
    """Takes two outputs for the same if only a last digit was rounded otherwise, as the notebooks' tests do."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        same = super().check_output(want, got, optionflags)
        return same or difference(" ".join(want.split()), " ".join(got.split())) is None


def modules() -> Iterator[Any]:
    for each in pkgutil.walk_packages(ll.__path__, "lessons_lib."):
        yield import_module(each.name)


def examples() -> dict[str, doctest.DocTest]:
    """Return every docstring of the library that holds an example, by its object's full name."""
    found = [one for module in (ll, *modules()) for one in doctest.DocTestFinder().find(module)]
    return {one.name: one for one in found if one.examples}


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
    known = {**example.globs, **names}
    example = doctest.DocTest(
        example.examples, known, example.name, example.filename, example.lineno, example.docstring
    )
    doctest.DocTestRunner(Checker(), verbose=False, optionflags=OPTIONS).run(example, out=told.append)
    return "".join(told)


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in NOT_RUN])
def test_an_example_prints_what_it_says(
    name: str, names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (640, 480)).save("holiday.jpg")
    torch.manual_seed(0)
    assert failures(EXAMPLES[name], names) == ""


def test_a_wrong_output_and_an_error_are_told(names: dict[str, Any]) -> None:
    for wrong in (">>> heat.values.shape\ntorch.Size([7, 8])\n", ">>> heat.nothing\n", ">>> heat.layer\n"):
        planted = doctest.DocTestParser().get_doctest(wrong, {}, "planted", None, 0)
        assert "Failed example" in failures(planted, names)


def test_another_processor_may_round_otherwise(names: dict[str, Any]) -> None:
    planted = doctest.DocTestParser().get_doctest(
        ">>> print('cat 0.39, row 4')\ncat 0.40, row 4\n", {}, "planted", None, 0
    )
    assert failures(planted, names) == ""


@pytest.mark.parametrize(
    "room", [ll, ll.baselines, ll.metrics, ll.models, ll.photos, ll.show], ids=lambda room: room.__name__
)
def test_what_is_public_has_an_example(room: Any) -> None:
    public = [getattr(room, name) for name in room.__all__]
    named = {
        f"{one.__module__}.{one.__qualname__}" for one in public if inspect.isfunction(one) or inspect.isclass(one)
    }
    assert {name for name in named if name.startswith("lessons_lib.")} - set(EXAMPLES) == set()


def test_only_examples_that_exist_are_left_out() -> None:
    assert set(NOT_RUN) <= set(EXAMPLES)


def arguments() -> dict[str, tuple[Callable[..., Any], list[str]]]:
    """Return what stands before the colons under `Args:`, for every function, method and class of the library."""
    found = {}
    for module in modules():
        own = [one for _, one in inspect.getmembers(module) if getattr(one, "__module__", "") == module.__name__]
        inner = [one for each in own if inspect.isclass(each) for one in vars(each).values() if inspect.isfunction(one)]
        for one in (*own, *inner):
            if block := re.search(r"^Args:\n((?: .*\n?|\n)+)", inspect.cleandoc(one.__doc__ or ""), re.MULTILINE):
                found[f"{module.__name__}.{one.__qualname__}"] = (
                    one,
                    re.findall(r"^    (\S.*?):", block[1], re.MULTILINE),
                )
    return found


ARGUMENTS = arguments()


@pytest.mark.parametrize("name", ARGUMENTS)
def test_each_argument_has_a_line_of_its_own_and_is_one(name: str) -> None:
    takes, told = ARGUMENTS[name]
    assert set(told) <= set(inspect.signature(takes).parameters)
