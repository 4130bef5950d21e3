"""A gallery page: a page of maps to leaf through.

Someone wants to look through a hundred maps in a browser: one HTML file, pictures inside, the surest first.

Put your own network and picture into the lines marked `# yours`. From notebooks/cookbook.ipynb.
"""

import base64
import io
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torchvision.models import ResNet50_Weights, resnet50

model = resnet50(weights="DEFAULT").eval()  # yours
layer = model.layer4  # yours
prepare = ResNet50_Weights.DEFAULT.transforms()  # yours
names = ["photos/cat.jpg", "photos/photo.jpg", "photos/wide.jpg"]  # yours

kept, cam, cards = {}, [], []
for name in names:
    x = prepare(Image.open(name).convert("RGB"))[None].requires_grad_()
    with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
        score, target = model(x)[0].max(dim=0)
    (g,) = torch.autograd.grad(score, kept["A"])
    one = (g.mean(dim=(2, 3), keepdim=True) * kept["A"]).sum(dim=1)[0].detach()
    heat = torch.nn.functional.interpolate(one.relu()[None, None], x.shape[2:], mode="bilinear")[0, 0]
    view = plt.Normalize()(x[0].detach().permute(1, 2, 0))
    coloured = 0.5 * view + 0.5 * plt.colormaps["inferno"]((heat / heat.max()).numpy())[..., :3]
    Image.fromarray((255 * coloured).astype("uint8")).save(file := io.BytesIO(), "jpeg", quality=85)
    source = base64.b64encode(file.getvalue()).decode()
    words = f"{name}: class {target}, score {score:.2f}"
    cards.append((-score.item(), f'<figure><img alt="{words}" src="data:image/jpeg;base64,{source}">{words}</figure>'))
    cam.append(one)
style = "body{display:flex;flex-wrap:wrap;font:14px sans-serif}figure{margin:8px;width:224px}img{display:block}"
page_of = f"<!doctype html><title>Heat</title><style>{style}</style>" + "".join(card for _, card in sorted(cards))
Path("gallery.html").write_text(page_of, encoding="utf-8")
print(f"{len(cards)} pictures in gallery.html")
