"""`augmented` and `principal`: by hand, around every method, and what they refuse."""

import warnings
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from test_family import MAPS, deep, weighed
from torch import Tensor, nn

import lessons_lib as ll
from lessons_lib.core.engine.hooks import hooked

PICTURES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(3))
METHODS = list(ll.methods.METHODS.values())
WITH_A_SUM = [one for one in METHODS if one not in (ll.eigencam, ll.cam)]


def values(network: nn.Module, pictures: Tensor, method: Any, target: Any = 1, layer: str = "2") -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.stack([one.values for one in ll.explain(network, pictures, target, layer=layer, method=method)])


def equal(found: Tensor, expected: Tensor, tolerance: float = 1e-4) -> None:
    assert expected.abs().max() > 1e-6, "nothing would be compared"
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * float(expected.abs().max()))


# augmented


def network_of(name: str) -> nn.Module:
    """Return a network with a gradient of its own in every cell; for `cam` one that ends as CAM needs it."""
    if name != "cam":
        return deep()
    torch.manual_seed(0)
    ending = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), *ending)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS, ids=lambda one: one.__name__)
def test_augmented_is_the_mean_of_the_maps_of_copies_each_mirrored_back(method: Any) -> None:
    network, expected = network_of(method.__name__), torch.zeros(2, 8, 8)
    for strength in (0.9, 1.0, 1.1):
        expected += values(network, strength * PICTURES, method, [0, 2])
        expected += values(network, strength * PICTURES.flip(3), method, [0, 2]).flip(2)
    equal(values(network, PICTURES, ll.augmented(method), [0, 2]), expected / 6)


def test_augmented_by_hand() -> None:
    # The "picture" is its own maps, and the score Σ G · A: the gradient is G for every copy, so HiResCAM is G · x,
    # and of the mirrored picture G · mirror(x), mirrored back: mirror(G) · x.
    G = torch.tensor([[[[1.0, 0.0, 0.0], [0.0, 0.0, 5.0]], [[-3.0, 0.0, 0.0], [1.0, -4.0, 0.0]]]])
    found = values(weighed(), MAPS, ll.augmented(ll.hirescam, strengths=[2.0]), None, "features")
    equal(found, ((G + G.flip(3)) / 2 * 2 * MAPS).sum(1))
    found = values(weighed(), MAPS, ll.augmented(ll.hirescam, flips=False, strengths=(0.5, 1.0)), None, "features")
    equal(found, 0.75 * (G * MAPS).sum(1))


def test_every_copy_is_asked_for_the_class_that_was_on_top_in_the_picture_itself() -> None:
    network = nn.Sequential(nn.Identity(), nn.Flatten(), nn.Linear(4, 2, bias=False))
    network[2].weight.data = torch.tensor([[3.0, 0.0, 1.0, 0.0], [0.0, 3.0, 0.0, 2.0]])  # mirrored, the other one wins
    picture = torch.tensor([[[[2.0, 1.0], [1.0, 0.0]]]])
    (heat,) = ll.explain(network, picture, layer="0", method=ll.augmented(ll.hirescam, strengths=[1.0]))
    w = network[2].weight[0].detach().view(2, 2)
    equal(heat.values, (w + w.flip(1)) / 2 * picture[0, 0])


def test_each_picture_of_a_batch_and_each_target_is_asked_by_itself() -> None:
    network, method = deep(), ll.augmented(ll.gradcam)
    both = values(network, PICTURES, method, [0, 2])
    for index, category in enumerate((0, 2)):
        equal(both[index : index + 1], values(network, PICTURES[index : index + 1], method, category))


def test_the_network_runs_once_more_for_each_copy_but_the_picture_itself_and_is_left_as_it_was() -> None:
    network, runs = deep().train(), []
    before = {name: one.clone() for name, one in network.state_dict().items()}
    values(network, PICTURES[:1], ll.gradcam)  # the first run of a network that is new is followed by another
    with hooked([network], after=lambda *_: runs.append(None)):
        values(network, PICTURES[:1], ll.gradcam)
        once = len(runs)
        values(network, PICTURES[:1], ll.augmented(ll.gradcam))
    assert (once, len(runs)) == (1, 1 + 6)
    assert network.training and all(torch.equal(before[name], one) for name, one in network.state_dict().items())
    assert not any(one._forward_hooks for one in network.modules())
    assert all(one.grad is None and one.requires_grad for one in network.parameters())


