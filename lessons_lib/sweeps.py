"""Every layer of a classifier under every method, against the truth of collages: which layer, measured."""

from collections.abc import Iterable, Sequence
from itertools import islice

from lessons_lib.collage import KINDS, Scene
from lessons_lib.metrics import COMPARED, Table, averaged, moved, on_truth, quiet, union
from lessons_lib.records import Explainable
from lessons_lib.targets import ClassScore

VIT_LAYERS = [f"encoder.layers.encoder_layer_{block}{part}" for block in range(6) for part in (".ln_1", ".ln_2", "")]
SWIN_LAYERS = [f"features.{s}.{b}{part}" for s in (1, 3, 5) for b in (0, 1) for part in (".norm1", ".norm2", "")]
SWIN_LAYERS.append("norm")
"""Every block of the embedded models: its two norms, and what it emits; and the norm before Swin's pooling."""

_CHUNK = 25


def sweep(model: Explainable, layers: Sequence[str], scenes: Iterable[Scene]) -> dict[str, Table]:
    """Return, for each layer and method, how well the map of a kind keeps to the objects of that kind.

    There is a map for every kind in a scene, and one for the next kind in the list, to see whether the map heeds the
    question.

    Returns:
        By layer, then by method. "peak": share of maps whose highest cell has its centre on an object of the kind;
        "own", "other": shares of the heat inside the kind's masks and inside the others'; "class swapped": how much of
        the heat moves when the next kind in the list is asked for (0 none, 1 all); "maps": how many.

    Example:
        >>> sweep(models.vit(), ["encoder.layers.encoder_layer_2.ln_1"], [collage.scene(1)])
    """
    found: dict[str, dict[str, list[dict[str, float]]]]
    found = {layer: {method.__name__: [] for method in COMPARED} for layer in layers}
    coming = iter(scenes)
    while part := list(islice(coming, _CHUNK)):
        asked = [(scene, kind) for scene in part for kind in sorted({item.name for item in scene.objects})]
        pictures = [scene for scene, _ in asked]
        aims = [ClassScore(kind) for _, kind in asked]
        others = [ClassScore(KINDS[(KINDS.index(kind) + 1) % len(KINDS)]) for _, kind in asked]
        for layer, rows in found.items():
            for method in COMPARED:
                heats = quiet(model, pictures, aims, method, layer=layer)
                swapped = quiet(model, pictures, others, method, layer=layer)
                for (scene, kind), heat, other in zip(asked, heats, swapped, strict=True):
                    first = scene.objects[0].mask
                    own = union((item.mask for item in scene.objects if item.name == kind), first)
                    rest = union((item.mask for item in scene.objects if item.name != kind), first)
                    rows[method.__name__].append(on_truth(heat, own, rest) | {"class swapped": moved(heat, other)})
    return {layer: {name: averaged(rows) for name, rows in table.items()} for layer, table in found.items()}
