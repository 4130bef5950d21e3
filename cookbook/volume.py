"""A volume: 3-D convolutions: cT, MRI, video clips.

One axis more: the mean runs over three axes, the map has depth. Shown is the slice with the peak. The library has no
one-line equivalent: it explains pictures. (On this page the network has random weights.)

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from torch import nn

torch.manual_seed(0)
body = nn.Sequential(nn.Conv3d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv3d(8, 16, 3, 2, 1), nn.ReLU())  # yours
model = nn.Sequential(body, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(16, 2)).eval()  # yours
layer = model[0]  # yours
z, row, column = torch.meshgrid(torch.arange(16), torch.arange(48), torch.arange(48), indexing="ij")
ball = ((2 * (z - 9)) ** 2 + (row - 30) ** 2 + (column - 16) ** 2 < 64).float()
volume = (3 * ball + torch.randn(16, 48, 48))[None, None]  # yours: 1 × channels × depth × height × width
target = 1  # yours

x = volume.clone().requires_grad_()
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    score = model(x)[0, target]
(g,) = torch.autograd.grad(score, kept["A"])
cam = (g.mean(dim=(2, 3, 4), keepdim=True) * kept["A"]).sum(dim=1)[0].detach()  # d × h × w
heat = torch.nn.functional.interpolate(cam.relu()[None, None], x.shape[2:], mode="trilinear")[0, 0]
depth = int(heat.amax(dim=(1, 2)).argmax())

plt.imshow(volume[0, 0, depth], cmap="gray")
plt.imshow(heat[depth], cmap="inferno", alpha=0.5, vmin=0, vmax=float(heat.max()))
plt.title(f"slice {depth}, class {target}")
plt.savefig("volume.png")
