"""Running a network once more to learn how a layer's output is read, and remembering it for the next time."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from lessons_lib.core.engine import calling
from lessons_lib.core.engine.hooks import hooked, left_as_found
from lessons_lib.core.engine.outputs import Emitted, tensors
from lessons_lib.core.engine.places.follow import Follower
from lessons_lib.core.engine.places.layouts import pyramid
from lessons_lib.core.engine.places.positions import Places
from lessons_lib.core.engine.places.reading import Reading, read

PATIENCE = 2.0
"""What takes longer than this, in seconds, shows a progress bar."""

LOST = "where in the picture its numbers come from can't be followed"
"""Why nothing can be read of what comes out of an operation that is not known here."""

Region = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""


@dataclass(frozen=True)
class Followed:
    """How one layer's output becomes maps, a layout, and which part of the network's input these cover.

    Args:
        readings: of each tensor in the output; None of one that is no stack of maps, or where nothing can be read.
        why: why nothing can be read; empty where something can.
        canvas: what the first convolution was given, on the network's input: larger where the network adds a margin.
        shapes: the tensors' own.
    """

    readings: tuple[Reading | None, ...]
    why: str
    canvas: Region
    shapes: tuple[torch.Size, ...] = ()

    def __call__(self, emitted: Emitted) -> Tensor:
        """Return N×C×H×W: of the one tensor that can be read, or of several, all levels of a pyramid.

        Raises:
            ValueError: there is none; the sentence shows the shapes.
        """
        if self.why:
            raise ValueError(self.why)
        maps = [how(one) for one, how in zip(tensors(emitted), self.readings, strict=True) if how]
        return maps[0] if len(maps) == 1 else pyramid(maps)

    @property
    def found(self) -> list[Reading]:
        """How those tensors are read that are."""
        return [how for how in self.readings if how]

    @property
    def lost(self) -> bool:
        """Whether it is not known where its numbers come from; otherwise it is known that they stand for no places."""
        return LOST in self.why

    @property
    def __name__(self) -> str:
        """What the order of axes is called, for tables."""
        return self.found[0].__name__ if len(self.found) == 1 else "pyramid"

    def laid(self, region: Region, inputs: Tensor) -> Region:
        """Return where the maps lie on a photo, on which the network's input lies in `region`.

        Maps that a layout of the user's makes, and a side that was pooled away, lie on all that the first convolution
        was given.
        """
        edges = self.canvas
        if self.found:
            left, top, right, bottom = (
                round(own, 3) if isfinite(own) else whole for own, whole in zip(self.found[0].edges, edges, strict=True)
            )
            edges = left, top, right, bottom
        (high, wide), (x, y, right, bottom) = inputs.shape[-2:], region
        across, down = (right - x) / wide, (bottom - y) / high
        return x + edges[0] * across, y + edges[1] * down, x + edges[2] * across, y + edges[3] * down

    @property
    def tokens(self) -> Tensor:
        """Which token stands at each row and column, H×W.

        Raises:
            ValueError: these are no tokens.
        """
        if self.why:
            raise ValueError(self.why)
        if len(self.found[0].grid) != 1:
            raise ValueError(f"The layer emits {self.__name__}, no tokens: choose another layer.")
        return self.found[0].order[0]


class _Seen(NamedTuple):
    """One tensor that a layer put out: its shape, whether its rows sum to 1, and the places of its numbers."""

    shape: torch.Size
    sums_to_one: bool
    places: Places | None


@dataclass(frozen=True)
class _Run:
    """What every module put out in one run that was followed, and how that is read, as far as anybody asked."""

    pictures: int
    canvas: Region
    seen: WeakKeyDictionary[nn.Module, list[_Seen]]
    known: WeakKeyDictionary[nn.Module, Followed]

    def shapes(self, module: nn.Module) -> list[torch.Size]:
        return [one.shape for one in self.seen.get(module, ())]

    def of(self, module: nn.Module) -> Followed:
        if module not in self.known:
            self.known[module] = _followed(self.seen[module], self.pictures, self.canvas)
        return self.known[module]


_runs: WeakKeyDictionary[nn.Module, dict[Any, _Run]] = WeakKeyDictionary()


def followed(network: nn.Module, inputs: Tensor, emitted: Mapping[nn.Module, Emitted]) -> dict[nn.Module, Followed]:
    """Return how the output of some modules is read.

    The network runs once more, operation by operation, unless it did so before with inputs of this shape, and the
    modules put out tensors of the same shapes now as then.

    Args:
        network: it is left as it is found.
        inputs: what the network was given, N×C×H×W.
        emitted: the modules, and what each put out in the run at hand.
    """
    runs, shape = _runs.setdefault(network, {}), tuple(inputs.shape)
    shapes = {module: [one.shape for one in _held(output)] for module, output in emitted.items()}
    if shape not in runs or any(runs[shape].shapes(module) != each for module, each in shapes.items()):
        runs[shape] = _run(network, inputs, shapes)
    return {module: runs[shape].of(module) for module in emitted}


def _held(emitted: Emitted) -> list[Tensor]:
    """Return a layer's tensors; torch's attention gives its output and, unless asked for, no weights."""
    without = emitted[:1] if isinstance(emitted, tuple) and len(emitted) == 2 and emitted[1] is None else emitted
    return tensors(without)


def _run(network: nn.Module, inputs: Tensor, shapes: Mapping[nn.Module, list[torch.Size]]) -> _Run:
    seen = WeakKeyDictionary({module: [_Seen(one, False, None) for one in each] for module, each in shapes.items()})
    given = inputs.detach().clone()
    follower = Follower(given)

    # The run at hand went well, so what fails here is following it: layers that did not run yet are not read.
    with left_as_found(network) as modules, _bar(modules) as ended:

        def keep(module: nn.Module, _inputs: Any, output: Any) -> None:
            follower.resting = True
            seen[module] = [_Seen(one.shape, _sums_to_one(one), follower.places(one)) for one in _held(output)]
            follower.resting = False
            ended(module)

        with suppress(Exception), torch.no_grad(), hooked(modules, after=keep), follower:
            network(given)
    return _Run(len(inputs), _canvas(follower, inputs), seen, WeakKeyDictionary())


@contextmanager
def _bar(modules: Collection[nn.Module]) -> Iterator[Callable[[nn.Module], None]]:
    """Yield what is told of each module that has run; it shows how many did, in a bar seen only after two seconds."""
    from tqdm.auto import tqdm

    silent, title, met = calling.silent(), "following the network, this once", set[nn.Module]()
    with tqdm(desc=title, total=len(modules), unit="module", delay=PATIENCE, leave=False, disable=silent) as bar:

        def ended(module: nn.Module) -> None:
            if module not in met:
                met.add(module)
                bar.update()

        yield ended


def _sums_to_one(tensor: Tensor) -> bool:
    if tensor.ndim not in (3, 4) or not tensor.shape[-2] == tensor.shape[-1] > 1:
        return False
    first = float(tensor[(0,) * (tensor.ndim - 1)].sum())  # mostly it says it, and all the others are let be
    return abs(first - 1) < 1e-3 and bool(((tensor.float().sum(dim=-1) - 1).abs() < 1e-3).all())


def _canvas(follower: Follower, inputs: Tensor) -> Region:
    """Return where on the network's input that lies which its first convolution was given."""
    if follower.canvas is not None:
        with suppress(ValueError):  # it sees no picture
            left, top, right, bottom = (round(edge, 3) for edge in read(follower.canvas, len(inputs)).edges)
            return left, top, right, bottom
    return 0.0, 0.0, float(inputs.shape[-1]), float(inputs.shape[-2])


