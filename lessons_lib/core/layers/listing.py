"""Which layers of a network can be looked at, found by running it once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lessons_lib.core import inputs
from lessons_lib.core.engine import calling, outputs
from lessons_lib.core.engine.capture import by_itself
from lessons_lib.core.engine.captured import Question, maps_of, untracked
from lessons_lib.core.engine.hooks import hooked, left_as_found
from lessons_lib.core.engine.places.layouts import Layout
from lessons_lib.core.engine.places.trace import followed
from lessons_lib.core.layers import choice
from lessons_lib.core.records import Explainable
from lessons_lib.core.targets.base import Local, Target, score, states
from lessons_lib.core.targets.given import one_each

_MOST_LOST = 9
"""So many layers can be lost for each that is followed, as in a recurrent head; with more, no layer is chosen."""


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
    Projections inside a block are left out, and so is a segmentation's last layer, which emits one map for each class:
    that is the answer, not what speaks for it. For a box or a pixel only the `backbone` of a network that has one is
    listed, for the same reason. When no layer is named, `explain` takes the last one whose gradient is not zero; where
    a norm and an average end the network, the one before them; and where a place is asked about and the network has no
    `backbone`, the last of the coarsest (`choice.chosen`). It takes none where nearly all can't be followed. The
    network runs forward once, and backward once or twice.

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
        return _looked(model, batch, one_each(target, len(photos), model))[0]


def last(model: Explainable, batch: Tensor, aims: Sequence[Target]) -> tuple[str, str]:
    """Return the layer that is taken when none is named, and why, in words.

    Raises:
        ValueError: there is none.
    """
    found, looked, lost = _looked(model, batch, aims)
    if found and not any(candidate.gradient for candidate in found):
        raise ValueError(
            f"The gradient of the score is zero at every layer of this {type(model.network).__name__}, so nothing in "
            "the picture moves it. Load trained weights, since a head that starts with zeros does this (torchvision's "
            "vision transformers have one); or explain a logit, if a saturated softmax or a rounding stands before the "
            "score."
        )
    if not found:
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
    if len(lost) > _MOST_LOST * len(found):
        raise ValueError(
            f"Of the layers of this {type(model.network).__name__} only {len(found)} can be followed to places in the "
            f"picture, the last one {found[-1].layer!r}, and {len(lost)} can't. Name it, `layer={found[-1].layer!r}`, "
            f"if it is the one you mean; or name one of the others, such as {lost[-1][0]!r}, and say with a layout in "
            "the model's record how its output becomes maps N × C × H × W, `ll.Explainable(network, layout=…)`."
        )
    local = any(isinstance(term, Local) for aim in aims for _, term in aim.terms())
    whole = all(aim.part(model.network) is model.network for aim in aims)
    taken, why = choice.chosen(looked, whole and (local or looked[0].spot is not None))
    if why == choice.LAST and any(before > taken for _, before in lost):
        why = choice.FOLLOWED
    return found[taken].layer, why


def _looked(
    model: Explainable, batch: Tensor, aims: Sequence[Target]
) -> tuple[Candidates, list[choice.Looked], list[tuple[str, int]]]:
    """Return a network's candidates, what is seen there, and layers that can't be followed with how many come before.

    Args:
        model: the network's record.
        batch: ready for the network.
        aims: a target for each picture.
    """
    network = model.network
    runs: Counter[nn.Module] = Counter()
    emitted: dict[int, tuple[Tensor, dict[str, tuple[int, bool]]]] = {}
    inside = {module for aim in aims for module in aim.part(network).modules()}
    names = {module: name for name, module in network.named_modules() if name and module in inside}
    names = {module: name for module, name in names.items() if not isinstance(module, torch.jit.ScriptModule)}

    projected: dict[int, Tensor] = {}
    silent: list[str] = []  # why a layer that emits maps kept no graph

    def keep(module: nn.Module, given: Any, kwargs: dict[str, Any], output: Any) -> None:
        runs[module] += 1
        held, taken_in = outputs.tensors(output), [one for _, one in outputs.paths([given, kwargs], "")]
        if len(held) != 1 or held[0].ndim not in (3, 4):
            return
        handed_on = id(held[0]) in projected and any(one is held[0] for one in taken_in)
        if handed_on or choice.projects(taken_in, held[0]):
            projected[id(held[0])] = held[0]
            return
        if why := untracked():
            silent.append(why.format("every layer that emits maps"))
        # A tensor that later layers change in place counts from the last of them on, and belongs to that one.
        tensor, owners = emitted.pop(id(held[0]), (held[0], {}))
        changed = 0 if tensor.is_inference() else tensor._version
        emitted[id(tensor)] = tensor, {**owners, names[module]: (changed, tensor is not output)}

    with left_as_found(network), torch.inference_mode(False), torch.enable_grad(), states(aims, network):
        with hooked(names, after=keep, with_kwargs=True):
            output = calling.answer(network, batch.clone().requires_grad_().clone())  # a copy, as it may be changed
        if names and not runs:
            own = next((name for name, module in network.named_children() if any(True for _ in module.children())), "")
            raise ValueError(
                f"None of the layers of this {type(network).__name__} ran in its forward pass, so it runs a copy of "
                f"itself or another network. Give the network that runs{f', perhaps `network.{own}`' if own else ''}."
            )
        rows = outputs.rows(output, len(batch))
        scores = [score(aim.settled(row), row) for aim, row in zip(aims, rows, strict=True)]
        kept = [one for one in emitted.values() if one[0].requires_grad]
        if silent and not kept:
            named = [next(iter(owners)) for one, owners in emitted.values() if one[0, 0].numel() > 1]
            asks = (
                f" A method that asks for none can be had: `layer={named[-1]!r}, method=ll.eigencam`." if named else ""
            )
            raise RuntimeError(silent[-1] + asks)
        if not emitted:
            return Candidates(), [], []
        asked = Question(torch.stack(scores), None, [])
        reached = asked.gradients_to([one for one, _ in kept])
        spots: dict[int, Tensor] | None = None
        if (
            outputs.logits_of(rows[0], axes=1) is None
            and (spot := choice.spot_of(asked.scores.sum(), output)) is not None
        ):
            spots = Question(spot, None, []).gradients_to([one for one, _ in kept])
    if not reached:
        raise RuntimeError(
            f"The score depends on no layer of this {type(network).__name__}: the graph is cut on the way (by "
            "`detach`, `no_grad`, `argmax`, NumPy, rounding). Choose another target, or mend the network's forward."
        )
    answer = outputs.logits_of(rows[0], axes=3)
    once = {names[module] for module, count in runs.items() if count == 1}
    owned = [
        (tensor, choice.outermost({name: at for name, at in owners.items() if name in once})) for tensor, owners in kept
    ]
    modules = {name: module for module, name in names.items()}
    read = followed(network, batch, {modules[name]: tensor for tensor, name in owned if name})
    found, looked, cells, refused = Candidates(), list[choice.Looked](), list[int](), None
    lost = list[tuple[str, int]]()
    for tensor, outermost in owned:
        if outermost is None:
            continue
        layout = model.layout or read[modules[outermost]]
        try:
            maps = maps_of(tensor, layout)
        except (ValueError, TypeError, RuntimeError) as error:
            refused = error  # no picture, or none that the record's own layout takes: not a candidate
            if not model.layout and id(tensor) in reached and read[modules[outermost]].lost:
                lost.append((outermost, len(found)))
            continue
        cells.append(maps.shape[2:].numel())
        if cells[-1] < 2:
            continue
        heard, spot = (
            maps_of(some[id(tensor)], layout) if some and id(tensor) in some else torch.zeros_like(maps)
            for some in (reached, spots)
        )
        one = choice.Looked(maps, heard, None if spots is None else spot)
        apart = answer is None or len(answer) != maps.shape[1]
        if not apart and (one.answers or not heard.any(dim=3).any(dim=2).all()):
            continue  # one map for each class, and some of them play no part: the answer itself
        shape = (maps.shape[1], maps.shape[2], maps.shape[3])
        found.append(Candidate(outermost, shape, _name(layout), one.heard))
        looked.append(one)
    if not found and refused and model.layout:
        raise refused
    if not found and (whole := choice.shared(names, runs)) and all(outermost is None for _, outermost in owned):
        raise ValueError(
            f"All layers of this {type(network).__name__} that could show maps ran more than once, in {whole!r}, so "
            f"none has one map: {by_itself(whole)}"
        )
    if not found and cells:
        raise ValueError(
            f"The maps of this {type(network).__name__} have one cell each for pictures of {_size(batch)}, so there is "
            "nothing to see: give larger pictures."
        )
    return found, looked, lost


def _size(batch: Tensor) -> str:
    return " × ".join(map(str, batch.shape[2:]))


def _name(layout: Layout) -> str:
    return getattr(layout, "__name__", "") or getattr(getattr(layout, "func", None), "__name__", "own layout")
