"""Score-CAM: a map without gradients, from masked pictures.

A paper asks for it, or the network has no gradient at all. It runs the whole network once for every map: 512 runs for a
ResNet-18, 2,048 for a ResNet-50.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.models import ResNet18_Weights, resnet18

model = resnet18(weights="DEFAULT").eval()  # yours
layer = model.layer4  # yours: the last one with rows and columns
prepare = ResNet18_Weights.DEFAULT.transforms()  # yours
image = Image.open("scene.jpg").convert("RGB")  # yours
target = 281  # yours: the index of a class

x = prepare(image)[None]
kept, scores = {}, []
with torch.no_grad(), layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    score = model(x)[0, target]
A = kept["A"][0]
masks = torch.nn.functional.interpolate(A[:, None], x.shape[2:], mode="bilinear")  # C × 1 × h × w
low, high = masks.amin(dim=(2, 3), keepdim=True), masks.amax(dim=(2, 3), keepdim=True)
masks = torch.where(high > low, (masks - low) / (high - low), 0)
with torch.no_grad():
    for some in masks.split(16):
        scores.append(model(x * some)[:, target])
alpha = torch.cat(scores).softmax(dim=0)
cam = (alpha[:, None, None] * A).sum(dim=0)

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))  # the square that the network saw
box = (0, *view.shape[1::-1], 0)
plt.imshow(view, extent=box)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
plt.title(f"class {target}, score {score:.2f}")
plt.axis("off")
plt.savefig("scorecam.png")
