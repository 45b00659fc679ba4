"""What a benchmark compares, as types: unknown keys and impossible values are refused with the key's name.

Every key is explained in benchmarks/example.yaml.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from adrefine import strict_yaml
from adrefine.benchmark import prepared
from adrefine.benchmark.sections import clash, merged, refuse_keys
from adrefine.detectors import DETECTORS
from adrefine.errors import UserError
from adrefine.params import LayoutName, Params, checked, parse
from adrefine.sections import AtLeastOne, Section

VANILLA, ORACLE = "vanilla", "oracle"
LIMIT = "limit"  # what the ceiling's ranking would win; a line of the tables, no run
# Sections that decide the models and features which all strategies of a cell share.
_OF_ALL = ("dataset", "noise", "synthesize", "embed", "pretrain_pdn", "detector")


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("neither true nor false is possible here")
    return value


# Names are cells of Markdown tables and CSV files, classes are folders.
Name = Annotated[str, Field(pattern=r"^\w[^|`/\\\n]*$")]
Level = Annotated[float, BeforeValidator(_no_truth), Field(ge=0, le=1)]
Seed = Annotated[int, BeforeValidator(_no_truth)]
Mode = Literal["no_overlap", "overlap"]
Sections = dict[str, Any]


class Entry(Section):
    """One dataset; `classes`: folders under `root`, each a dataset in that layout."""

    name: Name
    layout: LayoutName
    root: str = "data/raw"
    n_train: AtLeastOne | None = None
    classes: tuple[Name, ...] = ()

    @field_validator("classes")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return _distinct(names)


def _default_detector() -> dict[str, Sections]:
    return {Params.model_fields["detector"].default: {}}


class Benchmark(Section):
    """The whole file."""

    datasets: Annotated[list[Entry], Field(min_length=1)]
    levels: Annotated[tuple[Level, ...], Field(min_length=1)] = (0.0, 0.1, 0.3, 0.5)
    modes: Annotated[tuple[Mode, ...], Field(min_length=1)] = ("no_overlap",)
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0, 1, 2)
    detectors: Annotated[dict[Name, Sections], Field(min_length=1, default_factory=_default_detector)]
    strategies: dict[Name, Sections] = Field(default_factory=dict)
    params: Sections = Field(default_factory=dict)
    twins: bool = False
    lists: str | None = None
    ceiling_folds: Annotated[int, Field(ge=2)] = 5
    localize: Annotated[int, BeforeValidator(_no_truth), Field(ge=0)] = 0
    keep_models: bool = True

    @field_validator("levels", "modes", "seeds")
    @classmethod
    def _once(cls, items: tuple[Any, ...]) -> tuple[Any, ...]:
        return _distinct(items)

    @field_validator("datasets")
    @classmethod
    def _other_names(cls, entries: list[Entry]) -> list[Entry]:
        _distinct(tuple(entry.name for entry in entries))
        return entries

    @field_validator("detectors")
    @classmethod
    def _named(cls, detectors: dict[str, Sections]) -> dict[str, Sections]:
        """Where `detector` is not said, the entry's only section of one says it, or its name."""
        for name, sections in detectors.items():
            meant = [key for key in sections if key in DETECTORS.names()] or [name]
            if "detector" not in sections and len(meant) == 1 and meant[0] in DETECTORS.names():
                sections["detector"] = meant[0]
        return detectors

    @model_validator(mode="after")
    def _listed_defects_are_tested(self) -> Benchmark:
        if self.lists is not None and self.modes != ("overlap",):
            raise ValueError("`lists` needs `modes: [overlap]`: what a list hides is tested as well")
        return self

    @field_validator("strategies")
    @classmethod
    def _not_those_that_always_run(cls, strategies: dict[str, Sections]) -> dict[str, Sections]:
        for name in (VANILLA, ORACLE):
            if name in strategies:
                raise ValueError(f"{name} always runs, take it out")
        if LIMIT in strategies:
            raise ValueError(f"{LIMIT} is a line of every table, take another name")
        return strategies


def load(path: Path) -> Benchmark:
    """Read and check a benchmark file, with every combination of its sections of params.yaml.

    Raises:
        UserError: the file is missing or not YAML, a key is unknown or there twice, a value is impossible, a
            section sets what the benchmark itself sets; names the key.
    """
    if not path.exists():
        raise UserError(f"{path} is missing: name a benchmark file, such as benchmarks/example.yaml")
    content = strict_yaml.read(path)
    config = checked(Benchmark, content if content is not None else {}, str(path))
    _check_sections(config, str(path))
    return config


def _check_sections(config: Benchmark, path: str) -> None:
    for name, sections in config.strategies.items():
        where = f"{path}, strategy `{name}`"
        shared = (*_OF_ALL, *DETECTORS.names())
        refuse_keys(sections, shared, where, "all strategies share: set it in `params`")
        if "strategy" not in (sections.get("refine") or {}):
            raise UserError(f"{where}: `refine.strategy` is missing")
    parse(config.params, f"{path}, `params`")
    clash(config.params, f"{path}, `params`")
    for detector, sections in config.detectors.items():
        where = f"{path}, detector `{detector}`"
        refuse_keys(sections, ("dataset", "refine"), where, "no detector decides: set it in `params`")
        clash(sections, where)
        parse(merged(config.params, sections), where)
        for name, chosen in config.strategies.items():
            settings = parse(merged(config.params, sections, chosen), f"{path}, strategy `{name}`")
            made = "synthesize" in prepared.sections(settings.chosen_detector.reads, config.twins)
            if settings.chosen_strategy.TWINS and not made:
                raise UserError(f"{path}, strategy `{name}` needs synthetic defects: set `twins: true`")


def _distinct(items: tuple[Any, ...]) -> tuple[Any, ...]:
    twice = next((item for place, item in enumerate(items) if item in items[:place]), None)
    if twice is not None:
        raise ValueError(f"{twice} appears twice: remove one")
    return items


def names_of(config: Benchmark) -> Iterable[str]:
    """Strategies in the order of the tables."""
    return (VANILLA, *config.strategies, ORACLE)
