"""The network is left as it was found, wrong input gets its sentence, and a blank map its one cause."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import lessons_lib as ll
from lessons_lib.core.engine import capture


class Small(nn.Module):
    """Convolution, batch normalisation, ReLU, pooling, dropout, linear layer: 5 logits; and a layer that never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4, 5)
        self.unused = nn.Conv2d(3, 4, 3)

    def after(self, maps: Tensor) -> Any:
        return self.head(self.drop(self.pool(maps).flatten(1)))

    def forward(self, x: Tensor) -> Any:
        return self.after(self.features(x))


class Twice(Small):
    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.features(x) + self.features(x.flip(3)))


class InDict(Small):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        logits = super().forward(x)
        return {"out": logits, "aux": logits[:, :2]}


class InDictOfNoLogits(Small):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps = self.features(x)
        return {"features": maps, "scores": self.after(maps)}


class WithItsLoss(Small):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logits = super().forward(x)
        return logits, logits.square().mean()


class WithItsFeatures(Small):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logits = super().forward(x)
        return logits.tanh(), logits


class Checkpointed(Small):
    def after(self, maps: Tensor) -> Any:
        # As timm's networks do on request: what lies between here and the logits runs again on the way back.
        return checkpoint(lambda maps: super(Checkpointed, self).after(self.inside(maps)), maps, use_reentrant=False)

    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Sigmoid())


class OneLogit(Small):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:, :1]


class WithoutGradient(Small):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return super().forward(x)


class InInference(Small):
    def forward(self, x: Tensor) -> Tensor:
        with torch.inference_mode():
            return super().forward(x)


class CutAfterTheLayer(Small):
    def after(self, maps: Tensor) -> Tensor:
        return super().after(maps.detach())


class Breaks(Small):
    def after(self, maps: Tensor) -> Tensor:
        raise ArithmeticError("the network itself fails")


class Emits(Small):
    def __init__(self) -> None:
        super().__init__()
        self.pair = nn.LSTM(4, 4)

    def after(self, maps: Tensor) -> Tensor:
        return super().after(self.pair(maps.flatten(2).permute(2, 0, 1))[0].permute(1, 2, 0)[..., None])


def made(kind: type[Small]) -> Any:
    """A network in a state that is easy to disturb: mixed modes, mixed flags, gradients, a hook of the user's own."""
    torch.manual_seed(0)
    network = kind()
    network.train()
    network.features[1].eval()
    network.head.eval()
    network.features[0].weight.requires_grad_(False)
    for number, parameter in enumerate(network.parameters()):
        if parameter.requires_grad:
            parameter.grad = torch.full_like(parameter, float(number))
    network.unused.weight.grad = None
    network.head.register_forward_hook(lambda *_: None)
    return network


def state(network: nn.Module) -> dict[str, Any]:
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {
        "modes": [(name, module.training) for name, module in network.named_modules()],
        "hooks": [[list(getattr(module, kind)) for kind in hooks] for module in network.modules()],
        "flags": [(name, parameter.requires_grad) for name, parameter in network.named_parameters()],
        "gradients": [None if p.grad is None else p.grad.tolist() for p in network.parameters()],
        "same gradient tensors": [
            id(parameter.grad) for parameter in network.parameters() if parameter.grad is not None
        ],
        "values": [(name, value.tolist()) for name, value in network.state_dict().items()],
        "leaves": [parameter.is_leaf for parameter in network.parameters()],
        "autograd": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
    }


torch.manual_seed(1)
BATCH = torch.randn(2, 3, 4, 6)
NAMED = ("tabby", "tiger cat", "Persian cat", "espresso", "crane")


def asked(network: nn.Module, target: Any = None, layer: Any = "features", pictures: Any = BATCH, **more: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # blank maps have their own test
        return ll.explain(network, pictures, target, layer=layer, **more)


@pytest.mark.parametrize("method", [ll.cam, ll.gradcam])
def test_the_network_is_left_as_it_was_found(method: ll.methods.Method) -> None:
    network = made(Small)
    pictures = BATCH.clone().requires_grad_()
    before = state(network)
    assert len(asked(network, pictures=pictures, method=method)) == 2
    assert state(network) == before
    assert pictures.grad is None and pictures.requires_grad


def test_eval_mode_is_what_is_explained_whatever_mode_the_network_is_in() -> None:
    network = made(Small)
    first, second = asked(network, ll.ClassScore(1)), asked(network.eval(), ll.ClassScore(1))
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.values, other.values)  # dropout would make them differ


