"""The training loop, what it is fed from collages, and the number that it makes small."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.models import VisionTransformer
from torchvision.transforms.v2 import functional as F

from lessons_lib.collage import KINDS, Scenes

Batch = tuple[Tensor, Any]
Loss = Callable[[Any, Tensor, Any], Tensor]

_SHIFT = 8  # pixels that a classifier's picture is moved by at most


def fit(network: nn.Module, batches: Iterable[Batch], loss: Loss, steps: int, rate: float) -> None:
    """Train what of `network` is not frozen, with AdamW and a one-cycle rate, and leave it in eval mode.

    A loss that is a module is trained along. Shows a progress bar.

    Example:
        >>> fit(network, drawn(pictures, present), label_loss, steps=300, rate=1e-3)
    """
    from tqdm.auto import tqdm

    device = next(network.parameters()).device
    network.train()
    modules = [network, loss] if isinstance(loss, nn.Module) else [network]
    learnt = [parameter for module in modules for parameter in module.parameters() if parameter.requires_grad]
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


def fit_head(
    features: nn.Module, head: nn.Module, pictures: Tensor, label_maps: Tensor, steps: int = 200, rate: float = 1e-2
) -> None:
    """Train `head` on the maps that `features` gives, and leave both in eval mode; `features` is not changed.

    Every picture goes through `features` once, so the rest takes seconds. Two progress bars. Where `torch.manual_seed`
    was called before, the same head comes out.

    Args:
        features: from pictures N×3×H×W to maps N×C×h×w.
        head: from the maps to logits N×5.
        pictures, label_maps: as `rendered` gives them.

    Example:
        >>> head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(96, 5))
        >>> fit_head(models.flat_cnn().network.features, head, *rendered(1000, seed=3))
    """
    from tqdm.auto import tqdm

    features.eval()
    with torch.no_grad():
        parts = tqdm(pictures.split(50), desc="looking at the pictures", unit_scale=50, unit=" pictures")
        maps = torch.cat([features(_normalised(part)) for part in parts])
    labels = present(label_maps)

    def batches() -> Iterator[Batch]:
        while True:
            for chosen in torch.randperm(len(maps)).split(64):
                yield maps[chosen], {"present": labels[chosen]}

    fit(head, batches(), label_loss, steps, rate)


def new_scenes(length: int, batch: int, seed: int, mean: float = 0.0, std: float = 1.0) -> Iterator[Batch]:
    """Yield batches of scenes that are seen once: pixels N×3×224×224, and the truth of each scene as `Scenes` gives it.

    Pixels are in [0, 1], less `mean` and divided by `std`. Two processes draw ahead.
    """
    scenes = Scenes(length, seed=seed)
    for pixels, truth in DataLoader(scenes, batch_size=batch, num_workers=2, collate_fn=_stack):
        yield F.normalize(pixels, [mean] * 3, [std] * 3), truth


def rendered(length: int, seed: int, side: int = 112, workers: int = 0, **options: Any) -> tuple[Tensor, Tensor]:
    """Draw scenes once: pictures N×3×side×side uint8 and label maps N×side×side uint8. Shows a progress bar.

    Args:
        workers: processes that help to draw; the scenes do not depend on their number.
        options: those of `collage.scene`.
    """
    from tqdm.auto import tqdm

    pictures = torch.empty(length, 3, side, side, dtype=torch.uint8)
    label_maps = torch.empty(length, side, side, dtype=torch.uint8)
    loader = DataLoader(Scenes(length, seed=seed, **options), batch_size=None, num_workers=workers)
    for index, (image, truth) in enumerate(tqdm(loader, desc="drawing scenes", unit=" scenes")):
        pictures[index] = F.pil_to_tensor(F.resize(F.to_pil_image(image), [side, side]))  # as `Preprocess` does it
        label_maps[index] = F.resize(truth["label_map"], [side, side])
    return pictures, label_maps


def present(label_maps: Tensor) -> Tensor:
    """Return which kinds are present in N label maps: N×5 float, 1 where at least one pixel shows the kind."""
    kinds = torch.arange(1, 1 + len(KINDS), device=label_maps.device)
    return (label_maps.flatten(1)[:, None] == kinds[:, None]).any(2).float()


def drawn(pictures: Tensor, label_maps: Tensor, batch: int = 64, seed: int = 0) -> Iterator[Batch]:
    """Yield batches without end, each picture once before any comes again, mirrored and shifted at random.

    Shifts go up to 8 pixels, and the border is repeated. Pixels are normalised to -1…1, as the classifiers' records do.
    The truth is a dict: "present" as of the whole picture, and the "label_map", moved as the picture is.
    """
    random = torch.Generator().manual_seed(seed)
    side = pictures.shape[-1]
    labels = torch.cat([present(part) for part in label_maps.split(500)])
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
            truth = {
                "present": labels[chosen],
                "label_map": label_maps[chosen[:, None, None], rows[:, :, None], columns[:, None]],
            }
            yield _normalised(pixels), truth


def label_loss(network: nn.Module, pixels: Tensor, truth: dict[str, Tensor]) -> Tensor:
    """Binary cross-entropy of one sigmoid per kind; the network runs in bfloat16, its weights stay float32."""
    with torch.autocast(pixels.device.type, torch.bfloat16):
        logits = network(pixels)
    return nn.functional.binary_cross_entropy_with_logits(logits.float(), truth["present"])


def token_loss(network: VisionTransformer, pixels: Tensor, truth: dict[str, Tensor]) -> Tensor:
    """`label_loss`, and five times the same for every patch: the head reads from its token which kinds cover it.

    A kind covers a patch when it takes a quarter of it. After Jiang et al., "All Tokens Matter: Token Labeling for
    Training Better Vision Transformers", arXiv 2104.10858; their labels are shares that another network gives, and
    count half. A small transformer learns from far fewer scenes so, and keeps what it sees where it sees it.
    """
    encoded: list[Tensor] = []
    handle = network.encoder.register_forward_hook(lambda _module, _inputs, output: encoded.append(output))
    whole = label_loss(network, pixels, truth)
    handle.remove()
    side = network.image_size // network.patch_size
    covered = (_shares(truth["label_map"], side, side) >= 0.25).float()
    with torch.autocast(pixels.device.type, torch.bfloat16):
        logits = network.heads(encoded[0][:, 1:])
    patches = nn.functional.binary_cross_entropy_with_logits(logits.float(), covered.flatten(1, 2))
    return whole + 5 * patches


class PatchLoss(nn.Module):
    """`label_loss`, and the same for every cell of one layer's maps, read by a linear head that is thrown away.

    Args:
        layer: dotted name of the layer in the network that is trained; it emits N×H×W×C.
        width: its channels, C.
    """

    def __init__(self, layer: str, width: int) -> None:
        super().__init__()
        self.layer = layer
        self.head = nn.Linear(width, len(KINDS))

    def forward(self, network: nn.Module, pixels: Tensor, truth: dict[str, Tensor]) -> Tensor:
        emitted: list[Tensor] = []
        handle = network.get_submodule(self.layer).register_forward_hook(lambda _m, _x, output: emitted.append(output))
        whole = label_loss(network, pixels, truth)
        handle.remove()
        cells = self.head(emitted[0].float())
        shares = _shares(truth["label_map"], cells.shape[1], cells.shape[2])
        return whole + nn.functional.binary_cross_entropy_with_logits(cells, shares)


def box_loss(network: nn.Module, pixels: Tensor, truth: list[dict[str, Tensor]]) -> Tensor:
    """Faster R-CNN's own four losses, added: objectness, proposals, classes, boxes."""
    targets = [{"boxes": one["boxes"], "labels": one["labels"] + 1} for one in truth]
    return torch.stack(list(network(pixels, targets).values())).sum()


