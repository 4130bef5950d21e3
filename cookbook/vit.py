"""Vision transformer: a heatmap of a ViT.

Tokens have no rows and columns: drop the class token, lay the rest out. The grid is the picture's size divided by the
patch size, not always 14 × 14.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.models import ViT_B_16_Weights, vit_b_16

model = vit_b_16(weights="DEFAULT").eval()  # yours
layer = model.encoder.layers[-1].ln_1  # yours: before the last attention
prepare = ViT_B_16_Weights.DEFAULT.transforms()  # yours
image = Image.open("scene.jpg").convert("RGB")  # yours
target = 281  # yours

x = prepare(image)[None].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    score = model(x)[0, target]
(g,) = torch.autograd.grad(score, kept["A"])  # 1 × tokens × C
rows, columns = (side // model.patch_size for side in x.shape[2:])
special = g.shape[1] - rows * columns  # the class token, and registers if there are any
alpha = g[:, special:].mean(dim=1)  # 1 × C
cam = (kept["A"][:, special:] * alpha[:, None]).sum(dim=2).view(rows, columns).detach()

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))  # the square that the network saw
box = (0, *view.shape[1::-1], 0)
plt.imshow(view, extent=box)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
plt.title(f"class {target}, score {score:.2f}")
plt.axis("off")
plt.savefig("vit.png")
