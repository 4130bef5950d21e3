"""Running the network again: the exact result by every way below the layer, bounded memory, nothing left behind."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lessons_lib as ll
from lessons_lib.core.engine import capture, rerun

pytestmark = pytest.mark.filterwarnings("ignore:The map for")  # what is tiny is often blank

PICTURES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(3))


class Watched(nn.Module):
    """A network that writes down how many pictures come in and how many leave; `behind` decides what meets the maps."""

    def __init__(self, around: str):
        super().__init__()
        torch.manual_seed(1)
        self.below = nn.Conv2d(3, 4, 3, padding=1)
        self.maps = nn.Conv2d(4, 6, 3, padding=1)
        self.beside = nn.Conv2d(4, 6, 1)
        self.head = nn.Linear((12 if around == "concatenated" else 6) * 64, 3)
        self.around = around
        self.sizes: list[tuple[int, int]] = []

    def forward(self, x: Tensor) -> Tensor:
        below = self.below(x).relu()
        maps = self.maps(below).relu_()
        if self.around == "added":
            maps = maps + self.beside(below)
        if self.around == "concatenated":
            maps = torch.cat([maps, self.beside(below)], dim=1)
        if self.around == "remembered":  # the number of pictures, from before the layer
            maps = maps.reshape(len(x), -1, 8, 8) if len(x) else maps[:1]
        self.sizes.append((len(x), len(maps)))
        return self.head(maps.tanh().flatten(1))


def plainly(network: Watched, pictures: Tensor, category: int) -> Tensor:
    """Ablation-CAM as it is defined: the whole network once for each channel, with this channel's output zeroed."""
    found = []
    for picture in pictures[:, None]:
        with torch.no_grad():
            y, losses = network(picture)[0, category], []
            for k in range(6):

                def without(_module: nn.Module, _inputs: object, emitted: Tensor, k: int = k) -> Tensor:
                    return emitted * (torch.arange(6) != k)[None, :, None, None]

                hook = network.maps.register_forward_hook(without)
                losses.append((y - network(picture)[0, category]) / y.abs())
                hook.remove()
            A = network.maps(network.below(picture).relu())[0]
            found.append((torch.stack(losses)[:, None, None] * A).sum(0))
    return torch.stack(found)


# A chunk of 4 leaves a rest of 2, and the two unchanged variants that find the way come first.
@pytest.mark.parametrize(
    ("around", "sizes"),
    [
        ("nothing", [(0, 2), (0, 4), (0, 2), (0, 4), (0, 2)]),
        ("added", [(1, 2), (1, 4), (1, 2), (1, 4), (1, 2)]),
        ("concatenated", [(4, 4), (2, 2), (4, 4), (2, 2)]),
        ("remembered", [(4, 4), (2, 2), (4, 4), (2, 2)]),
    ],
)
def test_ablation_equals_the_slow_reference_and_runs_as_little_as_the_network_allows(around: str, sizes: list) -> None:
    network = Watched(around)
    expected = plainly(network, PICTURES, 1)
    network.sizes.clear()
    heats = ll.explain(network, PICTURES, ll.ClassScore(1), layer="maps", method=partial(ll.ablationcam, chunk=4))
    torch.testing.assert_close(torch.stack([heat.values for heat in heats]), expected, rtol=1e-4, atol=1e-5)
    assert [size for size in network.sizes[1:] if size[1] > 1][-len(sizes) :] == sizes
    assert max(most for _, most in network.sizes) <= 4


@pytest.mark.parametrize("method", [ll.ablationcam, ll.scorecam])
def test_the_chunk_bounds_what_runs_at_a_time_and_changes_nothing_else(method) -> None:
    network = Watched("nothing")
    maps = []
    for chunk in (1, 4, 5, 100):
        network.sizes.clear()
        heat = ll.explain(network, PICTURES[0], ll.ClassScore(0), layer="maps", method=partial(method, chunk=chunk))
        maps.append(heat.values)
        assert max(most for _, most in network.sizes) <= max(chunk, 2)
    for other in maps[1:]:
        torch.testing.assert_close(other, maps[0], rtol=1e-4, atol=1e-6)


