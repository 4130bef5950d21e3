"""What the maps of a detector cost, and Ablation-CAM through its heads beside a peer's: python -m benchmarks.detection

One run on torchvision's Faster R-CNN with a ResNet-50 pyramid and random weights, all 1,280 channels of the pyramid.
Times are divided by that of one bare forward pass. The peer takes minutes. The table is printed and written to
detection.md.
"""

import argparse
import os
import statistics
import warnings
from collections import OrderedDict
from pathlib import Path

import torch
from pytorch_grad_cam import AblationCAM
from pytorch_grad_cam.ablation_layer import AblationLayerFasterRCNN
from pytorch_grad_cam.utils.model_targets import FasterRCNNBoxScoreTarget
from pytorch_grad_cam.utils.reshape_transforms import fasterrcnn_reshape_transform
from torch import Tensor, nn
from torchvision.models.detection import fasterrcnn_resnet50_fpn
from tqdm import tqdm

import lessons_lib as ll
from benchmarks.gradcam import forward, quartiles, seconds
from lessons_lib.core.records import Explainable
from tools import pages

REPORT = Path(__file__).parent / "detection.md"


def prepared(side: int) -> tuple[Explainable, Tensor]:
    """Return the network as it is by default, but for the picture's size and a threshold that random weights reach."""
    torch.manual_seed(0)
    network = fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, min_size=side, max_size=2 * side, box_score_thresh=0.0
    )
    return Explainable(network.eval(), "backbone", layout=ll.layouts.pyramid), torch.rand(1, 3, side, side * 5 // 4)


def all_boxes(model: Explainable, batch: Tensor, count: int) -> object:
    return ll.explain(model, batch[0], [ll.BoxScore(number) for number in range(count)], method=ll.hirescam)


def ablation(model: Explainable, batch: Tensor) -> object:
    return ll.explain(model, batch[0], ll.BoxScore(0), method=ll.ablationcam)


def peers_ablation(network: nn.Module, batch: Tensor, box: OrderedDict[str, Tensor]) -> object:
    target = FasterRCNNBoxScoreTarget(box["labels"][:1], box["boxes"][:1])
    with AblationCAM(
        network, [network.backbone], fasterrcnn_reshape_transform, ablation_layer=AblationLayerFasterRCNN()
    ) as peer:
        return peer(batch, [target])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=128, help="the shorter side of the picture (128)")
    parser.add_argument("--rounds", type=int, default=5, help="how often all but the peer is timed (5)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads (all)")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    warnings.filterwarnings("ignore")
    model, batch = prepared(given.side)
    with torch.no_grad():
        (box,) = model.network(batch)
    bare = [seconds(forward, model.network, "", batch, []) for _ in range(given.rounds + 1)][1:]
    alone = statistics.median(bare)
    rows = []
    for count in tqdm((1, 2, 5, 10), desc="maps of boxes", unit="number"):
        times = [seconds(all_boxes, model, batch, count) / alone for _ in range(given.rounds + 1)][1:]
        low, middle, high = quartiles(times)
        rows.append((f"HiResCAM of {count} box{'es' * (count > 1)}, together", f"{middle:.2f} ({low:.2f}–{high:.2f})"))
    times = [seconds(ablation, model, batch) / alone for _ in range(given.rounds)]
    low, middle, high = quartiles(times)
    rows.append(("Ablation-CAM of one box, lessons_lib", f"{middle:.1f} ({low:.1f}–{high:.1f})"))
    theirs = seconds(peers_ablation, model.network, batch, box) / alone
    rows.append(("Ablation-CAM of one box, pytorch-grad-cam", f"{theirs:.0f}"))
    lines = [
        f"Faster R-CNN ResNet-50 FPN, picture {batch.shape[2]} × {batch.shape[3]}, {1280} channels, "
        f"one bare forward pass {1000 * alone:.0f} ms:",
        "",
        *pages.table(("what", "time ÷ one forward pass"), rows),
        "",
        f"Ablation-CAM: {theirs / middle:.0f} times faster than pytorch-grad-cam. Ours holds the places of proposals "
        "fixed, as the gradient does, and runs the box head for the box's own; theirs runs the whole detector.",
        "",
        f"Median of {given.rounds} rounds, quartiles in brackets; the peer once. {given.threads} CPU threads, torch "
        f"{torch.__version__.partition('+')[0]}, random weights. `python -m benchmarks.detection` measures again.",
    ]
    report = "\n".join(lines) + "\n"
    print(report)
    REPORT.write_text(report, encoding="utf-8")


if __name__ == "__main__":
    main()
