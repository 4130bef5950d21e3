"""Running the network again on changed activations or changed inputs, some at a time so that memory stays bounded."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from lessons_lib.core.engine import calling
from lessons_lib.core.engine.captured import Captured
from lessons_lib.core.engine.hooks import forwards, hooked, left_as_found
from lessons_lib.core.engine.outputs import Emitted, like, tensors
from lessons_lib.core.engine.places.trace import PATIENCE

Variants = Callable[[int, Tensor], Tensor]
"""Makes variants of a picture: takes its number and those of the m variants wanted; gives m×…, which may be changed."""

Way = Callable[[int], Callable[[int], AbstractContextManager[Tensor]]]
"""A way to run what lies below the layer: `with way(picture)(count) as inputs` the network runs on `count` variants."""


def from_layer(seen: Captured, variants: Variants, count: int, chunk: int) -> Tensor:
    """Return what the network scores when the layer puts out other activations.

    The network is run on some variants of one picture at a time, and a hook at the layer replaces what it puts out by
    the variants. What the modules below the layer compute is thrown away then, so they should do little. There are
    four ways, the fastest first:

    1. They run on an empty batch. This fails where a skip connection leads around the layer.
    2. They run on the one picture. This fails where the network puts pictures side by side, as a detector does.
    3. They run on as many copies of the picture as there are variants, and modules that have finished before the layer
       begins return what they returned in a first run, repeated.
    4. The same, but everything is computed.

    The first way on which two unchanged variants score what the picture itself scored is taken.

    Args:
        seen: the first run, with its scores.
        variants: makes variants of the activations, m×C×H×W.
        count: how many variants there are of each picture.
        chunk: how many of them run at a time; memory grows with it.

    Returns:
        The scores, N×count.

    Raises:
        ValueError: the layout does more than rearrange, so that maps can't be put back into the layer.
    """
    place, own = _place(seen), _by_picture(seen)

    def emitted(picture: int, numbers: Tensor) -> Emitted:
        maps = variants(picture, numbers).to(own[0].dtype)
        if place is None:
            return maps
        flat = torch.cat([one[picture].flatten() for one in own]).repeat(len(maps), 1)
        flat[:, place] = maps.flatten(1)
        parts = flat.split([one[picture].numel() for one in own], dim=1)
        return _as_emitted(seen, [part.reshape(-1, *one.shape[1:]) for part, one in zip(parts, own, strict=True)])

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
        variants: makes variants of the input, m×…
        count: how many variants there are of each picture.
        chunk: how many of them run at a time; memory grows with it.

    Returns:
        The scores, N×count.
    """

    def scored(picture: int, numbers: Tensor) -> Tensor:
        inputs = variants(picture, numbers)
        if inputs.ndim == 4:
            # Convolutions on a CPU run a quarter faster with the channels last in memory.
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return seen.rescore(lambda: seen.network(inputs), picture, len(numbers))

    with left_as_found(seen.network), torch.no_grad():
        return in_chunks(scored, len(seen.inputs), count, chunk, f"{count} variants of the input")


def _widened(seen: Captured, picture: int, count: int, way: Way, emitted: Emitted) -> Tensor:
    """Return the scores of one run in which the layer puts out `emitted`."""
    below = way(picture)

    def run() -> Any:
        with below(count) as inputs, hooked([seen.module], after=lambda *_: emitted):
            return seen.network(inputs.clone())

    return seen.rescore(run, picture, count)


def _way(seen: Captured) -> Way:
    """Return the fastest way (see `from_layer`) on which unchanged activations score what they scored."""
    ways: tuple[Way, ...] = (
        lambda picture: lambda count: nullcontext(seen.inputs[:0]),
        lambda picture: lambda count: nullcontext(seen.inputs[picture : picture + 1]),
        _replayed(seen),
        lambda picture: lambda count: nullcontext(seen.inputs[[picture] * count]),
    )
    unchanged = _as_emitted(seen, [one[[0, 0]] for one in _by_picture(seen)])
    for way in ways[:-1]:
        try:
            scores = _widened(seen, 0, 2, way, unchanged)
        except Exception:  # noqa: BLE001 - whatever broke, the last way runs the network as it is meant to run
            continue
        if torch.allclose(scores, seen.scores[0].detach(), rtol=1e-3, atol=1e-5, equal_nan=True):
            return way
    return ways[-1]


def _replayed(seen: Captured) -> Way:
    """Return way 3 of `from_layer`: modules that finish before the layer begins run once, and then repeat that."""
    done = lru_cache(maxsize=1)(lambda picture: _done_before(seen, picture))

    def way(picture: int) -> Callable[[int], AbstractContextManager[Tensor]]:
        stored = done(picture)

        @contextmanager
        def below(count: int) -> Iterator[Tensor]:
            def again(given: Emitted) -> Callable[..., Emitted]:
                return lambda *_, **__: like(
                    given, [one.repeat(count, *[1] * (one.ndim - 1)) for one in tensors(given)]
                )

            with forwards({module: again(given) for module, given in stored.items()}):
                yield seen.inputs[[picture] * count]

        return below

    return way


