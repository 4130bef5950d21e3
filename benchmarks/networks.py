"""Which layer is taken in networks that nobody prepared: python -m benchmarks.networks classifiers

The smallest network of each of torchvision's and timm's modules of classifiers, with random weights, gets one picture
and one class, and nothing else: no layer, no reshape. What `explain` took is printed and written to networks.md.
Networks of more than 100 million numbers are left out, and so are those that take no three-channel picture. It takes
some minutes and 8 GB of memory.

`others` looks at other tasks and other packages, those of `benchmarks.others`, in the environment of `make networks`:
`.networks/venv/bin/python -m benchmarks.networks others`. Each network gets a bright square on a dark picture, and what
that changes at the layer taken must lie on the square. Each of the two writes its own part of networks.md.
"""

import sys
import time
import warnings
from collections import defaultdict
from pathlib import Path

import timm
import torch
import torchvision
from torch import nn
from tqdm import tqdm

import lessons_lib as ll
from benchmarks.others import PACKAGES, Made
from lessons_lib.core.engine import capture
from lessons_lib.core.engine.captured import Captured
from tools import pages

REPORT = Path(__file__).parent / "networks.md"
LARGEST = 100_000_000
TORCHVISION_SIZES = {"inception_v3": 299}

Family = tuple[str, str]
"""A library and the last part of a module's name."""


def families() -> dict[Family, list[str]]:
    """Return the names of both libraries' classifiers by the module that makes them."""
    found: dict[Family, list[str]] = defaultdict(list)
    for name in torchvision.models.list_models(module=torchvision.models):
        found["torchvision", torchvision.models.get_model_builder(name).__module__.rpartition(".")[2]].append(name)
    for name in timm.list_models(exclude_filters="test_*"):
        found["timm", timm.models.model_entrypoint(name).__module__.rpartition(".")[2]].append(name)
    return found


def parameters(library: str, name: str) -> int:
    """Return how many numbers a network has, without making them."""
    if library == "torchvision":
        return torchvision.models.get_model_weights(name).DEFAULT.meta["num_params"]
    with torch.device("meta"):
        return sum(one.numel() for one in timm.create_model(name, pretrained=False).parameters())


def looked_at(library: str, name: str) -> tuple[str, ...]:
    """Return the table's row for one network, empty if it takes no colours; a sentence says what went wrong."""
    torch.manual_seed(0)
    if library == "timm":
        network = timm.create_model(name, pretrained=False).eval()
        channels, height, width = network.default_cfg["input_size"]
    else:
        network = torchvision.models.get_model(name, weights=None).eval()
        channels, height, width = 3, *[TORCHVISION_SIZES.get(name, 224)] * 2
    if channels != 3:
        return ()
    heads = [module for module in network.modules() if isinstance(module, nn.Linear)]
    for head in heads[-2:]:
        nn.init.normal_(head.weight)  # some begin with a head of zeros, and without training nothing would be heard
    picture = torch.rand(1, channels, height, width)
    try:
        (heat,) = ll.explain(network, picture, ll.ClassScore(0))
    except (ValueError, TypeError) as error:
        return f"{library} {name}", f"{height} × {width}", str(error), ""
    rows, columns = heat.values.shape
    return f"{library} {name}", f"{height} × {width}", heat.layer, f"{rows} × {columns}"


def square(side: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, tuple[int, int, int, int]]:
    """Return a dark picture, one with a bright square, one with it on the opposite side, and the first one's edges."""
    dark = 0.2 * torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    left, top, right, bottom = 5 * side // 8, side // 4, 7 * side // 8, side // 2
    here, there = dark.clone(), dark.clone()
    here[:, :, top:bottom, left:right] = 1
    there[:, :, side - bottom : side - top, side - right : side - left] = 1
    return dark, here, there, (left, top, right, bottom)


def lies(network: nn.Module, heat: ll.Heatmap, target: object, side: int) -> bool:
    """Return whether the centre of what a square changes at the layer of `heat` lies on it, or one cell beside it.

    Of that, what the same square changes on the opposite side is taken away: attention carries something everywhere.
    Not the largest change is looked at: where each cell sees nearly all of the picture, chance says which one it is.
    """
    dark, here, there, (left, top, right, bottom) = square(side)

    def changed(seen: Captured) -> torch.Tensor:
        plain, other = (capture.run(network, one, seen.layer).activations for one in (dark, there))
        return (seen.activations - plain).abs().sum(dim=1) - (other - plain).abs().sum(dim=1)

    (found,) = ll.explain(network, here, target, layer=heat.layer, method=changed)
    more = torch.as_tensor(found.on_photo()).clamp(min=0)
    places = torch.arange(side, dtype=more.dtype)
    row, column = (float(more.sum(dim=axis) @ places / more.sum()) for axis in (1, 0))
    rows, columns = found.values.shape
    high, wide = (found.region[3] - found.region[1]) / rows, (found.region[2] - found.region[0]) / columns
    return top - high <= row <= bottom + high and left - wide <= column <= right + wide


def other(package: str, made: Made) -> tuple[str, ...]:
    """Return the table's row for one network of another task or package."""
    name, make, side, target = made
    torch.manual_seed(0)
    network = make().eval()
    begun = time.process_time()
    try:
        (heat,) = ll.explain(network, square(side)[1], target)
    except (ValueError, TypeError, RuntimeError) as error:
        return f"{package} {name}", f"{side} × {side}", f"refused: {error}", "", "", ""
    seconds = time.process_time() - begun
    size = " × ".join(map(str, heat.values.shape))
    told = "yes" if lies(network, heat, target, side) else "**no**"
    return f"{package} {name}", f"{side} × {side}", heat.layer, size, f"{seconds:.1f} s", told


def others() -> list[str]:
    """Return the part of the page about other tasks and packages."""
    made = [(package, one) for package, of in PACKAGES.items() for one in of()]
    rows = []
    for package, one in tqdm(made, desc="networks", unit="network"):
        rows.append(other(package, one))
        print(*rows[-1], sep=" | ", flush=True)
    head = ("network", "picture", "layer taken", "map", "first time", "on the square")
    return [
        "Other tasks and other packages, small and with random weights. The last column says whether what a bright",
        "square on a dark picture changes at the layer taken lies on that square:",
        "",
        *pages.table(head, rows),
        "",
        f"{len(rows)} networks; processor seconds of the first explanation of a network, which is slower than the "
        "next. `.networks/venv/bin/python -m benchmarks.networks others` looks again.",
    ]


def classifiers() -> list[str]:
    """Return the part of the page about torchvision's and timm's classifiers."""
    rows = []
    for (library, _), names in tqdm(families().items(), desc="networks", unit="family"):
        count, name = min((parameters(library, name), name) for name in names)
        if count <= LARGEST and (row := looked_at(library, name)):
            rows.append(row)
    return [
        "The smallest network of each module, with random weights, explained with nothing but a picture and a class:",
        "",
        *pages.table(("network", "picture", "layer taken", "map"), rows),
        "",
        f"{len(rows)} networks; torch {torch.__version__.partition('+')[0]}, torchvision "
        f"{torchvision.__version__.partition('+')[0]}, timm {timm.__version__}. `python -m benchmarks.networks "
        "classifiers` looks again.",
    ]


def main(part: str) -> None:
    warnings.filterwarnings("ignore")
    report = "\n".join({"classifiers": classifiers, "others": others}[part]())
    REPORT.write_text(pages.replaced(REPORT.read_text(encoding="utf-8"), part, report), encoding="utf-8")
    print(report)


if __name__ == "__main__":
    main(sys.argv[1])
