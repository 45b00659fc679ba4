"""The photo in a request: the field `photo` of a form, or the body as it is."""

from __future__ import annotations

import asyncio

from fastapi import Request
from starlette.datastructures import UploadFile

from adrefine.model_server.desk import Refused

FORM = "multipart/form-data"
FIELD = "photo"
SECONDS = 30.0  # that sending a photo may take
_RAW = ("application/octet-stream", "")
_FIELDS = 8  # of a form
_HOW = "curl -F photo=@new.png, or --data-binary @new.png -H 'content-type: application/octet-stream'"


async def photo(request: Request) -> bytes:
    """The bytes of the photo's file.

    Raises:
        Refused: there is none, or it takes too long. HTTPException: a broken form.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM and kind not in _RAW and not kind.startswith("image/"):
        raise Refused(415, f"a photo is needed, this is {kind[:60]!r}: {_HOW}")
    try:
        async with asyncio.timeout(SECONDS):
            body = await request.body()
    except TimeoutError:
        raise Refused(408, f"the photo did not arrive within {SECONDS:g} seconds") from None
    if kind != FORM:
        return body
    async with request.form(max_files=1, max_fields=_FIELDS) as form:
        field = form.get(FIELD)
        if isinstance(field, UploadFile):
            return await field.read()
    if field is None:
        raise Refused(400, f"the form has no file in the field `{FIELD}`: {_HOW}")
    raise Refused(
        400, f"the field `{FIELD}` is text, not a file: curl wants @ before the name, -F photo=@new.png"
    )