def test_scorecam_equals_a_plain_loop() -> None:
    network, found = Watched("added").double(), []
    pictures = torch.rand(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(5)) - 0.5
    network.maps.stride = (2, 2)  # smaller maps than pictures, so that they are enlarged
    network.beside.stride = (2, 2)
    network.head = nn.Linear(6 * 16, 3).double()
    with torch.no_grad():
        for picture in pictures:
            A = network.maps(network.below(picture[None]).relu())[0]
            baseline = network(torch.zeros(1, 3, 8, 8).double())[0, 2]
            S = []
            for maps in A:
                up = nn.functional.interpolate(maps[None, None], (8, 8), mode="bilinear")
                mask = (up - up.min()) / (up.max() - up.min())
                S.append(network(picture * mask)[0, 2] - baseline)
            alpha = torch.stack(S).exp() / torch.stack(S).exp().sum()
            found.append((alpha[:, None, None] * A).sum(0))
    heats = ll.explain(network, pictures, ll.ClassScore(2), layer="maps", method=partial(ll.scorecam, chunk=4))
    for heat, expected in zip(heats, found, strict=True):
        torch.testing.assert_close(heat.values, expected.float(), rtol=1e-5, atol=1e-6)


def test_without_a_target_the_class_that_was_on_top_is_asked_for_in_every_run() -> None:
    network = Watched("nothing")
    top = int(network(PICTURES[:1])[0].argmax())
    with_none = ll.explain(network, PICTURES[0], layer="maps", method=ll.ablationcam)
    fixed = ll.explain(network, PICTURES[0], ll.ClassScore(top), layer="maps", method=ll.ablationcam)
    assert torch.equal(with_none.values, fixed.values)
    changes = ll.explain(network, PICTURES[0], lambda output: output.max(), layer="maps", method=ll.ablationcam)
    network.head.bias.data[top] -= (
        float(network(PICTURES[:1])[0].detach().sort().values.diff()[-1]) - 1e-4
    )  # a near tie
    near = ll.explain(network, PICTURES[0], layer="maps", method=ll.ablationcam)
    free = ll.explain(network, PICTURES[0], lambda output: output.max(), layer="maps", method=ll.ablationcam)
    assert not torch.allclose(near.values, free.values, atol=1e-4)
    assert changes.method == "ablationcam"


class Patches(nn.Module):
    """Tokens: one for the class, four for patches, mixed by an attention in which the layer's tokens meet."""

    def __init__(self, order: str):
        super().__init__()
        torch.manual_seed(2)
        self.order = order
        self.cut = nn.Conv2d(3, 5, 4, stride=4)
        self.norm = nn.LayerNorm(5)
        self.mix = nn.MultiheadAttention(5, 1, batch_first=True)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.cut(x).permute(0, 2, 3, 1)
        if self.order == "nhwc":
            tokens = self.norm(maps).flatten(1, 2)
        else:
            tokens = self.norm(torch.cat([maps.new_ones(len(x), 1, 5), maps.flatten(1, 2)], dim=1))
        return self.head(self.mix(tokens, tokens, tokens)[0].mean(1))


