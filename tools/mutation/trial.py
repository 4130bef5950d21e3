"""Try mutants: a plugin of pytest that collects the suite once, and tries each mutant in a fork of that process.

A fork has torch and every test imported, so it costs nothing to start. In it one function gets the mutant's code, and
the tests that run the changed statement are run, the quickest first, until one fails.
"""

import functools
import gc
import json
import os
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from itertools import accumulate, zip_longest
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

import pytest

from tools.mutation.code import alive, put
from tools.mutation.mutants import LIBRARY, Mutant, mutated

SURVIVED = ""
PASSED, FAILED, BROKEN = range(3)
BUDGET = 120
"""How many seconds of tests a mutant has to survive."""


class Trace(NamedTuple):
    """What each test takes in seconds, and for each module, by its path, the tests that run each of its lines."""

    seconds: dict[str, float]
    tests: dict[str, dict[str, list[str]]]

    def chosen(self, mutant: Mutant) -> list[str]:
        """Return the tests that run what was changed, the quickest first, as many as take `BUDGET` seconds together."""
        first, last = mutant.lines
        lines = self.tests.get(mutant.path, {})
        found = {test for line in range(first, last + 1) for test in lines.get(str(line), ()) if test in self.seconds}
        tests = sorted(found, key=lambda test: (self.seconds[test], test))
        ends = accumulate(self.seconds[test] for test in tests)
        return [test for test, end in zip(tests, ends, strict=True) if end <= BUDGET]


class Trials:
    """Try mutants, several at once.

    Args:
        mutants: what to try.
        jobs: how many at once.
        kept: where the trace is kept.
        told: is given each mutant when it was tried, with the name of the test that noticed, or `SURVIVED`.
    """

    def __init__(self, mutants: Sequence[Mutant], jobs: int, kept: Path, told: Callable[[Mutant, str], None]):
        self.mutants, self.jobs, self.kept, self.told = mutants, jobs, kept, told

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Stand in for pytest's own loop over the tests."""
        if session.testsfailed:
            raise pytest.UsageError("A module of tests can't be imported: see what `make test` says.")
        if not self.kept.exists():
            status, last = Fork(functools.partial(_trace, session, self.kept), session.items).ended()
            if status:
                raise pytest.UsageError(f"{last} fails without any mutant: see what `make test` says.")
        trace = Trace(*json.loads(self.kept.read_text(encoding="utf-8")))
        items = {item.nodeid: item for item in session.items}
        functions = [one for one in alive() if one.__code__.co_filename.startswith(str(LIBRARY))]
        caches = _caches(session)
        gc.freeze()  # so that no fork copies the memory of what it collects
        waiting, running = list(self.mutants), dict[int, tuple[Mutant, Fork]]()
        try:
            while waiting or running:
                while waiting and len(running) < self.jobs:
                    mutant = waiting.pop(0)
                    tests = [items[test] for test in trace.chosen(mutant)]
                    task = functools.partial(_attempt, session, mutant, functions, caches, tests, trace.seconds)
                    fork = Fork(task, tests)
                    running[fork.pid] = mutant, fork
                pid, status = os.wait()
                mutant, fork = running.pop(pid)
                if os.waitstatus_to_exitcode(status) == BROKEN:
                    raise pytest.UsageError(f"The mutant {mutant} can't be tried.")
                self.told(mutant, fork.last() if status else SURVIVED)
        finally:
            for pid in running:
                os.kill(pid, signal.SIGKILL)
        return True


class Fork:
    """A copy of this process that does one thing and ends, silently.

    Args:
        task: what it does: it is given a function to call with the number of each test that begins, and returns whether
            all went well.
        items: the tests.
    """

    def __init__(self, task: Callable[[Callable[[int], Any]], bool], items: Sequence[pytest.Item]):
        self._items = items
        self._reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(writer)
            return
        shown, nowhere = os.dup(2), os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(nowhere, standard)
        status = BROKEN
        try:
            status = PASSED if task(lambda number: os.write(writer, f"{number}\n".encode())) else FAILED
        finally:
            if status == BROKEN:
                os.write(shown, traceback.format_exc().encode())
            os._exit(status)

    def ended(self) -> tuple[int, str]:
        """Wait for it, and return its exit status and the last test that it began."""
        return os.waitpid(self.pid, 0)[1], self.last()

    def last(self) -> str:
        """Return the last test that it began, once it has ended."""
        with open(self._reader, encoding="utf-8") as said:
            begun = said.read().split()
        return self._items[int(begun[-1])].nodeid if begun else "its import"


def _trace(session: pytest.Session, kept: Path, begin: Callable[[int], Any]) -> bool:
    """Run every test once by itself, and write down what it takes and which lines it runs."""
    import coverage

    watch = coverage.Coverage(data_file=None, config_file=False, source=[str(LIBRARY)])
    caches, seconds = _caches(session), {}
    watch.start()
    for number, item in enumerate(session.items):
        begin(number)
        _cleared(caches)  # a test is to run itself what it would find there from an earlier one
        watch.switch_context(item.nodeid)
        before = time.perf_counter()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        seconds[item.nodeid] = time.perf_counter() - before
        if session.testsfailed:
            return False
    watch.stop()
    data = watch.get_data()
    tests = {
        Path(path).relative_to(LIBRARY).as_posix(): data.contexts_by_lineno(path) for path in data.measured_files()
    }
    kept.write_text(json.dumps([seconds, tests]), encoding="utf-8")
    return True


def _caches(session: pytest.Session) -> list[Any]:
    """Return what keeps results, in the library and in the modules of tests."""
    modules = {item.module.__name__ for item in session.items if isinstance(item, pytest.Function)}
    kept = [one for one in gc.get_objects() if type(one) is functools._lru_cache_wrapper]
    return [one for one in kept if one.__module__ in modules or one.__module__.startswith(f"{LIBRARY.name}.")]


def _cleared(caches: Sequence[Any]) -> None:
    for cache in caches:
        cache.cache_clear()


def _attempt(
    session: pytest.Session,
    mutant: Mutant,
    functions: Sequence[FunctionType],
    caches: Sequence[Any],
    tests: Sequence[pytest.Item],
    seconds: dict[str, float],
    begin: Callable[[int], Any],
) -> bool:
    """Return whether a mutant survives these tests. One that takes far longer than it should ends the process."""
    path = LIBRARY / mutant.path
    put(path.read_text(encoding="utf-8"), mutated(mutant), mutant.function, functions)
    _cleared(caches)  # what modules of tests made while they were imported, the mutant has had no part in
    for number, (item, following) in enumerate(zip_longest(tests, tests[1:])):
        begin(number)
        signal.setitimer(signal.ITIMER_REAL, 20 + 5 * seconds[item.nodeid])
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return False
    return True
