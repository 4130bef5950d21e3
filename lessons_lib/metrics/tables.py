"""Maps measured against the truth over many scenes: each method for boxes, for regions, and layer by layer."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from statistics import mean, pstdev
from typing import Any

import numpy as np

from lessons_lib.core import methods
from lessons_lib.core.boxes import boxes, runner_up
from lessons_lib.core.explain import at_layers, explain
from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.methods import Method
from lessons_lib.core.records import Explainable, Photo
from lessons_lib.core.resources import data
from lessons_lib.core.targets import BoxScore, ClassScore, PixelScore, RegionScore
from lessons_lib.metrics.asking import without_warnings
from lessons_lib.metrics.sanity import Maker
from lessons_lib.metrics.truth import centre_of_peak, matches, moved, on_truth

Table = dict[str, dict[str, float]]
"""A number for each row and column; rows are methods."""

COMPARED: tuple[Method, ...] = (methods.gradcam, methods.hirescam, methods.layercam, methods.eigencam)
"""The methods of every measured table."""


def box_maps(model: Explainable, scenes: Iterable[Photo]) -> Table:
    """Return how well the map of each box keeps to its own object, for each method, averaged over boxes.

    A box counts when its score is above 0.5 and it overlaps an object of its kind by half or more.

    Returns:
        "peak": share of maps whose highest cell has its centre on the object; "own": share of the heat inside its mask;
        "other": inside the other objects' masks; "box swapped" and "class swapped": how much of the heat moves when
        another box of the scene, or the runner-up class for this box, is asked for (0 none, 1 all); "maps": how many.

    Example:
        >>> round(metrics.box_maps(models.detector(), [scene])["hirescam"]["own"], 2)
        0.66
    """
    found: dict[str, list[dict[str, float]]] = {method.__name__: [] for method in COMPARED}
    for scene in scenes:
        matched = matches(boxes(model, scene), scene)
        numbers = list(matched)
        second = [runner_up(model, scene, number) for number in numbers]
        aims = [*map(BoxScore, numbers), *(BoxScore(n, c) for n, c in zip(numbers, second, strict=True) if c)]
        for method in COMPARED:
            heats = dict(zip(map(str, aims), quiet(model, scene, aims, method), strict=True))
            for number, other, kind in zip(numbers, numbers[1:] + numbers[:1], second, strict=True):
                heat, index = heats[str(BoxScore(number))], matched[number]
                masks = [item.mask for item in scene.objects]
                row = on_truth(heat, masks[index], union(masks, masks[0]) & ~masks[index])
                if other != number:
                    row["box swapped"] = moved(heat, heats[str(BoxScore(other))])
                if kind:
                    row["class swapped"] = moved(heat, heats[str(BoxScore(number, kind))])
                found[method.__name__].append(row)
    return {name: averaged(rows) for name, rows in found.items()}


def region_maps(model: Explainable, scenes: Iterable[Photo]) -> Table:
    """Return where the maps of a segmentation lie, for each method, averaged over the kinds in the scenes.

    Returns:
        "own": share of the heat inside the true masks of the kind, for the whole class as target; "other": inside the
        other objects' masks; "ground": on the ground; "pixel own" and "pixel near": for the pixel deepest inside the
        kind's largest object as target, the share of the heat on that object, and within 28 pixels of the pixel;
        "pixel peak": how often the highest cell is that near; "maps": how many.

    Example:
        >>> round(metrics.region_maps(models.segmenter(), [scene])["hirescam"]["own"], 2)
        0.78
    """
    found: dict[str, list[dict[str, float]]] = {method.__name__: [] for method in COMPARED}
    for scene in scenes:
        for kind in sorted({item.name for item in scene.objects}):
            masks = [item.mask for item in scene.objects if item.name == kind]
            own, largest = np.logical_or.reduce(masks), max(masks, key=np.sum)
            row, column = deepest(largest)
            aims = [RegionScore(kind), PixelScore(row, column, kind)]
            for method in COMPARED:
                whole, pixel = quiet(model, scene, aims, method)
                rows, columns = np.indices(own.shape)
                near = np.hypot(rows - row, columns - column) <= 28
                others = np.logical_or.reduce([item.mask for item in scene.objects]) & ~own
                share, side = whole.share_on(own), whole.share_on(others)
                found[method.__name__].append(
                    {
                        "own": share,
                        "other": side,
                        "ground": 1 - share - side,
                        "pixel own": pixel.share_on(largest),
                        "pixel near": pixel.share_on(near),
                        "pixel peak": float(near[centre_of_peak(pixel)]),
                    }
                )
    return {name: averaged(rows) for name, rows in found.items()}


def deepest(mask: np.ndarray) -> tuple[int, int]:
    """Return the pixel of a mask that is farthest from its edge: row and column.

    Example:
        >>> metrics.deepest(np.ones((5, 9), dtype=bool))
        (2, 2)
    """
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), mask.shape)
    return int(row), int(column)


def stored(name: str) -> dict[str, Table]:
    """Return what was measured on 200 held-out scenes, as `python -m tools.recipes.measure NAME` wrote it.

    Example:
        >>> metrics.stored("boxes")["two copies"]["hirescam"]["own"]
        0.63
    """
    return json.loads(data("measured", f"{name}.json").read_text(encoding="utf-8"))


_CHUNK = 25


def sweep(model: Explainable, layers: Sequence[str], scenes: Iterable[Photo]) -> dict[str, Table]:
    """Return, for each layer and method, how well the map of a kind keeps to the objects of that kind.

    There is a map for every kind in a scene, and one for the next kind in the list, to see whether the map heeds the
    question.

    Returns:
        By layer, then by method. "peak": share of maps whose highest cell has its centre on an object of the kind;
        "own", "other": shares of the heat inside the kind's masks and inside the others'; "class swapped": how much of
        the heat moves when the next kind in the list is asked for (0 none, 1 all); "maps": how many.

    Example:
        >>> table = metrics.sweep(models.vit(), ["encoder.layers.encoder_layer_2.ln_1"], [scene])
        >>> list(table["encoder.layers.encoder_layer_2.ln_1"])
        ['gradcam', 'hirescam', 'layercam', 'eigencam']
    """
    found: dict[str, dict[str, list[dict[str, float]]]]
    found = {layer: {method.__name__: [] for method in COMPARED} for layer in layers}
    coming = iter(scenes)
    while part := list(islice(coming, _CHUNK)):
        asked = [(scene, kind) for scene in part for kind in sorted({item.name for item in scene.objects})]
        pictures = [scene for scene, _ in asked]
        aims = [ClassScore(kind) for _, kind in asked]
        following = dict(zip(model.categories, [*model.categories[1:], model.categories[0]], strict=True))
        others = [ClassScore(following[kind]) for _, kind in asked]
        for method in COMPARED:
            heats, swapped = (quiet_at_layers(model, pictures, those, layers, method) for those in (aims, others))
            for layer, here, there in zip(layers, heats, swapped, strict=True):
                for (scene, kind), heat, other in zip(asked, here, there, strict=True):
                    first = scene.objects[0].mask
                    own = union((item.mask for item in scene.objects if item.name == kind), first)
                    rest = union((item.mask for item in scene.objects if item.name != kind), first)
                    row = on_truth(heat, own, rest) | {"class swapped": moved(heat, other)}
                    found[layer][method.__name__].append(row)
    return {layer: {name: averaged(rows) for name, rows in table.items()} for layer, table in found.items()}


def by_kind(model: Explainable, compared: Mapping[str, Maker], scenes: Iterable[Photo]) -> dict[str, Table]:
    """Return how well maps keep to the objects of the kind they are asked for, whoever makes them, kind by kind.

    Args:
        model: as in `explain`.
        compared: by the names of their rows, functions from a model, pictures and targets to heatmaps.
        scenes: with objects of the kinds that the model tells apart.

    Returns:
        For "all" and then for each kind: by row "peak", "own", "other" and "class swapped" as in `sweep`; "spread":
        the standard deviation of "own" over the maps; "luck": the share that evenly spread heat would have; "maps".

    Example:
        >>> table = metrics.by_kind(models.vit(), {"relevance": baselines.attention_relevance}, [scene])
        >>> list(table), round(table["cat"]["relevance"]["own"], 1)
        (['all', 'cat', 'motorcycle'], 0.7)
    """
    found: dict[str, dict[str, list[dict[str, float]]]] = {"all": {name: [] for name in compared}}
    following = dict(zip(model.categories, [*model.categories[1:], model.categories[0]], strict=True))
    for scene in scenes:
        first = scene.objects[0].mask
        for kind in sorted({item.name for item in scene.objects}):
            own, rest = (
                union((i.mask for i in scene.objects if (i.name == kind) is is_it), first) for is_it in (True, False)
            )
            for name, make in compared.items():
                with without_warnings():
                    heat, other = (make(model, scene, ClassScore(one)) for one in (kind, following[kind]))
                row = on_truth(heat, own, rest) | {"class swapped": moved(heat, other), "luck": heat.luck_on(own)}
                for group in ("all", kind):
                    found.setdefault(group, {name: [] for name in compared})[name].append(row)
    return {
        group: {name: averaged(maps) | {"spread": pstdev(one["own"] for one in maps)} for name, maps in rows.items()}
        for group, rows in sorted(found.items(), key=lambda one: (one[0] != "all", one[0]))
    }


def quiet(model: Explainable, pictures: Any, aims: list[Any], method: Method, **options: Any) -> list[Heatmap]:
    """Return `explain`'s maps as a list, without its warnings: in a table a blank map counts as one without heat.

    Args:
        model: as in `explain`.
        pictures: as in `explain`.
        aims: the targets.
        method: as in `explain`.
        options: others of `explain`.

    Example:
        >>> len(metrics.quiet(models.vit(), scene, ["cat", "motorcycle"], gradcam))
        2
    """
    with without_warnings():
        heats: Heatmap | list[Heatmap] = explain(model, pictures, aims, method=method, **options) if aims else []
    return heats if isinstance(heats, list) else [heats]


def quiet_at_layers(
    model: Explainable, pictures: Any, aims: list[Any], layers: Sequence[str], method: Method
) -> list[list[Heatmap]]:
    """Return `at_layers`' maps, by layer, as `quiet` does."""
    with without_warnings():
        return at_layers(model, pictures, aims, layers=layers, method=method)


def averaged(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each number over the rows that have it, and how many rows there are, as "maps"."""
    names = dict.fromkeys(name for row in rows for name in row)
    averages = {name: mean(row[name] for row in rows if name in row) for name in names}
    return {**averages, "maps": float(len(rows))}


def union(masks: Iterable[np.ndarray], like: np.ndarray) -> np.ndarray:
    """Return where at least one of the masks is true; nowhere, in the shape of `like`, if there is none."""
    return np.logical_or.reduce([np.zeros_like(like), *masks])
