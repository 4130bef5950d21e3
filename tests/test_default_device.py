"""`torch.set_default_device` makes no difference to what is explained, shown and checked ('meta' stands for a GPU)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import v2

import lessons_lib as ll
from lessons_lib.core import methods

METHODS = [*methods.METHODS.values(), ll.augmented(ll.gradcam), ll.principal(ll.gradcam)]
PRESET = v2.Compose([v2.Resize(32), v2.ToImage(), v2.Normalize([0.5] * 3, [0.2] * 3)])
PHOTO = Image.fromarray(np.arange(40 * 56 * 3, dtype=np.uint8).reshape(40, 56, 3))


class Net(nn.Module):
    """Pads, joins a token of its own, and ends as CAM needs it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
        self.special = nn.Parameter(torch.randn(1, 1, 8))
        self.tokens = nn.Identity()
        self.last = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        A = self.stem(F.pad(x, (0, 8, 0, 8)))
        both = self.tokens(torch.cat([self.special.expand(len(A), 1, 8), A.flatten(2).mT], dim=1))
        return self.head(self.last(both[:, 1:].mT.unflatten(2, A.shape[2:])).mean(dim=(2, 3)))


class Framed(nn.Module):
    """Copies pictures into a larger frame, as detectors do, and finds one box."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1))

    def forward(self, x: Tensor) -> list[dict[str, Tensor]]:
        frame = x.new_zeros(len(x), 3, 64, 64)
        frame[:, :, : x.shape[2], : x.shape[3]].copy_(x)
        scores = self.body(frame).mean(dim=(2, 3)).sigmoid()[:, :1]
        edges = torch.tensor([[4.0, 4.0, 20.0, 20.0]], device=x.device)
        return [{"boxes": edges, "labels": torch.ones(1, device=x.device).long(), "scores": one} for one in scores]


ASKED: dict[str, Callable[[Net, Framed, Tensor], Any]] = {
    **{
        method.__name__: lambda net, _, x, method=method: ll.explain(net, x, 1, layer="last", method=method)  # type: ignore[misc]
        for method in METHODS
    },
    "no layer": lambda net, _, x: ll.explain(net, x),
    "tokens": lambda net, _, x: ll.explain(net, x, layer="tokens", method=ll.ablationcam),
    "several layers": lambda net, _, x: ll.explain(net, x, layer=["stem", "last"]),
    "a photo": lambda net, *_: ll.explain(ll.Explainable(net, transform=ll.Preprocess(48, 40)), PHOTO, 1),
    "a figure": lambda net, _, x: ll.explain(net, x[0]).show().words,
    "a preset": lambda net, *_: ll.explain(ll.Explainable(net, transform=PRESET), PHOTO, 1),  # type: ignore[arg-type]
    "a box": lambda _, framed, x: ll.explain(framed, x, ll.BoxScore((4, 4, 20, 20))),
    "boxes": lambda _, framed, x: ll.boxes(ll.Explainable(framed, transform=ll.Preprocess(40)), PHOTO),
    "a region": lambda _, framed, x: ll.explain(framed.body, x, ll.RegionScore(1, np.eye(10, 14) > 0), layer="1"),
    "an exercise": lambda *_: repr(ll.check("gradcam.weights", lambda gradients: gradients.mean((1, 2)))),
    "a wrong answer": lambda *_: repr(ll.check("vision_transformer.rollout", lambda attention: torch.ones(3))),
    "a scene": lambda *_: ll.collage.scene(1).boxes.tolist(),
}


def plain(found: Any) -> list[Any]:
    if isinstance(found, ll.Heatmap):
        return [found.values, found.region, found.describe(), found.on_photo()]
    return [part for one in found for part in plain(one)] if isinstance(found, list) else [repr(found)]


@pytest.mark.slow
@pytest.mark.parametrize("what", ASKED)
def test_another_default_device_makes_no_difference(what: str) -> None:
    made: list[Any] = []
    for device in (None, "meta"):
        torch.manual_seed(1)
        given = Net(), Framed(), torch.rand(2, 3, 40, 56)  # on the CPU; what is made from here on lies elsewhere
        torch.set_default_device(device)
        try:
            made.append(plain(ASKED[what](*given)))
        finally:
            torch.set_default_device(None)
    for a, b in zip(*made, strict=True):
        if isinstance(a, Tensor | np.ndarray):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
        else:
            assert a == b
