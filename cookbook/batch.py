"""A batch, with a class for each picture: many pictures at once, each with its own class.

A folder, a data loader, a mini-batch with labels. One pass forward and one back serve them all, because no picture's
score depends on another picture.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.models import ResNet50_Weights, resnet50

model = resnet50(weights="DEFAULT").eval()  # yours
layer = model.layer4  # yours: the last one with rows and columns
prepare = ResNet50_Weights.DEFAULT.transforms()  # yours
images = [Image.open(name).convert("RGB") for name in ("photo.jpg", "photo.jpg", "wide.jpg")]  # yours
targets = [285, 967, 967]  # yours: one for each picture

x = torch.stack([prepare(image) for image in images]).requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    scores = model(x)[torch.arange(len(x)), targets]
(g,) = torch.autograd.grad(scores.sum(), kept["A"])
cam = (g.mean(dim=(2, 3), keepdim=True) * kept["A"]).sum(dim=1).detach()  # N × H × W

figure, axes = plt.subplots(1, len(x), figsize=(3 * len(x), 3.2))
for ax, picture, one, target, score in zip(axes, x.detach(), cam, targets, scores, strict=True):
    view = plt.Normalize()(picture.permute(1, 2, 0))
    box = (0, *view.shape[1::-1], 0)
    ax.imshow(view, extent=box)
    heat = one.relu() / one.max()
    ax.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
    ax.set_title(f"class {target}, score {score:.1f}")
    ax.axis("off")
figure.savefig("batch.png")
