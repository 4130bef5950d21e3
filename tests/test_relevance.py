"""Relevance through attention: by hand, in every way that attention is written, and class by class."""

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import VisionTransformer

import lessons_lib as ll

PICTURES = torch.randn(2, 3, 16, 24, generator=torch.Generator().manual_seed(1))


def of_torchvision() -> Any:
    torch.manual_seed(3)
    network = VisionTransformer(16, 8, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=3).eval()
    nn.init.normal_(network.heads.head.weight)  # it begins with zeros
    nn.init.normal_(network.class_token)
    return network


def of_timm(fused: bool = True, **options: Any) -> Any:
    torch.manual_seed(3)
    small = {"img_size": (16, 24), "patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2, "num_classes": 4}
    network = timm.models.VisionTransformer(**{**small, **options}).eval()
    for block in network.blocks:
        block.attn.fused_attn = fused
        nn.init.normal_(block.attn.qkv.weight, std=0.5)
    return network


def stepwise(network: Any, picture: Tensor, change: Callable[[int, Tensor], Tensor]) -> Tensor:
    """Return the logits of torchvision's transformer, written out, with each block's attention changed on the way."""
    tokens = torch.cat([network.class_token, network._process_input(picture)], dim=1) + network.encoder.pos_embedding
    for number, block in enumerate(network.encoder.layers):
        attention, x = block.self_attention, block.ln_1(tokens)
        qkv = F.linear(x, attention.in_proj_weight, attention.in_proj_bias)
        q, k, v = qkv.unflatten(2, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
        W = change(number, (q @ k.mT / q.shape[-1] ** 0.5).softmax(dim=-1))  # 1 × heads × T × T
        tokens = tokens + attention.out_proj((W @ v).transpose(1, 2).flatten(2))
        tokens = tokens + block.mlp(block.ln_2(tokens))
    return network.heads(network.encoder.ln(tokens)[:, 0])[0]


@pytest.mark.slow
@pytest.mark.parametrize("c", [0, 2])
def test_it_is_what_the_paper_says_with_gradients_taken_by_hand(c: int) -> None:
    network, picture = of_torchvision().double(), PICTURES[:1, :, :, :16].double()
    kept: dict[int, Tensor] = {}
    with torch.no_grad():
        logits = stepwise(network, picture, lambda number, W: kept.setdefault(number, W))
        torch.testing.assert_close(logits, network(picture)[0])

        def moved(block: int, place: list[int], by: float) -> Tensor:
            def change(number: int, W: Tensor) -> Tensor:
                if number == block:
                    W = W.clone()
                    W[tuple(place)] += by
                return W

            return stepwise(network, picture, change)[c]

        R, step = torch.eye(5).double(), 1e-5
        for block, W in kept.items():
            gradient = torch.zeros_like(W)
            for place in torch.cartesian_prod(*map(torch.arange, W.shape)).tolist():
                gradient[tuple(place)] = (moved(block, place, step) - moved(block, place, -step)) / (2 * step)
            assert (gradient < 0).any(), "nothing is dropped, so dropping it is not tested"
            A = torch.stack([(gradient * W)[0, head].clamp(min=0) for head in range(2)]).mean(dim=0)
            R = R + A @ R
    (heat,) = ll.attention_relevance(network, picture, c)
    torch.testing.assert_close(heat.values, R[0, 1:].view(2, 2).float(), rtol=1e-4, atol=1e-7)
    told = heat.words, heat.method, heat.layer, heat.region
    assert told == (f"class {c}, score {logits[c]:.2f}", "attention_relevance", "2 blocks", (0.0, 0.0, 16.0, 16.0))
    assert heat.score == pytest.approx(float(logits[c]), abs=1e-5)


class HeadsFirst(nn.Module):
    """A block that keeps to nobody's names: sequence first, heads in the batch axis, weights by hand or fused."""

    def __init__(self, block: Any, fused: bool) -> None:
        super().__init__()
        self.norm1, self.norm2, self.mlp, self.fused = block.norm1, block.norm2, block.mlp, fused
        self.into, self.out, self.heads = block.attn.qkv, block.attn.proj, block.attn.num_heads

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.norm1(tokens).transpose(0, 1)  # T × N × C
        q, k, v = (one.unflatten(2, (self.heads, -1)).flatten(1, 2).transpose(0, 1) for one in self.into(x).chunk(3, 2))
        scale = q.shape[-1] ** -0.5
        mixed = F.scaled_dot_product_attention(q, k, v) if self.fused else F.softmax(scale * q @ k.mT, dim=-1) @ v
        x = mixed.transpose(0, 1).unflatten(1, (-1, self.heads)).flatten(2)
        tokens = tokens + self.out(x).transpose(0, 1)
        return tokens + self.mlp(self.norm2(tokens))


@pytest.mark.slow
def test_it_does_not_matter_who_wrote_the_attention_or_whether_it_is_fused() -> None:
    maps = []
    for network in (of_timm(), of_timm(fused=False)):
        maps.append(torch.stack([heat.values for heat in ll.attention_relevance(network, PICTURES, [1, 3])]))
    for fused in (True, False):
        network = of_timm()
        network.blocks = nn.Sequential(*(HeadsFirst(block, fused) for block in network.blocks))
        maps.append(torch.stack([heat.values for heat in ll.attention_relevance(network, PICTURES, [1, 3])]))
    assert maps[0].shape == (2, 2, 3) and maps[0].std() > 1e-3 * maps[0].max()
    for other in maps[1:]:
        torch.testing.assert_close(other, maps[0], rtol=1e-4, atol=1e-6)
    rolled = ll.attention_rollout(network, PICTURES)  # which reads attention in the same way
    for one, other in zip(rolled, ll.attention_rollout(of_timm(), PICTURES), strict=True):
        torch.testing.assert_close(one.values, other.values)


def by_autograd(network: Any, c: int) -> list[Tensor]:
    """Return R of each picture, from timm's attention written out, T×T."""
    kept: list[Tensor] = []

    def attend(attention: Any, inputs: Any, _output: Any) -> Tensor:
        q, k, v = attention.qkv(inputs[0]).unflatten(2, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
        kept.append((q @ k.mT * attention.scale).softmax(dim=-1))
        return attention.proj((kept[-1] @ v).transpose(1, 2).flatten(2))

    hooks = [block.attn.register_forward_hook(attend) for block in network.blocks]
    score = network(PICTURES)[:, c].sum()
    for hook in hooks:
        hook.remove()
    R = torch.eye(kept[0].shape[-1]).expand_as(kept[0][:, 0])
    for W, g in zip(kept, torch.autograd.grad(score, kept), strict=True):
        R = R + (W * g).clamp(min=0).mean(dim=1) @ R
    return list(R.detach())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "special", "rows"),
    [
        ({}, 1, [0]),
        ({"reg_tokens": 4}, 5, [0]),
        ({"reg_tokens": 4, "class_token": False, "global_pool": "avg"}, 4, range(4, 10)),
        ({"class_token": False, "global_pool": "avg"}, 0, range(6)),
        ({"global_pool": "avg"}, 1, range(1, 7)),  # there is a class token, and nobody reads it in the end
        ({"reg_tokens": 7}, 8, [0]),
    ],
)
def test_the_rows_are_those_of_the_tokens_that_are_read(options: dict[str, Any], special: int, rows: Any) -> None:
    network = of_timm(**options)
    heats = ll.attention_relevance(network, PICTURES, 2)
    for heat, R in zip(heats, by_autograd(network, 2), strict=True):
        expected = R[list(rows), special:].mean(dim=0).view(2, 3)
        torch.testing.assert_close(heat.values, expected, rtol=1e-4, atol=1e-6)


def test_several_classes_of_one_picture_and_a_difference_of_two() -> None:
    network = of_timm()
    one, other, apart = ll.attention_relevance(network, PICTURES[0], [1, 3, lambda output: output[1] - output[3]])
    torch.testing.assert_close(one.values, ll.attention_relevance(network, PICTURES[0], 1).values)
    assert not torch.allclose(one.values, other.values, rtol=0.05)
    assert (apart.values >= 0).all() and not torch.allclose(apart.values, one.values, rtol=0.05)


def test_half_precision_and_a_network_in_training_are_left_as_they_were() -> None:
    network = of_timm().train()
    whole = ll.attention_relevance(network, PICTURES[0], 1).values
    assert network.training and not any(module._forward_hooks for module in network.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())
    half = ll.attention_relevance(network.bfloat16(), PICTURES[0].bfloat16(), 1).values
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, whole, rtol=0.2, atol=0.05 * float(whole.max()))


def test_a_score_that_attention_does_not_move_is_told() -> None:
    network = of_timm()
    with pytest.warns(UserWarning, match="is blank: the gradient of the score is zero everywhere at picture"):
        heat = ll.attention_relevance(network, PICTURES[0], lambda output: 0 * output[1] + 5)
    assert not heat.values.any()


def test_a_softmax_over_channels_is_no_attention() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Softmax(dim=1), of_timm()).eval()
    heats = ll.attention_relevance(network, PICTURES, 1)
    assert all(heat.layer == "3 blocks" and heat.values.any() for heat in heats)
