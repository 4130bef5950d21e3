"""The training loop, what it is fed from collages, and the number that it makes small."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.transforms.v2 import functional as F

from lessons_lib.collage import KINDS, Scenes

Batch = tuple[Tensor, Any]
Loss = Callable[[nn.Module, Tensor, Any], Tensor]

_SHIFT = 8  # pixels that a classifier's picture is moved by at most


def fit(network: nn.Module, batches: Iterable[Batch], loss: Loss, steps: int, rate: float) -> None:
    """Train what of `network` is not frozen, with AdamW and a one-cycle rate, and leave it in eval mode.

    Shows a progress bar.

    Example:
        >>> fit(network, drawn(pictures, present), label_loss, steps=300, rate=1e-3)
    """
    from tqdm.auto import tqdm

    device = next(network.parameters()).device
    network.train()
    learnt = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(learnt, lr=rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    bar = tqdm(islice(batches, steps), desc="training", total=steps, unit=" steps")
    for pixels, truth in bar:
        value = loss(network, pixels.to(device, memory_format=torch.channels_last), _to(truth, device))
        optimiser.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(learnt, 1.0)
        optimiser.step()
        schedule.step()
        bar.set_postfix(loss=f"{value.item():.3f}", refresh=False)
    network.eval()


def new_scenes(length: int, batch: int, seed: int, mean: float = 0.0, std: float = 1.0) -> Iterator[Batch]:
    """Yield batches of scenes that are seen once: pixels N×3×224×224, and the truth of each scene as `Scenes` gives it.

    Pixels are in [0, 1], less `mean` and divided by `std`. Two processes draw ahead.
    """
    scenes = Scenes(length, seed=seed)
    for pixels, truth in DataLoader(scenes, batch_size=batch, num_workers=2, collate_fn=_stack):
        yield F.normalize(pixels, [mean] * 3, [std] * 3), truth


def rendered(length: int, seed: int, side: int = 112, workers: int = 0, **options: Any) -> tuple[Tensor, Tensor]:
    """Draw scenes once: pictures N×3×side×side uint8, and N×5 float, 1 where a kind is present. Shows a progress bar.

    Args:
        workers: processes that help to draw; the scenes do not depend on their number.
        options: those of `collage.scene`.
    """
    from tqdm.auto import tqdm

    pictures = torch.empty(length, 3, side, side, dtype=torch.uint8)
    present = torch.zeros(length, len(KINDS))
    loader = DataLoader(Scenes(length, seed=seed, **options), batch_size=None, num_workers=workers)
    for index, (image, truth) in enumerate(tqdm(loader, desc="drawing scenes", unit=" scenes")):
        pictures[index] = F.resize(image, [side, side])
        present[index, truth["labels"]] = 1
    return pictures, present


def drawn(pictures: Tensor, present: Tensor, batch: int = 64, seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches without end, each picture once before any comes again, mirrored and shifted at random.

    Shifts go up to 8 pixels, and the border is repeated. Pixels are normalised to -1…1, as the classifiers' records do.
    """
    random = torch.Generator().manual_seed(seed)
    side = pictures.shape[-1]
    while True:
        for chosen in torch.randperm(len(pictures), generator=random).split(batch):
            if len(chosen) < min(batch, len(pictures)):
                continue
            mirrored, (right, down) = torch.rand(len(chosen), generator=random) < 0.5, _shifts(len(chosen), random)
            columns = (torch.arange(side) + right).clamp(0, side - 1)
            columns = torch.where(mirrored[:, None], columns.flip(1), columns)
            rows = (torch.arange(side) + down).clamp(0, side - 1)
            pixels = pictures[
                chosen[:, None, None, None],
                torch.arange(3)[:, None, None],
                rows[:, None, :, None],
                columns[:, None, None],
            ]
            yield F.normalize(F.to_dtype(pixels, torch.float32, scale=True), [0.5] * 3, [0.5] * 3), present[chosen]


def label_loss(network: nn.Module, pixels: Tensor, present: Tensor) -> Tensor:
    """Binary cross-entropy of one sigmoid per kind; the network runs in bfloat16, its weights stay float32."""
    with torch.autocast(pixels.device.type, torch.bfloat16):
        logits = network(pixels)
    return nn.functional.binary_cross_entropy_with_logits(logits.float(), present)


def box_loss(network: nn.Module, pixels: Tensor, truth: list[dict[str, Tensor]]) -> Tensor:
    """Faster R-CNN's own four losses, added: objectness, proposals, classes, boxes."""
    targets = [{"boxes": one["boxes"], "labels": one["labels"] + 1} for one in truth]
    return torch.stack(list(network(pixels, targets).values())).sum()


def region_loss(network: nn.Module, pixels: Tensor, truth: list[dict[str, Tensor]]) -> Tensor:
    """Cross-entropy of each pixel's class."""
    label_maps = torch.stack([one["label_map"] for one in truth]).long()
    return nn.functional.cross_entropy(network(pixels)["out"], label_maps)


def _stack(items: list[tuple[Tensor, dict[str, Tensor]]]) -> Batch:
    pixels = torch.stack([F.to_dtype(torch.as_tensor(image), torch.float32, scale=True) for image, _ in items])
    return pixels, [{key: torch.as_tensor(value) for key, value in truth.items()} for _, truth in items]


def _shifts(count: int, random: torch.Generator) -> Tensor:
    return torch.randint(-_SHIFT, _SHIFT + 1, (2, count, 1), generator=random)


def _to(truth: Any, device: torch.device) -> Any:
    if isinstance(truth, Tensor):
        return truth.to(device)
    return [{key: value.to(device) for key, value in one.items()} for one in truth]