def foreign(_: nn.Module) -> nn.Module:
    return Small().features


# The network, how it is asked, and the sentence it must get.
ERRORS: dict[str, tuple[type[Small], Callable[[Any], Any], type[Exception], str]] = {
    "misspelt layer": (
        Small,
        lambda n: asked(n, layer="featurs.0"),
        ValueError,
        "Small has no layer 'featurs.0'; near it: features.0, features.2, features.1.",
    ),
    "layer of another network": (
        Small,
        lambda n: asked(n, layer=foreign(n)),
        ValueError,
        "The layer you gave (Sequential) is not part of this Small: take it from the model that you explain, for "
        "example `model.layer4`.",
    ),
    "no layer at all": (
        Small,
        lambda n: asked(n, layer=3),
        TypeError,
        "A layer is a module of the model or its dotted name, not 3.",
    ),
    "layer did not run": (
        Small,
        lambda n: asked(n, layer="unused"),
        ValueError,
        "Layer 'unused' did not run in this forward pass: choose one that does.",
    ),
    "layer ran twice": (
        Twice,
        lambda n: asked(n),
        ValueError,
        "Layer 'features' ran 2 times in one forward pass, so there is no one map: choose a layer that runs once.",
    ),
    "layer emits a tuple": (
        Emits,
        lambda n: asked(n, layer="pair"),
        TypeError,
        "Layer 'pair' emits a tuple of 2, not a tensor: choose a layer inside it.",
    ),
    "layer has no rows": (
        Small,
        lambda n: asked(n, layer="head"),
        ValueError,
        "The layer's output is 2 × 5, not N × C × H × W: it has no rows and columns to draw. Choose a layer before "
        "the flattening, for example the last convolution.",
    ),
    "too many targets": (
        Small,
        lambda n: asked(n, [ll.ClassScore(0)] * 3),
        ValueError,
        "3 targets for 2 pictures: give one target for all, or one for each.",
    ),
    "too few targets": (
        Small,
        lambda n: asked(n, [ll.ClassScore(0)]),
        ValueError,
        "1 targets for 2 pictures: give one target for all, or one for each.",
    ),
    "no target at all": (
        Small,
        lambda n: asked(n, 0.5),
        TypeError,
        "A target is a class by its index or name, a target such as ll.ClassScore(281), or a function of one picture's "
        "output, not 0.5.",
    ),
    "unknown class name": (
        Small,
        lambda n: asked(ll.models.Explainable(n, categories=NAMED), ll.ClassScore("tiger")),
        ValueError,
        "There is no class 'tiger'; near it: tiger cat.",
    ),
    "class name without names": (
        Small,
        lambda n: asked(n, ll.ClassScore("tiger cat")),
        ValueError,
        "This model's classes have no names, so 'tiger cat' can't be found: give the class by its index.",
    ),
    "two classes of one name": (
        Small,
        lambda n: asked(ll.models.Explainable(n, categories=(*NAMED[:4], "tabby")), ll.ClassScore("tabby")),
        ValueError,
        "Several classes are called 'tabby': give one of the indices 0, 4.",
    ),
    "class index too high": (
        Small,
        lambda n: asked(n, ll.ClassScore(5)),
        ValueError,
        "There is no class 5: this model has 5, from 0 to 4.",
    ),
    "negative class index": (
        Small,
        lambda n: asked(n, ll.ClassScore(-1)),
        ValueError,
        "There is no class -1: this model has 5, from 0 to 4.",
    ),
    "class that is no index": (
        Small,
        lambda n: asked(n, ll.ClassScore(1.5)),  # type: ignore[arg-type]
        TypeError,
        "A class is given by its index or its name, not by 1.5.",
    ),
    "class 1 of one logit": (
        OneLogit,
        lambda n: asked(n, ll.ClassScore(1)),
        ValueError,
        "This model gives one logit, so there is no class 1: take ll.ClassScore(0) for the positive class, "
        "or `lambda output: -output[0]` for the negative one.",
    ),
    "dict without logits": (
        InDictOfNoLogits,
        lambda n: asked(n, ll.ClassScore(0)),
        TypeError,
        "ClassScore needs one row of logits for each picture, and this model gives a dict with the keys 'features', "
        "'scores': give a target that picks the number, for example `lambda output: output['scores'][3]`.",
    ),
    "two rows in a tuple": (
        WithItsFeatures,
        lambda n: asked(n, ll.ClassScore(0)),
        TypeError,
        "ClassScore needs one row of logits for each picture, and this model gives a tuple of 2: give a target that "
        "picks the number, for example `lambda output: output[1][3]`.",
    ),
    "something of the whole batch": (
        WithItsLoss,
        lambda n: asked(n, ll.ClassScore(0)),
        TypeError,
        "The model gives a tuple of 2, and a tensor of shape () in it, which can't be divided among 2 pictures: "
        "explain them one by one.",
    ),
    "gradient checkpointing": (
        Checkpointed,
        lambda n: asked(n, layer="inside"),
        RuntimeError,
        "This network saves memory by running parts of itself again on the way back (gradient checkpointing), and "
        "then the layer's maps are others: switch that off, in timm by `network.set_grad_checkpointing(False)`.",
    ),
    "target without gradient": (
        Small,
        lambda n: asked(n, lambda output: output[0].item()),
        TypeError,
        "The target returned a float, not a tensor: leave out `.item()` and `float()`.",
    ),
    "target of many numbers": (
        Small,
        lambda n: asked(n, lambda output: output),
        ValueError,
        "The target returned a tensor of shape 5, not one number: pick an element, or take a sum.",
    ),
    "target fails": (
        Small,
        lambda n: asked(n, lambda output: output[9]),
        RuntimeError,
        "The target fails on a tensor of shape 5 (IndexError: index 9 is out of bounds for dimension 0 with size 5): "
        "it gets one picture's output, so pick one number of that, for example `lambda output: output[0]`.",
    ),
    "network fails": (
        Breaks,
        lambda n: asked(n),
        RuntimeError,
        "This Breaks fails on a batch of 2 × 3 × 4 × 6, float32 (ArithmeticError: the network itself fails): mend its "
        "`forward`.",
    ),
    "no_grad inside": (
        WithoutGradient,
        lambda n: asked(n),
        RuntimeError,
        "The forward pass ran under no_grad or inference_mode when it came to layer 'features', so there is no "
        "gradient: remove the `torch.no_grad()` inside the model's forward.",
    ),
    "inference_mode inside": (
        InInference,
        lambda n: asked(n),
        RuntimeError,
        "The forward pass ran under no_grad or inference_mode when it came to layer 'features', so there is no "
        "gradient: remove the `torch.no_grad()` inside the model's forward.",
    ),
    "no_grad inside, for cam": (
        WithoutGradient,
        lambda n: asked(n, method=ll.cam),
        RuntimeError,
        "The forward pass ran under no_grad or inference_mode when it came to layer 'features', so there is no "
        "gradient: remove the `torch.no_grad()` inside the model's forward.",
    ),
    "score cut by detach": (
        Small,
        lambda n: asked(n, lambda output: output[0].detach()),
        RuntimeError,
        "The score does not depend on layer 'features': the layer lies on another branch, or the graph is cut "
        "between them (by `detach`, `no_grad`, `argmax`, rounding). Choose another layer or another target.",
    ),
    "score cut by detach, for cam": (
        Small,
        lambda n: asked(n, lambda output: output[0].detach(), method=ll.cam),
        RuntimeError,
        "The score does not depend on layer 'features': the layer lies on another branch, or the graph is cut "
        "between them (by `detach`, `no_grad`, `argmax`, rounding). Choose another layer or another target.",
    ),
    "score cut by argmax": (
        Small,
        lambda n: asked(n, lambda output: output.argmax()),
        RuntimeError,
        "The score does not depend on layer 'features': the layer lies on another branch, or the graph is cut "
        "between them (by `detach`, `no_grad`, `argmax`, rounding). Choose another layer or another target.",
    ),
    "network cut by detach": (
        CutAfterTheLayer,
        lambda n: asked(n),
        RuntimeError,
        "The score does not depend on layer 'features': the layer lies on another branch, or the graph is cut "
        "between them (by `detach`, `no_grad`, `argmax`, rounding). Choose another layer or another target.",
    ),
    "photo for a network without preprocessing": (
        Small,
        lambda n: asked(n, pictures=ll.photos.cat()),
        ValueError,
        "This model comes without preprocessing, so it can't take a photo: give it a tensor that is ready for it, "
        "or a record, `ll.Explainable(network, transform=ll.Preprocess(256, 224))`.",
    ),
    "photos of two sizes": (
        Small,
        lambda n: asked(
            ll.models.Explainable(n, transform=ll.models.Preprocess()), pictures=[ll.photos.cat(), ll.photos.coffee()]
        ),
        ValueError,
        "These photos have different sizes and this model does not crop: explain them one by one.",
    ),
    "a file name": (
        Small,
        lambda n: asked(n, pictures="cat.jpg"),
        TypeError,
        "Give photos, PIL images or one batch tensor, not 'cat.jpg': open the file, `ll.photos.open('cat.jpg')`.",
    ),
    "a list of tensors": (
        Small,
        lambda n: asked(n, pictures=list(BATCH)),
        TypeError,
        "Give photos, PIL images or one batch tensor, not a tensor of shape 3 × 4 × 6: stack tensors, "
        "`torch.stack(pictures)`.",
    ),
    "an array": (
        Small,
        lambda n: asked(n, pictures=BATCH.numpy()),
        TypeError,
        "Give photos, PIL images or one batch tensor, not an array of shape 2 × 3 × 4 × 6: make the array a "
        "tensor, `torch.from_numpy(array)`.",
    ),
    "bytes": (
        Small,
        lambda n: asked(n, pictures=(255 * BATCH).byte()),
        TypeError,
        "This tensor holds uint8, and a network takes what it was trained on: pixels in [0, 1], less the mean and "
        "divided by the standard deviation. `ll.Preprocess()` makes that of a picture, with ImageNet's.",
    ),
    "no network": (
        Small,
        lambda n: ll.explain("resnet50", BATCH),
        TypeError,
        "A network is an `nn.Module`, not 'resnet50': build it, `torchvision.models.get_model('resnet50')`.",
    ),
    "a flat tensor": (
        Small,
        lambda n: asked(n, pictures=BATCH[0, 0]),
        ValueError,
        "A batch is N × C × H × W and a picture C × H × W; this tensor is 4 × 6; a grey picture has a channel, "
        "too: `pictures[None]`.",
    ),
    "method that gives no tensor": (
        Small,
        lambda n: asked(n, method=lambda seen: 0.5),
        TypeError,
        "The method returned a float, not a tensor of N × H × W: give one such as `ll.gradcam`.",
    ),
    "nothing to explain": (
        Small,
        lambda n: asked(n, pictures=BATCH[:0]),
        ValueError,
        "There is no picture to explain: give one or more.",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_says_what_is_wrong_and_leaves_the_network_as_it_was_found(case: str) -> None:
    kind, ask, error, sentence = ERRORS[case]
    network = made(kind)
    before = state(network)
    with pytest.raises(error) as raised:
        ask(network)
    said = str(raised.value)
    assert said == sentence
    assert state(network) == before


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_traced_network_is_named() -> None:
    traced = torch.jit.trace(made(Small).eval(), BATCH)
    with pytest.raises(TypeError, match="shows nothing of what its layers emit: give the network it was made from"):
        ll.explain(traced, BATCH)


def test_weights_created_under_inference_mode_are_named() -> None:
    with torch.inference_mode():
        network = Small()
    with pytest.raises(RuntimeError, match=r"weights of this Small were created under inference_mode.*build the model"):
        asked(network)
    assert all(module.training for module in network.modules())


def test_the_caller_may_be_inside_no_grad_or_inference_mode() -> None:
    network = made(Small)
    outside = asked(network, ll.ClassScore(1))
    for mode in (torch.no_grad, torch.inference_mode):
        for method in (ll.gradcam, ll.cam):
            with mode():
                before = state(network)
                inside = asked(network, ll.ClassScore(1), pictures=BATCH.clone(), method=method)
                assert state(network) == before
            for one, other in zip(inside, outside, strict=True):
                scale = 24 if method is ll.cam else 1
                torch.testing.assert_close(one.values, scale * other.values)


def test_a_class_may_be_a_numpy_or_torch_integer() -> None:
    network = made(Small)
    (plain, _), (wrapped, _) = asked(network, ll.ClassScore(3)), asked(network, ll.ClassScore(torch.tensor(3)))
    assert plain.words == wrapped.words and torch.equal(plain.values, wrapped.values)


@pytest.mark.parametrize("target", [ll.ClassScore(2), lambda output: output["out"][2]])
@pytest.mark.parametrize("method", [ll.gradcam, ll.cam])
def test_logits_in_a_dict_are_explained_as_if_they_were_bare(target: Any, method: ll.methods.Method) -> None:
    found = asked(made(InDict), target, method=method)
    expected = asked(made(Small), ll.ClassScore(2), method=method)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.values, other.values)


def test_a_single_picture_may_come_with_something_of_the_whole_batch() -> None:
    (found,) = asked(made(WithItsLoss), ll.ClassScore(2), pictures=BATCH[1:])
    _, expected = asked(made(Small), ll.ClassScore(2))
    torch.testing.assert_close(found.values, expected.values)


def test_an_in_place_relu_behind_the_layer_changes_neither_activations_nor_gradients() -> None:
    # Without the copy the ReLU would overwrite −1 by 0, in the activations and in the gradient's sight.
    network = nn.Sequential(nn.Identity(), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4, 1))
    network[3].weight.data = torch.tensor([[2.0, 4.0, 6.0, 8.0]])
    seen = capture.run(network, torch.tensor([[[[-1.0, 3.0], [5.0, -7.0]]]]), "0")
    seen = seen.scored(seen.output[:, 0])
    assert seen.activations.tolist() == [[[[-1.0, 3.0], [5.0, -7.0]]]]
    assert seen.gradients.tolist() == [[[[0.0, 4.0], [6.0, 0.0]]]]


