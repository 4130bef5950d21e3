"""Attention rollout: the attention that the network used, rolled out as the paper says, and deaf to the class."""

from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer, swin_t

import lessons_lib as ll
from lessons_lib.baselines import rollout

PICTURES = torch.randn(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))


def of_torchvision() -> nn.Module:
    torch.manual_seed(3)
    return VisionTransformer(32, 8, num_layers=3, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=4).eval()


def of_timm(**options: Any) -> nn.Module:
    torch.manual_seed(3)
    small = {"img_size": (32, 48), "patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2, "num_classes": 4}
    return timm.models.VisionTransformer(**{**small, **options}).eval()


def used(network: nn.Module, batch: Tensor) -> list[Tensor]:
    """Return each block's attention, checked against what the block gave: W · V, projected, is its output."""
    found: list[Tensor] = []

    def compare(module: Any, args: Any, kwargs: Any, output: Any) -> None:
        read = rollout._reads(module)
        assert read is not None
        W, x = read(module, args, kwargs), args[0]
        if isinstance(module, nn.MultiheadAttention):
            v = nn.functional.linear(x, module.in_proj_weight, module.in_proj_bias).chunk(3, dim=2)[2]
            project, output = module.out_proj, output[0]
        else:
            v, project = module.qkv(x).chunk(3, dim=2)[2], module.proj
        v = v.unflatten(2, (module.num_heads, -1)).transpose(1, 2)
        torch.testing.assert_close(project((W @ v).transpose(1, 2).flatten(2)), output)
        found.append(W.mean(dim=1))

    for module in network.modules():
        if rollout._reads(module):
            module.register_forward_hook(compare, with_kwargs=True)
    with torch.no_grad():
        network(batch)
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


def test_networks_without_attention_among_all_tokens_get_a_sentence() -> None:
    torch.manual_seed(0)
    with pytest.raises(ValueError, match=r"no attention among all tokens that can be read .* `ll\.explain"):
        ll.attention_rollout(swin_t(weights=None), PICTURES[:1])
    with pytest.raises(ValueError, match="attends within windows or to a changing number"):
        ll.attention_rollout(nn.Sequential(Halves(), of_timm(img_size=(32, 24))), PICTURES)


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


def test_tokens_that_grow_fewer_are_not_rolled_out() -> None:
    with pytest.raises(ValueError) as raised:
        ll.attention_rollout(Fewer(), PICTURES)
    assert str(raised.value) == (
        "This Fewer attends within windows or to a changing number of tokens, and rollout needs the same tokens in "
        "every block: take a gradient method, `ll.explain(…, method=ll.gradcam)`."
    )


def test_what_only_looks_like_timms_attention_is_not_read() -> None:
    class Shifted(nn.Module):
        qkv, num_heads, scale = nn.Linear(3, 9), 1, 1.0

        def forward(self, x: Tensor) -> Tensor:
            return x

    with pytest.raises(ValueError, match="no attention among all tokens that can be read"):
        ll.attention_rollout(nn.Sequential(nn.Conv2d(3, 3, 8, 8), nn.Flatten(2), Shifted()), PICTURES)


class Halves(nn.Module):
    """Cuts each picture in two windows."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(x.chunk(2, dim=3))
