"""Calling what a person gave, where each failure becomes one sentence, and telling who listens how far it is."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

_KINDS = (TypeError, ValueError, RuntimeError)
_OWN_MISTAKES = (AttributeError, NameError, ImportError, LookupError, ArithmeticError, NotImplementedError)
"""What a program raises that is wrong by itself, whatever it is given."""
_CORE = "lessons_lib.core."
_CASTS = {torch.float32: "float", torch.float64: "double", torch.float16: "half", torch.bfloat16: "bfloat16"}
_SIZES = (28, 32, 64, 96, 112, 128, 224, 256, 299, 384, 512)


def called(what: str, function: Callable[[Any], Any], given: Any, *, on: str, way_out: str) -> Any:
    """Return what a function of the user's returns; when it fails, say which one, with its own words in brackets.

    Args:
        what: names the function, as the sentence begins.
        given: the function's argument.
        on: names that.
        way_out: what to do about it, as the sentence ends.
    """
    try:
        return function(given)
    except Exception as error:
        if _told(error) or isinstance(error, torch.OutOfMemoryError):
            raise
        kind = next((one for one in _KINDS if isinstance(error, one)), RuntimeError)
        raise kind(f"{what} fails on {on} ({words(error)}): {way_out}.") from error


def answer(network: nn.Module, batch: Tensor) -> Any:
    """Return what a network gives for a batch.

    Raises:
        ValueError, RuntimeError: it fails. The sentence holds its own words, and a change of the pictures with which it
            runs, if there is one: that was tried.
    """
    try:
        return network(batch)
    except Exception as error:
        if _told(error):
            raise
        if isinstance(error, torch.OutOfMemoryError):
            raise torch.OutOfMemoryError(f"{words(error)}: give fewer pictures at a time, `pictures[:1]`.") from error
        kind = RuntimeError if isinstance(error, _OWN_MISTAKES) else ValueError
        given = f"a batch of {' × '.join(map(str, batch.shape))}, {str(batch.dtype).removeprefix('torch.')}"
        raise kind(
            f"This {type(network).__name__} fails on {given} ({words(error)}): {_way_out(network, batch, error)}."
        ) from error


def words(error: Exception) -> str:
    """Return what an error says, on one line, with its kind where that says more."""
    said = next(iter(str(error).strip().splitlines()), "").rstrip(".")[:240]
    if not said:
        return type(error).__name__
    return said if isinstance(error, (AssertionError, *_KINDS)) else f"{type(error).__name__}: {said}"


def _told(error: Exception) -> bool:
    """Return whether the core itself raised this, below the call that failed: it is a sentence already."""
    step = error.__traceback__ and error.__traceback__.tb_next
    while step and step.tb_next:
        step = step.tb_next
    name = step.tb_frame.f_globals["__name__"] if step else ""
    return isinstance(error, _KINDS) and name.startswith(_CORE)


NO_PICTURES = {1: ("signals", "N × C × L"), 3: ("volumes", "N × C × D × H × W")}
"""What networks take whose convolutions have other axes than two, and its shape."""

RECIPES = {1: "A time series: 1-D convolutions", 3: "A volume: 3-D convolutions"}
"""Those of the cookbook, for these."""


def recipe(axes: int) -> str:
    """Return where to read on for a network whose convolutions have so many axes."""
    return f"for {NO_PICTURES[axes][0]} the cookbook has a recipe, {RECIPES[axes]!r}"


def _way_out(network: nn.Module, batch: Tensor, error: Exception) -> str:
    if isinstance(error, _OWN_MISTAKES):
        return "mend its `forward`"
    own = next((p.dtype for p in network.parameters() if p.is_floating_point()), None)
    if "not implemented for" in str(error) and own in (torch.float16, torch.bfloat16):
        return "it can't be done here in half precision; give `network.float()`, and tensors as `pictures.float()`"
    axes = next((len(module.kernel_size) for module in network.modules() if isinstance(module, _ConvNd)), 2)
    if axes != 2:
        return f"it takes {', '.join(NO_PICTURES[axes])}, and a heatmap lies on pictures, N × C × H × W; {recipe(axes)}"
    for code, changed, size in _changes(network, batch):
        try:
            with torch.no_grad():
                network(changed.clone())
        except Exception:  # noqa: BLE001 - whatever it is, this change is not the way out
            continue
        return f"give `{code}`" + (
            f"; for photos, a record with `transform=ll.Preprocess({size}, {size})`" if size else ""
        )
    return "give pictures of the size, channels and type that it was made for, or mend its `forward`"


def _changes(network: nn.Module, batch: Tensor) -> Iterator[tuple[str, Tensor, int | None]]:
    """Yield a batch as it may have been meant: the code that makes it, itself, and the side if that was changed."""
    code, own = "pictures", next((p for p in network.parameters() if p.is_floating_point()), None)
    if own is not None and own.device != batch.device:
        code, batch = f"{code}.to({str(own.device)!r})", batch.to(own.device)
    if own is not None and own.dtype != batch.dtype:
        code, batch = f"{code}.{_CASTS.get(own.dtype, 'float')}()", batch.to(own.dtype)
    shapes = list(_channels(network, code, batch))
    for code, batch in shapes:
        yield code, batch, None
    for code, batch in shapes:
        for side in (*_own_sides(network), *_SIZES):
            if batch.ndim == 4 and tuple(batch.shape[2:]) != (side, side):
                resized = batch.new_zeros(*batch.shape[:2], side, side)
                yield f"torchvision.transforms.functional.resize({code}, [{side}, {side}])", resized, side


def _channels(network: nn.Module, code: str, batch: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield the batch itself, with its channels moved to their place, and with as many as the first layer takes."""
    yield code, batch
    wanted = next((module.in_channels for module in network.modules() if hasattr(module, "in_channels")), None)
    if batch.ndim != 4 or not isinstance(wanted, int):
        return
    if batch.shape[3] == wanted:
        yield f"{code}.movedim(-1, -3)", batch.movedim(-1, -3)
    if batch.shape[1] == 1:
        yield f"{code}.repeat_interleave({wanted}, dim=-3)", batch.repeat_interleave(wanted, dim=-3)
    elif wanted == 1:
        yield f"{code}.mean(dim=-3, keepdim=True)", batch.mean(dim=-3, keepdim=True)
    elif wanted < batch.shape[1]:
        yield f"{code}[..., :{wanted}, :, :]", batch[..., :wanted, :, :]


