"""The family by hand on tiny networks, each method against its neighbours where theory makes them equal."""

import warnings
from functools import partial

import pytest
import torch
from tiny import Ended
from torch import Tensor, nn

import lessons_lib as ll
from lessons_lib.core import methods
from lessons_lib.core.engine import capture

# One picture, two maps of 2 × 3: means 2 and 1, sums 12 and 6.
MAPS = torch.tensor([[[[1.0, 2.0, 0.0], [0.0, 3.0, 6.0]], [[4.0, 0.0, 0.0], [2.0, 0.0, 0.0]]]])
# One gradient for each cell: the means are 1 and −1.
GRADIENTS = torch.tensor([[[[1.0, 0.0, 0.0], [0.0, 0.0, 5.0]], [[-3.0, 0.0, 0.0], [1.0, -4.0, 0.0]]]])

GRADIENT_METHODS = [ll.gradcam, ll.gradcam_plus_plus, ll.hirescam, ll.layercam, ll.xgradcam]
OTHERS = [ll.eigencam, ll.ablationcam, ll.scorecam]


def linear(weight: Tensor, bias: float = 0.0) -> nn.Linear:
    layer = nn.Linear(weight.shape[-1], len(weight))
    layer.weight.data, layer.bias.data = weight, torch.full((len(weight),), bias)
    return layer


def weighed(gradients: Tensor = GRADIENTS, bias: float = 0.0) -> Ended:
    """A score that is Σ gradients · A + bias."""
    return Ended(nn.Sequential(nn.Flatten(), linear(gradients.flatten()[None], bias)))


def pooled() -> Ended:
    return Ended(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear(torch.tensor([[3.0, -1.0], [0.5, 2.0]]))))


