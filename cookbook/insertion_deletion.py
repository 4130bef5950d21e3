"""Insertion and deletion in fifteen lines: does the score follow the map?.

Cover the hottest pixels first and watch the score fall; or show only them and watch it rise. With a good map it falls
fast and rises fast, faster than with pixels in random order.

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

x = prepare(image)[None].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    score = model(x)[0, target]
(g,) = torch.autograd.grad(score, kept["A"])
A = kept["A"].detach()  # 1 × C × H × W, like g
cam = (g.mean(dim=(2, 3), keepdim=True) * A).sum(dim=1)[0]

heat = torch.nn.functional.interpolate(cam[None, None], x.shape[2:], mode="bilinear").flatten()
torch.manual_seed(0)
orders = {"by the map": heat.argsort(descending=True), "at random": torch.randperm(len(heat))}
gone = torch.nn.functional.avg_pool2d(x.detach(), 31, 1, 15, count_include_pad=False)  # a blurred picture
steps = torch.linspace(0, 1, 9)
for name, order in orders.items():
    for what, start, end in (("deletion", x.detach(), gone), ("insertion", gone, x.detach())):
        pictures = []
        for share in steps:
            changed = start.clone().flatten(2)
            some = order[: int(share * len(order))]
            changed[:, :, some] = end.flatten(2)[:, :, some]
            pictures.append(changed.view_as(x))
        with torch.no_grad():
            curve = model(torch.cat(pictures)).softmax(dim=1)[:, target]
        plt.plot(steps, curve, ls="-" if what == "deletion" else "--", label=f"{what} {name}, area {curve.mean():.2f}")
plt.legend(fontsize=7)
plt.title(f"probability of class {target}")
plt.savefig("insertion_deletion.png")
