"""Mistakes with networks and pictures: the sentence names the cause, its advice works, and nothing is left changed."""

import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from PIL import Image
from refusals import Around, X, advice, net, refused
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import lessons_lib as ll


def flattened() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 30 * 30, 5))


def size(shape: str) -> Callable[[], Tensor]:
    return lambda: torch.rand(*map(int, shape.split("x")))


@pytest.mark.slow
@pytest.mark.parametrize("layer", [None, "0"])
@pytest.mark.parametrize(
    ("network", "pictures", "cause"),
    [
        (net, size("2x1x32x32"), r"2 × 1 × 32 × 32, float32 \(.*expected input.* to have 3 channels"),
        (net, size("2x4x32x32"), "to have 3 channels"),
        (lambda: net(1), size("2x3x32x32"), "to have 1 channels"),
        (net, size("32x32x3"), "to have 3 channels, but got 32"),
        (net, size("2x32x32x3"), "to have 3 channels, but got 32"),
        (net, lambda: X.double(), r"float64 \(Input type"),
        (net, lambda: X.half(), r"float16 \(Input type"),
        (net, lambda: X.permute(0, 2, 3, 1).double(), "float64"),
        (lambda: net().double(), lambda: X, r"float32 \(Input type"),
        (lambda: net().bfloat16(), lambda: X, r"float32 \(Input type"),
        (flattened, size("2x3x64x64"), "shapes cannot be multiplied"),
        (lambda: Around(lambda inner, x: inner(x[:, :, : 64 // (x.shape[2] // 64)])), lambda: X, "ZeroDivision"),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 40), net(4)), lambda: X, "Kernel size can't be greater"),
    ],
)
def test_a_batch_that_does_not_fit_is_told_with_a_change_that_does(
    network: Callable[[], nn.Module], pictures: Callable[[], Tensor], cause: str, layer: str | None
) -> None:
    model, given = network(), pictures()
    layer = layer and next(name for name, module in model.named_modules() if isinstance(module, nn.Conv2d))
    said = refused(lambda: ll.explain(model, given, 1, layer=layer), cause)
    if "mend its `forward`" in said:
        return  # the network's own mistake: there is nothing to give it instead
    found = ll.explain(model, advice(said, pictures=given), 1, layer=layer)
    assert len(found if isinstance(found, list) else [found]) == (2 if given.ndim == 4 else 1)


@pytest.mark.parametrize("ask", [ll.explain, ll.layers, ll.attention_rollout, ll.attention_relevance])
def test_a_transformer_says_its_picture_size_in_every_way_of_asking(ask: Callable[..., Any]) -> None:
    record = ll.models.vit(trained=False)
    said = refused(lambda: ask(record, torch.zeros(1, 3, 64, 64)), r"Wrong image height! Expected 112 but got 64!")
    assert advice(said, pictures=torch.zeros(1, 3, 64, 64)).shape[2:] == (112, 112)


@pytest.mark.parametrize(
    ("forward", "cause"),
    [
        (lambda inner, x: inner.nothing(x), "AttributeError: .*no attribute 'nothing'"),
        (lambda inner, x: {}["logits"], "KeyError: 'logits'"),
        (lambda inner, x: x / (1 // 0), "ZeroDivisionError"),
        (lambda inner, x: inner(x)[9], "IndexError"),
    ],
)
def test_a_network_that_fails_by_itself_is_told_so(forward: Any, cause: str) -> None:
    assert "mend its `forward`" in refused(lambda: ll.explain(Around(forward), X), rf"This Around fails on .*{cause}")


@pytest.mark.parametrize(
    ("given", "cause", "works"),
    [
        (lambda: torch.tensor(1.0), "this tensor is one number", False),
        (lambda: X[0, 0], "this tensor is 32 × 32; a grey picture has a channel", True),
        (lambda: X[None], "this tensor is 1 × 2 × 3 × 32 × 32", False),
        (lambda: X[:0], "There is no picture to explain", False),
        (lambda: X[:, :, :0], "2 × 3 × 0 × 32, so there is no pixel in it", False),
        (lambda: X.to_sparse(), r"stored as sparse_coo", True),
        (lambda: X.to("meta"), "lies on the device 'meta', which holds no pixels", False),
        (lambda: torch.quantize_per_tensor(X, 0.1, 0, torch.qint8), "is quantised", True),
        (lambda: X.numpy(), "not an array of shape 2 × 3 × 32 × 32", True),
        (lambda: list(X), "not a tensor of shape 3 × 32 × 32", True),
        (lambda: "cat.jpg", "not 'cat.jpg': open the file", False),
        (lambda: None, "not None: open a file", False),
        (lambda: [[X]], "not a list of 1: give the inner list alone", False),
    ],
)
def test_pictures_that_are_none_are_refused_before_the_network_runs(given: Any, cause: str, works: bool) -> None:
    network = Around(lambda inner, x: inner(x if x.shape[1] == 3 else x.expand(-1, 3, -1, -1)))
    pictures = given()
    said = refused(lambda: ll.explain(network, pictures, 1), cause)
    if works:
        changed = advice(said, pictures=pictures, array=pictures)
        found = ll.explain(network, changed, 1)
        assert len(found if isinstance(found, list) else [found]) == (2 if changed.ndim == 4 else 1)


SILENT = "ran under no_grad or inference_mode when it came to every layer that emits maps"


@pytest.mark.parametrize(
    ("forward", "cause"),
    [
        (torch.no_grad()(lambda inner, x: inner(x)), SILENT),
        (torch.inference_mode()(lambda inner, x: inner(x)), SILENT),
        (lambda inner, x: inner[3:](torch.no_grad()(inner[:3])(x)), SILENT),
        (lambda inner, x: inner[4](checkpoint(inner[:4], x, use_reentrant=True)), "gradient checkpointing"),
        (lambda inner, x: inner(x.detach()), "graph is cut"),
    ],
)
def test_a_network_without_a_graph_is_told_without_a_layer_too(forward: Any, cause: str) -> None:
    network = Around(forward)
    said = refused(lambda: ll.explain(network, X), cause)
    if "method=" in said:
        (code,) = re.findall("`(layer=[^`]+)`", said)
        found = eval(f"ll.explain(network, X, {code})", {"ll": ll, "network": network, "X": X})
        assert found[0].method == "eigencam" and found[0].values.any()


def test_a_layer_alone_and_a_picture_of_one_cell_are_told() -> None:
    alone = nn.Conv2d(3, 4, 3)
    refused(lambda: ll.explain(alone, X, lambda o: o.sum()), "This Conv2d is one layer, with none inside to look at")
    assert ll.explain(nn.Sequential(alone), X, lambda o: o.sum(), layer="0")[0].values.any()
    refused(lambda: ll.explain(net(), X[..., :1, :1]), "one cell each for pictures of 1 × 1")


def test_a_picture_with_an_infinity_spoils_no_other_picture_s_map() -> None:
    for wrong in (torch.nan, torch.inf):
        batch = X.clone()
        batch[0, 0, 0, 0] = wrong
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            blank, sound = ll.explain(net(), batch, 1, method=ll.eigencam)
        assert torch.equal(sound.values, ll.explain(net(), X, 1, method=ll.eigencam)[1].values)
        assert not blank.values.isfinite().all() and "not finite" in str(warned[0].message)


@pytest.mark.parametrize(
    ("network", "cause"),
    [
        (ll.models.vit, r"the function vit: call it, `ll\.models\.vit\(\)`"),
        (nn.Sequential, "the class Sequential: call it"),
        ("resnet18", "'resnet18': build it"),
        (net().state_dict(), "weights in an OrderedDict: build the network and fill it"),
        (net().forward, "its method forward: give the network itself"),
        (X, "give the network first, then the pictures"),
        (Image.new("RGB", (3, 3)), "give the network first, then the pictures"),
        (None, "not None"),
    ],
)
def test_what_is_no_network_is_told(network: Any, cause: str) -> None:
    for ask in (ll.explain, ll.layers, ll.boxes, ll.attention_rollout):
        refused(lambda ask=ask: ask(network, X), cause)


@pytest.mark.slow
def test_an_exported_program_is_told() -> None:
    program = torch.export.export(net(), (X,))
    for given in (program, program.module()):
        refused(
            lambda given=given: ll.explain(given, X), "no layers to look at: give the network that it was made from"
        )


def _inference() -> nn.Module:
    with torch.inference_mode():
        return net()


@pytest.mark.parametrize(
    ("made", "cause"),
    [
        (_inference, "created under inference_mode"),
        (lambda: nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(5)), "without a size yet"),
        (lambda: nn.Sequential(net(), nn.LazyBatchNorm1d(affine=False)), "without a size yet"),
        (lambda: net().to("meta"), "lie on the device 'meta', which holds no numbers"),
    ],
)
@pytest.mark.parametrize("ask", [ll.explain, ll.layers, ll.attention_rollout, ll.attention_relevance, ll.boxes])
def test_weights_that_can_t_be_used_are_told_before_anything_is_changed(
    made: Callable[[], nn.Module], cause: str, ask: Callable[..., Any]
) -> None:
    network = made().train()
    refused(lambda: ask(network, X), cause)
    assert all(module.training and not module._forward_hooks for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())


ASKED = [
    ll.explain,
    ll.layers,
    ll.baselines.guided_backprop,
    lambda network, pictures: ll.explain(network, pictures, layer="1", method=ll.ablationcam),
]


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("ask", ASKED)
def test_ctrl_c_while_a_hook_is_set_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, ask: Callable[..., Any], nth: int
) -> None:
    network, own, calls = net().train(), nn.Module.register_forward_hook, []

    def interrupted(self: nn.Module, *given: Any, **named: Any) -> Any:
        handle = own(self, *given, **named)
        calls.append(self)
        if len(calls) == nth:
            raise KeyboardInterrupt  # the hook is set, and its handle never arrives
        return handle

    monkeypatch.setattr(nn.Module, "register_forward_hook", interrupted)
    with pytest.raises(KeyboardInterrupt):
        for _ in range(nth):
            ask(network, X)
    assert all(module.training and "forward" not in vars(module) for module in network.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_ctrl_c_while_things_are_put_back_comes_after_they_are() -> None:
    class Interrupted(nn.ReLU):
        armed = False

        def __setattr__(self, name: str, value: Any) -> None:
            if name == "training" and value and Interrupted.armed:
                Interrupted.armed = False
                raise KeyboardInterrupt
            super().__setattr__(name, value)

    network = nn.Sequential(nn.Conv2d(3, 4, 3), Interrupted(), nn.Dropout()).train()
    Interrupted.armed = True
    with pytest.raises(KeyboardInterrupt):
        ll.explain(network, X, lambda output: output.sum(), layer="0")
    assert not Interrupted.armed and all(module.training for module in network.modules())
    assert ll.explain(network, X, lambda output: output.sum(), layer="0")[0].values.any()
