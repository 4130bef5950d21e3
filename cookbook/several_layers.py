"""Several layers in one map: fine detail and a sure place in one map.

The last layer is sure and coarse, an earlier one fine and unsure. Each map is divided by its own peak, because layers
have different units, then they are averaged.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.models import ResNet50_Weights, resnet50

model = resnet50(weights="DEFAULT").eval()  # yours
layers = [model.layer3, model.layer4]  # yours
prepare = ResNet50_Weights.DEFAULT.transforms()  # yours
image = Image.open("photo.jpg").convert("RGB")  # yours
target = 285  # yours: the index of a class

x = prepare(image)[None].requires_grad_()
kept = {}
hooks = [one.register_forward_hook(lambda module, inputs, output: kept.update({module: output})) for one in layers]
score = model(x)[0, target]
for hook in hooks:
    hook.remove()
maps = [kept[one] for one in layers]
found = []
for A, g in zip(maps, torch.autograd.grad(score, maps), strict=True):
    one = (g.relu() * A).sum(dim=1, keepdim=True).relu()  # LayerCAM
    found.append(one / one.max())
finest = max((one.shape[2:] for one in found), key=lambda size: size.numel())
cam = (
    torch.cat([torch.nn.functional.interpolate(one, finest, mode="bilinear") for one in found]).mean(dim=0)[0].detach()
)

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))  # the square that the network saw
box = (0, *view.shape[1::-1], 0)
plt.imshow(view, extent=box)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
plt.title(f"class {target}, score {score:.2f}")
plt.axis("off")
plt.savefig("several_layers.png")
