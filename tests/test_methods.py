"""CAM and Grad-CAM against maps computed by hand, against each other, and on the real network."""

import pytest
import torch
from tiny import Ended
from torch import Tensor, nn

import lessons_lib as ll

# One picture, two maps of 2 × 3: means 2 and 1.
MAPS = torch.tensor([[[[1.0, 2.0, 0.0], [0.0, 3.0, 6.0]], [[4.0, 0.0, 0.0], [2.0, 0.0, 0.0]]]])


def linear(weight: list[list[float]], bias: list[float]) -> nn.Linear:
    layer = nn.Linear(len(weight[0]), len(weight))
    layer.weight.data, layer.bias.data = torch.tensor(weight), torch.tensor(bias)
    return layer


def pooled(*layers: nn.Module) -> Ended:
    return Ended(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), *layers))


@pytest.fixture
def gap_fc() -> Ended:
    """Logits 1.5 and 2: 2 − 1 + 0.5 and 0.5·2 + 2·1 − 1."""
    return pooled(linear([[1.0, -1.0], [0.5, 2.0]], [0.5, -1.0]))


CAM_OF_0 = torch.tensor([[-3.0, 2.0, 0.0], [-2.0, 3.0, 6.0]])  # first map − second map
CAM_OF_1 = torch.tensor([[8.5, 1.0, 0.0], [4.0, 1.5, 3.0]])  # half the first + twice the second


def values(network: nn.Module, target: object, method: ll.methods.Method, maps: Tensor = MAPS) -> Tensor:
    heats = ll.explain(network, maps, target, layer="features", method=method)
    return torch.stack([heat.values for heat in heats])


def equal(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("category", "by_hand", "logit"), [(0, CAM_OF_0, 1.5), (1, CAM_OF_1, 2.0)])
def test_cam_by_hand(gap_fc: Ended, category: int, by_hand: Tensor, logit: float) -> None:
    (found,) = values(gap_fc, ll.ClassScore(category), ll.cam)
    equal(found, by_hand)
    bias = gap_fc.ending[2].bias[category]
    assert (found.mean() + bias).item() == pytest.approx(logit)


def test_cam_of_a_difference_is_the_difference_of_the_cams(gap_fc: Ended) -> None:
    (found,) = values(gap_fc, lambda output: output[1] - 2 * output[0], ll.cam)
    equal(found, CAM_OF_1 - 2 * CAM_OF_0)


def test_gradcam_is_cam_divided_by_the_number_of_cells(gap_fc: Ended) -> None:
    equal(values(gap_fc, ll.ClassScore(0), ll.gradcam), CAM_OF_0[None] / 6)
    equal(values(gap_fc, ll.ClassScore(1), ll.gradcam), CAM_OF_1[None] / 6)


def test_gradcam_by_hand_where_every_cell_has_its_own_gradient() -> None:
    # The gradient is the weight row itself. Its means are 1 and −1; its sums, maxima and minima are other numbers.
    rows = [[1.0, 0.0, 0.0, 0.0, 0.0, 5.0, -3.0, 0.0, 0.0, 0.0, -3.0, 0.0]]
    network = Ended(nn.Sequential(nn.Flatten(), linear(rows, [7.0])))
    equal(values(network, ll.ClassScore(0), ll.gradcam), CAM_OF_0[None])


def test_gradcam_by_hand_through_a_product() -> None:
    # y = mean(A⁰) · mean(A¹) = 2 · 1, so ∂y/∂A⁰ = 1/6 and ∂y/∂A¹ = 2/6 in every cell.
    network = pooled()
    (found,) = values(network, lambda output: output[0] * output[1], ll.gradcam)
    equal(found, torch.tensor([[9.0, 2.0, 0.0], [4.0, 3.0, 6.0]]) / 6)


def test_gradcam_by_hand_through_an_mlp() -> None:
    # Hidden 2 + 1 = 3 and 2 − 3 = −1; ReLU closes the second, so only 4 · (1, 1)/6 comes back.
    network = pooled(linear([[1.0, 1.0], [1.0, -3.0]], [0.0, 0.0]), nn.ReLU(), linear([[4.0, 9.0]], [0.0]))
    equal(values(network, ll.ClassScore(0), ll.gradcam), 4 / 6 * MAPS.sum(dim=1))


def test_the_sign_is_kept_and_only_the_positive_part_is_drawn(gap_fc: Ended) -> None:
    (heat,) = ll.explain(gap_fc, MAPS, ll.ClassScore(0), layer="features", method=ll.cam)
    equal(heat.values, CAM_OF_0)
    equal(heat.positive, torch.tensor([[0.0, 2.0, 0.0], [0.0, 3.0, 6.0]]))
    equal(heat.normalised(), torch.tensor([[0.0, 2.0, 0.0], [0.0, 3.0, 6.0]]) / 6)


