"""What all recipes share: batches made from collages, the losses, and the loop that trains a network on them."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.models import VisionTransformer
from torchvision.transforms.v2 import functional as F

from lessons_lib.core.engine.hooks import hooked
from lessons_lib.photos.collage import KINDS, Scenes

Batch = tuple[Tensor, Any]
Loss = Callable[[Any, Tensor, Any], Tensor]

_SHIFT = 8  # pixels that a classifier's picture is moved by at most


def fit(network: nn.Module, batches: Iterable[Batch], loss: Loss, steps: int, rate: float) -> None:
    """Train the weights of `network` that are not frozen, with AdamW, and leave it in eval mode. Shows a progress bar.

    Args:
        network: what is trained, in place.
        batches: pixels and truth, at least `steps` of them.
        loss: from the network, the pixels and the truth to the number that training lowers; if it is a module, its own
            weights are trained too.
        steps: how many batches are taken.
        rate: the highest learning rate; it rises to that and falls again once (one-cycle).

    Example:
        >>> fit(network, augmented(*rendered(1000, seed=1)), label_loss, steps=300, rate=1e-3)
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


def new_scenes(length: int, batch: int, seed: int, mean: float = 0.0, std: float = 1.0) -> Iterator[Batch]:
    """Yield batches in which every scene is new: pixels N×3×224×224, and each scene's truth as `Scenes` gives it.

    Two other processes make scenes meanwhile.

    Args:
        length: how many scenes there are in all.
        batch: how many are in a batch, N.
        seed: what the scenes are made from.
        mean: taken from the pixels, which are in [0, 1].
        std: what they are then divided by.
    """
    scenes = Scenes(length, seed=seed)
    for pixels, truth in DataLoader(scenes, batch_size=batch, num_workers=2, collate_fn=_stack):
        yield F.normalize(pixels, [mean] * 3, [std] * 3), truth


def rendered(length: int, seed: int, side: int = 112, workers: int = 0, **options: Any) -> tuple[Tensor, Tensor]:
    """Make scenes once, to be kept in memory. Shows a progress bar.

    Args:
        length: how many, N.
        seed: what they are made from.
        side: height and width to which each is resized.
        workers: processes that help; the scenes do not depend on their number.
        options: those of `collage.scene`.

    Returns:
        The pixels, N×3×side×side uint8, and the label maps, N×side×side uint8.
    """
    from tqdm.auto import tqdm

    pictures = torch.empty(length, 3, side, side, dtype=torch.uint8)
    label_maps = torch.empty(length, side, side, dtype=torch.uint8)
    loader = DataLoader(Scenes(length, seed=seed, **options), batch_size=None, num_workers=workers)
    for index, (image, truth) in enumerate(tqdm(loader, desc="making scenes", unit=" scenes")):
        pictures[index] = F.pil_to_tensor(F.resize(F.to_pil_image(image), [side, side]))  # as `Preprocess` does it
        label_maps[index] = F.resize(truth["label_map"], [side, side])
    return pictures, label_maps


def present(label_maps: Tensor) -> Tensor:
    """Return which kinds are present in N label maps: N×5 float, 1 where at least one pixel shows the kind."""
    kinds = torch.arange(1, 1 + len(KINDS), device=label_maps.device)
    return (label_maps.flatten(1)[:, None] == kinds[:, None]).any(2).float()


def augmented(pictures: Tensor, label_maps: Tensor, batch: int = 64, seed: int = 0) -> Iterator[Batch]:
    """Yield batches without end of pictures mirrored and shifted at random; all come once before any comes again.

    Shifts go up to 8 pixels, and what they uncover repeats the border. Pixels are normalised to -1…1, as the
    classifiers' records do.

    Args:
        pictures: N×3×side×side uint8, as `rendered` gives them.
        label_maps: N×side×side uint8, the same.
        batch: how many are in a batch.
        seed: of order, mirroring and shifts.

    Yields:
        Pixels, and a dict of the truth: "present" says which kinds the whole picture holds, and "label_map" is moved as
        the picture is.
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
    """`label_loss` of the picture, plus five times the same loss for its patches.

    For that, the network's head is applied to each patch's token too, and has to say which kinds cover this patch; a
    kind covers it when it takes a quarter of it or more. In this way a small transformer learns from far fewer scenes,
    and its tokens keep what they saw at their own place.

    After Jiang et al., "All Tokens Matter: Token Labeling for Training Better Vision Transformers", arXiv 2104.10858.
    Departure: their patch labels are shares that another network gives, and their patch loss is halved.
    """
    encoded: list[Tensor] = []
    with hooked([network.encoder], after=lambda _module, _inputs, output: encoded.append(output)):
        whole = label_loss(network, pixels, truth)
    side = network.image_size // network.patch_size
    covered = (_shares(truth["label_map"], side, side) >= 0.25).float()
    with torch.autocast(pixels.device.type, torch.bfloat16):
        logits = network.heads(encoded[0][:, 1:])
    patches = nn.functional.binary_cross_entropy_with_logits(logits.float(), covered.flatten(1, 2))
    return whole + 5 * patches


class PatchLoss(nn.Module):
    """`label_loss` of the picture, plus the same loss for every cell of one layer's maps.

    A linear head of its own reads from each cell what share of it each kind takes. It is trained along with the
    network, and thrown away afterwards.

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
        with hooked([network.get_submodule(self.layer)], after=lambda _m, _x, output: emitted.append(output)):
            whole = label_loss(network, pixels, truth)
        cells = self.head(emitted[0].float())
        shares = _shares(truth["label_map"], cells.shape[1], cells.shape[2])
        return whole + nn.functional.binary_cross_entropy_with_logits(cells, shares)


def box_loss(network: nn.Module, pixels: Tensor, truth: list[dict[str, Tensor]]) -> Tensor:
    """The sum of Faster R-CNN's own four losses: object or not, where it is, its class, where its box ends."""
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
