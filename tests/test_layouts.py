"""What a layer emits is told by its shape and the picture's, laid out in rows and columns, and laid back exactly."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lessons_lib as ll
from lessons_lib.core.engine import layouts

GRIDS = [(14, 14), (16, 12)]


def maps_of(grid: tuple[int, int]) -> Tensor:
    """Return maps in which every number is another."""
    return torch.arange(2 * 3 * grid[0] * grid[1]).view(2, 3, *grid).float()


def as_tokens(maps: Tensor, special: int) -> Tensor:
    """Return maps as tokens behind special ones, which hold -1."""
    return torch.cat([torch.full((len(maps), special, maps.shape[1]), -1.0), maps.flatten(2).mT], dim=1)


@pytest.mark.parametrize("special", [0, 1, 2, 5])
@pytest.mark.parametrize("grid", GRIDS)
def test_grid_to_tokens_and_back_is_exact(grid: tuple[int, int], special: int) -> None:
    maps = maps_of(grid)
    emitted = as_tokens(maps, special)
    size = (16 * grid[0], 16 * grid[1])
    laid = layouts.recognised(emitted, 2, size)(emitted)
    assert torch.equal(laid, maps)
    assert torch.equal(as_tokens(laid, special), emitted)
    # The mistakes this guards against: the class token kept, height and width swapped.
    if special == 1:
        assert not torch.equal(emitted[:, :-1].unflatten(1, grid).permute(0, 3, 1, 2), maps)
    if grid[0] != grid[1]:
        assert not torch.equal(layouts.tokens(emitted, grid[::-1]).mT, maps)


@pytest.mark.parametrize("pad", [0, 5])
def test_a_picture_that_the_patches_do_not_fill_is_cut_off_or_padded(pad: int) -> None:
    height, width = 16 * 6 + pad, 16 * 4 + pad
    for grid in [(6, 4), (7, 5)] if pad else [(6, 4)]:
        emitted = as_tokens(maps_of(grid), 1)
        assert torch.equal(layouts.recognised(emitted, 2, (height, width))(emitted), maps_of(grid))


@pytest.mark.parametrize(("height", "width"), [(7, 7), (16, 12), (3, 4)])
@pytest.mark.parametrize("channels", [1, 96, 768])
def test_channels_first_and_last_are_told_apart(height: int, width: int, channels: int) -> None:
    maps = torch.arange(2 * channels * height * width).view(2, channels, height, width).float()
    size = (32 * height, 32 * width)
    assert torch.equal(layouts.recognised(maps, 2, size)(maps), maps)
    last = maps.permute(0, 2, 3, 1)
    assert torch.equal(layouts.recognised(last, 2, size)(last), maps)


def test_where_both_readings_fit_it_is_channels_first_and_a_record_may_say_otherwise() -> None:
    both = torch.randn(1, 8, 8, 8)
    assert layouts.recognised(both, 1, (64, 64)) is layouts.nchw

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cut = nn.Conv2d(3, 8, 8, stride=8)
            self.norm = nn.LayerNorm(8)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(self.cut(x).permute(0, 2, 3, 1)).mean(dim=(1, 2))

    network, x = Last(), torch.randn(1, 3, 64, 64)
    told = ll.explain(ll.models.Explainable(network, layout=layouts.nhwc), x, ll.ClassScore(0), layer="norm")[0]
    untold = ll.explain(network, x, ll.ClassScore(0), layer="norm")[0]
    assert not torch.allclose(told.values, untold.values)


def test_several_tensors_are_a_pyramid() -> None:
    levels = {"0": torch.zeros(1, 4, 8, 8), "1": torch.zeros(1, 4, 4, 4)}
    assert layouts.recognised(levels, 1, (64, 64)) is layouts.pyramid


@pytest.mark.parametrize("wrap", [lambda one: (one,), lambda one: [one], lambda one: {"hidden": one}])
def test_one_tensor_is_read_through_its_wrapping(wrap: Callable[[Tensor], Any]) -> None:
    for emitted in (as_tokens(maps_of((4, 6)), 1), maps_of((4, 6)), maps_of((4, 6)).permute(0, 2, 3, 1)):
        assert torch.equal(layouts.recognised(wrap(emitted), 2, (64, 96))(wrap(emitted)), maps_of((4, 6)))


class Wrapping(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (x,)


class Unwrapping(nn.Module):
    def forward(self, wrapped: tuple[Tensor]) -> Tensor:
        return wrapped[0]


@pytest.mark.parametrize("method", [ll.gradcam, ll.ablationcam])
def test_a_block_that_wraps_what_it_emits_is_explained_as_the_tensor_in_it(method: ll.methods.Method) -> None:
    torch.manual_seed(0)
    below, above = nn.Conv2d(3, 4, 3, 2, 1), [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)]
    network, picture = nn.Sequential(below, Wrapping(), Unwrapping(), *above), torch.randn(3, 16, 24)
    bare, wrapped = (ll.explain(network, picture, ll.ClassScore(1), layer=layer, method=method) for layer in "01")
    torch.testing.assert_close(wrapped.values, bare.values)


@pytest.mark.parametrize(
    ("shape", "size", "sentence"),
    [
        (
            (1, 199, 8),
            (224, 224),
            "The layer emits 199 tokens for a picture of 224 × 224. The nearest grid, 14 × 14, has 196 patches, and 3 "
            "tokens are left, where 0, 1 (a class token), 2 (class and distillation token), 4 (four registers), 5 (a "
            "class token and four registers) were expected. Give the grid yourself: `ll.Explainable(…, "
            "layout=partial(ll.layouts.tokens, grid=(rows, columns)))`.",
        ),
        (
            (2, 49, 8),
            (224, 224),
            "The layer's output is 2 × 49 × 8 for 1 picture: these are windows or regions, not pictures. Choose a "
            "layer that sees whole pictures, for example the block around it.",
        ),
        (
            (1, 64, 49, 32),
            (224, 224),
            "The layer's output is 1 × 64 × 49 × 32, and neither its last two axes nor the two before the last are a "
            "picture of 224 × 224 on a coarser grid. Choose another layer, or say how to read it with a layout in the "
            "model's record, for example `ll.Explainable(…, layout=ll.layouts.nchw)`.",
        ),
        (
            (1, 10),
            (224, 224),
            "The layer's output is 1 × 10, not N × C × H × W: it has no rows and columns to draw. Choose a layer "
            "before the flattening, for example the last convolution.",
        ),
    ],
)
def test_what_is_no_picture_is_named_with_its_counts(
    shape: tuple[int, ...], size: tuple[int, int], sentence: str
) -> None:
    emitted = torch.zeros(shape)
    with pytest.raises(ValueError) as raised:
        layouts.recognised(emitted, 1, size)(emitted)
    assert str(raised.value) == sentence


@pytest.mark.parametrize(
    ("layout", "shape", "sentence"),
    [
        (
            partial(layouts.tokens, grid=(4, 4)),
            (1, 15, 8),
            "The layer emits 15 tokens, and a grid of 4 × 4 needs 16: give height and width of the picture in patches.",
        ),
        (
            partial(layouts.tokens, grid=(4, 4)),
            (1, 8, 4, 4),
            "The layer's output is 1 × 8 × 4 × 4, not N × tokens × C: choose a layer inside the encoder's blocks.",
        ),
        (
            layouts.nhwc,
            (1, 16, 8),
            "The layer's output is 1 × 16 × 8, not N × H × W × C: it has no rows and columns to draw. Choose a layer "
            "inside the stages, before the pooling.",
        ),
    ],
)
def test_a_layout_that_was_given_names_what_does_not_fit(
    layout: layouts.Layout, shape: tuple[int, ...], sentence: str
) -> None:
    with pytest.raises(ValueError) as raised:
        layout(torch.zeros(shape))
    assert str(raised.value) == sentence


def test_a_grid_that_was_given_drops_whatever_stands_before_it() -> None:
    maps = maps_of((4, 6))
    assert torch.equal(layouts.tokens(as_tokens(maps, 7), grid=(4, 6)), maps)


@pytest.mark.parametrize("shape", [(2, 4, 197, 197), (2, 17, 17)])
def test_attention_weights_are_square_as_a_picture_and_are_refused(shape: tuple[int, ...]) -> None:
    scores = torch.randn(shape)
    with pytest.raises(ValueError) as raised:
        layouts.recognised(scores.softmax(dim=-1), 2, (224, 224))
    assert str(raised.value) == (
        f"The layer's output is {' × '.join(map(str, shape))}, and each of its rows sums to 1: these are attention "
        "weights, from token to token, not a picture. Choose the norm before the attention, or the block around it."
    )
    layouts.recognised(scores.sigmoid(), 2, (224, 224))  # as large, and no weights


def test_a_layer_of_attention_weights_is_not_taken_for_the_last_that_has_a_say() -> None:
    class Mixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.weights, self.head = nn.LayerNorm(8), nn.Softmax(dim=-1), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            patches = x.unfold(2, 8, 8).unfold(3, 8, 8).mean(dim=(1, 5)).flatten(1, 2)  # N × 16 × 8
            x = self.norm(patches)
            return self.head((self.weights(x @ x.mT) @ x).mean(dim=1))

    torch.manual_seed(0)
    found = ll.layers(Mixer(), torch.randn(1, 3, 32, 32))
    assert [(one.layer, one.maps) for one in found] == [("norm", (8, 4, 4))]
