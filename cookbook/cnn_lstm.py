"""CNN and LSTM: a map for each frame: a video classifier with a recurrent part.

The CNN runs on all frames at once, N·T of them; its gradient holds the LSTM's memory, so each frame gets its own map.
No one-line equivalent: a clip is not a picture. (On this page the LSTM has random weights.)

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torch import nn
from torchvision.models import ResNet50_Weights, resnet50

torch.manual_seed(0)
model = resnet50(weights="DEFAULT").eval()  # yours: the CNN …
layer = model.layer4  # yours
memory, head = nn.LSTM(1000, 32, batch_first=True).eval(), nn.Linear(32, 2)  # yours: … and what follows
prepare = ResNet50_Weights.DEFAULT.transforms()  # yours
frames = [prepare(Image.open(path).convert("RGB")) for path in sorted(Path("frames").glob("*.jpg"))]  # yours
target = 1  # yours

x = torch.stack(frames).requires_grad_()  # T × 3 × H × W
kept = {}
allowed = torch.backends.cudnn.flags(enabled=False)  # or a GPU's LSTM refuses to go backwards in eval mode
with allowed, layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
    steps, _ = memory(model(x)[None])
score = head(steps[:, -1])[0, target]
(g,) = torch.autograd.grad(score, kept["A"])
cam = (g.mean(dim=(2, 3), keepdim=True) * kept["A"]).sum(dim=1).detach()  # T × H × W

figure, axes = plt.subplots(1, len(cam), figsize=(2.2 * len(cam), 2.4))
for ax, one, number in zip(axes, cam, range(len(cam)), strict=True):
    ax.imshow(one.relu(), cmap="inferno", vmin=0, vmax=float(cam.max()))
    ax.set_title(f"frame {number}")
    ax.axis("off")
figure.savefig("cnn_lstm.png")
