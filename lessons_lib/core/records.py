"""What the rooms hand one another: a photo, a box on it, and a network with all that is needed to explain it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from lessons_lib import show
from lessons_lib.core.accepted.values import as_mask, names, no_network, whole
from lessons_lib.core.engine.calling import called
from lessons_lib.core.engine.capture import find
from lessons_lib.core.engine.names import near
from lessons_lib.core.engine.outputs import kind_of, said
from lessons_lib.core.engine.places.layouts import Layout
from lessons_lib.core.preprocess import Preprocess, preprocess_of

Edges = tuple[float, float, float, float]
"""Left, top, right and bottom of a box, in pixels."""


@dataclass(frozen=True, eq=False)
class Outlined:
    """One object whose outline is known: its name and an H×W bool mask, true where the object is seen.

    Example:
        >>> photos.cat().objects[0]
        cat · 99873 of 135300 pixels
    """

    name: str
    mask: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "mask", as_mask(self.mask))  # a frozen record's one conversion

    @property
    def edges(self) -> Edges:
        """The box around what is seen: left, top, right and bottom, as edges of pixels, 0…width and 0…height.

        Of an object that is hidden altogether, a box of no size in the corner.
        """
        if not self.mask.any():
            return 0.0, 0.0, 0.0, 0.0
        rows, columns = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)

    def __repr__(self) -> str:
        return f"{self.name} · {int(self.mask.sum())} of {self.mask.size} pixels"


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture and what is known of it: an upright RGB image, its outlined objects, a title.

    In Jupyter a photo shows itself, with its words. A mask without the image's height and width raises ValueError.

    Example:
        >>> photos.cat()
        cat · 451 × 300 pixels · known outline: cat
    """

    image: Image.Image
    objects: tuple[Outlined, ...] = ()
    title: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.image, Image.Image):
            raise TypeError(
                f"A photo is made of a Pillow image, not of {said(self.image)}: open a file with "
                "`ll.photos.open(path)`, make an array one with `PIL.Image.fromarray(array)`."
            )
        if not isinstance(self.objects, list | tuple) or not all(isinstance(one, Outlined) for one in self.objects):
            raise TypeError(
                f"A photo's objects are several `ll.Outlined(name, mask)` in a tuple, not {said(self.objects)}."
            )
        if not isinstance(self.title, str):
            raise TypeError(f"A photo's title is text, not {said(self.title)}.")
        for item in self.objects:
            if item.mask.shape != self.image.size[::-1]:
                raise ValueError(
                    f"The mask of {item.name!r} is {item.mask.shape} but the image is {self.image.size[::-1]} "
                    "(height, width): give a mask of the image's own size."
                )

    def describe(self) -> str:
        """Return the photo in words: title, width × height, outlined objects."""
        parts = [self.title or "picture", "{} × {} pixels".format(*self.image.size)]
        if self.objects:
            copies = ((f"{len(masks)} × " if len(masks) > 1 else "") + name for name, masks in self.named().items())
            parts.append("known outline: " + ", ".join(copies))
        return " · ".join(parts)

    def named(self) -> dict[str, list[np.ndarray]]:
        """Return the masks of each name, since a picture may show several copies of one object."""
        masks: dict[str, list[np.ndarray]] = {}
        for item in self.objects:
            masks.setdefault(item.name, []).append(item.mask)
        return masks

    def __repr__(self) -> str:
        return self.describe()

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, object]]:
        return show.photo(self)._repr_mimebundle_()


@dataclass(frozen=True)
class Box:
    """A box on a photo: its class, its score, and left, top, right and bottom in the photo's pixels.

    Example:
        >>> boxes(models.detector(), scene)[0]
        cat 1.00 · columns 64 to 141, rows 134 to 201
    """

    name: str
    score: float
    edges: Edges

    def __repr__(self) -> str:
        left, top, right, bottom = self.edges
        return f"{self.name} {shown(self.score)} · columns {left:.0f} to {right:.0f}, rows {top:.0f} to {bottom:.0f}"


