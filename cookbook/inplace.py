"""A layer with an in-place ReLU behind it: denseNet, old VGGs: the maps are overwritten.

The next operation writes into the maps that you kept, so you see them after the ReLU. Hand the network a copy and keep
the original. (On this page the network has random weights.)

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.models import DenseNet121_Weights, densenet121

model = densenet121(weights="DEFAULT").eval()  # yours
layer = model.features  # yours: an in-place ReLU follows it
prepare = DenseNet121_Weights.DEFAULT.transforms()  # yours
image = Image.open("scene.jpg").convert("RGB")  # yours
target = 3  # yours

x = prepare(image)[None].requires_grad_()
kept = {}


def keep(module, inputs, output):
    kept["A"] = output
    return output.clone()  # the network goes on with the copy


with layer.register_forward_hook(keep):
    score = model(x)[0, target]
(g,) = torch.autograd.grad(score, kept["A"])
A = kept["A"].detach()
print(f"the smallest value kept: {A.min():.2f}")
cam = (g.mean(dim=(2, 3), keepdim=True) * A).sum(dim=1)[0]

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))  # the square that the network saw
box = (0, *view.shape[1::-1], 0)
plt.imshow(view, extent=box)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
plt.title(f"class {target}, score {score:.2f}")
plt.axis("off")
plt.savefig("inplace.png")
