"""What a figure is asked to draw: taken if it has the parts that are drawn, else refused in one sentence."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def a_photo(given: Any) -> None:
    """Refuse what is no photo."""
    if not all(hasattr(given, part) for part in ("image", "objects", "describe")):
        way_out = "`ll.photos.open(path)` opens one"
        if hasattr(given, "photo"):
            way_out = "of a heatmap draw `heat.photo`, or the map itself, `heat.show()`"
        elif isinstance(given, list | tuple):
            way_out = "draw them one by one"
        elif hasattr(given, "convert"):
            way_out = "make it one, `ll.Photo(image)`"
        elif isinstance(given, np.ndarray):
            way_out = "make it one, `ll.Photo(PIL.Image.fromarray(array))`"
        elif isinstance(given, Tensor):
            way_out = "make it one, `ll.Photo(torchvision.transforms.functional.to_pil_image(tensor))`"
        raise TypeError(f"A photo is drawn, not {kind(given)}: {way_out}.")


def a_heatmap(given: Any) -> None:
    """Refuse what is no heatmap."""
    if not all(hasattr(given, part) for part in ("photo", "positive", "region", "words")):
        several = isinstance(given, list | tuple)
        way_out = "take one of them, or draw all with `ll.show.row`" if several else "`ll.explain` returns heatmaps"
        raise TypeError(f"A heatmap is drawn, not {kind(given)}: {way_out}.")


def heatmaps(given: Any) -> list[Any]:
    """Return heatmaps as a list; refuse one by itself, or none."""
    if hasattr(given, "photo"):
        raise TypeError("Several heatmaps are drawn, and this is one: put it in a list, `[heat]`.")
    if not isinstance(given, Sequence) and not hasattr(given, "__next__"):
        raise TypeError(f"Several heatmaps are drawn, in a list, not {kind(given)}: `ll.explain` returns heatmaps.")
    found = list(given)
    for one in found:
        a_heatmap(one)
    if not found:
        raise ValueError("There is nothing to draw: give at least one map.")
    return found


def feature_maps(given: Any) -> Tensor:
    """Return feature maps K×H×W as float32 on the CPU, from a tensor or an array."""
    if isinstance(given, list | tuple) and given and all(isinstance(one, Tensor) for one in given):
        raise TypeError(f"Feature maps are drawn from K × H × W, not {kind(given)}: stack them, `torch.stack(maps)`.")
    if not isinstance(given, Tensor | np.ndarray):
        raise TypeError(
            f"Feature maps are drawn from K × H × W, a tensor or an array, not {kind(given)}: take, for example, "
            "`ll.capture.run(network, batch, layer).activations[0]`."
        )
    maps = torch.as_tensor(np.ascontiguousarray(given)) if isinstance(given, np.ndarray) else given
    if maps.ndim != 3 or not maps.numel():
        shape = " × ".join(map(str, maps.shape)) or "one number"
        raise ValueError(
            f"Feature maps are drawn from K × H × W, and this is {shape}: "
            "take one picture's, for example `activations[0]`."
        )
    if maps.is_complex():
        raise TypeError("Feature maps are drawn from real numbers, and these are complex: take their `.abs()`.")
    return maps.detach().float().cpu()


def titles(given: Any, default: list[str]) -> list[str]:
    """Return one title for each map."""
    if given is None:
        return default
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise TypeError(f"Titles stand in a list, one for each map, not {kind(given)}.")
    if len(given) != len(default):
        raise ValueError(f"{len(given)} titles for {len(default)} maps: give one for each, or none.")
    for one in given:
        if not isinstance(one, str | int | float):
            raise TypeError(f"A title is text, not {kind(one)}: give one for each map, or none.")
    return [str(one) for one in given]


def boxes(given: Any) -> list[Any]:
    """Return boxes as a list."""
    if not isinstance(given, list | tuple) or not all(hasattr(box, "edges") for box in given):
        parts = given if isinstance(given, list | tuple) else [given]
        wrong = next((one for one in parts if not hasattr(one, "edges")), given)
        way_out = "`ll.Box('cat', 1.0, (left, top, right, bottom))` is one"
        if hasattr(given, "edges"):
            way_out = "put it in a list, `[box]`"
        raise TypeError(
            f"Boxes are drawn from a list of `ll.Box`, as `ll.boxes` returns it, not {kind(wrong)}: {way_out}."
        )
    return list(given)


def opacity(given: Any) -> float:
    """Return an opacity as a number."""
    try:
        strength = float(given)
    except (TypeError, ValueError):
        raise TypeError(f"An opacity is a number between 0 and 1, not {kind(given)}.") from None
    if not 0 <= strength <= 1:
        raise ValueError(f"An opacity lies between 0 and 1, and {strength:g} does not.")
    return strength


def share(given: Any) -> float:
    """Return a share of a map's peak as a number."""
    if isinstance(given, bool) or not isinstance(given, int | float | np.number) or not 0 < given <= 1:
        raise ValueError(f"reach={given!r} is a share of the map's peak: give a number above 0, and at most 1.")
    return float(given)


def columns(given: Any) -> int:
    """Return a number of columns."""
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < 1:
        raise ValueError(f"columns={given!r} is how many maps stand beside each other: give 1 or more.")
    return int(given)


def kind(given: Any) -> str:
    """Return in a few words what was given instead."""
    if given is None or isinstance(given, str | int | float):
        return repr(given)
    name = type(given).__name__
    if type(given).__module__.startswith("matplotlib."):
        return f"matplotlib's {name}"
    many = f" of {len(given)}" if isinstance(given, list | tuple) else ""
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}{many}"
