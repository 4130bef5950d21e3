"""Saving at print resolution: a figure for a paper.

A journal wants 300 dots an inch, a column of 89 mm, and no frame.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.models import ResNet50_Weights, resnet50

model = resnet50(weights="DEFAULT").eval()  # yours
layer = model.layer4  # yours: the last one with rows and columns
prepare = ResNet50_Weights.DEFAULT.transforms()  # yours
image = Image.open("photo.jpg").convert("RGB")  # yours
target = 285  # yours: the index of a class

x = prepare(image)[None].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    score = model(x)[0, target]
(g,) = torch.autograd.grad(score, kept["A"])
A = kept["A"].detach()  # 1 × C × H × W, like g
cam = (g.mean(dim=(2, 3), keepdim=True) * A).sum(dim=1)[0]

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))
box = (0, *view.shape[1::-1], 0)
side = 89 / 25.4  # a column of 89 mm, in inches
figure = plt.figure(figsize=(side, side * view.shape[0] / view.shape[1]))
ax = figure.add_axes((0, 0, 1, 1))
ax.imshow(view, extent=box, interpolation="lanczos")
heat = cam.relu() / cam.max()
ax.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
ax.axis("off")
figure.savefig("print.png", dpi=300)
figure.savefig("print.pdf", dpi=600)
print("pixels:", Image.open("print.png").size)
