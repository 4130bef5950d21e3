"""Insertion, deletion and ROAD side by side with the peers, in one run: python -m benchmarks.metrics

The same picture, network and map for all; forward passes are counted in pictures run. The table is printed and written
to metrics.md.
"""

import argparse
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
import torchvision
from pytorch_grad_cam.metrics.road import ROADCombined
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torchcam.methods import GradCAM
from torchcam.metrics import DeletionInsertionMetric

import lessons_lib as ll
from benchmarks.gradcam import quartiles
from tools import pages

REPORT = Path(__file__).parent / "metrics.md"
STEPS = 16  # which divides the pixels, so that torchcam takes as many
SHARES = (0.1, 0.3, 0.5)


class Counted(nn.Module):
    """A network that counts the pictures it is run on."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network, self.pictures = network, 0

    def forward(self, x: Tensor) -> Tensor:
        self.pictures += len(x)
        return self.network(x)


def our_curves(record: ll.Explainable, batch: Tensor, top: int) -> list[float]:
    heats = ll.explain(record, batch, top)
    falling = ll.metrics.deletion(record, batch, top, heats, steps=STEPS)
    rising = ll.metrics.insertion(record, batch, top, heats, steps=STEPS, fill=0.0)
    return [falling[0].area, rising[0].area]


def torchcams_curves(record: ll.Explainable, batch: Tensor, top: int) -> list[float]:
    with GradCAM(record.network, "network.layer4") as peer:
        metric = DeletionInsertionMetric(peer, partial(torch.softmax, dim=-1), steps=STEPS)
        metric.update(batch, top)
    return list(metric.summary().values())


def our_road(record: ll.Explainable, batch: Tensor, top: int) -> list[float]:
    return ll.metrics.road(record, batch, lambda output: output[top], ll.explain(record, batch, top), shares=SHARES)


def pytorch_grad_cams_road(record: ll.Explainable, batch: Tensor, top: int) -> list[float]:
    up = nn.functional.interpolate(
        ll.explain(record, batch, top)[0].values[None, None], batch.shape[2:], mode="bilinear"
    )
    combined = ROADCombined(percentiles=[100 * (1 - share) for share in SHARES])
    return list(combined(batch, up[0].numpy(), [ClassifierOutputTarget(top)], record.network))


MAKERS: dict[str, dict[str, Callable[[ll.Explainable, Tensor, int], list[float]]]] = {
    f"insertion and deletion, {STEPS} steps": {"lessons_lib": our_curves, "torchcam": torchcams_curves},
    f"ROAD, {len(SHARES)} shares, both orders": {
        "lessons_lib": our_road,
        "pytorch-grad-cam": pytorch_grad_cams_road,
    },
}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed (default: 3)")
    rounds = parser.parse_args().rounds
    warnings.filterwarnings("ignore")
    torch.manual_seed(4)
    network = Counted(torchvision.models.resnet18(weights=None).eval())
    with torch.no_grad():
        network.network.fc.weight.mul_(5)  # probabilities that differ
    record = ll.Explainable(network, layer="network.layer4", probability=partial(torch.softmax, dim=-1))
    batch = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        top = int(network(batch)[0].argmax())
    rows = []
    for metric, makers in MAKERS.items():
        taken: dict[str, list[float]] = {name: [] for name in makers}
        passes, values = {}, {}
        for _ in range(rounds):
            for name, make in makers.items():
                network.pictures, started = 0, perf_counter()
                values[name] = make(record, batch, top)
                taken[name].append(perf_counter() - started)
                passes[name] = network.pictures
        for name in makers:
            low, middle, high = quartiles(taken[name])
            found = ", ".join(f"{value:.3f}" for value in values[name])
            rows.append((metric, name, str(passes[name]), f"{middle:.2f} ({low:.2f}–{high:.2f})", found))
        ratio = np.median(taken["lessons_lib"]) / np.median(taken[next(one for one in makers if one != "lessons_lib")])
        print(f"{metric}: ours takes {ratio:.2f} of the peer's time")
    lines = pages.table(("one picture, ResNet-18", "package", "pictures run", "seconds", "result"), rows)
    lines += [
        "",
        f"Median of {rounds} rounds, quartiles in brackets; {torch.get_num_threads()} CPU thread, torch "
        f"{torch.__version__.split('+')[0]}, random weights, 224 × 224. `python -m benchmarks.metrics` measures again.",
    ]
    lines += [
        "",
        "Curves differ: torchcam ranks the map after its ReLU, where all that is negative ties, and ours ranks the raw "
        "map. For ROAD each draws noise of its own.",
    ]
    REPORT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
