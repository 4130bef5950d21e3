"""`explain()` and the `Heatmap` it returns: raw values at layer resolution, and where they lie on the photo."""

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from copy import copy
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from lessons_lib import blank, candidates, capture, inputs, outputs, targets
from lessons_lib.capture import Captured, Layer
from lessons_lib.methods import Method, gradcam
from lessons_lib.models import Explainable, Region
from lessons_lib.photos import Photo
from lessons_lib.targets import Target
from lessons_lib.ties import first_peak, largest_first

if TYPE_CHECKING:
    from lessons_lib.picture import Picture

Pictured = Photo | Image.Image


@dataclass(frozen=True, eq=False)
class Heatmap:
    """One map, on one photo, for one number of one network.

    Args:
        values: raw and signed, H×W float32 at the layer's resolution, in the method's units.
        photo: what the map lies on.
        region: where on the photo it lies: left, top, right, bottom in the photo's pixels.
        words: the explained number in words, "tiger cat 0.38".
        method, layer: how and where the map was made.
        chosen: the layer was chosen by `layers`' rule, as nobody named one; the description says so.
    """

    values: Tensor
    photo: Photo
    region: Region
    words: str
    method: str
    layer: str
    chosen: bool = False

    @property
    def positive(self) -> Tensor:
        """What speaks for the target: ReLU(values), the outside of Grad-CAM's eq. (2); H×W, ≥ 0."""
        return self.values.relu()

    @property
    def peak(self) -> tuple[int, int]:
        """The cell of the highest value: row and column, from 0; of cells that tie but for rounding, the first."""
        return first_peak(self.values)

    def normalised(self) -> Tensor:
        """Return the positive part divided by its own peak, H×W in [0, 1]; all zero where nothing is positive.

        No epsilon: the result does not depend on the scale of the logits.
        """
        positive = self.positive
        return positive / positive.max() if positive.max() > 0 else positive

    def on_photo(self) -> np.ndarray:
        """Return the positive part in the photo's pixels, height×width float32; zero where the network did not look.

        Each cell covers its rectangle of the region; between the cells' centres values are bilinear, as in
        `interpolate(…, align_corners=False)`, up to the edge of the region, which need not fall on whole pixels.
        """
        width, height = self.photo.image.size
        left, top, right, bottom = self.region
        x = ((torch.arange(width) + 0.5 - left) / (right - left)).float()
        y = ((torch.arange(height) + 0.5 - top) / (bottom - top)).float()
        grid = torch.stack(torch.meshgrid(2 * x - 1, 2 * y - 1, indexing="xy"), dim=-1)
        heat = F.grid_sample(self.positive[None, None], grid[None], padding_mode="border", align_corners=False)[0, 0]
        seen = ((y >= 0) & (y <= 1))[:, None] & ((x >= 0) & (x <= 1))[None, :]
        return (heat * seen).numpy()

    def share_on(self, mask: np.ndarray) -> float:
        """Return the share of the heat that lies on `mask` (height×width bool, in the photo's pixels), 0 to 1."""
        heat = self.on_photo()
        if mask.shape != heat.shape:
            raise ValueError(
                f"The mask is {mask.shape[0]} × {mask.shape[1]} and the photo {heat.shape[0]} × {heat.shape[1]}."
            )
        total = float(heat.sum(dtype=np.float64))
        return float(heat[mask].sum(dtype=np.float64)) / total if total else 0.0

    def describe(self) -> str:
        """Say in words what the map shows: the score, the peak's cell counted from 1, the share on each object.

        Example:
            "tiger cat 0.38 · peak at row 3, column 2 of 7 × 7 · 91 % of the heat on the cat"
        """
        rows, columns = self.values.shape
        if self.positive.max() == 0:
            return f"{self.words} · no heat: nothing speaks for it at {self.layer}"
        row, column = self.peak
        parts = [self.words, f"peak at row {row + 1}, column {column + 1} of {rows} × {columns}"]
        shares = largest_first([self._share(name, masks) for name, masks in self.photo.named().items()])
        if shares:
            told = [f"{100 * share:.0f} % {where}" for share, where in shares]
            parts.append(", ".join([told[0].replace(" % ", " % of the heat ", 1), *told[1:]]))
        return " · ".join([*parts, f"layer {self.layer}, the last that has a say"] if self.chosen else parts)

    def _share(self, name: str, masks: list[np.ndarray]) -> tuple[float, str]:
        """Return the share of the heat on all copies of an object, and in words where that is."""
        share = self.share_on(np.logical_or.reduce(masks))
        if len(masks) == 1:
            return share, f"on the {name}"
        each = sorted((100 * self.share_on(mask) for mask in masks), reverse=True)
        return share, f"on the {len(masks)} copies of {name} ({', '.join(f'{one:.0f}' for one in each)} %)"

    def show(self, **options: Any) -> "Picture":
        """Return the map over its photo, as `show.overlay` draws it; the last line of a cell displays it."""
        from lessons_lib import show

        return show.overlay(self, **options)