def deep(seed: int = 0) -> nn.Sequential:
    """A small convolutional network with a gradient of its own in every cell of layer "2"."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(5 * 36, 7), nn.ReLU(), nn.Linear(7, 3),
    )  # fmt: skip
    network[8].weight.data *= 100
    return network


PICTURES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(3))


def values(
    network: nn.Module, pictures: Tensor, method: methods.Method, layer: str = "features", target: object = None
) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.stack([heat.values for heat in ll.explain(network, pictures, target, layer=layer, method=method)])


def equal(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    assert expected.abs().max() > 1e-6, "nothing would be compared"
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max()))


# By hand


def test_hirescam_by_hand() -> None:
    equal(values(weighed(), MAPS, ll.hirescam), torch.tensor([[[-11.0, 0.0, 0.0], [2.0, 0.0, 30.0]]]))


def test_layercam_by_hand() -> None:
    equal(values(weighed(), MAPS, ll.layercam), torch.tensor([[[1.0, 0.0, 0.0], [2.0, 0.0, 30.0]]]))


def test_xgradcam_by_hand() -> None:
    # Weights (1 + 30) / 12 and (−12 + 2) / 6.
    equal(values(weighed(), MAPS, ll.xgradcam), (31 / 12 * MAPS[:, 0] - 10 / 6 * MAPS[:, 1]))


def test_ablationcam_by_hand() -> None:
    # y = 31 − 10 + 3 = 24; without the first map −7, without the second 34.
    equal(values(weighed(bias=3.0), MAPS, ll.ablationcam), 31 / 24 * MAPS[:, 0] - 10 / 24 * MAPS[:, 1])


def test_ablationcam_of_a_negative_score_keeps_what_speaks_for_it_positive() -> None:
    equal(values(weighed(bias=-25.0), MAPS, ll.ablationcam), 31 / 4 * MAPS[:, 0] - 10 / 4 * MAPS[:, 1])
    equal(values(weighed(bias=-21.0), MAPS, ll.ablationcam), 31.0 * MAPS[:, 0] - 10 * MAPS[:, 1])


def test_eigencam_by_hand() -> None:
    # Rank one: both maps are one pattern, 3 and 4 times, so V_1 = (3, 4) / 5 and the map is the pattern 5 times.
    pattern = torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 0.5]])
    maps = torch.stack([3 * pattern, 4 * pattern])[None]
    equal(values(weighed(), maps, partial(ll.eigencam, centred=False)), 5 * pattern[None])
    # What is the same in every cell is taken away first, however much it is.
    lifted = maps + torch.tensor([70.0, -20.0])[:, None, None]
    equal(values(weighed(), lifted, ll.eigencam), 5 * (pattern - pattern.mean())[None], 1e-4)


def test_scorecam_by_hand() -> None:
    # Both masks are A / max: (1, 2, 0, 0, 3, 6) / 6 and (4, 0, 0, 2, 0, 0) / 4, each over both maps of the "picture".
    network = weighed(GRADIENTS / 20)
    S = torch.stack([(MAPS * mask / mask.max() * GRADIENTS / 20).sum() for mask in MAPS[0]])
    alpha = S.exp() / S.exp().sum()
    equal(values(network, MAPS, ll.scorecam), alpha[0] * MAPS[:, 0] + alpha[1] * MAPS[:, 1])


def test_scorecam_masks_with_zero_where_a_map_is_the_same_everywhere() -> None:
    maps = MAPS.clone()
    maps[:, 1] = 2.5
    score = float((maps * maps[:, :1] / 6 * GRADIENTS).sum() / 20)  # the other mask lets nothing through and scores 0
    alpha = torch.tensor([score, 0.0]).softmax(0)
    equal(values(weighed(GRADIENTS / 20), maps, ll.scorecam), alpha[0] * maps[:, 0] + alpha[1] * maps[:, 1])


# Where theory makes two methods one


@pytest.mark.parametrize("category", [0, 1])
def test_behind_pooling_and_a_linear_layer_the_family_is_cam(category: int) -> None:
    maps = torch.rand(3, 2, 4, 5, generator=torch.Generator().manual_seed(0))
    network, target = pooled(), ll.ClassScore(category)
    cam = values(network, maps, ll.cam, target=target)
    for method in (ll.gradcam, ll.hirescam, ll.xgradcam):
        equal(values(network, maps, method, target=target) * 20, cam)  # Z = 4 · 5


def test_ablationcam_is_cam_with_each_weight_times_its_maps_mean() -> None:
    maps = torch.rand(3, 2, 4, 5, generator=torch.Generator().manual_seed(0))
    network = pooled()
    w, mean = network.ending[2].weight[0].detach(), maps.mean((2, 3))
    expected = ((w * mean)[:, :, None, None] * maps).sum(1) / (mean @ w).abs()[:, None, None]
    equal(values(network, maps, ll.ablationcam, target=ll.ClassScore(0)), expected)
    even = maps / mean[:, :, None, None]  # where all means are 1 it is CAM divided by |y|
    cam = values(network, even, ll.cam, target=ll.ClassScore(0))
    equal(values(network, even, ll.ablationcam, target=ll.ClassScore(0)), cam / w.sum().abs())


def test_gradcam_is_hirescam_where_the_gradient_is_the_same_all_over_each_map_and_only_there() -> None:
    even = torch.tensor([2.0, -1.0]).view(1, 2, 1, 1).expand(1, 2, 2, 3)
    equal(values(weighed(even), MAPS, ll.gradcam), values(weighed(even), MAPS, ll.hirescam))
    equal(values(weighed(even), MAPS, ll.gradcam), values(weighed(even), MAPS, ll.xgradcam))
    assert not torch.allclose(values(weighed(), MAPS, ll.gradcam), values(weighed(), MAPS, ll.hirescam), atol=0.1)


def test_gradcam_is_xgradcam_where_each_map_is_the_same_everywhere() -> None:
    flat = torch.tensor([2.0, 5.0]).view(1, 2, 1, 1).expand(1, 2, 2, 3)
    equal(values(weighed(), flat, ll.xgradcam), values(weighed(), flat, ll.gradcam))


def test_layercam_is_hirescam_without_its_negative_terms() -> None:
    positive = values(weighed(GRADIENTS.relu()), MAPS, ll.hirescam)
    equal(values(weighed(), MAPS, ll.layercam), positive)
    negative = values(weighed(-(-GRADIENTS).relu()), MAPS, ll.hirescam)
    equal(values(weighed(), MAPS, ll.hirescam), positive + negative)


def test_layercam_is_the_positive_part_of_hirescam_where_there_is_one_map() -> None:
    maps, gradients = MAPS[:, :1], torch.tensor([[[[1.0, -2.0, 0.0], [0.0, 3.0, -5.0]]]])
    equal(values(weighed(gradients), maps, ll.layercam), values(weighed(gradients), maps, ll.hirescam).relu())


class Normed(nn.Module):
    """A Swin's ending: a norm over the channels of each cell, the mean over cells, one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.norm = nn.LayerNorm(6, eps=1e-12)
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(x.permute(0, 2, 3, 1)).mean(dim=(1, 2)))


CELLS = torch.randn(1, 6, 3, 4, generator=torch.Generator().manual_seed(1))


def test_before_a_layer_norm_over_channels_hirescam_cancels_in_every_cell_and_gradcam_does_not() -> None:
    """A norm makes the score blind to a cell's size, so Σ_k A_k · ∂y/∂A_k = 0 (Euler), in every cell."""
    seen = capture.run(Ended(Normed()), CELLS, "features")
    seen = seen.scored(seen.output[:, 1])
    largest = (seen.gradients * seen.activations).abs().sum(dim=1).max()
    assert ll.hirescam(seen).abs().max() < 1e-5 * largest
    assert ll.gradcam(seen).abs().max() > 1e-2 * largest


