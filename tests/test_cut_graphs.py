"""A graph that is cut, or half a precision, is told or mended alike whether a layer is named or not."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lessons_lib as ll

BATCH = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class Cut(nn.Module):
    """A small network that does to its features whatever it is told."""

    def __init__(self, between: Any = lambda features: features) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(4, 3)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.between(self.body(x).mean(dim=(2, 3))))


class Silent(Cut):
    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


CUTS: dict[str, tuple[nn.Module, Any, str]] = {
    "detach": (Cut(lambda features: features.detach()), 0, "the graph is cut"),
    "numpy": (Cut(lambda features: torch.from_numpy(features.detach().numpy())), 0, "the graph is cut"),
    "argmax": (Cut(), lambda output: output.argmax().float(), "the graph is cut"),
    "no_grad": (Silent(), 0, r"ran under no_grad .*remove the `torch\.no_grad\(\)` inside the model's forward"),
}


@pytest.mark.parametrize("layer", [None, "body"])
@pytest.mark.parametrize("cut", CUTS)
def test_a_cut_graph_gets_its_sentence(cut: str, layer: str | None) -> None:
    network, target, sentence = CUTS[cut]
    with pytest.raises(RuntimeError, match=sentence):
        ll.explain(network, BATCH, target, layer=layer)


class Loud(nn.Module):
    """A network whose maps sum to more than half precision holds (65,504)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU())
        self.last = nn.Conv2d(6, 6, 3, 2, 1)
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.last(self.body(x)).relu().mean(dim=(2, 3)))


@pytest.mark.parametrize("method", [ll.xgradcam, ll.gradcam_plus_plus, ll.ablationcam, ll.eigencam])
def test_sums_over_half_precise_maps_do_not_overflow(method: Any) -> None:
    loud = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(2)) * 60
    network = Loud().eval()
    seen = ll.capture.run(copy.deepcopy(network).half(), loud.half(), "body")
    assert seen.activations.sum(dim=(2, 3)).max() > 65504 and seen.activations.dtype == torch.float32
    (whole,) = ll.explain(network, loud, 1, layer="body", method=method)
    (half,) = ll.explain(copy.deepcopy(network).half(), loud.half(), 1, layer="body", method=method)
    together = torch.corrcoef(torch.stack([whole.values.flatten(), half.values.flatten()]))[0, 1]
    assert together > 0.99
