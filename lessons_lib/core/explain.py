"""The one path from a network and a picture to a heatmap."""

import warnings
from collections.abc import Sequence
from typing import Any, overload

import torch
from torch import Tensor, nn

from lessons_lib.core import inputs
from lessons_lib.core.accepted.values import refuse_other_than_method
from lessons_lib.core.engine import blank, capture, outputs
from lessons_lib.core.engine.calling import called
from lessons_lib.core.engine.capture import Layer
from lessons_lib.core.engine.captured import Captured, scored
from lessons_lib.core.heatmap import Heatmap, fuse
from lessons_lib.core.inputs import Pictures
from lessons_lib.core.layers import listing
from lessons_lib.core.methods import METHODS, Method, gradcam, plain_name
from lessons_lib.core.records import Explainable
from lessons_lib.core.several import OnePicture
from lessons_lib.core.targets.base import Target, asked_again, score, states
from lessons_lib.core.targets.given import Asked, one_each


@overload
def explain(
    model: Explainable | nn.Module,
    pictures: OnePicture,
    target: Asked | None = None,
    *,
    layer: Layer | Sequence[Layer] | None = None,
    method: Method = gradcam,
) -> Heatmap: ...
@overload
def explain(
    model: Explainable | nn.Module,
    pictures: Sequence[OnePicture],
    target: Asked | Sequence[Asked] | None = None,
    *,
    layer: Layer | Sequence[Layer] | None = None,
    method: Method = gradcam,
) -> list[Heatmap]: ...
@overload
def explain(
    model: Explainable | nn.Module,
    pictures: Pictures,
    target: Asked | Sequence[Asked] | None = None,
    *,
    layer: Layer | Sequence[Layer] | None = None,
    method: Method = gradcam,
) -> Any: ...
def explain(
    model: Explainable | nn.Module,
    pictures: Pictures,
    target: Asked | Sequence[Asked] | None = None,
    *,
    layer: Layer | Sequence[Layer] | None = None,
    method: Method = gradcam,
) -> Any:
    """Return where `model` looks for `target`, as a `Heatmap` on each picture.

    The network runs in eval mode and is left as it was found, after an error too. Meanwhile calls from other threads
    wait for it; it is not to be run or trained there in another way, for it would run in eval mode, and be seen here.

    Args:
        model: a record from `models`, or any `nn.Module`.
        pictures: a photo or a C×H×W tensor gives one `Heatmap`; a list of photos or an N×C×H×W batch gives a list of
            them, in order. Tensors must be ready for the network. Of a network with several inputs, all of them: a
            tuple in order, or a dict by name; the first photo or batch in it is the picture that is explained.
        target: what is explained, one for all pictures or a list with one each: a class by its index or its name, a
            target from `targets`, or a function of one picture's output; without it, each picture's top class. One
            picture with a list of targets gives a list of maps, one for each, from one forward pass.
        layer: the module or its dotted name; without it, the record's own, or else the last one in `layers(model, …)`
            whose gradient is not zero. Several of them give one map, from one forward pass, put together by `fuse`.
        method: one of `methods`, or any function from `Captured` to N×H×W.

    Raises:
        ValueError, TypeError, RuntimeError: wrong input; the sentence names the cause and the way out.

    Warns:
        UserWarning: a map is blank; the sentence names the cause.

    Example:
        >>> explain(models.imagenet(), photos.cat(), "tiger cat")
        Heatmap(tiger cat, probability 0.39, score 9.24 · gradcam at bn2 · 7 × 7)
        >>> (heat,) = explain(my_model, batch, 281, layer=my_model.layer4[-1], method=gradcam)
        >>> heat.values.shape
        torch.Size([7, 7])
    """
    found = _explained(model, pictures, target, layer, method)
    heats = [fuse(maps) if isinstance(layer, list | tuple) else maps[0] for maps in found]
    return heats[0] if _one(pictures, target) else heats


def at_layers(
    model: Explainable | nn.Module,
    pictures: Pictures,
    target: Asked | Sequence[Asked] | None = None,
    *,
    layers: Sequence[Layer],
    method: Method = gradcam,
) -> list[Any]:
    """Return what `explain` gives at each of several layers, all from one forward pass and one way back.

    Args:
        model: as in `explain`.
        pictures: as in `explain`.
        target: as in `explain`.
        layers: modules or dotted names.
        method: as in `explain`.

    Example:
        >>> early, late = at_layers(models.imagenet(), photos.cat(), "tiger cat", layers=["blocks.2", "bn2"])
        >>> early.values.shape, late.values.shape
        (torch.Size([28, 28]), torch.Size([7, 7]))
    """
    if not isinstance(layers, list | tuple):
        raise TypeError(
            f"`layers` is a list of layers, not {outputs.said(layers)}: for one of them, take `ll.explain(…, layer=…)`."
        )
    found = _explained(model, pictures, target, list(layers), method)
    return [heats[0] if _one(pictures, target) else list(heats) for heats in zip(*found, strict=True)]


