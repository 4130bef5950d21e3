"""Targets of object detection: a box's score for any class, its edges and its sizes."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lessons_lib.core.accepted.values import is_bool, whole
from lessons_lib.core.engine import detectors
from lessons_lib.core.engine.detectors import OVERLAP, Edges, edges_of, nearest
from lessons_lib.core.engine.outputs import said
from lessons_lib.core.records import Explainable, index_of, name_of, shown
from lessons_lib.core.targets.base import Local, State


@dataclass(frozen=True)
class Followed:
    """The box that a target follows through other runs: its edges, the class that is asked for, what it is called."""

    edges: Edges
    label: int
    called: str


@dataclass(frozen=True)
class OfBox(Local):
    """What the targets of this room share: a box that is found again when the network runs again.

    The box is chosen in the first run. In any other run it is the box of the same class that overlaps it most, by half
    or more (intersection over union). All boxes are kept for that, also those below the network's threshold.

    Args:
        box: its number, or left, top, right and bottom, as `BoxScore` says.
        category: the class, by index or name; `None` is the box's own.
        threshold: the network's own, below which a box counts as not found; `on` sets it.
        named: the class as it was asked for; `on` sets it.
        followed: the box that was chosen; `settled` sets it.
    """

    box: Any = 0
    category: int | str | None = None
    threshold: float = field(default=-1.0, repr=False, kw_only=True)
    named: str = field(default="", repr=False, kw_only=True)
    followed: Followed | None = field(default=None, repr=False, kw_only=True)

    def on(self, model: Explainable) -> "OfBox":
        category = None if self.category is None else index_of(self.category, model)
        if category is not None and model.categories and not 0 <= category < len(model.categories):
            count = len(model.categories)
            raise ValueError(f"There is no class {category}: this model has {count}, from 0 to {count - 1}.")
        threshold = max((head.score_thresh for head in detectors.heads(model.network)), default=-1.0)
        return replace(self, category=category, threshold=threshold, named=repr(self.category))

    def settled(self, output: Any) -> "OfBox":
        return self if self.followed else replace(self, followed=self._found(output))

    def state(self, network: nn.Module, picture: Tensor | None = None) -> State | None:
        if self.followed is not None and picture is not None:
            narrowed = detectors.narrowed(network, picture, self.followed.edges, self.followed.label)
            return narrowed or (lambda: detectors.every_score(network))

        @contextmanager
        def first() -> Iterator[None]:
            with detectors.every_score(network), detectors.sparse(network):
                yield

        return first

    def _found(self, output: Any) -> Followed:
        detectors.held(output)
        category = None if self.category is None else whole(self.category)
        kept = {key: output[key][output["scores"] > self.threshold] for key in ("boxes", "labels", "scores")}
        count = len(kept["scores"])
        if isinstance(self.box, int | np.integer) and not is_bool(self.box):
            if not count:
                above = f" with a score above its threshold of {self.threshold:g}" if self.threshold >= 0 else ""
                raise ValueError(
                    f"The network finds no box in this picture{above}: choose another picture, or ask about a place, "
                    "`ll.BoxScore((left, top, right, bottom), category)`."
                )
            if not 0 <= self.box < count:
                raise ValueError(f"There is no box {self.box}: the network finds {count}, numbered from 0.")
            edges, own = edges_of(kept["boxes"][self.box]), int(kept["labels"][self.box])
            if category in (None, own):
                return Followed(edges, own, f"box {self.box}: ")
            called = f"box {self.box}: "
        else:
            edges, called = _edges(self.box), ""
        within = kept if category is None else output
        row, most = nearest(within, edges, category, least=0.0 if called else OVERLAP)
        if row is None:
            named = self.named or repr(self.category)
            which = "no box at all" if category is None else f"no box of class {named}, even below its threshold,"
            raise ValueError(
                f"Around columns {edges[0]:.0f} to {edges[2]:.0f}, rows {edges[1]:.0f} to {edges[3]:.0f} the network, "
                f"run again, has {which} that overlaps by half or more; the nearest overlaps by {most:.2f}. Boxes move "
                "when picture, size or weights change: take the box from this network's output for this very picture."
            )
        return Followed(edges_of(within["boxes"][row]), int(within["labels"][row]), called)


def _edges(box: Any) -> Edges:
    """Return the edges that were given, by themselves or in a `Box`."""
    four = getattr(box, "edges", box)
    four = four.detach().cpu() if isinstance(four, Tensor) else four
    if isinstance(four, list | tuple | np.ndarray | Tensor) and len(four) != 4:
        raise ValueError(f"A box is a number, or left, top, right and bottom, and this has {len(four)} values.")
    with suppress(TypeError, ValueError, RuntimeError):
        return edges_of(torch.as_tensor(np.asarray(four, dtype=float), device="cpu"))
    raise TypeError(f"A box is a number, or left, top, right and bottom, not {said(box)}: `ll.boxes` lists the boxes.")


@dataclass(frozen=True)
class BoxScore(OfBox):
    """The score of one class for one box of a detector, after softmax or sigmoid: torchvision's own `scores`.

    These carry gradients in eval mode: through the box head and RoIAlign, or through the head over the anchors, to the
    feature maps. Only the places of proposals and anchors carry none. In a run in which a changed network no longer
    finds the box, its score is 0.

    Args:
        box: its number in the network's output, from 0, the highest score; or its left, top, right and bottom in pixels
            of the network's input, as they stand in that output, or where a box is missed.
        category: the class, by index or name; `None` is the box's own. Of another class, it is the box of
            that class that overlaps this one most, as the network gives it with its threshold lowered: detectors place
            a box for every class anew.

    Raises:
        ValueError: there is no such box, or none of that class; the sentence says what there is.
        TypeError: the output has no boxes.

    Example:
        >>> for heat in explain(models.detector(), scene, [BoxScore(0), BoxScore(0, "astronaut")], method=hirescam):
        ...     print(heat.words)
        box 0: cat, score 1.00
        box 0: astronaut, score below 0.01
    """

    def __call__(self, output: Any) -> Tensor:
        if self.followed is None:
            return self.settled(output)(output)
        row, _ = nearest(output, self.followed.edges, self.followed.label)
        return output["scores"].sum() * 0 if row is None else output["scores"][row]

    def words(self, output: Any, model: Explainable) -> str:
        assert self.followed is not None
        name = name_of(self.followed.label, model)
        return f"{self.followed.called}{name}, score {shown(self(output).item())}"


_EDGES = {
    "left": (1, 0, 0, 0),
    "top": (0, 1, 0, 0),
    "right": (0, 0, 1, 0),
    "bottom": (0, 0, 0, 1),
    "width": (-1, 0, 1, 0),
    "height": (0, -1, 0, 1),
}


@dataclass(frozen=True)
class BoxEdge(OfBox):
    """Where an edge of a detector's box lies, or the box's width or height, in pixels of the network's input.

    What speaks for it pushes the edge to the right or down, or makes the box larger.

    Args:
        box: as in `BoxScore`.
        category: as in `BoxScore`.
        edge: "left", "top", "right", "bottom", "width" or "height".

    Raises:
        ValueError: there is no such edge or box, or the box vanishes when the network is run again.

    Example:
        >>> explain(models.detector(), scene, BoxEdge(0, edge="width"), method=hirescam).words
        'box 0: width of the cat 77'
    """

    edge: str = "left"

    def __post_init__(self) -> None:
        if not isinstance(self.edge, str) or self.edge not in _EDGES:
            raise ValueError(f"A box has no edge {said(self.edge)}: take one of {', '.join(_EDGES)}.")

    def __call__(self, output: Any) -> Tensor:
        if self.followed is None:
            return self.settled(output)(output)
        row, most = nearest(output, self.followed.edges, self.followed.label)
        if row is None:
            raise ValueError(
                f"The box vanishes when the network is run again: the nearest of its class overlaps it by {most:.2f}, "
                "and there is no edge to follow. Take BoxScore, which is then 0, or a method that runs once."
            )
        return (output["boxes"][row] * torch.tensor(_EDGES[self.edge], device=output["boxes"].device)).sum()

    def words(self, output: Any, model: Explainable) -> str:
        assert self.followed is not None
        what = self.edge if self.edge in ("width", "height") else f"{self.edge} edge"
        return f"{self.followed.called}{what} of the {name_of(self.followed.label, model)} {self(output).item():.0f}"
