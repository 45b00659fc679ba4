"""How quick the review's page is with 10,000 photos, in Chromium; and its pictures for docs/review.md.

    python -m benchmarks.review_page              # writes results/review_page.json
    python -m benchmarks.review_page --pictures   # after a run of the demo: docs/review_{page,grid,phone}.png

Maps and pooled vectors are made up, of the size that `embed` makes by default; photos are noise, 448 pixels a
side; 500 have a synthetic defect. A key is `r`, on the photo that is shown, after the pause of a quick
person, and of one who rests: then the page asks what the next run leaves out, which takes seconds. Needs
Chromium.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from adrefine import paths
from adrefine.features.store import write_rows
from adrefine.io import write_json
from adrefine.manifest import synthetic_id
from benchmarks import common
from benchmarks.review_speed import CHANNELS, PLACES, POOLED, Store

PHOTOS = 10_000
KEYS = {"key": (15, 700), "rested_key": (8, 3000)}  # how many, and the pause after each in milliseconds
TWINS = 500  # as many as `synthesize` makes at most
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DIFFERENT = 50  # pictures on disk; the others are links to them
_PRESS = """async () => {
    const [name, photo] = ["name", "photo"].map((id) => document.getElementById(id));
    const [was, begin] = [name.textContent, performance.now()];
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "r", bubbles: true }));
    while (!name.textContent || name.textContent === was) await new Promise((done) => setTimeout(done, 2));
    await photo.decode();
    return performance.now() - begin;
}"""


def write_project() -> None:
    """The working folder as after `embed`."""
    store, rng = Store(PHOTOS), np.random.default_rng(0)
    shapes = {"maps": (PLACES, CHANNELS), "pooled": (POOLED,)}
    names = [*store.ids, *(synthetic_id(name) for name in store.ids[:TWINS])]
    contents = [
        np.concatenate([part, part[:TWINS] + np.float16(0.5)]) for part in (store.places, store.wholes)
    ]
    rows = zip(*contents, strict=True)
    write_rows(paths.PREPARED / paths.PLACES, names, rows, shapes, {})
    for number, name in enumerate(store.ids):
        if number < DIFFERENT:
            Image.fromarray(rng.integers(0, 255, (448, 448), dtype=np.uint8)).save(f"{name}.png")
        else:
            os.link(f"p{number % DIFFERENT}.png", f"{name}.png")
    table = pd.DataFrame({"image_id": store.ids, "path": [f"{name}.png" for name in store.ids]})
    table = table.assign(
        source=table["path"], label=-1, split="train", in_test=0, width=448, height=448, scale=""
    )
    paths.NOISY.mkdir(parents=True)
    table.to_csv(paths.NOISY / paths.MANIFEST, index=False)
    Path("params.yaml").write_text("dataset: {name: folder, root: .}\n")


@contextmanager
def opened(folder: Path, **options: Any) -> Iterator[tuple[Any, float]]:
    """The page of the project in `folder`, in Chromium, and the seconds until its address was there."""
    from playwright.sync_api import sync_playwright

    begin = time.perf_counter()
    server = Popen([sys.executable, "-m", "adrefine", "review", "--open"], cwd=folder, stdout=PIPE, text=True)
    assert server.stdout is not None
    address = server.stdout.readline().removeprefix("Review: ").strip()
    began = time.perf_counter() - begin
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page(**({"viewport": {"width": 1200, "height": 820}} | options))
            page.goto(address)
            page.locator("#name:not(:empty)").wait_for(timeout=60_000)
            yield page, began
            browser.close()
    finally:
        server.terminate()
        server.wait()


def measured(folder: Path) -> dict[str, float]:
    """Milliseconds from a key to the next photo on the screen, and until a page of the grid is there."""
    with opened(folder) as (page, began):
        page.wait_for_timeout(3000)
        times = {"start_s": began}
        for name, (count, pause) in KEYS.items():
            waits = []
            for _ in range(count):
                waits.append(page.evaluate(_PRESS))
                page.wait_for_timeout(pause)
            times |= {f"{name}_ms": statistics.median(waits), f"worst_{name}_ms": max(waits)}
        begin = time.perf_counter()
        page.keyboard.press("g")
        page.locator("#cells [role=option]").nth(59).wait_for()
        times["grid_ms"] = 1e3 * (time.perf_counter() - begin)
        page.wait_for_timeout(2000)
    return {name: round(value, 1) for name, value in times.items()}


def shoot(page: Any, name: str) -> None:
    """The page as docs/`name`.png, of 256 colours that keep those of small buttons."""
    file = Path("docs") / f"{name}.png"
    page.screenshot(path=file)
    with Image.open(file) as picture:
        few = picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE)
    few.save(file, optimize=True)


def write_pictures() -> None:
    """Of this project's page, one by one with an answer or two given, and as a grid; answers are put back."""
    before = paths.REVIEW.read_bytes() if paths.REVIEW.exists() else None
    try:
        with opened(Path()) as (page, _):
            for key in "rr":
                page.keyboard.press(key)
                page.wait_for_timeout(600)
            page.wait_for_timeout(2500)
            shoot(page, "review_page")
            page.keyboard.press("g")
            page.wait_for_timeout(2500)
            shoot(page, "review_grid")
        with opened(Path(), **PHONE) as (page, _):
            page.wait_for_timeout(2500)
            shoot(page, "review_phone")
    finally:
        paths.REVIEW.unlink() if before is None else paths.REVIEW.write_bytes(before)


def main() -> None:
    """Measure and write."""
    if "--pictures" in sys.argv[1:]:
        write_pictures()
        return
    with tempfile.TemporaryDirectory() as folder:
        here = Path.cwd()
        os.chdir(folder)
        write_project()
        os.chdir(here)
        times = measured(Path(folder))
    write_json(common.RESULTS / "review_page.json", {str(PHOTOS): times})


if __name__ == "__main__":
    main()
