"""The luck baseline and the other class: is that share of heat much?.

"80 % of the heat lies on the object" means nothing alone. What would evenly spread heat put there? And the map of a
class that is not in the picture?

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
other = 889  # yours: a class that is not there, a violin
box = (30, 100, 185, 224)  # yours: left, top, right and bottom of the object, where the network saw it

kept, cam = {}, []
x = prepare(image)[None].requires_grad_()
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    logits = model(x)[0]
for number in (target, other):
    (g,) = torch.autograd.grad(logits[number], kept["A"], retain_graph=True)
    cam.append((g.mean(dim=(2, 3), keepdim=True) * kept["A"]).sum(dim=1)[0].detach())
inside = torch.zeros(x.shape[2:])
inside[box[1] : box[3], box[0] : box[2]] = 1
mask = torch.nn.functional.interpolate(inside[None, None], cam[0].shape, mode="area")[0, 0]  # of each cell, how much
shares = {"the class": cam[0].relu(), "a class not there": cam[1].relu(), "evenly spread": torch.ones_like(mask)}
shares = {name: float((heat * mask).sum() / heat.sum()) for name, heat in shares.items()}
plt.bar(list(shares), list(shares.values()))
plt.title("heat on the object: " + ", ".join(f"{name} {share:.0%}" for name, share in shares.items()), fontsize=8)
plt.savefig("luck.png")