def region_loss(network: nn.Module, pixels: Tensor, truth: list[dict[str, Tensor]]) -> Tensor:
    """Cross-entropy of each pixel's class."""
    label_maps = torch.stack([one["label_map"] for one in truth]).long()
    return nn.functional.cross_entropy(network(pixels)["out"], label_maps)


def _shares(label_maps: Tensor, rows: int, columns: int) -> Tensor:
    """Return what share of each cell of a grid is each kind, N×rows×columns×5."""
    kinds = torch.arange(1, 1 + len(KINDS), device=label_maps.device)[:, None, None]
    shares = nn.functional.adaptive_avg_pool2d((label_maps[:, None] == kinds).float(), (rows, columns))
    return shares.permute(0, 2, 3, 1)


def _stack(items: list[tuple[Tensor, dict[str, Tensor]]]) -> Batch:
    pixels = torch.stack([F.to_dtype(torch.as_tensor(image), torch.float32, scale=True) for image, _ in items])
    return pixels, [{key: torch.as_tensor(value) for key, value in truth.items()} for _, truth in items]


def _normalised(pictures: Tensor) -> Tensor:
    return F.normalize(F.to_dtype(pictures, torch.float32, scale=True), [0.5] * 3, [0.5] * 3)


def _shifts(count: int, random: torch.Generator) -> Tensor:
    return torch.randint(-_SHIFT, _SHIFT + 1, (2, count, 1), generator=random)


def _to(truth: Any, device: torch.device) -> Any:
    if isinstance(truth, dict):
        return {key: value.to(device) for key, value in truth.items()}
    return [_to(one, device) for one in truth] if isinstance(truth, list) else truth.to(device)
