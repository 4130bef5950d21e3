"""Listening to a network, changing what its modules do, and leaving it as it was found."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn
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
    with ExitStack() as hooks:
        for module in modules:
            for register, hook in ((module.register_forward_pre_hook, before), (module.register_forward_hook, after)):
                if hook is not None:
                    hooks.callback(register(_Hook(hook), prepend=True, with_kwargs=with_kwargs).remove)
        yield


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
    try:
        for module, forward in others.items():
            vars(module)["forward"] = forward  # found before the class's own
        yield
    finally:
        for module in others:
            vars(module).pop("forward", None)
            if module in own:
                vars(module)["forward"] = own[module]


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
        ValueError: some have no size yet, as those of Lazy modules before their first run.

    Example:
        >>> with left_as_found(my_model.train()):
        ...     logits = my_model(batch)  # in eval mode
        >>> my_model.training
        True
        >>> my_model = my_model.eval()
    """
    hold = _holds.setdefault(network, _Hold())
    with hold.lock, ExitStack() as state:
        if not hold.depth:
            hold.modules = _walked(network)
            state.callback(hold.modules.clear)
            state.enter_context(_frozen(network, hold.modules))
        hold.depth += 1
        try:
            yield hold.modules
        finally:
            hold.depth -= 1


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


@contextmanager
def _frozen(network: nn.Module, modules: list[nn.Module]) -> Iterator[None]:
    # By id, as a tensor's own hash is slow enough to show in a small network.
    shared = {id(one): one for module in modules for one in module._parameters.values() if one is not None}
    parameters, name = shared.values(), type(network).__name__
    if any(map(is_lazy, parameters)):
        raise ValueError(
            f"This {name} has parameters without a size yet (Lazy modules): run it once on a batch, then explain it."
        )
    if any(one.is_inference() for one in parameters):
        raise RuntimeError(
            f"The weights of this {name} were created under inference_mode, so no gradient passes through them: build "
            "the model outside `torch.inference_mode()`."
        )
    training = [module for module in modules if module.training]
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    try:
        # Flags, and no call of `eval()`: a module may do more then, as LoRA, which merges its weights for good.
        for module in training:
            module.training = False
        for parameter in learning:
            parameter.requires_grad = False
        yield
    finally:
        for module in training:
            module.training = True
        for parameter in learning:
            parameter.requires_grad = True
