"""Stored weights: a round trip, and one clear sentence for every way a file can be wrong."""

import hashlib
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from lessons_lib.models import networks, weights


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(weights, "data", lambda *parts: tmp_path / parts[-1])
    return tmp_path


class Tiny(nn.Module):
    """A trained head on frozen stages, with a float and an integer buffer."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        body = nn.Module()
        body.conv_stem, body.bn1, body.blocks = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ModuleList()  # type: ignore[assignment]
        self.body = networks.Stages(body)
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 2)


def test_trained_weights_return_rounded_to_half_and_frozen_ones_stay(folder: Path) -> None:
    one, other = Tiny(1), Tiny(2)
    one.norm.num_batches_tracked += 70_000  # more than a half can hold
    weights.save("tiny", one)
    body = other.body.conv_stem.weight.clone()
    loaded = weights.load("tiny", other)
    assert torch.equal(loaded.head.weight, one.head.weight.half().float())
    assert loaded.head.weight.dtype == torch.float32
    assert loaded.norm.num_batches_tracked == 70_000
    assert torch.equal(loaded.body.conv_stem.weight, body)
    assert not any(module.training for module in loaded.modules())


def test_only_what_is_trained_is_stored(folder: Path) -> None:
    assert not [key for key in weights.trained(Tiny()) if key.startswith("body")]
    assert {"head.weight", "norm.running_var"} <= set(weights.trained(Tiny()))


def test_the_list_is_what_sha256sum_reads_and_keeps_other_files(folder: Path) -> None:
    weights.save("tiny", Tiny(1))
    weights.save("little", Tiny(2))
    weights.save("tiny", Tiny(3))
    expected = [
        f"{hashlib.sha256((folder / file).read_bytes()).hexdigest()}  {file}"
        for file in ("little.safetensors", "tiny.safetensors")
    ]
    assert (folder / "SHA256SUMS").read_text().splitlines() == expected


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


class Trap:
    """A pickle that acts when it is opened."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("sprung"),)  # type: ignore[return-value]


@pytest.mark.parametrize(
    "damage",
    [flipped, lambda content: content[:-1], lambda content: b"", lambda content: pickle.dumps(Trap())],
    ids=["flipped bit", "truncated", "empty", "pickle renamed"],
)
def test_a_wrong_file_is_refused(damage, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(folder)
    path = weights.save("tiny", Tiny())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"tiny\.safetensors are not the ones .* damaged or replaced, fetch it again"):
        weights.load("tiny", Tiny())
    assert not Path("sprung").exists()


def test_a_pickle_is_refused_even_when_its_hash_is_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    path = weights.save("tiny", Tiny())
    path.write_bytes(pickle.dumps(Trap()))
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    with pytest.raises(ValueError, match=r"tiny\.safetensors is not a safetensors file \(.*\): fetch it again"):
        weights.load("tiny", Tiny())
    assert not Path("sprung").exists()


def test_a_file_that_is_not_listed_is_refused(folder: Path) -> None:
    weights.save("tiny", Tiny())
    (folder / "SHA256SUMS").write_text("")
    with pytest.raises(ValueError, match=r"SHA256SUMS has no line for tiny\.safetensors"):
        weights.load("tiny", Tiny())


def test_a_missing_file_says_how_to_get_it(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file tiny\.safetensors .*python -m tools\.recipes\.train tiny"):
        weights.load("tiny", Tiny())


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    weights.save("tiny", Tiny())
    with pytest.raises(ValueError, match="made for another network"):
        weights.load("tiny", nn.Linear(4, 2))
    wider = Tiny()
    wider.head = nn.Linear(4, 3)
    with pytest.raises(ValueError, match="made for another network"):
        weights.load("tiny", wider)


@pytest.mark.parametrize("value", [float("nan"), 1e5])
def test_weights_that_half_precision_cannot_hold_are_not_saved(value: float, folder: Path) -> None:
    network = Tiny()
    network.head.bias.data[1] = value
    with pytest.raises(ValueError, match=r"head\.bias are not finite in half precision"):
        weights.save("tiny", network)
    assert not list(folder.iterdir())
