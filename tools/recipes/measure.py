"""Measure maps against the truth of collages: the tables of lessons 05 to 10.

python -m tools.recipes.measure boxes         measures on 200 held-out scenes and writes data/measured/boxes.json
python -m tools.recipes.measure regions       the same for segmentation; and so for vit and swin, layer by layer
python -m tools.recipes.measure family        every method at five layers of the ImageNet network; half an hour
python -m tools.recipes.measure copies        how many copies of one object are reached, at four layers
python -m tools.recipes.measure against       maps of what speaks against a class, or for one rather than another
python -m tools.recipes.measure attention     relevance through attention beside rollout, LeGrad and the best CAMs
"""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from statistics import mean, stdev
from typing import Any

from lessons_lib import baselines, models
from lessons_lib.core import methods
from lessons_lib.core.explain import explain
from lessons_lib.core.methods import Method
from lessons_lib.core.resources import data
from lessons_lib.core.targets import Difference
from lessons_lib.metrics.classes import class_maps, copy_maps
from lessons_lib.metrics.sanity import Maker
from lessons_lib.metrics.tables import Table, box_maps, by_kind, region_maps, sweep
from lessons_lib.photos.collage import Scene, Scenes, scene
from tools.recipes.legrad import legrad
from tools.recipes.places import unwritable

THREE_OBJECTS = Scenes(100, seed=3_000_000, count=3)
TWO_COPIES = Scenes(100, seed=3_100_000, count=2, copies=True)
ANY = Scenes(200, seed=3_200_000)

VIT_LAYERS = [f"encoder.layers.encoder_layer_{block}{part}" for block in range(6) for part in (".ln_1", ".ln_2", "")]
SWIN_LAYERS = [f"features.{s}.{b}{part}" for s in (1, 3, 5) for b in (0, 1) for part in (".norm1", ".norm2", "")]
SWIN_LAYERS.append("norm")
"""Every block of the embedded models: its two norms, and what it emits; and the norm before Swin's pooling."""

ATTENTION: dict[str, Maker] = {
    "attention rollout": lambda model, pictures, target: baselines.attention_rollout(model, pictures),
    "attention relevance": baselines.attention_relevance,
    "LeGrad": legrad,
    "LeGrad, class token, last four blocks": partial(legrad, blocks=range(2, 6), class_token=True),
    "gradcam, last block": partial(explain, layer=VIT_LAYERS[-3]),
    "hirescam, last block": partial(explain, layer=VIT_LAYERS[-3], method=methods.hirescam),
    "hirescam, second block": partial(explain, layer=VIT_LAYERS[4], method=methods.hirescam),
}
"""Maps of the ViT: what attention gives, and the CAMs at the two places where `vit` finds them best."""

CAT_AND_CUP = Scenes(100, seed=3_300_000, kinds=["cat", "coffee cup"], count=2, area=(0.12, 0.2))
CLASSES = {"cat": "Egyptian cat", "coffee cup": "espresso", "motorcycle": "moped"}
FAMILY_LAYERS = ["blocks.2", "blocks.2.1.bn2", "blocks.4", "blocks.4.2.bn2", "bn2"]
"""Of the ImageNet network: at three depths, where maps have a sign; and at each depth behind a ReLU."""
FAMILY: dict[str, Method] = {
    "gradcam": methods.gradcam,
    "hirescam": methods.hirescam,
    "layercam": methods.layercam,
    "xgradcam": methods.xgradcam,
    "gradcam_plus_plus": methods.gradcam_plus_plus,
    "eigencam": methods.eigencam,
    "eigencam, not centred": partial(methods.eigencam, centred=False),
    "principal(hirescam)": methods.principal(methods.hirescam),
    "principal(layercam)": methods.principal(methods.layercam),
}
MANY_RUNS: dict[str, tuple[Method, list[str]]] = {
    "ablationcam": (methods.ablationcam, ["blocks.4", "bn2"]),
    "scorecam": (methods.scorecam, ["blocks.4"]),
    "augmented(hirescam)": (methods.augmented(methods.hirescam), ["blocks.4", "bn2"]),
}
"""At these layers, and on the first eight scenes only: they run the network again, for each channel or copy."""