def _explained(model: Any, pictures: Any, target: Any, layer: Any, method: Method) -> list[list[Heatmap]]:
    """Return for each number that is explained a map at each layer."""
    refuse_other_than_method(method, METHODS)
    model = Explainable.of(model)
    several = inputs.single(pictures) and isinstance(target, list | tuple)
    named = layer if layer is not None else model.layer
    with (
        inputs.given(pictures, model) as (photos, batch, regions),  # prepare the pictures
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        aims = one_each(target, len(target) if several else len(photos), model)
        # choose the layer
        taken, why = listing.last(model, batch, aims[: len(photos)]) if named is None else (named, "")
        with states(aims, model.network):
            seen = capture.run_through(model.network, batch, _listed(taken), model.layout)  # run once
        found = []
        for question in [[aim] for aim in aims] if several else [aims]:
            asked, settled, rows = _scored(seen, question)  # score
            maps = [_maps(method, one) for one in asked]  # map
            for index, (aim, row) in enumerate(zip(settled, rows, strict=True)):
                words, number = aim.words(row, model), asked[0].scores[index].item()  # words
                heats = [
                    Heatmap(
                        one[index],
                        photos[index],
                        at.read.laid(regions[index], batch),
                        words,
                        plain_name(method),
                        at.layer,
                        number,
                        chosen=why,
                    )
                    for one, at in zip(maps, asked, strict=True)
                ]
                for heat, at in zip(heats, asked, strict=True):
                    if cause := blank.cause(heat.values, at, index):
                        warnings.warn(f"The map for {words!r} is blank: {cause}.", stacklevel=3)
                found.append(heats)
    return found


def _one(pictures: Any, target: Any) -> bool:
    """Return whether one number of one picture is explained, so that there is one map and no list."""
    return inputs.single(pictures) and not isinstance(target, list | tuple)


def _scored(seen: list[Captured], aims: list[Target]) -> tuple[list[Captured], list[Target], list[Any]]:
    """Return what was seen with the question asked, the targets as they were settled, and each one's output."""
    rows = outputs.rows(seen[0].output, len(aims))
    settled = [aim.settled(row) for aim, row in zip(aims, rows, strict=True)]
    scores = torch.stack([score(aim, row) for aim, row in zip(settled, rows, strict=True)])
    return scored(seen, scores, asked_again(settled, seen[0].network, seen[0].inputs)), settled, rows


def _maps(method: Method, seen: Captured) -> Tensor:
    """Return the method's maps, N×H×W float32 on the CPU.

    Raises:
        TypeError, ValueError: the method returned something else.
    """
    on = f"{outputs.kind_of(seen.activations)} at layer {seen.layer!r}"
    way_out = "give one that makes N × H × W of that, such as `ll.gradcam`"
    maps = called(f"The method {plain_name(method)}", method, seen, on=on, way_out=way_out)
    wrong = outputs.kind_of(maps)
    if not isinstance(maps, Tensor):
        raise TypeError(f"The method returned {wrong}, not a tensor of N × H × W: {_as_tensor(maps)}.")
    if maps.is_complex():
        raise TypeError("The method returned complex numbers: take their `.abs()` or their `.real`.")
    if maps.ndim != 3 or len(maps) != len(seen.inputs) or not maps.numel():
        way_out = "sum over the channels, `.sum(dim=1)`" if maps.ndim == 4 else "keep one map for each picture"
        pictures = f"{len(seen.inputs)} picture{'s' * (len(seen.inputs) > 1)}"
        raise ValueError(f"The method returned {wrong} for {pictures}; N × H × W is asked for: {way_out}.")
    return maps.detach().float().cpu()


def _as_tensor(maps: Any) -> str:
    """Return how a method's result becomes a tensor."""
    if maps is None:
        return "end it with `return` and the maps"
    if isinstance(maps, list | tuple):
        return "stack them, `torch.stack(maps)`"
    return "`torch.as_tensor(maps)` makes it one" if hasattr(maps, "__array__") else "give one such as `ll.gradcam`"


def _listed(layer: Any) -> list[Layer]:
    if not isinstance(layer, list | tuple):
        return [layer]
    if not layer:
        raise ValueError("The list of layers is empty: name one or more, or none at all for the last.")
    return list(layer)
