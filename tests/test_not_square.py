"""What a square picture, a single one and positive numbers would hide, with answers worked out by hand."""

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import Ended
from torch import Tensor, nn

import lessons_lib as ll
from lessons_lib.baselines.guided import guided_backprop
from lessons_lib.core import inputs
from lessons_lib.core.engine.places import layouts
from lessons_lib.core.methods import Method
from lessons_lib.core.preprocess import Preprocess, Region
from lessons_lib.core.records import Explainable, Photo
from lessons_lib.metrics import truth

pytestmark = pytest.mark.filterwarnings("ignore:The map for")  # what is tiny is often blank

# --- wide, uncropped, off the corner ----------------------------------------------------------------------------------


class Gives(nn.Module):
    """A detector that finds the same boxes in every picture."""

    def __init__(self, *boxes: tuple[tuple[float, ...], int, float]):
        super().__init__()
        edges, labels, scores = zip(*boxes, strict=True)
        self.found = {"boxes": torch.tensor(edges), "labels": torch.tensor(labels), "scores": torch.tensor(scores)}

    def forward(self, x: Tensor) -> list[dict[str, Tensor]]:
        return [self.found] * len(x)


@pytest.mark.parametrize(
    ("size", "transform", "edges"),
    [
        ((400, 200), Preprocess(100), (20.0, 60.0, 360.0, 120.0)),  # twice as large, nothing cut off
        ((200, 400), Preprocess(100), (20.0, 60.0, 360.0, 120.0)),
        ((400, 200), Preprocess((100, 80)), (50.0, 60.0, 900.0, 120.0)),  # squeezed to 80 × 100: 5 across, 2 down
        ((400, 200), Preprocess(), (10.0, 30.0, 180.0, 60.0)),
        ((400, 200), Preprocess(100, 60), (160.0, 100.0, 500.0, 160.0)),  # the middle 60: 70 across, 20 down are cut
        ((200, 400), Preprocess(100, (80, 60)), (60.0, 180.0, 400.0, 240.0)),  # 20 across, 60 down
    ],
)
def test_boxes_lie_where_the_network_saw_them(size: Any, transform: Preprocess, edges: tuple[float, ...]) -> None:
    model = Explainable(Gives(((10.0, 30.0, 180.0, 60.0), 1, 0.9)), None, transform, ("background", "cat"))
    photo = Photo(Image.new("RGB", size))
    (box,) = ll.boxes(model, photo)
    assert (box.name, box.edges) == ("cat", pytest.approx(edges))
    assert [[one.edges for one in found] for found in ll.boxes(model, [photo, photo])] == [[box.edges]] * 2


def made(values: Any, region: Region, size: tuple[int, int] = (90, 60)) -> ll.Heatmap:
    return ll.Heatmap(torch.tensor(values), Photo(Image.new("RGB", size)), region, "cat", "method", "layer")


def test_heat_on_cells_that_are_no_squares_in_a_region_off_the_corner_by_hand() -> None:
    # Two cells of 20 × 8 pixels; their centres are at columns 20 and 40, between them 1 rises to 3.
    heat = made([[1.0, 3.0]], (10.0, 22.0, 50.0, 30.0))
    columns = 1 + 2 * np.clip((np.arange(10, 50) + 0.5 - 20) / 20, 0, 1)
    expected = np.zeros((60, 90))
    expected[22:30, 10:50] = columns
    np.testing.assert_allclose(heat.on_photo(), expected, atol=1e-5)
    mask = np.zeros((60, 90), dtype=bool)
    mask[26:60, 30:60] = True  # the lower half of the right cell, and much that the network did not see
    assert heat.share_on(mask) == pytest.approx(columns[20:].sum() / columns.sum() / 2, abs=1e-6)
    assert heat.luck_on(mask) == pytest.approx(1 / 4, abs=1e-6)
    assert truth.centre_of_peak(heat) == (26, 40)
    assert truth.on_truth(heat, mask, ~mask)["peak"] == 1
    tall = made([[1.0], [3.0]], (22.0, 10.0, 30.0, 50.0), (60, 90))
    np.testing.assert_allclose(tall.on_photo(), expected.T, atol=1e-5)
    assert truth.centre_of_peak(tall) == (40, 26)
    assert tall.luck_on(mask.T) == pytest.approx(1 / 4, abs=1e-6)


