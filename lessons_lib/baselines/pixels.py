"""Gradients at the picture's own pixels, and an edge detector that never saw the network, to be told from them."""

from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lessons_lib.core import inputs
from lessons_lib.core.engine.captured import Captured
from lessons_lib.core.engine.places import layouts
from lessons_lib.core.engine.rerun import in_chunks
from lessons_lib.core.explain import explain
from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.methods import Method, hirescam
from lessons_lib.core.records import Explainable
from lessons_lib.core.several import picture_of


def input_x_gradient(model: Explainable | nn.Module, pictures: Any, target: Any = None) -> Any:
    """Return each pixel's value times its gradient, summed over the colours: HiResCAM, with the picture as the layer.

    Formula: Σ_c x_c · ∂y/∂x_c, Shrikumar et al., "Not just a black box", arXiv 1605.01713, section 2. For a network
    that is linear without a bias it is each pixel's exact contribution. The units are the network's own: a pixel of the
    mean colour has the value 0, and gets no heat whatever it does.

    Args:
        model: as in `explain`.
        pictures: as in `explain`.
        target: as in `explain`.

    Returns:
        A `Heatmap` or a list of them, as `explain` does; signed, at the input's resolution.

    Example:
        >>> input_x_gradient(models.imagenet(), photos.cat(), "tiger cat")
        Heatmap(tiger cat, probability 0.39, score 9.24 · input_x_gradient at picture · 224 × 224)
    """
    return at_picture(model, pictures, target, hirescam, "input_x_gradient")


def smoothgrad(
    model: Explainable | nn.Module,
    pictures: Any,
    target: Any = None,
    *,
    noise: float = 0.15,
    draws: int = 16,
    chunk: int = 16,
    seed: int = 0,
) -> Any:
    """Return the length of the gradient, averaged over noisy copies of the picture.

    Formula: the mean over draws of ∂y/∂x at x + N(0, σ²), σ = noise × (largest − smallest value of x), Smilkov et al.,
    "SmoothGrad", arXiv 1706.03825, section 3; the map is its length over the colours, where the paper leaves the
    choice. captum's `NoiseTunnel` wraps any of its methods, and has other ways to average.

    Args:
        model: as in `explain`.
        pictures: as in `explain`.
        target: as in `explain`.
        noise: as a share of the picture's range.
        draws: how many noisy copies.
        chunk: how many of them run at a time.
        seed: of the noise.

    Example:
        >>> smoothgrad(models.imagenet(), photos.cat(), "tiger cat", draws=2)
        Heatmap(tiger cat, probability 0.39, score 9.24 · smoothgrad at picture · 224 × 224)
    """
    _counted("draws", draws)

    def smooth(seen: Captured) -> Tensor:
        x = seen.inputs
        random = torch.Generator().manual_seed(seed)
        unit = torch.randn(len(x), draws, *x.shape[1:], generator=random).to(x)
        spans = x.amax((1, 2, 3)) - x.amin((1, 2, 3))

        def noisy(picture: int, numbers: Tensor) -> Tensor:
            return x[picture] + noise * spans[picture] * unit[picture, numbers]

        return _mean_gradient(seen, noisy, draws, chunk, "smoothgrad").norm(dim=1)

    return at_picture(model, pictures, target, smooth, "smoothgrad")


