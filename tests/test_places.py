"""A layer's output is read by following the run: whatever the network does to rows and columns, they come out right."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import deform_conv2d

import lessons_lib as ll
from lessons_lib.core.engine.places import layouts, trace
from lessons_lib.core.engine.places.reading import Reading
from lessons_lib.core.engine.places.trace import Followed

Arranged = Callable[[Tensor], Tensor]


class Arranging(nn.Module):
    """Averages the picture's 8 × 8 patches, N×3×H×W, and hands them through a layer in some order of its own."""

    def __init__(self, arranged: Arranged, before: Arranged = lambda x: x) -> None:
        super().__init__()
        self.before, self.arranged = before, arranged
        self.patches = nn.Conv2d(3, 3, 8, stride=8, bias=False)
        self.patches.weight.data = torch.eye(3)[:, :, None, None].expand(3, 3, 8, 8) / 64
        self.layer = nn.Identity()
        self.head = nn.Parameter(torch.randn(4))

    def forward(self, x: Tensor) -> Tensor:
        emitted = self.layer(self.arranged(self.patches(self.before(x))))
        return emitted.mean() * self.head.expand(len(x), 4)


def maps(seen: Any) -> Tensor:
    return seen.activations[:, 0]


def of(network: nn.Module, pictures: Tensor, layer: str = "layer") -> list[ll.Heatmap]:
    found: list[ll.Heatmap] = ll.explain(network.eval(), pictures, 0, layer=layer, method=maps)
    return found


PICTURES = torch.rand(2, 3, 40, 56, generator=torch.Generator().manual_seed(0))  # 5 × 7 patches
EXPECTED = F.avg_pool2d(PICTURES, 8)[:, 0]
SHUFFLE = torch.randperm(35, generator=torch.Generator().manual_seed(1))


def tokens(A: Tensor) -> Tensor:
    return A.flatten(2).mT


QUARTERS = torch.eye(3).repeat_interleave(4, dim=1) / 4


def special(count: int) -> Arranged:
    return lambda A: torch.cat([torch.zeros(len(A), count, 3), tokens(A)], dim=1)


ARRANGED: dict[str, Arranged] = {
    "N×C×H×W": lambda A: A,
    "N×H×W×C": lambda A: A.permute(0, 2, 3, 1),
    "N×W×H×C": lambda A: A.permute(0, 3, 2, 1),
    "H×W×N×C": lambda A: A.permute(2, 3, 0, 1),
    "upside down": lambda A: A.flip(2),
    "rolled": lambda A: A.roll((2, 3), (2, 3)),
    "tokens": tokens,
    "tokens along the columns": lambda A: A.mT.flatten(2).mT,
    "tokens shuffled": lambda A: tokens(A)[:, SHUFFLE],
    "N×C×tokens": lambda A: A.flatten(2),
    "sequence first": lambda A: tokens(A).transpose(0, 1),
    "three special tokens": special(3),
    "seven special tokens": special(7),
    "a class token behind them": lambda A: torch.cat([tokens(A), torch.zeros(len(A), 1, 3)], dim=1),
    "normed and projected": lambda A: F.linear(tokens(A), torch.eye(3)),
    "with a global mean added": lambda A: A + 0 * A.mean(dim=(2, 3), keepdim=True),
    "attended to": lambda A: tokens(A) + 0 * F.scaled_dot_product_attention(*[tokens(A)] * 3),
    "mixed among tokens": lambda A: tokens(A) + 0 * (torch.ones(35, 35) @ tokens(A)),
    "in windows and back": lambda A: A.unflatten(3, (1, 7)).permute(0, 2, 3, 4, 1).flatten(2, 3),
    "gated": lambda A: F.glu(torch.cat([A, torch.full_like(A, 40)], dim=1), dim=1),
    "gated tokens": lambda A: F.glu(torch.cat([tokens(A), 0 * tokens(A) + 40], dim=2)),
    "deformed": lambda A: deform_conv2d(A, torch.zeros(len(A), 2, 5, 7), torch.eye(3)[:, :, None, None]),
    "unpooled": lambda A: F.max_unpool2d(*F.max_pool2d(A, 1, return_indices=True), 1),
    "by rarer activations": lambda A: -(-F.logsigmoid(F.rrelu(A))).expm1().log(),
    "unfolded": lambda A: F.unfold(A, 1),
    "unfolded with a margin and back": lambda A: F.unfold(A, 3, padding=1)[:, 4::9].unflatten(2, (5, 7)),
    "unfolded to tokens": lambda A: F.linear(F.unfold(F.interpolate(A, scale_factor=2), 2, stride=2).mT, QUARTERS),
    "unfolded and folded": lambda A: F.fold(F.unfold(A, (5, 1), stride=(5, 1)), (5, 7), (5, 1), stride=(5, 1)),
    "written over": lambda A: A.clone().relu_().add_(0.0),
}