def test_sums_of_hirescam_and_xgradcam_are_the_score_of_a_network_that_is_linear_behind_the_layer() -> None:
    for method in (ll.hirescam, ll.xgradcam):
        assert values(weighed(), MAPS, method).sum().item() == pytest.approx(21.0)
    network, pictures = deep(), PICTURES.double()
    network = network.double()
    sums = [values(network, pictures, method, "2").sum((1, 2)) for method in (ll.hirescam, ll.xgradcam)]
    equal(*sums)


# What all of them promise


@pytest.mark.parametrize("method", [*GRADIENT_METHODS, *OTHERS])
def test_every_method_treats_each_picture_of_a_batch_by_itself_and_gives_the_same_bits_again(method) -> None:
    network = deep()
    together = values(network, PICTURES, method, "2")
    assert together.dtype == torch.float32 and together.shape == (2, 8, 8)
    assert torch.equal(together, values(network, PICTURES, method, "2"))
    for picture, expected in zip(PICTURES, together, strict=True):
        equal(values(network, picture[None], method, "2")[0], expected, 1e-4)


@pytest.mark.parametrize("method", OTHERS)
def test_methods_without_gradients_never_ask_for_one(method) -> None:
    network = deep()
    seen = capture.run(network, PICTURES, "2")
    seen = seen.scored(seen.output[:, 0], lambda run, picture, count: run()[:, 0])
    assert method(seen).shape == (2, 8, 8)
    assert "gradients" not in vars(seen)


def test_eigencams_strongest_cell_is_positive_whatever_the_sign_that_svd_chose(monkeypatch) -> None:
    signed = torch.randn(4, 5, 3, 3, generator=torch.Generator().manual_seed(2))
    network = weighed(torch.ones(1, 5, 3, 3))
    found = values(network, signed, ll.eigencam)
    strongest = found.flatten(1).gather(1, found.flatten(1).abs().argmax(1, keepdim=True))
    assert (strongest > 0).all()
    svd = torch.linalg.svd

    def turned(*arguments, **options):
        U, S, Vh = svd(*arguments, **options)
        return type(svd(torch.eye(2)))((-U, S, -Vh))

    monkeypatch.setattr(torch.linalg, "svd", turned)
    assert torch.equal(values(network, signed, ll.eigencam), found)
    assert torch.equal(values(network, signed * 4, ll.eigencam), found * 4)
    assert (values(network, signed.abs(), partial(ll.eigencam, centred=False)) > 0).all()


def test_the_target_and_the_network_behind_the_layer_leave_eigencam_alone() -> None:
    network = deep()
    equal(
        values(network, PICTURES, ll.eigencam, "2", ll.ClassScore(0)),
        values(network, PICTURES, ll.eigencam, "2", ll.ClassScore(2)),
        1e-6,
    )
    first, other = (values(network, PICTURES, ll.gradcam, "2", ll.ClassScore(k)) for k in (0, 2))
    assert not torch.allclose(first, other, atol=1e-3)


# Several layers


def test_several_layers_give_the_average_of_maps_divided_by_their_peaks_on_the_finest_grid() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64, 3))
    coarse, fine = (ll.explain(network, PICTURES, layer=layer) for layer in ("1", "0"))
    both = ll.explain(network, PICTURES, layer=["1", network[0]])
    assert len(both) == 2
    for one, low, high in zip(both, coarse, fine, strict=True):
        up = nn.functional.interpolate((low.values.relu() / low.values.max())[None, None], (8, 8), mode="bilinear")
        equal(one.values, (up[0, 0] + high.values.relu() / high.values.max()) / 2)
        assert (one.layer, one.method, one.words) == ("1 + 0", "gradcam", low.words)
    alone = ll.explain(network, PICTURES[0], layer=["1", "0"])
    assert torch.allclose(alone.values, both[0].values, atol=1e-5)


def test_no_layer_and_maps_of_different_pictures_get_a_sentence() -> None:
    with pytest.raises(ValueError, match="The list of layers is empty: name one or more"):
        ll.explain(deep(), PICTURES, layer=[])
    small = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    maps = [ll.explain(small, picture, layer="0") for picture in (PICTURES[0], PICTURES[0, :, :6])]
    with pytest.raises(ValueError, match="different pictures"):
        ll.fuse(maps)


# Causes of blank maps that these methods bring; the others stand in test_capture