def integrated_gradients(
    model: Explainable | nn.Module,
    pictures: Any,
    target: Any = None,
    *,
    start: float | Tensor = 0.0,
    steps: int = 32,
    chunk: int = 16,
) -> Any:
    """Return what each pixel adds on the straight way from a picture without content to this one.

    Formula: Σ_c (x_c − x′_c) · mean over steps of ∂y/∂x_c at x′ + α(x − x′), α the middles of the steps, Sundararajan
    et al., "Axiomatic attribution for deep networks", arXiv 1703.01365, eq. (3), which takes the steps' ends. The map
    sums to y(x) − y(x′), the better the more steps. captum's `IntegratedGradients` has Gauss–Legendre steps, which need
    fewer of them, and says how far the sum is off: take it where that matters.

    Args:
        model: as in `explain`.
        pictures: as in `explain`.
        target: as in `explain`.
        start: x′, in the network's own units; 0 is the mean colour. A pixel that equals it gets no heat.
        steps: how many.
        chunk: how many of them run at a time.

    Example:
        >>> integrated_gradients(models.imagenet(), photos.cat(), "tiger cat", steps=2)
        Heatmap(tiger cat, probability 0.39, score 9.24 · integrated_gradients at picture · 224 × 224)
    """
    _counted("steps", steps)

    def integrated(seen: Captured) -> Tensor:
        x = seen.inputs
        away = x - torch.as_tensor(start, dtype=x.dtype, device=x.device)
        middles = ((torch.arange(steps) + 0.5) / steps).to(x)

        def between(picture: int, numbers: Tensor) -> Tensor:
            return x[picture] - (1 - middles[numbers])[:, None, None, None] * away[picture]

        return (away * _mean_gradient(seen, between, steps, chunk, "integrated gradients")).sum(dim=1)

    return at_picture(model, pictures, target, integrated, "integrated_gradients")


def edges(model: Explainable | nn.Module, pictures: Any, target: Any = None) -> Any:
    """Return where the picture has edges, whatever the network has learnt and you have asked: a control, not a method.

    Formula: the length of the Sobel filters' answer on the mean of the colours. The target only gives the words. A test
    of heatmaps that edges pass is no test (Adebayo et al., "Sanity checks for saliency maps", arXiv 1810.03292, figure
    1).

    Args:
        model: as in `explain`.
        pictures: as in `explain`.
        target: as in `explain`.

    Example:
        >>> edges(models.imagenet(), photos.cat(), "tiger cat")
        Heatmap(tiger cat, probability 0.39, score 9.24 · edges at picture · 224 × 224)
    """

    def sobel(seen: Captured) -> Tensor:
        across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]).to(seen.inputs)
        grey = F.pad(seen.inputs.mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
        return F.conv2d(grey, torch.stack([across, across.T])[:, None]).norm(dim=1)

    return at_picture(model, pictures, target, sobel, "edges")


def at_picture(
    model: Explainable | nn.Module,
    pictures: Any,
    target: Any,
    method: Method,
    name: str,
    meanwhile: Callable[[nn.Module], AbstractContextManager[None]] = lambda network: nullcontext(),
) -> Any:
    """Return the maps of a method at the picture itself: an identity in front of the network is what a layer puts out.

    Args:
        model: as in `explain`.
        pictures: as in `explain`.
        target: as in `explain`.
        method: as in `explain`.
        name: what the maps are called.
        meanwhile: from the network to a context in which it is run.
    """
    model = Explainable.of(model)
    fronted = nn.Sequential(OrderedDict(picture=nn.Identity(), network=model.network))
    fronted.training = model.network.training
    record = replace(model, network=fronted, layout=layouts.nchw, layer="picture")
    with inputs.given(pictures, model), meanwhile(model.network):  # held against other threads until it is undone
        found = explain(record, picture_of(pictures), target, method=method)
    heats: list[Heatmap] = found if isinstance(found, list) else [found]
    named = [replace(heat, method=name) for heat in heats]
    return named if isinstance(found, list) else named[0]


def _mean_gradient(
    seen: Captured, variants: Callable[[int, Tensor], Tensor], count: int, chunk: int, what: str
) -> Tensor:
    """Return the mean gradient at each pixel, N×C×H×W, over `count` variants of each picture."""
    total = torch.zeros_like(seen.inputs)

    def added(picture: int, numbers: Tensor) -> Tensor:
        x = variants(picture, numbers).detach().requires_grad_()
        scores = seen.rescore(lambda: seen.network(x), picture, len(numbers))
        total[picture] += torch.autograd.grad(scores.sum(), x)[0].sum(dim=0) / count
        return scores.detach()

    in_chunks(added, len(seen.inputs), count, chunk, f"{count} steps of {what}")
    return total


def _counted(name: str, given: Any) -> None:
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise ValueError(f"{name}={given!r} is how many pictures are run: give 1 or more.")
