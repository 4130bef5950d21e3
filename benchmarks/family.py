"""The family side by side with the peers, in one run: python -m benchmarks.family

Times are divided by that of one bare forward pass of one picture under `inference_mode`, taken in the same round. What
runs the network once a channel is slow in the peers: minutes a round. The tables are printed and written to family.md.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytorch_grad_cam
import torch
import torchcam.methods
import torchvision
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from tqdm import tqdm

import lessons_lib as ll
from benchmarks.gradcam import forward, quartiles, seconds
from tools import pages

REPORT = Path(__file__).parent / "family.md"
GRADIENTS = {
    "gradcam": ("GradCAM", "GradCAM"),
    "gradcam_plus_plus": ("GradCAMPlusPlus", "GradCAMpp"),
    "hirescam": ("HiResCAM", None),
    "layercam": ("LayerCAM", "LayerCAM"),
    "xgradcam": ("XGradCAM", "XGradCAM"),
}
SECOND_RUNS = [("ablationcam", "resnet18"), ("ablationcam", "resnet50"), ("scorecam", "resnet18")]
SECOND_PEERS = {"ablationcam": ("AblationCAM", None), "scorecam": ("ScoreCAM", "ScoreCAM")}
CHUNKS = (8, 64, 512)

Maker = Callable[[nn.Module, str, Tensor, list[int]], object]


def ours(name: str, network: nn.Module, layer: str, batch: Tensor, classes: list[int]) -> object:
    return ll.explain(network, batch, ll.ClassScore(classes[0]), layer=layer, method=getattr(ll, name))


def pytorch_grad_cams(name: str, network: nn.Module, layer: str, batch: Tensor, classes: list[int]) -> object:
    with getattr(pytorch_grad_cam, name)(network, [network.get_submodule(layer)]) as peer:
        return peer(batch, [ClassifierOutputTarget(classes[0])])


def torchcams(name: str, network: nn.Module, layer: str, batch: Tensor, classes: list[int]) -> object:
    with getattr(torchcam.methods, name)(network, layer) as peer:
        return peer(classes[0], network(batch))


def makers(name: str, theirs: tuple[str | None, str | None]) -> dict[str, Maker]:
    found: dict[str, Maker] = {"lessons_lib": partial(ours, name)}
    for package, make, peer in zip(
        ("pytorch-grad-cam", "torchcam"), (pytorch_grad_cams, torchcams), theirs, strict=True
    ):
        if peer is not None:
            found[package] = partial(make, peer)
    return found


def prepared(name: str) -> tuple[nn.Module, str, Tensor, list[int]]:
    torch.manual_seed(4)
    network = torchvision.models.get_model(name, weights=None).eval()
    batch = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        top = int(network(batch)[0].argmax())
    return network, "layer4.1" if name == "resnet18" else "layer4.2", batch, [top]


def ratios(arguments: tuple, makers: dict[str, Maker], rounds: int, warm: int) -> dict[str, list[float]]:
    """Return each maker's times ÷ the same round's forward pass, the median of five."""
    found: dict[str, list[float]] = {maker: [] for maker in makers}
    for number in range(warm + rounds):
        alone = statistics.median(seconds(forward, *arguments) for _ in range(5))
        for maker, make in makers.items():
            ratio = seconds(make, *arguments) / alone
            if number >= warm:
                found[maker].append(ratio)
    return found


def peak_memory(method: str, chunk: int) -> float:
    """Return by how many MB the resident peak of a process of its own grows when it makes one map; median of five."""
    command = [sys.executable, "-m", "benchmarks.family", "--memory-of", method, "--chunk", str(chunk)]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(5)]
    return statistics.median(float(run.stdout) for run in runs)


def grown(method: str, chunk: int) -> float:
    network, layer, batch, classes = prepared("resnet50" if method == "ablationcam" else "resnet18")
    if method == "scorecam":  # fewer channels, so that this does not take minutes
        layer = "layer1"
    ll.explain(network, batch, layer=layer)
    before = resident_peak()
    ll.explain(network, batch, ll.ClassScore(classes[0]), layer=layer, method=partial(getattr(ll, method), chunk=chunk))
    return resident_peak() - before


def resident_peak() -> float:
    """Return the most memory that this process has held so far, in MB. (`getrusage` would count the parent's too.)"""
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    return int(peak) / 1024


def same_map(arguments: tuple) -> float:
    """Return how far our Ablation-CAM and pytorch-grad-cam's are apart, each divided by its peak, in the picture."""
    network, layer, batch, classes = arguments
    heat = ll.explain(network, batch, ll.ClassScore(classes[0]), layer=layer, method=ll.ablationcam)[0]
    found: list = []
    with pytorch_grad_cam.AblationCAM(network, [network.get_submodule(layer)]) as peer:
        inner = peer.get_cam_image
        peer.get_cam_image = lambda *a, **k: found.append(inner(*a, **k)) or found[-1]
        peer(batch, [ClassifierOutputTarget(classes[0])])
    theirs = torch.from_numpy(found[0][0])
    return float((heat.values / heat.values.abs().max() - theirs / theirs.abs().max()).abs().max())


PACKAGES = ("lessons_lib", "pytorch-grad-cam", "torchcam")


def line(title: str, found: dict[str, list[float]]) -> list[str]:
    cells = []
    for package in PACKAGES:
        times = found.get(package, [])
        low, middle, high = quartiles(times) if len(times) > 1 else (times * 3 or [0.0] * 3)
        digits = 2 if middle < 10 else 0
        spread = f" ({low:.{digits}f}–{high:.{digits}f})" if len(times) > 1 else ""
        cells.append(f"{middle:.{digits}f}{spread}" if times else "–")
    return [title, *cells]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="how often gradient methods are timed (15)")
    parser.add_argument("--slow-rounds", type=int, default=1, help="how often what runs once a channel is timed (1)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads (all)")
    parser.add_argument("--only-print", action="store_true", help=f"leave {REPORT.name} as it is")
    parser.add_argument("--memory-of", choices=SECOND_PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--chunk", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    warnings.filterwarnings("ignore")
    if given.memory_of:
        print(grown(given.memory_of, given.chunk))
        return
    times: list[list[str]] = []
    same: list[str] = []
    memory: list[list[str]] = []
    with tqdm(total=len(GRADIENTS) + len(SECOND_RUNS) + 2 + 2 * len(CHUNKS), unit="line") as bar:
        arguments = prepared("resnet50")
        for method, theirs in GRADIENTS.items():
            times.append(line(f"{method}, ResNet-50", ratios(arguments, makers(method, theirs), given.rounds, 2)))
            bar.update()
        for method, name in SECOND_RUNS:
            arguments, alone = prepared(name), makers(method, (None, None))
            both = ratios(arguments, makers(method, SECOND_PEERS[method]), given.slow_rounds, 0)
            if method == "ablationcam":
                both |= ratios(arguments, alone, given.rounds, 2)
            times.append(line(f"{method}, {name}'s last block", both))
            bar.update()
        for name in ("resnet18", "resnet50"):
            apart = same_map(prepared(name))
            same.append(f"Ablation-CAM, {name}: the map is pytorch-grad-cam's, to {apart:.0e} of its largest value.")
            bar.update()
        for method in SECOND_PEERS:
            grows = []
            for chunk in CHUNKS:
                grows.append(f"{peak_memory(method, chunk):.0f}")
                bar.update()
            where = "ResNet-50's last block" if method == "ablationcam" else "ResNet-18's first stage, 64 channels"
            memory.append([f"{method}, {where}", *grows])
    lines = [
        *pages.table(["one picture, time ÷ one forward pass", *PACKAGES], times),
        "",
        *same,
        "",
        *pages.table(["peak memory beyond Grad-CAM's, MB", *(f"chunk {c}" for c in CHUNKS)], memory),
        "",
        f"Median of {given.rounds} rounds, quartiles in brackets; peers that run once a channel: {given.slow_rounds}; "
        "memory: 5 processes. "
        f"{given.threads} CPU threads, torch {torch.__version__.partition('+')[0]}, random weights, 224 × 224. "
        "`python -m benchmarks.family` measures again.",
    ]
    report = "\n".join(lines) + "\n"
    print(report)
    if not given.only_print:
        REPORT.write_text(report, encoding="utf-8")


if __name__ == "__main__":
    main()
