"""The cookbook's recipes for other people's networks, on small ones with random weights: the map is the library's."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    DetrConfig,
    DetrForObjectDetection,
    ResNetConfig,
    ViTConfig,
    ViTForImageClassification,
)

import lessons_lib as ll
from lessons_lib.teach.cookbook import agrees, pictures
from tools.cookbook import recipes

ELSEWHERE = {name: recipe for name, recipe in recipes().items() if not recipe.here}


def detr() -> Any:
    backbone = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", out_features=["stage2"]
    )
    sizes = {"encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "d_model": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_labels": 5}
    plain = {"use_timm_backbone": False, "use_pretrained_backbone": False, "backbone": None}
    return DetrForObjectDetection(DetrConfig(**plain, backbone_config=backbone, **sizes, **heads))


def clip() -> Any:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    vision = CLIPVisionConfig(**sizes, image_size=224, patch_size=32).to_dict()
    text = CLIPTextConfig(**sizes, vocab_size=100, eos_token_id=99).to_dict()
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))


def processed(text: Any, images: Any, return_tensors: str) -> dict[str, torch.Tensor]:
    """Stand for CLIP's processor, whose words lie in a file that has to be downloaded."""
    pixels = ll.Preprocess(224, 224)(images)[None]
    return {"pixel_values": pixels, "input_ids": torch.tensor([[1, 2, 3, 99]])}


def vit() -> Any:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    return ViTForImageClassification(ViTConfig(**sizes, image_size=112, patch_size=16, num_labels=5))


SMALL: dict[str, tuple[str, Callable[..., Any] | None]] = {
    'DetrForObjectDetection.from_pretrained("facebook/detr-resnet-50")': ("detr()", detr),
    'CLIPModel.from_pretrained("openai/clip-vit-base-patch32")': ("clip()", clip),
    'CLIPProcessor.from_pretrained("openai/clip-vit-base-patch32")': ("processed", processed),
    'ViTForImageClassification.from_pretrained("google/vit-base-patch16-224")': ("vit()", vit),
    'YOLO("yolov8n.pt")': ('YOLO("yolov8n.yaml")', None),
    'encoder_weights="imagenet"': ("encoder_weights=None", None),
}
"""What is written for networks that would be downloaded, and what that needs."""


@pytest.mark.parametrize("name", ELSEWHERE)
@pytest.mark.filterwarnings("ignore")
def test_a_recipe_for_others_makes_the_librarys_map(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path)
    code = ELSEWHERE[name].code
    for fetched, (written, _) in SMALL.items():
        code = code.replace(fetched, written)
    assert not re.search("from_pretrained|DEFAULT|imagenet", code)
    torch.manual_seed(0)
    names = {made.__name__: made for _, made in SMALL.values() if made} | {"ll": ll, "agrees": agrees}
    exec(compile(code, f"{name}.py", "exec"), names)
    plt.close("all")
    assert (tmp_path / f"{name}.png").stat().st_size > 0 and names["cam"].any()  # type: ignore[attr-defined]
    exec(compile(ELSEWHERE[name].library, f"{name} with the library", "exec"), names)
