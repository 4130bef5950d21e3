"""Saying what is wrong with numbers that no known mistake explains: on which input, by which call, in which shape."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def numbers(answer: Any) -> Tensor:
    """Return an answer's numbers, in whatever they come."""
    if isinstance(answer, list | tuple) and answer:
        return torch.stack([numbers(one) for one in answer])
    if isinstance(answer, np.ndarray):
        answer = answer.copy()  # which torch asks for where an array runs backwards
    return torch.as_tensor(answer, device="cpu").detach().to(torch.float64)


def same(found: Sequence[Tensor], expected: Sequence[Tensor]) -> bool:
    """Say whether two lists of answers are equal, up to what float32 rounds away."""
    return all(
        a.shape == b.shape and torch.allclose(a, b, rtol=5e-6, atol=1e-5, equal_nan=True)
        for a, b in zip(found, expected, strict=True)
    )


def call(attempt: Callable[..., Any], case: Sequence[Any]) -> str:
    """Return the call of a learner's function on one input, ready to be pasted into a cell.

    Example:
        >>> print(call(abs, [torch.tensor([0.5, -1.0])]))
            import torch
            abs(torch.tensor([0.5, -1.0]))
    """
    name = getattr(attempt, "__name__", "")
    source = f"{name if name.isidentifier() else 'your_function'}({', '.join(map(written, case))})"
    lines = ["import torch", source] if "torch." in source else [source]
    return "\n".join(f"    {line}" for line in lines)


def written(value: Any) -> str:
    """Return the Python source of a number, a list or a tensor.

    Example:
        >>> written(torch.tensor([0.1, -2.0]))
        'torch.tensor([0.1, -2.0])'
    """
    if not isinstance(value, Tensor):
        return repr(value)
    kind = "" if value.dtype in (torch.float32, torch.int64, torch.bool) else f", dtype={value.dtype}"
    return f"torch.tensor({_shortest(value.tolist()) if value.dtype == torch.float32 else value.tolist()}{kind})"


def difference(found: Sequence[Tensor], expected: Sequence[Tensor]) -> tuple[int, str]:
    """Return which input fails first, counted from 0, and what is wrong with its answer."""
    fails = [not same([mine], [theirs]) for mine, theirs in zip(found, expected, strict=True)]
    number = fails.index(True)
    mine, theirs = found[number], expected[number]
    right = len(fails) - sum(fails)
    begin = f"It is right for {right} of {len(fails)} inputs, and not for this one. " if right else ""
    if mine.shape != theirs.shape:
        alike = mine.numel() == theirs.numel() and same([mine.flatten()], [theirs.flatten()])
        after = " The numbers are right; their arrangement is not." if alike else ""
        return number, f"{begin}Asked for is {_arrangement(theirs)}; you return {_arrangement(mine)}.{after}"
    return number, begin + (_multiple(found, expected) or _number(mine, theirs))


def _shortest(value: Any) -> Any:
    """Round float32 numbers to the fewest digits that read back as the same: 0.1, and not 0.10000000149."""
    return [_shortest(one) for one in value] if isinstance(value, list) else float(str(np.float32(value)))


def _arrangement(numbers: Tensor) -> str:
    """Return a shape in words."""
    if numbers.dim() == 0:
        return "one number"
    if numbers.dim() == 1:
        return f"a list of {len(numbers) if len(numbers) != 1 else 'one'}"
    return f"an array of {' × '.join(map(str, numbers.shape))}"


def _multiple(found: Sequence[Tensor], expected: Sequence[Tensor]) -> str:
    """Return a sentence if all answers are the same multiple of what is asked for, or turned in sign; else nothing."""
    if any(mine.shape != theirs.shape for mine, theirs in zip(found, expected, strict=True)):
        return ""
    mine, theirs = (torch.cat([one.flatten() for one in answers]) for answers in (found, expected))
    if not theirs.any() or theirs.count_nonzero() < 2:
        return ""
    factor = (mine @ theirs / (theirs @ theirs)).item()
    if not factor or not torch.allclose(mine, factor * theirs, rtol=5e-6, atol=1e-5):
        return ""
    if abs(factor + 1) < 1e-5:
        return "Every number is right but for its sign: it is turned round."
    return f"Every number is {factor:.4g} times what is asked for."


def _number(mine: Tensor, theirs: Tensor) -> str:
    place = tuple(torch.unravel_index((mine - theirs).abs().nan_to_num(torch.inf).argmax(), mine.shape))
    where = f" at {[int(i) for i in place]}" if place else ""
    yours, asked = mine[place].item(), theirs[place].item()
    digits = next((n for n in (4, 6, 8) if f"{yours:.{n}g}" != f"{asked:.{n}g}"), 12)
    return f"The numbers differ most{where}: yours is {yours:.{digits}g}, asked for is {asked:.{digits}g}."
