"""Guided backpropagation by hand, Guided Grad-CAM as a product, and nothing left behind."""

import pytest
import torch
from torch import nn

import lessons_lib as ll
from lessons_lib.baselines.guided import WARNING, guided_backprop, guided_gradcam

pytestmark = pytest.mark.filterwarnings("ignore:The map for")  # what is tiny is often blank


def tiny(inplace: bool = False) -> nn.Sequential:
    """One pixel of three colours → three units → ReLU → two → ReLU → one score."""
    first = nn.Conv2d(3, 3, 1)
    first.weight.data = torch.eye(3)[:, :, None, None]
    first.bias.data = torch.zeros(3)
    second, third = nn.Conv2d(3, 2, 1), nn.Linear(2, 1)
    second.weight.data = torch.tensor([[1.0, 1.0, 1.0], [-2.0, 1.0, 1.0]])[:, :, None, None]
    second.bias.data = torch.tensor([0.0, 9.0])
    third.weight.data, third.bias.data = torch.tensor([[1.0, 1.0]]), torch.zeros(1)
    return nn.Sequential(first, nn.ReLU(inplace), second, nn.ReLU(inplace), nn.Flatten(), third)


@pytest.mark.parametrize("inplace", [False, True])
def test_guided_backprop_by_hand(inplace: bool) -> None:
    # Backwards, (1, 1) → (1 − 2, 1 + 1, 1 + 1): the first is stopped, as negative; the third, as its input was.
    picture = torch.tensor([3.0, 4.0, -5.0])[:, None, None]
    heat = guided_backprop(tiny(inplace), picture, ll.ClassScore(0))
    assert heat.values.tolist() == [[2.0]]
    plain = ll.explain(nn.Sequential(nn.Identity(), tiny(inplace)), picture, ll.ClassScore(0), layer="0")
    assert plain.values.item() == pytest.approx(-1 * 3.0 + 2 * 4.0)  # the gradient (−1, 2, 0) itself


def test_a_negative_gradient_at_the_last_relu_is_stopped_too() -> None:
    network = tiny()
    network[5].weight.data = torch.tensor([[1.0, -1.0]])  # backwards only the first unit: (1, 1, 1)
    heat = guided_backprop(network, torch.tensor([3.0, 4.0, 5.0])[:, None, None], ll.ClassScore(0))
    assert heat.values.item() == pytest.approx(3**0.5)


def deep() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 4, 3, padding=1), nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip


PICTURES = torch.rand(2, 3, 8, 6, generator=torch.Generator().manual_seed(1))


def test_guided_gradcam_is_the_product_and_every_map_carries_the_warning() -> None:
    network = deep()
    found = guided_gradcam(network, PICTURES, ll.ClassScore(1), layer="4")
    fine = guided_backprop(network, PICTURES, ll.ClassScore(1))
    coarse = ll.explain(network, PICTURES, ll.ClassScore(1), layer="4")
    for product, lines, blob in zip(found, fine, coarse, strict=True):
        up = nn.functional.interpolate(blob.values.relu()[None, None], (8, 6), mode="bilinear")[0, 0]
        assert up.max() > 0
        torch.testing.assert_close(product.values, lines.values * up)
        assert (product.method, product.layer, lines.method) == ("guided_gradcam", "4", "guided_backprop")
        assert WARNING in product.describe() and WARNING in lines.describe()
    alone = guided_gradcam(network, PICTURES[0], ll.ClassScore(1), layer="4")
    torch.testing.assert_close(alone.values, found[0].values)


def test_the_network_is_as_it_was_and_gives_plain_gradients_again() -> None:
    network = deep().train()
    network[3].eval()
    modes = [module.training for module in network.modules()]
    before = ll.explain(network, PICTURES, layer="1", method=ll.hirescam)
    guided_backprop(network, PICTURES)
    with pytest.raises(RuntimeError, match="The target fails"):
        guided_backprop(network, PICTURES, lambda output: 1 / 0)
    after = ll.explain(network, PICTURES, layer="1", method=ll.hirescam)
    assert all(torch.equal(a.values, b.values) for a, b in zip(before, after, strict=True))
    assert [module.training for module in network.modules()] == modes
    assert not any(module._forward_hooks for module in network.modules())
    assert list(dict(network.named_modules())) == ["", *"01234567"]


def test_a_network_without_relus_gets_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"no nn\.ReLU"):
        guided_backprop(nn.Sequential(nn.Conv2d(3, 2, 1), nn.SiLU(), nn.Flatten()), PICTURES)
