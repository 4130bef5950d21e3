"""Listening to a network, changing what its modules do, and leaving it as it was found.

What puts things back may be done twice, and is, where Ctrl-C comes while it is being done.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy


@contextmanager
def hooked(
    modules: Iterable[nn.Module],
    *,
    before: Callable[..., Any] | None = None,
    after: Callable[..., Any] | None = None,
    with_kwargs: bool = False,
) -> Iterator[None]:
    """Call `before` or `after`, torch's forward pre-hook and forward hook, whenever one of the modules runs.

    They come before the modules' own hooks, so that a network that keeps activations by hooks keeps what `after` makes
    of them. No hook stays, also when the run fails or a module takes none.

    Example:
        >>> shapes = []
        >>> with hooked([my_model.layer4], after=lambda module, inputs, output: shapes.append(output.shape)):
        ...     logits = my_model(batch)
        >>> shapes
        [torch.Size([1, 512, 7, 7])]
    """
    modules = list(modules)
    before, after = (None if hook is None else _Hook(hook) for hook in (before, after))

    def undo() -> None:
        # Found by what they call and not by handles, so that none is missed whose handle Ctrl-C kept from arriving.
        for module in modules:
            for hooks in (module._forward_pre_hooks, module._forward_hooks):
                for key in [key for key, hook in hooks.items() if hook is not None and hook in (before, after)]:
                    module._forward_pre_hooks_with_kwargs.pop(key, None)
                    module._forward_hooks_with_kwargs.pop(key, None)
                    hooks.pop(key, None)

    try:
        for module in modules:
            if before is not None:
                module.register_forward_pre_hook(before, prepend=True, with_kwargs=with_kwargs)
            if after is not None:
                module.register_forward_hook(after, prepend=True, with_kwargs=with_kwargs)
        yield
    finally:
        certainly(undo)


def certainly(undo: Callable[[], None]) -> None:
    """Run what puts something back; when Ctrl-C comes in the middle of it, run it again, and end then."""
    try:
        undo()
    except KeyboardInterrupt:
        undo()
        raise


class _Hook:
    """A hook that does nothing in a copy of its module: some networks copy themselves when they run, and keep that."""

    def __init__(self, hook: Callable[..., Any]) -> None:
        self.call = hook

    def __call__(self, *args: Any) -> Any:
        return self.call(*args)

    def __deepcopy__(self, _memo: Any) -> Callable[..., None]:
        return _nothing

    def __reduce__(self) -> str:
        return "_nothing"


def _nothing(*_: Any) -> None:
    """Do what a hook does in a copy."""


@contextmanager
def forwards(others: Mapping[nn.Module, Callable[..., Any]]) -> Iterator[None]:
    """Let modules run another `forward`; afterwards each runs what it ran before. Such states may be nested.

    Example:
        >>> with forwards({my_model.layer4: lambda x: torch.zeros(1, 512, 7, 7)}):
        ...     logits = my_model(batch)
        >>> torch.equal(logits[0], my_model.fc.bias)
        True
    """
    own = {module: vars(module)["forward"] for module in others if "forward" in vars(module)}

    def undo() -> None:
        for module in others:
            vars(module).pop("forward", None)
        for module, forward in own.items():
            vars(module)["forward"] = forward

    try:
        for module, forward in others.items():
            vars(module)["forward"] = forward  # found before the class's own
        yield
    finally:
        certainly(undo)


class _Hold:
    """Who holds a network: one thread at a time, as often as it likes. Meanwhile its modules are known."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.depth = 0
        self.modules: list[nn.Module] = []


_holds: WeakKeyDictionary[nn.Module, _Hold] = WeakKeyDictionary()


@contextmanager
def left_as_found(network: nn.Module) -> Iterator[list[nn.Module]]:
    """Put `network` into eval mode with frozen weights, and back as it was, after an error or Ctrl-C too.

    Meanwhile it belongs to this thread: another one that asks for it waits. Inside one another such states are one.
    Yields the network's modules.

    Raises:
        RuntimeError: the weights were created under inference_mode, so that no gradient passes through them.
        ValueError: some have no size yet, as those of Lazy modules before their first run, or lie on the device meta.

    Example:
        >>> with left_as_found(my_model.train()):
        ...     logits = my_model(batch)  # in eval mode
        >>> my_model.training
        True
        >>> my_model = my_model.eval()
    """
    hold = _holds.setdefault(network, _Hold())
    with hold.lock:
        if hold.depth:
            yield hold.modules
            return
        hold.modules = _walked(network)
        training = [module for module in hold.modules if module.training]
        learning = [one for one in _sound(network, hold.modules) if one.requires_grad]

        def undo() -> None:
            for module in training:
                module.training = True
            for parameter in learning:
                parameter.requires_grad = True
            hold.depth, hold.modules = 0, []

        try:
            hold.depth = 1
            # Flags, and no call of `eval()`: a module may do more then, as LoRA, which merges its weights for good.
            for module in training:
                module.training = False
            for parameter in learning:
                parameter.requires_grad = False
            yield hold.modules
        finally:
            certainly(undo)


def _walked(network: nn.Module) -> list[nn.Module]:
    """Return what `network.modules()` yields, in its order; in a small network that one's recursion would show."""
    found: dict[nn.Module, None] = {}
    waiting: list[nn.Module | None] = [network]
    while waiting:
        module = waiting.pop()
        if module is not None and module not in found:
            found[module] = None
            if module._modules:
                waiting.extend(reversed(module._modules.values()))
    return list(found)


def _sound(network: nn.Module, modules: list[nn.Module]) -> list[nn.Parameter]:
    """Return the network's parameters, each once, if gradients can be asked of it."""
    # By id, as a tensor's own hash is slow enough to show in a small network.
    held = [module._parameters for module in modules if module._parameters]
    parameters = list({id(p): p for each in held for p in each.values() if p is not None}.values())
    name = type(network).__name__
    lazy = [module for module in modules if isinstance(module, LazyModuleMixin)]
    if any(map(is_lazy, parameters)) or any(module.has_uninitialized_params() for module in lazy):
        raise ValueError(
            f"This {name} has parameters without a size yet (Lazy modules): run it once on a batch, then explain it."
        )
    if any(map(Tensor.is_inference, parameters)):
        raise RuntimeError(
            f"The weights of this {name} were created under inference_mode, so no gradient passes through them: build "
            "the model outside `torch.inference_mode()`."
        )
    if any(one.is_meta for one in parameters):
        raise ValueError(
            f"The weights of this {name} lie on the device 'meta', which holds no numbers: give it some with "
            "`network.to_empty(device='cpu')`, then load yours with `network.load_state_dict(weights)`."
        )
    return parameters
