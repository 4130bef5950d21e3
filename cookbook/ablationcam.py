"""Ablation-CAM, the fast way: a map without gradients, from what is lost.

You distrust gradients. The trick: widen the batch at the layer, so that only what follows runs once for each map. One
run of the network then serves 64 maps, where it would otherwise serve one.

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
kept = {}
with torch.no_grad(), layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    score = model(x)[0, target]
A = kept["A"]
without = []
for maps in torch.arange(A.shape[1]).split(64):
    changed = A.repeat(len(maps), 1, 1, 1)
    changed[torch.arange(len(maps)), maps] = 0  # one map less in each
    with torch.no_grad(), layer.register_forward_hook(lambda module, inputs, output, changed=changed: changed):
        without.append(model(x)[:, target])
w = (score - torch.cat(without)) / score.abs()
cam = (w[:, None, None] * A[0]).sum(dim=0)

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))  # the square that the network saw
box = (0, *view.shape[1::-1], 0)
plt.imshow(view, extent=box)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
plt.title(f"class {target}, score {score:.2f}")
plt.axis("off")
plt.savefig("ablationcam.png")
