"""What a recipe leaves behind, put together again beside the library: its inputs, and the numbers that it stored."""

import ast
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lessons_lib.teach.cookbook import pictures
from tools.cookbook import ROOT, Recipe

ALONE = Path(__file__).with_name("alone.py")


def run_alone(codes: Mapping[str, str], folder: Path, *options: str) -> dict[str, dict[str, Any]]:
    """Run recipes in one process without lessons_lib, and return by name what each stored.

    Raises:
        AssertionError: one failed, or wrote no file.
    """
    (folder / "recipes.json").write_text(json.dumps(dict(codes)), encoding="utf-8")
    for name in codes:
        (folder / name).mkdir()
        pictures(folder / name)
    before = {name: {path.name for path in (folder / name).iterdir()} for name in codes}
    command = [sys.executable, "-W", "error::UserWarning:__main__", ALONE, folder, ROOT, *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    left: dict[str, dict[str, Any]] = torch.load(folder / "maps.pt", weights_only=True)
    for name in codes:
        wrote = {path.name for path in (folder / name).iterdir()} - before[name]
        assert wrote, f"{name} drew and saved nothing"
        left[name]["wrote"] = sorted(wrote)
    return left


def inputs(code: str) -> str:
    """Return the part of a recipe that says what it starts from: imports, classes, and lines marked `# yours`."""
    lines = code.splitlines()
    kept = [
        node
        for node in ast.parse(code).body
        if isinstance(node, ast.Import | ast.ImportFrom | ast.ClassDef)
        or "  # yours" in lines[node.lineno - 1]
        or ast.unparse(node) == "torch.manual_seed(0)"
    ]
    return "\n".join("\n".join(lines[node.lineno - 1 : node.end_lineno]) for node in kept)


def beside_the_library(recipe: Recipe, code: str, stored: Mapping[str, Any], names: dict[str, Any]) -> None:
    """Run the library's line for a recipe on the recipe's own inputs and numbers; it raises where the maps differ."""
    torch.manual_seed(0)
    exec(compile(inputs(code), f"inputs of {recipe.name}", "exec"), names)
    exec(compile(recipe.library, f"{recipe.name} with the library", "exec"), {**stored, **names, **_tensors(stored)})


def _tensors(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored values that a recipe computed, which go before what its input lines say."""
    return {key: value for key, value in stored.items() if isinstance(value, torch.Tensor | list)}
