"""What a network is given: pictures of any kind made ready, and where on each photo the network looks."""

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from lessons_lib import frames, outputs
from lessons_lib.photos import Photo
from lessons_lib.records import Explainable, Region


def ready(pictures: Any, model: Explainable) -> tuple[list[Photo], Tensor, list[Region]]:
    """Return what is drawn on, what the network is given, and where on the one the other lies."""
    if len(pictures if isinstance(pictures, Tensor | list | tuple) else [pictures]) == 0:
        raise ValueError("There is no picture to explain: give one or more.")
    if isinstance(pictures, Tensor):
        if pictures.ndim not in (3, 4):
            raise ValueError(
                f"A batch is N × C × H × W and a picture C × H × W; this tensor is {outputs.kind_of(pictures)}."
            )
        if not pictures.is_floating_point():
            raise TypeError(
                f"This tensor holds {str(pictures.dtype).removeprefix('torch.')}, and a network takes what it was "
                "trained on: pixels in [0, 1], less the mean and divided by the standard deviation. "
                "`models.Preprocess()` makes that of a picture, with ImageNet's."
            )
        batch = pictures if pictures.ndim == 4 else pictures[None]
        height, width = batch.shape[2:]
        region = frames.padded(model.network, batch, (0.0, 0.0, float(width), float(height)))
        return [_photo_of(one) for one in batch], batch, [region] * len(batch)
    given = list(pictures) if isinstance(pictures, list | tuple) else [pictures]
    for one in given:
        if not isinstance(one, Photo | Image.Image):
            raise TypeError(
                f"Give photos, PIL images or one batch tensor, not {outputs.kind_of(one)}: open a file with "
                "`photos.open(path)`, stack tensors with `torch.stack`, make an array a picture with "
                "`PIL.Image.fromarray`."
            )
    if model.transform is None:
        raise ValueError(
            "This model comes without preprocessing, so it can't take a photo: give it a tensor that is ready for it, "
            "or a record, `models.Explainable(network, transform=models.Preprocess(…))`."
        )
    photos = [one if isinstance(one, Photo) else Photo(one.convert("RGB")) for one in given]
    inputs = [model.transform(photo.image) for photo in photos]
    if len({one.shape for one in inputs}) > 1:
        raise ValueError("These photos have different sizes and this model does not crop: explain them one by one.")
    device = next((p.device for p in model.network.parameters()), torch.device("cpu"))
    batch = torch.stack(inputs).to(device)
    regions = [frames.padded(model.network, batch, model.transform.region(*photo.image.size)) for photo in photos]
    return photos, batch, regions


def _photo_of(inputs: Tensor) -> Photo:
    """Return a network's input as something to draw on: its range stretched to black and white."""
    pixels = inputs.detach().float().cpu()
    pixels = pixels if len(pixels) == 3 else pixels.mean(dim=0).expand(3, -1, -1)
    low, high = pixels.aminmax()
    # In one piece of memory: a small network runs so fast that copies would show beside it.
    pixels = (pixels - low).div_(high - low if high > low else 1).mul_(255).round_()
    return Photo(Image.fromarray(pixels.byte().permute(1, 2, 0).contiguous().numpy()))