def test_nothing_below_the_layer_is_recorded() -> None:
    network = made(Small)
    seen = capture.run(network, BATCH.clone().requires_grad_(), "features")
    steps, waiting = set(), [seen.output.grad_fn]
    while waiting:
        step = waiting.pop()
        if step is not None and step not in steps:
            steps.add(step)
            waiting += [earlier for earlier, _ in step.next_functions]
    leaves = [step.variable for step in steps if "AccumulateGrad" in step.name()]
    assert [leaf.shape for leaf in leaves] == [torch.Size([2, 4, 4, 6])]


def test_a_run_under_no_grad_still_records_what_follows_the_layer() -> None:
    network = made(Small)
    with torch.no_grad():
        seen = capture.run(network, BATCH, "features")
    seen = seen.scored(seen.output[:, 1])
    torch.testing.assert_close(
        seen.gradients, (network.head.weight[1] / 24).detach().reshape(1, 4, 1, 1).expand(2, 4, 4, 6)
    )


def test_gradients_are_computed_only_when_asked_for() -> None:
    seen = capture.run(made(Small), BATCH, "features")
    seen = seen.scored(seen.output[:, 0])
    assert torch.equal(seen.activations, seen.activations) and "gradients" not in vars(seen)
    assert seen.gradients is seen.gradients


