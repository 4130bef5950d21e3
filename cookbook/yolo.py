"""YOLO: a box of a decoded tensor: why this box, in a YOLO of ultralytics.

`YOLO(...)` is a wrapper; the network is its `.model`. In eval mode it returns a tensor, 1 × (4 + classes) × anchors,
before non-maximum suppression: pick the anchor with the highest class score.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.transforms import v2
from ultralytics import YOLO

model = YOLO("yolov8n.pt").model.eval()  # yours
layers = [model.model[number] for number in model.model[-1].f]  # yours: what the head reads, fine to coarse
image = Image.open("scene.jpg").convert("RGB").resize((224, 224))  # yours: sides are multiples of 32

x = v2.functional.to_dtype(v2.functional.to_image(image), torch.float32, scale=True)[None].requires_grad_()
kept = {}
hooks = [one.register_forward_hook(lambda module, inputs, output: kept.update({module: output})) for one in layers]
output = model(x)
for hook in hooks:
    hook.remove()
scores = (output[0] if isinstance(output, tuple) else output)[0, 4:]  # classes × anchors
target, anchor = divmod(int(scores.argmax()), scores.shape[1])
score = scores[target, anchor]
levels = [kept[one] for one in layers]
grads = torch.autograd.grad(score, levels, allow_unused=True, materialize_grads=True)
maps = [(g * A).sum(dim=1)[0].detach() for A, g in zip(levels, grads, strict=True)]  # one for each level
up = [torch.nn.functional.interpolate(one[None, None], maps[0].shape, mode="nearest-exact")[0, 0] for one in maps]
cam = torch.stack(up).sum(dim=0)

plt.imshow(image)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=(0, *image.size, 0), interpolation="bilinear")
plt.title(f"class {target}, score {score:.2f}")
plt.savefig("yolo.png")
