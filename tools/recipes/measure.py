"""Measure maps against the truth of collages: the tables of lessons 07 to 10.

python -m tools.recipes.measure boxes         measures on 200 held-out scenes and writes data/measured/boxes.json
python -m tools.recipes.measure regions       the same for segmentation; and so for vit and swin, layer by layer
"""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence

from lessons_lib import models
from lessons_lib.core.resources import data
from lessons_lib.metrics.tables import Table, box_maps, region_maps, sweep
from lessons_lib.photos.collage import Scene, Scenes
from tools.recipes.places import unwritable

THREE_OBJECTS = Scenes(100, seed=3_000_000, count=3)
TWO_COPIES = Scenes(100, seed=3_100_000, count=2, copies=True)
ANY = Scenes(200, seed=3_200_000)

VIT_LAYERS = [f"encoder.layers.encoder_layer_{block}{part}" for block in range(6) for part in (".ln_1", ".ln_2", "")]
SWIN_LAYERS = [f"features.{s}.{b}{part}" for s in (1, 3, 5) for b in (0, 1) for part in (".norm1", ".norm2", "")]
SWIN_LAYERS.append("norm")
"""Every block of the embedded models: its two norms, and what it emits; and the norm before Swin's pooling."""


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
    "vit": lambda: sweep(models.vit(), VIT_LAYERS, _bar(ANY)),
    "swin": lambda: sweep(models.swin(), SWIN_LAYERS, _bar(ANY)),
}


if __name__ == "__main__":
    main()
