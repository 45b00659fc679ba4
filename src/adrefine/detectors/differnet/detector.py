"""DifferNet (Rudolph et al. 2021; docs/methods.md 1): a normalizing flow on frozen multi-scale features."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from adrefine.detectors.base import (
    Images,
    Scores,
    read_log,
    reading,
    write_log,
)
from adrefine.detectors.differnet.settings import Settings
from adrefine.detectors.flow import adam, build_flow, latent_score, negative_log_likelihood, row_nll
from adrefine.detectors.maml import MetaLearner, outer_optimizer
from adrefine.detectors.on_features import OnFeatures, some_views
from adrefine.errors import UserError
from adrefine.io import atomic_open, read_json, write_json
from adrefine.runtime import hardware
from adrefine.runtime.seeds import drawn, seed_everything

if TYPE_CHECKING:
    from adrefine.strategies.meta_iqr import MetaIqr

_STATE = "differnet.pt"
_ROWS = 64  # vectors scored at once, always as many: a score does not depend on the other photos
_SMALL = 512  # hidden units up to which a second core costs more in waiting than it gives


class DifferNet(OnFeatures):
    """Flow on the vectors of every view; the image score is the mean of z² over dimensions and views."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.device = hardware.device()
        self.flow: torch.nn.Module | None = None
        self.cold: dict[str, torch.Tensor] = {}  # weights that the last cold fit ended with
        self.meta: MetaLearner | None = None  # of the last cold meta-fit, if it made this flow
        self.epochs = 0  # of a cold fit, once they are known
        self.centre = self.spread = torch.empty(0)
        self.log: list[dict[str, float]] = []

    @property
    def learns_warm(self) -> bool:
        return self.settings.finetune_epochs > 0

    def fit(self, images: Images, *, warm_start: bool = False) -> list[dict[str, float]]:
        """See `Detector.fit`.

        The first cold fit finds, by the likelihood of a part of `images` held out by id, how many epochs are
        best, then learns all of them for so long: an image that the flow did not learn would stand out among
        those it did. Later cold fits, also of clones, start afresh but keep that number. A warm fit goes on
        from the last cold one for `finetune_epochs`; with `warm_from: last` from whatever was fitted last, as
        OSR Algorithm 1 updates its model.
        """
        if warm_start and self.flow is not None:
            if self.settings.warm_from == "cold":
                self.flow.load_state_dict(self.cold)
            epochs = self.settings.finetune_epochs
            self.log = self._train(self._inputs(self._learnable(images)), epochs) if epochs else []
            return self.log
        vectors = self._learnable(images)
        watched = [] if self.epochs else self._watched(vectors, self._held_out(images))
        self.epochs = self.epochs or (int(np.argmin(watched)) + 1 if watched else self.settings.epochs)
        self._start(vectors.reshape(-1, vectors.shape[-1]))
        self.log = self._train(self._inputs(vectors), self.epochs)
        self.cold = copy.deepcopy(self._ready().state_dict())
        for row, likelihood in zip(self.log, watched, strict=False):
            row["holdout_nll"] = likelihood
        return self.log

    def meta_fit(
        self, images: Images, params: MetaIqr, *, warm_start: bool = False
    ) -> list[dict[str, float]]:
        """See `Detector.meta_fit`: MAML (META eq. 1 and 2) on tasks drawn from the views of `images`."""
        vectors, s = self._learnable(images), self.settings
        epochs = params.finetune_epochs
        if not warm_start or self.meta is None:
            epochs = params.epochs
            self._start(vectors.reshape(-1, vectors.shape[-1]))
            generator = seed_everything(s.seed + 1)
            optimizer = outer_optimizer(self._ready(), params, s.weight_decay)
            self.meta = MetaLearner(
                self._ready(), optimizer, generator, s.feature_noise, params, s.train_views
            )
        with self._cores():
            self.log = self.meta.learn(self._inputs(vectors), epochs)
        self.cold = copy.deepcopy(self._ready().state_dict())
        return self.log

    def log_likelihood(self, images: Images) -> np.ndarray:
        """Mean over views of log p of the features as they are, per dimension: models that standardize them
        differently compare."""
        scale = float(self.spread.double().log().mean())
        return self._of_images(images, lambda z, log_det: -row_nll(z, log_det) / z.shape[1]) - scale

    def score(self, images: Images) -> Scores:
        """Mean over views of the mean of z²; about 1 on the training distribution."""
        return Scores(self._of_images(images, lambda z, log_det: latent_score(z)))

    def maps(self, images: Images, files: list[Path]) -> np.ndarray | None:
        """Absolute input gradient of the loss, mean over channels and views, smoothed (IRP sect. 3.1)."""
        from adrefine.detectors.gradient_maps import gradient_maps

        return gradient_maps(self.loss, self.store(images).meta, files)

    def loss(self, vectors: torch.Tensor) -> torch.Tensor:
        """The loss (n,) of each of the raw feature vectors (n, dim); differentiable."""
        z, log_det = self._flow_of(vectors)
        return row_nll(z, log_det) / z.shape[1]

    def clone(self) -> DifferNet:
        return copy.deepcopy(self)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        state = {"flow": self._ready().state_dict(), "centre": self.centre, "spread": self.spread}
        on_cpu = {key: _on_cpu(value) for key, value in state.items()}
        with atomic_open(folder / _STATE) as file:
            torch.save({**on_cpu, "epochs": self.epochs}, file)
        write_json(folder / "settings.json", self.settings.stored())
        write_log(folder, self.log)

    def load(self, folder: Path) -> None:
        with reading(folder, _STATE, "DifferNet"):
            self.settings = Settings.restored(read_json(folder / "settings.json"))
            state = torch.load(folder / _STATE, map_location=self.device, weights_only=True)
            self.centre, self.spread, self.epochs = state["centre"], state["spread"], int(state["epochs"])
            self.flow = self._new_flow(len(self.centre))
            self.flow.load_state_dict(state["flow"])
            self.cold = state["flow"]
            self.log = read_log(folder)

    def _learnable(self, images: Images) -> np.ndarray:
        """(n, views, dim) raw vectors of images to learn."""
        if len(images) < 2:
            raise UserError(f"DifferNet needs at least 2 training images, got {len(images)}")
        return self.vectors(images)

    def _ready(self) -> torch.nn.Module:
        if self.flow is None:
            raise UserError("this DifferNet is not trained: call fit or load first")
        return self.flow

    def _flow_of(self, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z (n, dim) and log|det J| (n,) of raw feature vectors (n, dim)."""
        z, log_det = self._ready()((vectors - self.centre) / self.spread)
        return z, log_det

    def _new_flow(self, dim: int) -> torch.nn.Module:
        s = self.settings
        return build_flow(dim, s.blocks, s.hidden, s.layers, s.seed, s.clamp_slope).to(self.device)

    def _start(self, rows: np.ndarray) -> None:
        """Fix the scale of the inputs and make a new flow; a warm start keeps both."""
        flat = torch.from_numpy(rows)
        if self.settings.standardize:
            self.centre = flat.mean(dim=0).to(self.device)
            self.spread = (flat.std(dim=0) + 1e-3).to(self.device)  # a constant feature must not explode
        else:
            self.centre = torch.zeros(flat.shape[1], device=self.device)
            self.spread = torch.ones(flat.shape[1], device=self.device)
        self.flow, self.meta = self._new_flow(flat.shape[1]), None

    def _watched(self, vectors: np.ndarray, held: np.ndarray) -> list[float]:
        """Likelihood of the images `held` out, epoch by epoch, of a flow that learns the others."""
        if not held.any():
            return []
        self._start(vectors[~held].reshape(-1, vectors.shape[-1]))
        log = self._train(self._inputs(vectors[~held]), self.settings.epochs, self._inputs(vectors[held]))
        return [row["holdout_nll"] for row in log]

    def _held_out(self, images: Images) -> np.ndarray:
        """Boolean (n,): images watched for early stopping; by id or part, so that no other image decides."""
        share, seed = self.settings.holdout, self.settings.seed
        held = np.array([drawn(share, "holdout", seed, images.part(i)) for i in images.ids], dtype=bool)
        return held if (~held).sum() > 1 else np.zeros(len(images), dtype=bool)

    def _inputs(self, vectors: np.ndarray) -> torch.Tensor:
        """(n, views, dim) raw vectors as flow inputs on the device."""
        return (torch.from_numpy(vectors).to(self.device) - self.centre) / self.spread

    def _train(
        self, train: torch.Tensor, epochs: int, watched: torch.Tensor | None = None
    ) -> list[dict[str, float]]:
        """Learn (n, views, dim) inputs, going on from the present weights; with `watched` ones, until their
        likelihood stops rising."""
        s = self.settings
        generator = seed_everything(s.seed + 1)
        optimizer = adam(self._ready(), s.learning_rate, s.weight_decay)
        log: list[dict[str, float]] = []
        likelihoods: list[float] = []
        with self._cores():
            for epoch in range(epochs):
                loss = self._epoch(train, optimizer, generator)
                log.append({"epoch": epoch, "train_nll": loss, "holdout_nll": float("nan")})
                if watched is None:
                    continue
                likelihoods.append(self._likelihood(watched))
                log[-1]["holdout_nll"] = likelihoods[-1]
                if epoch - int(np.argmin(likelihoods)) >= s.patience:
                    break
        return log

    def _cores(self) -> AbstractContextManager[None]:
        """Within the block torch uses as many cores as pay for a flow of this size."""
        return hardware.one_core_each() if self.settings.hidden <= _SMALL else nullcontext()

    def _epoch(
        self, train: torch.Tensor, optimizer: torch.optim.Optimizer, generator: torch.Generator
    ) -> float:
        flow, s, total = self._ready(), self.settings, 0.0
        flow.train()
        seen = some_views(train, s.train_views, generator).flatten(0, 1)
        for rows in torch.randperm(len(seen), generator=generator).split(s.batch_size):
            batch = seen[rows.to(seen.device)]
            if s.feature_noise:
                noise = torch.randn(batch.shape, generator=generator).to(batch.device)
                batch = batch + s.feature_noise * noise
            loss = negative_log_likelihood(*flow(batch))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(rows)
        flow.eval()
        return total / len(seen)

    @torch.inference_mode()
    def _likelihood(self, watched: torch.Tensor) -> float:
        return float(negative_log_likelihood(*self._ready()(watched.flatten(0, 1))))

    @torch.inference_mode()
    def _of_images(self, images: Images, value: Callable[..., torch.Tensor]) -> np.ndarray:
        """(n,): the mean over views of `value(z, log_det)` of each vector, in batches of one size, on one
        core: to the bit the same for a photo alone."""
        vectors = self.vectors(images)
        flat = torch.from_numpy(vectors.reshape(-1, vectors.shape[-1]))
        missing = -len(flat) % _ROWS
        flat = torch.cat([flat, torch.zeros(missing, flat.shape[1])])
        with hardware.one_core_each():
            values = [value(*self._flow_of(part.to(self.device))).cpu() for part in flat.split(_ROWS)]
        means = torch.cat(values)[: len(flat) - missing]
        return means.view(vectors.shape[:2]).double().mean(dim=1).numpy()


def _on_cpu(value: Any) -> Any:
    return {key: item.cpu() for key, item in value.items()} if isinstance(value, dict) else value.cpu()
