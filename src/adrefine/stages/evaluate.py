"""Stage evaluate: measure what refinement gained, and show what was removed and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from adrefine import manifest, params, paths
from adrefine.areas import region
from adrefine.io import read_csv, read_json, timed, timings, write_json, write_text
from adrefine.runtime import steady

if TYPE_CHECKING:
    from adrefine.bundle.write import Run
    from adrefine.evaluation.inputs import Inputs
    from adrefine.report.data import ReportData
    from adrefine.report.originals import Originals


def main() -> None:
    """Read the models and data/refined/; write reports/: metrics.json, plots/, curves/ and
    report.html, and models/bundle/, the refined model with all that it takes to use it."""
    from adrefine.bundle import write as bundle
    from adrefine.detectors.initial import load
    from adrefine.detectors.mixed import settings as mixed
    from adrefine.evaluation.figures import headline
    from adrefine.evaluation.inputs import Inputs
    from adrefine.evaluation.measure import evaluate
    from adrefine.evaluation.models import COMPARED
    from adrefine.places import maps
    from adrefine.report import curves, html, interest, lists, plots, summary, turned

    settings = params.load()
    timing = paths.REPORTS / "timing.json"
    with timed(timing, "evaluate"):
        models = {
            name: model for name in COMPARED if (model := load(settings, paths.MODELS / name)) is not None
        }
        if (folder := paths.MODELS / "refined" / paths.TAUGHT).exists():
            models["taught"] = mixed.Settings().create()
            models["taught"].load(folder)
        refined = manifest.read(paths.REFINED / paths.MANIFEST)
        inputs = Inputs(
            models=models,
            refined=refined,
            history=read_csv(paths.REFINED / "history.csv", dtype={"image_id": str}),
            round_scores=read_csv(paths.REFINED / "round_scores.csv", dtype={"image_id": str}),
            queue=read_csv(paths.REVIEW_QUEUE, dtype={"image_id": str}, keep_default_na=False),
            summary=read_json(paths.REFINED / "summary.json"),
            noise=read_json(paths.NOISY / "summary.json"),
            prepared=paths.PREPARED,
            reads=settings.chosen_detector.reads,
            mapper=None if settings.chosen_detector.own_maps else maps.of_photos,
            throughput=summary.throughput(timings(timing)),
            turned=turned.find(paths.INGESTED),
            region=region.find(paths.INGESTED),
            interest=interest.find(paths.INGESTED),
            supervision=settings.chosen_detector.supervision(refined),
            remarks=settings.chosen_detector.remarks(settings.evaluate),
        )
        data = evaluate(inputs, settings.evaluate, settings.headline())
        plots.write_all(data, paths.REPORTS / "plots")
        curves.write_all(data, paths.REPORTS / "curves")
        write_text(
            paths.REPORTS / "report.html",
            html.render(
                data,
                paths.REPORTS / "plots",
                settings.evaluate.gallery,
                _originals(settings.dataset),
                lists.find(paths.INGESTED, paths.REFINED / paths.EVIDENCE),
                refined,
            ),
        )
        bundle.write(_bundled(settings, inputs, data), paths.MODELS / "bundle")
        write_json(paths.REPORTS / "metrics.json", data.metrics)
        write_json(paths.REPORTS / "headline.json", headline(data.metrics, settings.refine.strategy))
    for line in summary.summary_lines(data.metrics, paths.REPORTS / "report.html"):
        print(line)


def _originals(dataset: params.Dataset) -> Originals:
    from adrefine.report.originals import Originals

    root = None if dataset.name == "demo" else Path(dataset.root)  # generated photos lie in a cache
    return Originals(root, paths.REPORTS, dataset.max_megapixels, dataset.follow_links)


def _bundled(settings: params.Params, inputs: Inputs, data: ReportData) -> Run:
    from adrefine.bundle.limit import map_limit
    from adrefine.bundle.write import Run

    limit, photos = map_limit(inputs, settings.evaluate)
    return Run(
        model=paths.MODELS / "refined",
        prepared=paths.PREPARED,
        ingested=paths.INGESTED,
        refined=inputs.refined,
        manifest_file=paths.REFINED / paths.MANIFEST,
        detector=settings.detector,
        section=settings.chosen_detector.model_dump(),
        reads=inputs.reads,
        own_maps=inputs.mapper is None,
        runtime=settings.runtime.model_dump(exclude={"cluster"}),
        alpha=settings.evaluate.alpha,
        target_fpr=settings.evaluate.target_fpr,
        dataset=settings.dataset.name,
        threshold=data.thresholds["refined"],
        map_limit=limit,
        mapped=photos,
        metrics=data.metrics.get("detection", {}).get("refined", {}),
        settings=settings.decisive(),
    )


if __name__ == "__main__":
    steady.run("evaluate", main)
