"""Maps of classes, measured over scenes at several layers, beside the map of a class that no scene shows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import mean, pstdev

import numpy as np

from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.methods import Method
from lessons_lib.core.records import Explainable, Photo
from lessons_lib.core.targets import ClassScore
from lessons_lib.metrics.tables import Table, averaged, quiet_at_layers
from lessons_lib.metrics.truth import on_truth

SHARES = (0.3, 0.5, 0.7)
"""Of the map's peak, from which on a copy counts as reached in `copy_maps`."""


def class_maps(
    model: Explainable,
    layers: Sequence[str],
    scenes: Iterable[Photo],
    classes: Mapping[str, str],
    compared: Mapping[str, Method],
    control: str = "violin",
) -> dict[str, Table]:
    """Return, for each layer and method, how well the map of a class keeps to its object, beside a class not there.

    Args:
        classes: which class is asked for, by kind of object.
        compared: the methods, by the names of their rows.
        control: a class that no scene shows.

    Returns:
        By layer, then by method. "own": share of the heat inside the kind's masks; "spread": its standard deviation
        over the maps; "luck": the share that evenly spread heat would have; "control": the share inside the same masks
        in the map of the control class; "peak": as in `sweep`; "maps": how many.

    Example:
        >>> table = metrics.class_maps(models.imagenet(), ["bn2"], [photos.cat()], {"cat": "tabby"}, {"one": gradcam})
        >>> round(table["bn2"]["one"]["luck"], 2)
        0.95
    """
    found = {layer: {name: list[dict[str, float]]() for name in compared} for layer in layers}
    for scene, layer, name, heats in _asked(model, layers, scenes, classes, compared, control):
        for heat, masks in zip(heats, scene.named().values(), strict=False):
            own = np.logical_or.reduce(masks)
            more = {"luck": heat.luck_on(own), "control": heats[-1].share_on(own)}
            found[layer][name].append(on_truth(heat, own, ~own) | more)
    return {
        layer: {name: averaged(maps) | {"spread": pstdev(one["own"] for one in maps)} for name, maps in rows.items()}
        for layer, rows in found.items()
    }


def reached(heat: Heatmap, share: float = 0.5) -> int:
    """Return how many of the photo's objects a map reaches: their hottest pixel has at least `share` of the peak.

    What it can't tell: a map that is equally hot everywhere reaches them all. A map without heat reaches none.

    Example:
        >>> metrics.reached(explain(models.imagenet(), photos.cat(), "tabby"))
        1
    """
    pixels = heat.on_photo()
    return sum(bool(pixels[one.mask].max() >= share * pixels.max() > 0) for one in heat.photo.objects)


def copy_maps(
    model: Explainable,
    layers: Sequence[str],
    scenes: Iterable[Photo],
    classes: Mapping[str, str],
    compared: Mapping[str, Method],
    control: str = "violin",
) -> dict[str, Table]:
    """Return, for each layer and method, how many of the copies in the scenes the map of their class reaches.

    Args:
        scenes: each with copies of one kind of object.
        classes: which class is asked for, by kind.
        compared: the methods, by the names of their rows.
        control: a class that no scene shows.

    Returns:
        By layer, then by method. "reached 0.3", "reached 0.5", "reached 0.7": share of all copies whose hottest pixel
        has at least so much of the map's peak; "control": the share reached at 0.5 by the map of the control class;
        "own": share of the heat on the copies; "luck": the share that evenly spread heat would have; "maps": how many.

    Example:
        >>> table = metrics.copy_maps(models.imagenet(), ["bn2"], [photos.cat()], {"cat": "tabby"}, {"one": gradcam})
        >>> table["bn2"]["one"]["reached 0.5"]
        1.0
    """
    found = {layer: {name: list[dict[str, float]]() for name in compared} for layer in layers}
    for scene, layer, name, (heat, other) in _asked(model, layers, scenes, classes, compared, control):
        together = np.logical_or.reduce([one.mask for one in scene.objects])
        row = {f"reached {share}": float(reached(heat, share)) for share in SHARES}
        row |= {"control": float(reached(other)), "copies": float(len(scene.objects))}
        found[layer][name].append(row | {"own": heat.share_on(together), "luck": heat.luck_on(together)})
    return {layer: {name: _over_copies(maps) for name, maps in rows.items()} for layer, rows in found.items()}


def _over_copies(maps: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return counts as shares of all copies, and shares of heat as means over the maps."""
    copies = sum(one["copies"] for one in maps)
    counted = [*(f"reached {share}" for share in SHARES), "control"]
    shares = {name: sum(one[name] for one in maps) / copies for name in counted}
    return {**shares, **{name: mean(one[name] for one in maps) for name in ("own", "luck")}, "maps": float(len(maps))}


def _asked(
    model: Explainable,
    layers: Sequence[str],
    scenes: Iterable[Photo],
    classes: Mapping[str, str],
    compared: Mapping[str, Method],
    control: str,
) -> Iterator[tuple[Photo, str, str, list[Heatmap]]]:
    """Yield each scene, layer and method's name, with the maps of the scene's kinds in order and the control's last."""
    for scene in scenes:
        aims = [*(ClassScore(classes[kind]) for kind in scene.named()), ClassScore(control)]
        for name, method in compared.items():
            for layer, heats in zip(layers, quiet_at_layers(model, scene, aims, layers, method), strict=True):
                yield scene, layer, name, heats
