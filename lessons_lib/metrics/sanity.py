"""Does a map change when it must? With the network's knowledge gone, another class, another picture, a little noise."""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from lessons_lib.core import inputs
from lessons_lib.core.engine.outputs import said
from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.records import Explainable
from lessons_lib.metrics.asking import as_asked, made, without_warnings
from lessons_lib.metrics.likeness import Alike, alike

Maker = Callable[[Any, Any, Any], Any]
"""What makes maps of model, pictures and target: `explain`, `partial(explain, method=layercam)`, a baseline."""


def randomised(
    model: Explainable | nn.Module,
    pictures: Any,
    target: Any,
    make: Maker,
    *,
    stages: int | Sequence[str] = 8,
    seed: int = 0,
) -> dict[str, Any]:
    """Return how alike the map stays while the network forgets, from its last layers down to the first.

    The network's copy loses one part after another: in each, every tensor of weights (and of statistics) keeps its
    numbers and gets them in a random order. Adebayo et al., arXiv 1810.03292, section 3.1, draw new ones; keeping them
    keeps the activations' size. Your network is not touched. A map of what the network has learnt has to change: near
    0 is what is asked for, near 1 means that the map does not need the knowledge.

    What it can't tell: whether a map that changes was right before. And a map may change for the wrong reason: noise
    changes always.

    Args:
        model: as in `explain`.
        pictures: as in `explain`.
        target: as in `explain`; better name one, since the top class of a network that forgets is another.
        make: a function of model, pictures and target that makes the maps, such as `explain`.
        stages: the parts' names, the last one first; or into how many parts the layers are divided.
        seed: of the order of the weights.

    Returns:
        By the name of the lowest layer that has forgotten, `Alike` to the map of the network as it is; a list of them
        for several questions.

    Example:
        >>> found = metrics.randomised(models.vit(), scene, "cat", explain, stages=["heads", "encoder.layers"])
        >>> {name: round(one.rank, 1) for name, one in found.items()}
        {'heads': ..., 'encoder.layers': ...}
    """
    model = Explainable.of(model)
    forgetful = replace(model, network=deepcopy(model.network))
    parts = _parts(forgetful.network, stages)
    before = made(_maker(make), model, pictures, target)
    random = torch.Generator().manual_seed(seed)
    found: dict[str, Any] = {}
    for part in _bar(parts, "randomised"):
        for name in part:
            _forget(forgetful.network.get_submodule(name), random)
        with without_warnings():
            after = made(make, forgetful, pictures, target)
        found[part[-1] or type(model.network).__name__] = as_asked(
            [alike(*pair) for pair in zip(before, after, strict=True)], pictures, target
        )
    return found


def class_swap(model: Explainable | nn.Module, pictures: Any, target: Any, other: Any, make: Maker) -> Any:
    """Return how alike the maps of two targets are. A map that answers the question has to change with it.

    What it can't tell: two classes may rest on the same pixels, as *tabby* and *tiger cat* do; choose two that don't.

    Args:
        model: as in `explain`.
        pictures: as in `explain`.
        target: as in `explain`.
        other: the same, asked instead.
        make: as in `randomised`.

    Example:
        >>> metrics.class_swap(models.vit(), scene, "cat", "motorcycle", explain).moved > 0.5
        True
    """
    make = _maker(make)
    pairs = zip(made(make, model, pictures, target), made(make, model, pictures, other), strict=True)
    return as_asked([alike(*pair) for pair in pairs], pictures, target)


def input_swap(model: Explainable | nn.Module, pictures: Sequence[Any], target: Any, make: Maker) -> list[Alike]:
    """Return how alike each picture's map is to that of the next one, and the last one's to the first's.

    A map that stays the same shows the network's habits (its border, its middle), and not the picture.

    What it can't tell: pictures with the same thing in the same place have the same map, rightly.

    Args:
        model: as in `explain`.
        pictures: two or more, in a list or a batch.
        target: as in `explain`.
        make: as in `randomised`.

    Example:
        >>> pair = [scene, collage.scene(2, kinds=["cat"])]
        >>> [one.moved > 0.5 for one in metrics.input_swap(models.vit(), pair, "cat", explain)]
        [True, True]
    """
    heats = made(_maker(make), model, pictures, target)
    if inputs.single(pictures) or len(heats) < 2:
        raise ValueError("Two pictures or more are compared, and this is one: give a list of them.")
    return [alike(one, other) for one, other in zip(heats, [*heats[1:], heats[0]], strict=True)]