@pytest.mark.parametrize("what", ARRANGED)
@pytest.mark.parametrize("count", [1, 2])
def test_whatever_the_order_each_cell_comes_out_where_it_lies_on_the_picture(what: str, count: int) -> None:
    heats = of(Arranging(ARRANGED[what]), PICTURES[:count])
    for heat, expected in zip(heats, EXPECTED, strict=False):
        torch.testing.assert_close(heat.values, expected)
        assert heat.region == (0.0, 0.0, 56.0, 40.0)


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_a_global_pooling_is_one_cell_however_its_channels_lie(order: torch.memory_format) -> None:
    network = Arranging(lambda A: F.adaptive_avg_pool2d(A.contiguous(memory_format=order), 1))
    with pytest.warns(UserWarning, match="the activations at layer are the same everywhere"):
        (heat,) = of(network, PICTURES[:1])
    torch.testing.assert_close(heat.values, EXPECTED[:1].mean((1, 2), keepdim=True)[0])


@pytest.mark.parametrize("what", ARRANGED)
def test_a_channel_is_taken_away_wherever_it_lies(what: str) -> None:
    picture = PICTURES[:1] + torch.tensor([0.0, 1.0, 2.0]).view(3, 1, 1)  # three channels that weigh differently
    plain, arranged = (
        ll.explain(
            Arranging(ARRANGED[name]).eval(), picture, lambda y: y.abs().sum(), layer="layer", method=ll.ablationcam
        )
        for name in ("N×C×H×W", what)
    )
    torch.testing.assert_close(arranged[0].values, plain[0].values)


def test_a_network_that_needs_gradients_in_its_forward_is_refused_and_takes_a_layout() -> None:
    def sharpened(A: Tensor) -> Tensor:
        A = A.detach().requires_grad_()
        return A + torch.autograd.grad(A.square().sum(), A)[0]

    network = Arranging(sharpened).eval()
    with pytest.raises(ValueError, match="can't be followed"):
        of(network, PICTURES[:1])
    (heat,) = ll.explain(ll.Explainable(network, layout=layouts.nchw), PICTURES[:1], 0, layer="layer", method=maps)
    torch.testing.assert_close(heat.values, 3 * EXPECTED[0])


def test_as_many_pictures_as_tokens_or_channels_are_not_confused() -> None:
    pictures = torch.rand(35, 3, 40, 56)
    for what in ("sequence first", "tokens", "N×C×tokens"):
        for heat, expected in zip(of(Arranging(ARRANGED[what]), pictures), F.avg_pool2d(pictures, 8), strict=True):
            torch.testing.assert_close(heat.values, expected[0])
    for heat, expected in zip(of(Arranging(ARRANGED["N×H×W×C"]), pictures[:3]), pictures, strict=False):
        torch.testing.assert_close(heat.values, F.avg_pool2d(expected[None], 8)[0, 0])


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.LSTM(3, 6, batch_first=True)

    def forward(self, A: Tensor) -> Tensor:
        found: Tensor = self.steps(tokens(A))[0]
        return found