def test_a_region_that_reaches_over_the_photos_edge_counts_on_the_photo_only() -> None:
    heat = made([[1.0, 1.0], [1.0, 1.0]], (-10.0, -6.0, 100.0, 66.0))
    left = np.zeros((60, 90), dtype=bool)
    left[:, :30] = True
    assert heat.on_photo().min() == pytest.approx(1) and heat.luck_on(left) == pytest.approx(1 / 3)


def test_a_picture_of_97_by_224() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 8, stride=8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        network[0].weight.fill_(1 / 192)
        network[0].bias.zero_()
        network[3].weight.copy_(torch.tensor([[1.0, 2.0], [-1.0, 0.0]]))
    picture = torch.zeros(3, 97, 224)
    picture[:, 80:88, 40:48] = 12 * 28.0  # row 11 and column 6 of 12 × 28
    heat = ll.explain(network, picture, 0, layer="0")
    expected = torch.zeros(12, 28)
    expected[10, 5] = 12 * 28 * (1 + 2) / (12 * 28)
    torch.testing.assert_close(heat.values, expected)
    assert heat.region == (0.0, 0.0, 224.0, 97.0) and heat.photo.image.size == (224, 97)
    assert truth.centre_of_peak(heat) == (int(97 * 10.5 / 12), int(224 * 5.5 / 28))


def test_a_tensors_region_has_width_before_height() -> None:
    photos, _, (region,) = inputs.ready(torch.rand(1, 3, 20, 50), Explainable(nn.Identity()))
    assert region == (0.0, 0.0, 50.0, 20.0) and photos[0].image.size == (50, 20)


# --- two pictures -----------------------------------------------------------------------------------------------------


class Tokens(nn.Module):
    """A class token that differs from picture to picture, before six patches; both have a part in the score."""

    def __init__(self) -> None:
        super().__init__()
        self.cut = nn.Conv2d(3, 2, 4, stride=4, bias=False)
        self.norm = nn.Identity()
        with torch.no_grad():
            self.cut.weight.copy_(torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)))

    def forward(self, x: Tensor) -> Tensor:
        patches = self.cut(x).flatten(2).mT
        own = patches.amax(dim=1, keepdim=True) + x.mean(dim=(1, 2, 3)).view(-1, 1, 1)
        tokens = self.norm(torch.cat([own, patches], dim=1))
        return (tokens[:, :1] * tokens[:, 1:]).sum(dim=(1, 2))[:, None] * torch.tensor([1.0, -2.0])


TWO = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(5)) * torch.tensor([1.0, -3.0]).view(2, 1, 1, 1)


@pytest.mark.parametrize("method", [ll.gradcam, ll.hirescam, ll.ablationcam, ll.scorecam, ll.eigencam])
def test_each_picture_of_a_batch_keeps_its_own_class_token(method: Method) -> None:
    both = ll.explain(Tokens(), TWO, [0, 1], layer="norm", method=method)
    for picture, asked, heat in zip(TWO, (0, 1), both, strict=True):
        alone = ll.explain(Tokens(), picture, asked, layer="norm", method=method)
        torch.testing.assert_close(heat.values, alone.values, rtol=1e-4, atol=1e-5)
        assert heat.score == pytest.approx(alone.score, rel=1e-5) and heat.values.shape == (2, 3)


def test_ablating_a_channel_of_tokens_by_hand_in_each_picture_of_a_batch() -> None:
    network = Tokens()
    for picture, heat in zip(TWO, ll.explain(network, TWO, 0, layer="norm", method=ll.ablationcam), strict=True):
        A = network.cut(picture[None]).detach()[0]
        own = A.flatten(1).amax(dim=1) + picture.mean()
        each = own * A.sum(dim=(1, 2))  # what each channel adds to the score; without its patches it adds nothing
        torch.testing.assert_close(
            heat.values, ((each / each.sum().abs())[:, None, None] * A).sum(0), rtol=1e-4, atol=1e-5
        )


