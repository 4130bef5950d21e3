"""Other people's networks, with random weights, offline: read rightly where they can be read, and left as found."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import loralib
import pytest
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from transformers import (
    DetrConfig,
    DetrForObjectDetection,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersForImageClassification,
    ResNetConfig,
    SwinConfig,
    SwinForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

import lessons_lib as ll

X = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let ultralytics write its settings and its files where they are thrown away."""
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_a_swin_is_not_read_behind_its_pooling() -> None:
    config = SwinConfig(
        image_size=128, embed_dim=32, depths=[1, 1, 2], num_heads=[1, 2, 4], window_size=4, num_labels=9
    )
    network = SwinForImageClassification(config).eval()
    (heat,) = ll.explain(network, X, 3)
    assert "pooler" not in heat.layer and heat.values.shape == (8, 8)
    with pytest.raises(ValueError, match=r"can't be followed|stand for no places"):
        ll.explain(network, X, 3, layer="swin.pooler")


def test_the_queries_of_a_detr_are_no_picture() -> None:
    backbone = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", out_features=["stage2"]
    )
    config = DetrConfig(
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        backbone_config=backbone,
        encoder_layers=1,
        decoder_layers=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        d_model=16,
        num_labels=5,
    )
    network = DetrForObjectDetection(config).eval()
    (heat,) = ll.explain(network, X[:, :, :, :96], lambda output: output.logits[7, 2])
    assert "decoder" not in heat.layer and heat.values.shape == (16, 12)
    given = {"pixel_values": X, "pixel_mask": torch.ones(1, 128, 128, dtype=torch.long)}
    (heat,) = ll.explain(network, given, lambda output: output.logits[7, 2])
    assert heat.values.shape == (16, 16)


def test_an_idle_adapter_of_a_vit_is_not_taken() -> None:
    class Adapted(nn.Module):
        def __init__(self, own: nn.Linear) -> None:
            super().__init__()
            self.own, self.added = own, loralib.Linear(own.in_features, own.out_features, r=2)
            nn.init.zeros_(self.added.weight)
            nn.init.zeros_(self.added.bias)

        def forward(self, x: Tensor) -> Tensor:
            return self.own(x) + self.added(x)

    config = ViTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=128)
    network = ViTForImageClassification(config).eval()
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.Linear) and name.rpartition(".")[2] in ("value", "key", "v_proj", "k_proj"):
            parent, _, own = name.rpartition(".")
            setattr(network.get_submodule(parent), own, Adapted(module))
    (heat,) = ll.explain(network, X, 1)
    assert "norm" in heat.layer and heat.values.shape == (8, 8)


@pytest.mark.parametrize("written", ["eager", "sdpa"])
@pytest.mark.parametrize(
    ("config", "kind", "rows"),
    [
        (ViTConfig, ViTForImageClassification, [0]),
        (Dinov2WithRegistersConfig, Dinov2WithRegistersForImageClassification, [0, *range(5, 69)]),
    ],
)
def test_relevance_reads_hugging_faces_attention_fused_or_not(
    config: Any, kind: Any, rows: list[int], written: str
) -> None:
    sizes = {
        "hidden_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "mlp_ratio": 2,
    }
    network = kind(config(image_size=128, patch_size=16, num_labels=3, attn_implementation="eager", **sizes)).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    output = network(X, output_attentions=True)
    R = torch.eye(output.attentions[0].shape[-1])
    gradients = torch.autograd.grad(output.logits[0, 2], output.attentions)
    for W, g in zip(output.attentions, gradients, strict=True):
        R = R + (g * W).clamp(min=0).mean(dim=1)[0].detach() @ R
    rolled = torch.eye(len(R))
    for W in output.attentions:
        rolled = (W.mean(dim=1)[0].detach() + torch.eye(len(R))) / 2 @ rolled

    network.set_attn_implementation(written)
    (heat,) = ll.attention_relevance(network, X, 2)
    torch.testing.assert_close(heat.values, R[rows].mean(dim=0)[-64:].view(8, 8), rtol=1e-3, atol=1e-6)
    assert heat.layer == "3 blocks" and heat.values.std() > 0
    (heat,) = ll.attention_rollout(network, X)
    torch.testing.assert_close(heat.values, rolled[0, -64:].view(8, 8), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("merged", [False, True])
def test_lora_is_left_as_it_was_found(merged: bool) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
            self.head = loralib.Linear(8, 4, r=2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.body(x).mean(dim=(2, 3)))

    network = Net()
    nn.init.normal_(network.head.lora_B)
    loralib.mark_only_lora_as_trainable(network)
    network.train(not merged)
    before = {name: one.clone() for name, one in network.state_dict().items()}
    ll.explain(network, X, 1)
    assert network.head.merged is merged and network.training is not merged
    assert all(torch.equal(one, before[name]) for name, one in network.state_dict().items())
    assert network(X).requires_grad is not merged


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("kind", ["Unet", "FPN", "DeepLabV3Plus", "Linknet"])
def test_what_a_segmentation_answers_is_not_taken(kind: str, classes: int) -> None:
    network = getattr(smp, kind)("resnet18", encoder_weights=None, classes=classes).eval()
    (heat,) = ll.explain(network, X, ll.PixelScore(60, 60, classes - 1), method=ll.hirescam)
    assert "head" not in heat.layer
    assert heat.values.numel() <= 64 and int((heat.values != 0).sum()) >= 9


@pytest.mark.parametrize("kind", ["yolov8n.yaml", "yolo11n.yaml"])
def test_a_yolo_is_explained_before_its_head_and_goes_on_predicting(kind: str) -> None:
    from ultralytics import YOLO

    whole = YOLO(kind)
    head = f"model.{len(whole.model.model) - 1}"
    for target in (lambda output: output[0][4 + 7, 120], lambda output: output[0][0, 120]):
        (heat,) = ll.explain(whole.model.eval(), X.sigmoid(), target)
        assert not heat.layer.startswith(head) and heat.values.any()
    with pytest.raises(ValueError, match=r"None of the layers .* perhaps `network\.model`"):
        ll.explain(whole, X.sigmoid())
    assert len(whole.predict(X.sigmoid(), verbose=False)) == 1


def test_nothing_is_fetched() -> None:
    assert os.environ.get("HF_HUB_OFFLINE") == "1"
