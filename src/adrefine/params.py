"""params.yaml as types: unknown keys and impossible values are refused with the key's name.

Every key is explained in params.yaml itself. A stage calls `load()` and takes its section. The sections of
detectors, strategies and synthetic defects are those registered, installed packages' among them.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from adrefine import backbones, strict_yaml
from adrefine.datasets import LAYOUTS
from adrefine.defects import GENERATORS
from adrefine.detectors import DETECTORS, DetectorSettings
from adrefine.errors import UserError
from adrefine.registry import Registry, origin
from adrefine.sections import (
    FROM_PRESET,
    AtLeastOne,
    Count,
    NotNegative,
    Positive,
    PositiveShare,
    Section,
    Share,
    UnderOne,
)
from adrefine.strategies import STRATEGIES, StrategySettings

Side = Annotated[int, Field(ge=16, le=4096)]  # pixels
Contamination = Annotated[float, Field(ge=0, le=0.5)]
if TYPE_CHECKING:
    LayoutName = str
    DetectorName = str
    StrategyName = str
    BackboneName = str
else:
    LayoutName = Literal[LAYOUTS.names()]
    DetectorName = Literal[DETECTORS.names()]
    StrategyName = Literal[STRATEGIES.names()]
    BackboneName = Annotated[str, AfterValidator(backbones.known)]
M = TypeVar("M", bound=BaseModel)
_LONGEST = 60  # characters of a value that a message repeats


def _place(value: str | None) -> str | None:
    if value is None or re.fullmatch(r"local|(tcp|tls)://[^\s/]+:\d+", value):
        return value
    raise ValueError("give local, or a Dask scheduler as tcp://HOST:PORT")


class Runtime(Section):
    engine: Literal["auto", "openvino", "torch"] = "auto"
    precision: Literal["auto", "f32", "bf16"] = "auto"
    cluster: Annotated[str | None, AfterValidator(_place)] = None  # where, not what: no result has it


class Dataset(Section):
    name: LayoutName = "demo"
    root: str = "data/raw"
    image_size: Side = 448
    fit: Literal["stretch", "letterbox", "crop", "part", "auto"] = "auto"
    roi: Annotated[str, Field(min_length=1)] | None = None
    val_fraction: Annotated[float, Field(ge=0, le=0.5)] = 0.15
    test_fraction: Annotated[float, Field(ge=0, le=0.9)] = 0.3
    max_megapixels: Positive = 100
    max_quarantined: Share = 0.05
    follow_links: bool = False
    bit_depth: Literal["auto", 8, 10, 12, 14, 16] = "auto"
    near_duplicate: PositiveShare = 0.995
    variant: str = ""
    patches: AtLeastOne = 2000
    parts: Literal["told", "find"] = "told"
    seed: int = 0

    @property
    def depth(self) -> int | None:
        """Bits of the camera, None to tell from the photos."""
        return None if self.bit_depth == "auto" else self.bit_depth


class Validate(Section):
    min_train: AtLeastOne = 10
    min_val: Count = 2
    max_mask_area: PositiveShare = 0.9
    max_near_leaks: Share = 1.0
    min_levels: Annotated[int, Field(ge=1, le=256)] = 32
    max_clipped: PositiveShare = 0.95
    max_blank: Share = 0.05


class Noise(Section):
    level: Share = 0.2
    mode: Literal["no_overlap", "overlap", "as_given"] = "no_overlap"
    n_train: AtLeastOne | None = None
    n_test: Annotated[int, Field(ge=2, multiple_of=2)] | None = None
    pool_fraction: Share = 0.5
    seed: int = 0


class Kinds(Section):
    """How often each kind of synthetic defect is drawn."""

    @model_validator(mode="after")
    def _some_kind(self) -> Kinds:
        if not sum(self.model_dump().values()):
            raise ValueError("at least one kind needs a frequency over 0")
        return self


class Synthesize(Section):
    """The settings of each kind are in a section below this one."""

    per_image: Count = 1
    photos: AtLeastOne | None = 500
    kinds: Kinds = Kinds.model_construct()
    background: Share | None = None
    seed: int = 0


class EmbedPlaces(Section):
    """`fast`: as docs/methods.md measured; `paper`: PaDiM's, 32 times the bytes (arXiv 2011.08785)."""

    PRESETS: ClassVar = {
        "fast": {"side": 320, "grid": 10, "blocks": "deep", "reduce": "projection", "components": 48},
        "paper": {"side": 224, "grid": 56, "blocks": "early", "reduce": "choice", "components": 100},
    }

    preset: Literal["fast", "paper"] = "fast"
    side: Side = FROM_PRESET
    grid: Annotated[int, Field(ge=1, le=128)] = FROM_PRESET
    blocks: Literal["deep", "early"] | Annotated[list[Count], Field(min_length=1)] = FROM_PRESET
    reduce: Literal["projection", "choice"] = FROM_PRESET
    components: AtLeastOne = FROM_PRESET
    seed: int = 0


