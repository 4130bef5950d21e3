"""Contrast: why this and not that: why A and not B.

The network wavers between two classes, or mistakes one for the other. Explain the difference of the two logits.

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
this, that = 285, 967  # yours: the indices of two classes

x = prepare(image)[None].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    logits = model(x)[0]
    score = logits[this] - logits[that]
(g,) = torch.autograd.grad(score, kept["A"])
A = kept["A"].detach()  # 1 × C × H × W, like g
cam = (g.mean(dim=(2, 3), keepdim=True) * A).sum(dim=1)[0]

top = cam.abs().max()
plt.imshow(cam, cmap="RdBu_r", vmin=-top, vmax=top)
plt.colorbar(label=f"for class {that} ← → for class {this}")
plt.title(f"logit {this} − logit {that}: {score:.2f}")
plt.savefig("contrast.png")
