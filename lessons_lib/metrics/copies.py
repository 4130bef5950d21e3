"""Several copies of one object in a scene: how many of them does a map reach?"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean

import numpy as np

from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.methods import Method
from lessons_lib.core.records import Explainable, Photo
from lessons_lib.core.targets import ClassScore
from lessons_lib.metrics.tables import Table, quiet_at_layers

SHARES = (0.3, 0.5, 0.7)
"""Of the map's peak, from which on a copy counts as reached in `copy_maps`."""


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
    for scene in scenes:
        (kind,) = scene.named()
        copies = len(scene.objects)
        together = np.logical_or.reduce([one.mask for one in scene.objects])
        aims = [ClassScore(classes[kind]), ClassScore(control)]
        for name, method in compared.items():
            for layer, heats in zip(layers, quiet_at_layers(model, scene, aims, layers, method), strict=True):
                heat, other = heats
                row = {f"reached {share}": float(reached(heat, share)) for share in SHARES}
                row |= {"control": float(reached(other)), "copies": float(copies)}
                found[layer][name].append(row | {"own": heat.share_on(together), "luck": heat.luck_on(together)})
    return {layer: {name: _over_copies(maps) for name, maps in rows.items()} for layer, rows in found.items()}


def _over_copies(maps: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return counts as shares of all copies, and shares of heat as means over the maps."""
    copies = sum(one["copies"] for one in maps)
    counted = [*(f"reached {share}" for share in SHARES), "control"]
    shares = {name: sum(one[name] for one in maps) / copies for name in counted}
    return {**shares, **{name: mean(one[name] for one in maps) for name in ("own", "luck")}, "maps": float(len(maps))}
