"""What stands on the cookbook's page for a reader's own network and preprocessing; knows torch and no room of ours."""

import re
from collections.abc import Callable
from copy import deepcopy
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import DenseNet
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.transforms import InterpolationMode, v2

STAND_INS = {
    'resnet50(weights="DEFAULT").eval()': "page.imagenet",
    'resnet50(weights="DEFAULT").eval().bfloat16()': "page.half",
    'nn.DataParallel(resnet50(weights="DEFAULT").eval())': "nn.DataParallel(page.imagenet)",
    'Regressor(resnet50(weights="DEFAULT")).eval()': "Regressor(page.imagenet).eval()",
    'TwoHeads(resnet50(weights="DEFAULT")).eval()': "TwoHeads(page.imagenet).eval()",
    'WithNumbers(resnet50(weights="DEFAULT")).eval()': "WithNumbers(page.imagenet).eval()",
    'nn.Sequential(*list(resnet50(weights="DEFAULT").children())[:-1], nn.Flatten()).eval()': "page.embedder",
    'timm.create_model("tf_efficientnet_lite0", pretrained=True).eval()': "page.imagenet",
    'resnet18(weights="DEFAULT").eval()': "page.flat_cnn",
    'densenet121(weights="DEFAULT").eval()': "page.densenet",
    'fasterrcnn_resnet50_fpn_v2(weights="DEFAULT").eval()': "page.detector",
    'ssdlite320_mobilenet_v3_large(weights="DEFAULT").eval()': "page.ssd",
    'deeplabv3_resnet50(weights="DEFAULT").eval()': "page.segmenter",
    'vit_b_16(weights="DEFAULT").eval()': "page.vit",
    'timm.create_model("vit_medium_patch16_reg4_gap_256", pretrained=True).eval()': "page.registers",
    'swin_t(weights="DEFAULT").eval()': "page.swin",
    "ResNet50_Weights.DEFAULT.transforms()": "page.prepare(256, 224)",
    "DeepLabV3_ResNet50_Weights.DEFAULT.transforms()": "page.prepare(224, 224)",
    "ResNet18_Weights.DEFAULT.transforms()": "page.prepare(112, 112)",
    "DenseNet121_Weights.DEFAULT.transforms()": "page.prepare(112, 112)",
    "ViT_B_16_Weights.DEFAULT.transforms()": "page.prepare(112, 112)",
    "Swin_T_Weights.DEFAULT.transforms()": "page.prepare(112, 112)",
    "(0.485, 0.456, 0.406), (0.229, 0.224, 0.225)": "(0.5, 0.5, 0.5), (0.5, 0.5, 0.5)",
    "232, 224": "256, 224",
    "model.layer4": "page.last(model)",
    "model.layer3": "page.earlier(model)",
    "[model.layer3, model.layer4]": "[page.earlier(model), page.last(model)]",
    "model.body.layer4": "page.last(model.body)",
    "model.module.layer4": "page.last(model.module)",
    "model.backbone.layer4": "model.backbone.merge",
    '{"layer4": "maps", "fc": "logits"}': '{"features": "maps", "head": "logits"}',
    "model.fc": "model.classifier",
    "281": "0",
}
"""What a recipe's lines marked `# yours` say, and what stands there on the page."""

_YOURS = re.compile(r"^(\w[\w, ]*) = (.+?)  # yours\b", re.MULTILINE)


def filled(recipe: str) -> str:
    """Return a recipe with the page's networks in its lines marked `# yours`; its other lines stay.

    Example:
        >>> filled("layer = model.layer4  # yours: the last one with rows and columns")
        'layer = page.last(model)  # yours: the last one with rows and columns'
    """
    return _YOURS.sub(lambda line: f"{line[1]} = {STAND_INS.get(line[2], line[2])}  # yours", recipe)


class Page:
    """The small networks of the page, each made when it is first asked for.

    Args:
        load: gives a trained network by its name, "imagenet", "flat_cnn", "detector", "segmenter", "vit" or "swin".

    Example:
        >>> page = Page(lambda name: getattr(models, name)().network)
        >>> page.last(page.imagenet) is page.imagenet.bn2
        True
    """

    def __init__(self, load: Callable[[str], nn.Module]) -> None:
        self._load = load

    def __getattr__(self, name: str) -> Any:
        if name not in ("imagenet", "flat_cnn", "detector", "segmenter", "vit", "swin"):
            raise AttributeError(f"The page has no {name!r}: see `STAND_INS`.")
        setattr(self, name, self._load(name))
        return getattr(self, name)

    @cached_property
    def half(self) -> nn.Module:
        """The ImageNet network in bfloat16."""
        return deepcopy(self.imagenet).bfloat16()

    @cached_property
    def embedder(self) -> nn.Module:
        """The ImageNet network without its last layer: from a picture to 1280 numbers."""
        net = self.imagenet
        return nn.Sequential(
            net.conv_stem, net.bn1, net.blocks, net.conv_head, net.bn2, nn.AdaptiveAvgPool2d(1), nn.Flatten()
        ).eval()

    @cached_property
    def densenet(self) -> nn.Module:
        """A small DenseNet with random weights: an in-place ReLU follows its last layer."""
        return self._random(lambda: DenseNet(8, (2, 2), 16, num_classes=5))

    @cached_property
    def ssd(self) -> nn.Module:
        """A detector over anchors with random weights, which keeps boxes of any score."""
        return self._random(
            lambda: ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, score_thresh=1e-4)
        )

    @cached_property
    def registers(self) -> nn.Module:
        """A small vision transformer with four registers and no class token, with random weights."""
        from timm.models.vision_transformer import VisionTransformer

        sizes: dict[str, Any] = {
            "img_size": 224,
            "patch_size": 16,
            "embed_dim": 64,
            "depth": 3,
            "num_heads": 4,
            "num_classes": 5,
        }
        return self._random(lambda: VisionTransformer(**sizes, class_token=False, reg_tokens=4, global_pool="avg"))

    def prepare(self, resize: int, crop: int) -> v2.Compose:
        """Return the preprocessing of the page's networks, which were trained on pixels from −1 to 1."""
        return v2.Compose(
            [
                v2.Resize(resize, InterpolationMode.BICUBIC if resize > crop else InterpolationMode.BILINEAR),
                v2.CenterCrop(crop),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
            ]
        )

    def last(self, model: Any) -> nn.Module:
        """Return the layer of a network that stands for `layer4`."""
        return model.bn2 if hasattr(model, "bn2") else model.features

    def earlier(self, model: Any) -> nn.Module:
        """Return the layer of a network that stands for `layer3`, with twice the rows and columns."""
        return model.blocks[4]

    @staticmethod
    def _random(make: Callable[[], nn.Module]) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return make().eval()


def values_of(cam: Any) -> list[Tensor]:
    """Return a recipe's map, or its several maps, as a list of H×W tensors."""
    maps = [torch.as_tensor(one).detach().float().squeeze() for one in (cam if isinstance(cam, list) else [cam])]
    return [one for each in maps for one in (each if each.ndim == 3 else [each])]
