"""ViT with registers, or without a class token: dINOv2-like networks, timm's ViTs.

Registers stand before the patches as the class token does. timm counts both in `num_prefix_tokens`. (On this page a
small one with random weights.)

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import timm
import torch
from PIL import Image

model = timm.create_model("vit_medium_patch16_reg4_gap_256", pretrained=True).eval()  # yours
layer = model.blocks[-1].norm1  # yours
prepare = timm.data.create_transform(**timm.data.resolve_model_data_config(model))  # yours
image = Image.open("scene.jpg").convert("RGB")  # yours
target = 3  # yours

x = prepare(image)[None].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    score = model(x)[0, target]
(g,) = torch.autograd.grad(score, kept["A"])  # 1 × tokens × C
rows, columns = model.patch_embed.grid_size
special = model.num_prefix_tokens
assert g.shape[1] == special + rows * columns
A, g = kept["A"][0, special:].detach(), g[0, special:]
cam = (A * g.mean(dim=0)).sum(dim=1).view(rows, columns)

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))  # the square that the network saw
box = (0, *view.shape[1::-1], 0)
plt.imshow(view, extent=box)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
plt.title(f"class {target}, score {score:.2f}")
plt.axis("off")
plt.savefig("vit_registers.png")
