"""Similarity of two embeddings: why two pictures are found alike.

Retrieval, face or product matching, self-supervised networks: no classes, only vectors. Explain the cosine to a
reference.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torch import nn
from torchvision.models import ResNet50_Weights, resnet50

model = nn.Sequential(*list(resnet50(weights="DEFAULT").children())[:-1], nn.Flatten()).eval()  # yours
layer = model[-3]  # yours: the last one with rows and columns
prepare = ResNet50_Weights.DEFAULT.transforms()  # yours
image = Image.open("photo.jpg").convert("RGB")  # yours
other = Image.open("wide.jpg").convert("RGB")  # yours: what it is compared with

with torch.no_grad():
    reference = model(prepare(other)[None])[0]
x = prepare(image)[None].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    score = torch.cosine_similarity(model(x)[0], reference, dim=0)
(g,) = torch.autograd.grad(score, kept["A"])
A = kept["A"].detach()  # 1 × C × H × W, like g
cam = (g.mean(dim=(2, 3), keepdim=True) * A).sum(dim=1)[0]

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))  # the square that the network saw
box = (0, *view.shape[1::-1], 0)
plt.imshow(view, extent=box)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
plt.title(f"cosine {score:.2f}")
plt.axis("off")
plt.savefig("embedding.png")
