"""Smoothing over flips and brightness: a steadier map (`aug_smooth`).

The map jumps between frames or when you flip the picture. Average it over flipped and dimmed pictures, each map flipped
back. This is what `aug_smooth=True` does elsewhere.

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

x = prepare(image)[None]
kept, maps = {}, []
for flip in (False, True):
    for strength in (0.9, 1.0, 1.1):
        seen = (strength * (x.flip(3) if flip else x)).requires_grad_()
        with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
            score = model(seen)[0, target]
        (g,) = torch.autograd.grad(score, kept["A"])
        one = (g.mean(dim=(2, 3), keepdim=True) * kept["A"]).sum(dim=1)[0].detach()
        maps.append(one.flip(1) if flip else one)
cam = torch.stack(maps).mean(dim=0)

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))  # the square that the network saw
box = (0, *view.shape[1::-1], 0)
plt.imshow(view, extent=box)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
plt.title(f"class {target}, mean of {len(maps)} maps")
plt.axis("off")
plt.savefig("aug_smooth.png")
