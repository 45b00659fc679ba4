"""timm/<network>: any network of timm whose maps timm can give, convolutional or a vision transformer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from adrefine.backbones.library import Level, LibraryNet, downloading, fill, package, refuse_unknown
from adrefine.errors import UserError


class Timm(LibraryNet):
    """Maps of `forward_intermediates`, in the order of timm's `feature_info`; a transformer's are normalized.

    Raises:
        UserError: timm is not installed, has no such network or none of its maps; or its weights are neither
            in the file nor to be downloaded.
    """

    def __init__(self, backbone: str, weights: Path | None) -> None:
        timm = package("timm", backbone)
        name = backbone.partition("/")[2]
        if not timm.is_model(name):
            refuse_unknown(backbone, timm.list_models())
        super().__init__(name)
        with downloading(backbone):
            self.net = _created(timm, name, weights is None)
        config = self.net.pretrained_cfg
        if weights:
            heads = config.get("classifier") or "head"
            fill(self.net, weights, backbone, (heads,) if isinstance(heads, str) else tuple(heads))
        self.mean, self.std = tuple(config["mean"]), tuple(config["std"])
        info = getattr(self.net, "feature_info", None)
        if not info or not hasattr(self.net, "forward_intermediates"):
            raise UserError(f"embed.backbone = {backbone}: timm gives no maps of it: take another network")
        self._sizes(config)
        self.offer(Level(level["num_chs"], level["reduction"]) for level in info)

    def _sizes(self, config: dict[str, Any]) -> None:
        """A transformer that interpolates its positions takes multiples of its patch, others one size."""
        patches: Any = getattr(self.net, "patch_embed", None)
        if getattr(patches, "strict_img_size", True) is False:
            self.multiple = int(patches.patch_size[0])
        elif config.get("fixed_input_size"):
            self.side = int(config["input_size"][-1])

    def at(self, images: torch.Tensor, levels: tuple[int, ...]) -> list[torch.Tensor]:
        """See `LibraryNet.at`."""
        maps: list[torch.Tensor] = self.net.forward_intermediates(
            images, indices=list(levels), norm=True, stop_early=True, intermediates_only=True
        )
        return maps


def _created(timm: Any, name: str, pretrained: bool) -> Any:
    """The network without its classifier; with positions for any size of image, if it is of that kind."""
    settings = {"pretrained": pretrained, "num_classes": 0}
    try:
        return timm.create_model(name, dynamic_img_size=True, **settings)
    except TypeError:  # it has no such setting
        return timm.create_model(name, **settings)
