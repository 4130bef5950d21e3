"""Maps measured against the truth of collages: the tables of lessons 07 to 10.

python -m lessons_lib.measure boxes         measures on 200 held-out scenes and writes data/measured/boxes.json
python -m lessons_lib.measure regions       the same for segmentation; and so for vit and swin, layer by layer
"""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torchvision.ops import box_iou

from lessons_lib import models, sweeps
from lessons_lib.collage import Scene, Scenes
from lessons_lib.detections import boxes, runner_up
from lessons_lib.metrics import COMPARED, Table, averaged, centre_of_peak, moved, on_truth, quiet, union
from lessons_lib.models import Explainable
from lessons_lib.resources import data
from lessons_lib.targets_boxes import BoxScore
from lessons_lib.targets_pixels import PixelScore, RegionScore

THREE_OBJECTS = Scenes(100, seed=3_000_000, count=3)
TWO_COPIES = Scenes(100, seed=3_100_000, count=2, copies=True)
ANY = Scenes(200, seed=3_200_000)


def box_maps(model: Explainable, scenes: Iterable[Scene]) -> Table:
    """Return how well the map of each box keeps to its own object, for each method, averaged over boxes.

    A box counts when its score is above 0.5 and it overlaps an object of its kind by half or more.

    Returns:
        "peak": share of maps whose highest cell has its centre on the object; "own": share of the heat inside its mask;
        "other": inside the other objects' masks; "box swapped" and "class swapped": how much of the heat moves when
        another box of the scene, or the runner-up class for this box, is asked for (0 none, 1 all); "maps": how many.

    Example:
        >>> box_maps(models.detector(), [TWO_COPIES.scene(0)])["hirescam"]["own"]
    """
    found: dict[str, list[dict[str, float]]] = {method.__name__: [] for method in COMPARED}
    for scene in scenes:
        matched = _matched(model, scene)
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


def region_maps(model: Explainable, scenes: Iterable[Scene]) -> Table:
    """Return where the maps of a segmentation lie, for each method, averaged over the kinds in the scenes.

    Returns:
        "own": share of the heat inside the true masks of the kind, for the whole class as target; "other": inside the
        other objects' masks; "ground": on the ground; "pixel own" and "pixel near": for the pixel deepest inside the
        kind's largest object as target, the share of the heat on that object, and within 28 pixels of the pixel;
        "pixel peak": how often the highest cell is that near; "maps": how many.
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
    """Return the pixel of a mask that is farthest from its edge: row and column."""
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), mask.shape)
    return int(row), int(column)


def stored(name: str) -> dict[str, Table]:
    """Return what was measured on 200 held-out scenes, as `python -m lessons_lib.measure NAME` wrote it.

    Example:
        >>> stored("boxes")["two copies"]["hirescam"]["own"]
    """
    return json.loads(data("measured", f"{name}.json").read_text(encoding="utf-8"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lessons_lib.measure", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=sorted(MEASURED))
    name = parser.parse_args(arguments).name
    tables = MEASURED[name]()
    file = data("measured", f"{name}.json")
    file.parent.mkdir(exist_ok=True)
    rounded = json.loads(json.dumps(tables), parse_float=lambda number: round(float(number), 3))
    file.write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")
    print(file.read_text(encoding="utf-8"))


def _bar(scenes: Scenes) -> Iterable[Scene]:
    from tqdm.auto import tqdm

    return (scenes.scene(index) for index in tqdm(range(len(scenes)), desc="measuring", unit=" scenes"))


def _boxes() -> dict[str, Table]:
    model = models.detector()
    return {
        "three objects": box_maps(model, _bar(THREE_OBJECTS)),
        "two copies": box_maps(model, _bar(TWO_COPIES)),
    }


def _regions() -> dict[str, Table]:
    return {"one to three objects": region_maps(models.segmenter(), _bar(ANY))}


MEASURED: dict[str, Callable[[], dict[str, Table]]] = {
    "boxes": _boxes,
    "regions": _regions,
    "vit": lambda: sweeps.sweep(models.vit(), sweeps.VIT_LAYERS, _bar(ANY)),
    "swin": lambda: sweeps.sweep(models.swin(), sweeps.SWIN_LAYERS, _bar(ANY)),
}


def _matched(model: Explainable, scene: Scene) -> dict[int, int]:
    """Return, for the number of each box that finds an object, which object that is."""
    matched: dict[int, int] = {}
    for number, box in enumerate(boxes(model, scene)):
        overlaps = box_iou(torch.tensor([box.edges]), torch.as_tensor(scene.boxes))[0]
        index = int(overlaps.argmax())
        if overlaps[index] >= 0.5 and scene.objects[index].name == box.name and index not in matched.values():
            matched[number] = index
    return matched


if __name__ == "__main__":
    main()
