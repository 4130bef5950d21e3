"""One computation at a time, in a thread of its own, so that the one who waits for it can call it off."""

from collections.abc import Callable
from contextlib import suppress
from threading import Condition, Thread
from weakref import WeakSet

from lessons_lib.core.engine import calling

Tell = Callable[[int, int, float], None]
"""Takes how many steps are done, of how many, and about how many seconds are left."""


class Cancelled(BaseException):
    """The computation was called off. No `Exception`, so that nobody on its way takes it for a failure of theirs."""


class Job:
    """One computation, which may be called off between two of its steps.

    Args:
        work: what is computed; it calls `job.check()` wherever it may end.
        tell: hears how far a long computation is.
    """

    def __init__(self, work: Callable[["Job"], None], tell: Tell):
        self._work, self._tell, self.cancelled = work, tell, False

    def check(self) -> None:
        """Raise Cancelled if the computation was called off."""
        if self.cancelled:
            raise Cancelled

    def _step(self, done: int, of: int, seconds: float) -> None:
        self.check()
        self._tell(done, of, seconds)

    def begin(self) -> None:
        """Compute, in the thread that calls.

        Raises:
            Cancelled: it was called off; the network is left as it was found.
        """
        with calling.told(self._step):
            self.check()
            self._work(self)


_workers: WeakSet["Worker"] = WeakSet()


class Worker:
    """Does the newest job and forgets those that it overtook. Its thread lives only while there is something to do.

    Where a worker begins, the others are called off: an explorer that is opened anew need not wait for the one before.
    """

    def __init__(self) -> None:
        for other in list(_workers):
            other.cancel()
        _workers.add(self)
        self._changed = Condition()
        self._running: Job | None = None
        self._next: Job | None = None
        self._thread: Thread | None = None

    def ask(self, job: Job) -> None:
        """Call off what is being done and do this instead."""
        with self._changed:
            if self._running:
                self._running.cancelled = True
            self._next = job
            if self._thread is None:
                self._thread = Thread(target=self._serve, name="explorer", daemon=True)
                self._thread.start()

    def cancel(self) -> None:
        """Call off what is being done."""
        with self._changed:
            self._next = None
            if self._running:
                self._running.cancelled = True

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until there is nothing left to do; say whether that came true in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._thread is None, seconds)

    def _serve(self) -> None:
        while True:
            with self._changed:
                job, self._next = self._next, None
                self._running = job
                if job is None:
                    self._thread = None
                    self._changed.notify_all()
                    return
            with suppress(Cancelled):
                job.begin()
