"""Frames of a video: a film with the heat in it.

Frames in a folder (`ffmpeg -i clip.mp4 frames/%04d.jpg` makes them). All frames share one scale, so that the heat does
not flicker.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.models import ResNet50_Weights, resnet50

model = resnet50(weights="DEFAULT").eval()  # yours
layer = model.layer4  # yours: the last one with rows and columns
prepare = ResNet50_Weights.DEFAULT.transforms()  # yours
frames = [Image.open(path).convert("RGB") for path in sorted(Path("frames").glob("*.jpg"))]  # yours
target = 285  # yours: the index of a class

maps, seen, kept = [], [], {}
for frame in frames:
    x = prepare(frame)[None].requires_grad_()
    with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
        score = model(x)[0, target]
    (g,) = torch.autograd.grad(score, kept["A"])
    maps.append((g.mean(dim=(2, 3), keepdim=True) * kept["A"]).sum(dim=1)[0].detach())
    seen.append(plt.Normalize()(x[0].detach().permute(1, 2, 0)))
cam = torch.stack(maps)

heat = torch.nn.functional.interpolate(cam.relu()[None], seen[0].shape[:2], mode="bilinear")[0] / cam.max()
film = []
for view, one in zip(seen, heat, strict=True):
    coloured = 0.5 * view + 0.5 * plt.colormaps["inferno"](one.numpy())[..., :3]
    film.append(Image.fromarray((255 * coloured).clip(0, 255).astype("uint8")))
film[0].save("video.gif", save_all=True, append_images=film[1:], duration=120, loop=0)

plt.imshow(film[0])
plt.title(f"frame 1 of {len(film)}, class {target}")
plt.axis("off")
plt.savefig("video.png")
