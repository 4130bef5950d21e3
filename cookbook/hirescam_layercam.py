"""HiResCAM and LayerCAM: a sharper map at an earlier layer, or for one place.

The question is about a place (a box, a pixel), or you look at an early layer with many cells. Nothing is averaged, so
each cell keeps its own gradient.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.models import ResNet50_Weights, resnet50

model = resnet50(weights="DEFAULT").eval()  # yours
layer = model.layer3  # yours: an earlier one, with more cells
prepare = ResNet50_Weights.DEFAULT.transforms()  # yours
image = Image.open("photo.jpg").convert("RGB")  # yours
target = 285  # yours: the index of a class

x = prepare(image)[None].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    score = model(x)[0, target]
(g,) = torch.autograd.grad(score, kept["A"])
A = kept["A"].detach()  # 1 × C × H × W, like g
hirescam = (g * A).sum(dim=1)[0]
layercam = (g.relu() * A).sum(dim=1)[0]
cam = [hirescam, layercam]

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))
box = (0, *view.shape[1::-1], 0)
figure, axes = plt.subplots(1, 2, figsize=(7, 3.4))
for ax, one, name in zip(axes, cam, ["HiResCAM", "LayerCAM"], strict=True):
    ax.imshow(view, extent=box)
    heat = one.relu() / one.max()
    ax.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
    ax.set_title(f"{name}, class {target}")
    ax.axis("off")
figure.savefig("hirescam_layercam.png")
