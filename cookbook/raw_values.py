"""Raw values and a colour bar: the numbers themselves.

You want to compare two maps, report numbers, or see how coarse the map is. A normalised picture hides all three.

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

plt.imshow(cam.relu(), cmap="inferno", vmin=0)
plt.colorbar(label="heat, in units of the logit")
for (row, column), value in [((r, c), cam[r, c].item()) for r in range(cam.shape[0]) for c in range(cam.shape[1])]:
    ink = "black" if value > 0.6 * cam.max() else "white"
    plt.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=7, color=ink)
plt.title(f"class {target}, score {score:.2f}")
plt.savefig("raw_values.png")
