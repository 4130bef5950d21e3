"""Without hooks: maps kept by torchvision's feature extractor.

Hooks leak, fire twice, or are taken by another tool. Torchvision cuts the graph open instead and hands out the maps
beside the logits.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.models import ResNet18_Weights, resnet18
from torchvision.models.feature_extraction import create_feature_extractor

model = resnet18(weights="DEFAULT").eval()  # yours
wanted = {"layer4": "maps", "fc": "logits"}  # yours: get_graph_node_names(model) lists the names
prepare = ResNet18_Weights.DEFAULT.transforms()  # yours
image = Image.open("scene.jpg").convert("RGB")  # yours
target = 281  # yours: the index of a class

cut = create_feature_extractor(model, wanted)
x = prepare(image)[None].requires_grad_()
found = cut(x)
A, score = found["maps"], found["logits"][0, target]
(g,) = torch.autograd.grad(score, A)
A = A.detach()
cam = (g.mean(dim=(2, 3), keepdim=True) * A).sum(dim=1)[0]

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))  # the square that the network saw
box = (0, *view.shape[1::-1], 0)
plt.imshow(view, extent=box)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
plt.title(f"class {target}, score {score:.2f}")
plt.axis("off")
plt.savefig("no_hooks.png")
