"""transformers/<network>: patch tokens of a vision transformer such as DINOv2, or maps of convolutions."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import torch

from adrefine.backbones import BESIDE
from adrefine.backbones.base import read_weights
from adrefine.backbones.library import Level, LibraryNet, downloading, package
from adrefine.errors import UserError

CONFIG, PIXELS = BESIDE["transformers"]
_PROBE = 224  # pixels a side of the image that shows the strides
_PLAIN = {"dtype": torch.float32, "trust_remote_code": False}
_UNUSED = "pooler."  # of no use to maps
_NORMS = ("layernorm", "norm", "post_layernorm")  # what models call their last normalization


class Transformers(LibraryNet):
    """Hidden states as maps: of a transformer its patch tokens, normalized as the last ones are.

    With a file of weights, config.json beside it says which network that is, and preprocessor_config.json, if
    it is there, how images are normalized. Without, both are downloaded by the network's name. No code that
    comes with a model is run.

    Raises:
        UserError: transformers is not installed; config.json is not there, or of no network that sees; or
            the weights are neither in the file nor to be downloaded.
    """

    def __init__(self, backbone: str, weights: Path | None) -> None:
        transformers = package("transformers", backbone)
        super().__init__(backbone.partition("/")[2])
        if weights:
            self.net = _filled(transformers, backbone, weights)
            self.pixels = _read(weights.with_name(PIXELS)) if weights.with_name(PIXELS).is_file() else {}
        else:
            with downloading(backbone):
                self.net = transformers.AutoModel.from_pretrained(self.name, **_PLAIN)
                self.pixels = transformers.AutoImageProcessor.from_pretrained(self.name).to_dict()
        self.mean = tuple(self.pixels.get("image_mean", self.mean))
        self.std = tuple(self.pixels.get("image_std", self.std))
        self.patch = int(getattr(self.net.config, "patch_size", 0))
        asked = inspect.signature(self.net.forward).parameters
        self.freely = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in asked else {}
        self._look(backbone)

    def _look(self, backbone: str) -> None:
        """Offer the levels that one pass shows; tokens for an image of any multiple of the patch."""
        with torch.no_grad():
            try:
                states = self._states(torch.zeros(1, 3, _PROBE, _PROBE))
            except Exception as error:
                reason = " ".join(str(error).split())[:120]
                raise UserError(f"embed.backbone = {backbone} is no network for photos: {reason}") from None
        tokens = states[0].ndim == 3
        self.multiple = self.patch if tokens else 1
        self.offer(
            Level(state.shape[-1], self.patch) if tokens else Level(state.shape[1], _PROBE // state.shape[-1])
            for state in states
        )

    def at(self, images: torch.Tensor, levels: tuple[int, ...]) -> list[torch.Tensor]:
        """See `LibraryNet.at`."""
        states = self._states(images)
        return [self._map(states[level], images) for level in levels]

    def _states(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What each layer gives; the embedding before the first is none of them."""
        told = self.net(pixel_values=images, output_hidden_states=True, return_dict=True, **self.freely)
        states: tuple[torch.Tensor, ...] = told.hidden_states[1:]
        return states

    def _map(self, state: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """(b, c, h, w) of a hidden state: tokens of patches come last, after those of class and registers."""
        if state.ndim == 4:
            return state
        norm = next((getattr(self.net, name) for name in _NORMS if hasattr(self.net, name)), None)
        state = norm(state) if norm is not None else state
        height, width = (side // self.patch for side in images.shape[-2:])
        return state[:, -height * width :].transpose(1, 2).unflatten(2, (height, width))

    def write(self, folder: Path) -> Path:
        """See `LibraryNet.write`; with what says which network that is."""
        (folder / CONFIG).write_text(self.net.config.to_json_string(use_diff=False))
        (folder / PIXELS).write_text(json.dumps({"image_mean": self.mean, "image_std": self.std}))
        return super().write(folder)


def _filled(transformers: Any, backbone: str, weights: Path) -> Any:
    """The network that config.json describes, with the weights of the file."""
    file = weights.with_name(CONFIG)
    if not file.is_file():
        raise UserError(f"embed.backbone = {backbone}: {file} is missing: put the model's {CONFIG} there")
    state = read_weights(weights)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        settings = _read(file)
        config = transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)
        kind = type(transformers.AutoModel.from_config(config, trust_remote_code=False))
        net, told = kind.from_pretrained(
            None,
            config=config,
            state_dict=state,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **_PLAIN,
        )
    except UserError:
        raise
    except Exception as error:
        reason = " ".join((str(error) or type(error).__name__).split())[:120]
        raise UserError(f"{file} describes no network that transformers knows: {reason}") from None
    odd = [f"it has no {name}" for name in sorted(told["missing_keys"]) if not name.startswith(_UNUSED)]
    odd += [f"{name} has another shape" for name, *_ in told["mismatched_keys"]]
    parts = {name for name, _ in net.named_children()}
    more = (name.removeprefix(f"{net.base_model_prefix}.") for name in sorted(told["unexpected_keys"]))
    odd += [f"it has {name}" for name in more if name.partition(".")[0] in parts]
    if odd:
        raise UserError(f"embed.weights: {weights} does not fit {backbone}: {odd[0]}")
    for name, parameter in net.named_parameters():
        if name in told["missing_keys"]:
            parameter.data.zero_()  # it is never used, and random values would be another network every time
    return net


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise UserError(f"{file} is damaged: get it again")
    return content
