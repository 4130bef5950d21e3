"""A time series: 1-D convolutions: eCG, sensors, sound as a wave.

One axis less: the mean runs over time, the map is a curve. No one-line equivalent, the library explains pictures. (On
this page the network has random weights.)

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from torch import nn

torch.manual_seed(0)
body = nn.Sequential(nn.Conv1d(1, 8, 9, 2, 4), nn.ReLU(), nn.Conv1d(8, 16, 9, 2, 4), nn.ReLU())  # yours
model = nn.Sequential(body, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, 2)).eval()  # yours
layer = model[0]  # yours
time = torch.linspace(0, 1, 400)  # yours
signal = torch.sin(40 * time) + 3 * torch.exp(-((time - 0.6) ** 2) / 2e-4)  # yours
target = 1  # yours

x = signal[None, None].clone().requires_grad_()  # 1 × channels × time
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    score = model(x)[0, target]
(g,) = torch.autograd.grad(score, kept["A"])
cam = (g.mean(dim=2, keepdim=True) * kept["A"]).sum(dim=1)[0].detach()  # one number for each cell of time
heat = torch.nn.functional.interpolate(cam.relu()[None, None], len(signal), mode="linear")[0, 0]

plt.plot(time, signal, color="black", lw=1)
plt.imshow(heat[None], cmap="inferno", alpha=0.6, aspect="auto", extent=(0, 1, *plt.ylim()))
plt.title(f"class {target}, score {score:.2f}")
plt.savefig("signal.png")
