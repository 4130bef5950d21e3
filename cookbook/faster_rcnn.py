"""Faster R-CNN: one box: why this box, in a two-stage detector.

Torchvision's `scores` carry gradients in eval mode, through RoIAlign, to the feature pyramid. Take HiResCAM: a box
looks at one place, and Grad-CAM's average throws the place away.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.models.detection import fasterrcnn_resnet50_fpn_v2
from torchvision.transforms import v2

model = fasterrcnn_resnet50_fpn_v2(weights="DEFAULT").eval()  # yours
layer = model.backbone.fpn.layer_blocks[0]  # yours: the finest level
image = Image.open("scene.jpg").convert("RGB")  # yours
number = 1  # yours: which box, from 0, the surest

x = v2.functional.to_dtype(v2.functional.to_image(image), torch.float32, scale=True)[None].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    found = model(x)[0]
score = found["scores"][number]
(g,) = torch.autograd.grad(score, kept["A"])
cam = (g * kept["A"]).sum(dim=1)[0].detach()  # HiResCAM: no average

plt.imshow(image)
left, top, right, bottom = found["boxes"][number].tolist()
plt.gca().add_patch(plt.Rectangle((left, top), right - left, bottom - top, fill=False, color="white", lw=2))
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=(0, *image.size, 0), interpolation="bilinear")
plt.title(f"box {number}: class {found['labels'][number]}, score {score:.2f}")
plt.axis("off")
plt.savefig("faster_rcnn.png")
