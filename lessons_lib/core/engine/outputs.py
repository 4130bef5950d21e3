"""What a network or a layer gives: its tensors, its part for each picture, its logits, itself in a few words."""

from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import Module

Emitted = Any
"""A tensor, or a dict, list or tuple of tensors."""


def tensors(emitted: Any) -> list[Tensor]:
    """Return the tensors in `emitted`, in order; none where it is, or holds, anything else.

    Example:
        >>> [one.shape[1:] for one in tensors({"0": torch.zeros(1, 64, 28, 28), "1": torch.zeros(1, 64, 14, 14)})]
        [torch.Size([64, 28, 28]), torch.Size([64, 14, 14])]
    """
    if isinstance(emitted, Tensor):
        return [emitted]
    held = list(emitted.values()) if isinstance(emitted, dict) else emitted
    return list(held) if isinstance(held, list | tuple) and all(isinstance(one, Tensor) for one in held) else []


def like(emitted: Emitted, tensors: Sequence[Tensor]) -> Emitted:
    """Return `emitted` with other tensors in the places of its own.

    Example:
        >>> like({"0": torch.zeros(1), "1": torch.zeros(1)}, [torch.ones(1), torch.ones(2)])
        {'0': tensor([1.]), '1': tensor([1., 1.])}
    """
    if isinstance(emitted, Tensor):
        return tensors[0]
    if isinstance(emitted, dict):
        return type(emitted)(zip(emitted, tensors, strict=True))
    return type(emitted)(*tensors) if hasattr(emitted, "_fields") else type(emitted)(tensors)


def rows(output: Any, count: int) -> list[Any]:
    """Return the part of a network's output that belongs to each of `count` pictures, in the output's own form.

    Tensors are cut along their first axis, wherever they lie in dicts, lists and tuples; a list with one dict for each
    picture is taken as it is. What belongs to the whole batch is given to a single picture as it is.

    Raises:
        TypeError: something in it can't be cut so; the sentence names its type and keys.

    Example:
        >>> rows({"logits": torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "states": (torch.zeros(2, 7),)}, count=2)[1]
        {'logits': tensor([3., 4.]), 'states': (tensor([0., 0., 0., 0., 0., 0., 0.]),)}
    """
    if output is None:
        raise TypeError("The model's forward returns nothing: let it return its scores.")
    if isinstance(output, list | tuple) and len(output) == count and all(isinstance(v, dict) for v in output):
        return list(output)

    def part(value: Any, index: int) -> Any:
        if isinstance(value, Tensor) and value.ndim and len(value) == count:
            return value[index]
        if isinstance(value, dict):
            cut = copy(value)  # which keeps what else the type can do, such as giving its entries as attributes
            for key, one in value.items():
                cut[key] = part(one, index)
            return cut
        if isinstance(value, list | tuple):
            return like(value, [part(one, index) for one in value])
        if value is None or count == 1:
            return value
        inside = "" if value is output else f", and {kind_of(value)} in it"
        raise TypeError(
            f"The model gives {kind_of(output)}{inside}, which can't be divided among {count} pictures: explain them "
            "one by one."
        )

    return [part(output, index) for index in range(count)]


def logits_of(output: Any, axes: int) -> Tensor | None:
    """Return a picture's logits: its output, or the entry "logits" or "out" of a dict, or the first of a list or tuple.

    Args:
        axes: how many axes they must have, 1 for a row of classes, 3 for C×H×W; None is returned where they have not.

    Example:
        >>> logits_of({"logits": torch.zeros(1000), "states": ()}, axes=1).shape
        torch.Size([1000])
    """
    if isinstance(output, dict):
        output = output.get("logits", output.get("out"))
    elif isinstance(output, list | tuple) and output:
        output = output[0]
    return output if isinstance(output, Tensor) and output.ndim == axes else None


def way_out(output: Any) -> str:
    """Return a target that fits a picture's output, for one that does not: the words "take `ll.ClassScore(0)`".

    Where no target of ours fits, it is a function that picks one number, made from what the output holds.

    Example:
        >>> way_out({"scores": torch.zeros(2, 5, requires_grad=True)})
        "give a target that picks the number, for example `lambda output: output['scores'][1, 0]`"
    """
    if isinstance(output, dict) and {"boxes", "labels", "scores"} <= output.keys():
        return "it finds boxes, so take `ll.BoxScore(0)`"
    rows = [one for one in output if logits_of(one, axes=1) is not None] if isinstance(output, list | tuple) else []
    if logits_of(output, axes=1) is not None and len(rows) < 2:
        return "it gives one row of logits, so take `ll.ClassScore(0)`"
    maps = logits_of(output, axes=3)
    if maps is not None and maps.shape[1:].numel() > 1 and maps.numel():
        row, column = maps.shape[1] // 2, maps.shape[2] // 2
        most = int(maps.argmax(dim=0).flatten().mode().values)
        return f"it gives maps, so take `ll.PixelScore({row}, {column})` or `ll.RegionScore({most})`"
    found = [(path, one) for path, one in paths(output, "output") if one.is_floating_point() and one.numel()]
    if not found:
        return "there is no number in it to explain: let the model's forward return its scores as a tensor"
    apt = [one for one in found if one[1].requires_grad] or found
    apt = [one for one in apt if one[1].ndim == 1] or apt
    path, tensor = apt[-1 if len(rows) > 1 else 0]  # of features and logits, the logits
    long = next((axis for axis, side in enumerate(tensor.shape) if side > 1), None)
    element = ", ".join(str(min(3, side - 1) if axis == long else 0) for axis, side in enumerate(tensor.shape))
    picked = f"{path}[{element}]" if element else path
    return f"give a target that picks the number, for example `lambda output: {picked}`"


def paths(value: Any, path: str) -> Iterator[tuple[str, Tensor]]:
    """Yield each tensor in an output, with the words that lead to it."""
    if isinstance(value, Tensor):
        yield path, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from paths(one, f"{path}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, one in enumerate(value):
            yield from paths(one, f"{path}[{index}]")
    elif hasattr(value, "__dict__") and not isinstance(value, type | Module):
        for name, one in vars(value).items():
            if isinstance(one, Tensor | dict | list | tuple):
                yield from paths(one, f"{path}.{name}")


def kind_of(value: Any) -> str:
    """Say in a few words what a value is that should have been something else: type, and shape, keys or length."""
    if isinstance(value, Tensor | np.ndarray):
        kind = "a tensor" if isinstance(value, Tensor) else "an array"
        return f"{kind} of shape {' × '.join(map(str, value.shape)) or '()'}"
    if value is None:
        return "nothing"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    kind = type(value).__name__
    kind = f"an {kind}" if kind[0] in "AEIOUaeiou" else f"a {kind}"
    if isinstance(value, dict):
        return f"{kind} with the keys {', '.join(map(repr, value))}"
    if isinstance(value, list | tuple):
        return f"{kind} of {len(value)}"
    return kind


def said(value: Any) -> str:
    """Return a value that is refused as a sentence names it: as it is written if that is short, else what it is.

    Example:
        >>> said(3), said("gradcam"), said(torch.zeros(2, 3))
        ('3', "'gradcam'", 'a tensor of shape 2 × 3')
    """
    parts = list(value) if isinstance(value, list | tuple) else [value]
    plain = all(isinstance(one, str | bytes | int | float | complex | np.generic | None) for one in parts)
    return repr(value) if parts and plain and len(repr(value)) <= 60 else kind_of(value)