def only_cause(network: nn.Module, maps: Tensor, method: methods.Method) -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        heat = ll.explain(network, maps, lambda output: output[0], layer="features", method=method)[0]
    assert not heat.positive.any() and len(caught) == 1
    return str(caught[0].message)


@pytest.mark.parametrize("method", [ll.layercam, ll.gradcam_plus_plus])
def test_negative_gradients_are_told_from_zero_gradients(method) -> None:
    assert only_cause(weighed(-GRADIENTS.abs()), MAPS, method).endswith(
        "blank: all gradients at features are negative before the method's own ReLU, so everything there speaks "
        "against it; take `method=ll.hirescam`, which has no such ReLU, and see `heat.values`."
    )
    assert "gradient of the score is zero everywhere" in only_cause(weighed(0 * GRADIENTS), MAPS, method)


def test_a_score_that_no_map_moves_is_told_from_a_saturated_one() -> None:
    assert "score is the same without any one map" in only_cause(weighed(0 * GRADIENTS, 0.3), MAPS, ll.ablationcam)
    flat_end = Ended(nn.Sequential(nn.Flatten(), linear(GRADIENTS.flatten()[None], 99.0), nn.Sigmoid()))
    assert "score is saturated" in only_cause(flat_end, MAPS, ll.ablationcam)
    assert "negative before the ReLU" in only_cause(weighed(-GRADIENTS.abs(), 90.0), MAPS, ll.ablationcam)


@pytest.mark.parametrize("method", [ll.eigencam, ll.scorecam, ll.ablationcam])
def test_a_layer_that_is_off_is_named_by_methods_without_gradients(method) -> None:
    assert "activations at features are the same everywhere" in only_cause(weighed(), 0 * MAPS, method)


def test_what_is_left_where_all_cancels_is_told_as_rounding_and_a_small_map_is_not() -> None:
    network = Ended(Normed())
    with pytest.warns(UserWarning, match="cancels, and the rest is rounding.* take `method=ll.gradcam`") as caught:
        ll.explain(network, CELLS, ll.ClassScore(1), layer="features", method=ll.hirescam)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ll.explain(network, CELLS, ll.ClassScore(1), layer="features")
        ll.explain(weighed(1e-12 * GRADIENTS), MAPS, layer="features", method=ll.hirescam)
        # Averaged over many cells of which one has a gradient, a map is a millionth of what that cell adds up.
        one = torch.zeros(1, 1, 1000, 1000)
        one[..., 0, 0] = 1
        ll.explain(Ended(nn.Flatten()), one + 1, lambda output: output[0], layer="features")


# Names and options


def test_a_method_with_options_keeps_its_name() -> None:
    (heat,) = ll.explain(weighed(), MAPS, layer="features", method=partial(partial(ll.ablationcam), chunk=1))
    assert heat.method == "ablationcam"


@pytest.mark.parametrize("chunk", [0, -1, 2.5])
def test_a_chunk_of_nothing_gets_a_sentence(chunk) -> None:
    with pytest.raises(ValueError, match="give 1 or more"):
        ll.explain(weighed(), MAPS, layer="features", method=partial(ll.scorecam, chunk=chunk))


def test_long_work_begins_with_an_estimate_and_short_work_shows_nothing(monkeypatch) -> None:
    import tqdm.auto

    from lessons_lib.core.engine import rerun

    bars: list[dict] = []
    short, long = weighed(), deep()
    (
        ll.explain(short, MAPS, layer="features"),
        ll.explain(long, PICTURES, layer="2"),
    )  # followed now, by a bar of its own
    monkeypatch.setattr(tqdm.auto, "tqdm", lambda rest, **options: bars.append(options) or rest)
    now = iter(range(0, 1000, 3))
    ll.explain(short, MAPS, layer="features", method=partial(ll.ablationcam, chunk=1))
    assert bars == []
    monkeypatch.setattr(rerun, "perf_counter", lambda: next(now))
    ll.explain(long, PICTURES, layer="2", method=partial(ll.ablationcam, chunk=2))
    (bar,) = bars  # 6 maps of 2 pictures in chunks of 2: the first of 6 chunks took 3 s by this clock
    assert "about 15 s" in bar["desc"] and (bar["initial"], bar["total"]) == (1, 6)


@pytest.mark.slow
@pytest.mark.parametrize("method", [*GRADIENT_METHODS, *OTHERS])
def test_a_network_in_half_precision_gives_nearly_the_same_map(method: methods.Method) -> None:
    whole = values(deep(), PICTURES, method, layer="2")
    half = values(deep().bfloat16(), PICTURES.bfloat16(), method, layer="2")
    for one, other in zip(whole, half, strict=True):
        assert other.dtype == torch.float32
        assert torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1] > 0.98
