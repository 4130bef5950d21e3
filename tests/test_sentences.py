"""Each error is one sentence, to its last word: what is wrong, and a way out that works when it is typed."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import v2 as transforms

import lessons_lib as ll
from lessons_lib.baselines.guided import guided_backprop
from lessons_lib.core.engine import capture
from lessons_lib.core.engine.places import layouts
from lessons_lib.core.records import Explainable, Outlined, Photo
from lessons_lib.core.targets.boxes import Followed

X = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Small(nn.Module):
    """A convolution, pooled, and a linear layer; `change` is done to the logits."""

    def __init__(self, change: Callable[[Tensor], Tensor] = lambda logits: logits) -> None:
        super().__init__()
        self.maps, self.head, self.change = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 2), change

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.maps(x).mean(dim=(2, 3)))
        return self.change(logits)


def inside(module: nn.Module) -> nn.Module:
    """A network around a module."""
    return nn.Sequential(nn.Conv2d(3, 4, 1), module, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


def in_inference() -> nn.Module:
    with torch.inference_mode():
        return Small()


def run() -> ll.methods.Captured:
    return capture.run(Small(), X, "maps")


def made(size: tuple[int, int] = (20, 10)) -> ll.Heatmap:
    return ll.Heatmap(torch.ones(2, 2), Photo(Image.new("RGB", size)), (0, 0, *size), "cat", "gradcam", "maps")


def at_maps(network: nn.Module | Explainable, target: Any = 0, method: Any = ll.gradcam, layer: Any = "maps") -> Any:
    return ll.explain(network, X, target, layer=layer, method=method)


NO_BOX: Any = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long), "scores": torch.zeros(0)}
FOLLOWED = Followed((0.0, 0.0, 9.0, 9.0), 1, "")
GRADIENT = "take a gradient method, `ll.explain(…, method=ll.gradcam)`."
LAID = "give `ll.Preprocess(resize=…, crop=…, mean=…, std=…)` as the transform, or none at all and tensors as pictures."

SENTENCES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "nothing to guide": (
        lambda: guided_backprop(Small(), X, 0),
        ValueError,
        "This Small has no nn.ReLU or nn.ReLU6, so no backpropagation can be guided through it.",
    ),
    "nothing to roll out": (
        lambda: ll.attention_rollout(Small(), X),
        ValueError,
        "This Small shows no attention among all tokens in what its run recorded, and rollout is made of that: "
        f"{GRADIENT}",
    ),
    "a scripted layer": (
        lambda: at_maps(inside(torch.jit.script(nn.Conv2d(4, 4, 1))), layer="1"),
        ValueError,
        "Layer '1' is scripted and takes no hook: choose a layer outside it, or give the network it was made from.",
    ),
    "a scripted network": (
        lambda: Explainable(torch.jit.script(nn.Conv2d(3, 4, 1))),
        TypeError,
        "A scripted or traced network shows nothing of what its layers emit: give the network it was made from.",
    ),
    "nobody asked": (
        lambda: run().scores,
        RuntimeError,
        "Nothing was asked of this run: `seen.scored(seen.output[:, 281])` asks for a class.",
    ),
    "nobody said how": (
        lambda: (lambda seen: seen.scored(seen.output[:, 0]).rescore)(run()),
        RuntimeError,
        "Nobody said how another run is scored: give `scored` a second argument.",
    ),
    "no ending for CAM": (
        lambda: at_maps(Small(), lambda logits: logits[1] ** 2, ll.cam),
        ValueError,
        "CAM explains a logit, or a weighted sum of logits, and this target is neither: take `method=ll.gradcam`.",
    ),
    "no pooling for CAM": (
        lambda: at_maps(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2)), method=ll.cam, layer="0"),
        ValueError,
        "CAM needs a network that goes from layer '0' through global average pooling and one linear layer to the "
        "logits, and this one does not: take `method=ll.gradcam`, which needs no special ending.",
    ),
    "lazy": (
        lambda: at_maps(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.LazyLinear(2)), layer="0"),
        ValueError,
        "This Sequential has parameters without a size yet (Lazy modules): run it once on a batch, then explain it.",
    ),
    "weights of inference": (
        lambda: at_maps(in_inference()),
        RuntimeError,
        "The weights of this Small were created under inference_mode, so no gradient passes through them: build the "
        "model outside `torch.inference_mode()`.",
    ),
    "a pyramid": (
        lambda: layouts.nchw([X, X]),  # type: ignore[arg-type]
        TypeError,
        "The layer emits 2 tensors in a list, an `ll.layouts.pyramid`: choose a layer inside it that emits one.",
    ),
    "a layout that computes": (
        lambda: at_maps(Explainable(Small(), layout=lambda maps: 2 * maps), method=ll.ablationcam),
        ValueError,
        "The layout computes more than a rearrangement of what 'maps' emits, so changed maps can't be put back into "
        "the network: take a method that needs no second run, for example `gradcam`.",
    ),
    "no chunk": (
        lambda: at_maps(Small(), method=partial(ll.ablationcam, chunk=0)),
        ValueError,
        "chunk=0 is how many variants run at a time: give 1 or more.",
    ),
    "half a chunk": (
        lambda: at_maps(Small(), method=partial(ll.scorecam, chunk=0.5)),
        ValueError,
        "chunk=0.5 is how many variants run at a time: give 1 or more.",
    ),
    "a method's name": (
        lambda: at_maps(Small(), method="Grad-CAM++"),
        TypeError,
        "A method is a function, not its name 'Grad-CAM++': give `method=ll.gradcam_plus_plus`, without quotes.",
    ),
    "nobody's name": (
        lambda: at_maps(Small(), method="x"),
        TypeError,
        "A method is a function, not its name 'x': give `method=ll.gradcam`, without quotes.",
    ),
    "no method": (
        lambda: at_maps(Small(), method=3),
        TypeError,
        "A method is a function such as `ll.gradcam`, not 3.",
    ),
    "maps with channels": (
        lambda: at_maps(Small(), method=lambda seen: seen.activations),
        ValueError,
        "The method returned a tensor of shape 2 × 4 × 8 × 8 for 2 pictures; N × H × W is asked for: sum over the "
        "channels, `.sum(dim=1)`.",
    ),
    "a map too few": (
        lambda: at_maps(Small(), method=lambda seen: seen.activations[:1, 0]),
        ValueError,
        "The method returned a tensor of shape 1 × 8 × 8 for 2 pictures; N × H × W is asked for: keep one map for "
        "each picture.",
    ),
    "no layer": (
        lambda: at_maps(Small(), layer=[]),
        ValueError,
        "The list of layers is empty: name one or more, or none at all for the last.",
    ),
    "no map": (lambda: ll.fuse([]), ValueError, "There is no map to fuse: name at least one layer."),
    "maps of two sizes": (
        lambda: ll.fuse([made(), made((10, 20))]),
        ValueError,
        "These maps lie on different pictures: fuse the maps of one picture.",
    ),
    "no gradient anywhere": (
        lambda: ll.explain(Small(lambda logits: 0 * logits), X, 0),
        ValueError,
        "The gradient of the score is zero at every layer of this Small, so nothing in the picture moves it. Load "
        "trained weights, since a head that starts with zeros does this (torchvision's vision transformers have one); "
        "or explain a logit, if a saturated softmax or a rounding stands before the score.",
    ),
    "no maps": (
        lambda: ll.explain(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), X, 0),
        ValueError,
        "No layer of this Sequential emits maps on which the score depends: say at which layer to look with "
        "`layer=…`; it has 0, 1.",
    ),
    "a graph that is cut": (
        lambda: ll.explain(Small(lambda logits: logits.detach().requires_grad_() * 1), X, 0),
        RuntimeError,
        "The score depends on no layer of this Small: the graph is cut on the way (by `detach`, `no_grad`, `argmax`, "
        "NumPy, rounding). Choose another target, or mend the network's forward.",
    ),
    "a transform of one's own": (
        lambda: Explainable(Small(), transform=np.asarray),  # type: ignore[arg-type]
        TypeError,
        f"Where on the photo the pixels of a builtin_function_or_method come from can't be told: {LAID}",
    ),
    "a step that turns": (
        lambda: Explainable(Small(), transform=transforms.Compose([transforms.RandomRotation(9)])),  # type: ignore[arg-type]
        TypeError,
        "The step RandomRotation of this transform has no one place on the photo for each pixel here, so a map can't "
        f"be laid back: {LAID}",
    ),
    "a mask on its side": (
        lambda: Photo(Image.new("RGB", (20, 10)), (Outlined("cat", np.zeros((20, 10), dtype=bool)),)),
        ValueError,
        "The mask of 'cat' is (20, 10) but the image is (10, 20) (height, width): give a mask of the image's own size.",
    ),
    "a class like no other": (
        lambda: at_maps(Explainable(Small(), categories=("cat", "dog")), target="xylophone"),
        ValueError,
        "There is no class 'xylophone'; see `model.categories`.",
    ),
    "a class that many share": (
        lambda: at_maps(Explainable(Small(), categories=("crane", "crane")), target="crane"),
        ValueError,
        "Several classes are called 'crane': give one of the indices 0, 1.",
    ),
    "no targets": (
        lambda: at_maps(Small(), target=[]),
        ValueError,
        "The list of targets is empty: give one or more, or none at all for the top class.",
    ),
    "an edge without its box": (
        lambda: ll.BoxEdge(0, followed=FOLLOWED)(NO_BOX),
        ValueError,
        "The box vanishes when the network is run again: the nearest of its class overlaps it by 0.00, and there is "
        "no edge to follow. Take BoxScore, which is then 0, or a method that runs once.",
    ),
    "a box of a class, with no model to ask": (
        lambda: ll.BoxScore((0, 0, 9, 9), 3)(NO_BOX),
        ValueError,
        "Around columns 0 to 9, rows 0 to 9 the network, run again, has no box of class 3, even below its threshold, "
        "that overlaps by half or more; the nearest overlaps by 0.00. Boxes move when picture, size or weights "
        "change: take the box from this network's output for this very picture.",
    ),
    "no box, and no threshold": (
        lambda: ll.BoxScore(0)(NO_BOX),
        ValueError,
        "The network finds no box in this picture: choose another picture, or ask about a place, "
        "`ll.BoxScore((left, top, right, bottom), category)`.",
    ),
    "an opacity": (
        lambda: ll.show.overlay(made(), opacity=-0.5),
        ValueError,
        "An opacity lies between 0 and 1, and -0.5 does not.",
    ),
    "feature maps of a batch": (
        lambda: ll.show.maps(X),
        ValueError,
        "Feature maps are drawn from K × H × W, and this is 2 × 3 × 8 × 8: take one picture's, for example "
        "`activations[0]`.",
    ),
    "one number": (
        lambda: ll.show.maps(torch.tensor(1.0)),
        ValueError,
        "Feature maps are drawn from K × H × W, and this is one number: take one picture's, for example "
        "`activations[0]`.",
    ),
    "nothing to draw": (lambda: ll.show.row([]), ValueError, "There is nothing to draw: give at least one map."),
    "titles": (
        lambda: ll.show.signed([made()], ["a", "b"]),
        ValueError,
        "2 titles for 1 maps: give one for each, or none.",
    ),
    "no control": (
        lambda: ll.show.vary(lambda k: ll.show.overlay(made()), k=None),
        ValueError,
        "None makes no control for 'k': give (lowest, highest, step) for a slider, or a list for a menu.",
    ),
    "signals": (
        lambda: ll.explain(nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU()).eval(), torch.zeros(1, 2, 50), 0),
        ValueError,
        "This Sequential fails on a batch of 1 × 1 × 2 × 50, float32 (Expected 2D (unbatched) or 3D (batched) input to "
        "conv1d, but got input of size: [1, 1, 2, 50]): it takes signals, N × C × L, and a heatmap lies on pictures, "
        "N × C × H × W; for signals the cookbook has a recipe, 'A time series: 1-D convolutions'.",
    ),
    "volumes": (
        lambda: ll.explain(nn.Conv3d(2, 4, 3), torch.zeros(1, 2, 8, 8, 8), 0),
        ValueError,
        "A batch is N × C × H × W and a picture C × H × W; this tensor is 1 × 2 × 8 × 8 × 8; for volumes the cookbook "
        "has a recipe, 'A volume: 3-D convolutions'.",
    ),
    "no scenes": (
        lambda: ll.collage.Scenes(0),
        ValueError,
        "A data set of 0 scenes is empty: give a length of 1 or more.",
    ),
}


@pytest.mark.parametrize("what", SENTENCES)
def test_an_error_is_this_sentence(what: str) -> None:
    ask, kind, sentence = SENTENCES[what]
    with pytest.raises(kind) as raised:
        ask()
    assert str(raised.value) == sentence
