"""Running the network again, on from the layer with other activations or whole with other inputs, in bounded memory."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from lessons_lib import leaves
from lessons_lib.capture import Captured, left_as_found
from lessons_lib.chunks import in_chunks

Variants = Callable[[int, Tensor], Tensor]
"""From a picture's number and the numbers of m of its variants to these variants, m×…, in memory of their own."""

Way = Callable[[int, int], AbstractContextManager[Tensor]]
"""From a picture's number and a number of variants to what the network is given, for as long as it runs on them."""


def from_layer(seen: Captured, variants: Variants, count: int, chunk: int) -> Tensor:
    """Run on from the layer with other activations, and return what they score.

    The batch is widened at the layer: a hook puts variants of one picture in the place of its activations. What lies
    below the layer runs on an empty batch; where a connection around the layer forbids that, on the one picture; where
    the two can't be mixed, as in a detector, on one copy of the picture for each variant: modules that were done before
    the layer was give again what they gave, and if even that is not the same, all of it runs, which is slower and as
    exact. Which of the four it is, two unchanged variants find out: they must score what the picture scored.

    Args:
        seen: the first run, with its scores.
        variants: of the activations, m×C×H×W.
        count: how many variants there are of each picture.
        chunk: how many of them run at a time; memory grows with it.

    Returns:
        N×count.

    Raises:
        ValueError: the layout does more than rearrange, so that maps can't be put back into the layer.
    """
    place = _place(seen)
    tensors = [one.detach() for one in leaves.tensors(seen.emitted)]

    def emitted(picture: int, numbers: Tensor) -> leaves.Emitted:
        maps = variants(picture, numbers)
        if place is None:
            return maps
        flat = torch.cat([one[picture].flatten() for one in tensors]).repeat(len(maps), 1)
        flat[:, place] = maps.flatten(1)
        parts = flat.split([one[picture].numel() for one in tensors], dim=1)
        return leaves.like(seen.emitted, [p.reshape(-1, *one.shape[1:]) for p, one in zip(parts, tensors, strict=True)])

    with left_as_found(seen.network), torch.no_grad():
        way = _way(seen)
        return in_chunks(
            lambda picture, numbers: _widened(seen, picture, len(numbers), way, emitted(picture, numbers)),
            len(seen.inputs),
            count,
            chunk,
            f"{count} variants of {seen.layer}",
        )


def from_inputs(seen: Captured, variants: Variants, count: int, chunk: int) -> Tensor:
    """Run the whole network on other inputs, and return what they score.

    Args:
        seen: the first run.
        variants: of the input, m×…
        count: how many variants there are of each picture.
        chunk: how many of them run at a time; memory grows with it.

    Returns:
        N×count.
    """

    def scored(picture: int, numbers: Tensor) -> Tensor:
        inputs = variants(picture, numbers)
        if inputs.ndim == 4:
            # Convolutions on a CPU run a quarter faster with the channels last in memory.
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return seen.score(seen.network(inputs), picture, len(numbers))

    with left_as_found(seen.network), torch.no_grad():
        return in_chunks(scored, len(seen.inputs), count, chunk, f"{count} variants of the input")


def _widened(seen: Captured, picture: int, count: int, way: Way, emitted: leaves.Emitted) -> Tensor:
    """Return the scores of a run on the way's inputs, with `emitted` in the place of what the layer emits."""
    with way(picture, count) as inputs, seen.again(picture)(count):
        hook = seen.module.register_forward_hook(lambda *_: emitted)
        try:
            output = seen.network(inputs)
        finally:
            hook.remove()
    return seen.score(output, picture, count)


