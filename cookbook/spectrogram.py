"""A spectrogram: sound as a picture of frequency by time.

One channel, not square, and the axes mean something: frequency upwards, time to the right. (On this page the network
has random weights.)

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import matplotlib.pyplot as plt
import torch
from torch import nn

torch.manual_seed(0)
body = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU())  # yours
model = nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2)).eval()  # yours
layer = model[0]  # yours
time = torch.arange(16_000) / 16_000  # yours: one second
sound = torch.sin(2 * torch.pi * (500 + 3000 * time) * time) + (time > 0.7) * torch.sin(
    2 * torch.pi * 6000 * time
)  # yours
target = 1  # yours

power = torch.stft(sound, 512, 128, window=torch.hann_window(512), return_complex=True).abs()
x = power.log1p()[None, None].requires_grad_()  # 1 × 1 × frequencies × times
kept = {}
with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    score = model(x)[0, target]
(g,) = torch.autograd.grad(score, kept["A"])
cam = (g.mean(dim=(2, 3), keepdim=True) * kept["A"]).sum(dim=1)[0].detach()

box = {"extent": (0, 1, 0, 8000), "origin": "lower", "aspect": "auto"}
plt.imshow(x[0, 0].detach(), cmap="gray", **box)
plt.imshow(cam.relu(), cmap="inferno", alpha=0.5, **box)
plt.ylabel("Hz")
plt.xlabel("seconds")
plt.title(f"class {target}, score {score:.2f}")
plt.savefig("spectrogram.png")
