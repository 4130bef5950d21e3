"""A folder through a DataLoader, one CSV line each: a table over many pictures.

You want numbers over a data set: each picture's class, score, and where the peak is.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import csv
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.models import ResNet50_Weights, resnet50

model = resnet50(weights="DEFAULT").eval()  # yours
layer = model.layer4  # yours
prepare = ResNet50_Weights.DEFAULT.transforms()  # yours
paths = sorted(Path("photos").glob("*.jpg"))  # yours


class Pictures(torch.utils.data.Dataset):
    def __len__(self):
        return len(paths)

    def __getitem__(self, index):
        try:
            return index, prepare(Image.open(paths[index]).convert("RGB")), ""
        except OSError as error:
            return index, prepare(Image.new("RGB", (256, 256))), str(error)


kept, lines, cam = {}, [], []
for numbers, x, errors in DataLoader(Pictures(), batch_size=8):
    with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
        scores, targets = model(x.requires_grad_()).max(dim=1)
    (g,) = torch.autograd.grad(scores.sum(), kept["A"])
    maps = (g.mean(dim=(2, 3), keepdim=True) * kept["A"]).sum(dim=1).detach()
    for number, target, score, one, error in zip(numbers, targets, scores, maps, errors, strict=True):
        row, column = divmod(int(one.argmax()), one.shape[1])
        found = ["", "", "", "", error] if error else [int(target), f"{score:.3f}", row, column, ""]
        lines.append([paths[number].name, *found])
        cam += [] if error else [one]
with open("heat.csv", "w", newline="") as file:
    csv.writer(file).writerows([["picture", "class", "score", "row", "column", "error"], *lines])
print(Path("heat.csv").read_text())
