"""Back onto the original photo: a map that lies right on the original photo.

The network saw a resized, centred crop; the map belongs to that square and not to the whole photo.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.models import resnet50
from torchvision.transforms import v2

model = resnet50(weights="DEFAULT").eval()  # yours
layer = model.layer4  # yours
resize, crop = 232, 224  # yours: as the network was trained
mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # yours: the same
image = Image.open("wide.jpg").convert("RGB")  # yours
target = 967  # yours

to_tensor = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)]  # yours
prepare = v2.Compose([v2.Resize(resize), v2.CenterCrop(crop), *to_tensor])  # yours
x = prepare(image)[None].requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    score = model(x)[0, target]
(g,) = torch.autograd.grad(score, kept["A"])
cam = (g.mean(dim=(2, 3), keepdim=True) * kept["A"]).sum(dim=1)[0].detach()

# Where the crop lies on the photo: left, top, right and bottom, in the photo's pixels.
width, height = image.size
wide, high = v2.functional.resize(image, resize).size
left, top = round((wide - crop) / 2) * width / wide, round((high - crop) / 2) * height / high
right, bottom = left + crop * width / wide, top + crop * height / high
columns = (2 * (torch.arange(width) + 0.5 - left) / (right - left) - 1).expand(height, width)
rows = (2 * (torch.arange(height) + 0.5 - top) / (bottom - top) - 1)[:, None].expand(height, width)
grid = torch.stack([columns, rows], dim=2)[None]
heat = torch.nn.functional.grid_sample(cam.relu()[None, None], grid, padding_mode="border", align_corners=False)
heat = heat[0, 0] * (grid[0].abs() <= 1).all(dim=2)  # nothing where the network did not look

plt.imshow(image)
plt.imshow(heat, cmap="inferno", alpha=0.75 * (heat / heat.max()).sqrt())
plt.title(f"class {target}, score {score:.2f}")
plt.axis("off")
plt.savefig("map_back.png")
