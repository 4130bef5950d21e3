"""Hugging Face: a record as output: a classifier of transformers.

The output is a record; its `.logits` are the logits. The layers of a ViT are in `.vit.encoder.layer` or, in newer
releases, `.vit.layers`; print the names.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.transforms import v2
from transformers import ViTForImageClassification

model = ViTForImageClassification.from_pretrained("google/vit-base-patch16-224").eval()  # yours
names = [name for name, _ in model.named_modules() if name.endswith("layernorm_before")]  # yours: the first norms
image = Image.open("scene.jpg").convert("RGB")  # yours

side = model.config.image_size
steps = [
    v2.Resize((side, side)),
    v2.ToImage(),
    v2.ToDtype(torch.float32, scale=True),
    v2.Normalize([0.5] * 3, [0.5] * 3),
]
x = v2.Compose(steps)(image)[None].requires_grad_()
layer = model.get_submodule(names[-1])
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    score, target = model(pixel_values=x).logits[0].max(dim=0)
(g,) = torch.autograd.grad(score, kept["A"])
rows = columns = side // model.config.patch_size
A, g = kept["A"][0, -rows * columns :].detach(), g[0, -rows * columns :]
cam = (A * g.mean(dim=0)).sum(dim=1).view(rows, columns)

plt.imshow(image)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=(0, *image.size, 0), interpolation="bilinear")
plt.title(f"{model.config.id2label[int(target)]}, logit {score:.2f}")
plt.savefig("hugging_face.png")
