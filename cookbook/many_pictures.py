"""A folder, resumable, with a progress bar: maps of thousands of pictures.

It takes hours and will be interrupted. Each map is written as soon as it is made; what is there is not made again; what
fails is recorded with its reason.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

from pathlib import Path

import torch
from PIL import Image
from torchvision.models import ResNet50_Weights, resnet50
from tqdm.auto import tqdm

model = resnet50(weights="DEFAULT").eval()  # yours
layer = model.layer4  # yours
prepare = ResNet50_Weights.DEFAULT.transforms()  # yours
paths, out = sorted(Path("photos").glob("*.jpg")), Path("maps")  # yours


def explained(x):
    kept = {}
    with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
        scores, targets = model(x.requires_grad_()).max(dim=1)
    (g,) = torch.autograd.grad(scores.sum(), kept["A"])
    return (g.mean(dim=(2, 3), keepdim=True) * kept["A"]).sum(dim=1).detach().cpu(), targets.tolist(), scores.tolist()


def keep(path, what):
    torch.save(what, out / f"{path.stem}.part")
    (out / f"{path.stem}.part").rename(out / f"{path.stem}.pt")  # whole, or not there


out.mkdir(exist_ok=True)
todo = [path for path in paths if not (out / f"{path.stem}.pt").exists()]
bar = tqdm(total=len(todo), unit="picture")
for some in [todo[at : at + 16] for at in range(0, len(todo), 16)]:
    ready = {}
    for path in some:
        try:
            ready[path] = prepare(Image.open(path).convert("RGB"))
        except OSError as error:
            keep(path, {"error": str(error)})
    if ready:
        for path, *found in zip(ready, *explained(torch.stack(list(ready.values()))), strict=True):
            keep(path, dict(zip(("map", "class", "score"), found, strict=True)))
    bar.update(len(some))
results = {path.name: torch.load(out / f"{path.stem}.pt") for path in paths}
cam = [one["map"] for one in results.values() if "map" in one]
print(f"{len(cam)} maps, failed:", {name: one["error"] for name, one in results.items() if "error" in one})
