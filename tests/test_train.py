"""Recipes: the loop, what it is fed, the same weights from the same seed, and the command line."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lessons_lib.core.preprocess import Preprocess
from lessons_lib.models import weights
from lessons_lib.photos.collage import KINDS, Scenes
from tools.recipes import fitting, train
from tools.recipes.places import unwritable

pytestmark = pytest.mark.slow


@pytest.mark.proof
@pytest.mark.parametrize("name", ["flat_cnn", "detector"])
def test_two_runs_of_a_recipe_give_the_same_weights(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Eight scenes for what would be 128, drawn in this process.
    monkeypatch.setattr(train, "rendered", lambda length, seed, workers: fitting.rendered(8, seed))
    one, same, other = (weights.trained(train.make(name, seed=seed, steps=2)) for seed in (1, 1, 2))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)
    assert not torch.are_deterministic_algorithms_enabled()


class Head(nn.Module):
    """One frozen and one free weight, and a layer that differs between the modes."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Parameter(torch.ones(3), requires_grad=False)
        self.free = nn.Parameter(torch.zeros(3))
        self.modes: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append(self.training)
        return (self.frozen * self.free * x.mean((2, 3))).sum(1)


def test_fit_takes_the_given_steps_trains_what_is_free_and_ends_in_eval_mode() -> None:
    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield torch.ones(2, 3, 4, 4), torch.ones(2)

    network = Head().eval()
    fitting.fit(network, batches(), lambda n, x, y: ((n(x) - y) ** 2).mean(), steps=300, rate=0.05)
    assert network.modes == [True] * 300
    assert not network.training
    assert torch.equal(network.frozen, torch.ones(3))
    assert network(torch.ones(1, 3, 4, 4)).item() == pytest.approx(1, abs=0.01)


def test_rendered_pictures_are_what_a_record_makes_of_the_scene_and_labels_are_its_kinds() -> None:
    pictures, label_maps = fitting.rendered(6, seed=5)
    present = fitting.present(label_maps)
    transform = Preprocess(112, 112, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    for index in range(6):
        scene = Scenes(6, seed=5).scene(index)
        assert torch.equal(pictures[index], (transform(scene.image) * 255).round().byte())
        assert torch.equal(label_maps[index], torch.as_tensor(scene.label_map)[::2, ::2])
        named = {KINDS[kind] for kind in present[index].nonzero().flatten()}
        assert named == {item.name for item in scene.objects}


def test_augmented_gives_each_picture_once_mirrored_and_shifted_with_its_own_truth() -> None:
    side, count = 24, 12
    random = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=random)
    label_maps = pictures[:, 0] % 6
    label_maps[:4] %= 3
    places = [(mirrored, right, down) for mirrored in (False, True) for right in range(-8, 9) for down in range(-8, 9)]
    made: dict[bytes, list[tuple[int, bool, int, int]]] = {}
    for index, place in product(range(count), places):
        made.setdefault(_moved(pictures[index], *place).numpy().tobytes(), []).append((index, *place))
    feed = fitting.augmented(pictures, label_maps, batch=4)
    seen, moves = [], set()
    for _ in range(3):
        pixels, truth = next(feed)
        for one, label_map, labels in zip(pixels, truth["label_map"], truth["present"], strict=True):
            ((index, *move),) = made[((one + 1) * 127.5).round().byte().numpy().tobytes()]
            assert torch.equal(label_map, _moved(label_maps[index][None], *move)[0])
            assert labels.tolist() == [float((label_maps[index] == 1 + kind).any()) for kind in range(5)]
            seen.append(index)
            moves.add(tuple(move))
    assert sorted(seen) == list(range(count))
    assert {mirrored for mirrored, _, _ in moves} == {False, True}
    assert len({right for _, right, _ in moves}) > 4
    assert len({down for _, _, down in moves}) > 4


def _moved(picture: Tensor, mirrored: bool, right: int, down: int) -> Tensor:
    """Return the picture shifted (its border repeated) and then mirrored."""
    side = picture.shape[-1]
    padded = nn.functional.pad(picture[None].float(), (8, 8, 8, 8), mode="replicate")[0].byte()
    shifted = padded[:, 8 + down : 8 + down + side, 8 + right : 8 + right + side]
    return shifted.flip(2) if mirrored else shifted


class Tokens(nn.Module):
    """A vision transformer's skeleton with known numbers: 2 × 2 patches of 4 pixels, and a class token before them."""

    image_size, patch_size = 8, 4

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Identity()
        self.heads = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        logits = torch.full((1, 5, 5), -2.0)
        logits[0, 0, 0] = logits[0, 2, 0] = 4.0  # the class token and the second patch, top right, say kind 0
        return self.heads(self.encoder(logits)[:, 0])


def test_token_loss_asks_each_patch_which_kinds_cover_a_quarter_of_it_and_counts_that_five_times() -> None:
    label_map = torch.zeros(1, 8, 8, dtype=torch.uint8)
    label_map[:, :4, 4] = 1  # a quarter of the patch at the top right
    label_map[:, 5:6, :3] = 2  # less than a quarter of the patch at the bottom left: not covered
    truth = {"present": torch.tensor([[1.0, 0, 0, 0, 0]]), "label_map": label_map}
    network = Tokens()
    loss = fitting.token_loss(network, torch.zeros(1, 3, 8, 8), truth)  # type: ignore[arg-type]
    absent, sure = torch.tensor(2.0), torch.tensor(4.0)
    no = (-absent).exp().log1p()  # −log σ(2)
    yes = (-sure).exp().log1p()
    expected = (yes + 4 * no) / 5 + 5 * (yes + 19 * no) / 20
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert not network.encoder._forward_hooks