COPIES = [
    Scenes(40, seed=3_400_000 + number, kinds=[kind], count=(3, 7), copies=True, area=(0.04, 0.09))
    for number, kind in enumerate(CLASSES)
]
AGAINST = range(5000, 5020)
"""Seeds of scenes with a cat and a cup, as `CAT_AND_CUP` draws them."""
COPIES_LAYERS = ["blocks.4", "blocks.4.2.bn2", "blocks.5.0.bn1", "bn2"]
"""Of the ImageNet network: the first has maps with a sign, the others stand behind a ReLU."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.recipes.measure",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=sorted(MEASURED))
    name = parser.parse_args(arguments).name
    file = data("measured", f"{name}.json")
    if why := unwritable(file.parent):
        parser.error(why)
    tables = MEASURED[name]()
    rounded = json.loads(json.dumps(tables), parse_float=lambda number: round(float(number), 3))
    file.write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")
    print(file.read_text(encoding="utf-8"))


def _bar(scenes: Scenes, count: int | None = None) -> Iterable[Scene]:
    from tqdm.auto import tqdm

    return (scenes.scene(index) for index in tqdm(range(count or len(scenes)), desc="measuring", unit=" scenes"))


def _boxes() -> dict[str, Table]:
    model = models.detector()
    return {
        "three objects": box_maps(model, _bar(THREE_OBJECTS)),
        "two copies": box_maps(model, _bar(TWO_COPIES)),
    }


def _regions() -> dict[str, Table]:
    return {"one to three objects": region_maps(models.segmenter(), _bar(ANY))}


def _family() -> dict[str, Table]:
    model = models.imagenet()
    tables = class_maps(model, FAMILY_LAYERS, _bar(CAT_AND_CUP), CLASSES, FAMILY)
    for name, (method, layers) in MANY_RUNS.items():
        for layer, rows in class_maps(model, layers, _bar(CAT_AND_CUP, 8), CLASSES, {name: method}).items():
            tables[layer] |= rows
    return tables


def questions() -> dict[str, Any]:
    """Return lesson 06's questions, in words: for a class, against it, and rather than for another."""
    cat, tabby, violin = (models.imagenet().categories.index(name) for name in ("Egyptian cat", "tabby", "violin"))
    return {
        "Egyptian cat": "Egyptian cat",
        "against Egyptian cat": lambda output: -output[cat],
        "against a violin": lambda output: -output[violin],
        "espresso": "espresso",
        "espresso rather than Egyptian cat": Difference("espresso", "Egyptian cat"),
        "Egyptian cat rather than tabby": Difference("Egyptian cat", "tabby"),
        "tabby rather than Egyptian cat": Difference("tabby", "Egyptian cat"),
        "tabby less 0.6 × Egyptian cat": lambda output: output[tabby] - 0.6 * output[cat],
    }


def against(scenes: Sequence[Scene]) -> Table:
    """Return for each question where its Grad-CAMs lie: their shares of the heat on cat and cup, and their peaks.

    Returns:
        "cat", "coffee cup": mean share of the heat on it; "cat spread", "coffee cup spread": its standard deviation;
        "cat luck", "coffee cup luck": the share that evenly spread heat would have; "peak": the mean of the highest
        cells; "maps": how many.
    """
    table = {}
    for words, target in questions().items():
        heats = explain(models.imagenet(), list(scenes), target)
        row = {"peak": mean(float(heat.positive.max()) for heat in heats), "maps": float(len(heats))}
        for kind in ("cat", "coffee cup"):
            masks = [next(item.mask for item in heat.photo.objects if item.name == kind) for heat in heats]
            shares = [heat.share_on(mask) for heat, mask in zip(heats, masks, strict=True)]
            luck = mean(heat.luck_on(mask) for heat, mask in zip(heats, masks, strict=True))
            row |= {kind: mean(shares), f"{kind} spread": stdev(shares), f"{kind} luck": luck}
        table[words] = row
    return table


def _against() -> dict[str, Table]:
    drawn = [scene(seed, kinds=["cat", "coffee cup"], count=2, area=(0.12, 0.2)) for seed in AGAINST]
    return {"cat and cup": against(drawn)}


def _copies() -> dict[str, Table]:
    compared = {name: FAMILY[name] for name in ("gradcam", "gradcam_plus_plus", "layercam")}
    coming = chain.from_iterable(map(_bar, COPIES))
    return copy_maps(models.imagenet(), COPIES_LAYERS, coming, CLASSES, compared)


MEASURED: dict[str, Callable[[], dict[str, Table]]] = {
    "boxes": _boxes,
    "regions": _regions,
    "family": _family,
    "copies": _copies,
    "against": _against,
    "attention": lambda: by_kind(models.vit(), ATTENTION, _bar(ANY)),
    "vit": lambda: sweep(models.vit(), VIT_LAYERS, _bar(ANY)),
    "swin": lambda: sweep(models.swin(), SWIN_LAYERS, _bar(ANY)),
}


if __name__ == "__main__":
    main()
