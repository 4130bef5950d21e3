"""Measure methods × metrics for lesson 11, on 200 held-out scenes and on grids of the real photographs.

python -m tools.recipes.trust vit             measures one model and writes data/measured/trust_vit.json
python -m tools.recipes.trust all             all four: vit, classifier, segmenter, detector; an hour on one core
"""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np
import torch

from lessons_lib import baselines, models, photos
from lessons_lib.core import methods
from lessons_lib.core.boxes import boxes
from lessons_lib.core.explain import explain
from lessons_lib.core.records import Explainable, Photo
from lessons_lib.core.resources import data
from lessons_lib.core.targets import BoxScore, ClassScore, RegionScore
from lessons_lib.metrics.sanity import Maker
from lessons_lib.metrics.side_by_side import Columns, Question, faithful, localised, sane
from lessons_lib.photos.collage import Scenes
from tools.recipes.places import unwritable

SCENES, SLOW, FEW, GRIDS = 200, 16, 10, 24
"""How many scenes are localised; with methods that run the network many times; scored by faithfulness and sanity (half
of them with such methods); and how many grids."""
CAT_AND_CUP = Scenes(SCENES, seed=6_000_000, kinds=["cat", "coffee cup"], count=2, area=(0.12, 0.2))
ANY = Scenes(SCENES, seed=6_100_000, count=(2, 3))
CLASSES = {"cat": "Egyptian cat", "coffee cup": "espresso", "motorcycle": "moped", "rocket": "missile"}

_many: dict[str, Maker] = {
    "integrated gradients": partial(baselines.integrated_gradients, steps=8),
    "smoothgrad": partial(baselines.smoothgrad, draws=8),
    "occlusion": partial(baselines.occlusion, cells=7, square=1),
    "rise": partial(baselines.rise, masks=100),
}


def _cam(method: methods.Method, layer: str | None = None) -> Maker:
    return partial(explain, method=method, layer=layer)


@dataclass(frozen=True)
class Measured:
    """What is measured of one model.

    Args:
        model: gives it.
        scenes: the held-out scenes.
        ask: from a model, a picture and a kind to a question; None where the model does not see it.
        quick: methods on all scenes.
        slow: methods on the first of them only.
        forgets: the parts that forget for the sanity check.
    """

    model: Callable[[], Explainable]
    scenes: Scenes
    ask: Callable[[Explainable, Photo, str], Question | None]
    quick: dict[str, Maker]
    slow: dict[str, Maker]
    forgets: tuple[str, ...]


def _mask(photo: Photo, kind: str) -> np.ndarray:
    return np.logical_or.reduce(photo.named()[kind])


def _next(photo: Photo, kind: str) -> str:
    kinds = list(photo.named())
    return kinds[(kinds.index(kind) + 1) % len(kinds)]


def _class(model: Explainable, photo: Photo, kind: str) -> Question:
    known = set(model.categories)
    name, other = (one if one in known else CLASSES[one] for one in (kind, _next(photo, kind)))
    asked, against = (model.categories.index(one) for one in (name, other))
    # Of a thousand classes, many look like these: followed is how much more likely the one is than the other.
    followed = None if kind in known else lambda output: (output[asked] - output[against]).sigmoid()
    return Question(photo, ClassScore(name), _mask(photo, kind), ClassScore(other), followed)


def _region(model: Explainable, photo: Photo, kind: str) -> Question:
    # Of the object's own outline: a network that has forgotten marks its class nowhere.
    index, other, mask = model.categories.index(kind), _next(photo, kind), torch.from_numpy(_mask(photo, kind).copy())
    followed = lambda output: output["out"].softmax(dim=0)[index][mask].mean()  # noqa: E731
    against = RegionScore(other, _mask(photo, other))
    return Question(photo, RegionScore(kind, mask), mask.numpy(), against, followed)


