"""A data set that no machine holds: Ray Data moves the pictures, two workers make the maps, what failed is a row.

    python ray_data.py

Give `ray.init(address="auto")` on a cluster, and `num_gpus=1` to `map_batches` where each worker has a GPU. Two workers
that take both of two cores leave none to write with, and all wait for ever: so half a core is asked for each.
"""

from pathlib import Path

import numpy as np
import ray
import torch
from PIL import Image
from torchvision.models import ResNet50_Weights, resnet50

paths = sorted(Path("photos").absolute().glob("*.jpg"))  # yours: or ray.data.read_images("s3://…", include_paths=True)


class Explainer:
    def __init__(self):
        self.model = resnet50(weights="DEFAULT").eval()  # yours
        self.layer = self.model.layer4  # yours
        self.prepare = ResNet50_Weights.DEFAULT.transforms()  # yours

    def one(self, path):
        kept = {}
        x = self.prepare(Image.open(path).convert("RGB"))[None].requires_grad_()
        with self.layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output)):
            score, target = self.model(x)[0].max(dim=0)
        (g,) = torch.autograd.grad(score, kept["A"])
        return (g.mean(dim=(2, 3), keepdim=True) * kept["A"]).sum(dim=1)[0].detach().numpy(), int(target), ""

    def __call__(self, batch):
        rows = []
        for path in batch["path"]:
            try:
                rows.append(self.one(path))
            except (OSError, RuntimeError) as error:
                rows.append((np.full((7, 7), np.nan, dtype=np.float32), -1, str(error)))
        maps, targets, errors = zip(*rows, strict=True)
        return {"path": batch["path"], "map": np.stack(maps), "class": np.array(targets), "error": np.array(errors)}


pictures = ray.data.from_items([{"path": str(path)} for path in paths])
found = pictures.map_batches(Explainer, batch_size=2, num_cpus=0.5, compute=ray.data.ActorPoolStrategy(size=2))
found.write_parquet(str(Path("maps.parquet").absolute()))
print(ray.data.read_parquet(str(Path("maps.parquet").absolute())).count(), "rows")
