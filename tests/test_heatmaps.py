"""Where the heat lies on the photo, how it is counted, and what is said of it."""

import copy
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

import lessons_lib as ll
from lessons_lib.core.preprocess import Preprocess
from lessons_lib.core.records import Explainable, Outlined, Photo

CELL = 32


class FindsDots(nn.Module):
    """A network whose answer is known: one map, a tent of light around each cell's centre, so a dot between two cells
    lights both in proportion, and the map's centre of mass is the dot's place."""

    def __init__(self) -> None:
        super().__init__()
        rise = 1 - (torch.arange(2 * CELL) + 0.5 - CELL).abs() / CELL
        self.features = nn.Conv2d(3, 1, 2 * CELL, stride=CELL, padding=CELL // 2, bias=False)
        self.features.weight.data = (rise[:, None] * rise[None, :]).expand(1, 3, -1, -1).clone()
        self.fc = nn.Linear(1, 1)
        self.fc.weight.data, self.fc.bias.data = torch.ones(1, 1), torch.zeros(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x).mean(dim=(2, 3)))


def seen_through(resize: int | None, crop: int | None) -> Explainable:
    return Explainable(FindsDots(), "features", Preprocess(resize, crop, (0, 0, 0), (1, 1, 1)))


def with_dot(width: int, height: int, x: float, y: float, size: int = 9) -> Photo:
    """A black photo with one white square whose middle is at (x, y), counted from the left and upper edge."""
    pixels = np.zeros((height, width, 3), np.uint8)
    left, top = round(x - size / 2), round(y - size / 2)
    pixels[top : top + size, left : left + size] = 255
    mask = pixels[..., 0] > 0
    return Photo(Image.fromarray(pixels), (Outlined("dot", mask),))


def middle(weights: np.ndarray) -> tuple[float, float]:
    total = weights.sum(dtype=np.float64)
    across, down = weights.sum(axis=0, dtype=np.float64), weights.sum(axis=1, dtype=np.float64)
    x = float(across @ (np.arange(len(across)) + 0.5)) / total
    y = float(down @ (np.arange(len(down)) + 0.5)) / total
    return x, y


# Sizes whose input is filled by whole cells, so that a cell is 32 pixels of what the network sees.
CROPPED = [
    (*size, *view) for size in [(600, 400), (400, 600), (451, 300), (301, 512)] for view in [(256, 224), (320, 160)]
]
WHOLE = [(600, 400, 256, None), (400, 600, 256, None), (384, 256, None, None), (256, 384, None, None)]


@pytest.mark.parametrize(("width", "height", "resize", "crop"), [*CROPPED, *WHOLE])
def test_the_heat_lies_on_the_dot_in_the_photo(width: int, height: int, resize: int | None, crop: int | None) -> None:
    model = seen_through(resize, crop)
    left, top, right, bottom = model.transform.region(width, height)
    cell = CELL * width / (width if resize is None else int(resize * width / min(width, height)))
    keep = 1.7 * cell  # nearer to the edge a part of the heat is cut off
    for across, down in [(0, 0), (1, 0), (0, 1), (0.5, 0.5), (0.31, 0.84)]:
        x, y = (a + keep + f * (b - a - 2 * keep) for a, b, f in ((left, right, across), (top, bottom, down)))
        photo = with_dot(width, height, x, y)
        heat = ll.explain(model, photo)
        assert middle(heat.on_photo()) == pytest.approx(middle(photo.objects[0].mask), abs=0.03 * cell)
        assert heat.photo is photo and heat.on_photo().shape == (height, width)


def test_the_region_is_what_the_crop_shows() -> None:
    # 600 × 400 → 384 × 256 → the middle 224 × 224: 80 and 16 pixels are cut away, 125 and 25 of the photo's.
    assert Preprocess(256, 224).region(600, 400) == pytest.approx((125, 25, 475, 375))
    assert Preprocess(256, 224).region(400, 600) == pytest.approx((25, 125, 375, 475))
    assert Preprocess(256, None).region(600, 400) == (0, 0, 600, 400)
    assert Preprocess(None, None).region(451, 300) == (0, 0, 451, 300)


def made(values: Tensor, photo: Photo, region: tuple[float, float, float, float] | None = None) -> ll.Heatmap:
    whole = (0.0, 0.0, float(photo.image.width), float(photo.image.height))
    return ll.Heatmap(values, photo, region or whole, "tiger cat 0.38", "gradcam", "bn2")


