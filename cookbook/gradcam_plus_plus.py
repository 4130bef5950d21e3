"""Grad-CAM++: all copies of an object, not only one.

Several objects of one class, and Grad-CAM shows one of them. Best at a last layer behind a ReLU.

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
alpha = 1 / (2 + g * A.sum(dim=(2, 3), keepdim=True))  # eq. (19); exp(score) cancels
w = torch.where(g > 0, alpha * g, 0).sum(dim=(2, 3), keepdim=True)  # eq. (5)
cam = (w * A).sum(dim=1)[0]

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))  # the square that the network saw
box = (0, *view.shape[1::-1], 0)
plt.imshow(view, extent=box)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
plt.title(f"class {target}, score {score:.2f}")
plt.axis("off")
plt.savefig("gradcam_plus_plus.png")
