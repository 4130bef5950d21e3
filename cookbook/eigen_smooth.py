"""Smoothing by the first component: a map with less noise (`eigen_smooth`).

The map is speckled. The weighted maps are not summed; their first principal component is taken. This is what
`eigen_smooth=True` does elsewhere.

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
weighted = (g.mean(dim=(2, 3), keepdim=True) * A)[0]  # C × H × W
cells = weighted.flatten(1).T
cells = cells - cells.mean(dim=0)
V = torch.linalg.svd(cells, full_matrices=False).Vh
cam = (cells @ V[0]).view(A.shape[2:])
cam = cam * cam.flatten()[cam.abs().argmax()].sign()

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))  # the square that the network saw
box = (0, *view.shape[1::-1], 0)
plt.imshow(view, extent=box)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
plt.title(f"class {target}, score {score:.2f}")
plt.axis("off")
plt.savefig("eigen_smooth.png")
