"""Attention rollout: the attention map that papers show.

You want what attention alone carries to the class token, through all blocks. No class goes in.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.models import ViT_B_16_Weights, vit_b_16

model = vit_b_16(weights="DEFAULT").eval()  # yours
prepare = ViT_B_16_Weights.DEFAULT.transforms()  # yours
image = Image.open("scene.jpg").convert("RGB")  # yours

weights, hooks = [], []
ask = {"need_weights": True, "average_attn_weights": True}
for block in model.encoder.layers:
    attention = block.self_attention
    hooks.append(attention.register_forward_pre_hook(lambda module, a, k: (a, {**k, **ask}), with_kwargs=True))
    hooks.append(attention.register_forward_hook(lambda module, inputs, output: weights.append(output[1][0])))
x = prepare(image)[None]
with torch.no_grad():
    model(x)
for hook in hooks:
    hook.remove()
rolled = unit = torch.eye(len(weights[0]))
for W in weights:  # T × T, the mean of the heads
    rolled = (W + unit) / 2 @ rolled
rows, columns = (side // model.patch_size for side in x.shape[2:])
cam = rolled[0, -rows * columns :].view(rows, columns)  # what the class token holds of each patch

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))  # the square that the network saw
box = (0, *view.shape[1::-1], 0)
plt.imshow(view, extent=box)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
plt.title("attention rollout, no class")
plt.axis("off")
plt.savefig("attention_rollout.png")