CAUSES = {
    "not finite": "it holds values that are not finite; look for NaN or infinity in the input and in the weights",
    "saturated": "the score is saturated, where a softmax or sigmoid is flat; explain the logit instead",
    "no gradient": "the gradient of the score is zero everywhere at features; choose an earlier layer or another "
    "target",
    "constant": "the activations at features are the same everywhere; choose an earlier layer",
    "unused": "the score is the same without any one map of features; choose another layer or another target",
    "cancelled": "the weighted maps at features add up to one value everywhere; choose another layer or method",
    "negative": "all values are negative before the ReLU, so everything at features speaks against it; see "
    "`heat.values`",
}


class Chosen(nn.Module):
    """Its input is its feature maps; its logits are their means times `weight`."""

    def __init__(self, weight: list[list[float]], after: nn.Module | None = None):
        super().__init__()
        self.features = nn.Identity()
        self.fc = nn.Linear(2, len(weight), bias=False)
        self.fc.weight.data = torch.tensor(weight)
        self.after = after or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.fc(self.features(x).mean(dim=(2, 3))))


UNEVEN = torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[6.0, 5.0, 4.0], [3.0, 2.0, 1.0]]]])
NORMAL = [[1.0, 0.0], [0.0, 1.0]]


def probability(output: Tensor) -> Tensor:
    return output.softmax(dim=0)[0]


