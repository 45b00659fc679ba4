"""The application: a photo in, JSON or a picture of its map out. Who may ask: `gate`."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from adrefine.model_server import counts, upload
from adrefine.model_server.current import Current
from adrefine.model_server.desk import Desk, Refused
from adrefine.model_server.gate import HEALTH, TooLarge
from adrefine.prediction import pictures

PATHS = ("/predict", HEALTH, "/model", "/metrics")
RESULT = "adrefine-result"  # header of a picture: the JSON of its photo
_GONE = 499  # nginx's code for a client that left; nobody reads it
Maps = Literal["png", "none"]


def create(desk: Desk) -> FastAPI:
    """The application behind the gate."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.post("/predict")
    async def predict(request: Request, map: Maps | None = None) -> Response:
        start = time.perf_counter()
        with desk.place():
            data = await upload.photo(request)
            answer = await asyncio.get_running_loop().run_in_executor(desk.pool, _answer, desk, data, map)
        desk.counts.whole.observe(time.perf_counter() - start)
        return answer

    @app.get(HEALTH)
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/model")
    def model() -> dict[str, Any]:
        return _told(desk)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(desk.counts.text(desk.current), media_type=counts.TYPE)

    _add_errors(app)
    return app


def _answer(desk: Desk, data: bytes, map: Maps | None) -> Response:
    """Of one photo, in a thread of the desk."""
    result, loaded = desk.score(data, maps=map != "none")
    told = {**result.as_json(), "model": loaded.as_json()}
    if map != "png":
        return JSONResponse(told)
    if result.box is None:
        raise Refused(409, "this model makes no maps")
    return Response(pictures.heat(result), media_type="image/png", headers={RESULT: json.dumps(told)})


def _told(desk: Desk) -> dict[str, Any]:
    """What /model says."""
    current: Current = desk.current
    loaded = current.get()
    said = loaded.model.contents
    return {
        **loaded.as_json(),
        "adrefine": said.adrefine,
        "detector": said.detector,
        "dataset": said.dataset,
        "threshold": said.threshold.model_dump(),
        "metrics": said.metrics,
        "trained_on": said.seen,
        "max_megapixels": desk.most(loaded.model),
        "loads": current.loads,
        "problem": current.problem,
    }


def _add_errors(app: FastAPI) -> None:
    """Every failure is {"error": a line}, and none ends the server."""

    @app.exception_handler(Refused)
    def refused(request: Request, error: Refused) -> JSONResponse:
        later = {"retry-after": "1"} if error.code == 503 else None
        return JSONResponse({"error": str(error)}, error.code, later)

    @app.exception_handler(TooLarge)
    def too_large(request: Request, error: TooLarge) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 413)

    @app.exception_handler(ClientDisconnect)
    def gone(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=_GONE)

    @app.exception_handler(RequestValidationError)
    def unknown(request: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"error": "`map` is png or none"}, 422)

    @app.exception_handler(HTTPException)
    def other(request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    @app.exception_handler(Exception)
    def failed(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": "the server failed at this photo: what it printed says why"}, 500)
