"""LeGrad as torchcam computes it, as a maker of heatmaps, so that it can be measured beside the library's own."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from lessons_lib.baselines import attention_rollout
from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.records import Explainable
from lessons_lib.core.targets import ClassScore


def legrad(
    model: Explainable,
    picture: Any,
    target: ClassScore,
    *,
    blocks: Sequence[int] = range(6),
    class_token: bool = False,
) -> Heatmap:
    """Return the map of Bousselham et al., "LeGrad", arXiv 2404.03214, its least value taken away, as torchcam does.

    Args:
        model: with one of torchvision's vision transformers.
        picture: one of them.
        target: the class.
        blocks: over which the map is averaged.
        class_token: read each block's class token, as the network does at its end, and not the mean of all tokens.
    """
    from torchcam.methods import LeGrad

    network: Any = model.network
    heat = attention_rollout(model, picture)  # for the place on the picture
    assert isinstance(heat, Heatmap) and model.transform

    def read(tokens: Tensor) -> Tensor:
        return network.heads(network.encoder.ln(tokens)[:, 0])

    layers = [network.encoder.layers[block] for block in blocks]
    with LeGrad(network, layers, score_projection=read if class_token else None) as extractor:
        scores = network(model.transform(picture.image)[None])
        (cam,) = extractor(model.categories.index(target.category), scores)
    return replace(heat, values=cam[0].detach(), method="legrad")