def test_tokens_of_each_picture_lose_their_own_special_tokens() -> None:
    given = torch.arange(2 * 8 * 3.0).view(2, 8, 3)
    read = layouts.tokens(given, (2, 3))
    assert read[0, 0].tolist() == [[6, 9, 12], [15, 18, 21]] and read[1, 2].tolist() == [[32, 35, 38], [41, 44, 47]]


def test_attention_is_rolled_out_for_each_picture_from_its_own_class_token(monkeypatch: pytest.MonkeyPatch) -> None:
    from lessons_lib.baselines.attention import Attended, Listener
    from lessons_lib.core.engine.places.trace import Followed

    W = torch.tensor(
        [[[0.2, 0.5, 0.3], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [[0.6, 0.0, 0.4], [0.5, 0.5, 0.0], [0, 1, 0]]]
    )
    model = Explainable(nn.Identity(), layout=partial(layouts.tokens, grid=(1, 2)))
    pictures = torch.zeros(2, 3, 8, 16)

    def attended(listener: Listener, _outputs: Any, batch: Tensor) -> Attended:
        assert listener.network is model.network and batch is pictures
        return Attended([W[:, None], W[:, None].flip(0)], Followed((None,), "", (0.0, 0.0, 16.0, 8.0)), [])

    monkeypatch.setattr(Listener, "attended", attended)
    one, other = ll.attention_rollout(model, pictures)
    assert [heat.region for heat in (one, other)] == [(0.0, 0.0, 16.0, 8.0)] * 2
    # Row 0 of (W' + 1)/2 · (W + 1)/2, where W' is the other picture's.
    torch.testing.assert_close(one.values, torch.tensor([[0.8 * 0.25 + 0.0 * 1, 0.8 * 0.15 + 0.2 * 1]]))
    second = torch.tensor([0.6, 0.25, 0.15]) @ torch.tensor([[0.8, 0.0, 0.2], [0.25, 0.75, 0.0], [0.0, 0.5, 0.5]])
    torch.testing.assert_close(other.values, second[None, 1:])


# --- one ReLU in two places -------------------------------------------------------------------------------------------


class Shares(nn.Module):
    """Pixel → three units → ReLU → two units → the same ReLU → a score."""

    def __init__(self, last: list[float]) -> None:
        super().__init__()
        self.second, self.relu, self.last = nn.Conv2d(3, 2, 1, bias=False), nn.ReLU(), torch.tensor(last)[:, None]
        self.second.weight.data = torch.tensor([[1.0, 1.0, 1.0], [-2.0, 1.0, 1.0]])[:, :, None, None]

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.second(self.relu(x))).flatten(1) @ self.last


@pytest.mark.parametrize(
    ("last", "length"),
    [
        # Backwards, (1 − 1.5, 1 + 0.75, 1.75): the first is stopped, as negative; the third, as its input was.
        ([1.0, 0.75], 1.75),
        # The second unit is stopped where the ReLU is used last; then (1, 1, 1), and again the third is stopped.
        ([1.0, -1.0], 2**0.5),
    ],
)
def test_a_relu_that_is_used_twice_guides_twice(last: list[float], length: float) -> None:
    heat = guided_backprop(Shares(last), torch.tensor([3.0, 7.0, -5.0])[:, None, None], 0)
    assert heat.values.item() == pytest.approx(length)


# --- negative numbers -------------------------------------------------------------------------------------------------