QUERIES = torch.rand(1, 35, 3)
NOWHERE = "its numbers stand for no places in the picture that can be told apart"
LOST = "where in the picture its numbers come from can't be followed"
AXES = "it has other axes than those of pictures, channels, rows and columns"
REFUSED: dict[str, tuple[Arranged, str]] = {
    "pooled": (lambda A: A.mean(dim=(2, 3))[:, None], NOWHERE),
    "flattened": (lambda A: A.flatten(1)[:, None] @ torch.rand(105, 35), NOWHERE),
    "queries": (lambda A: F.scaled_dot_product_attention(QUERIES, tokens(A), tokens(A)), NOWHERE),
    "queries by hand": (lambda A: (QUERIES @ tokens(A).mT).softmax(-1) @ tokens(A), NOWHERE),
    "steps": (Recurrent(), LOST),
    "sorted": (lambda A: tokens(A).sort(dim=1).values, LOST),
    "sampled": (lambda A: F.grid_sample(A, torch.rand(1, 5, 7, 2), align_corners=False), LOST),
    "folded over one another": (lambda A: F.fold(F.unfold(A, 3, padding=1), (5, 7), 3, padding=1), LOST),
    "mixed": (lambda A: torch.rand(35, 35) @ tokens(A), NOWHERE),
    "pruned": (lambda A: tokens(A)[:, SHUFFLE[:21]], "its 21 tokens that have a place do not fill a grid"),
    "twice": (lambda A: tokens(A)[:, [1, *range(1, 35)]], "several of its tokens stand for one place"),
    "uneven": (lambda A: A[:, :, [0, 1, 4]], "its rows or columns do not lie at even steps"),
    "uneven tokens": (lambda A: tokens(A[:, :, [0, 1, 4]]), "its tokens do not lie at even steps"),
    "rows, then columns": (
        lambda A: torch.cat([A.mean(dim=3), A.mean(dim=2)], dim=2),
        "its tokens stand for no places in the picture",
    ),
    "and a row of none": (
        lambda A: torch.cat([A, A.mean(dim=2, keepdim=True)], dim=2),
        "some of its rows or columns stand for no place in the picture",
    ),
    "windows": (
        lambda A: A.unfold(3, 3, 2).permute(0, 3, 1, 2, 4).flatten(0, 1),
        "these are windows or regions, not pictures",
    ),
    "attention": (
        lambda A: (tokens(A) @ A.flatten(2)).softmax(-1),
        "each of its rows sums to 1: these are attention weights, from token to token, not a picture",
    ),
    "heads": (lambda A: tokens(A).unflatten(2, (3, 1)).transpose(1, 2), AXES),
    "heads of one row": (
        lambda A: A.mean(dim=2).unsqueeze(1).expand(1, 2, 3, 7),
        "it has one axis more than those of pictures, channels and tokens",
    ),
    "and a row of zeros": (lambda A: torch.cat([A, torch.zeros(len(A), 3, 1, 7)], dim=2), AXES),
}
WAY_OUT = (
    "Choose another layer, for example the block around it, or say how to read it with a layout in the model's record, "
    "`ll.Explainable(network, layout=ll.layouts.nchw)`, or any function from that output to maps N × C × H × W."
)


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_picture_or_can_not_be_followed_is_refused_with_its_shape(what: str) -> None:
    arranged, why = REFUSED[what]
    shape = " × ".join(map(str, arranged(F.avg_pool2d(PICTURES[:1], 8)).shape))
    with pytest.raises(ValueError) as raised:
        of(Arranging(arranged), PICTURES[:1])
    assert str(raised.value) == f"The layer's output is {shape}, and {why}. {WAY_OUT}"


@pytest.mark.parametrize(
    ("before", "region"),
    [
        (lambda x: F.pad(x, (0, 8, 0, 24)), (0, 0, 64, 64)),  # to a square, as SAM
        (lambda x: F.pad(x, (8, 0, 0, 0)), (-8, 0, 56, 40)),
        (lambda x: F.pad(x, (0, 0, 24, 0)), (0, -24, 56, 40)),
        (lambda x: F.pad(x, (0, 24, 0, 0)), (0, 0, 80, 40)),
        (lambda x: F.interpolate(x, size=(80, 80), mode="bilinear"), (0, 0, 56, 40)),
        (lambda x: x[:, :, 16:, :32], (0, 16, 32, 40)),
        (lambda x: F.pad(x, (0, 1, 0, 1)), (0, 0, 56, 40)),  # a convolution's own padding, as timm's "same"
    ],
)
def test_what_the_network_pads_resizes_or_crops_is_laid_where_it_belongs(before: Arranged, region: Any) -> None:
    (heat,) = of(Arranging(lambda A: A, before), PICTURES[:1])
    assert heat.region == pytest.approx(region, abs=1e-2)


def test_a_margin_before_a_convolution_that_pads_by_itself_is_a_margin() -> None:
    network = Arranging(lambda A: A, lambda x: F.pad(x, (0, 0, 2, 0)))
    network.patches = nn.Conv2d(3, 3, 3, padding=1, bias=False)  # type: ignore[assignment]
    (heat,) = of(network, PICTURES[:1])
    assert heat.region == (0, -2, 56, 40)


def test_what_a_network_pads_is_laid_on_a_photo_of_another_size() -> None:
    inputs, region = torch.zeros(1, 3, 40, 56), (10.0, 20.0, 10.0 + 2 * 56, 20.0 + 3 * 40)  # 2 pixels across, 3 down
    padded = Followed((None,), "", (-8.0, -4.0, 64.0, 50.0))
    assert padded.laid(region, inputs) == (10 - 16, 20 - 12, 10 + 128, 20 + 150)
    pooled = replace(padded, readings=(Reading(0, 1, (2, 3), (), (4.0, 36.0), (torch.nan, torch.nan)),))
    assert pooled.laid(region, inputs) == (10 - 16, 20 + 12, 10 + 128, 20 + 108)


