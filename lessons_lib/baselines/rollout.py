"""Attention rollout: how much of each patch reaches a transformer's last block, if only attention counted."""

from typing import Any

import torch
from torch import nn

from lessons_lib.baselines.attention import Listener
from lessons_lib.core import inputs
from lessons_lib.core.engine.calling import answer
from lessons_lib.core.engine.outputs import paths
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

    Values, MLPs and the head's weights play no part, so the map is the same whatever class you have in mind:
    `attention_relevance` knows it.

    Args:
        model: a transformer in which all tokens attend to each other, whoever wrote it.
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
    listener = Listener(model.network, "rollout")
    with inputs.given(pictures, model) as (photos, batch, regions), torch.inference_mode(False), torch.enable_grad():
        with listener.listening(model.network):
            output = answer(model.network, batch.clone().requires_grad_().clone())
        attended = listener.attended([one for _, one in paths(output, "")], batch)
    attention = [W.mean(dim=1) for W in attended.weights]
    unit = torch.eye(attention[0].shape[-1], device=batch.device)
    rollout = unit.expand_as(attention[0])
    for W in attention:
        rollout = (W + unit) / 2 @ rollout
    cells = attended.laid_out(rollout, model)  # N×T×H×W: what each token holds of each patch
    special = len(unit) - cells[0, 0].numel()
    patches = slice(special, None) if model.layout else attended.read.tokens.flatten()
    maps = (cells[:, 0] if special in _WITH_CLASS else cells[:, patches].mean(dim=1)).cpu()
    words = "attention rollout, no class"
    heats = [
        Heatmap(
            values, photo, attended.read.laid(region, batch), words, "attention_rollout", f"{len(attention)} blocks"
        )
        for values, photo, region in zip(maps, photos, regions, strict=True)
    ]
    return heats[0] if inputs.single(pictures) else heats
