"""Guided backpropagation and Guided Grad-CAM, kept apart from the family because they fail the sanity checks.

Warning:
    Their pictures hardly change when the network's weights are replaced by random ones (Adebayo et al., "Sanity checks
    for saliency maps", arXiv 1810.03292): they draw the picture's edges, as an edge detector does, whatever the network
    has learned. They are here to be recognised and tested, not to explain anything. Every map carries this warning.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from lessons_lib.baselines.pixels import at_picture
from lessons_lib.core.engine.capture import Layer
from lessons_lib.core.engine.captured import Captured
from lessons_lib.core.engine.hooks import hooked
from lessons_lib.core.explain import explain
from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.records import Explainable

WARNING = "beware: fails the sanity checks (arXiv 1810.03292)"


def guided_backprop(model: Explainable | nn.Module, pictures: Any, target: Any = None) -> Any:
    """Return how strongly each pixel's gradient passes, when every ReLU lets only positive gradients back.

    Formula: R_l = ReLU(R_(l+1)) where the ReLU's input was positive, else 0, Springenberg et al., "Striving for
    simplicity", arXiv 1412.6806. See the module's warning.

    Departure: the paper shows R_0 itself, a picture in three colours with a sign; a map has one value a pixel, so this
    one is the length of R_0 over the colours, which has no sign.

    Args:
        model: as in `explain`.
        pictures: as in `explain`.
        target: as in `explain`.

    Returns:
        A `Heatmap` or a list of them, as `explain` does, with values ≥ 0 at the input's resolution.

    Raises:
        ValueError: no `nn.ReLU` or `nn.ReLU6` is in the network, so there is nothing to guide.

    Example:
        >>> guided_backprop(models.imagenet(), photos.cat(), "tiger cat")
        Heatmap(tiger cat, probability 0.39 · beware: fails the sanity checks (arXiv 1810.03292), score 9.24 ·
        guided_backprop at picture · 224 × 224)
    """
    found = at_picture(model, pictures, target, _length, "guided_backprop", meanwhile=_guided)
    heats = found if isinstance(found, list) else [found]
    named = [replace(heat, words=f"{heat.words} · {WARNING}") for heat in heats]
    return named if isinstance(found, list) else named[0]


def guided_gradcam(
    model: Explainable | nn.Module, pictures: Any, target: Any = None, *, layer: Layer | Sequence[Layer] | None = None
) -> Any:
    """Return Guided Grad-CAM: guided backpropagation, multiplied by the upsampled Grad-CAM.

    Formula: figure 2 and section 3.2 of Selvaraju et al., "Grad-CAM", arXiv 1610.02391. The class is chosen by its
    Grad-CAM part; the fine lines are guided backpropagation's. See the module's warning.

    Departure: the fine part is `guided_backprop`'s length over the colours, so the product has no colours and no sign.

    Args:
        model: as in `explain`.
        pictures: as in `explain`.
        target: as in `explain`.
        layer: as in `explain`, for the Grad-CAM part.

    Returns:
        A `Heatmap` or a list of them, with values ≥ 0 at the input's resolution.

    Example:
        >>> guided_gradcam(models.imagenet(), photos.cat(), "tiger cat")
        Heatmap(tiger cat, probability 0.39 · beware: fails the sanity checks (arXiv 1810.03292), score 9.24 ·
        guided_gradcam at bn2 · 224 × 224)
    """
    fine, coarse = guided_backprop(model, pictures, target), explain(model, pictures, target, layer=layer)
    if isinstance(fine, list):
        return [_product(*pair) for pair in zip(fine, coarse, strict=True)]
    return _product(fine, coarse)


def _product(fine: Heatmap, coarse: Heatmap) -> Heatmap:
    up = F.interpolate(coarse.positive[None, None], fine.values.shape, mode="bilinear", align_corners=False)[0, 0]
    return replace(fine, values=fine.values * up, method="guided_gradcam", layer=coarse.layer)


def _length(seen: Captured) -> Tensor:
    return seen.gradients.norm(dim=1)


@contextmanager
def _guided(network: nn.Module) -> Iterator[None]:
    """Let only positive gradients back through every ReLU of `network`; afterwards it is as it was."""
    relus = [module for module in network.modules() if isinstance(module, nn.ReLU | nn.ReLU6)]
    if not relus:
        raise ValueError(
            f"This {type(network).__name__} has no nn.ReLU or nn.ReLU6, so no backpropagation can be guided through it."
        )

    def positive(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        if output.requires_grad:
            output.register_hook(Tensor.relu)

    with hooked(relus, after=positive):
        yield