def _own_sides(network: nn.Module) -> Iterator[int]:
    """Yield the sides of pictures that a network says it was made for, as torchvision, timm and transformers say it."""
    for module in network.modules():
        for holder in (module, getattr(module, "config", None)):
            for name in ("image_size", "img_size"):
                size = getattr(holder, name, None)
                side = size[0] if isinstance(size, list | tuple) and size else size
                if isinstance(side, int):
                    yield side


Listener = Callable[[int, int, float], None]
"""Takes how many steps are done, of how many, and about how many seconds are left; what it raises ends the work."""

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def told(listener: Listener) -> Iterator[None]:
    """Let `listener` be called before each step of what this thread computes; no bar is drawn meanwhile.

    What the listener raises passes through the computation, and the network is left as it was found. Let it be no
    `Exception`, since some steps try several ways and take the next one where one fails.

    Example:
        >>> with told(lambda done, of, seconds: print(f"{done} of {of}")):
        ...     heat = explain(models.flat_cnn(), scene, "cat", method=scorecam)
        1 of 6
        2 of 6
        3 of 6
        4 of 6
        5 of 6
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def listener() -> Listener | None:
    """Return who listens to what this thread computes."""
    return _listener.get()


def silent() -> bool:
    """Return whether no bar is to be seen: somebody listens, or TQDM_DISABLE, which tqdm forgets in notebooks."""
    return listener() is not None or bool(os.environ.get("TQDM_DISABLE"))
