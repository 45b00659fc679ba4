"""The page and what it asks for. Who may ask: `door`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import BaseModel, Field

from adrefine import paths
from adrefine.errors import UserError
from adrefine.review import ASKED
from adrefine.review_page import region
from adrefine.review_page.applying import Run
from adrefine.review_page.report import served
from adrefine.review_page.room import AHEAD, Room

_HERE = Path(__file__).parent
_STATIC = {
    "page.css": "text/css",
    **dict.fromkeys(
        ("api.js", "page.js", "triage.js", "grid.js", "run.js", "scatter.js", "region.js"), "text/javascript"
    ),
}
_STATIC["icon.svg"] = "image/svg+xml"
# Whatever changes a picture, a run, gives it another address: the page adds the `edition`.
_KEEP = {"cache-control": "private, max-age=86400"}
# The report's own style and small script, in a place that can ask this server for nothing. A photo that it
# opens is this server's, in a window of its own that the report cannot reach.
_SANDBOX = "sandbox allow-scripts allow-popups allow-popups-to-escape-sandbox"
_REPORT = {"content-security-policy": f"{_SANDBOX}; frame-ancestors 'self'"}
Tab = Annotated[str, Field(pattern=r"^[0-9a-z]{1,40}$")]


Ids = Annotated[list[Annotated[str, Field(max_length=100)]], Field(min_length=1, max_length=10_000)]


class Some(BaseModel):
    """Photos to list."""

    ids: Ids
    start: int = 0
    count: int = 60


class Given(BaseModel):
    """An answer on some photos; `note` None: the note that is there stays."""

    tab: Tab
    ids: Ids
    verdict: Literal["keep", "remove", "unsure"]
    note: Annotated[str, Field(max_length=2000)] | None = None
    asked: Annotated[str, Field(max_length=60, pattern=f"^({ASKED.pattern})$")] = ""


Part = Annotated[float, Field(ge=0, le=1)]


class Region(BaseModel):
    """Outlines, in shares of the width and height of the photo."""

    shapes: Annotated[list[Annotated[list[tuple[Part, Part]], Field(max_length=5000)]], Field(max_length=100)]


class Undone(BaseModel):
    """Whose last answer is to be taken back."""

    tab: Tab


def create(room: Room, run: Run, title: str) -> FastAPI:
    """The application behind the door. title: of the page."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    files = Environment(loader=FileSystemLoader(_HERE / "static"), autoescape=True, undefined=StrictUndefined)
    page = files.get_template("page.html").render(title=title)

    @app.exception_handler(UserError)
    def wrong(request: Any, error: UserError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, status_code=409)

    @app.get("/")
    def whole() -> HTMLResponse:
        return HTMLResponse(page)

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in _STATIC:
            return Response(status_code=404)
        return Response((_HERE / "static" / name).read_bytes(), media_type=_STATIC[name])

    @app.get("/picture/{kind}/{image_id}")
    def picture(kind: Literal["photo", "native", "thumbnail", "map"], image_id: str) -> Response:
        image = room.picture(kind, image_id)
        if image is None:
            return Response(status_code=404)
        headers = {} if kind == "map" else _KEEP  # a map changes with the answers
        if isinstance(image[0], Path):
            return FileResponse(image[0], media_type=image[1], headers=headers)
        return Response(image[0], media_type=image[1], headers=headers)

    _add_answers(app, room)
    _add_runs(app, room, run)
    return app


def _add_answers(app: FastAPI, room: Room) -> None:
    @app.get("/api/state")
    def state(count: int = AHEAD) -> dict[str, Any]:
        return room.state(min(max(count, 1), 60))

    @app.get("/api/news")
    def news(tab: str, since: int = 0) -> dict[str, Any]:
        return room.news(tab, since)

    @app.get("/api/photo/{image_id}")
    def photo(image_id: str) -> dict[str, Any]:
        return room.card(image_id)

    @app.get("/api/grid")
    def grid(show: str = "all", sort: str = "suspicious", start: int = 0, count: int = 60) -> dict[str, Any]:
        return room.grid(show, sort, start, count)

    @app.post("/api/some")
    def some(wanted: Some) -> dict[str, Any]:
        return room.some(wanted.ids, wanted.start, wanted.count)

    @app.get("/api/scatter")
    def scatter() -> dict[str, Any]:
        return room.scatter()

    @app.post("/api/answer")
    def answer(given: Given) -> dict[str, Any]:
        return {"count": room.answer(given.tab, given.ids, given.verdict, given.note, given.asked)}

    @app.post("/api/undo")
    def undo(undone: Undone) -> dict[str, Any]:
        return room.undo(undone.tab)


def _add_runs(app: FastAPI, room: Room, run: Run) -> None:
    @app.post("/api/region")
    def save_region(drawn: Region) -> dict[str, Any]:
        return {"file": region.save(drawn.shapes, room.review.settings.dataset.image_size)}

    @app.get("/api/region")
    def present_region() -> dict[str, Any]:
        return region.present()

    @app.get("/picture/region")
    def region_photo() -> Response:
        file = region.whole_photo()
        return Response(status_code=404) if file is None else FileResponse(file, media_type="image/png")

    @app.get("/api/foreseen")
    def foreseen() -> dict[str, Any]:
        return room.foreseen()

    @app.post("/api/run")
    def start() -> dict[str, Any]:
        return {"started": run.start()}

    @app.post("/api/stop")
    def stop() -> dict[str, Any]:
        run.stop()
        return {}

    @app.get("/api/run")
    def log(since: int = 0) -> dict[str, Any]:
        return run.told(since)

    @app.get("/report")
    def whole_report() -> Response:
        file = paths.REPORTS / "report.html"
        if not file.is_file():
            return Response(
                "there is no report yet: run `dvc repro`", status_code=404, media_type="text/plain"
            )
        return HTMLResponse(served(file, room.names()), headers=_REPORT)
