"""Storing and loading the embedded models' weights: half-precision safetensors, each checked against its SHA-256."""

import hashlib
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from lessons_lib.core.resources import data, needs
from lessons_lib.models.networks import Stages

_LIST = "fetch it again from the repository, `git checkout -- data/weights/SHA256SUMS`"

Network = TypeVar("Network", bound=nn.Module)


def load(name: str, network: Network, command: str = "") -> Network:
    """Fill `network` with the weights stored under `name` and return it in eval mode.

    What is frozen (EfficientNet-Lite0's stages) is not stored: it keeps the values it came with.

    Args:
        name: of the file in `data/weights`, without its ending.
        network: what the weights belong to.
        command: what makes the file; without it, the recipe of that name.

    Raises:
        FileNotFoundError: nothing is stored under this name.
        ValueError: the file is not the one this course was measured with, or was made for another network.

    Example:
        >>> network = load("vit", models.vit(trained=False).network)
    """
    needs(f"models.{name}()", "safetensors")
    from safetensors import SafetensorError
    from safetensors.torch import load as parse

    path = path_of(name)
    command = command or f"python -m tools.recipes.train {name}"
    remedy = f"fetch it again from the repository, or make it: {command}"
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path.name} in data/weights: {remedy}.")
    sums = _sums(path.parent)
    if path.name not in sums:
        raise ValueError(f"The list data/weights/SHA256SUMS has no line for {path.name}: {_LIST}.")
    content = checked(path, sums[path.name], remedy)
    try:
        entries = parse(content)
    except SafetensorError as error:
        raise ValueError(f"{path.name} is not a safetensors file ({error}): {remedy}.") from None
    if _shapes(entries) != _shapes(trained(network)):
        raise ValueError(f"The weights in {path.name} were made for another network than this one: {remedy}.")
    network.load_state_dict(entries, strict=False)
    return network.eval()


def save(name: str, network: nn.Module) -> Path:
    """Store the trained part of `network` under `name` in half precision, and its SHA-256 in the list; return its path.

    Raises:
        ValueError: a weight is not finite, or too large for half precision.
    """
    from safetensors.torch import save as serialise

    halves = {
        key: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for key, value in trained(network).items()
    }
    if broken := [key for key, value in halves.items() if not value.isfinite().all()]:
        raise ValueError(f"The weights {', '.join(broken)} are not finite in half precision: train at a lower rate.")
    path = path_of(name)
    path.write_bytes(serialise(halves))
    listed = _sums(path.parent) if path.with_name("SHA256SUMS").is_file() else {}
    sums = listed | {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}
    lines = [f"{sha256}  {file}\n" for file, sha256 in sorted(sums.items())]
    path.with_name("SHA256SUMS").write_text("".join(lines), encoding="utf-8")
    return path


def trained(network: nn.Module) -> dict[str, Tensor]:
    """Return the entries of the network's state that training changes: all but those of frozen stages."""
    frozen = tuple(f"{name}." for name, module in network.named_modules() if isinstance(module, Stages))
    return {key: value for key, value in network.state_dict().items() if not key.startswith(frozen)}


def checked(path: Path, sha256: str, remedy: str) -> bytes:
    """Return a weights file's content, if its SHA-256 is the expected one.

    Raises:
        ValueError: it is another; the sentence ends with the remedy.
    """
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(
            f"The weights in {path.name} are not the ones this course was measured with (SHA-256 {found[:12]}…, "
            f"expected {sha256[:12]}…): the file is damaged or replaced, {remedy}."
        )
    return content


def path_of(name: str) -> Path:
    """Return where the weights called `name` lie; their card lies beside them."""
    return data("weights", f"{name}.safetensors")


def _sums(folder: Path) -> dict[str, str]:
    sums = folder / "SHA256SUMS"
    try:
        lines = [line.split() for line in sums.read_text(encoding="utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        raise FileNotFoundError(f"The list data/weights/SHA256SUMS is missing: {_LIST}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"The list data/weights/SHA256SUMS can't be read ({error}): {_LIST}.") from None
    if any(len(line) != 2 or len(line[0]) != 64 for line in lines):
        raise ValueError(f"The list data/weights/SHA256SUMS is damaged: {_LIST}.")
    return {file: sha256 for sha256, file in lines}


def _shapes(entries: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in entries.items()}
