"""Regression: what raises a predicted number.

The network gives a number: an age, a price, a dose. Positive cells raise it, negative cells lower it; both are the
answer, so draw signs.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torch import nn
from torchvision.models import ResNet50_Weights, resnet50


class Regressor(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        logits = self.body(x)
        return logits[:, 285:286] - logits[:, 967:968]  # N × 1: how much more cat than coffee


model = Regressor(resnet50(weights="DEFAULT")).eval()  # yours
layer = model.body.layer4  # yours
prepare = ResNet50_Weights.DEFAULT.transforms()  # yours
image = Image.open("photo.jpg").convert("RGB")  # yours

x = prepare(image)[None].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    score = model(x)[0, 0]
(g,) = torch.autograd.grad(score, kept["A"])
A = kept["A"].detach()  # 1 × C × H × W, like g
cam = (g.mean(dim=(2, 3), keepdim=True) * A).sum(dim=1)[0]

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))
box = (0, *view.shape[1::-1], 0)
top = cam.abs().max()
plt.imshow(view.mean(axis=2), cmap="gray", extent=box)
plt.imshow(cam, cmap="RdBu_r", vmin=-top, vmax=top, alpha=0.6, extent=box, interpolation="bilinear")
plt.colorbar(label="lowers it ← → raises it")
plt.title(f"the number: {score:.2f}")
plt.axis("off")
plt.savefig("regression.png")
