"""Runs the suite with Great Expectations 1: offline, silent, with the same result every time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import pandas as pd

from adrefine.errors import UserError
from adrefine.validation.checks import Check

EXAMPLES = 5  # photos named for a failed check


@dataclass(frozen=True)
class CheckOutcome:
    """How a check went: `observed` counts or values, `examples` the sources of the first offending photos."""

    check: Check
    success: bool
    observed: dict[str, float | int]
    examples: list[dict[str, str]]


def run(
    tables: Mapping[str, pd.DataFrame], checks: list[Check], docs: Path | None = None
) -> list[CheckOutcome]:
    """Run every check; with `docs`, also write Great Expectations' Data Docs (HTML) there.

    Returns:
        An outcome per check, sorted by table, expectation and column.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx  # takes seconds

    context = _quiet_context()
    source = context.data_sources.add_pandas("ingested")
    outcomes = []
    for name in sorted({check.table for check in checks}):
        table, mine = tables[name], [check for check in checks if check.table == name]
        batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
        expectations = [_expectation(check) for check in mine]
        suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=expectations))
        definition = gx.ValidationDefinition(name=name, data=batch, suite=suite)
        result = context.validation_definitions.add(definition).run(
            batch_parameters={"dataframe": table}, result_format=_detail(table)
        )
        outcomes += _outcomes(mine, result.results)
    if docs is not None:
        _write_docs(context, docs)
    return sorted(outcomes, key=lambda outcome: _key(outcome.check))


def summary(tables: Mapping[str, pd.DataFrame], outcomes: list[CheckOutcome]) -> dict[str, Any]:
    """The outcomes as JSON: no ids, times or paths of this machine, so equal data gives equal bytes."""
    return {
        "success": all(outcome.success for outcome in outcomes),
        "checks": len(outcomes),
        "failed": sum(not outcome.success for outcome in outcomes),
        "photos": len(tables["manifest"]),
        "results": [
            {
                "table": outcome.check.table,
                "expectation": outcome.check.expectation,
                "column": outcome.check.arguments.get("column", ""),
                "success": outcome.success,
                "observed": outcome.observed,
                "examples": outcome.examples,
            }
            for outcome in outcomes
        ],
    }


def explain(outcomes: list[CheckOutcome]) -> UserError:
    """The failed checks as an error for people: what, how many, which first, what to do."""
    failed = [outcome for outcome in outcomes if not outcome.success]
    lines = [f"  - {outcome.check.says}{_where(outcome)}: {outcome.check.remedy}" for outcome in failed]
    return UserError("\n".join([f"{len(failed)} of {len(outcomes)} checks of the photos failed", *lines]))


def _where(outcome: CheckOutcome) -> str:
    """The first offending photos, or the value and its limits, in brackets."""
    observed, arguments = outcome.observed, outcome.check.arguments
    if outcome.examples:
        named = [
            " and ".join(row[key] for key in ("source", "other_source") if key in row)
            for row in outcome.examples
        ]
        more = ", ..." if observed["unexpected"] > len(named) else ""
        return f" ({observed['unexpected']:d} found: {', '.join(named)}{more})"
    if "value" in observed:
        limits = [
            f"{words} {arguments[key]:g}"
            for key, words in (("min_value", "at least"), ("max_value", "at most"))
            if key in arguments
        ]
        return f" ({observed['value']:g}, should be {', '.join(limits)})"
    return ""


def _quiet_context() -> Any:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    for site in list(context.config.data_docs_sites or {}):  # in a temporary folder that nobody looks at
        folder = Path(context.config.data_docs_sites[site]["store_backend"]["base_directory"])
        context.delete_data_docs_site(site)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return context


def _expectation(check: Check) -> Any:
    import great_expectations.expectations as gxe

    notes = f"Fails if {check.says}. Remedy: {check.remedy}."
    return getattr(gxe, check.expectation)(**check.arguments, notes=notes)


def _detail(table: pd.DataFrame) -> dict[str, Any]:
    names = [name for name in ("image_id", "source", "other_source") if name in table.columns]
    index = {"unexpected_index_column_names": names} if names else {}
    return {"result_format": "SUMMARY", "partial_unexpected_count": EXAMPLES, **index}


def _outcomes(checks: list[Check], results: Any) -> list[CheckOutcome]:
    """Match results, which come in any order, with their checks; a check that could not run has failed."""
    matched = {
        (result.expectation_config.type, result.expectation_config.kwargs.get("column", "")): result
        for result in results
    }
    outcomes = []
    for check in checks:
        result = matched[_snake(check.expectation), check.arguments.get("column", "")]
        details = result.result
        outcomes.append(CheckOutcome(check, bool(result.success), _observed(details), _examples(details)))
    return outcomes


def _observed(result: Mapping[str, Any]) -> dict[str, float | int]:
    if "element_count" in result:
        return {"rows": int(result["element_count"]), "unexpected": int(result["unexpected_count"])}
    value = result.get("observed_value")
    return {"value": round(float(value), 6)} if isinstance(value, Real) else {}


def _examples(result: Mapping[str, Any]) -> list[dict[str, str]]:
    rows = result.get("partial_unexpected_index_list") or []
    keys = ("image_id", "source", "other_source")
    return [{key: str(row[key]) for key in keys if key in row} for row in rows[:EXAMPLES]]


def _key(check: Check) -> tuple[str, str, str]:
    return check.table, check.expectation, check.arguments.get("column", "")


def _snake(name: str) -> str:
    """ExpectColumnToExist to expect_column_to_exist."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("_")


def _write_docs(context: Any, docs: Path) -> None:
    context.add_data_docs_site(
        "adrefine",
        {
            "class_name": "SiteBuilder",
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                "base_directory": str(docs.resolve()),
            },
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        },
    )
    context.build_data_docs(site_names=["adrefine"])
