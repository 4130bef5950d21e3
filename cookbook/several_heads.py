"""Several heads, a dict or a tuple as output: one head of a network with several.

The network returns a dict or a tuple. Pick one number of it; everything else stays as it is.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torch import nn
from torchvision.models import ResNet50_Weights, resnet50


class TwoHeads(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        logits = self.body(x)
        return {"animal": logits[:, :398], "thing": logits[:, 398:]}


model = TwoHeads(resnet50(weights="DEFAULT")).eval()  # yours
layer = model.body.layer4  # yours
prepare = ResNet50_Weights.DEFAULT.transforms()  # yours
image = Image.open("photo.jpg").convert("RGB")  # yours
head = "thing"  # yours

x = prepare(image)[None].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    score, target = model(x)[head][0].max(dim=0)
(g,) = torch.autograd.grad(score, kept["A"])
A = kept["A"].detach()  # 1 × C × H × W, like g
cam = (g.mean(dim=(2, 3), keepdim=True) * A).sum(dim=1)[0]

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))  # the square that the network saw
box = (0, *view.shape[1::-1], 0)
plt.imshow(view, extent=box)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
plt.title(f"{head} {target}, score {score:.2f}")
plt.axis("off")
plt.savefig("several_heads.png")
