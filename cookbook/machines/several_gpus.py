"""Several GPUs: each takes its share of a folder, and what failed is recorded.

    torchrun --nproc-per-node=2 several_gpus.py

Started again, it makes only what is not there yet. Without a GPU it runs on the CPU.
"""

import os
from pathlib import Path

import torch
from PIL import Image
from torchvision.models import ResNet50_Weights, resnet50
from tqdm.auto import tqdm

rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if torch.cuda.is_available() else torch.device("cpu")
model = resnet50(weights="DEFAULT").eval()  # yours
layer = model.layer4  # yours
prepare = ResNet50_Weights.DEFAULT.transforms()  # yours
paths, out = sorted(Path("photos").glob("*.jpg")), Path("maps")  # yours

model.to(device)
out.mkdir(exist_ok=True)
mine = [path for path in paths[rank::world] if not (out / f"{path.stem}.pt").exists()]
kept = {}
for path in tqdm(mine, position=rank, unit="picture"):
    try:
        x = prepare(Image.open(path).convert("RGB"))[None].to(device).requires_grad_()
        with layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
            score, target = model(x)[0].max(dim=0)
        (g,) = torch.autograd.grad(score, kept["A"])
        cam = (g.mean(dim=(2, 3), keepdim=True) * kept["A"]).sum(dim=1)[0].detach().cpu()
        found = {"map": cam, "class": int(target), "score": score.item()}
    except (OSError, RuntimeError) as error:  # a damaged file, or too little memory
        found = {"error": str(error)}
    torch.save(found, out / f"{path.stem}.part")
    (out / f"{path.stem}.part").rename(out / f"{path.stem}.pt")
print(f"process {rank} of {world} made {len(mine)}")
