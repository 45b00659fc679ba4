"""params.yaml as types: unknown keys and impossible values are refused with the key's name.

Every key is explained in params.yaml itself. A stage calls `load()` and takes its section.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from adrefine import strict_yaml
from adrefine.errors import UserError

Share = Annotated[float, Field(ge=0, le=1)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
AtLeastOne = Annotated[int, Field(ge=1)]
LayoutName = Literal["demo", "folder", "mvtec", "ksdd2", "mtd"]
NoiseLevel = Annotated[float, Field(ge=0, le=0.5)]
DetectorName = Literal["differnet", "efficientad"]
StrategyName = Literal["vanilla", "osr", "irp", "meta_iqr", "mad", "consensus"]
M = TypeVar("M", bound=BaseModel)
_LONGEST = 60  # characters of a value that a message repeats


class Section(BaseModel):
    """A section of params.yaml: no unknown key, no change after loading, no infinity or NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML reads yes, no, on and off as truth values, and Python counts with those."""
        kind = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and kind not in (bool, bool | None):
            raise ValueError("neither true nor false is possible here")
        return value


class Dataset(Section):
    name: LayoutName = "demo"
    root: str = "data/raw"
    image_size: Annotated[int, Field(ge=16, le=4096)] = 448
    fit: Literal["stretch", "letterbox", "crop"] = "stretch"
    val_fraction: Annotated[float, Field(ge=0, le=0.5)] = 0.15
    test_fraction: Annotated[float, Field(ge=0, le=0.9)] = 0.3
    max_megapixels: Positive = 100
    max_quarantined: Share = 0.05
    near_duplicate: PositiveShare = 0.995
    seed: int = 0


class Validate(Section):
    min_train: AtLeastOne = 10
    min_val: Count = 2
    max_mask_area: PositiveShare = 0.9
    max_near_leaks: Share = 1.0


class Noise(Section):
    level: NoiseLevel = 0.2
    mode: Literal["no_overlap", "overlap"] = "no_overlap"
    n_train: AtLeastOne | None = None
    pool_fraction: Share = 0.5
    seed: int = 0


class NoisePatch(Section):
    max_patches: AtLeastOne = 4
    min_side: PositiveShare = 0.025
    max_side: PositiveShare = 0.1


class RandomWalk(Section):
    steps: AtLeastOne = 60
    radius: PositiveShare = 0.008
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9


class CutPaste(Section):
    min_area: PositiveShare = 0.005
    max_area: PositiveShare = 0.04


class Perlin(Section):
    cells: AtLeastOne = 6
    coverage: PositiveShare = 0.03


class Kinds(Section):
    noise_patch: Annotated[float, Field(ge=0)] = 1.0
    random_walk: Annotated[float, Field(ge=0)] = 1.0
    cutpaste: Annotated[float, Field(ge=0)] = 1.0
    perlin: Annotated[float, Field(ge=0)] = 1.0

    @model_validator(mode="after")
    def _some_kind(self) -> Kinds:
        if not sum(self.model_dump().values()):
            raise ValueError("at least one kind needs a frequency over 0")
        return self


class Synthesize(Section):
    per_image: Count = 1
    kinds: Kinds = Kinds()
    noise_patch: NoisePatch = NoisePatch()
    random_walk: RandomWalk = RandomWalk()
    cutpaste: CutPaste = CutPaste()
    perlin: Perlin = Perlin()
    background: Share | None = None
    seed: int = 0


class Embed(Section):
    backbone: Literal[
        "efficientnet_lite1",
        "efficientnet_lite0",
        "alexnet",
        "resnet18",
        "wide_resnet50_2",
        "wide_resnet101_2",
    ] = "efficientnet_lite1"
    weights: str | None = None
    scales: Annotated[list[Annotated[int, Field(ge=16, le=4096)]], Field(min_length=1)] = [448, 224, 112]
    views: AtLeastOne = 4
    rotate: bool = True


class PretrainPdn(Section):
    size: Literal["small", "medium"] = "small"
    init: Literal["bundled", "scratch"] = "bundled"
    steps: Count = 0
    images: str = "data/generic"
    teacher: Literal["efficientnet_lite0", "resnet18", "wide_resnet50_2", "wide_resnet101_2"] = (
        "efficientnet_lite0"
    )
    weights: str | None = None
    side: Annotated[int, Field(ge=64, le=1024, multiple_of=32)] = 256
    batch_size: AtLeastOne = 16
    learning_rate: Positive = 1e-4
    decay: Share = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 1e-5
    grayscale: Share = 0.1
    min_crop: PositiveShare = 0.5
    norm_images: AtLeastOne = 1000
    seed: int = 0

    @model_validator(mode="after")
    def _start_exists(self) -> PretrainPdn:
        if self.init == "bundled" and (self.size, self.teacher) != ("small", "efficientnet_lite0"):
            raise ValueError(
                "the bundled weights are of size small and teacher efficientnet_lite0: for others set "
                "init to scratch and steps to the length of the distillation (EAD: 60000)"
            )
        if self.init == "scratch" and not self.steps:
            raise ValueError("init scratch with steps 0 is an untrained network: set steps (EAD: 60000)")
        return self


class DifferNet(Section):
    preset: Literal["fast", "paper"] = "fast"
    standardize: bool | None = None
    hidden: AtLeastOne | None = None
    layers: AtLeastOne | None = None
    blocks: AtLeastOne | None = None
    epochs: AtLeastOne | None = None
    learning_rate: Positive | None = None
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    feature_noise: Annotated[float, Field(ge=0)] | None = None
    batch_size: AtLeastOne = 96
    holdout: Annotated[float, Field(ge=0, lt=1)] | None = None
    patience: AtLeastOne | None = None
    finetune_epochs: Count | None = None
    seed: int = 0


class EfficientAD(Section):
    preset: Literal["fast", "paper"] = "fast"
    side: Annotated[int, Field(ge=64, le=1024, multiple_of=32)] | None = None
    padding: bool = True
    tiles: bool = False
    overlap: Annotated[float, Field(ge=0, le=0.75)] = 0.25
    init: Literal["teacher", "scratch"] | None = None
    steps: AtLeastOne | None = None
    batch_size: AtLeastOne | None = None
    learning_rate: Positive | None = None
    decay: Share | None = None
    weight_decay: Annotated[float, Field(ge=0)] = 1e-5
    augment: Share | None = None
    synthetic: Share = 0.4
    p_hard: Annotated[float, Field(ge=0, lt=1)] = 0.99
    gamma: Annotated[float, Field(ge=0)] = 2.0
    coeff_hard: Annotated[float, Field(ge=0)] = 1.0
    coeff_ood: Annotated[float, Field(ge=0)] = 0.0
    coeff_ae: Annotated[float, Field(ge=0)] = 1.0
    coeff_stae: Annotated[float, Field(ge=0)] = 1.0
    coeff_cdo: Annotated[float, Field(ge=0)] = 1.0
    q_a: Share = 0.9
    q_b: Share = 0.995
    holdout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    finetune_steps: AtLeastOne | None = None
    alpha: Share = 0.9
    seed: int = 0

    @model_validator(mode="after")
    def _quantiles_rise(self) -> EfficientAD:
        if self.q_a >= self.q_b:
            raise ValueError(
                f"`efficientad.q_a` = {self.q_a:g} must be under `efficientad.q_b` = {self.q_b:g}"
            )
        return self


class Refine(Section):
    strategy: StrategyName = "consensus"
    preset: Literal["adrefine", "paper"] = "adrefine"
    scorer: Literal["in_sample", "out_of_fold"] = "out_of_fold"
    folds: Annotated[int, Field(ge=2)] = 5
    final_fit: Literal["scratch", "warm"] = "scratch"
    refit: Share = 0.06
    max_rounds: Count = 20
    min_keep: PositiveShare = 0.5
    seed: int = 0


class Vanilla(Section):
    pass


class Osr(Section):
    mode: Literal["threshold", "until_size"] = "threshold"
    lambda_: Positive = Field(1.5, alias="lambda")
    keep: PositiveShare = 0.8


class Irp(Section):
    lambda_: Positive = Field(1.5, alias="lambda")
    remove: Literal["max", "all"] = "max"


class MetaIqr(Section):
    k: Annotated[float, Field(ge=0)] = 1.5
    scope: Literal["batch", "dataset"] = "batch"
    batch_size: AtLeastOne = 24
    epochs: AtLeastOne = 10
    finetune_epochs: AtLeastOne = 1
    optimizer: Literal["adam", "sgd"] = "adam"
    outer_lr: Positive = 2e-3
    inner_lr: Annotated[float, Field(ge=0)] = 0.1
    inner_steps: AtLeastOne = 1
    first_order: bool = False
    tasks: AtLeastOne = 2
    support: AtLeastOne = 6
    query: AtLeastOne = 6
    support_noise: Annotated[float, Field(ge=0)] = 0.5
    holdout: Annotated[float, Field(ge=0, lt=1)] = 0.15
    seed: int = 0


class Mad(Section):
    start: Positive = 8.0
    end: Positive = 5.0
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.9

    @model_validator(mode="after")
    def _anneals_downwards(self) -> Mad:
        if self.start < self.end:
            raise ValueError(f"`mad.start` = {self.start:g} must not be under `mad.end` = {self.end:g}")
        return self


class Consensus(Section):
    share: Share | None = None


class Evaluate(Section):
    target_fpr: Annotated[float, Field(gt=0, lt=1)] = 0.01
    gallery: Count = 9
    localize: Count = 12
    alpha: Share = 0.9


# What `refine.preset: paper` puts in place of null: OSR, IRP and META as published. Everything else that they
# say is a default already. min_keep is a guard of ours and holds in both.
_PUBLISHED: dict[str, dict[str, Any]] = {
    "refine": {"scorer": "in_sample", "final_fit": "warm", "refit": 0.0, "max_rounds": 1000},
    "meta_iqr": {"epochs": 240, "outer_lr": 2e-4},
}


class Inbox(Section):
    folder: str = "data/inbox"
    settle: Annotated[float, Field(ge=0, le=3600)] = 5


class Promotion(Section):
    measure: Literal["auroc", "aupr", "likelihood"] = "auroc"
    tolerance: Annotated[float, Field(ge=0)] = 0.005
    min_photos: AtLeastOne = 5


class Params(Section):
    """The whole of params.yaml."""

    dataset: Dataset = Dataset()
    validate_: Validate = Field(Validate(), alias="validate")
    noise: Noise = Noise()
    synthesize: Synthesize = Synthesize()
    embed: Embed = Embed()
    pretrain_pdn: PretrainPdn = PretrainPdn()
    detector: DetectorName = "differnet"
    differnet: DifferNet = DifferNet()
    efficientad: EfficientAD = EfficientAD()
    refine: Refine = Refine()
    vanilla: Vanilla = Vanilla()
    osr: Osr = Field(default_factory=Osr.model_construct)
    irp: Irp = Field(default_factory=Irp.model_construct)
    meta_iqr: MetaIqr = MetaIqr()
    mad: Mad = Mad()
    consensus: Consensus = Consensus()
    evaluate: Evaluate = Evaluate()
    inbox: Inbox = Inbox()
    promotion: Promotion = Promotion()

    @model_validator(mode="before")
    @classmethod
    def _null_is_the_presets(cls, content: Any) -> Any:
        """Fill in what `refine.preset` says where params.yaml says null or nothing."""
        sections = {name: content.get(name, {}) for name in _PUBLISHED}
        if not all(isinstance(section, dict) for section in sections.values()):
            return content  # refused later, by name
        paper = sections["refine"].get("preset") == "paper"
        for name, published in _PUBLISHED.items():
            given = {k: v for k, v in sections[name].items() if v is not None or k not in published}
            sections[name] = {**published, **given} if paper else given
        return {**content, **sections}

    def headline(self) -> dict[str, Any]:
        """The settings a reader of the report needs, flat; those of the inputs are with what was prepared."""
        with_alpha = {"α of the rounds": self.efficientad.alpha, "α of the maps": self.evaluate.alpha}
        return {
            "dataset": self.dataset.name,
            "image size": self.dataset.image_size,
            "detector": self.detector,
            "preset": getattr(self, self.detector).preset,
            **(with_alpha if self.detector == "efficientad" else {}),
            "noise level": self.noise.level,
            "noise mode": self.noise.mode,
            "noise seed": self.noise.seed,
            "strategy": self.refine.strategy,
            "scorer": self.refine.scorer,
            **{
                f"{self.refine.strategy} {key}": value
                for key, value in getattr(self, self.refine.strategy).model_dump(by_alias=True).items()
            },
            "target false-positive rate": self.evaluate.target_fpr,
        }


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml.

    Raises:
        UserError: the file is missing or not YAML, a key is unknown or there twice, a value is impossible;
            names the key.
    """
    if not path.exists():
        raise UserError(f"{path} is missing: run from the project's root")
    content = strict_yaml.read(path)
    return parse(content if content is not None else {}, str(path))