def plain(width: int, height: int, **objects: np.ndarray) -> Photo:
    return Photo(Image.new("RGB", (width, height)), tuple(Outlined(name, mask) for name, mask in objects.items()))


@pytest.mark.parametrize(("width", "height"), [(60, 40), (41, 67), (7, 5)])
def test_on_a_whole_photo_the_heat_is_bilinear_between_the_cells_centres(width: int, height: int) -> None:
    values = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(values.relu()[None, None], (height, width), mode="bilinear", align_corners=False)[0, 0]
    found = made(values, plain(width, height)).on_photo()
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-6)


def test_outside_the_region_there_is_no_heat_and_inside_it_is_the_crops() -> None:
    values = torch.rand(3, 4, generator=torch.Generator().manual_seed(0)) + 1
    found = made(values, plain(60, 50), (10, 20, 50, 44)).on_photo()
    inside = F.interpolate(values[None, None], (24, 40), mode="bilinear", align_corners=False)[0, 0]
    np.testing.assert_allclose(found[20:44, 10:50], inside.numpy(), atol=2e-6)
    found[20:44, 10:50] = 0
    assert not found.any()


def test_the_share_is_counted_in_the_photos_pixels() -> None:
    left = np.zeros((20, 30), bool)
    left[:, :12] = True
    even = made(torch.ones(2, 3), plain(30, 20))
    assert even.share_on(left) == pytest.approx(0.4)
    assert even.share_on(~left) == pytest.approx(0.6)
    # Half of the region's heat: the region is the columns 6 to 18.
    assert made(torch.ones(2, 3), plain(30, 20), (6, 0, 18, 20)).share_on(left) == pytest.approx(0.5)
    # What speaks against is not heat.
    assert made(torch.tensor([[1.0, -50.0]]), plain(30, 20)).share_on(left) == pytest.approx(34 / 45)
    assert made(-torch.ones(2, 3), plain(30, 20)).share_on(left) == 0


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"The mask is 30 × 20 and the photo 20 × 30: give a mask of"):
        made(torch.ones(2, 3), plain(30, 20)).share_on(np.ones((30, 20), bool))


def test_the_words_tell_the_peak_from_one_and_the_shares_largest_first() -> None:
    small, large = np.zeros((20, 30), bool), np.zeros((20, 30), bool)
    small[:, :3], large[:, 3:27] = True, True
    values = torch.ones(2, 3)
    photo = plain(30, 20, dog=small, cat=large)
    assert made(values, photo).describe() == (
        "tiger cat 0.38 · peak at row 1, column 1 of 2 × 3 · "
        "80 % of the heat on the cat (evenly spread: 80 %), 10 % on the dog (10 %)"
    )
    values[1, 2] = 1.001
    assert made(values, photo).describe().startswith("tiger cat 0.38 · peak at row 2, column 3 of 2 × 3 · 80 % ")
    assert made(values, photo).peak == (1, 2)
    assert made(values, plain(30, 20)).describe() == "tiger cat 0.38 · peak at row 2, column 3 of 2 × 3"


def test_copies_of_one_object_are_told_together_and_each() -> None:
    left, right, dog = (np.zeros((20, 30), bool) for _ in range(3))
    left[:, :3], right[:, 9:15], dog[:, 15:27] = True, True, True
    copies = (Outlined("cat", left), Outlined("dog", dog), Outlined("cat", right))
    photo = Photo(plain(30, 20).image, copies)
    assert photo.describe() == "picture · 30 × 20 pixels · known outline: 2 × cat, dog"
    assert ll.show.photo(photo, outlines=True).words.endswith(" · share of the picture: cat 10, 20 %, dog 40 %")
    words = "40 % of the heat on the dog (evenly spread: 40 %), 30 % on the 2 copies of cat (20, 10 %) (30 %)"
    assert made(torch.ones(2, 3), photo).describe().endswith(words)
    photo = Photo(photo.image, (Outlined("bottle of 2 % milk", dog),))
    words = "· 40 % of the heat on the bottle of 2 % milk (evenly spread: 40 %)"
    assert made(torch.ones(2, 3), photo).describe().endswith(words)
    photo = Photo(photo.image, (copies[0], copies[0]))  # what lies twice under a mask counts once
    words = "10 % of the heat on the 2 copies of cat (10, 10 %) (evenly spread: 10 %)"
    assert made(torch.ones(2, 3), photo).describe().endswith(words)


