"""RetinaNet, FCOS, SSD: one box, all levels: why this box, in a one-stage detector.

Each box comes from one level of a pyramid, and you don't know which. Take the gradient at all levels; those that play
no part give zero. (On this page the SSD has random weights, so the box means nothing.)

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.transforms import v2

model = ssdlite320_mobilenet_v3_large(weights="DEFAULT").eval()  # yours
layer = model.backbone  # yours: it gives a dict of maps, from fine to coarse
image = Image.open("scene.jpg").convert("RGB")  # yours
number = 0  # yours

x = v2.functional.to_dtype(v2.functional.to_image(image), torch.float32, scale=True)[None].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    found = model(x)[0]
score = found["scores"][number]
levels = list(kept["A"].values())
grads = torch.autograd.grad(score, levels, allow_unused=True, materialize_grads=True)
finest = levels[0].shape[2:]
cam = 0
for A, g in zip(levels, grads, strict=True):
    one = (g * A).sum(dim=1, keepdim=True).detach()  # 1 × 1 × h × w
    cam = cam + torch.nn.functional.interpolate(one, finest, mode="nearest-exact")[0, 0]

plt.imshow(image)
left, top, right, bottom = found["boxes"][number].tolist()
plt.gca().add_patch(plt.Rectangle((left, top), right - left, bottom - top, fill=False, color="white", lw=2))
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=(0, *image.size, 0), interpolation="bilinear")
plt.title(f"box {number}: class {found['labels'][number]}, score {score:.2f}")
plt.axis("off")
plt.savefig("one_stage.png")