def _done_before(seen: Captured, picture: int) -> dict[nn.Module, Emitted]:
    """Return what each module returned for one picture, of those that finish before the layer begins, and the layer.

    Only modules that run once are in it, and none that lies inside another one of them.
    """
    runs: Counter[nn.Module] = Counter()
    given: dict[nn.Module, Emitted] = {}

    def begins(module: nn.Module, _inputs: Any) -> None:
        runs[module] += 1

    def ends(module: nn.Module, _inputs: Any, output: Any) -> None:
        held = tensors(output)
        before = not runs[seen.module] or module is seen.module
        if before and held and all(one.ndim and len(one) == 1 for one in held):
            given[module] = like(output, [one.detach().clone() for one in held])

    with hooked(seen.network.modules(), before=begins, after=ends):
        seen.network(seen.inputs[picture : picture + 1].clone())
    outermost: dict[nn.Module, Emitted] = {}
    inside: set[nn.Module] = set()
    for module in seen.network.modules():  # parents come before their children
        if module in given and module not in inside and runs[module] == 1 and "forward" not in vars(module):
            outermost[module] = given[module]
            inside.update(module.modules())
    return outermost


def _place(seen: Captured) -> Tensor | None:
    """Return at which place of what the layer puts out, flattened, each number of the maps stands; None if in order."""
    # On the CPU, since positions need float64 and not every device has it (Apple's has not).
    own = [one[:1].cpu() for one in _by_picture(seen)]
    flat = torch.cat([one.flatten() for one in own])
    numbers = torch.arange(len(flat), dtype=torch.float64, device="cpu")
    parts = numbers.split([one.numel() for one in own])
    marked = _as_emitted(seen, [part.view_as(one) for part, one in zip(parts, own, strict=True)])
    place = seen.layout(marked).flatten()
    is_position = (place >= 0) & (place < len(numbers)) & (place == place.floor())
    if not is_position.all() or not torch.equal(
        flat[place.long()].to(seen.activations.dtype).nan_to_num(), seen.activations[:1].flatten().cpu().nan_to_num()
    ):
        raise ValueError(
            f"The layout computes more than a rearrangement of what {seen.layer!r} emits, so changed maps can't be put "
            "back into the network: take a method that needs no second run, for example `gradcam`."
        )
    in_order = isinstance(seen.emission.emitted, Tensor) and torch.equal(place, numbers)
    return None if in_order and marked.ndim == 4 and not any(_axes(seen)) else place.long()


def _axes(seen: Captured) -> list[int]:
    """Return for each tensor that the layer puts out the axis of the pictures: the first, if it was not followed."""
    return [reading.pictures if reading else 0 for reading in seen.read.readings]


def _by_picture(seen: Captured) -> list[Tensor]:
    """Return the tensors that the layer puts out, without a graph, the pictures along the first axis."""
    held = tensors(seen.emission.emitted)
    return [one.detach().movedim(axis, 0) for one, axis in zip(held, _axes(seen), strict=True)]


def _as_emitted(seen: Captured, parts: Sequence[Tensor]) -> Emitted:
    """Return such tensors as the layer puts them out."""
    return like(seen.emission.emitted, [one.movedim(0, axis) for one, axis in zip(parts, _axes(seen), strict=True)])


def in_chunks(work: Callable[[int, Tensor], Tensor], pictures: int, count: int, chunk: int, what: str) -> Tensor:
    """Do `work` for `count` variants of each of `pictures` pictures, at most `chunk` of them at a time.

    The first chunk is timed. If the others will take more than `PATIENCE` seconds, a bar that begins with the estimate
    is shown, unless somebody listens (`calling.told`). Ctrl-C (the stop button) ends the work between two operations.

    Args:
        work: from a picture's number and the variants' numbers, m ≤ chunk of them, to m results, each of one form.
        what: names the work, before the bar.

    Returns:
        pictures×count×…, as many axes more as a result has.

    Raises:
        ValueError: `chunk` is not a whole number from 1 on.
    """
    if not isinstance(chunk, int) or chunk < 1:
        raise ValueError(f"chunk={chunk!r} is how many variants run at a time: give 1 or more.")
    jobs = [
        (picture, numbers) for picture in range(pictures) for numbers in torch.arange(count, device="cpu").split(chunk)
    ]
    started, tell = perf_counter(), calling.listener()
    done = [work(*jobs[0])]
    seconds = (perf_counter() - started) * (len(jobs) - 1)
    rest: Iterable[tuple[int, Tensor]] = jobs[1:]
    if seconds > PATIENCE and tell is None:
        from tqdm.auto import tqdm

        title = f"{what}, about {seconds:.0f} s"
        rest = tqdm(rest, desc=title, total=len(jobs), initial=1, unit="chunk", disable=calling.silent())
    for job in rest:
        if tell is not None:
            tell(len(done), len(jobs), (perf_counter() - started) / len(done) * (len(jobs) - len(done)))
        done.append(work(*job))
    return torch.cat(done).unflatten(0, (pictures, count))