def test_luck_is_the_masks_share_of_what_the_network_saw() -> None:
    mask = np.zeros((20, 30), bool)
    mask[:, :6] = True
    heat = made(
        torch.tensor([[0.0, 0.0, -1.0], [0.0, 2.0, 0.0]]), plain(30, 20, cat=mask), region=(3.0, 0.0, 18.0, 20.0)
    )
    assert heat.luck_on(mask) == pytest.approx(3 / 15)
    assert heat.luck_on(~mask) == pytest.approx(12 / 15)
    assert "(evenly spread: 20 %)" in heat.describe()
    wide = made(torch.ones(1, 1), plain(30, 20), region=(0.0, 0.0, 60.0, 20.0))  # a margin that a detector adds
    assert wide.luck_on(mask) == pytest.approx(6 / 30)


def test_a_map_without_heat_says_so() -> None:
    heat = made(torch.tensor([[-1.0, 0.0, -2.0]]), plain(30, 20, cat=np.ones((20, 30), bool)))
    assert heat.describe() == "tiger cat 0.38 · no heat: nothing speaks for it at bn2"
    assert heat.normalised().tolist() == [[0, 0, 0]]


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-12, 1e-30, 1e12])
def test_the_scale_of_the_logits_changes_nothing_that_is_seen(scale: float) -> None:
    values = torch.randn(4, 6, generator=torch.Generator().manual_seed(3))
    photo = plain(60, 40, cat=np.arange(2400).reshape(40, 60) % 3 == 0)
    heat, scaled = made(values, photo), made(values * scale, photo)
    torch.testing.assert_close(scaled.normalised(), heat.normalised(), rtol=1e-5, atol=0)
    assert heat.normalised().max() == 1 and scaled.normalised().max() == 1
    assert scaled.describe() == heat.describe()
    drawn = [np.asarray(Image.open(BytesIO(one.show().png())), int) for one in (heat, scaled)]
    assert np.abs(drawn[0] - drawn[1]).max() <= 8  # a neighbouring shade of the colour map


@pytest.mark.parametrize("method", [ll.cam, ll.gradcam])
def test_a_network_of_tiny_logits_has_the_same_map(method: ll.methods.Method) -> None:
    photo = with_dot(60, 90, 22, 55)
    model, tiny = seen_through(None, None), seen_through(None, None)
    tiny.network.fc.weight.data *= 1e-12
    bright, dim = ll.explain(model, photo, method=method), ll.explain(tiny, photo, method=method)
    torch.testing.assert_close(dim.values, 1e-12 * bright.values, rtol=1e-5, atol=0)
    torch.testing.assert_close(dim.normalised(), bright.normalised(), rtol=1e-5, atol=0)


def test_one_picture_gives_one_map_and_a_batch_a_list_in_order() -> None:
    model = seen_through(64, 64)
    here, there = with_dot(96, 64, 30, 20), with_dot(64, 96, 40, 70)
    alone = ll.explain(model, here)
    both = ll.explain(model, [there, here])
    assert isinstance(alone, ll.Heatmap) and isinstance(both, list)
    assert [heat.photo for heat in both] == [there, here]
    assert torch.equal(both[1].values, alone.values) and not torch.equal(both[0].values, alone.values)
    (listed,) = ll.explain(model, [here])
    assert torch.equal(listed.values, alone.values)


def test_a_tensor_is_drawn_on_as_it_is_rows_first() -> None:
    batch = torch.zeros(2, 3, 64, 96)
    batch[0, :, 40:44, 70:74] = 1
    batch[1, :, 20:24, 30:34] = 1
    first, second = ll.explain(FindsDots(), batch, layer="features")
    assert first.values.shape == (2, 3) and first.photo.image.size == (96, 64)
    assert (first.peak, second.peak) == ((1, 2), (0, 0))
    assert np.array_equal(np.asarray(first.photo.image)[..., 0] > 0, batch[0, 0].numpy() > 0)
    alone = ll.explain(FindsDots(), batch[0], layer="features")
    assert isinstance(alone, ll.Heatmap) and torch.equal(alone.values, first.values)


def test_a_tensor_is_drawn_as_it_was_when_it_was_explained() -> None:
    x = torch.tensor([[[-1.0, 0.0], [0.5, float("nan")]]]).expand(3, 2, 2).clone()
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    with pytest.warns(UserWarning, match="not finite"):
        photo = ll.explain(network, x, 0, layer="0").photo
    x.zero_()
    assert np.asarray(photo.image).tolist() == [[[0] * 3, [170] * 3], [[255] * 3, [170] * 3]]
    again = replace(copy.deepcopy(photo), title="a tensor")
    assert again.describe() == "a tensor · 2 × 2 pixels" and again.image.tobytes() == photo.image.tobytes()
