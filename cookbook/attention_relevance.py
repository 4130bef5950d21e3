"""Relevance through attention: attention that knows the class.

Rollout with the class in it: each head's attention is weighted by its gradient, negative parts dropped (Chefer et al.,
arXiv 2103.15679).

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.models import ViT_B_16_Weights, vit_b_16

model = vit_b_16(weights="DEFAULT").eval()  # yours
prepare = ViT_B_16_Weights.DEFAULT.transforms()  # yours
image = Image.open("scene.jpg").convert("RGB")  # yours
target = 281  # yours

weights = []


def attend(attention, inputs, output):  # the same again, with weights that carry a gradient
    qkv = torch.nn.functional.linear(inputs[0], attention.in_proj_weight, attention.in_proj_bias)
    q, k, v = qkv.unflatten(2, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)  # N × heads × T × channels
    weights.append((q @ k.mT / q.shape[-1] ** 0.5).softmax(dim=-1))
    return attention.out_proj((weights[-1] @ v).transpose(1, 2).flatten(2)), None


hooks = [block.self_attention.register_forward_hook(attend) for block in model.encoder.layers]
x = prepare(image)[None].requires_grad_()
score = model(x)[0, target]
for hook in hooks:
    hook.remove()

R = torch.eye(weights[0].shape[-1])
for W, g in zip(weights, torch.autograd.grad(score, weights), strict=True):  # 1 × heads × T × T
    R = R + (g * W).relu().mean(dim=1)[0].detach() @ R
rows, columns = (side // model.patch_size for side in x.shape[2:])
cam = R[0, -rows * columns :].view(rows, columns)

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))  # the square that the network saw
box = (0, *view.shape[1::-1], 0)
plt.imshow(view, extent=box)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
plt.title(f"class {target}, score {score:.2f}")
plt.axis("off")
plt.savefig("attention_relevance.png")
