"""Sanity check in ten lines: does the map depend on what was learned?.

Give the last layer random weights and make the map again. If it stays, it does not depend on what the last layer has
learned.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.models import ResNet50_Weights, resnet50

model = resnet50(weights="DEFAULT").eval()  # yours
layer = model.layer4  # yours: the last one with rows and columns
prepare = ResNet50_Weights.DEFAULT.transforms()  # yours
image = Image.open("photo.jpg").convert("RGB")  # yours
target = 285  # yours: the index of a class
head = model.fc  # yours: the last linear layer


def gradcam():
    x = prepare(image)[None].requires_grad_()
    kept = {}
    with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
        score = model(x)[0, target]
    (g,) = torch.autograd.grad(score, kept["A"])
    return (g.mean(dim=(2, 3), keepdim=True) * kept["A"]).sum(dim=1)[0].detach()


cam, learned = gradcam(), head.weight.detach().clone()
torch.manual_seed(0)
alike = []
for _ in range(8):
    head.weight.data = learned.std() * torch.randn_like(learned)  # the classes are gone
    alike.append(torch.corrcoef(torch.stack([cam.flatten(), gradcam().flatten()]))[0, 1].item())
head.weight.data = learned  # as it was
plt.bar(range(8), alike)
plt.axhline(0, color="black", lw=1)
plt.ylim(-1, 1)
plt.title(f"correlation with 8 random heads: mean {sum(alike) / 8:.1f}")
plt.savefig("sanity.png")
