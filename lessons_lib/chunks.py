"""Long work in pieces, so that memory is bounded and the wait is known."""

import os
from collections.abc import Callable, Iterable
from time import perf_counter

import torch
from torch import Tensor

PATIENCE = 2.0
"""Seconds of work from which on a progress bar is shown."""


def in_chunks(work: Callable[[int, Tensor], Tensor], pictures: int, count: int, chunk: int, what: str) -> Tensor:
    """Do `work` for `count` variants of each of `pictures` pictures, at most `chunk` of them at a time.

    The first chunk is timed. If the others will take more than `PATIENCE` seconds, a progress bar that begins with
    the estimate is shown. Ctrl-C (the stop button) ends the work between two operations, as in any Python loop.

    Args:
        work: from a picture's number and the variants' numbers, m ≤ chunk of them, to m results.
        what: names the work, before the bar.

    Returns:
        pictures×count.

    Raises:
        ValueError: `chunk` is not a whole number from 1 on.
    """
    if not isinstance(chunk, int) or chunk < 1:
        raise ValueError(f"chunk={chunk!r} is how many variants run at a time: give 1 or more.")
    jobs = [(picture, numbers) for picture in range(pictures) for numbers in torch.arange(count).split(chunk)]
    started = perf_counter()
    done = [work(*jobs[0])]
    seconds = (perf_counter() - started) * (len(jobs) - 1)
    rest: Iterable[tuple[int, Tensor]] = jobs[1:]
    if seconds > PATIENCE:
        from tqdm.auto import tqdm

        silent = bool(os.environ.get("TQDM_DISABLE"))  # in a notebook, tqdm does not look there by itself
        title = f"{what}, about {seconds:.0f} s"
        rest = tqdm(rest, desc=title, total=len(jobs), initial=1, unit="chunk", disable=silent)
    done.extend(work(*job) for job in rest)
    return torch.cat(done).view(pictures, count)
