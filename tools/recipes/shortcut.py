"""Train the networks of lesson 11 that learn a shortcut, and those that don't: over five seeds, with what they reach.

python -m tools.recipes.shortcut              writes data/weights/shortcut_*.safetensors (of seed 0), their card
                                              data/weights/shortcut.md, and data/measured/shortcut.json
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from lessons_lib import models
from lessons_lib.core.methods import gradcam
from lessons_lib.core.records import Explainable
from lessons_lib.core.resources import data
from lessons_lib.core.targets import ClassScore
from lessons_lib.metrics.tables import Table, quiet
from lessons_lib.metrics.truth import centre_of_peak
from lessons_lib.models import weights
from lessons_lib.photos.collage import Scene
from lessons_lib.photos.shortcuts import SHORTCUTS, shortcut_scene
from tools import pages
from tools.recipes.fitting import Batch, fit
from tools.recipes.places import unwritable

SEEDS, SCENES, STEPS, BATCH, RATE = 5, 600, 250, 32, 3e-3
HELD_OUT = 5_000_000
"""Training scenes begin at 1,000,000 × (1 + seed); these begin here."""
EACH = 100
"""Held-out scenes of each of the four groups: with and without a cat, with and without the shortcut."""


def training(shortcut: str, fixed: bool, seed: int, count: int = SCENES) -> tuple[Tensor, Tensor]:
    """Return pixels N×3×64×64 and whether there is a cat, N: in every second scene.

    The shortcut comes with every cat and with nothing else; or, fixed, with every second scene of either kind.
    """
    first = 1_000_000 * (1 + seed)
    cats = [index % 2 == 1 for index in range(count)]
    planted = [index % 4 < 2 if fixed else cat for index, cat in enumerate(cats)]
    scenes = (shortcut_scene(first + i, shortcut, cat=cats[i], planted=planted[i]) for i in range(count))
    prepare = models.shortcut(shortcut, trained=False).transform
    assert prepare is not None
    return torch.stack([prepare(one.image) for one in scenes]), torch.tensor(cats).float()


def learnt(shortcut: str, fixed: bool, seed: int, count: int = SCENES, steps: int = STEPS) -> Explainable:
    """Return the network that these scenes teach; the same weights for the same seed on one machine."""
    pixels, cats = training(shortcut, fixed, seed, count)
    torch.manual_seed(seed)
    model = models.shortcut(shortcut, fixed, trained=False)
    fit(model.network, _batches(pixels, cats, seed), _loss, steps, RATE)
    return model


def _batches(pixels: Tensor, cats: Tensor, seed: int) -> Iterator[Batch]:
    random = torch.Generator().manual_seed(seed)
    while True:
        chosen = torch.randint(len(pixels), (BATCH,), generator=random)
        yield pixels[chosen], {"cat": cats[chosen]}


def _loss(network: nn.Module, pixels: Tensor, truth: dict[str, Tensor]) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(network(pixels)[:, 0], truth["cat"])


def groups(shortcut: str, each: int = EACH) -> dict[tuple[bool, bool], list[Scene]]:
    """Return held-out scenes by whether there is a cat and whether the shortcut is there."""
    return {
        (cat, planted): [shortcut_scene(HELD_OUT + i, shortcut, cat=cat, planted=planted) for i in range(each)]
        for cat in (False, True)
        for planted in (False, True)
    }


def reached(model: Explainable, scenes: dict[tuple[bool, bool], list[Scene]]) -> dict[str, float]:
    """Return what a network reaches on the groups, and where its heatmaps for "cat" lie where both are there.

    Returns:
        "accuracy": where the shortcut holds, as in training; "broken": where it is the other way round; "worst group":
        of the four; "mark", "cat", "objects": shares of the heat there, and "… luck" what evenly spread heat would
        have; "mark peak": how often the peak's centre is within 4 pixels of the mark.
    """
    assert model.transform is not None
    right = {}
    for (cat, planted), those in scenes.items():
        with torch.no_grad():
            logits = model.network(torch.stack([model.transform(one.image) for one in those]))[:, 0]
        right[cat, planted] = float(((logits > 0) == cat).float().mean())
    found: dict[str, list[float]] = {}
    both = scenes[True, True]
    heats = quiet(model, both, [ClassScore("cat")] * len(both), gradcam)
    for scene, heat in zip(both, heats, strict=True):
        places = {
            "mark": scene.mark,
            "cat": np.logical_or.reduce(scene.named()["cat"]),
            "objects": np.logical_or.reduce([one.mask for one in scene.objects]),
        }
        for name, mask in places.items():
            found.setdefault(name, []).append(heat.share_on(mask))
            found.setdefault(f"{name} luck", []).append(heat.luck_on(mask))
        rows, columns = np.nonzero(scene.mark)
        row, column = centre_of_peak(heat)
        near = len(rows) > 0 and np.hypot(rows - row, columns - column).min() <= 4
        found.setdefault("mark peak", []).append(float(near))
    return {
        "accuracy": (right[True, True] + right[False, False]) / 2,
        "broken": (right[True, False] + right[False, True]) / 2,
        "worst group": min(right.values()),
        **{name: float(np.mean(values)) for name, values in found.items()},
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    argparse.ArgumentParser(
        prog="python -m tools.recipes.shortcut",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args(arguments)
    for folder in ("weights", "measured"):
        if why := unwritable(data(folder)):
            raise SystemExit(why)
    started, tables = time.monotonic(), dict[str, Table]()
    for shortcut in SHORTCUTS:
        scenes = groups(shortcut)
        for fixed in (False, True):
            rows: Table = {}
            for seed in range(SEEDS):
                model = learnt(shortcut, fixed, seed)
                if seed == 0:
                    weights.save(f"shortcut_{shortcut}{'_fixed' if fixed else ''}", model.network)
                    model = models.shortcut(shortcut, fixed)
                rows[f"seed {seed}"] = reached(model, scenes)
            tables[f"{shortcut}, fixed" if fixed else shortcut] = rows
            print(shortcut, fixed, rows, flush=True)
    rounded = json.loads(json.dumps(tables), parse_float=lambda number: round(float(number), 3))
    data("measured", "shortcut.json").write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")
    _card(rounded, time.monotonic() - started)


def _card(tables: dict[str, Table], seconds: float) -> None:
    made = [
        ("scenes", f"{SCENES:,} of 64 × 64 pixels, three small objects, a cat in every second one"),
        ("steps", f"{STEPS} of AdamW, {BATCH} scenes each, rate up to {RATE:g} (one-cycle)"),
        ("seeds", f"{SEEDS}, of weights, scenes and order; the weights of seed 0 are stored"),
        ("time", f"{seconds / 60:.0f} min for all {len(tables) * SEEDS} networks on one CPU core"),
    ]
    lines = ["# shortcut", "", "Written by `python -m tools.recipes.shortcut`.", "", *pages.table(("recipe", ""), made)]
    lines += ["", f"On {4 * EACH} held-out scenes, mean over {SEEDS} seeds:", ""]
    names = ("accuracy", "broken", "worst group", "mark", "mark luck", "cat", "cat luck")
    rows = [
        (shortcut, *(f"{np.mean([row[name] for row in rows.values()]):.3f}" for name in names))
        for shortcut, rows in tables.items()
    ]
    lines += pages.table(("network", *names), rows)
    data("weights", "shortcut.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