@pytest.mark.slow
def test_a_network_that_answers_place_by_place_is_only_dimmed() -> None:
    scene, segmenter, method = ll.collage.scene(1), ll.models.segmenter(), ll.augmented(ll.hirescam, flips=False)
    pixel = ll.PixelScore(60, 60, "cat")
    with pytest.raises(ValueError, match=r"answers place by place.*`ll\.augmented\(ll\.hirescam, flips=False\)`"):
        ll.explain(segmenter, scene, pixel, method=ll.augmented(ll.hirescam))
    x = segmenter.transform(scene.image)[None]  # type: ignore[misc]
    alone = [ll.explain(segmenter, s * x, pixel, method=ll.hirescam)[0].values for s in (0.9, 1.0, 1.1)]
    equal(ll.explain(segmenter, scene, pixel, method=method).values, torch.stack(alone).mean(0))


# principal


@pytest.mark.parametrize("method", WITH_A_SUM, ids=lambda one: one.__name__)
def test_principal_by_hand(method: Any) -> None:
    # Rank one: each map is one pattern times a number of its own, and so is each weighted map, where one weight stands
    # for a map. The component is that pattern, without its mean, times the length of those numbers.
    pattern = torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 0.5]])
    maps = torch.stack([3 * pattern, 4 * pattern])[None]
    even = torch.tensor([0.02, -0.01]).view(1, 2, 1, 1).expand(1, 2, 2, 3)  # the same gradient all over each map
    network = weighed(even)
    weights = []  # of each map: what the method makes of the other map's absence from the sum
    for k in (0, 1):
        only = partial(lambda seen, k: seen_summed(seen, k, method), k=k)
        weights.append(float(values(network, maps, only, None, "features").flatten()[2] / pattern.flatten()[2]))
    length = torch.tensor(weights).norm()
    equal(values(network, maps, ll.principal(method), None, "features")[0], length * (pattern - pattern.mean()))


def seen_summed(seen: Any, k: int, method: Any) -> Tensor:
    return method(replace(seen, summed=lambda weighted: weighted[:, k]))


def test_principal_of_equal_weights_is_eigencam() -> None:
    network = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1))
    network[3].weight.data.fill_(1.0)
    equal(values(network, PICTURES, ll.principal(ll.cam), 0, "0"), values(network, PICTURES, ll.eigencam, 0, "0"))


def test_the_two_wrappers_commute() -> None:
    network = deep()
    one = values(network, PICTURES, ll.augmented(ll.principal(ll.gradcam)))
    equal(one, values(network, PICTURES, ll.principal(ll.augmented(ll.gradcam))))
    assert not torch.allclose(one, values(network, PICTURES, ll.augmented(ll.gradcam)), rtol=0.1)


def test_a_method_of_ones_own_ends_in_seen_summed_or_is_refused() -> None:
    def own(seen: Any) -> Tensor:
        return seen.summed(seen.gradients * seen.activations)

    equal(values(deep(), PICTURES, ll.principal(own)), values(deep(), PICTURES, ll.principal(ll.hirescam)), 1e-6)
    with pytest.raises(ValueError, match=r"<lambda> has no such sum.*`return seen\.summed"):
        values(deep(), PICTURES, ll.principal(lambda seen: (seen.gradients * seen.activations).sum(dim=1)))
    with pytest.raises(ValueError, match=r"eigencam has no such sum: take `ll\.principal\(ll\.gradcam\)`"):
        values(deep(), PICTURES, ll.principal(partial(ll.eigencam, centred=False)))


# Both


@pytest.mark.parametrize("wrapper", [ll.augmented, ll.principal])
def test_what_is_no_method_is_refused_with_a_way_out(wrapper: Any) -> None:
    name = wrapper.__name__
    with pytest.raises(TypeError, match=rf"give `method=ll\.{name}\(ll\.gradcam\)`"):
        ll.explain(deep(), PICTURES, 1, layer="2", method=wrapper)
    for given in ("gradcam", ll.ClassScore, deep(), None):
        with pytest.raises(TypeError, match=f"`{name}` takes a method, a function such as `ll.gradcam`, not "):
            wrapper(given)
    heat = ll.explain(deep(), PICTURES[0], 1, layer="2", method=wrapper(partial(ll.ablationcam, chunk=2)))
    assert heat.method == f"{name}(ablationcam)"


@pytest.mark.parametrize("strengths", [(), 1.0, "111"])
def test_strengths_are_several_factors(strengths: Any) -> None:
    with pytest.raises(TypeError, match=r"`strengths` are several factors, such as `\(0\.9, 1\.0, 1\.1\)`, not "):
        ll.augmented(ll.gradcam, strengths=strengths)


@pytest.mark.parametrize("wrapper", [ll.augmented, ll.principal])
def test_a_blank_map_says_the_gradients_cause(wrapper: Any) -> None:
    with pytest.warns(UserWarning, match="the gradient of the score is zero everywhere at 2"):
        ll.explain(deep(), PICTURES[0], lambda output: 0 * output[1], layer="2", method=wrapper(ll.gradcam))


# Against pytorch-grad-cam
