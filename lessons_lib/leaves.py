"""The tensors in what a layer emits: one, or those in a dict, a list or a tuple, as a feature pyramid comes."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

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
        >>> like({"0": a, "1": b}, [2 * a, 2 * b])      # {"0": 2 * a, "1": 2 * b}
    """
    if isinstance(emitted, Tensor):
        return tensors[0]
    if isinstance(emitted, dict):
        return type(emitted)(zip(emitted, tensors, strict=True))
    return type(emitted)(*tensors) if hasattr(emitted, "_fields") else type(emitted)(tensors)
