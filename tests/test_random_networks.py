"""Random small networks: the library's Grad-CAM is autograd's by hand, in value and in place, or it is refused.

Sixty of them, always the same; `RANDOM_NETWORKS=2000 pytest tests/test_random_networks.py` draws as many anew.
"""

import os
import warnings
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

import lessons_lib as ll

COUNT = int(os.environ.get("RANDOM_NETWORKS", "60"))
ROWS, COLUMNS = 32, 48


@dataclass
class Axes:
    """Where the generator has put pictures, channels, rows and columns of its tensor, or tokens: known by construction.

    `row` and `column` say, in pixels, at which edge of the picture the first cell begins and how large a cell is.
    """

    order: str = "nchw"
    rows: tuple[float, float] = (0.0, 1.0)
    columns: tuple[float, float] = (0.0, 1.0)
    grid: tuple[int, int] = (ROWS, COLUMNS)
    special: int = 0
    turned: list[str] = field(default_factory=list)

    def maps(self, x: Tensor) -> Tensor:
        """Return N×C×H×W, rows from the top and columns from the left."""
        if "t" in self.order:
            x = x.movedim([self.order.index(one) for one in "nct"], [0, 1, 2])[:, :, self.special :]
            x = x.unflatten(2, self.grid)
        else:
            x = x.movedim([self.order.index(one) for one in "nchw"], [0, 1, 2, 3])
        return x.flip(2) if "rows" in self.turned else x


def named(step: str, width: int, generator: torch.Generator) -> nn.Module:
    torch.manual_seed(int(torch.randint(1 << 30, (1,), generator=generator)))
    return {
        "conv": lambda: nn.Conv2d(width, width, 3, padding=1),
        "stride": lambda: nn.Conv2d(width, width, 3, 2, 1),
        "patch": lambda: nn.Conv2d(width, width, 2, 2),
        "wide": lambda: nn.Conv2d(width, width, (1, 5), padding=(0, 2)),
        "pool": lambda: nn.MaxPool2d(2),
        "average": lambda: nn.AvgPool2d((1, 2)),
        "grown": lambda: nn.Upsample(scale_factor=2),
        "relu": lambda: nn.ReLU(inplace=True),
        "gelu": nn.GELU,
        "norm": lambda: nn.BatchNorm2d(width).eval(),
        "group": lambda: nn.GroupNorm(1, width),
        "layernorm": lambda: nn.LayerNorm(width),
        "linear": lambda: nn.Linear(width, width),
        "attention": lambda: nn.MultiheadAttention(width, 2, batch_first=True),
    }.get(step, nn.Identity)()


STEPS = [
    *("conv", "stride", "patch", "wide", "pool", "average", "grown", "relu", "gelu", "norm", "group", "layernorm"),
    *("linear", "attention", "mixed", "tokens", "grid", "last", "first", "sequence", "flip", "crop", "special", "hook"),
    *("reshape", "padded", "sorted", "pooled"),
]


