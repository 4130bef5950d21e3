"""The networks of other packages for `benchmarks.networks`, small, with random weights; nothing is fetched."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torchvision
from torch import nn

import lessons_lib as ll
from lessons_lib.core.engine import detectors

Made = tuple[str, Callable[[], nn.Module], int, Any]
"""A network's name, what makes it, the side of its picture, and what is asked of it."""


def transformers() -> Iterator[Made]:
    """Yield Hugging Face's networks in small sizes."""
    import transformers as hf

    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    stages = {"hidden_sizes": [8, 16, 32, 64], "depths": [1, 1, 1, 1]}

    def logit(output: Any) -> torch.Tensor:
        return output.logits[1]

    def of(kind: str, **options: Any) -> Callable[[], nn.Module]:
        family = kind.partition("For")[0].removesuffix("Model").removesuffix("WithProjection")
        return lambda: getattr(hf, kind)(getattr(hf, f"{family}Config")(**options))

    window = {"image_size": 224, "embed_dim": 24, "depths": [1, 1, 1, 2], "num_heads": [1, 2, 4, 8]}
    yield "ViT", of("ViTForImageClassification", image_size=224, **small), 224, 1
    registers = {"image_size": 224, "patch_size": 16, "num_register_tokens": 4, **small}
    yield "DINOv2 with registers", of("Dinov2WithRegistersForImageClassification", **registers), 224, 1
    yield "Swin", of("SwinForImageClassification", window_size=7, **window), 224, 1
    yield "SwinV2", of("Swinv2ForImageClassification", window_size=7, **window), 224, 1
    yield "BEiT", of("BeitForImageClassification", image_size=224, **small), 224, 1
    yield "ConvNeXtV2", of("ConvNextV2ForImageClassification", **stages), 224, 1
    yield "MobileViT", of("MobileViTForImageClassification", image_size=128, num_attention_heads=2), 128, 1
    yield "CLIP vision", of("CLIPVisionModel", image_size=224, **small), 224, lambda output: output.pooler_output[1]
    yield "SegFormer", of("SegformerForSemanticSegmentation", num_labels=5), 224, ll.PixelScore(20, 36, 1)
    backbone = {"embedding_size": 8, "layer_type": "basic", "out_features": ["stage4"], **stages}
    sizes = {"encoder_layers": 2, "decoder_layers": 2, "d_model": 32, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    own = {"use_timm_backbone": False, "use_pretrained_backbone": False, "backbone": None}
    own["backbone_config"] = hf.ResNetConfig(**backbone)
    yield "DETR", of("DetrForObjectDetection", **own, **sizes, **heads), 224, lambda output: output.logits[7, 2]


def ultralytics() -> Iterator[Made]:
    """Yield YOLO in its n sizes: a class's logit at an anchor under the object."""
    import ultralytics

    for name in ("yolov8n", "yolov10n", "yolo11n"):
        # 28 anchors a row at stride 8; the object covers rows 7 to 13, columns 17 to 23
        yield (
            name,
            lambda name=name: ultralytics.YOLO(f"{name}.yaml").model,
            224,
            lambda output: output[0][9, 10 * 28 + 20],
        )
    yield "yolov8n-seg", lambda: ultralytics.YOLO("yolov8n-seg.yaml").model, 224, _anchor
    yield "yolov8n-cls", lambda: ultralytics.YOLO("yolov8n-cls.yaml").model, 224, lambda output: output[1][1]


def _anchor(output: Any) -> torch.Tensor:
    while not isinstance(output, torch.Tensor):
        output = output[0]
    return output[9, 10 * 28 + 20]


def segmentation_models() -> Iterator[Made]:
    """Yield segmentation-models-pytorch's networks over a ResNet-18."""
    import segmentation_models_pytorch as smp

    for kind in ("Unet", "FPN", "DeepLabV3Plus"):
        for classes in (1, 3):
            make = partial(getattr(smp, kind), "resnet18", encoder_weights=None, classes=classes)
            yield f"{kind}, {classes} class{'es' * (classes > 1)}", make, 256, ll.PixelScore(96, 176, classes - 1)


def torchvision_places() -> Iterator[Made]:
    """Yield each of torchvision's builders of detectors and segmentations, at small pictures."""
    for name in torchvision.models.list_models(module=torchvision.models.segmentation):
        yield name, _plain(name), 128, ll.PixelScore(48, 88, 1)
    for name in torchvision.models.list_models(module=torchvision.models.detection):
        yield name, _plain(name), 224, ll.BoxScore(0)


def _plain(name: str) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        sizes = {"min_size": 224, "max_size": 224} if "rcnn" in name or name.startswith(("retina", "fcos")) else {}
        network = torchvision.models.get_model(name, weights=None, weights_backbone=None, **sizes)
        for head in detectors.heads(network):
            head.score_thresh = 1e-4  # at random weights no score is high
        return network

    return make


PACKAGES = {
    "transformers": transformers,
    "ultralytics": ultralytics,
    "segmentation-models-pytorch": segmentation_models,
    "torchvision": torchvision_places,
}
