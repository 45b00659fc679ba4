"""Small networks of other libraries with random weights, in files as their libraries write them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

NAMES = ("timm/test_resnet", "timm/test_vit", "torchvision/mobilenet_v3_small", "transformers/dinov2")


def file_of(name: str, folder: Path) -> Path:
    """The weights of the network `name`; skips the test where its library is not installed."""
    library, _, network = name.partition("/")
    pytest.importorskip(library)
    torch.manual_seed(0)
    return {"timm": _timm, "torchvision": _torchvision, "transformers": _transformers}[library](
        network, folder
    )


def _timm(network: str, folder: Path) -> Path:
    import timm
    from safetensors.torch import save_file

    file = folder / "model.safetensors"
    save_file(timm.create_model(network).state_dict(), file)
    return file


def _torchvision(network: str, folder: Path) -> Path:
    from torchvision.models import get_model

    file = folder / "net.pth"
    torch.save(get_model(network, weights=None).state_dict(), file)
    return file


def _transformers(network: str, folder: Path) -> Path:
    """A DINOv2 with a classifier, as a fine-tuned one has, and the normalization of its processor."""
    from transformers import Dinov2Config, Dinov2ForImageClassification

    config = Dinov2Config(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=64,
        patch_size=14,
        image_size=56,
    )
    Dinov2ForImageClassification(config).save_pretrained(folder)
    processor = '{"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.2, 0.2]}'
    (folder / "preprocessor_config.json").write_text(processor)
    return folder / "model.safetensors"