def _way(seen: Captured) -> Way:
    """Return the shortest way below the layer that changes nothing."""
    ways: tuple[Way, ...] = (
        lambda picture, count: nullcontext(seen.inputs[:0]),
        lambda picture, count: nullcontext(seen.inputs[picture : picture + 1]),
        _replayed(seen),
        lambda picture, count: nullcontext(seen.inputs[[picture] * count]),
    )
    for way in ways[:-1]:
        unchanged = leaves.like(seen.emitted, [one.detach()[[0, 0]] for one in leaves.tensors(seen.emitted)])
        try:
            scores = _widened(seen, 0, 2, way, unchanged)
        except Exception:  # noqa: BLE001 - whatever broke, the last way runs the network as it is meant to run
            continue
        if torch.allclose(scores, seen.scores[0].detach(), rtol=1e-3, atol=1e-5, equal_nan=True):
            return way
    return ways[-1]


def _replayed(seen: Captured) -> Way:
    """Return the way on which what was done before the layer began is not done again, but repeated for each variant."""
    done = lru_cache(maxsize=1)(lambda picture: _done_before(seen, picture))

    @contextmanager
    def way(picture: int, count: int) -> Iterator[Tensor]:
        def again(given: leaves.Emitted) -> Callable[..., leaves.Emitted]:
            return lambda *_, **__: leaves.like(
                given, [one.repeat(count, *[1] * (one.ndim - 1)) for one in leaves.tensors(given)]
            )

        stored = done(picture)
        try:
            for module, given in stored.items():
                vars(module)["forward"] = again(given)  # found before the class's own
            yield seen.inputs[[picture] * count]
        finally:
            for module in stored:
                vars(module).pop("forward", None)

    return way


def _done_before(seen: Captured, picture: int) -> dict[nn.Module, leaves.Emitted]:
    """Return what modules gave for one picture that ran once, up to the layer itself, the outermost only."""
    runs: Counter[nn.Module] = Counter()
    given: dict[nn.Module, leaves.Emitted] = {}

    def begins(module: nn.Module, _inputs: Any) -> None:
        runs[module] += 1

    def ends(module: nn.Module, _inputs: Any, output: Any) -> None:
        tensors = leaves.tensors(output)
        before = not runs[seen.module] or module is seen.module
        if before and tensors and all(one.ndim and len(one) == 1 for one in tensors):
            given[module] = leaves.like(output, [one.detach().clone() for one in tensors])

    handles = [m.register_forward_pre_hook(begins) for m in seen.network.modules()]
    handles += [m.register_forward_hook(ends) for m in seen.network.modules()]
    try:
        seen.network(seen.inputs[picture : picture + 1])
    finally:
        for handle in handles:
            handle.remove()
    outermost: dict[nn.Module, leaves.Emitted] = {}
    inside: set[nn.Module] = set()
    for module in seen.network.modules():  # parents come before their children
        if module in given and module not in inside and runs[module] == 1 and "forward" not in vars(module):
            outermost[module] = given[module]
            inside.update(module.modules())
    return outermost


def _place(seen: Captured) -> Tensor | None:
    """Return where in a picture's flattened emission each number of its maps stands; None where all are in order."""
    # On the CPU, since positions need float64 and not every device has it (Apple's has not).
    tensors = [one.detach()[:1].cpu() for one in leaves.tensors(seen.emitted)]
    flat = torch.cat([one.flatten() for one in tensors])
    numbers = torch.arange(len(flat), dtype=torch.float64)
    parts = numbers.split([one.numel() for one in tensors])
    marked = leaves.like(seen.emitted, [p.view_as(one) for p, one in zip(parts, tensors, strict=True)])
    place = seen.layout(marked).flatten()
    is_position = (place >= 0) & (place < len(numbers)) & (place == place.floor())
    if not is_position.all() or not torch.equal(
        flat[place.long()].nan_to_num(), seen.activations[:1].flatten().cpu().nan_to_num()
    ):
        raise ValueError(
            f"The layout computes more than a rearrangement of what {seen.layer!r} emits, so changed maps can't be put "
            "back into the network: take a method that needs no second run, for example `gradcam`."
        )
    return None if isinstance(seen.emitted, Tensor) and torch.equal(place, numbers) else place.long()
