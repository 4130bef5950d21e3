"""Which layers of a network can be looked at, found by running it once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lessons_lib.core import inputs
from lessons_lib.core.engine import calling, outputs
from lessons_lib.core.engine.captured import Question, maps_of, untracked
from lessons_lib.core.engine.hooks import hooked, left_as_found
from lessons_lib.core.engine.layouts import Layout
from lessons_lib.core.engine.places.trace import followed
from lessons_lib.core.records import Explainable
from lessons_lib.core.targets.base import Target, score, states
from lessons_lib.core.targets.given import one_each


@dataclass(frozen=True)
class Candidate:
    """A layer that emits something with rows and columns.

    Args:
        layer: its dotted name; of several layers that emit the same tensor, the outermost.
        maps: channels, rows and columns of its maps.
        read_as: the layout by which they are read, "nchw", "nhwc", "tokens" or the record's own.
        gradient: whether the score has a gradient other than zero at the maps.
    """

    layer: str
    maps: tuple[int, int, int]
    read_as: str
    gradient: bool


class Candidates(list[Candidate]):
    """Layers in the order in which they run; printed as a table."""

    def __repr__(self) -> str:
        rows = [(c.layer, " × ".join(map(str, c.maps)), c.read_as, "yes" if c.gradient else "zero") for c in self]
        rows.insert(0, ("layer", "C × H × W", "read as", "gradient"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def layers(model: Explainable | nn.Module, pictures: Any, target: Any = None) -> Candidates:
    """Return the layers at which a heatmap can be made, in the order in which they run.

    A layer is in the list when it runs once and emits more than one cell with rows and columns (`places.trace`).
    The projections inside a block (`nn.Linear`) are left out, and so is a segmentation's last layer, which emits one
    map for each class: that is the answer, not what speaks for it. For a box or a pixel only the `backbone` of a
    network that has one is listed, for the same reason. When no layer is named, `explain` takes the last one whose
    gradient is not zero. The network runs forward once, and backward once.

    Args:
        model: as in `explain`.
        pictures: as in `explain`.
        target: as in `explain`.

    Example:
        >>> layers(my_model, batch)[-1]
        Candidate(layer='layer4', maps=(512, 7, 7), read_as='nchw', gradient=True)
    """
    model = Explainable.of(model)
    photos, batch, _ = inputs.ready(pictures, model)
    return listed(model, batch, one_each(target, len(photos), model))


def last(model: Explainable, batch: Tensor, aims: Sequence[Target]) -> str:
    """Return the last layer that emits maps and whose gradient there is not zero.

    Raises:
        ValueError: there is none.
    """
    found = listed(model, batch, aims)
    names = [candidate.layer for candidate in found if candidate.gradient]
    if found and not names:
        raise ValueError(
            f"The gradient of the score is zero at every layer of this {type(model.network).__name__}, so nothing in "
            "the picture moves it. Load trained weights, since a head that starts with zeros does this (torchvision's "
            "vision transformers have one); or explain a logit, if a saturated softmax or a rounding stands before the "
            "score."
        )
    if not names:
        kind, children = type(model.network).__name__, ", ".join(name for name, _ in model.network.named_children())
        if not children:
            raise ValueError(
                f"This {kind} is one layer, with none inside to look at: put it into a network, `nn.Sequential(layer)`,"
                " and name it, `layer='0'`."
            )
        raise ValueError(
            f"No layer of this {kind} emits maps on which the score depends: say at which layer to look with "
            f"`layer=…`; it has {children}."
        )
    return names[-1]


def listed(model: Explainable, batch: Tensor, aims: Sequence[Target]) -> Candidates:
    """Return the candidates of a network for a batch that is ready, and one target for each picture in it."""
    network = model.network
    runs: Counter[nn.Module] = Counter()
    emitted: dict[int, tuple[Tensor, list[str]]] = {}
    inside = {module for aim in aims for module in aim.part(network).modules()}
    names = {module: name for name, module in network.named_modules() if name and module in inside}
    names = {module: name for module, name in names.items() if not isinstance(module, torch.jit.ScriptModule)}

    silent: list[str] = []  # why a layer that emits maps kept no graph

    def keep(module: nn.Module, _inputs: Any, output: Any) -> None:
        runs[module] += 1
        if isinstance(output, Tensor) and output.ndim in (3, 4) and not isinstance(module, nn.Linear):
            if why := untracked():
                silent.append(why.format("every layer that emits maps"))
            # A tensor that later layers change in place counts from the last of them on.
            tensor, owners = emitted.pop(id(output), (output, []))
            emitted[id(output)] = tensor, [*owners, names[module]]

    with left_as_found(network), torch.inference_mode(False), torch.enable_grad(), states(aims, network):
        with hooked(names, after=keep):
            output = calling.answer(network, batch.clone().requires_grad_().clone())  # a copy, as it may be changed
        rows = outputs.rows(output, len(batch))
        scores = [score(aim.settled(row), row) for aim, row in zip(aims, rows, strict=True)]
        kept = [one for one in emitted.values() if one[0].requires_grad]
        if silent and not kept:
            *_, (_, [name, *_]) = emitted.values()
            raise RuntimeError(
                f"{silent[-1]} A method that asks for none can be had: `layer={name!r}, method=ll.eigencam`."
            )
        if not emitted:
            return Candidates()
        reached = Question(torch.stack(scores), None, []).gradients_to([one for one, _ in kept])
    if not reached:
        raise RuntimeError(
            f"The score depends on no layer of this {type(network).__name__}: the graph is cut on the way (by "
            "`detach`, `no_grad`, `argmax`, NumPy, rounding). Choose another target, or mend the network's forward."
        )
    answer = outputs.logits_of(rows[0], axes=3)
    once = {names[module] for module, count in runs.items() if count == 1}
    owned = [
        (tensor, min((name for name in owners if name in once), key=lambda name: name.count("."), default=None))
        for tensor, owners in kept
    ]
    modules = {name: module for module, name in names.items()}
    read = followed(network, batch, {modules[name]: tensor for tensor, name in owned if name})
    found, cells, refused = Candidates(), list[int](), None
    for tensor, outermost in owned:
        if outermost is None:
            continue
        layout = model.layout or read[modules[outermost]]
        try:
            maps = maps_of(tensor, layout)
        except (ValueError, TypeError, RuntimeError) as error:
            refused = error  # no picture, or none that the record's own layout takes: not a candidate
            continue
        cells.append(maps.shape[2:].numel())
        if cells[-1] < 2:
            continue
        heard = maps_of(reached[id(tensor)], layout) if id(tensor) in reached else torch.zeros_like(maps)
        if answer is not None and len(answer) == maps.shape[1] and not heard.any(dim=3).any(dim=2).all():
            continue  # one map for each class, and some of them play no part: the answer itself
        shape = (maps.shape[1], maps.shape[2], maps.shape[3])
        found.append(Candidate(outermost, shape, _name(layout), bool(heard.any())))
    if not found and refused and model.layout:
        raise refused
    if not found and cells:
        raise ValueError(
            f"The maps of this {type(network).__name__} have one cell each for pictures of {_size(batch)}, so there is "
            "nothing to see: give larger pictures."
        )
    return found


def _size(batch: Tensor) -> str:
    return " × ".join(map(str, batch.shape[2:]))


def _name(layout: Layout) -> str:
    return getattr(layout, "__name__", "") or getattr(getattr(layout, "func", None), "__name__", "own layout")
