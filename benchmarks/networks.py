"""Which layer is taken in networks that nobody prepared: python -m benchmarks.networks

The smallest network of each of torchvision's and timm's modules of classifiers, with random weights, gets one picture
and one class, and nothing else: no layer, no reshape. What `explain` took is printed and written to networks.md.
Networks of more than 100 million numbers are left out, and so are those that take no three-channel picture. It takes
some minutes and 8 GB of memory.
"""

import warnings
from collections import defaultdict
from pathlib import Path

import timm
import torch
import torchvision
from torch import nn
from tqdm import tqdm

import lessons_lib as ll
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


def main() -> None:
    warnings.filterwarnings("ignore")
    rows = []
    for (library, _), names in tqdm(families().items(), desc="networks", unit="family"):
        count, name = min((parameters(library, name), name) for name in names)
        if count <= LARGEST and (row := looked_at(library, name)):
            rows.append(row)
    report = [
        "The smallest network of each module, with random weights, explained with nothing but a picture and a class:",
        "",
        *pages.table(("network", "picture", "layer taken", "map"), rows),
        "",
        f"{len(rows)} networks; torch {torch.__version__.partition('+')[0]}, torchvision "
        f"{torchvision.__version__.partition('+')[0]}, timm {timm.__version__}. `python -m benchmarks.networks` looks "
        "again.",
    ]
    text = "\n".join(report) + "\n"
    print(text)
    REPORT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