class Embed(Section):
    """`fast`: for a CPU and few photos; `paper`: DifferNet's, 768 values of each of 64 views."""

    PRESETS: ClassVar = {
        "fast": {"backbone": "efficientnet_lite1", "pool": "mean_std", "views": 4, "light": 0.1},
        "paper": {"backbone": "alexnet", "pool": "mean", "views": 64, "light": 0.0},
    }

    preset: Literal["fast", "paper"] = "fast"
    backbone: BackboneName = FROM_PRESET
    weights: str | None = None
    scales: Annotated[list[Side], Field(min_length=1)] = Field(default=[448, 224, 112])
    pool: Literal["mean", "mean_std"] = FROM_PRESET
    views: AtLeastOne = FROM_PRESET
    rotate: bool = True
    light: UnderOne = FROM_PRESET
    places: EmbedPlaces = EmbedPlaces()


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


class Refine(Section):
    """`preset: paper` is OSR, IRP and META as published; min_keep is a guard of ours and holds in both."""

    PRESETS: ClassVar = {
        "adrefine": {"scorer": "out_of_fold", "final_fit": "scratch", "refit": 0.06, "max_rounds": 20},
        "paper": {"scorer": "in_sample", "final_fit": "warm", "refit": 0.0, "max_rounds": 1000},
    }

    strategy: StrategyName = "consensus"
    mode: Literal["remove", "weigh"] | None = None
    preset: Literal["adrefine", "paper"] = "adrefine"
    scorer: Literal["in_sample", "out_of_fold"] = FROM_PRESET
    folds: Annotated[int, Field(ge=2)] = 5
    final_fit: Literal["scratch", "warm"] = FROM_PRESET
    refit: Share = FROM_PRESET
    max_rounds: Count = FROM_PRESET
    min_keep: PositiveShare = 0.5
    contamination: Literal["auto"] | Contamination | tuple[Contamination, Contamination] = "auto"
    seed: int = 0

    @field_validator("contamination", mode="before")
    @classmethod
    def _share_or_bounds(cls, value: Any) -> Any:
        """One message instead of one for each form that it might have had."""
        parts = value if isinstance(value, list | tuple) and len(value) == 2 else [value]
        numbers = [isinstance(part, int | float) and 0 <= part <= 0.5 for part in parts]
        if value != "auto" and not (all(numbers) and parts[0] <= parts[-1]):
            raise ValueError("write auto, a share from 0 to 0.5, or two bounds of it, such as [0.02, 0.1]")
        return value

    def known(self) -> float | tuple[float, float] | None:
        """The share of hidden defects that the user knows, bounds of it, or nothing."""
        return None if self.contamination == "auto" else self.contamination


class Evaluate(Section):
    target_fpr: Annotated[float, Field(gt=0, lt=1)] = 0.01
    gallery: Count = 9
    localize: Count = 60
    alpha: Share = 0.9


class Inbox(Section):
    folder: str = "data/inbox"
    settle: Annotated[float, Field(ge=0, le=3600)] = 5


class Promotion(Section):
    measure: Literal["auroc", "aupr", "likelihood"] = "auroc"
    tolerance: Annotated[float, Field(ge=0)] = 0.005
    min_photos: AtLeastOne = 5


