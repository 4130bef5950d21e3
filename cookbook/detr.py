"""DETR: the queries are no picture: why this object, in a DETR.

The decoder emits one vector for each object query: a list, not a grid. Look at the backbone's last maps, and explain
one query's logit.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.transforms import v2
from transformers import DetrForObjectDetection

model = DetrForObjectDetection.from_pretrained("facebook/detr-resnet-50").eval()  # yours
layer = model.model.input_projection  # yours: the backbone's maps, as the encoder reads them
mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # yours
image = Image.open("scene.jpg").convert("RGB")  # yours

steps = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)]
x = v2.Compose(steps)(image)[None].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    logits = model(pixel_values=x).logits[0]  # queries × (classes + 1); the last class is "nothing"
query, target = divmod(int(logits[:, :-1].argmax()), logits.shape[1] - 1)
score = logits[query, target]
(g,) = torch.autograd.grad(score, kept["A"])
cam = (g * kept["A"]).sum(dim=1)[0].detach()

plt.imshow(image)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=(0, *image.size, 0), interpolation="bilinear")
plt.title(f"query {query}: class {target}, logit {score:.2f}")
plt.savefig("detr.png")