def test_patch_loss_asks_each_cell_and_its_head_is_trained_along() -> None:
    label_map = torch.zeros(1, 8, 8, dtype=torch.uint8)
    label_map[:, 4:, :4] = 3  # the cell at the bottom left of 2 × 2
    truth = {"present": torch.tensor([[0.0, 0, 1, 0, 0]]), "label_map": label_map}

    class Windows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.Identity()
            self.free = nn.Parameter(torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            cells = torch.zeros(1, 2, 2, 1)
            cells[0, 1, 0] = 1.0
            return torch.full((1, 5), 0.0) + 0 * self.norm(cells).sum() + self.free

    network, loss = Windows(), fitting.PatchLoss("norm", 1)
    nn.init.zeros_(loss.head.bias)
    loss.head.weight.data = torch.tensor([[-3.0], [0.0], [3.0], [0.0], [0.0]])
    half, sure = torch.tensor(2.0).log(), torch.tensor(-3.0).exp().log1p()
    value = loss(network, torch.zeros(1, 3, 8, 8), truth)
    assert value.item() == pytest.approx((half + (18 * half + 2 * sure) / 20).item(), rel=1e-5)

    before = loss.head.weight.detach().clone()
    fitting.fit(network, iter([(torch.zeros(1, 3, 8, 8), truth)] * 2), loss, steps=2, rate=0.1)
    assert not torch.equal(loss.head.weight, before)


def test_box_loss_adds_the_four_losses_and_counts_the_background_as_class_0() -> None:
    given: dict[str, Any] = {}

    def network(pixels: Tensor, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        given.update(targets[0])
        return {"a": torch.tensor(1.0), "b": torch.tensor(2.5)}

    truth = [{"boxes": torch.ones(1, 4), "labels": torch.tensor([0]), "masks": torch.ones(1, 2, 2)}]
    assert fitting.box_loss(network, torch.zeros(1, 3, 2, 2), truth) == 3.5  # type: ignore[arg-type]
    assert given["labels"].tolist() == [1]
    assert torch.equal(given["boxes"], torch.ones(1, 4))


def test_region_loss_is_the_cross_entropy_of_each_pixels_class() -> None:
    logits = torch.tensor([[0.0, 0.0], [1.0, 3.0]]).reshape(1, 2, 1, 2)  # two classes, two pixels
    truth = [{"label_map": torch.tensor([[1, 0]], dtype=torch.uint8)}]
    loss = fitting.region_loss(lambda pixels: {"out": logits}, torch.zeros(1, 3, 1, 2), truth)  # type: ignore[arg-type]
    expected = (torch.tensor([-1.0, 3.0]).exp().add(1).log()).mean()
    assert loss.item() == pytest.approx(expected.item())


def test_label_loss_is_the_binary_cross_entropy_of_each_label() -> None:
    logits = torch.tensor([[2.0, -1.0]])  # both exact in bfloat16
    loss = fitting.label_loss(lambda pixels: logits, torch.zeros(1, 3, 2, 2), {"present": torch.tensor([[1.0, 1.0]])})  # type: ignore[arg-type]
    expected = (torch.tensor([-2.0, 1.0]).exp().add(1).log()).mean()
    assert loss.item() == pytest.approx(expected.item())


@pytest.fixture
def nothing_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no guard that is broken train for minutes, or write over the stored weights and cards."""
    for home, name in (
        *((train, name) for name in ("make", "all_of", "score", "write_card")),
        *((train.weights, name) for name in ("save", "path_of")),
        (train.cards, "rewrite"),
    ):
        monkeypatch.setattr(home, name, lambda *_, name=name: pytest.fail(f"past its guards, the command calls {name}"))


@pytest.mark.usefixtures("nothing_is_made")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["vitt"], "there is no recipe 'vitt'; near it: vit"),
        (["--score", "swim"], "there is no recipe 'swim'; near it: swin"),
        (["all"], "there is no recipe 'all'"),
        ([], "name one model to make, or one to score"),
        (["vit", "--score", "vit"], "name one model to make, or one to score"),
        (["vit", "--write"], "--write goes with --score"),
        (["vit", "--seed", "2000000"], "the seed must be from 0 to 1999999: 2000000 draws the held-out scenes"),
        (["vit", "--seed", "-1"], "the seed must be from 0"),
    ],
)
def test_wrong_arguments_get_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        train.main(arguments)
    assert sentence in capsys.readouterr().err


@pytest.mark.usefixtures("nothing_is_made")
def test_what_cannot_be_written_stops_before_the_first_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = tmp_path / "weights"
    taken.touch()  # a file where the folder should be: not even root can write into that
    monkeypatch.setattr(weights, "path_of", lambda name: taken / f"{name}.safetensors")
    for arguments in (["vit"], ["--score", "all", "--write"]):
        with pytest.raises(SystemExit):
            train.main(arguments)
        said = capsys.readouterr().err
        assert "error: data/weights can't be written here (" in said
        assert said.endswith("): give yourself the right to, or work in a copy of the repository\n")


def test_a_file_that_may_not_be_changed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("vit.md", "vit.safetensors"):
        (tmp_path / name).touch()
    assert unwritable(tmp_path) == ""
    monkeypatch.setattr("os.access", lambda file, _mode: Path(file).suffix != ".md")  # root may change any file
    assert "(no right to change vit.md)" in unwritable(tmp_path)


@pytest.mark.usefixtures("nothing_is_made")
def test_a_gpu_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        train.main(["vit", "--device", "cuda"])
    assert "this machine has no GPU that torch can use: leave out --device" in capsys.readouterr().err