@pytest.mark.parametrize("method", [ll.cam, ll.gradcam])
def test_each_picture_of_a_batch_has_its_own_target(gap_fc: Ended, method: ll.methods.Method) -> None:
    batch = torch.cat([MAPS, MAPS.flip(3), 2 * MAPS])
    found = values(gap_fc, [ll.ClassScore(1), ll.ClassScore(0), ll.ClassScore(1)], method, batch)
    scale = 1 if method is ll.cam else 6
    equal(found, torch.stack([CAM_OF_1, CAM_OF_0.flip(1), 2 * CAM_OF_1]) / scale)


PAIRS = [("cat", "tiger cat"), ("coffee", "espresso"), ("rocket", "missile"), ("cat", "espresso")]


@pytest.fixture(scope="module")
def imagenet() -> ll.models.Explainable:
    return ll.models.imagenet()


@pytest.mark.slow
@pytest.mark.parametrize("method", [ll.cam, ll.gradcam])
def test_a_batch_of_different_targets_equals_single_runs_on_the_real_network(
    imagenet: ll.models.Explainable, method: ll.methods.Method
) -> None:
    photos = [getattr(ll.photos, photo)() for photo, _ in PAIRS]
    aims = [ll.ClassScore(category) for _, category in PAIRS]
    together = ll.explain(imagenet, photos, aims, method=method)
    for heat, photo, aim in zip(together, photos, aims, strict=True):
        alone = ll.explain(imagenet, photo, aim, method=method)
        assert heat.describe() == alone.describe()
        bound = 1e-5 * alone.values.abs().max().item()
        torch.testing.assert_close(heat.values, alone.values, rtol=0, atol=bound)


@pytest.mark.slow
@pytest.mark.parametrize(("photo", "category"), PAIRS)
def test_the_mean_of_the_cam_plus_the_bias_is_the_logit(
    imagenet: ll.models.Explainable, photo: str, category: str
) -> None:
    picture = getattr(ll.photos, photo)()
    index = imagenet.categories.index(category)
    with torch.no_grad():
        logit = imagenet.network(imagenet.transform(picture.image)[None])[0, index].item()
    heat = ll.explain(imagenet, picture, ll.ClassScore(category), method=ll.cam)
    bias = imagenet.network.classifier.bias[index].item()
    assert heat.values.mean().item() + bias == pytest.approx(logit, rel=1e-5, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("photo", "category"), PAIRS)
def test_gradcam_times_z_is_cam_on_the_real_network(imagenet: ll.models.Explainable, photo: str, category: str) -> None:
    picture, aim = getattr(ll.photos, photo)(), ll.ClassScore(category)
    by_weight = ll.explain(imagenet, picture, aim, method=ll.cam).values
    by_gradient = ll.explain(imagenet, picture, aim, method=ll.gradcam).values
    torch.testing.assert_close(49 * by_gradient, by_weight, rtol=0, atol=1e-5 * by_weight.abs().max().item())


NO_CAM = "CAM needs a network that goes from layer 'features' through global average pooling and one linear layer"


torch.manual_seed(0)  # for the layers below, whose weights do not matter


@pytest.mark.parametrize(
    "network",
    [
        Ended(nn.Sequential(nn.Flatten(), nn.Linear(12, 3))),
        pooled(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 3)),
        pooled(nn.Linear(2, 3), nn.Softmax(dim=1)),
        Ended(nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(2, 3))),
        Ended(nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))),
        Ended(nn.Sequential(nn.Conv2d(2, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())),
    ],
    ids=["flatten", "two linear layers", "softmax inside", "max pooling", "a layer too early", "no linear layer"],
)
def test_cam_refuses_a_network_that_ends_otherwise(network: nn.Module) -> None:
    with pytest.raises(ValueError, match=f"{NO_CAM}.*take `method=ll.gradcam`"):
        values(network, ll.ClassScore(0), ll.cam)


@pytest.mark.parametrize(
    "target",
    [lambda output: output.softmax(0)[0], lambda output: output[0] ** 2, lambda output: output[0] + 1],
    ids=["probability", "square", "shifted"],
)
def test_cam_refuses_a_target_that_is_no_sum_of_logits(gap_fc: Ended, target: object) -> None:
    with pytest.raises(ValueError, match=r"CAM explains a logit, or a weighted sum of logits, .* `method=ll\.gradcam`"):
        values(gap_fc, target, ll.cam)


def test_cam_accepts_dropout_between_pooling_and_the_linear_layer(gap_fc: Ended) -> None:
    pool, flatten, fc = gap_fc.ending
    network = Ended(nn.Sequential(pool, flatten, nn.Dropout(0.5), fc))
    equal(values(network, ll.ClassScore(0), ll.cam), CAM_OF_0[None])
