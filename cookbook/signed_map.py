"""Signed maps: what speaks for it and what against it.

A regression, a difference, or a class you want to see the whole case for. Diverging colours, zero in the middle.

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
target = 404  # yours: the index of a class

x = prepare(image)[None].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    score = model(x)[0, target]
(g,) = torch.autograd.grad(score, kept["A"])
A = kept["A"].detach()  # 1 × C × H × W, like g
cam = (g.mean(dim=(2, 3), keepdim=True) * A).sum(dim=1)[0]

top = cam.abs().max()
plt.imshow(cam, cmap="RdBu_r", vmin=-top, vmax=top)
plt.colorbar(label="against ← → for")
plt.title(f"class {target}, score {score:.2f}: {(cam > 0).float().mean():.0%} of the cells speak for it")
plt.savefig("signed_map.png")
