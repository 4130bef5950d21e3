"""Any network of timm: layer and preprocessing of a timm network.

timm keeps the preprocessing with the network: ask it, and don't guess mean and size. The last stage is nearly always
`bn2`, `stages[-1]`, `layer4` or `blocks[-1]`.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import timm
import torch
from PIL import Image

model = timm.create_model("tf_efficientnet_lite0", pretrained=True).eval()  # yours
layer = model.bn2  # yours: print(model) and take the last one before the pooling
prepare = timm.data.create_transform(**timm.data.resolve_model_data_config(model))  # yours
image = Image.open("photo.jpg").convert("RGB")  # yours
target = 285  # yours

x = prepare(image)[None].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    score = model(x)[0, target]
(g,) = torch.autograd.grad(score, kept["A"])
A = kept["A"].detach()  # 1 × C × H × W, like g
cam = (g.mean(dim=(2, 3), keepdim=True) * A).sum(dim=1)[0]

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))  # the square that the network saw
box = (0, *view.shape[1::-1], 0)
plt.imshow(view, extent=box)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
plt.title(f"class {target}, score {score:.2f}")
plt.axis("off")
plt.savefig("timm_model.png")
