"""What a section of params.yaml is: its base class and the types of its values. Light: no heavy import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]
UnderOne = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=0)]
AtLeastOne = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
FROM_PRESET: Any = None  # default of a value that the section's preset sets


class Section(BaseModel):
    """A section of params.yaml: no unknown key, no change after loading, no infinity or NaN.

    Attributes:
        PRESETS: by the preset's name, the values of keys that params.yaml leaves null or out. The section's
            key `preset` names one; without it the first one counts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    @model_validator(mode="before")
    @classmethod
    def _null_is_the_presets(cls, content: Any) -> Any:
        if not cls.PRESETS or not isinstance(content, dict):
            return content
        field = cls.model_fields.get("preset")
        first = next(iter(cls.PRESETS)) if field is None else field.default
        return cls.over_preset(content, content.get("preset", first))

    @classmethod
    def over_preset(cls, content: Mapping[str, Any], preset: Any) -> dict[str, Any]:
        """`content` with the values of `preset` where it says null or nothing."""
        known = cls.PRESETS.get(preset, {}) if isinstance(preset, str) else {}
        given = {key: value for key, value in content.items() if value is not None or key not in known}
        return {**known, **given}

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML reads yes, no, on and off as truth values, and Python counts with those."""
        kind = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and kind not in (bool, bool | None):
            raise ValueError("neither true nor false is possible here")
        return value

    @field_validator("*", mode="after")
    @classmethod
    def _fits_64_bits(cls, value: Any) -> Any:
        """Seeds and counts go to libraries that count with 64 bits: a larger one would fail in a stage."""
        if isinstance(value, int) and abs(value) >= 2**63:
            raise ValueError("a whole number here is at most 2^63 - 1")
        return value
