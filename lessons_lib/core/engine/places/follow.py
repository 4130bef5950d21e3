"""Following one run operation by operation, to know the place in the picture that each number stands for."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from lessons_lib.core.engine.places import operations
from lessons_lib.core.engine.places.positions import (
    Places,
    compact,
    mixed,
    of_pictures,
    sampled,
    together,
    unknown,
    varies,
)
from lessons_lib.core.engine.places.windows import folded, through, unfolded, window_of


class Follower(TorchDispatchMode):
    """Knows the places of every tensor that operations make of a network's input, while it is entered.

    Args:
        batch: what the network is given, N×C×H×W.

    Attributes:
        canvas: the places of what the first convolution was given; None before it ran.
        resting: while it is true, operations are let through.
    """

    resting = False

    def __init__(self, batch: Tensor) -> None:
        super().__init__()
        self.size = (batch.shape[2], batch.shape[3])
        self.canvas: Places | None = None
        self._known = WeakTensorKeyDictionary()
        self._margins = WeakTensorKeyDictionary()
        self._known[batch] = of_pictures(batch)

    def places(self, tensor: Tensor) -> Places | None:
        """Return the places of a tensor's numbers; None if it does not come from the picture or they were lost."""
        return self._known.get(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.resting:
            return func(*args, **kwargs)
        if torch.is_inference_mode_enabled():  # in which an operation is not taken apart before it comes here
            with self:
                if (made := func.decompose(*args, **kwargs)) is not NotImplemented:
                    return made
        name = func._schema.name.partition("::")[2]
        inplace = name.endswith("_") and not name.endswith("__")
        if name == "convolution" and self.canvas is None and args[0].ndim == 4:
            self.canvas = self._within_margin(args[0], window_of(name, args) or ())
        made = func(*args, **kwargs)
        try:
            found = self._of(name.rstrip("_") if inplace else name, func, args, kwargs, made)
        except (TypeError, ValueError, RuntimeError, IndexError):  # a form that is not known: places are lost
            found = None
        if name == "copy_" and found is not None:
            self._written(args[0], found)
        outputs = made if isinstance(made, tuple | list) else [made]
        results = found if isinstance(found, list) else [found]
        for output, places in zip(outputs, results, strict=False):
            if isinstance(output, Tensor) and output.is_floating_point():
                if places is not None:
                    self._known[output] = places
                elif inplace:
                    self._known.pop(output, None)
        return made

    def _of(self, name: str, func: Any, args: Any, kwargs: Any, made: Any) -> Any:
        first: Any = args[0] if args else None
        if name in operations.JOINED:
            if not any(self.places(one) is not None for one in first):
                return None
            parts = [self.places(one) or unknown(one) for one in first]
            return Places(*(compact(func([part[i] for part in parts], *args[1:], **kwargs)) for i in range(5)))
        if name in operations.PRODUCTS:
            at = operations.PRODUCTS[name]
            a, b = args[at], args[at + 1]
            if name == "linear":
                b = b.t()
            return self._product(self.places(a), self.places(b), made.shape)
        if name in ("copy", "copy_"):
            source = self.places(args[1])
            return source and source.each(lambda x: x.expand(made.shape))
        given = self.places(first) if isinstance(first, Tensor) else None
        if name in operations.MOVED:
            return None if given is None else self._moved(name, func, given, args, kwargs)
        if name in operations.ATTENTION:
            out = made[0] if isinstance(made, tuple) else made
            if given is None or out.shape[:-1] != first.shape[:-1]:
                return None
            return mixed(given, [first.ndim - 1], self.size).each(lambda x: x.expand(out.shape))
        if given is not None:
            if name in operations.PADDED:
                self._margins[made] = given, tuple(args[1])
                return self._padded(given, args[1])
            if name == "as_strided":  # a global pooling takes the strides that it wants: its one cell stays
                flat = not any(varies(x, axis) for x in given[:4] for axis in range(x.ndim))
                return given if flat and list(args[1]) == list(given.rows.shape) else None
            if name == "glu":
                halves = (x.chunk(2, args[1] if len(args) > 1 else -1) for x in given)
                values, gates = (Places(*each) for each in zip(*halves, strict=True))
                return together(values, gates, made.shape)
            if name == "im2col":
                return unfolded(given, func, args, made)
            if name == "col2im":
                return folded(given, func, args)
            if name in operations.REDUCED:
                return self._reduced(given, args, kwargs, made)
            if (window := window_of(name, args)) is not None:
                given = self._within_margin(first, window) or given
                return through(given, name, made[0] if isinstance(made, tuple) else made, self.size)
        if name in operations.SAME:
            return given
        if torch.Tag.pointwise in func.tags or name in ("where", "addcmul", "lerp"):
            return self._pointwise([*args, *kwargs.values()], made)
        return None

    def _pointwise(self, args: Iterable[Any], made: Any) -> Places | None:
        if not isinstance(made, Tensor):
            return None
        found: Places | None = None
        for one in args:
            if isinstance(one, Tensor) and (places := self.places(one)) is not None:
                places = places if one.shape == made.shape else places.each(lambda x: x.expand(made.shape))
                if found is None:
                    found = places
                elif any(a is not b for a, b in zip(found, places, strict=True)):
                    found = together(found, places, made.shape)
        return found

    def _moved(self, name: str, func: Any, given: Places, args: Any, kwargs: Any) -> Any:
        def change(x: Tensor) -> Any:
            if name in ("view", "_unsafe_view", "_reshape_alias", "view_copy"):
                return x.reshape(args[1])
            return func(x, *args[1:], **kwargs)

        found = [change(one) for one in given]
        if isinstance(found[0], tuple | list):
            return [Places(*parts) for parts in zip(*found, strict=True)]
        return Places(*map(compact, found))

    def _product(self, a: Places | None, b: Places | None, shape: torch.Size) -> Places | None:
        if a is None and b is None:
            return None
        rows = None if a is None else mixed(a, [a.rows.ndim - 1], self.size)
        columns = None if b is None else mixed(b, [b.rows.ndim - 2], self.size)
        if rows is None or columns is None:
            return (rows or columns).each(lambda x: x.expand(shape))  # type: ignore[union-attr]
        # What is asked for stands on the left, as a query before its keys.
        return Places(*(torch.where(x.isnan(), y, x).expand(shape) for x, y in zip(rows, columns, strict=True)))

    def _within_margin(self, tensor: Tensor, window: tuple[int, ...]) -> Places | None:
        """Return the places without the margin of a tensor that was padded for windows of this size, by less than one.

        Such a margin is the operation's own padding, put on by hand. Of other tensors, return the places as they are.
        """
        given, margin = self._margins.get(tensor, (None, ()))
        pairs = list(zip(margin[::2], margin[1::2], strict=True))  # of the last axis first
        if len(pairs) <= len(window) and all(
            max(map(abs, pair)) < side for pair, side in zip(pairs, reversed(window), strict=False)
        ):
            return given or self.places(tensor)
        return self.places(tensor)

    def _padded(self, given: Places, padding: Sequence[int]) -> Places:
        for pair, (before, after) in enumerate(zip(padding[::2], padding[1::2], strict=True)):
            axis = given.rows.ndim - 1 - pair
            at = torch.arange(-before, given.rows.shape[axis] + after, dtype=torch.float32, device="cpu")
            given = sampled(given, axis, at, 1)
        return given

    def _reduced(self, given: Places, args: Any, kwargs: Any, made: Any) -> Places | None:
        out = made[0] if isinstance(made, tuple) else made
        ndim = given.rows.ndim
        axes = (
            args[2]
            if len(args) > 2 and isinstance(args[2], list | tuple) and not isinstance(args[1], list)
            else (args[1] if len(args) > 1 else kwargs.get("dim"))
        )
        if axes is None or isinstance(axes, bool) or axes == []:
            return None
        axes = sorted({axis % ndim for axis in ([axes] if isinstance(axes, int) else axes)})
        found = mixed(given, axes, self.size)
        if out.ndim < ndim:
            kept = [axis for axis in range(ndim) if axis not in axes]
            found = found.each(lambda x: x.permute(*kept, *axes).flatten(len(kept))[..., 0])
        return found.each(lambda x: x.expand(out.shape))

    def _written(self, view: Tensor, places: Places) -> None:
        """Keep what is written into a part of a larger tensor, as pictures are laid into an empty frame.

        The frame around the part goes on where the picture ends.
        """
        base = view._base
        if base is None or base.ndim != 4 or view.ndim not in (3, 4) or not base.is_contiguous():
            return
        whole = self.places(base)
        parts = [one.contiguous() for one in whole] if whole else [torch.full_like(base, torch.nan)] * 5
        number, within = divmod(int(view.storage_offset()), base.stride(0))
        top, left = divmod(within % base.stride(1), base.stride(2))
        for axis, before, count in ((-2, top, base.shape[2]), (-1, left, base.shape[3])):
            places = sampled(
                places, view.ndim + axis, torch.arange(count, dtype=torch.float32, device="cpu") - before, 1
            )
        into = slice(number, number + (1 if view.ndim == 3 else len(view)))
        for index, (part, one) in enumerate(zip(parts, places, strict=True)):
            parts[index] = part.clone()
            parts[index][into] = one
        self._known[base] = Places(*map(compact, parts))
