"""What the tests of refusals share: a tiny network, the sentence of a refusal, and its advice, typed."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

import lessons_lib as ll

X = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def net(channels: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)
    )


class Around(nn.Module):
    """A network whose forward is written by a test."""

    def __init__(self, forward: Callable[[nn.Module, Tensor], Any]):
        super().__init__()
        self.inner, self.own = net(), forward

    def forward(self, x: Tensor) -> Any:
        return self.own(self.inner, x)


def refused(ask: Callable[[], Any], cause: str) -> str:
    """Return the sentence with which something is refused, when it names the cause and is of a promised kind."""
    with pytest.raises((ValueError, TypeError, RuntimeError, FileNotFoundError)) as raised:
        ask()
    assert type(raised.value) in (ValueError, TypeError, RuntimeError, FileNotFoundError)
    said = str(raised.value)
    assert re.search(cause, said), said
    return said


def advice(said: str, begins: str = "", **known: Any) -> Any:
    """Return what the first code in a sentence that begins so gives when it is typed."""
    code = next(code for code in re.findall("`([^`]+)`", said) if code.startswith(begins))
    return eval(code, {"ll": ll, "torch": torch, "torchvision": torchvision, "PIL": __import__("PIL"), **known})
