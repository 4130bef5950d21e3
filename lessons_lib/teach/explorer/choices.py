"""What can be chosen in the explorer: photos, networks and methods, and what one network offers on one photo."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from lessons_lib.core import inputs, methods
from lessons_lib.core.boxes import boxes
from lessons_lib.core.engine import outputs
from lessons_lib.core.engine.calling import answer
from lessons_lib.core.engine.names import near
from lessons_lib.core.layers.listing import layers
from lessons_lib.core.records import Box, Explainable, Photo, name_of, shown
from lessons_lib.core.targets import BoxScore, PixelScore, Target
from lessons_lib.models import embedded, published
from lessons_lib.photos import collage, shipped
from lessons_lib.teach.explorer.question import Named

PHOTOS: dict[str, tuple[str, Callable[[], Photo]]] = {
    "cat": ("ll.photos.cat()", shipped.cat),
    "coffee cup": ("ll.photos.coffee()", shipped.coffee),
    "astronaut": ("ll.photos.astronaut()", shipped.astronaut),
    "motorcycle": ("ll.photos.motorcycle()", shipped.motorcycle),
    "rocket": ("ll.photos.rocket()", shipped.rocket),
    "collage: cat and motorcycle": ("ll.collage.scene(1)", lambda: collage.scene(1)),
    "collage: cat and coffee cup": (
        "ll.collage.scene(5, kinds=['cat', 'coffee cup'], count=2, area=(0.14, 0.24))",
        lambda: collage.scene(5, kinds=["cat", "coffee cup"], count=2, area=(0.14, 0.24)),
    ),
}
NETWORKS: dict[str, tuple[str, Callable[[], Explainable]]] = {
    "ImageNet classifier, 1,000 classes": ("ll.models.imagenet()", embedded.imagenet),
    "photo detector, 23 classes": ("ll.models.photo_detector()", published.photo_detector),
    "person segmenter, for photos": ("ll.models.person_segmenter()", published.person_segmenter),
    "detector, for collages": ("ll.models.detector()", embedded.detector),
    "segmenter, for collages": ("ll.models.segmenter()", embedded.segmenter),
    "vision transformer, for collages": ("ll.models.vit()", embedded.vit),
    "Swin, for collages": ("ll.models.swin()", embedded.swin),
    "plain CNN, for collages": ("ll.models.flat_cnn()", embedded.flat_cnn),
}
METHODS = list(methods.METHODS)
SLOW = ("ablationcam", "scorecam")
"""Methods that run the network again for every map of the layer."""


@cache
def photo(name: str) -> Named:
    """Return a photo of the menu."""
    written, make = PHOTOS[name]
    return Named(written, make())


@cache
def network(name: str) -> Named:
    """Return a network of the menu."""
    written, make = NETWORKS[name]
    return Named(written, make())


@dataclass(frozen=True)
class Offer:
    """What a network offers on a photo to be asked about.

    Args:
        kind: "classes", "boxes" or "pixels".
        top: of classes, the five on top, each with its number beside it; of pixels, what most pixels are.
        boxes: what a detector finds.
        size: rows and columns of the network's input.
        count: how many classes there are.
        first: what is asked about until somebody chooses.
    """

    kind: str
    top: tuple[tuple[int, str], ...]
    boxes: tuple[Box, ...]
    size: tuple[int, int]
    count: int
    first: int | str | Target


def offer(model: Explainable, photo: Photo) -> Offer:
    """Run a network once and return what can be asked of it.

    Raises:
        ValueError, TypeError: it takes no photo, finds nothing, or gives neither classes, boxes nor pixels.

    Example:
        >>> offer(models.imagenet(), photos.cat()).top[:2]
        ((282, '0.39'), (285, '0.36'))
    """
    with inputs.given(photo, model) as (photos, batch, _), torch.no_grad():
        (output,) = outputs.rows(answer(model.network, batch.clone()), len(photos))
    height, width = batch.shape[2:]
    if isinstance(output, dict) and "boxes" in output:
        found = boxes(model, photo)
        if not found:
            raise ValueError(
                "This network finds no box on this photo, so there is none to ask about: choose another photo or "
                "another network."
            )
        return Offer("boxes", (), tuple(found), (height, width), 0, BoxScore(0))
    if (row := outputs.logits_of(output, axes=1)) is not None:
        numbers = row if model.probability is None else model.probabilities(row)
        said = "{:.2f}".format if model.probability is None else shown
        values, order = numbers.topk(min(5, len(row)))
        top = tuple((int(index), said(value)) for index, value in zip(order, values.tolist(), strict=True))
        return Offer("classes", top, (), (height, width), len(row), asked_as(top[0][0], model))
    if (maps := outputs.logits_of(output, axes=3)) is not None:
        counts = Counter((maps.argmax(dim=0) if len(maps) > 1 else maps[0] <= 0).flatten().tolist())
        shares = [(index, many) for index, many in counts.most_common(5) if index < len(maps)]  # one class: yes or no
        top = tuple((index, f"{100 * many / maps[0].numel():.0f} %") for index, many in shares)
        height, width = maps.shape[1:]
        return Offer("pixels", top, (), (height, width), len(maps), PixelScore(height // 2, width // 2))
    raise TypeError(
        f"The explorer asks about a class, a box or a pixel, and this network gives {outputs.said(output)}."
    )


def places(model: Explainable, photo: Photo, kind: str) -> list[tuple[str, str | None]]:
    """Return what stands in the menu of layers, in the order in which they run: a label with sizes, and the name.

    Example:
        >>> places(models.flat_cnn(), scene, "classes")[-1]
        ('features · 96 × 14 × 14 · the usual one', 'features')
    """
    target: dict[str, Any] = {"classes": None, "boxes": BoxScore(0), "pixels": PixelScore(0, 0)}
    sizes = {one.layer: " × ".join(map(str, one.maps)) for one in layers(model, photo, target[kind])}
    if model.layer is None:
        return [("chosen by ll.explain", None), *((f"{name} · {size}", name) for name, size in sizes.items())]
    sizes.setdefault(model.layer, "")
    usual = {model.layer: " · the usual one"}
    return [(f"{name}{' · ' * bool(size)}{size}{usual.get(name, '')}", name) for name, size in sizes.items()]


def names(model: Explainable, count: int) -> list[str]:
    """Return how each class is written in a menu: its name, and its index where the name alone leaves a doubt."""
    known = [name_of(index, model) for index in range(count)]
    many = Counter(known)
    return [name if many[name] == 1 else f"{name}, class {index}" for index, name in enumerate(known)]


def asked_as(index: int, model: Explainable) -> int | str:
    """Return a class as `explain` takes it: its name, or its index where it has none of its own."""
    categories = model.categories
    alone = index < len(categories) and categories.count(categories[index]) == 1
    return categories[index] if alone else index


def found(typed: str, known: list[str]) -> int:
    """Return the index of the class that was typed: its number, its name, or a part that only its name holds.

    Raises:
        ValueError: there is none, or more than one; those that come near are named.

    Example:
        >>> found("persian", ["tabby", "tiger cat", "Persian cat"])
        2
    """
    plain = typed.strip().casefold()
    if plain.isdecimal() and int(plain) < len(known):
        return int(plain)
    folded = [name.casefold() for name in known]
    if plain in folded:
        return folded.index(plain)
    holding = [index for index, name in enumerate(folded) if plain and plain in name]
    if len(holding) == 1:
        return holding[0]
    if holding:
        some = ", ".join(known[index] for index in holding[:8])
        more = f" and {len(holding) - 8} more" if len(holding) > 8 else ""
        raise ValueError(f"{len(holding)} classes hold {typed.strip()!r}: {some}{more}. Type more of the name.")
    raise ValueError(
        f"There is no class {typed.strip()!r}; {near(typed, known, 'type a part of a name, or a number')}."
    )