def _followed(held: list[_Seen], pictures: int, canvas: Region) -> Followed:
    read = [_read(one, pictures) for one in held]
    readings = tuple(one if isinstance(one, Reading) else None for one in read)
    found, shapes = [one for one in readings if one], tuple(one.shape for one in held)
    if len(found) == 1 or (found and all(len(one.grid) == 2 for one in found)):
        return Followed(readings, "", canvas, shapes)
    told = " and ".join(" × ".join(map(str, shape)) for shape in shapes) or "no tensor"
    why = next((one for one in read if isinstance(one, str)), "not one tensor alone holds maps")
    sentence = (
        f"The layer's output is {told}, and {why}. Choose another layer, for example the block around it, or say how "
        "to read it with a layout in the model's record, `ll.Explainable(network, layout=ll.layouts.nchw)`, or any "
        "function from that output to maps N × C × H × W."
    )
    if held and all(len(shape) not in (3, 4) for shape in shapes):
        sentence = (
            f"The layer's output is {told}, not N × C × H × W: it has no rows and columns to draw. Choose a layer "
            "before the flattening, for example the last convolution."
        )
    return Followed((None,) * len(read), sentence, canvas, shapes)


def _read(seen: _Seen, pictures: int) -> Reading | str:
    if seen.sums_to_one:
        return "each of its rows sums to 1: these are attention weights, from token to token, not a picture"
    if seen.places is None or len(seen.shape) not in (3, 4):
        return LOST
    try:
        return read(seen.places, pictures)
    except ValueError as error:
        return str(error)
