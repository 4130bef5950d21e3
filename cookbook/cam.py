"""CAM: a map from the class weights, without a gradient.

The network ends in global average pooling and one linear layer (ResNet, EfficientNet, ConvNeXt without its norm). No
gradient, so it works under `no_grad` and in exported code that hands out the last maps.

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
head = model.fc  # yours: the linear layer behind the pooling

x = prepare(image)[None]
kept = {}
with torch.no_grad(), layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    score = model(x)[0, target]
w = head.weight[target].detach()  # C
cam = (w[:, None, None] * kept["A"][0]).sum(dim=0)  # H × W
assert torch.isclose(cam.mean() + head.bias[target], score, rtol=1e-3), "no average pooling + one linear layer"

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))  # the square that the network saw
box = (0, *view.shape[1::-1], 0)
plt.imshow(view, extent=box)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
plt.title(f"class {target}, score {score:.2f}")
plt.axis("off")
plt.savefig("cam.png")
