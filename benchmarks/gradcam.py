"""Grad-CAM side by side with the peers, in one run: python -m benchmarks.gradcam

Every time is divided by that of one bare forward pass under `inference_mode`, taken in the same round, so that a
machine that is busy for a while slows down both. The table is printed and written into README.md, between its markers.
"""

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torchvision
from captum.attr import LayerGradCam
from pytorch_grad_cam import GradCAM as PytorchGradCam
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torchcam.methods import GradCAM as TorchCam
from tqdm import tqdm

import lessons_lib as ll
from tools import pages

README = Path(__file__).parent.parent / "README.md"

LAYERS = {"resnet50": "layer4", "mobilenet_v3_large": "features", "convnext_tiny": "features"}
BATCHES = (1, 8)
BAR = 1.15
OURS = "lessons_lib"

Maker = Callable[[nn.Module, str, Tensor, list[int]], object]
Ratios = dict[str, list[float]]


def forward(network: nn.Module, layer: str, batch: Tensor, classes: list[int]) -> object:
    with torch.inference_mode():
        return network(batch)


def ours(network: nn.Module, layer: str, batch: Tensor, classes: list[int]) -> object:
    return ll.explain(network, batch, [ll.ClassScore(category) for category in classes], layer=layer)


def pytorch_grad_cam(network: nn.Module, layer: str, batch: Tensor, classes: list[int]) -> object:
    with PytorchGradCam(network, [network.get_submodule(layer)]) as peer:
        return peer(batch, [ClassifierOutputTarget(category) for category in classes])


def torchcam(network: nn.Module, layer: str, batch: Tensor, classes: list[int]) -> object:
    with TorchCam(network, layer) as peer:
        return peer(classes, network(batch))


def captum(network: nn.Module, layer: str, batch: Tensor, classes: list[int]) -> object:
    return LayerGradCam(network, network.get_submodule(layer)).attribute(batch, target=torch.tensor(classes))


# Each as its user writes it, from the network to the maps, setting up and taking off its own hooks.
MAKERS: dict[str, Maker] = {
    OURS: ours,
    "pytorch-grad-cam": pytorch_grad_cam,
    "torchcam": torchcam,
    "captum": captum,
}


def measure(name: str, size: int, rounds: int, bar: tqdm) -> Ratios:
    """Return each maker's times ÷ the same round's forward pass; two rounds before them only warm up."""
    torch.manual_seed(4)
    network = torchvision.models.get_model(name, weights=None).eval()
    arguments = network, LAYERS[name], torch.randn(size, 3, 224, 224), list(range(size))
    ratios: Ratios = {maker: [] for maker in MAKERS}
    for number in range(rounds + 2):
        alone = seconds(forward, *arguments)
        for maker, make in MAKERS.items():
            ratio = seconds(make, *arguments) / alone
            if number >= 2:
                ratios[maker].append(ratio)
        bar.update()
    return ratios


def seconds(make: Callable[..., object], *arguments: object) -> float:
    started = time.perf_counter()
    make(*arguments)
    return time.perf_counter() - started


def table(measured: Mapping[tuple[str, int], Ratios], threads: int) -> str:
    """Return the Markdown that stands in the README."""
    rounds = len(next(iter(measured.values()))[OURS])
    rows = [
        [f"{name}, batch {size}", *("{1:.2f} ({0:.2f}–{2:.2f})".format(*quartiles(ratios[maker])) for maker in MAKERS)]
        for (name, size), ratios in measured.items()
    ]
    lines = [
        *pages.table(["Grad-CAM, time ÷ one forward pass", *MAKERS], rows),
        "",
        f"Median of {rounds} rounds, quartiles in brackets; in each round every package explains the same pictures of "
        f"224 × 224 once, beside one bare forward pass under `inference_mode`. {threads} CPU threads, torch "
        f"{torch.__version__.partition('+')[0]}, random weights. `make bench` measures again.",
    ]
    return "\n".join(lines)


def verdicts(measured: Mapping[tuple[str, int], Ratios]) -> str:
    """Say for each line whether ours keeps to the bar, and whether a peer is faster beyond the spread of the rounds."""
    lines = []
    for (name, size), ratios in measured.items():
        low, middle, _ = quartiles(ratios[OURS])
        fastest = min((maker for maker in MAKERS if maker != OURS), key=lambda maker: statistics.median(ratios[maker]))
        slower = low > quartiles(ratios[fastest])[2]
        lines.append(
            f"{name}, batch {size}: {middle:.2f} × forward, {'over' if middle > BAR else 'within'} {BAR}; "
            f"{'slower' if slower else 'not slower'} than {fastest}, the fastest peer"
        )
    return "\n".join(lines)


def quartiles(values: list[float]) -> tuple[float, float, float]:
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="how often each is timed (15)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads (all)")
    parser.add_argument("--only-print", action="store_true", help="leave README.md as it is")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    warnings.filterwarnings("ignore", "The map for .* is blank")  # weights are random, and so is what a map shows
    with tqdm(total=len(LAYERS) * len(BATCHES) * (given.rounds + 2), unit="round") as bar:
        measured = {(name, size): measure(name, size, given.rounds, bar) for name in LAYERS for size in BATCHES}
    block = table(measured, given.threads)
    print(block, verdicts(measured), sep="\n\n")
    if not given.only_print:
        README.write_text(pages.replaced(README.read_text(encoding="utf-8"), "benchmark", block), encoding="utf-8")


if __name__ == "__main__":
    main()
