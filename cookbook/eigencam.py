"""Eigen-CAM: what stands out at a layer, without any class.

No gradient can be had (a scripted head, a detector whose output is post-processed), and you want to see what the layer
is busy with.

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

x = prepare(image)[None]
kept = {}
with torch.no_grad(), layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    model(x)
A = kept["A"][0]  # C × H × W
cells = A.flatten(1).T  # H·W × C
cells = cells - cells.mean(dim=0)  # what is the same everywhere goes
V = torch.linalg.svd(cells, full_matrices=False).Vh
cam = (cells @ V[0]).view(A.shape[1:])
cam = cam * cam.flatten()[cam.abs().argmax()].sign()  # the strongest cell is positive

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))  # the square that the network saw
box = (0, *view.shape[1::-1], 0)
plt.imshow(view, extent=box)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
plt.title("Eigen-CAM, no class")
plt.axis("off")
plt.savefig("eigencam.png")