BLANK = [
    ("not finite", Chosen(NORMAL), UNEVEN * torch.nan, None, ll.gradcam),
    ("not finite", Chosen(NORMAL), UNEVEN / 0, None, ll.cam),
    ("saturated", Chosen([[99.0, 0.0], [0.0, 0.0]]), UNEVEN, probability, ll.gradcam),
    ("saturated", Chosen([[-99.0, 0.0], [0.0, 0.0]]), UNEVEN, probability, ll.gradcam),
    ("saturated", Chosen([[99.0, 0.0]]), UNEVEN, lambda output: output[0].sigmoid(), ll.gradcam),
    ("saturated", Chosen([[99.0, 0.0]], nn.Sigmoid()), UNEVEN, None, ll.gradcam),
    ("no gradient", Chosen([[-1.0, 0.0]], nn.ReLU()), UNEVEN, None, ll.gradcam),
    ("no gradient", Chosen([[0.0, 0.0]]), UNEVEN, None, ll.gradcam),
    ("no gradient", Chosen([[9.0, 0.0]], nn.ReLU6()), UNEVEN, None, ll.gradcam),
    ("constant", Chosen(NORMAL), UNEVEN * 0 + 3, None, ll.gradcam),
    ("constant", Chosen(NORMAL), UNEVEN * 0, None, ll.cam),
    ("constant", Chosen(NORMAL), UNEVEN * 0 + torch.tensor([3.0, 5.0])[:, None, None], None, ll.gradcam),
    ("cancelled", Chosen([[6.0, 6.0]]), UNEVEN, None, ll.gradcam),
    ("cancelled", Chosen([[6.0, 6.0]]), UNEVEN, None, ll.cam),
    ("unused", Chosen([[0.0, 0.0]]), UNEVEN, None, ll.cam),
    ("negative", Chosen([[-1.0, 0.0]]), UNEVEN, None, ll.gradcam),
    ("negative", Chosen([[-1.0, 0.0]]), UNEVEN, None, ll.cam),
]


@pytest.mark.parametrize(("cause", "network", "maps", "target", "method"), BLANK)
def test_a_blank_map_names_its_cause_and_no_other(
    cause: str, network: nn.Module, maps: Tensor, target: Any, method: ll.methods.Method
) -> None:
    with pytest.warns(UserWarning, match="The map for .* is blank") as caught:
        ll.explain(network, maps, target, layer="features", method=method)
    (sentence,) = [str(warning.message) for warning in caught]
    assert sentence.partition(" is blank: ")[2] == f"{CAUSES[cause]}."


def test_only_the_blank_map_of_a_batch_is_named_and_a_good_one_is_silent() -> None:
    with pytest.warns(UserWarning) as caught:
        ll.explain(Chosen(NORMAL), torch.cat([UNEVEN, UNEVEN * 0 + 3]), ll.ClassScore(1), layer="features")
    assert len(caught) == 1 and "'class 1, score 3.00'" in str(caught[0].message)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ll.explain(Chosen(NORMAL), UNEVEN, layer="features")
