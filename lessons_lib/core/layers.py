"""Which layers of a network can be looked at, found by running it once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lessons_lib.core import inputs
from lessons_lib.core.engine import outputs
from lessons_lib.core.engine.capture import by_itself
from lessons_lib.core.engine.captured import Question, untracked
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
    with inputs.given(pictures, model) as (photos, batch, _):
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
            "vision transformers have one); or explain a logit, if a saturated softmax stands before the score."
        )
    if not names:
        children = ", ".join(name for name, _ in model.network.named_children())
        raise ValueError(
            f"No layer of this {type(model.network).__name__} emits maps on which the score depends: say at which "
            f"layer to look with `layer=…`; it has {children}."
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

    tracked: set[bool] = set()

    def keep(module: nn.Module, _inputs: Any, output: Any) -> None:
        runs[module] += 1
        tracked.add(torch.is_grad_enabled())
        if isinstance(output, Tensor) and output.ndim in (3, 4) and not isinstance(module, nn.Linear):
            # A tensor that later layers change in place counts from the last of them on.
            tensor, owners = emitted.pop(id(output), (output, []))
            emitted[id(output)] = tensor, [*owners, names[module]]

    with left_as_found(network), torch.inference_mode(False), torch.enable_grad(), states(aims, network):
        with hooked(names, after=keep):
            output = network(batch.clone().requires_grad_().clone())  # a copy, should the network change it in place
        rows = outputs.rows(output, len(batch))
        scores = [score(aim.settled(row), row) for aim, row in zip(aims, rows, strict=True)]
        if tracked == {False}:
            raise RuntimeError(untracked("every layer"))
        if not (kept := [one for one in emitted.values() if one[0].requires_grad]):
            return Candidates()
        reached = Question(torch.stack(scores), None, []).gradients_to([one for one, _ in kept])
    if not reached:
        raise RuntimeError(
            f"The score depends on no layer of this {type(network).__name__}: the graph is cut behind them (by "
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
    found = Candidates()
    for tensor, outermost in owned:
        if outermost is None:
            continue
        layout = model.layout or read[modules[outermost]]
        try:
            maps = layout(tensor)
        except (ValueError, TypeError, RuntimeError, IndexError):
            continue  # no picture, or none that the record's own layout takes: not a candidate
        if maps.ndim != 4 or maps.shape[2:].numel() < 2:
            continue
        heard = layout(reached[id(tensor)]) if id(tensor) in reached else torch.zeros_like(maps)
        if answer is not None and len(answer) == maps.shape[1] and not heard.any(dim=3).any(dim=2).all():
            continue  # one map for each class, and some of them play no part: the answer itself
        shape = (maps.shape[1], maps.shape[2], maps.shape[3])
        found.append(Candidate(outermost, shape, _name(layout), bool(heard.any())))
    if not found and (whole := _shared(names, runs)) and all(outermost is None for _, outermost in owned):
        raise ValueError(
            f"All layers of this {type(network).__name__} that could show maps ran more than once, in {whole!r}, so "
            f"none has one map: {by_itself(whole)}"
        )
    return found


def _shared(names: dict[nn.Module, str], runs: Counter[nn.Module]) -> str | None:
    """Return the outermost part, with layers in it, that ran more than once."""
    found = [name for module, name in names.items() if runs[module] > 1 and any(True for _ in module.children())]
    return min(found, key=lambda name: name.count("."), default=None)


def _name(layout: Layout) -> str:
    return getattr(layout, "__name__", "") or getattr(getattr(layout, "func", None), "__name__", "own layout")
