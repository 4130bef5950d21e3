"""Attention rollout: how much of each patch reaches a transformer's last block, if only attention counted."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lessons_lib.core import inputs
from lessons_lib.core.engine.calling import answer
from lessons_lib.core.engine.captured import maps_of
from lessons_lib.core.engine.hooks import hooked, left_as_found
from lessons_lib.core.engine.places.trace import Followed, followed
from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.records import Explainable

_WITH_CLASS = {1, 2, 5}
"""How many special tokens there are where the first is the class token; zero or four registers have none."""


def attention_rollout(model: Explainable | nn.Module, pictures: Any) -> Heatmap | list[Heatmap]:
    """Return what attention alone carries from each patch to the class token, through all blocks; no class is asked.

    Formula: Ã_l = Â_l · Ã_{l−1} with Â_l = ½ W_l + ½ I, Abnar & Zuidema, "Quantifying Attention Flow in Transformers",
    arXiv 2005.00928, section 3 and eq. (1); W_l is the mean of block l's heads, T×T, its rows sum to 1, and I stands
    for the connection around the attention. The map is the class token's row of Ã_L, without the special tokens'
    columns; where there is no class token, the mean of the patches' rows.

    Values, MLPs and the head's weights play no part, so the map is the same whatever class you have in mind.

    Args:
        model: a transformer in which all tokens attend to each other, with torch's `nn.MultiheadAttention` or timm's
            `Attention`.
        pictures: as in `explain`.

    Returns:
        A `Heatmap` for one picture, a list for several; H×W of shares, which sum to 1 less the special tokens' own.

    Raises:
        ValueError: the network has no such attention, or attends within windows.

    Example:
        >>> attention_rollout(models.vit(), scene)
        Heatmap(attention rollout, no class · attention_rollout at 6 blocks · 14 × 14)
    """
    model = Explainable.of(model)
    with inputs.given(pictures, model) as (photos, batch, regions):
        attention, read = _attention(model.network, batch)
    unit = torch.eye(attention[0].shape[-1], device=batch.device)
    rollout = unit.expand_as(attention[0])
    for W in attention:
        rollout = (W + unit) / 2 @ rollout
    # N×T×H×W: what each token holds of each patch
    cells = maps_of(rollout.mT, model.layout) if model.layout else rollout[:, :, read.tokens]
    special = len(unit) - cells[0, 0].numel()
    patches = slice(special, None) if model.layout else read.tokens.flatten()
    maps = (cells[:, 0] if special in _WITH_CLASS else cells[:, patches].mean(dim=1)).cpu()
    words = "attention rollout, no class"
    heats = [
        Heatmap(values, photo, read.laid(region, batch), words, "attention_rollout", f"{len(attention)} blocks")
        for values, photo, region in zip(maps, photos, regions, strict=True)
    ]
    return heats[0] if inputs.single(pictures) else heats


def _attention(network: nn.Module, batch: Tensor) -> tuple[list[Tensor], Followed]:
    """Return each block's attention, N×T×T, averaged over its heads, and how the first one's tokens are read."""
    found: list[Tensor] = []
    emitted: dict[nn.Module, Any] = {}

    def keep(read: Reader, module: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        emitted[module] = output
        found.append(read(module, args, kwargs).mean(dim=1).float())

    with left_as_found(network), torch.no_grad(), ExitStack() as hooks:
        for module in network.modules():
            if read := _reads(module):
                hooks.enter_context(hooked([module], after=partial(keep, read), with_kwargs=True))
        answer(network, batch.clone())
    name = type(network).__name__
    if not found:
        raise ValueError(
            f"This {name} has no attention among all tokens that can be read (torch's nn.MultiheadAttention, timm's "
            "Attention), so there is nothing to roll out: take a gradient method, `ll.explain(…, method=ll.gradcam)`."
        )
    if len({W.shape for W in found}) > 1 or len(found[0]) != len(batch):
        raise ValueError(
            f"This {name} attends within windows or to a changing number of tokens, and rollout needs the same tokens "
            "in every block: take a gradient method, `ll.explain(…, method=ll.gradcam)`."
        )
    first = next(iter(emitted))
    return found, followed(network, batch, {first: emitted[first]})[first]


Reader = Callable[[Any, Any, dict[str, Any]], Tensor]
"""From a module and what it was given to its attention, N×heads×T×T."""


def _reads(module: nn.Module) -> Reader | None:
    """Return how the attention of a module is read, None where it is none."""
    if isinstance(module, nn.MultiheadAttention):
        return _of_torch
    if type(module).__name__ == "Attention" and all(hasattr(module, name) for name in ("qkv", "num_heads", "scale")):
        return _of_timm
    return None


def _of_torch(module: Any, args: Any, kwargs: dict[str, Any]) -> Tensor:
    # Past the hooks, and asked for what the block did not need: the weights of each head.
    asked = {**kwargs, "need_weights": True, "average_attn_weights": False}
    _, W = nn.MultiheadAttention.forward(module, *args[:3], **asked)
    assert W is not None
    return W


def _of_timm(module: Any, args: Any, _kwargs: dict[str, Any]) -> Tensor:
    x = args[0]
    q, k, _ = module.qkv(x).unflatten(2, (3, module.num_heads, -1)).permute(2, 0, 3, 1, 4)
    return (module.q_norm(q) * module.scale @ module.k_norm(k).mT).softmax(dim=-1)
