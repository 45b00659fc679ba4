"""The few names of anomalib and lightning that are used, as small models that need no download."""

from __future__ import annotations

import sys
import types
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torchvision.transforms.v2 import CenterCrop, Compose, Resize

VERSION = "2.7.0"


class Told(NamedTuple):
    """What a model says of a batch."""

    pred_score: torch.Tensor | None
    anomaly_map: torch.Tensor | None


class PreProcessor(nn.Module):
    def __init__(self, side: int, seen: int) -> None:
        super().__init__()
        self.transform = Compose([Resize((side, side), antialias=True), CenterCrop((seen, seen))])


class MemoryBankMixin(nn.Module):
    """Of models that store what they see."""


class _Model(nn.Module):
    """The image in blocks of 8 pixels, and what is usual in each."""

    seen = 64

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("usual", torch.zeros(0))

    def blocks(self, images: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(images.mean(dim=1), 8)

    def forward(self, images: torch.Tensor) -> Told:
        apart = (self.blocks(images) - self.usual).abs()
        return Told(apart.flatten(1).max(dim=1).values, apart)

    def _load_from_state_dict(self, state: dict[str, torch.Tensor], prefix: str, *rest: Any) -> None:
        self.usual = torch.empty_like(state[f"{prefix}usual"])
        super()._load_from_state_dict(state, prefix, *rest)


class _Module(nn.Module):
    """A model of anomalib as its engine takes it."""

    model: _Model
    trainer: Any = None

    @classmethod
    def configure_pre_processor(cls, image_size: tuple[int, int] | None = None) -> PreProcessor:
        return PreProcessor(image_size[0] if image_size else 64, image_size[0] if image_size else 64)

    def _takes(self, pre_processor: Any) -> None:
        self.pre_processor = self.configure_pre_processor() if pre_processor is True else pre_processor
        self.model = _Model()


class Padim(MemoryBankMixin, _Module):
    def __init__(
        self,
        backbone: str = "resnet18",
        pre_trained: bool = True,
        pre_processor: Any = True,
        post_processor: Any = True,
        evaluator: Any = True,
        visualizer: Any = True,
    ) -> None:
        super().__init__()
        self._takes(pre_processor)
        timm.create_model(backbone, pretrained=pre_trained)

    def learn(self, images: torch.Tensor) -> float:
        assert not self.model.usual.numel(), "a memory bank is filled once"
        self.model.usual = self.model.blocks(images).mean(dim=0)
        return 0.0


class Fastflow(_Module):
    """It goes half of the way to the mean in every epoch. It wants more than one photo a batch."""

    def __init__(self, backbone: str = "resnet18", start: float = 0.0, pre_processor: Any = True) -> None:
        super().__init__()
        self._takes(pre_processor)
        self.start = start

    def learn(self, images: torch.Tensor) -> float:
        mean = self.model.blocks(images).mean(dim=0)
        before = self.model.usual if self.model.usual.numel() else torch.full_like(mean, self.start)
        self.model.usual = (before + mean) / 2
        return float((before - mean).abs().mean())


class CFM(_Module):
    """It reads point clouds."""


class Folder:
    def __init__(self, root: Path, normal_dir: str, train_batch_size: int, **given: Any) -> None:
        self.files = sorted((root / normal_dir).iterdir())
        self.batch = train_batch_size


class Callback:
    """As lightning's."""


class Engine:
    def __init__(self, callbacks: list[Any], max_epochs: int, **given: Any) -> None:
        self.callbacks, self.max_epochs = callbacks, max_epochs

    def fit(self, model: Any, datamodule: Folder) -> None:
        if isinstance(model, Fastflow) and datamodule.batch == 1:
            raise ValueError("one photo\nis no batch")
        model.trainer = self
        photos = [np.asarray(Image.open(file).convert("RGB")) for file in datamodule.files]
        pixels = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2) / 255
        images = model.pre_processor.transform(pixels)
        for epoch in range(1 if isinstance(model, Padim) else self.max_epochs):
            losses = {"train_loss": torch.tensor(model.learn(images))}
            trainer = types.SimpleNamespace(current_epoch=epoch, callback_metrics=losses)
            for callback in self.callbacks:
                callback.on_train_epoch_end(trainer, model)


def install(patch: pytest.MonkeyPatch) -> None:
    """Put the stand-ins where anomalib and lightning would be."""
    names: dict[str, dict[str, Any]] = {
        "anomalib": {"__version__": VERSION},
        "anomalib.data": {"Folder": Folder},
        "anomalib.engine": {"Engine": Engine},
        "anomalib.models": {},
        "anomalib.models.components": {"MemoryBankMixin": MemoryBankMixin},
        "anomalib.models.image": {
            "__all__": ["CFM", "Fastflow", "Padim"],
            "CFM": CFM,
            "Fastflow": Fastflow,
            "Padim": Padim,
        },
        "lightning": {},
        "lightning.pytorch": {"Callback": Callback},
    }
    for name, content in names.items():
        module = types.ModuleType(name)
        vars(module).update(content)
        patch.setitem(sys.modules, name, module)
    version = metadata.version
    patch.setattr(metadata, "version", lambda name: VERSION if name == "anomalib" else version(name))
    patch.setattr(timm, "create_model", lambda name, pretrained: nn.Identity())