@pytest.mark.parametrize(
    ("pooled", "expected"),
    [
        (lambda A: A.mean(dim=2, keepdim=True), EXPECTED[0].mean(dim=0, keepdim=True)),
        (lambda A: A.mean(dim=2), EXPECTED[0].mean(dim=0, keepdim=True)),
        (lambda A: A.amax(dim=3).permute(2, 0, 1), EXPECTED[0].amax(dim=1, keepdim=True)),
        (lambda A: F.adaptive_avg_pool2d(A, (5, 1)), EXPECTED[0].mean(dim=1, keepdim=True)),
    ],
)
def test_where_rows_or_columns_are_pooled_one_is_left_for_the_whole_side(pooled: Arranged, expected: Tensor) -> None:
    (heat,) = of(Arranging(pooled), PICTURES[:1])
    torch.testing.assert_close(heat.values, expected)
    assert heat.region == (0.0, 0.0, 56.0, 40.0)


def test_strides_that_differ_and_a_window_of_one_row_are_read() -> None:
    class Spectral(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.MaxPool2d((2, 4)), nn.MaxPool2d((2, 4)))
            self.line = nn.Conv2d(32, 32, (32, 1))
            self.head = nn.Linear(32, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.line(self.body(x)).mean(dim=(2, 3)))

    x = torch.randn(1, 1, 128, 128)
    assert ll.explain(Spectral(), x, 0, layer="body", method=maps)[0].values.shape == (32, 8)
    (heat,) = ll.explain(Spectral(), x, 0, layer="line", method=maps)
    assert heat.values.shape == (1, 8) and heat.region == (0.0, 0.0, 128.0, 128.0)


@pytest.mark.parametrize("wrap", [lambda one: (one,), lambda one: [one], lambda one: {"hidden": one}])
@pytest.mark.parametrize("what", ["tokens", "N×C×H×W", "N×H×W×C"])
def test_one_tensor_is_read_through_its_wrapping_and_several_maps_are_a_pyramid(wrap: Any, what: str) -> None:
    class Wrapped(Arranging):
        def __init__(self) -> None:
            super().__init__(ARRANGED[what])
            self.outer = nn.Module()
            self.outer.forward = lambda x: wrap(x)  # type: ignore[method-assign]

        def forward(self, x: Tensor) -> Tensor:
            held = self.outer(self.arranged(self.patches(x)))
            held = held["hidden"] if isinstance(held, dict) else held[0]
            return held.flatten(1).mean(dim=1, keepdim=True) * self.head

    torch.testing.assert_close(of(Wrapped(), PICTURES, "outer")[1].values, EXPECTED[1])


def test_a_layout_of_the_users_takes_the_place_of_what_was_followed() -> None:
    network = Arranging(lambda A: tokens(A).sort(dim=1).values).eval()
    record = ll.Explainable(network, layout=lambda emitted: layouts.tokens(emitted, grid=(5, 7)))
    (heat,) = ll.explain(record, PICTURES[:1], 0, layer="layer", method=maps)
    assert heat.values.shape == (5, 7) and heat.region == (0.0, 0.0, 56.0, 40.0)
    assert [one.layer for one in ll.layers(record, PICTURES[:1], 0)] == ["layer"], "and is tried on every layer"


def test_a_network_is_followed_once_for_pictures_of_one_size_whatever_the_layer() -> None:
    runs: list[tuple[int, ...]] = []
    network = Arranging(lambda A: A)
    network.register_forward_pre_hook(lambda _, given: runs.append(tuple(given[0].shape)))
    for _ in range(3):
        of(network, PICTURES)
    of(network, PICTURES[:, :, :32])
    assert runs == [(2, 3, 40, 56)] * 4 + [(2, 3, 32, 56)] * 2
    (early, _) = of(network, PICTURES, layer="patches")
    assert runs[6:] == [(2, 3, 40, 56)], "all layers were followed at the first"
    torch.testing.assert_close(early.values, EXPECTED[0])


def test_another_layer_in_the_same_place_is_followed_anew() -> None:
    network = Arranging(lambda A: A)
    of(network, PICTURES)
    network.layer = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.Flatten(2), nn.Unflatten(2, (5, 7)))
    network.layer[0].weight.data = torch.eye(3)[:, :, None, None]
    for heat, expected in zip(of(network, PICTURES), EXPECTED, strict=True):
        torch.testing.assert_close(heat.values, expected)


def test_following_shows_a_bar_where_it_takes_long_and_only_there(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    of(Arranging(lambda A: A), PICTURES[:1])
    assert "following" not in capfd.readouterr().err
    monkeypatch.setattr(trace, "PATIENCE", 0.01)
    of(Arranging(lambda A: time.sleep(0.15) or A), PICTURES[:1])  # type: ignore[func-returns-value]
    assert "following the network, this once:" in capfd.readouterr().err
