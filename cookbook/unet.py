"""UNet and SegFormer: which layer: a segmentation without `backbone`.

Not the logits and not the last decoder block, which is the mask again. Take the end of the encoder: few cells, all of
the picture in view.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import segmentation_models_pytorch as smp
import torch
from PIL import Image
from torchvision.transforms import v2

model = smp.Unet("resnet18", encoder_weights="imagenet", classes=3).eval()  # yours
layer = model.encoder.layer4  # yours; SegFormer in transformers: model.segformer.encoder.block[-1][-1] emits tokens
mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # yours
image = Image.open("scene.jpg").convert("RGB")  # yours: sides are multiples of 32
row, column = 117, 150  # yours: a pixel inside the region

steps = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)]
x = v2.Compose(steps)(image)[None].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    out = model(x)[0]  # classes × H × W
target = int(out[:, row, column].argmax())
score = out[target][out.argmax(dim=0) == target].sum()
(g,) = torch.autograd.grad(score, kept["A"])
cam = (g * kept["A"]).sum(dim=1)[0].detach()

plt.imshow(image)
heat = cam.relu() / cam.max()
plt.imshow(heat, cmap="inferno", alpha=0.75 * heat.sqrt(), extent=(0, *image.size, 0), interpolation="bilinear")
plt.title(f"class {target}")
plt.savefig("unet.png")