A = torch.tensor([[[-1.0, 2.0]], [[3.0, -4.0]]])
_TOP = 15 + math.sqrt(221)  # the larger eigenvalue of AᵀA = [[5, −11], [−11, 25]]
_V = torch.tensor([-11.0, _TOP - 5]) / math.hypot(11, _TOP - 5)
_S = torch.tensor([-3.75, 2.75]).softmax(dim=0)  # of the picture through either map, both scaled to 0…1
PAPERS_EIGENCAM = partial(ll.eigencam, centred=False)
NEGATIVE: dict[Method, list[float]] = {
    # The gradients are 0.5, −1 and 1, 0.5; their means −0.25 and 0.75; the score −1.25.
    ll.gradcam: [0.25 + 2.25, -0.5 - 3],
    ll.hirescam: [-0.5 + 3, -2 - 2],
    ll.layercam: [-0.5 + 3, 0 - 2],
    ll.xgradcam: [2.5 - 3, -5 + 4],  # the maps add up to 1 and −1, the products to −2.5 and 1
    ll.gradcam_plus_plus: [-0.2 + 4, 0.4 - 16 / 3],  # α: 1/2.5; 1/1 and 1/1.5
    ll.ablationcam: [2 + 2.4, -4 - 3.2],  # without the maps the score is 1.25 and −2.25
    PAPERS_EIGENCAM: [-float(_V @ A[:, 0, 0]), -float(_V @ A[:, 0, 1])],  # the strongest cell, −4.47, becomes positive
}


@pytest.mark.parametrize("method", NEGATIVE, ids=lambda method: getattr(method, "__name__", "eigencam"))
def test_negative_activations_and_a_negative_score_by_hand(method: Method) -> None:
    linear = nn.Linear(4, 1)
    linear.weight.data, linear.bias.data = torch.tensor([[0.5, -1.0, 1.0, 0.5]]), torch.tensor([0.25])
    heat = ll.explain(Ended(nn.Sequential(nn.Flatten(), linear)), A, 0, layer="features", method=method)
    assert heat.score == -1.25
    assert heat.values[0].tolist() == pytest.approx(NEGATIVE[method], abs=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
def test_eigencams_strongest_cell_is_positive_whichever_sign_the_decomposition_gives(
    sign: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.linalg, "svd", lambda cells, full_matrices: Turned(sign * _V[None, None]))
    heat = ll.explain(
        Ended(nn.Sequential(nn.Flatten(), nn.Linear(4, 1))), A, 0, layer="features", method=PAPERS_EIGENCAM
    )
    assert heat.values[0].tolist() == pytest.approx(NEGATIVE[PAPERS_EIGENCAM], abs=1e-5)


class Turned(NamedTuple):
    """A singular value decomposition, which leaves the sign of its directions open."""

    Vh: Tensor


def test_scorecam_of_negative_activations_by_hand() -> None:
    linear = nn.Linear(4, 1)
    linear.weight.data, linear.bias.data = torch.tensor([[0.5, -1.0, 1.0, 0.5]]), torch.tensor([0.25])
    heat = ll.explain(Ended(nn.Sequential(nn.Flatten(), linear)), A, 0, layer="features", method=ll.scorecam)
    # Through the first map (0, 1) of the picture stay 2 and −4; through the second (1, 0), −1 and 3.
    assert heat.values[0].tolist() == pytest.approx((_S @ A[:, 0]).tolist(), abs=1e-5)


def test_cam_of_negative_activations_by_hand() -> None:
    linear = nn.Linear(2, 1)
    linear.weight.data = torch.tensor([[2.0, -1.0]])
    network = Ended(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear))
    assert ll.explain(network, A, 0, layer="features", method=ll.cam).values.tolist() == [[-5.0, 8.0]]


def test_what_speaks_against_is_neither_heat_nor_moved_nor_fused() -> None:
    whole = (0.0, 0.0, 90.0, 60.0)
    one, other = made([[-5.0, 1.0, 1.0]], whole), made([[-1.0, 2.0, -9.0]], whole)
    assert one.normalised().tolist() == [[0, 1, 1]] and other.normalised().tolist() == [[0, 1, 0]]
    assert truth.moved(one, other) == pytest.approx(0.5)
    assert ll.fuse([one, other]).values.tolist() == [[0, 1, 0.5]]
    assert made([[-5.0, -1.0, -2.0]], whole).peak == (0, 1) and truth.moved(made([[-1.0]], whole), one) == 1
