"""Swin: channels come last: a heatmap of a Swin transformer.

Its blocks emit N × H × W × C. Bring the channels forward, then it is Grad-CAM as ever.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.models import Swin_T_Weights, swin_t

model = swin_t(weights="DEFAULT").eval()  # yours
layer = model.features[-1][-1]  # yours: the last block
prepare = Swin_T_Weights.DEFAULT.transforms()  # yours
image = Image.open("scene.jpg").convert("RGB")  # yours
target = 281  # yours

x = prepare(image)[None].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    score = model(x)[0, target]
(g,) = torch.autograd.grad(score, kept["A"])
A, g = (one.detach().permute(0, 3, 1, 2) for one in (kept["A"], g))  # N × H × W × C → N × C × H × W
cam = (g.mean(dim=(2, 3), keepdim=True) * A).sum(dim=1)[0]

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))  # the square that the network saw
box = (0, *view.shape[1::-1], 0)
plt.imshow(view, extent=box)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
plt.title(f"class {target}, score {score:.2f}")
plt.axis("off")
plt.savefig("swin.png")