def stability(
    model: Explainable | nn.Module,
    pictures: Any,
    target: Any,
    make: Maker,
    *,
    noise: float = 0.05,
    draws: int = 8,
    seed: int = 0,
) -> Any:
    """Return how alike the map stays, on average, when noise that nobody would see is added to the picture.

    Formula: the mean over draws of `alike` between the map of x and that of x + N(0, σ²), σ = noise × (largest −
    smallest value of x). Near 1 is stable. The question is put to the same class: name it.

    What it can't tell: an edge detector, and a map that is always the same, are very stable.

    Args:
        model: as in `explain`.
        pictures: as in `explain`; the noise is added to what the network is given.
        target: as in `explain`.
        make: as in `randomised`.
        noise: as a share of the picture's range.
        draws: how many noisy pictures.
        seed: of the noise.

    Example:
        >>> metrics.stability(models.vit(), scene, "cat", explain, draws=2).rank > 0.8
        True
    """
    if not isinstance(draws, int) or isinstance(draws, bool) or draws < 1:
        raise ValueError(f"draws={draws!r} is how many noisy pictures are tried: give 1 or more.")
    if not noise > 0:
        raise ValueError(f"noise={noise!r} is a share of the picture's range: give one above 0, such as 0.05.")
    model = Explainable.of(model)
    single = inputs.single(pictures)
    _, batch, _ = inputs.ready(pictures, model)
    batch = batch.detach()
    given = batch[0] if single else batch
    before = made(_maker(make), model, given, target)
    spans = (batch.amax((1, 2, 3)) - batch.amin((1, 2, 3)))[:, None, None, None]
    random = torch.Generator().manual_seed(seed)
    rows = []
    for _ in _bar(range(draws), "noisy pictures"):
        added = torch.randn(batch.shape, generator=random).to(batch) * noise * spans
        noisy = batch + added
        after = made(make, model, noisy[0] if single else noisy, target)
        rows.append([alike(*pair) for pair in zip(before, after, strict=True)])
    found = [
        Alike(*(sum(getattr(one, name) for one in each) / draws for name in ("rank", "ssim", "moved")))
        for each in zip(*rows, strict=True)
    ]
    return as_asked(found, pictures, target)


def _maker(make: Any) -> Maker:
    if isinstance(make, Heatmap | list | tuple) or not callable(make):
        raise TypeError(
            f"The map is made again, so give the function that makes it, not {said(make)}: `ll.explain`, or "
            "`functools.partial(ll.explain, method=ll.layercam)`."
        )
    return make


def _parts(network: nn.Module, stages: int | Sequence[str]) -> list[list[str]]:
    """Return the names of the modules that forget together, the last ones first."""
    if not isinstance(stages, int):
        for name in stages:
            if name not in dict(network.named_modules()):
                raise ValueError(
                    f"The network has no part {name!r}: `[name for name, _ in network.named_modules()]` lists them."
                )
        return [[name] for name in stages]
    own = [name for name, module in network.named_modules() if any(True for _ in module.parameters(recurse=False))]
    if stages < 1 or not own:
        raise ValueError(f"stages={stages!r} is into how many parts the layers are divided: give 1 or more.")
    own.reverse()
    count = min(stages, len(own))
    edges = [round(number * len(own) / count) for number in range(count + 1)]
    return [own[first:last] for first, last in pairwise(edges)]


def _forget(part: nn.Module, random: torch.Generator) -> None:
    for tensor in (*part.parameters(), *part.buffers()):
        if tensor.is_floating_point():
            order = torch.randperm(tensor.numel(), generator=random).to(tensor.device)
            tensor.data = tensor.detach().flatten()[order].view_as(tensor)


def _bar(over: Any, what: str) -> Iterator[Any]:
    import os

    from tqdm.auto import tqdm

    return iter(tqdm(over, desc=what, delay=2, disable=bool(os.environ.get("TQDM_DISABLE"))))