def _box(model: Explainable, photo: Photo, kind: str) -> Question | None:
    found = boxes(model, photo)
    for number, box in enumerate(found):
        left, top, right, bottom = box.edges
        for one in photo.objects:
            if one.name == box.name == kind and one.mask[int(top + bottom) // 2, int(left + right) // 2]:
                others = [other for other, each in enumerate(found) if each.name != kind]
                return Question(photo, BoxScore(number), one.mask, BoxScore(others[0]) if others else None)
    return None


_OF_PLACES: dict[str, Maker] = {
    "gradcam": _cam(methods.gradcam),
    "hirescam": _cam(methods.hirescam),
    "layercam": _cam(methods.layercam),
    "eigencam": _cam(methods.eigencam),
    "input × gradient": baselines.input_x_gradient,
    "edges": baselines.edges,
}

MEASURED = {
    "vit": Measured(
        models.vit,
        ANY,
        _class,
        {
            "gradcam": _cam(methods.gradcam),
            "gradcam, block 2": _cam(methods.gradcam, "encoder.layers.encoder_layer_2.ln_1"),
            "layercam, block 2": _cam(methods.layercam, "encoder.layers.encoder_layer_2.ln_1"),
            "eigencam": _cam(methods.eigencam),
            "attention rollout": lambda model, pictures, target: baselines.attention_rollout(model, pictures),
            "relevance": baselines.attention_relevance,
            "input × gradient": baselines.input_x_gradient,
            "edges": baselines.edges,
        },
        _many,
        ("heads", "encoder.layers.encoder_layer_5"),
    ),
    "classifier": Measured(
        models.imagenet,
        CAT_AND_CUP,
        _class,
        {
            "gradcam": _cam(methods.gradcam),
            "gradcam_plus_plus": _cam(methods.gradcam_plus_plus),
            "gradcam, blocks.4": _cam(methods.gradcam, "blocks.4"),
            "layercam, blocks.4": _cam(methods.layercam, "blocks.4"),
            "eigencam, blocks.4": _cam(methods.eigencam, "blocks.4"),
            "guided backprop": baselines.guided_backprop,
            "input × gradient": baselines.input_x_gradient,
            "edges": baselines.edges,
        },
        _many,
        ("classifier", "conv_head"),
    ),
    "segmenter": Measured(
        models.segmenter,
        ANY,
        _region,
        _OF_PLACES,
        {"occlusion": _many["occlusion"]},
        ("classifier",),
    ),
    "detector": Measured(
        models.detector,
        ANY,
        _box,
        _OF_PLACES,
        {},
        ("roi_heads.box_head",),
    ),
}


def questions(measured: Measured, model: Explainable, pictures: Iterable[Photo]) -> list[Question]:
    """Return one question for each picture in which the model sees it; kinds take turns."""
    asked = []
    for number, photo in enumerate(pictures):
        kinds = list(photo.named())
        asked.append(measured.ask(model, photo, kinds[number % len(kinds)]))
    return [one for one in asked if one is not None]


def grids(count: int = GRIDS) -> list[Photo]:
    """Return grids of the four real photographs in every order."""
    four = [photos.cat(), photos.coffee(), photos.motorcycle(), photos.rocket()]
    return [photos.grid(list(order)) for order in list(permutations(four))[:count]]


def measure(name: str, scenes: int = SCENES, slow: int = SLOW, few: int = FEW, count: int = GRIDS) -> dict[str, Any]:
    """Return, by method, a number for each question: on scenes, and in "grid …" on grids."""
    from tqdm.auto import tqdm

    what = MEASURED[name]
    model = what.model()
    asked = questions(what, model, (what.scenes.scene(index) for index in range(min(scenes, len(what.scenes)))))
    on_grids = questions(what, model, grids(count))
    found: dict[str, Columns] = {}
    for method, make in tqdm({**what.quick, **what.slow}.items(), desc=name, unit=" methods"):
        many = asked if method in what.quick else asked[:slow]
        scored = asked[: few if method in what.quick else max(1, few // 2)]
        of_grids = on_grids if method in what.quick else on_grids[: few // 2]
        gridded = localised(model, of_grids, make) if of_grids else {}
        found[method] = {
            **localised(model, many, make),
            **faithful(model, scored, make),
            **sane(model, scored, make, forgets=what.forgets),
            **{f"grid {column}": values for column, values in gridded.items() if column != "iou"},
        }
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.recipes.trust", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=[*MEASURED, "all"])
    name = parser.parse_args(arguments).name
    if why := unwritable(data("measured")):
        parser.error(why)
    for one in MEASURED if name == "all" else [name]:
        rounded = json.loads(json.dumps(measure(one)), parse_float=lambda number: round(float(number), 3))
        rows = (f"{json.dumps(method)}: {json.dumps(columns)}" for method, columns in rounded.items())
        data("measured", f"trust_{one}.json").write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
