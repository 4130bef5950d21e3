"""Attention rollout: the attention that the network used, rolled out as the paper says, and deaf to the class."""

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer, swin_t

import lessons_lib as ll

PICTURES = torch.randn(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))


def of_torchvision() -> nn.Module:
    torch.manual_seed(3)
    return VisionTransformer(32, 8, num_layers=3, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=4).eval()


def of_timm(**options: Any) -> nn.Module:
    torch.manual_seed(3)
    small = {"img_size": (32, 48), "patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2, "num_classes": 4}
    return timm.models.VisionTransformer(**{**small, **options}).eval()


def used(network: nn.Module, batch: Tensor) -> list[Tensor]:
    """Return each block's attention, mean of the heads, worked out anew from what its module was given.

    It is checked against what the module gave: W · V, projected, is its output.
    """
    found: list[Tensor] = []

    def compare(module: Any, args: Any, kwargs: Any, output: Any) -> None:
        x = args[0]
        if isinstance(module, nn.MultiheadAttention):
            qkv, project = nn.functional.linear(x, module.in_proj_weight, module.in_proj_bias), module.out_proj
            norms, output = (nn.Identity(), nn.Identity()), output[0]
        else:
            qkv, project, norms = module.qkv(x), module.proj, (module.q_norm, module.k_norm)
        q, k, v = qkv.unflatten(2, (3, module.num_heads, -1)).permute(2, 0, 3, 1, 4)
        W = (norms[0](q) @ norms[1](k).mT / q.shape[-1] ** 0.5).softmax(dim=-1)
        torch.testing.assert_close(project((W @ v).transpose(1, 2).flatten(2)), output)
        found.append(W.mean(dim=1))

    hooks = [
        module.register_forward_hook(compare, with_kwargs=True)
        for module in network.modules()
        if isinstance(module, nn.MultiheadAttention | timm.layers.Attention)
    ]
    with torch.no_grad():
        network(batch)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize(
    ("make", "options", "special"),
    [(of_timm, {}, 1), (of_timm, {"reg_tokens": 4}, 5), (of_timm, {"qk_norm": True}, 1)],
)
def test_timms_attention_is_rolled_out_by_hand(make: Any, options: dict[str, Any], special: int) -> None:
    network = make(**options)
    heats = ll.attention_rollout(network, PICTURES)
    first, second, third = used(network, PICTURES)
    unit = torch.eye(special + 24)
    rows = ((third + unit) / 2) @ ((second + unit) / 2) @ ((first + unit) / 2)
    torch.testing.assert_close(rows.sum(dim=2), torch.ones(2, special + 24))
    for heat, row in zip(heats, rows, strict=True):
        torch.testing.assert_close(heat.values, row[0, special:].view(4, 6))
        told = heat.words, heat.method, heat.layer, heat.region
        assert told == ("attention rollout, no class", "attention_rollout", "3 blocks", (0.0, 0.0, 48.0, 32.0))
        assert heat.values.sum() == pytest.approx(1 - float(row[0, :special].sum()), abs=1e-5)


def test_torchs_attention_is_rolled_out_by_hand() -> None:
    network, batch = of_torchvision(), PICTURES[..., :32]
    heats = ll.attention_rollout(network, batch)
    first, second, third = used(network, batch)
    unit = torch.eye(17)
    rows = ((third + unit) / 2) @ ((second + unit) / 2) @ ((first + unit) / 2)
    for heat, row in zip(heats, rows, strict=True):
        torch.testing.assert_close(heat.values, row[0, 1:].view(4, 4))


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"reg_tokens": 4}, {}])
def test_without_a_class_token_it_is_the_patches_mean(options: dict[str, Any]) -> None:
    network = of_timm(class_token=False, global_pool="avg", **options)
    heat = ll.attention_rollout(network, PICTURES[0])
    first, second, third = used(network, PICTURES[:1])
    special = options.get("reg_tokens", 0)
    unit = torch.eye(special + 24)
    rows = ((third + unit) / 2) @ ((second + unit) / 2) @ ((first + unit) / 2)
    torch.testing.assert_close(heat.values, rows[0, special:, special:].mean(dim=0).view(4, 6))


def test_the_class_plays_no_part_and_the_network_is_left_as_it_was() -> None:
    network = of_timm()
    before = ll.attention_rollout(network.train(), PICTURES[0]).values
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())
    with torch.no_grad():
        network.head.weight.neg_()  # every class now says the opposite
    assert torch.equal(ll.attention_rollout(network, PICTURES[0]).values, before)


class Fewer(nn.Module):
    """Attends to all tokens, and then to every other one."""

    def __init__(self) -> None:
        super().__init__()
        self.cut = nn.Conv2d(3, 8, 8, 8)
        self.first, self.second = (nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.cut(x).flatten(2).mT
        x = self.first(x, x, x)[0][:, ::2]
        return self.second(x, x, x)[0].mean(dim=1)


WINDOWS = "attends within windows or to a changing number of tokens, and {} takes the same tokens in every block"
NONE = "shows no attention among all tokens in what its run recorded, and {} is made of that"


class Halves(nn.Module):
    """Cuts each picture in two windows."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(x.chunk(2, dim=3))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "why"),
    [
        (lambda: swin_t(weights=None), WINDOWS),
        (lambda: nn.Sequential(Halves(), of_timm(img_size=(32, 24)), nn.Unflatten(0, (2, 2)), Mean()), WINDOWS),
        (lambda: timm.create_model("cait_xxs24_224", img_size=(32, 48), patch_size=8, depth=1), WINDOWS),
        (Fewer, WINDOWS),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten()), NONE),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.Softmax(dim=1), nn.AdaptiveAvgPool2d(1), nn.Flatten()), NONE),
    ],
    ids=["Swin", "two windows", "CaiT", "fewer tokens", "CNN", "a softmax over channels"],
)
@pytest.mark.parametrize("name", ["rollout", "relevance"])
def test_without_attention_among_all_tokens_there_is_a_sentence_and_a_way_out(
    network: Callable[[], nn.Module], why: str, name: str
) -> None:
    torch.manual_seed(0)
    net = network().eval()
    with pytest.raises(ValueError) as raised:
        ll.attention_rollout(net, PICTURES) if name == "rollout" else ll.attention_relevance(net, PICTURES, 0)
    way_out = "take a gradient method, `ll.explain(…, method=ll.gradcam)`."
    assert str(raised.value) == f"This {type(net).__name__} {why.format(name)}: {way_out}"
    if not isinstance(net[0] if isinstance(net, nn.Sequential) else net, Halves):  # whose halves have no place
        assert len(ll.explain(net, PICTURES, 0, method=ll.gradcam)) == 2


class Mean(nn.Module):
    """Puts two windows together again."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=0)


def test_where_nothing_is_recorded_the_cause_is_named() -> None:
    class Frozen(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                return super().forward(x)

    for ask in (ll.attention_rollout, ll.attention_relevance):
        with pytest.raises(RuntimeError, match=r"ran under no_grad or inference_mode when it came to .*: remove the"):
            ask(Frozen(of_timm()).eval(), PICTURES)
