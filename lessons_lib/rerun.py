"""Running the network again, on from the layer with other activations or whole with other inputs, in bounded memory."""

from collections.abc import Callable

import torch
from torch import Tensor

from lessons_lib.capture import Captured, left_as_found
from lessons_lib.chunks import in_chunks

Variants = Callable[[int, Tensor], Tensor]
"""From a picture's number and the numbers of m of its variants to these variants, m×…, in memory of their own."""


def from_layer(seen: Captured, variants: Variants, count: int, chunk: int) -> Tensor:
    """Run on from the layer with other activations, and return what they score.

    The batch is widened at the layer: a hook puts variants of one picture in the place of its activations. What lies
    below the layer runs on an empty batch; where a connection around the layer forbids that, on the one picture; where
    both are concatenated, on one copy of the picture for each variant, which is slower and as exact. Which of the three
    it is, two unchanged variants find out: they must score what the picture scored.

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

    def emitted(picture: int, numbers: Tensor) -> Tensor:
        maps = variants(picture, numbers)
        if place is None:
            return maps
        flat = seen.emitted[picture].detach().flatten().repeat(len(maps), 1)
        flat[:, place] = maps.flatten(1)
        return flat.view(-1, *seen.emitted.shape[1:])

    with left_as_found(seen.network), torch.no_grad():
        below = _below(seen)
        return in_chunks(
            lambda picture, numbers: _widened(seen, picture, below(picture, len(numbers)), emitted(picture, numbers)),
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
        return seen.score(seen.network(variants(picture, numbers)), picture, len(numbers))

    with left_as_found(seen.network), torch.no_grad():
        return in_chunks(scored, len(seen.inputs), count, chunk, f"{count} variants of the input")


def _widened(seen: Captured, picture: int, inputs: Tensor, emitted: Tensor) -> Tensor:
    """Return the scores of a run on `inputs`, with `emitted` in the place of what the layer emits."""
    hook = seen.module.register_forward_hook(lambda *_: emitted)
    try:
        output = seen.network(inputs)
    finally:
        hook.remove()
    return seen.score(output, picture, len(emitted))


def _below(seen: Captured) -> Callable[[int, int], Tensor]:
    """Return what the network is given below the layer, for a picture's number and a number of variants."""
    ways: tuple[Callable[[int, int], Tensor], ...] = (
        lambda picture, count: seen.inputs[:0],
        lambda picture, count: seen.inputs[picture : picture + 1],
        lambda picture, count: seen.inputs[[picture] * count],
    )
    unchanged = seen.emitted.detach()[[0, 0]]
    for way in ways[:-1]:
        try:
            scores = _widened(seen, 0, way(0, 2), unchanged.clone())
        except Exception:
            continue  # whatever broke, the last way runs the network as it is meant to run, and would raise it
        if torch.allclose(scores, seen.scores[0].detach(), rtol=1e-3, atol=1e-5, equal_nan=True):
            return way
    return ways[-1]


def _place(seen: Captured) -> Tensor | None:
    """Return where in a picture's flattened emission each number of its maps stands; None where all are in order."""
    emitted = seen.emitted.detach()[:1]
    numbers = torch.arange(emitted.numel(), device=emitted.device, dtype=torch.float64)
    place = seen.layout(numbers.view_as(emitted)).flatten()
    is_position = (place >= 0) & (place < len(numbers)) & (place == place.floor())
    if not is_position.all() or not torch.equal(
        emitted.flatten()[place.long()].nan_to_num(), seen.layout(emitted).flatten().nan_to_num()
    ):
        raise ValueError(
            f"The layout computes more than a rearrangement of what {seen.layer!r} emits, so changed maps can't be put "
            "back into the network: take a method that needs no second run, for example `gradcam`."
        )
    return None if torch.equal(place, numbers) else place.long()
