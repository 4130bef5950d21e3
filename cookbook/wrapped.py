"""Compiled, DataParallel, LoRA: the network inside: a network that was wrapped.

Hooks belong on the network that runs. A wrapper keeps it inside: `module` (DataParallel, DDP), `_orig_mod`
(`torch.compile`), `get_base_model()` (peft's LoRA).

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torch import nn
from torchvision.models import ResNet50_Weights, resnet50

model = nn.DataParallel(resnet50(weights="DEFAULT").eval())  # yours
layer = model.module.layer4  # yours: the last one with rows and columns
prepare = ResNet50_Weights.DEFAULT.transforms()  # yours
image = Image.open("photo.jpg").convert("RGB")  # yours
target = 285  # yours: the index of a class

network = model
while inner := getattr(network, "_orig_mod", None) or getattr(network, "module", None):
    network = inner
if hasattr(network, "get_base_model"):
    network = network.get_base_model()
x = prepare(image)[None].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    score = network(x)[0, target]
(g,) = torch.autograd.grad(score, kept["A"])
A = kept["A"].detach()  # 1 × C × H × W, like g
cam = (g.mean(dim=(2, 3), keepdim=True) * A).sum(dim=1)[0]

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))  # the square that the network saw
box = (0, *view.shape[1::-1], 0)
plt.imshow(view, extent=box)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
plt.title(f"class {target}, score {score:.2f}")
plt.axis("off")
plt.savefig("wrapped.png")
