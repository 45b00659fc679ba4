"""Where photos are scored: a bounded number at once, a bounded number waiting, one large one at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from math import inf

from adrefine.errors import UserError
from adrefine.ingestion.damage import BadPhoto, OutOfMemory
from adrefine.ingestion.decode import Gate
from adrefine.model_server.counts import Counts
from adrefine.model_server.current import Current, Loaded
from adrefine.prediction.model import Model
from adrefine.prediction.photo import Result, ready
from adrefine.runtime import hardware

WAITING = 8  # photos a thread that may wait, beside the one that is scored
LARGE = 8e6  # pixels: of larger photos one is decoded at a time, so that memory is bounded
_ROOM, _TIMES = 16e6, 2  # pixels that are taken in any case, and times the largest photo that trained


class Refused(Exception):
    """A request that gets no result: an HTTP status and a line for people."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


class Desk:
    """Scores photos with the model in use.

    Args:
        threads: photos at once. max_megapixels: None: twice the largest photo that trained, at least 16.
    """

    def __init__(
        self,
        current: Current,
        counts: Counts,
        threads: int | None = None,
        max_megapixels: float | None = None,
    ) -> None:
        self.current, self.counts, self.max_megapixels = current, counts, max_megapixels
        self.threads = threads or hardware.threads()
        self.pool = ThreadPoolExecutor(self.threads, thread_name_prefix="predict")
        self._here = 0
        self._one_large = threading.Lock()

    @contextmanager
    def place(self) -> Iterator[None]:
        """For one request, of the event loop's thread, from before its photo is read.

        Raises:
            Refused: all are taken.
        """
        if self._here >= self.threads * (1 + WAITING):
            raise Refused(503, f"{self._here} photos are waiting already: send fewer at once, and try again")
        self._here += 1
        self.counts.under_way.set(self._here)
        try:
            yield
        finally:
            self._here -= 1
            self.counts.under_way.set(self._here)

    def score(self, data: bytes, maps: bool) -> tuple[Result, Loaded]:
        """The result of a photo, from the bytes of its file, and the model that gave it.

        Raises:
            Refused: it cannot be read; says why.
        """
        loaded = self.current.get()
        start = time.perf_counter()
        try:
            with self._gate(loaded.model) as gate:
                photo = ready(data, replace(loaded.model.preparation, max_megapixels=inf), gate)
            result = loaded.model.results([photo], maps, time.perf_counter() - start)[0]
        except (OutOfMemory, MemoryError):
            raise Refused(503, "not enough memory for this photo: try again later") from None
        except UserError as error:
            self.counts.verdicts.labels("unreadable").inc()
            raise Refused(422, str(error)) from None
        self.counts.verdicts.labels("defective" if result.defective else "good").inc()
        self.counts.model.observe(time.perf_counter() - start)
        return result, loaded

    def most(self, model: Model) -> float:
        """Megapixels that a photo may have."""
        seen = model.contents.seen
        usual = max(_ROOM, _TIMES * seen["width"][1] * seen["height"][1]) / 1e6
        return min(self.max_megapixels or usual, model.preparation.max_megapixels)

    @contextmanager
    def _gate(self, model: Model) -> Iterator[Gate]:
        """What a decoder asks before it unpacks pixels: too many are refused, many wait for their turn."""
        most, held = self.most(model), False

        def gate(width: int, height: int) -> None:
            nonlocal held
            if width * height > most * 1e6:
                raise BadPhoto(f"{width}x{height} pixels: more than {most:g} megapixels, --max-megapixels")
            if width * height > LARGE and not held:
                self._one_large.acquire()
                held = True

        try:
            yield gate
        finally:
            if held:
                self._one_large.release()
