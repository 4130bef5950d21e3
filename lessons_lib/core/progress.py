"""Who is told how far a long computation is: the one at the screen, by a bar, or whoever listens, who may end it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

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