class Params(Section):
    """The whole of params.yaml; detectors and strategies have their sections beside these, by name."""

    runtime: Runtime = Runtime()
    dataset: Dataset = Dataset()
    validate_: Validate = Field(Validate(), alias="validate")
    noise: Noise = Noise()
    synthesize: Synthesize = Synthesize.model_construct()
    embed: Embed = Embed()
    pretrain_pdn: PretrainPdn = PretrainPdn()
    detector: DetectorName = "padim"
    refine: Refine = Refine()
    evaluate: Evaluate = Evaluate()
    inbox: Inbox = Inbox()
    promotion: Promotion = Promotion()

    @model_validator(mode="before")
    @classmethod
    def _preset_of_refine(cls, content: Any) -> Any:
        """`refine.preset` names the preset of the strategies that have presets; the chosen one may have
        values of its own for section `refine`."""
        refine = content.get("refine", {})
        preset = refine.get("preset") if isinstance(refine, dict) else None
        sections: dict[str, Any] = {name: cls.model_fields[name].annotation for name in STRATEGIES.names()}
        filled = {
            name: kind.over_preset(given, preset)
            for name, kind in sections.items()
            if kind.PRESETS and isinstance(given := content.get(name, {}), dict)
        }
        chosen = sections.get(str(refine.get("strategy"))) if isinstance(refine, dict) else None
        own = chosen.REFINE.get(preset, {}) if chosen and isinstance(preset, str) else {}
        if own:
            filled["refine"] = {**refine, **{k: v for k, v in own.items() if refine.get(k) is None}}
        return {**content, **filled}

    @model_validator(mode="after")
    def _contamination_fits(self) -> Params:
        known, knows = self.refine.known(), self.chosen_strategy.KNOWS
        if known is not None and (knows == "nothing" or (isinstance(known, tuple) and knows == "share")):
            may = "auto" if knows == "nothing" else "auto or a share"
            raise ValueError(
                f"`refine.contamination` must be {may} with refine.strategy = {self.refine.strategy}: "
                "consensus takes bounds, too"
            )
        return self

    @model_validator(mode="after")
    def _what_weighs(self) -> Params:
        refine = self.refine
        if refine.mode == "weigh" and (refine.strategy != "consensus" or refine.known() is not None):
            raise ValueError(
                "`refine.mode` = weigh needs refine.strategy = consensus and refine.contamination = auto: "
                "weights follow from its evidence alone"
            )
        return self

    @model_validator(mode="after")
    def _what_is_set_counts(self) -> Params:
        told = self.chosen_detector.without_effect()
        if told:
            names, reads = ", ".join(f"`{self.detector}.{key}`" for key in told), next(iter(told.values()))
            what, them = ("has", "it") if len(told) == 1 else ("have", "them")
            raise ValueError(f"{names} {what} no effect here: set {reads}, or remove {them}")
        return self

    @property
    def weighs(self) -> bool:
        """Whether photos count for less (`refine.mode`): by itself where that was measured to help."""
        if self.refine.mode is not None:
            return self.refine.mode == "weigh"
        alone = self.refine.strategy == "consensus" and self.refine.known() is None
        return alone and self.chosen_detector.WEIGHS

    def section(self, name: str) -> Any:
        """The section called `name` in params.yaml."""
        fields = {field.alias or key: key for key, field in type(self).model_fields.items()}
        return getattr(self, fields[name])

    @property
    def chosen_detector(self) -> DetectorSettings:
        """The section that `detector` names."""
        section: DetectorSettings = self.section(self.detector)
        return section

    @property
    def chosen_strategy(self) -> StrategySettings:
        """The section that `refine.strategy` names."""
        section: StrategySettings = self.section(self.refine.strategy)
        return section

    def decisive(self) -> dict[str, Any]:
        """The sections that decide on the refined model, with every value, as params.yaml has them: but for
        those of its inputs, which are with what was prepared. `dataset.root` is left out, a private path."""
        chosen = {self.detector: self.chosen_detector, self.refine.strategy: self.chosen_strategy}
        sections = {"noise": self.noise, **chosen, "refine": self.refine, "evaluate": self.evaluate}
        return {
            "dataset": self.dataset.model_dump(by_alias=True, exclude={"root"}),
            "detector": self.detector,
            **{name: section.model_dump(by_alias=True) for name, section in sections.items()},
        }

    def headline(self) -> dict[str, Any]:
        """The settings a reader of the report needs, flat; those of the inputs are with what was prepared."""
        return {
            "dataset": self.dataset.name,
            "image size": self.dataset.image_size,
            "detector": self.detector,
            **self.chosen_detector.headline(self.evaluate),
            "noise level": self.noise.level,
            "noise mode": self.noise.mode,
            "noise seed": self.noise.seed,
            "strategy": self.refine.strategy,
            "scorer": self.refine.scorer,
            **{
                f"{self.refine.strategy} {key}": value
                for key, value in self.chosen_strategy.model_dump(by_alias=True).items()
            },
            "target false-positive rate": self.evaluate.target_fpr,
        }


