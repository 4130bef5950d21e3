"""A network with several inputs: which of them is the picture, and a `forward` that takes that one alone."""

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from PIL import Image
from torch import Tensor, nn

from lessons_lib.core.engine.outputs import kind_of
from lessons_lib.core.records import Photo

OnePicture = Photo | Image.Image
"""One picture as a person has it; a tensor is one that was made ready."""


def picture_of(pictures: Any) -> Any:
    """Return the picture among a network's several inputs: the first photo or N×C×H×W, or else the first C×H×W.

    What is no such tuple or dict is returned as it is.
    """
    held = _several(pictures)
    return held[_key(held)] if held else pictures


def _several(pictures: Any) -> dict[Any, Any]:
    """Return a network's several inputs by position or name; nothing where these are pictures alone."""
    if isinstance(pictures, Mapping):
        return dict(pictures)
    several = isinstance(pictures, tuple) and any(isinstance(one, Tensor) for one in pictures)
    return dict(enumerate(pictures)) if several else {}


def _key(held: dict[Any, Any]) -> Any:
    for axes in (4, 3):
        for key, one in held.items():
            if isinstance(one, OnePicture) or (
                isinstance(one, Tensor) and one.ndim == axes and one.is_floating_point()
            ):
                return key
    told = ", ".join(f"{key}: {kind_of(one)}" for key, one in held.items())
    raise TypeError(f"None of these inputs is a picture ({told}): give a photo or a batch N × C × H × W among them.")


def with_the_others(pictures: Any, network: nn.Module, count: int) -> Callable[[Tensor], Any] | None:
    """Return a `forward` that takes the picture alone; None where the network's own does."""
    own, held = network.forward, _several(pictures)
    if not held:
        _check_taken(network, pictures)
        return None
    key, apart = _key(held), isinstance(pictures, Mapping)
    others = {name: one for name, one in held.items() if name != key}
    if any(isinstance(one, OnePicture) for one in others.values()):
        raise TypeError("One picture is explained at a time: give the other ones as tensors that are ready.")
    if count > 1 and any(isinstance(one, Tensor) and one.ndim and len(one) == count for one in others.values()):
        raise ValueError(f"{count} pictures with inputs of their own: explain them one by one.")
    args, kwargs = ((), held) if apart else (tuple(held.values()), {})
    whole = not _taken(network, args, kwargs) and _taken(network, (pictures,), {})  # a forward that unpacks it itself
    if not whole:
        _check_taken(network, *args, **kwargs)

    def call(batch: Tensor) -> Any:
        # Where one picture stands for many variants, so does what belongs to it.
        now = {
            name: one.expand(len(batch), *one.shape[1:]) if isinstance(one, Tensor) and one.shape[:1] == (1,) else one
            for name, one in others.items()
        }
        now = {name: batch if name == key else now[name] for name in held}
        if whole:
            return own(now if apart else tuple(now.values()))
        return own(**now) if apart else own(*now.values())

    return call


def _taken(network: nn.Module, args: tuple[Any, ...], kwargs: dict[Any, Any]) -> bool:
    """Return whether a network's `forward` takes such arguments, as far as its signature says."""
    own = network.forward
    try:
        if inspect.ismethod(own):
            _of_class(own.__func__).bind(network, *args, **kwargs)
        else:
            inspect.signature(own).bind(*args, **kwargs)
    except TypeError:
        return False
    except ValueError:  # it has none
        pass
    return True


_of_class = lru_cache(maxsize=64)(inspect.signature)
"""The signature of a class's function. It is remembered, for looking it up would show beside a small network."""


def _check_taken(network: nn.Module, *args: Any, **kwargs: Any) -> None:
    if _taken(network, args, kwargs):
        return
    known = inspect.signature(network.forward).parameters.values()
    names = [
        one.name for one in known if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    by_name = ", ".join(f"{name!r}: {name}" for name in names)
    raise TypeError(
        f"The forward of this {type(network).__name__} takes {' and '.join(names) or 'nothing'}, and was given "
        f"{' and '.join(kwargs) or f'{len(args)} input' + 's' * (len(args) > 1)}: give all of them, in order, "
        f"`ll.explain(network, ({', '.join(names)}))`, or by name, `ll.explain(network, {{{by_name}}})`."
    )
