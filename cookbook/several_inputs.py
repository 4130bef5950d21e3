"""Several inputs: a picture and numbers: a network that takes more than a picture.

The network takes a picture and a table row, a text, a second view. Only the picture's layer is looked at; the rest goes
in as it is.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torch import nn
from torchvision.models import ResNet50_Weights, resnet50


class WithNumbers(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, picture, numbers):
        return self.body(picture) + numbers.sum(dim=1, keepdim=True)


model = WithNumbers(resnet50(weights="DEFAULT")).eval()  # yours
layer = model.body.layer4  # yours
prepare = ResNet50_Weights.DEFAULT.transforms()  # yours
image = Image.open("photo.jpg").convert("RGB")  # yours
numbers = torch.tensor([[0.5, 1.5]])  # yours: 1 × 2
target = 967  # yours

x = prepare(image)[None].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    score = model(x, numbers)[0, target]
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
plt.savefig("several_inputs.png")