@overload
def explain(
    model: Explainable | nn.Module,
    pictures: Pictured,
    target: Any = None,
    *,
    layer: Layer | Sequence[Layer] | None = None,
    method: Method = gradcam,
) -> Heatmap: ...
@overload
def explain(
    model: Explainable | nn.Module,
    pictures: Sequence[Pictured],
    target: Any = None,
    *,
    layer: Layer | Sequence[Layer] | None = None,
    method: Method = gradcam,
) -> list[Heatmap]: ...
@overload
def explain(
    model: Explainable | nn.Module,
    pictures: Tensor,
    target: Any = None,
    *,
    layer: Layer | Sequence[Layer] | None = None,
    method: Method = gradcam,
) -> Any: ...
def explain(
    model: Explainable | nn.Module,
    pictures: Pictured | Sequence[Pictured] | Tensor,
    target: Any = None,
    *,
    layer: Layer | Sequence[Layer] | None = None,
    method: Method = gradcam,
) -> Any:
    """Return where `model` looks for `target`, as a `Heatmap` on each picture.

    The network runs in eval mode and is left as it was found, after an error too.

    Args:
        model: a record from `models`, or any `nn.Module`.
        pictures: a photo or a C×H×W tensor gives one `Heatmap`; a list of photos or an N×C×H×W batch gives a list of
            them, in order. Tensors must be ready for the network.
        target: what is explained, one for all pictures or a list with one each: a target from `targets` or a function
            of one picture's output; without it, each picture's top class. One picture with a list of targets gives a
            list of maps, one for each, from one forward pass.
        layer: the module or its dotted name; without it, the record's own, or else the last one in `layers(model, …)`
            whose gradient is not zero. Several of them give one map, put together by `fusing.fuse`; each costs a run of
            its own.
        method: one of `methods`, or any function from `Captured` to N×H×W.

    Raises:
        ValueError, TypeError, RuntimeError: wrong input; the sentence names the cause and the way out.

    Warns:
        UserWarning: a map is blank; the sentence names the cause.

    Example:
        >>> explain(models.imagenet(), photos.cat(), ClassScore("tiger cat")).show()
        >>> heats = explain(my_model, batch, ClassScore(281), layer=my_model.layer4[-1], method=gradcam)
    """
    if isinstance(layer, Sequence) and not isinstance(layer, str):
        from lessons_lib.fusing import fuse

        found: list[Any] = [explain(model, pictures, target, layer=one, method=method) for one in layer]
        if found and isinstance(found[0], list):
            return [fuse(one) for one in zip(*found, strict=True)]
        return fuse(found)
    model = model if isinstance(model, Explainable) else Explainable(model)
    photos, batch, regions = inputs.ready(pictures, model)
    single = isinstance(pictures, Photo | Image.Image) or (isinstance(pictures, Tensor) and pictures.ndim == 3)
    several = single and isinstance(target, list | tuple)
    wanted = targets.one_each(target, len(target) if several else len(photos), model)
    layer = model.layer if layer is None else layer
    chosen = layer is None
    if layer is None:
        layer = candidates.last(model, batch, wanted[: len(photos)])
    heats = []
    with torch.inference_mode(False), torch.enable_grad(), ExitStack() as states:
        for aim in wanted:
            states.enter_context(aim.prepared(model.network))
        once = capture.run(model.network, batch, layer, model.layout)
        rows = outputs.rows(once.output, len(photos))
        for group in [[aim] for aim in wanted] if several else [wanted]:
            seen = copy(once)
            aims = [aim.settled(row) for aim, row in zip(group, rows, strict=True)]
            seen.score = partial(_scores, aims)
            seen.again = lru_cache(maxsize=1)(partial(_again, aims, seen))
            seen.scores = torch.stack([_score(aim, row) for aim, row in zip(aims, rows, strict=True)])
            maps = method(seen).detach().float().cpu()
            for index, (values, aim, row) in enumerate(zip(maps, aims, rows, strict=True)):
                words = aim.words(row, model)
                heats.append(Heatmap(values, photos[index], regions[index], words, _name(method), seen.layer, chosen))
                if cause := blank.cause(values, seen, index):
                    warnings.warn(f"The map for {words!r} is blank: {cause}.", stacklevel=2)
    return heats[0] if single and not several else heats


def _name(method: Method) -> str:
    while isinstance(method, partial):
        method = method.func
    return getattr(method, "__name__", type(method).__name__)


def _scores(aims: list[Target], output: Any, picture: int, count: int) -> Tensor:
    """Return what the network's output for `count` variants of a picture scores."""
    return torch.stack([_score(aims[picture], row) for row in outputs.rows(output, count)])


def _again(aims: list[Target], seen: Captured, picture: int) -> Callable[[int], AbstractContextManager[Any]]:
    """Return the state in which the network runs again on variants of a picture."""
    return aims[picture].again(seen.network, seen.inputs[picture : picture + 1])


def _score(target: Target, output: Any) -> Tensor:
    score = target(output)
    if not isinstance(score, Tensor):
        raise TypeError(
            f"The target returned {outputs.kind_of(score)}, not a tensor: leave out `.item()` and `float()`."
        )
    if score.numel() != 1:
        raise ValueError(
            f"The target returned {outputs.kind_of(score)}, not one number: pick an element, or take a sum."
        )
    return score.reshape(())