class Drawn(nn.Module):
    """A network of drawn steps; `axes` follows what they do to the tensor, by the generator's own book-keeping."""

    def __init__(self, steps: list[str], seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.stem = nn.Conv2d(3, 4, 2, 2)
        self.steps = steps
        self.parts = nn.ModuleList([named(step, 4, generator) for step in steps])
        self.layer = nn.Identity()
        self.token = nn.Parameter(torch.randn(1, 1, 4, generator=generator))
        self.tail = nn.Parameter(torch.randn(1, 4, 1, 1, generator=generator))
        self.kept: dict[str, Tensor] = {}
        self.axes = Axes()
        if "hook" in steps:  # the network's own: it goes on with what the hook kept
            self.layer.register_forward_hook(lambda _m, _i, output: self.kept.update(x=output))
        for one in self.parameters():
            one.data = torch.randn(one.shape, generator=generator) * 0.4

    def body(self, x: Tensor) -> Tensor:
        axes = self.axes = Axes(rows=(0, 2), columns=(0, 2), grid=(ROWS // 2, COLUMNS // 2))
        x = self.stem(x)
        for step, part in zip(self.steps, self.parts, strict=True):
            x = self.step(step, part, x, axes)
        return x

    def step(self, step: str, part: Any, x: Tensor, axes: Axes) -> Tensor:
        picture, tokens, last = axes.order == "nchw", axes.order == "ntc", axes.order[-1] == "c"
        (top, high), (left, wide), (h, w) = axes.rows, axes.columns, axes.grid
        if step in ("relu", "gelu") or (step in ("layernorm", "linear") and last):
            return part(x)
        if step in ("conv", "wide", "norm", "group") and picture:
            return part(x)
        if step in ("stride", "patch", "pool") and picture and h % 2 == w % 2 == 0 and min(h, w) > 4:
            axes.grid, axes.rows, axes.columns = (h // 2, w // 2), (top, 2 * high), (left, 2 * wide)
            return part(x)
        if step == "average" and picture and w % 2 == 0 and w > 4:
            axes.grid, axes.columns = (h, w // 2), (left, 2 * wide)
            return part(x)
        if step == "grown" and picture and h < 32:
            axes.grid, axes.rows, axes.columns = (2 * h, 2 * w), (top, high / 2), (left, wide / 2)
            return part(x)
        if step == "crop" and picture and min(h, w) > 4:
            first = top if axes.turned else top + high  # what comes first in the tensor is then the lowest row
            axes.grid, axes.rows, axes.columns = (h - 1, w - 2), (first, high), (left + 2 * wide, wide)
            return x[:, :, 1:, 2:]
        if step == "padded" and picture:
            axes.grid, axes.rows = (h + 2, w), (top if axes.turned else top - 2 * high, high)
            return F.pad(x, (0, 0, 2, 0))
        if step == "flip" and picture:
            axes.turned = [] if axes.turned else ["rows"]
            return x.flip(2)
        if step == "tokens" and picture:
            axes.order = "ntc"
            return x.flatten(2).mT
        if step == "grid" and tokens:
            axes.order, count, axes.special = "nchw", axes.special, 0
            return x[:, count:].mT.unflatten(2, axes.grid)
        if step == "special" and tokens:
            axes.special += 1
            return torch.cat([self.token.expand(len(x), 1, 4), x], dim=1)
        if step == "sequence" and tokens:
            axes.order = "tnc"
            return x.transpose(0, 1)
        if step == "first" and axes.order in ("tnc", "nhwc"):
            axes.order = "ntc" if axes.order == "tnc" else "nchw"
            return x.transpose(0, 1) if axes.order == "ntc" else x.permute(0, 3, 1, 2)
        if step == "last" and picture:
            axes.order = "nhwc"
            return x.permute(0, 2, 3, 1)
        if step == "attention" and tokens:
            return x + part(x, x, x, need_weights=False)[0]
        if step == "mixed" and tokens:
            return x + x.mean(dim=1, keepdim=True)
        if step == "reshape" and picture and h % 2 == 0 and w % 2 == 0:  # into windows of 2 × 2 and back
            windows = x.reshape(len(x), 4, h // 2, 2, w // 2, 2).permute(0, 2, 4, 3, 5, 1).reshape(-1, 4, 4)
            back = windows.reshape(len(x), h // 2, w // 2, 2, 2, 4).permute(0, 5, 1, 3, 2, 4)
            return back.reshape(len(x), 4, h, w)
        if step == "sorted" and tokens and not axes.special:
            axes.order = "lost"
            return x.sort(dim=1).values
        if step == "pooled" and tokens:
            axes.order = "pooled"
            return x.mean(dim=1, keepdim=True)
        return x

    def head(self, x: Tensor) -> Tensor:
        """Return two logits for each picture, which weigh cells and channels unevenly."""
        if self.axes.order in ("lost", "pooled"):
            return x.flatten(1).tanh().cumsum(dim=1)[:, -2:]
        own = self.axes.maps(x)
        ramp = torch.linspace(-1, 1, own.shape[2] * own.shape[3]).view(own.shape[2:])
        both = [(own * self.tail).sum(1).tanh() * ramp, own.square().sum(1) * ramp.abs()]
        return torch.stack([one.mean(dim=(1, 2)) for one in both], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(self.body(x))
        return self.head(self.kept.pop("x") if "hook" in self.steps else F.relu_(x))


def by_hand(network: Drawn, pictures: Tensor, category: int) -> Tensor:
    A = network.body(pictures.clone()).detach().requires_grad_()
    y = network.head(A if "hook" in network.steps else F.relu(A))[:, category].sum()
    (g,) = torch.autograd.grad(y, A)
    A, g = network.axes.maps(A.detach()), network.axes.maps(g)
    return (g.mean(dim=(2, 3), keepdim=True) * A).sum(dim=1)


SEEN = {"right": 0, "refused": 0}


@settings(
    max_examples=COUNT, derandomize=COUNT == 60, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
@given(
    steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=9), seed=st.integers(0, 999), count=st.integers(1, 3)
)
def drawn_networks(steps: list[str], seed: int, count: int) -> None:
    network = Drawn(steps, seed).eval()
    pictures = torch.randn(count, 3, ROWS, COLUMNS, generator=torch.Generator().manual_seed(seed))
    network.body(pictures)
    known = network.axes.order not in ("lost", "pooled")
    expected = by_hand(network, pictures, 1) if known else None
    axes = network.axes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a map may be blank
        try:
            heats = ll.explain(network, pictures, 1, layer="layer")
        except ValueError as error:
            SEEN["refused"] += 1
            assert "The layer's output is" in str(error) and "Choose" in str(error)
            assert expected is None, f"refused, and it can be read: {error}"
            return
    SEEN["right"] += 1
    assert expected is not None, "an order of cells that nobody can know was read"
    (top, high), (left, wide), (h, w) = axes.rows, axes.columns, axes.grid
    for heat, own in zip(heats, expected, strict=True):
        torch.testing.assert_close(heat.values, own, rtol=1e-4, atol=1e-5 * float(own.abs().max()))
        assert heat.region == pytest.approx((left, top, left + w * wide, top + h * high), abs=0.01)


def test_random_networks_are_explained_as_by_hand_or_refused() -> None:
    SEEN.update(right=0, refused=0)
    drawn_networks()
    print(SEEN)
    assert SEEN["right"] > COUNT // 2 and SEEN["refused"] > 0
