"""Multi-label: several answers in one picture: a map for every label that was found.

One sigmoid for each label. Every label's own logit is a target of its own; one forward pass serves them all.

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

x = prepare(image)[None].requires_grad_()
kept, cam = {}, []
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    logits = model(x)[0]
labels = logits.sigmoid().topk(3).indices.tolist()  # or all above a threshold
for label in labels:
    (g,) = torch.autograd.grad(logits[label], kept["A"], retain_graph=True)
    cam.append((g.mean(dim=(2, 3), keepdim=True) * kept["A"]).sum(dim=1)[0].detach())

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))
box = (0, *view.shape[1::-1], 0)
figure, axes = plt.subplots(1, len(labels), figsize=(3 * len(labels), 3.2))
for ax, one, label in zip(axes, cam, labels, strict=True):
    ax.imshow(view, extent=box)
    heat = one.relu() / one.max()
    ax.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
    ax.set_title(f"label {label}, probability {logits[label].sigmoid():.2f}")
    ax.axis("off")
figure.savefig("multi_label.png")
