"""Layouts that a user names: what they lay out, lay back exactly, and refuse."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

import lessons_lib as ll
from lessons_lib.core.engine.places import layouts

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
    laid = layouts.tokens(emitted, grid)
    assert torch.equal(laid, maps)
    assert torch.equal(as_tokens(laid, special), emitted)
    # The mistakes this guards against: the class token kept, height and width swapped.
    if special == 1:
        assert not torch.equal(emitted[:, :-1].unflatten(1, grid).permute(0, 3, 1, 2), maps)
    if grid[0] != grid[1]:
        assert not torch.equal(layouts.tokens(emitted, grid[::-1]).mT, maps)


def test_channels_that_come_last_are_brought_to_their_place() -> None:
    assert torch.equal(layouts.nhwc(maps_of((16, 12)).permute(0, 2, 3, 1)), maps_of((16, 12)))


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


def test_a_layer_of_attention_weights_is_not_taken_for_the_last_that_has_a_say() -> None:
    class Mixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.weights, self.head = nn.LayerNorm(3), nn.Softmax(dim=-1), nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            patches = x.unfold(2, 8, 8).unfold(3, 8, 8).mean(dim=(4, 5)).flatten(2).mT  # N × 16 × 3
            x = self.norm(patches)
            return self.head((self.weights(x @ x.mT) @ x).mean(dim=1))

    torch.manual_seed(0)
    found = ll.layers(Mixer(), torch.randn(1, 3, 32, 32))
    assert [(one.layer, one.maps) for one in found] == [("norm", (3, 4, 4))]
