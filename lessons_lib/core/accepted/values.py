"""What a person gives for a mask, a class, names or a network: brought into one form, or refused in one sentence."""

import operator
from collections.abc import Callable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from inspect import isfunction, ismethod, signature
from os import PathLike
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models import list_models

from lessons_lib.core.engine.outputs import kind_of, said


def as_mask(mask: Any) -> np.ndarray:
    """Return a mask as H×W bool, whatever it comes in: what is not zero is inside.

    Raises:
        TypeError: it is no mask.
        ValueError: it has more or fewer than two axes.

    Example:
        >>> as_mask([[0, 255], [0, 0]])
        array([[False,  True],
               [False, False]])
    """
    given = mask.detach().cpu() if isinstance(mask, Tensor) else mask
    found = None
    with suppress(TypeError, ValueError, RuntimeError):  # a list of lists of unequal lengths, say
        found = np.asarray(given)
    if found is None or not found.ndim or found.dtype.kind not in "biuf":
        raise TypeError(f"A mask is height × width, true or false for each pixel, not {said(mask)}.")
    if found.ndim != 2:
        shape = " × ".join(map(str, found.shape))
        raise ValueError(f"A mask is height × width, and this one is {shape}: take one, for example `mask[0]`.")
    return found if found.dtype == bool else np.nan_to_num(found) != 0


def whole(category: Any) -> int:
    """Return an index as an int, whatever kind of whole number it is."""
    if not is_bool(category):
        with suppress(TypeError):
            return operator.index(category)
    raise TypeError(f"A class is given by its index or its name, not by {said(category)}.")


def is_bool(value: Any) -> bool:
    """Return whether a value is true or false, of Python, NumPy or torch: no index, though Python takes it for one."""
    return isinstance(value, bool | np.bool_) or (isinstance(value, Tensor) and value.dtype == torch.bool)


def names(categories: Any) -> tuple[str, ...]:
    """Return the names of classes, in the order of the logits."""
    if isinstance(categories, dict):
        raise TypeError(
            "A record's categories are the names alone, in the order of the logits: `tuple(categories.values())`."
        )
    if not isinstance(categories, list | tuple) or not all(isinstance(one, str) for one in categories):
        raise TypeError(
            f"A record's categories are several names, `('cat', 'dog')`, not {said(categories)}; leave them out if "
            "there are none."
        )
    return tuple(categories)


def no_network(given: Any) -> str:
    """Return what was given in a network's place, and the way out where there is one."""
    name = getattr(given, "__name__", "")
    if hasattr(given, "network"):
        return f"{kind_of(given)}, which holds one: give it as it is"
    if isinstance(given, torch.export.ExportedProgram):
        return "an exported program, which has no layers to look at: give the network that it was made from"
    if isinstance(given, type) or (isfunction(given) and name.isidentifier()):
        kind = kind_of(given) if isinstance(given, type) else f"the function {name}"
        where = "ll.models." if str(getattr(given, "__module__", "")).startswith("lessons_lib.models.") else ""
        return f"{kind}: call it, `{where}{name}({'…' * bool(_needed(given))})`"
    if isinstance(given, dict):
        kind, _, _ = kind_of(given).partition(" with")
        return f"weights in {kind}: build the network and fill it, `network.load_state_dict(weights)`"
    if isinstance(given, Image.Image | Tensor) or hasattr(given, "image"):
        return f"{kind_of(given)}: give the network first, then the pictures"
    if ismethod(given) and isinstance(given.__self__, nn.Module):
        return f"its method {name}: give the network itself"
    if isinstance(given, str) and given in list_models():
        return f"{given!r}: build it, `torchvision.models.get_model({given!r})`"
    if isinstance(given, str | PathLike):
        return f"{said(given)}: build the network, and fill it with `network.load_state_dict(torch.load(path))`"
    return said(given)


def _needed(function: Callable[..., Any]) -> list[str]:
    """Return the arguments that a function can't be called without."""
    with suppress(ValueError, TypeError):
        asked = signature(function).parameters.values()
        return [
            one.name
            for one in asked
            if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        ]
    return []


def refuse_other_than_method(given: Any, known: Mapping[str, Any]) -> None:
    """Refuse what is no method, and name the function that was meant, if it can be told, among those that are known."""
    if any(given is one for one in known.values()):
        return
    called = given if isinstance(given, str) else getattr(given, "__name__", type(given).__name__)
    plain = called.lower().replace("-", "").replace(" ", "")
    plain = plain.replace("++", "_plus_plus").replace("plusplus", "_plus_plus")
    meant = max((name for name in known if name in plain), key=len, default="gradcam")
    if meant == "cam" or meant not in plain:
        meant = next(iter(get_close_matches(plain, known)), meant)
    if isinstance(given, str):
        raise TypeError(f"A method is a function, not its name {given!r}: give `method=ll.{meant}`, without quotes.")
    package = (getattr(given, "__module__", None) or type(given).__module__).partition(".")[0]
    if isinstance(given, type) or package in ("pytorch_grad_cam", "torchcam", "captum"):
        kind = kind_of(given) if isinstance(given, type) else f"{kind_of(given)} of {package}"
        raise TypeError(f"A method is a function, not {kind}: give `method=ll.{meant}`.")
    if hasattr(given, "settled"):
        raise TypeError(f"{called} is a target, and no method: give it third, `ll.explain(model, pictures, target)`.")
    if not callable(given) or isinstance(given, nn.Module):
        raise TypeError(f"A method is a function such as `ll.gradcam`, not {said(given)}.")
    try:
        signature(given).bind(None)
    except ValueError:
        return  # some functions written in C do not say what they take
    except TypeError as error:
        alone = package == "lessons_lib" and isfunction(given)
        way_out = f"call `ll.{called}(model, pictures)` by itself" if alone else "give one such as `ll.gradcam`"
        raise TypeError(
            f"A method takes one argument, what was seen at the layer, and {called} does not ({error}): {way_out}."
        ) from None
