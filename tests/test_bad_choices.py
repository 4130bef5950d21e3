"""Mistakes with targets, methods, layers and records: the sentence names the cause, and its advice works."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from refusals import X, advice, net, refused
from torch import nn

import lessons_lib as ll
from lessons_lib.core.layers.listing import Candidates


@pytest.mark.parametrize("layer", [None, "1"])
@pytest.mark.parametrize(
    ("target", "cause"),
    [
        (lambda o: float(o[0]), r"returned a float, not a tensor: leave out `.item\(\)`"),
        (lambda o: None, "returned nothing, not a tensor"),
        (lambda o: o, "returned a tensor of shape 5, not one number"),
        (lambda o: o[:0], "returned a tensor of shape 0, not one number"),
        (lambda o: o[0] + 1j, "complex number"),
        (lambda o: o[99], r"fails on a tensor of shape 5 \(IndexError"),
        (lambda o: o["logits"], "fails on a tensor of shape 5"),
        (lambda: 1, "takes 0 positional arguments"),
        (lambda o: o[0].detach(), "graph is cut"),
        (lambda o: o.argmax(), "graph is cut"),
        (ll.ClassScore, r"ClassScore is a kind of target: make one, `ll.ClassScore\(\)`"),
        (ll.PixelScore, r"make one, `ll.PixelScore\(row, column\)`"),
        (ll.ClassScore(True), "by its index or its name, not by True"),
        (np.True_, rf"not {np.True_!r}"),  # NumPy 1 writes it without np.
        (1.5, "not 1.5"),
    ],
)
def test_a_target_is_refused_alike_with_and_without_a_layer(target: Any, cause: str, layer: str | None) -> None:
    network = net().train()
    said = refused(lambda: ll.explain(network, X, target, layer=layer), cause)
    assert all(module.training and not module._forward_hooks for module in network.modules())
    for begins in ("lambda output", "ll.ClassScore()"):
        if f"`{begins}" in said:
            assert len(ll.explain(network, X, advice(said, begins), layer=layer)) == 2


@pytest.mark.parametrize(
    ("method", "cause", "means"),
    [
        ("gradcam", "not its name 'gradcam'", ll.gradcam),
        ("Score-CAM", "not its name 'Score-CAM'", ll.scorecam),
        (None, "such as `ll.gradcam`, not None", ll.gradcam),
        (nn.ReLU(), "such as `ll.gradcam`, not a ReLU", ll.gradcam),
        (type("GradCAMPlusPlus", (), {}), "not the class GradCAMPlusPlus", ll.gradcam_plus_plus),
        (type("GradCAM", (), {"__module__": "torchcam.methods", "__call__": print})(), "a GradCAM of torchcam", None),
        (ll.attention_rollout, "attention_rollout does not", None),
        (ll.attention_relevance, "attention_relevance does not", None),
        (ll.ClassScore(1), "ClassScore is a target, and no method", None),
        (lambda: 1, "takes one argument", None),
        (lambda seen: None, "returned nothing, .* end it with `return`", None),
        (lambda seen: seen.activations, r"returned a tensor of shape 2 × 4 × 16 × 16 .*`.sum\(dim=1\)`", None),
        (lambda seen: seen.activations[:1, 0], "tensor of shape 1 × 16 × 16 for 2 pictures", None),
        (lambda seen: seen.activations[:, 0].numpy(), "an array of shape 2 × 16 × 16", None),
        (lambda seen: list(seen.activations[:, 0]), "a list of 2", None),
        (lambda seen: seen.activations[:, 0] + 1j, "complex numbers", None),
        (lambda seen: seen.nothing, "fails on a tensor of shape 2 × 4 × 16 × 16 at layer '1'", None),
    ],
)
def test_a_method_that_is_none_is_told(method: Any, cause: str, means: Any) -> None:
    said = refused(lambda: ll.explain(net(), X, method=method), cause)
    if means:
        assert advice(said.replace("method=", "")) is means


@pytest.mark.parametrize(
    ("layer", "cause"),
    [
        (1, "not 1: put it in quotes, `layer='1'`"),
        (nn.ReLU, "not the class ReLU"),
        ("ReLU", "no layer 'ReLU'; of that kind: 1"),
        ("model.1", "near it: 0, 1"),
        (b"1", "not b'1'"),
        (nn.Parameter(X), "not a tensor of shape"),
    ],
)
def test_a_layer_that_is_none_is_told(layer: Any, cause: str) -> None:
    refused(lambda: ll.explain(net(), X, layer=layer), re.escape(cause))


def test_what_layers_lists_can_be_given_as_layers_and_a_wrapped_name_is_offered() -> None:
    network = net()
    listed = ll.layers(network, X)
    assert ll.explain(network, X, 1, layer=listed[-1])[0].layer == listed[-1].layer
    assert ll.explain(network, X, 1, layer=Candidates(listed))[0].layer == " + ".join(one.layer for one in listed)
    refused(lambda: ll.explain(network, X, layer=network), "The model itself is no layer of it")
    wrapped = nn.DataParallel(nn.Sequential())
    wrapped.module.add_module("relu2", nn.ReLU())
    refused(lambda: ll.explain(wrapped, X, layer="relu2"), r"near it: module\.relu2")


@pytest.mark.parametrize(
    ("layout", "cause"),
    [
        (lambda emitted: emitted[0], "gives a tensor of shape 4 × 16 × 16, float32, not N × C × H × W"),
        (lambda emitted: None, "gives nothing"),
        (lambda emitted: emitted.numpy(), "gives an array"),
        (lambda emitted: emitted[:1], "gives a tensor of shape 1 × 4 × 16 × 16 for a batch of 2"),
        (lambda emitted: emitted.view(7, 7), "fails on a tensor of shape 2 × 4 × 16 × 16"),
        (lambda emitted: 1 / 0, "ZeroDivisionError"),
        (ll.layouts.tokens, "missing 1 required positional argument: 'grid'"),
    ],
)
def test_a_layout_that_gives_no_maps_is_told(layout: Any, cause: str) -> None:
    refused(lambda: ll.explain(ll.Explainable(net(), layout=layout), X, layer="0"), cause)


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"resize": (224,), "crop": "a"}, "crop is the side of a square, or height and width"),
        ({"resize": 0}, "resize is the shorter side"),
        ({"resize": 2.5}, "not 2.5"),
        ({"mean": 0.5}, "mean is three numbers, one for each channel, not 0.5: `mean="),
        ({"mean": (127, 127, 127)}, r"mean is in units of \[0, 1\].*`mean=\(0.498, 0.498, 0.498\)`"),
        ({"std": (0, 1, 1)}, "Pixels are divided by std"),
        ({"interpolation": "nearly"}, "There is no interpolation 'nearly'"),
    ],
)
def test_a_preprocess_is_checked_when_it_is_made(options: dict[str, Any], cause: str) -> None:
    said = refused(lambda: ll.Preprocess(**options), cause)
    if "`mean=" in said:
        assert eval(f"ll.Preprocess({re.findall('`(mean=[^`]+)`', said)[0]})", {"ll": ll}).std == (0.229, 0.224, 0.225)


def test_a_preprocess_takes_lists_tensors_and_other_libraries_names() -> None:
    record = ll.Preprocess([64, 48], np.int64(32), [0.5] * 3, torch.tensor([0.5] * 3), Image.Resampling.BICUBIC)
    assert (record.resize, record.crop, record.std) == ((64, 48), 32, (0.5, 0.5, 0.5))
    assert record.interpolation == ll.Preprocess(interpolation="bicubic").interpolation
    assert record(Image.new("RGB", (90, 70))).shape == (3, 32, 32)


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"probability": "softmax"}, "A record's probability is a function such as `torch.sigmoid`, not 'softmax'"),
        ({"layout": "nchw"}, "A record's layout is a function such as `ll.layouts.nchw`, not 'nchw'"),
        ({"categories": {0: "a"}}, r"`tuple\(categories.values\(\)\)`"),
        ({"categories": "abc"}, "not 'abc'"),
        ({"layer": ["0", "1"]}, "one dotted name"),
        ({"transform": "imagenet"}, "pixels of 'imagenet' come from can't be told"),
    ],
)
def test_a_record_is_checked_when_it_is_made(fields: dict[str, Any], cause: str) -> None:
    said = refused(lambda: ll.Explainable(net(), **fields), cause)
    (name,) = fields
    if name in ("probability", "layout"):
        assert ll.explain(ll.Explainable(net(), **{name: advice(said)}), X, 1, layer="0")[0].values.any()


@pytest.mark.parametrize(
    ("probability", "cause"),
    [
        (torch.softmax, r"The record's probability fails on a tensor of shape 5 \("),
        (lambda row: None, "makes nothing of a tensor of shape 5"),
        (lambda row: row.sum(), r"makes a tensor of shape \(\) of a tensor of shape 5"),
    ],
)
def test_a_probability_that_is_none_is_told(probability: Any, cause: str) -> None:
    said = refused(lambda: ll.explain(ll.Explainable(net(), probability=probability), X, 1), cause)
    assert ll.explain(ll.Explainable(net(), probability=advice(said)), X, 1)[0].words.startswith("class 1, probability")
