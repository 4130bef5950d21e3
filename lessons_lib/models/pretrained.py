"""Torchvision's full-size networks with their published weights, which are downloaded once."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from errno import EACCES, EEXIST, EISDIR, ENOENT, ENOSPC, ENOTDIR, EPERM, EROFS
from functools import partial
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor
from torchvision.models import Weights, get_model_builder, get_model_weights

from lessons_lib.core.engine.names import near
from lessons_lib.core.engine.outputs import said
from lessons_lib.core.preprocess import Preprocess, preprocess_of
from lessons_lib.core.records import Explainable


@dataclass(frozen=True)
class _Published:
    """A network of torchvision's: its name there, the default layer, and what its numbers are."""

    builder: str
    layer: str
    probability: Callable[[Tensor], Tensor] | None


_SHARES = partial(torch.softmax, dim=-1)
_NETWORKS = {
    "resnet50": _Published("resnet50", "layer4", _SHARES),
    "fasterrcnn": _Published("fasterrcnn_resnet50_fpn_v2", "backbone.body.layer4", None),
    "deeplabv3": _Published("deeplabv3_resnet50", "backbone.layer4", partial(torch.softmax, dim=0)),
    "vit_b_16": _Published("vit_b_16", "encoder.layers.encoder_layer_11.ln_1", _SHARES),
    "swin_t": _Published("swin_t", "features.7", _SHARES),
}


def full_size(name: str, weights: str | None = "DEFAULT") -> Explainable:
    """Return a network of torchvision's at full size, as a record like those of the embedded models.

    The weights are downloaded once (98 to 350 MB) and then kept in torch's cache. They are loaded without pickle's
    powers, and the download is checked against the SHA-256 in its file name.

    Args:
        name: "resnet50", "vit_b_16" or "swin_t" (1,000 ImageNet classes), "fasterrcnn" (COCO; torchvision's
            `fasterrcnn_resnet50_fpn_v2`, the better of its two) or "deeplabv3" (`deeplabv3_resnet50`, VOC classes).
        weights: the name of one of torchvision's sets of weights for this network; None leaves them at random.

    Raises:
        ValueError: the network or the set of weights has another name.
        ConnectionError: the weights are not in the cache and can't be downloaded.
        RuntimeError: the download is damaged.

    Example:
        >>> explain(models.full_size("vit_b_16"), photos.cat(), "tabby")
    """
    if not isinstance(name, str) or name not in _NETWORKS:
        raise ValueError(f"There is no full-size network {said(name)}; {near(str(name), _NETWORKS)}.")
    chosen = _NETWORKS[name]
    sets = get_model_weights(chosen.builder)
    weights = weights.name if isinstance(weights, sets) else weights
    if weights is not None and (not isinstance(weights, str) or weights not in sets.__members__):
        raise ValueError(f"{name} has no weights {said(weights)}; {near(str(weights), sets.__members__)}.")
    entry = sets[weights or "DEFAULT"]
    sizes: dict[str, Any] = {"num_classes": len(entry.meta["categories"])}
    if name in ("fasterrcnn", "deeplabv3"):
        sizes["weights_backbone"] = None  # the published weights hold the backbone's too
    if name == "deeplabv3":
        sizes["aux_loss"] = True
    network = get_model_builder(chosen.builder)(weights=None, **sizes)
    if weights is not None:
        entries = _downloaded(entry)
        try:
            network.load_state_dict(entries)
        except (RuntimeError, TypeError) as error:
            raise RuntimeError(_damaged(_file(entry))) from error
    return Explainable(
        network=network.eval(),
        layer=chosen.layer,
        transform=_preprocess(entry),
        categories=tuple(entry.meta["categories"]),
        probability=chosen.probability,
    )


def _file(entry: Weights) -> Path:
    """Return where torch keeps these weights."""
    return Path(torch.hub.get_dir(), "checkpoints", Path(entry.url).name)


def _downloaded(entry: Weights) -> dict[str, Tensor]:
    file = _file(entry)
    if file.is_file() and not _is_whole(file):  # torch looks only at what it downloads
        raise RuntimeError(_damaged(file))
    try:
        return torch.hub.load_state_dict_from_url(entry.url, map_location="cpu", check_hash=True, weights_only=True)
    except (UnpicklingError, EOFError) as error:
        raise RuntimeError(_damaged(file)) from error
    except RuntimeError as error:
        raise RuntimeError(f"The download of {entry.url} is damaged ({error}): try again.") from error
    except (OSError, HTTPException) as error:
        if isinstance(error, OSError) and not isinstance(error, URLError) and error.errno in _OF_THE_CACHE:
            raise RuntimeError(
                f"torch's cache, {str(file.parent)!r}, can't be written ({error.strerror}): set the environment "
                "variable TORCH_HOME to a folder with room where you may write."
            ) from None
        raise ConnectionError(
            f"The weights {entry} can't be downloaded from {entry.url} ({error}): connect this machine to the network, "
            f"or copy the file to {file} from one that is; the embedded models need no download."
        ) from None


_OF_THE_CACHE = {EACCES, EPERM, EROFS, ENOSPC, EEXIST, ENOTDIR, EISDIR, ENOENT}


def _is_whole(file: Path) -> bool:
    """Return whether a file's SHA-256 begins as its name ends, which is how torch names what it downloads."""
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    return found.startswith(file.stem.rpartition("-")[2])


def _damaged(file: Path) -> str:
    return f"The file {str(file)!r} is damaged or another one: delete it, and it is downloaded again."


def _preprocess(entry: Weights) -> Preprocess:
    """Return torchvision's own preset for these weights; a detector's takes any size, so photos are cut to a square."""
    preset = preprocess_of(entry.transforms())
    return replace(preset, resize=800, crop=800) if preset.resize is None else preset