@pytest.mark.parametrize("order", ["nhwc", "tokens"])
def test_ablation_happens_on_what_the_layer_emits_whatever_its_layout(order: str) -> None:
    network = Patches(order)
    model = ll.models.Explainable(network, layer="norm")
    (heat,) = ll.explain(model, PICTURES[:1], ll.ClassScore(0), method=ll.ablationcam)
    with torch.no_grad():
        y, w = network(PICTURES[:1])[0, 0], []
        emitted: list[Tensor] = []
        for k in range(5):

            def without(_module: nn.Module, _inputs: object, tokens: Tensor, k: int = k) -> Tensor:
                emitted.append(tokens.clone())
                tokens = tokens.clone()
                patches = tokens if order == "nhwc" else tokens[:, 1:]  # the class token keeps its number
                patches[..., k] = 0
                return tokens

            hook = network.norm.register_forward_hook(without)
            w.append((y - network(PICTURES[:1])[0, 0]) / y.abs())
            hook.remove()
        patches = emitted[0].reshape(2, 2, 5) if order == "nhwc" else emitted[0][0, 1:].reshape(2, 2, 5)
    torch.testing.assert_close(heat.values, (patches * torch.stack(w)).sum(2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("computed", [lambda emitted: 2 * emitted, lambda emitted: emitted.mean(dim=1, keepdim=True)])
def test_a_layout_that_computes_gets_a_sentence(computed: Callable[[Tensor], Tensor]) -> None:
    model = ll.models.Explainable(Watched("nothing"), layer="maps", layout=computed)
    with pytest.raises(ValueError, match="more than a rearrangement"):
        ll.explain(model, PICTURES[:1], ll.ClassScore(0), method=ll.ablationcam)


@pytest.mark.parametrize("method", [ll.ablationcam, ll.scorecam])
@pytest.mark.parametrize("trouble", [KeyboardInterrupt, ZeroDivisionError])
def test_after_a_cancel_or_an_error_the_network_is_as_it_was(method, trouble: type[BaseException]) -> None:
    network = Watched("added").train()
    network.head.weight.requires_grad_(False)
    network.beside.eval()
    modes = [module.training for module in network.modules()]
    flags = [parameter.requires_grad for parameter in network.parameters()]
    calls = 0

    def target(output: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls > 10:
            raise trouble
        return output[0]

    with pytest.raises(KeyboardInterrupt if trouble is KeyboardInterrupt else RuntimeError):
        ll.explain(network, PICTURES, target, layer="maps", method=partial(method, chunk=3))
    assert [module.training for module in network.modules()] == modes
    assert [parameter.requires_grad for parameter in network.parameters()] == flags
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())


def test_an_error_of_the_target_in_the_second_run_is_raised_and_not_taken_for_a_way_that_is_closed() -> None:
    network, calls = Watched("nothing"), []

    def target(output: Tensor) -> Tensor:
        calls.append(1)
        return output[0] if len(calls) == 1 else output[7]

    with pytest.raises(RuntimeError, match=r"The target fails .*index 7"):
        ll.explain(network, PICTURES[0], target, layer="maps", method=ll.ablationcam)


def test_scores_from_the_layer_by_hand() -> None:
    seen = capture.run(nn.Sequential(nn.Identity(), nn.Flatten(), nn.Linear(4, 1)), torch.ones(2, 1, 2, 2), "0")
    seen = seen.scored(seen.output[:, 0], lambda run, picture, count: run()[:, 0] + 100 * picture)
    found = rerun.from_layer(seen, lambda picture, numbers: numbers[:, None, None, None] * torch.ones(1, 2, 2), 3, 2)
    w, b = seen.network[2].weight.sum().item(), seen.network[2].bias.item()
    expected = torch.tensor([[b, w + b, 2 * w + b], [100 + b, 100 + w + b, 100 + 2 * w + b]])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("disable", "silent"), [("", False), ("1", True)])
def test_what_takes_longer_than_one_waits_gladly_shows_how_long(
    disable: str, silent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[dict[str, Any]] = []

    def bar(rest: Iterable[Any], **options: Any) -> Iterable[Any]:
        shown.append({"rest": len(list(rest)), **options})
        return rest

    monkeypatch.setattr("tqdm.auto.tqdm", bar)
    monkeypatch.setenv("TQDM_DISABLE", disable)
    for seconds in (0.5, 0.51):  # for the first of five chunks
        times = iter((7.0, 7.0 + seconds))
        monkeypatch.setattr(rerun, "perf_counter", lambda times=times: next(times))
        found = rerun.in_chunks(lambda picture, numbers: 10 * picture + numbers, 1, 9, 2, "nine things")
        assert found.tolist() == [[*range(9)]]
    bar_of_five = {"rest": 4, "total": 5, "initial": 1, "unit": "chunk", "disable": silent}
    assert shown == [{**bar_of_five, "desc": "nine things, about 2 s"}]


@pytest.mark.parametrize("method", [ll.ablationcam, ll.scorecam])
def test_the_bar_names_the_work(method: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    network = Watched("nothing")
    ll.explain(network, PICTURES, 0, layer="maps")  # followed now, by a bar of its own
    monkeypatch.setattr(rerun, "PATIENCE", -1.0)
    monkeypatch.setattr("tqdm.auto.tqdm", lambda rest, desc, **_: names.append(desc) or rest)
    ll.explain(network, PICTURES, 0, layer="maps", method=method)
    assert [name.rpartition(", about")[0] for name in names] == [
        "6 variants of maps" if method is ll.ablationcam else "6 variants of the input"
    ]
