"""DeepLab: a region: why these pixels have this class.

The output is a dict; `"out"` holds a map of logits for each class. Explain the sum over a region: here all pixels of
the class that stands at one place.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.models.segmentation import DeepLabV3_ResNet50_Weights, deeplabv3_resnet50

model = deeplabv3_resnet50(weights="DEFAULT").eval()  # yours
layer = model.backbone.layer4  # yours: before the head
prepare = DeepLabV3_ResNet50_Weights.DEFAULT.transforms()  # yours
image = Image.open("scene.jpg").convert("RGB")  # yours
row, column = 117, 150  # yours: a pixel inside the region, of what the network sees

x = prepare(image)[None].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    out = model(x)["out"][0]  # classes × H × W
target = int(out[:, row, column].argmax())
region = out.argmax(dim=0) == target  # or any mask of yours
score = out[target][region].sum()  # for one pixel: out[target, row, column]
(g,) = torch.autograd.grad(score, kept["A"])
cam = (g * kept["A"]).sum(dim=1)[0].detach()

view = plt.Normalize()(x[0].detach().permute(1, 2, 0))
box = (0, *view.shape[1::-1], 0)
plt.imshow(view, extent=box)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=box, interpolation="bilinear")
plt.contour(region, levels=[0.5], colors="white", extent=box, origin="upper")
plt.title(f"class {target} over {region.float().mean():.0%} of the picture")
plt.axis("off")
plt.savefig("segmentation_region.png")
