"""Networks with several inputs, and encoders that two pictures share: explained, or told a way out that works."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import lessons_lib as ll
from lessons_lib.baselines import guided_backprop


def encoder() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


class Joined(nn.Module):
    """A picture and two measurements, mixed so that the second has a say in where the first is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head = encoder(), nn.Linear(10, 3)

    def forward(self, image: Tensor, meta: Tensor) -> Tensor:
        features = self.encoder(image)
        return self.head(torch.cat([features * meta[:, :1], meta], dim=1))


class OfDict(Joined):
    def forward(self, batch: dict[str, Tensor]) -> Tensor:  # type: ignore[override]
        return super().forward(batch["image"], batch["meta"])


class OfPair(Joined):
    def forward(self, pair: tuple[Tensor, Tensor]) -> Tensor:  # type: ignore[override]
        image, meta = pair
        return super().forward(image, meta)


class Named(Joined):
    def forward(self, *, meta: Tensor, image: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(image, meta)


IMAGE, META = torch.randn(1, 3, 32, 32), torch.tensor([[2.0, -1.0]])


class Fixed(nn.Module):
    """What a person would write by hand: the same network with the other input held fast."""

    def __init__(self, network: Joined) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return Joined.forward(self.network, image, META.expand(len(image), 2))


GIVEN: list[tuple[type[Joined], Any]] = [
    (Joined, (IMAGE, META)),
    (Joined, {"meta": META, "image": IMAGE}),
    (OfDict, {"image": IMAGE, "meta": META}),
    (OfPair, (IMAGE, META)),
    (Named, {"image": IMAGE, "meta": META}),
]


@pytest.mark.parametrize("method", [ll.gradcam, ll.ablationcam, ll.scorecam])
@pytest.mark.parametrize(("kind", "given"), GIVEN)
def test_the_map_is_that_of_the_network_with_the_other_inputs_held_fast(
    kind: type[Joined], given: Any, method: Any
) -> None:
    network = kind().eval()
    (expected,) = ll.explain(Fixed(network), IMAGE, 1, layer="network.encoder.1", method=method)
    (heat,) = ll.explain(network, given, 1, layer="encoder.1", method=method)
    torch.testing.assert_close(heat.values, expected.values)
    assert heat.values.any() and "forward" not in vars(network)


def test_a_single_picture_among_the_inputs_gives_a_single_map_and_other_ways_to_ask_take_them_too() -> None:
    network = Joined()
    heat = ll.explain(network, (IMAGE[0], META), 1)
    assert heat.layer == ll.layers(network, (IMAGE, META), 1)[-1].layer == "encoder.3"
    found = guided_backprop(network, {"image": IMAGE[0], "meta": META}, 1)
    assert found.values.shape == (32, 32) and found.values.any()


def test_the_networks_own_forward_is_put_back_after_an_error() -> None:
    network = Joined()
    with pytest.raises(ValueError, match="no layer 'nowhere'"):
        ll.explain(network, (IMAGE, META), layer="nowhere")
    assert "forward" not in vars(network)


@pytest.mark.parametrize("given", [IMAGE, {"image": IMAGE}, (IMAGE,), (IMAGE, META, META)])
def test_an_input_too_few_or_too_many_is_told_with_calls_that_work(given: Any) -> None:
    with pytest.raises(TypeError, match="The forward of this Joined takes image and meta, and was given") as told:
        ll.explain(Joined(), given)
    advice = re.findall(r"`(ll\.explain.*?)`", str(told.value))
    assert len(advice) == 2
    for call in advice:
        (heat,) = eval(call, {"ll": ll, "network": Joined(), "image": IMAGE, "meta": META})
        assert heat.values.any()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"meta": META}, r"None of these inputs is a picture \(meta: a tensor of shape 1 × 2\)"),
        ((IMAGE.expand(2, 3, 32, 32), META.expand(2, 2)), "2 pictures with inputs of their own: explain them one by"),
    ],
)
def test_inputs_among_which_the_picture_is_not_clear_are_refused(given: Any, sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence):
        ll.explain(Joined(), given)


class Twins(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.towers = nn.ModuleList([encoder()])

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return F.cosine_similarity(self.towers[0](x), self.towers[0](y))[:, None]


@pytest.mark.parametrize("options", [{}, {"layer": "towers.0.1"}])
def test_a_shared_encoder_is_told_with_the_part_to_explain(options: dict[str, Any]) -> None:
    network, other_picture = Twins(), torch.randn(1, 3, 32, 32)
    with pytest.raises(ValueError, match=r"ran (more than once, in 'towers.0'|2 times)") as told:
        ll.explain(network, (IMAGE, other_picture), **options)
    part, other, call = re.findall(r"`(.*?)`", str(told.value))
    names: dict[str, Any] = {"ll": ll, "torch": torch, "network": network, "picture": IMAGE}
    names["other_picture"] = other_picture
    exec(f"{part}\n{other}\n(heat,) = {call}", names)
    assert names["heat"].values.any()
    assert names["heat"].score == pytest.approx(network.eval()(IMAGE, other_picture).item(), abs=1e-5)


def test_a_small_part_that_runs_twice_is_no_shared_encoder() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.relu, self.second = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.relu(self.second(self.relu(self.first(x)))).mean(dim=(2, 3))

    assert ll.explain(Twice(), IMAGE)[0].layer == "second"
    with pytest.raises(ValueError, match=r"ran 2 times in one forward pass.*choose a layer that runs once\.$"):
        ll.explain(Twice(), IMAGE, layer="relu")
