"""The default layer is chosen by what it does: stand-ins for networks that other packages make."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.swin_transformer import PatchMerging, PatchMergingV2, SwinTransformer, SwinTransformerBlockV2

import lessons_lib as ll

X = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def block(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, 1), nn.BatchNorm2d(after), nn.ReLU(inplace=True))


class Unet(nn.Module):
    """As in segmentation-models-pytorch: no `backbone`, skips, a 3 × 3 head."""

    def __init__(self, classes: int, head: int = 3) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.down = nn.ModuleList([block(3, 8, 2), block(8, 16, 2), block(16, 32, 2)])
        self.up = nn.ModuleList([block(48, 16), block(24, 8), block(8, 8)])
        self.head = nn.Sequential(nn.Conv2d(8, classes, head, padding=head // 2), nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        kept = [x]
        for one in self.down:
            kept.append(one(kept[-1]))
        y = kept.pop()
        for one, skip in zip(self.up, [kept[2], kept[1], None], strict=True):
            y = F.interpolate(y, scale_factor=2)
            y = one(y if skip is None else torch.cat([y, skip], dim=1))
        return self.head(y)


class Yolo(nn.Module):
    """Two levels, each with its class logits and its edges by convolutions of 1 × 1, laid side by side: N×(4+K)×A."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.stem, self.deep = (
            nn.Sequential(block(3, 8, 2), block(8, 8, 2)),
            nn.Sequential(block(8, 16, 2), block(16, 16)),
        )
        self.neck = block(24, 16)
        self.classes = nn.ModuleList([nn.Sequential(block(16, 16), nn.Conv2d(16, 5, 1)) for _ in range(2)])
        self.edges = nn.ModuleList([nn.Sequential(block(16, 16), nn.Conv2d(16, 4, 1)) for _ in range(2)])

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        fine = self.stem(x)
        deep = self.deep(fine)
        levels = [self.neck(torch.cat([fine, F.interpolate(deep, scale_factor=2)], dim=1)), deep]
        found = [torch.cat([e(one), c(one)], 1) for one, e, c in zip(levels, self.edges, self.classes, strict=True)]
        return torch.cat([one.flatten(2) for one in found], dim=2), found


class Fcn(nn.Module):
    """The answer is read from the coarsest maps, pointwise, and enlarged."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.body, self.feature = nn.Sequential(block(3, 8, 2), block(8, 16, 2)), block(16, 16)
        self.head = nn.Sequential(nn.Conv2d(16, 8, 1), nn.ReLU(), nn.Conv2d(8, classes, 1))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        small = self.head(self.feature(self.body(x)))
        return {"out": F.interpolate(small, x.shape[2:], mode="bilinear")}


PLACES: dict[str, tuple[nn.Module, Any, str]] = {
    "a U-Net of one class": (Unet(1), ll.PixelScore(20, 20), "down.2"),
    "a U-Net of one class, its region": (Unet(1), ll.RegionScore(0), "down.2"),
    "a U-Net's corner": (Unet(3), ll.PixelScore(0, 0, 1), "down.2"),
    "a U-Net of three": (Unet(3), ll.PixelScore(20, 20, 1), "down.2"),
    "a U-Net, by a function": (Unet(3, head=1), lambda output: output[1, 20, 20], "down.2"),
    "a fine anchor of a YOLO": (Yolo(), lambda output: output[0][4 + 3, 8 * 16 + 8], "deep"),
    "a coarse anchor of a YOLO": (Yolo(), lambda output: output[0][4 + 3, 256 + 4 * 8 + 4], "deep"),
    "an edge of a YOLO": (Yolo(), lambda output: output[0][0, 8 * 16 + 8], "deep"),
    "one class, pointwise": (Fcn(1), ll.PixelScore(20, 20), "body"),
    "three classes, pointwise": (Fcn(3), lambda output: output["out"][1, 20, 20], "body"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", PLACES)
def test_where_a_place_is_asked_about_the_answer_itself_is_not_taken(what: str) -> None:
    network, target, layer = PLACES[what]
    (heat,) = ll.explain(network.eval(), X, target, method=ll.hirescam)
    assert heat.layer == layer
    assert heat.describe().endswith("the last of the coarsest that have a say")
    assert int((heat.values != 0).sum()) >= 4, "and more speaks than the place itself"


class Ended(nn.Module):
    """Ends in an average, with a norm of each cell before it, in the order of axes of a Swin."""

    def __init__(self, norm: Callable[[Tensor], Tensor], class_token: bool = False) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.body = nn.Sequential(block(3, 16, 4), block(16, 16, 2))
        self.norm, self.permute, self.head = norm, nn.Identity(), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.body(x).permute(0, 2, 3, 1))
        return self.head(self.permute(y.permute(0, 3, 1, 2)).mean(dim=(2, 3)))


class Rms(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / (x.square().mean(dim=-1, keepdim=True) + 1e-9).sqrt()


@pytest.mark.parametrize(("norm", "layer"), [(nn.LayerNorm(16), "body"), (Rms(), "body"), (nn.Tanh(), "permute")])
def test_before_a_norm_that_an_average_follows_and_not_behind_it(norm: Any, layer: str) -> None:
    (heat,) = ll.explain(Ended(norm).eval(), X, 1)
    assert heat.layer == layer
    assert heat.describe().endswith("before the norm that ends the network" if layer == "body" else "that has a say")


def _small(kind: str) -> nn.Module:
    torch.manual_seed(0)
    sizes = {"embed_dim": 16, "depths": [2, 2], "num_heads": [2, 2]}
    if kind == "timm":
        return timm.models.SwinTransformer(img_size=64, window_size=4, num_classes=4, **sizes)  # type: ignore[arg-type]
    block = SwinTransformerBlockV2 if kind == "V2" else None
    merge = PatchMergingV2 if kind == "V2" else PatchMerging
    return SwinTransformer(
        [4, 4],
        window_size=[4, 4],
        num_classes=4,
        block=block,
        downsample_layer=merge,
        stochastic_depth_prob=0.0,
        **sizes,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "layer"), [("torchvision", "features"), ("V2", "features"), ("timm", "layers")])
def test_a_bare_swin_is_explained_before_its_last_norm(kind: str, layer: str) -> None:
    network = _small(kind).eval()
    (heat,) = ll.explain(network, X, 1)
    assert heat.layer == layer
    assert heat.describe().endswith("the last before the norm that ends the network")


@pytest.mark.slow
def test_lesson_10s_swin_without_its_record_is_explained_where_the_lesson_says() -> None:
    model = ll.models.swin()
    x = model.transform(ll.collage.scene(8).image)[None]
    (bare,) = ll.explain(model.network, x, 0)
    (told,) = ll.explain(model, x, 0)
    assert told.layer == "features.5.1"
    torch.testing.assert_close(bare.values, told.values)
    rows = ll.metrics.stored("swin")
    before, behind = rows["features.5.1"]["gradcam"], rows["norm"]["gradcam"]
    assert before["own"] > 2 * behind["own"] and before["peak"] > behind["peak"]


class Adapted(nn.Module):
    """A low-rank adapter around a projection, as peft makes it: no `nn.Linear`, and idle as long as `up` is zero."""

    def __init__(self, own: nn.Linear) -> None:
        super().__init__()
        self.own, self.down, self.up = own, nn.Linear(own.in_features, 2, bias=False), nn.Linear(2, own.out_features)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.own(x) + 0.5 * self.up(self.down(x))


class Added(Adapted):
    """As loralib: what the adapter makes is added in place."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.own(x)
        y += self.up(self.down(x)) * 0.5
        return y


