"""The logit, not the probability: the right number for a class.

Always, unless you ask how the class stands against all others: the probability's map also shows what speaks against all
other classes, and vanishes when the network is sure.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.models import ResNet50_Weights, resnet50

model = resnet50(weights="DEFAULT").eval()  # yours
layer = model.layer4  # yours: the last one with rows and columns
prepare = ResNet50_Weights.DEFAULT.transforms()  # yours
image = Image.open("wide.jpg").convert("RGB")  # yours
target = 967  # yours: the index of a class

x = prepare(image)[None].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    logits = model(x)[0]
A = kept["A"]
cam = []
for sure in (1, 3):  # the same network, and one that is three times as sure
    y = sure * logits
    for score in (y[target], y.softmax(dim=0)[target], y.log_softmax(dim=0)[target]):
        (g,) = torch.autograd.grad(score, A, retain_graph=True)
        cam.append((g.mean(dim=(2, 3), keepdim=True) * A).sum(dim=1)[0].detach())
names = ["logit", "softmax", "log-softmax"]
figure, axes = plt.subplots(2, 3, figsize=(7, 4.4))
for ax, one, name in zip(axes.flatten(), cam, 2 * names, strict=True):
    ax.imshow(one.relu(), cmap="inferno", vmin=0)
    ax.set_title(f"{name}, peak {one.max():.1g}")
    ax.axis("off")
axes[1, 0].set_title(f"3 × as sure: logit, peak {cam[3].max():.1g}")
figure.savefig("logit.png")