@dataclass(frozen=True, eq=False)
class Explainable:
    """A network with all that is needed to explain it.

    Args:
        network: any `nn.Module`.
        layer: dotted name of the layer that is looked at when none is given.
        transform: from a picture to the network's input, a `Preprocess`, or a preset of torchvision's or timm's, which
            is read by `preprocess_of`; `None` where only tensors are accepted.
        categories: the classes' names, in the order of the logits; empty where they have no names.
        layout: from what the layer emits to maps N×C×H×W; `None` follows the run, `places.trace`.
        probability: from the logits to the number shown beside a class, softmax or sigmoid; `None` shows the score.

    Raises:
        TypeError: the network is no `nn.Module`, or one that was scripted or traced; or the transform can't be read.

    Example:
        >>> from torchvision.models import ResNet18_Weights
        >>> Explainable(my_model, transform=ResNet18_Weights.DEFAULT.transforms())
        Explainable(ResNet, layer chosen when it runs, resize 256, crop 224, 0 categories)
    """

    network: nn.Module
    layer: str | None = None
    transform: Preprocess | None = None
    categories: tuple[str, ...] = ()
    layout: Layout | None = None
    probability: Callable[[Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.network, nn.Module):
            raise TypeError(f"A network is an `nn.Module`, not {no_network(self.network)}.")
        if isinstance(self.network, torch.fx.GraphModule) and "eval" in vars(self.network):
            raise TypeError("An exported program has no layers to look at: give the network that it was made from.")
        if isinstance(self.network, torch.jit.ScriptModule):
            raise TypeError(
                "A scripted or traced network shows nothing of what its layers emit: give the network it was made from."
            )
        if isinstance(self.layer, nn.Module):
            object.__setattr__(self, "layer", find(self.network, self.layer)[1])
        elif not isinstance(self.layer, str | None):
            raise TypeError(
                f"A record's layer is one dotted name, not {said(self.layer)}: name several in "
                "`ll.explain(…, layer=[…])`."
            )
        if self.transform is not None:
            object.__setattr__(self, "transform", preprocess_of(self.transform))  # a frozen record's one conversion
        object.__setattr__(self, "categories", names(self.categories))
        for name, example in (("layout", "ll.layouts.nchw"), ("probability", "torch.sigmoid")):
            if (given := getattr(self, name)) is not None and not callable(given):
                raise TypeError(f"A record's {name} is a function such as `{example}`, not {said(given)}.")

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return what the record's `probability` makes of logits.

        Raises:
            TypeError, ValueError, RuntimeError: it fails, or gives something of another shape.
        """
        assert self.probability is not None
        way_out = "give one that keeps the shape, such as `torch.sigmoid` or `functools.partial(torch.softmax, dim=0)`"
        found = called("The record's probability", self.probability, logits, on=kind_of(logits), way_out=way_out)
        if not isinstance(found, Tensor) or found.shape != logits.shape:
            raise ValueError(f"The record's probability makes {kind_of(found)} of {kind_of(logits)}: {way_out}.")
        return found

    @classmethod
    def of(cls, model: "Explainable | nn.Module") -> "Explainable":
        """Return the record itself, or one around a bare network."""
        return model if isinstance(model, Explainable) else cls(model)

    @property
    def device(self) -> torch.device:
        """Where the network's first tensor lies; the CPU if it has none."""
        return next((one.device for one in (*self.network.parameters(), *self.network.buffers())), torch.device("cpu"))

    def __repr__(self) -> str:
        prepared = self.transform and f"resize {self.transform.resize}, crop {self.transform.crop}"
        parts = [
            type(self.network).__name__,
            f"layer {self.layer}" if self.layer else "layer chosen when it runs",
            prepared or "takes tensors only",
            f"{len(self.categories)} categories",
        ]
        return f"Explainable({', '.join(parts)})"


def index_of(category: int | str, model: Explainable) -> int:
    """Return the index of a class that is given by its index or by its name.

    Raises:
        ValueError: the model has no such name, or more than one; the nearest names are offered.
        TypeError: it is neither an index nor a name.
    """
    if not isinstance(category, str):
        return whole(category)
    if not model.categories:
        raise ValueError(
            f"This model's classes have no names, so {category!r} can't be found: give the class by its index."
        )
    found = [index for index, name in enumerate(model.categories) if name == category]
    plain = category.strip().casefold()
    found = found or [index for index, name in enumerate(model.categories) if name.casefold() == plain]
    if not found and plain.isdecimal() and int(plain) < len(model.categories):
        raise ValueError(f"There is no class {category!r}: give an index without quotes, {int(plain)}.")
    if not found:
        offer = near(category, model.categories, otherwise="see `model.categories`")
        raise ValueError(f"There is no class {category!r}; {offer}.")
    if len(found) > 1:
        raise ValueError(
            f"Several classes are called {category!r}: give one of the indices {', '.join(map(str, found))}."
        )
    return found[0]


def name_of(index: int, model: Explainable) -> str:
    """Return the name of a class, or "class 7" where the model's classes have no names."""
    return model.categories[index] if index < len(model.categories) else f"class {index}"


def shown(score: float) -> str:
    """Return a probability, or a detector's score, as it is said."""
    return f"{score:.2f}" if score >= 0.01 else "below 0.01"