class Attending(nn.Module):
    """A block of a vision transformer: the class token reads the patches through keys and values."""

    def __init__(self, wrap: Callable[[nn.Linear], nn.Module]) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.patches, self.token = nn.Conv2d(3, 16, 8, 8), nn.Parameter(torch.randn(1, 1, 16))
        self.norm = nn.LayerNorm(16)
        self.q_proj, self.k_proj, self.v_proj = (wrap(nn.Linear(16, 16)) for _ in range(3))
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(torch.cat([self.token.expand(len(x), 1, 16), self.patches(x).flatten(2).mT], dim=1))
        y = y + F.scaled_dot_product_attention(self.q_proj(y), self.k_proj(y), self.v_proj(y))
        return self.head(y[:, 0])


@pytest.mark.parametrize("wrap", [lambda one: one, Adapted, Added, lambda one: nn.Sequential(one, nn.Dropout())])
def test_projections_are_not_taken_whatever_wraps_them(wrap: Any) -> None:
    network = Attending(wrap).eval()
    assert ll.explain(network, X, 1)[0].layer == "norm"
    assert not [one.layer for one in ll.layers(network, X, 1) if "_proj" in one.layer]


@pytest.mark.parametrize("inplace", [True, False])
def test_the_activation_is_taken_and_not_what_an_in_place_one_overwrites(inplace: bool) -> None:
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    ).eval()
    (heat,) = ll.explain(network, X, 1)
    assert heat.layer == "2"
    A = network[:3](X).detach()
    torch.testing.assert_close(heat.values, (network[5].weight[1, :, None, None] * A[0]).sum(0).detach() / 32**2)


class Kept(nn.Module):
    """Runs a copy of itself, which it keeps: as ultralytics' YOLO does."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(block(3, 8, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)).eval()
        self.runs: list[nn.Module] = []

    def forward(self, x: Tensor) -> Tensor:
        if not self.runs:
            self.runs.append(copy.deepcopy(self.model))
        return self.runs[0](x)


@pytest.mark.parametrize("options", [{}, {"layer": "model.0"}])
def test_a_network_that_runs_a_copy_of_itself_is_told_and_the_copy_goes_on_working(options: Any) -> None:
    network = Kept()
    with pytest.raises(ValueError, match=r"ran in its forward pass|did not run in this forward pass") as told:
        ll.explain(network, X, 1, **options)
    if not options:
        assert "Give the network that runs, perhaps `network.model`." in str(told.value)
    assert network(X).shape == (1, 4)
    assert ll.explain(network.model, X, 1)[0].layer == "0"
