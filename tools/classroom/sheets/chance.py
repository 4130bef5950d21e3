"""Numbers for inputs that no student sees: with one decimal, so that fixed point keeps them as they are."""

import torch
from torch import Generator, Tensor


def signed(chance: Generator, *shape: int) -> Tensor:
    """Return numbers of both signs, about from −2 to 2."""
    return (10 * torch.randn(shape, generator=chance)).round() / 10


def positive(chance: Generator, *shape: int) -> Tensor:
    """Return numbers from 0.1 to 3."""
    return (1 + (29 * torch.rand(shape, generator=chance)).round()) / 10


def whole(chance: Generator, low: int, high: int) -> int:
    """Return a whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=chance))
