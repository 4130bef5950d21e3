"""Every recipe runs without lessons_lib, draws or saves something, and its map is the library's to 1e-4 of the peak."""

import re
from pathlib import Path
from typing import Any

import pytest
from pasted.given import beside_the_library, run_alone

import lessons_lib as ll
from lessons_lib.models import embedded
from lessons_lib.teach.cookbook import agrees, pictures
from lessons_lib.teach.stand_ins import STAND_INS, Page, filled
from tools.cookbook import FOLDER, recipes

pytestmark = pytest.mark.slow

RECIPES = recipes()
HERE = {name: recipe for name, recipe in RECIPES.items() if recipe.here}
ALONE = {"volume", "signal", "cnn_lstm"}
"""Recipes without an equivalent: the library explains pictures, one number at a time."""

IMPORTS = """
try:
    import lessons_lib
except ImportError as error:
    refused = str(error)
open("tried.txt", "w").close()
"""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the recipes leave behind: all of them, run in one process that refuses to import lessons_lib."""
    codes = {name: filled(one.code) for name, one in HERE.items()}
    planted = {"imports": IMPORTS, "faulty": codes["gradcam"].replace("(alpha * A)", "(alpha.relu() * A)")}
    return run_alone(codes | planted, tmp_path_factory.mktemp("recipes"))


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(lambda name: getattr(embedded, name)().network)


@pytest.mark.parametrize("name", HERE)
def test_a_recipe_makes_a_map_that_is_not_blank_and_saves_something(name: str, stored: dict[str, Any]) -> None:
    cam = stored[name]["cam"]
    for one in cam if isinstance(cam, list) else [cam]:
        assert one.isfinite().all() and one.any()
    printed = "print(" in HERE[name].code
    assert any(Path(file).suffix in (".png", ".csv", ".html") for file in stored[name]["wrote"]) or printed


@pytest.mark.parametrize("name", [name for name in HERE if name not in ALONE])
def test_the_library_gives_the_same_map(
    name: str, stored: dict[str, Any], page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(tmp_path)
    monkeypatch.chdir(tmp_path)
    names = {"page": page, "ll": ll, "agrees": agrees}
    beside_the_library(HERE[name], filled(HERE[name].code), stored[name], names)


def test_only_what_has_no_equivalent_goes_without() -> None:
    assert {name for name, recipe in RECIPES.items() if not recipe.library} == ALONE


def test_the_files_are_what_the_notebook_says() -> None:
    stored = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.py")}
    assert stored == {name: recipe.file for name, recipe in RECIPES.items()}, "python -m tools.cookbook"


def test_a_recipe_is_complete_short_and_plain() -> None:
    known = {"torch", "torchvision", "matplotlib", "PIL", "pathlib", "csv", "io", "base64", "tqdm"}
    more = {"timm_model": {"timm"}, "vit_registers": {"timm"}, "yolo": {"ultralytics"}}
    more |= {"unet": {"segmentation_models_pytorch"}}
    more |= {name: {"transformers"} for name in ("detr", "clip", "hugging_face")}
    for name, recipe in RECIPES.items():
        packages = set(re.findall(r"^(?:from|import) (\w+)", recipe.code, re.MULTILINE))
        assert packages <= known | more.get(name, set()), name
        assert "lessons_lib" not in recipe.code and "  # yours" in recipe.code
        lines = recipe.code.splitlines()
        assert 8 <= len([line for line in lines if line.strip()]) <= 35 and max(map(len, lines)) <= 120, name
        called = set(re.findall(r"^def (\w+)", recipe.code, re.MULTILINE))
        assert all(len(re.findall(rf"\b{one}\b", recipe.code)) > 1 for one in called), f"{name}: nobody calls it"


def test_every_line_that_is_yours_takes_effect() -> None:
    meant = [line for recipe in HERE.values() for line in recipe.code.splitlines() if "# yours" in line]
    loose = [line for line in meant if 'weights="DEFAULT"' in line and filled(line) == line]
    assert not loose, "a stand-in is missing: see STAND_INS"
    said = {line.partition(" = ")[2].partition("  # yours")[0] for line in meant}
    assert set(STAND_INS) <= said, "a stand-in that no recipe asks for"


def test_an_import_of_the_library_is_refused_there(stored: dict[str, Any]) -> None:
    assert stored["imports"]["refused"] == "A recipe knows nothing of lessons_lib."


def test_a_fault_in_a_recipe_is_found(
    stored: dict[str, Any], page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(tmp_path)
    monkeypatch.chdir(tmp_path)
    names = {"page": page, "ll": ll, "agrees": agrees}
    with pytest.raises(AssertionError, match="the maps differ by"):
        beside_the_library(HERE["gradcam"], filled(HERE["gradcam"].code), stored["faulty"], names)
