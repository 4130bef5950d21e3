"""Relevance through attention: attention rolled out, each head weighted by what it does for the class."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from lessons_lib.baselines.attention import Attended, Listener
from lessons_lib.baselines.pixels import at_picture
from lessons_lib.core.engine.captured import Captured
from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.records import Explainable


def attention_relevance(model: Explainable | nn.Module, pictures: Any, target: Any = None) -> Any:
    """Return what attention carries from each patch to the answer, each head weighted by its gradient: class by class.

    Formula: R ← R + Ā_l · R from R = I, with Ā_l = mean over heads of (∇W_l ⊙ W_l)⁺, Chefer, Gur & Wolf, "Generic
    Attention-model Explainability", arXiv 2103.15679, eq. (5) and (6); W_l is block l's attention, heads×T×T, and ∇W_l
    the gradient of the score there. The map is the class token's row of R without the special tokens' columns; where
    there is no class token, the mean of the rows of all tokens that are read in the end.

    What speaks against the class is dropped, in every head of every block, so there is no negative heat.

    Args:
        model: a transformer in which all tokens attend to each other, whoever wrote it: torchvision, timm, Hugging
            Face. Attention that is computed in one piece (`scaled_dot_product_attention`) runs step by step meanwhile.
        pictures: as in `explain`.
        target: as in `explain`.

    Returns:
        A `Heatmap` or a list of them, as `explain` does, with values ≥ 0 on the grid of patches.

    Raises:
        ValueError: the network has no such attention, or attends within windows.

    Example:
        >>> attention_relevance(models.vit(), scene, "cat")
        Heatmap(cat, probability 0.98, score 4.12 · attention_relevance at 6 blocks · 14 × 14)
    """
    model = Explainable.of(model)
    listener = Listener(model.network, "relevance")
    known: list[tuple[Attended, Tensor]] = []

    def relevance(seen: Captured) -> Tensor:
        if not known:  # several targets of one picture are asked about one run
            known.append((listener.attended([seen.scores], seen.inputs), seen.inputs))
        attended, _ = known[0]
        gradients = attended.gradients(seen.scores.sum())
        R = torch.eye(gradients[0].shape[-1], device=gradients[0].device)
        for W, gradient in zip(attended.weights, gradients, strict=True):
            R = R + (gradient * W).relu().mean(dim=1) @ R
        last = gradients[-1].abs().sum(dim=(0, 1, 3)) > 0  # the tokens that are read behind the last block
        maps = attended.laid_out(R, model)[:, last].sum(dim=1) / max(int(last.sum()), 1)
        if not maps.any():
            _ = seen.gradients  # so that the warning names the cause
        return maps

    try:
        found = at_picture(model, pictures, target, relevance, "attention_relevance", meanwhile=listener.listening)
    except (ValueError, RuntimeError):
        if listener.refused:  # and not the sentence about a method that fails
            raise listener.refused from None
        raise
    ((attended, batch),) = known
    heats: list[Heatmap] = found if isinstance(found, list) else [found]
    laid = [
        replace(heat, region=attended.read.laid(heat.region, batch), layer=f"{len(attended.weights)} blocks")
        for heat in heats
    ]
    return laid if isinstance(found, list) else laid[0]