_BROKEN: list[UserError] = []  # what is wrong with plug-ins: told when params.yaml is read, not at the import


def _registered(model: type[Section], *registries: Registry) -> dict[str, Any]:
    """Fields to add to `model`: the section of everything in `registries`, by its name."""
    try:
        sections = [item for registry in registries for item in registry.all(Section).items()]
        for place, (name, _) in enumerate(sections):
            if hasattr(model, name) or name in model.model_fields or name in dict(sections[:place]):
                owner = next(filter(None, (registry.added(name) for registry in registries)), None)
                raise UserError(
                    f"the plug-in `{name}` of {origin(owner)}: a section of params.yaml already has that name"
                )
    except UserError as error:
        _BROKEN.append(error)
        sections = [(name, registry.get(name)) for registry in registries for name in registry.table]
    return {name: (section, Field(default_factory=section)) for name, section in sections}


if not TYPE_CHECKING:  # for mypy those above are enough
    _GENERATORS = _registered(Synthesize, GENERATORS)
    _FREQUENCIES = {name: (NotNegative, float(name in GENERATORS.table)) for name in _GENERATORS}
    Kinds = create_model("Kinds", __base__=Kinds, __module__=__name__, **_FREQUENCIES)
    Synthesize = create_model(
        "Synthesize", __base__=Synthesize, __module__=__name__, kinds=(Kinds, Kinds()), **_GENERATORS
    )
    Params = create_model(
        "Params",
        __base__=Params,
        __module__=__name__,
        synthesize=(Synthesize, Synthesize()),
        **_registered(Params, DETECTORS, STRATEGIES),
    )


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


def load_whole(path: Path = Path("params.yaml")) -> Params:
    """As `load`, for a file that a run needs: the sections that the stages of dvc.yaml name are all there.

    Raises:
        UserError: as of `load`; a section is missing.
    """
    settings = load(path)
    needed = ["runtime", "dataset", "validate", "noise", "synthesize", "embed", "pretrain_pdn"]
    needed += ["refine", "evaluate", settings.detector, settings.refine.strategy]
    there = strict_yaml.read(path) or {}
    for name in needed:
        if name not in there:
            raise UserError(f"{path} has no section `{name}`, which the stages read: add `{name}: {{}}`")
    for key in ("engine", "precision"):
        if key not in (there["runtime"] or {}):
            raise UserError(f"{path} has no `runtime.{key}`, which the stages read: add `{key}: auto`")
    return settings


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
    if _BROKEN:
        raise _BROKEN[0]
    if not isinstance(content, dict):
        raise UserError(f"{where} must be a mapping of sections, not {type(content).__name__}")
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        said = "; ".join(_explain(item, kind) for item in error.errors())
        raise UserError(f"{where}: {said}") from None


def _explain(item: Any, kind: type[BaseModel]) -> str:
    names = (str(part) for part in item["loc"] if "[" not in str(part))  # a union names its kinds, too
    key = " ".join(".".join(names).split())
    if not key and item["type"] == "value_error":  # of several sections together: the message names its keys
        return str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(item["loc"][-1]), _known_keys(kind, item["loc"][:-1]), n=1)
        return f"unknown key `{key}`" + (
            f": did you mean `{near[0]}`?" if near else ": remove it or mend its name"
        )
    if item["type"] == "missing":
        return f"`{key}` is missing"
    value = repr(item["input"])
    shown = f" = {value}" if len(value) <= _LONGEST else ""
    return f"`{key}`{shown}: {item['msg'].removeprefix('Value error, ')}{_likely(item)}"


def _likely(item: Any) -> str:
    """Which of the possible names was meant, if one comes near."""
    if item["type"] != "literal_error":
        return ""
    names = re.findall("'([^']*)'", item["ctx"]["expected"])
    near = difflib.get_close_matches(str(item["input"]), names, n=1)
    return f": did you mean `{near[0]}`?" if near else ""


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