def parse(content: Any, where: str = "params.yaml") -> Params:
    """Check the content of a params file; see `load`."""
    return checked(Params, content, where)


def checked(kind: type[M], content: Any, where: str) -> M:
    """`content` as a `kind`.

    Args:
        kind: the model of a whole file.
        content: what the file holds.
        where: what messages call the file.

    Raises:
        UserError: a key is unknown, a value is impossible; names the key.
    """
    if not isinstance(content, dict):
        raise UserError(f"{where} must be a mapping of sections, not {type(content).__name__}")
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        said = "; ".join(_explain(item, kind) for item in error.errors())
        raise UserError(f"{where}: {said}") from None


def _explain(item: Any, kind: type[BaseModel]) -> str:
    key = " ".join(".".join(str(part) for part in item["loc"]).split())
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(item["loc"][-1]), _known_keys(kind, item["loc"][:-1]), n=1)
        return f"unknown key `{key}`" + (
            f": did you mean `{near[0]}`?" if near else ": remove it or mend its name"
        )
    if item["type"] == "missing":
        return f"`{key}` is missing"
    value = repr(item["input"])
    shown = f" = {value}" if len(value) <= _LONGEST else ""
    return f"`{key}`{shown}: {item['msg'].removeprefix('Value error, ')}"


def _known_keys(model: type[BaseModel], section: tuple[Any, ...]) -> list[str]:
    """The keys of a section, given by its names from the top; a number is a place in a list of sections."""
    kind: Any = model
    for name in section:
        if isinstance(name, int):
            kind = next(iter(get_args(kind)), None)
        else:
            by_alias = {field.alias or key: field for key, field in kind.model_fields.items()}
            kind = by_alias[name].annotation if name in by_alias else None
        if not (get_origin(kind) is list or (isinstance(kind, type) and issubclass(kind, BaseModel))):
            return []
    return [field.alias or key for key, field in kind.model_fields.items()]
