"""The model in use: the folder is looked at before each prediction, and another bundle there is loaded."""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from adrefine.bundle.contents import FILE
from adrefine.errors import UserError
from adrefine.io import sha256_file
from adrefine.prediction import model as models
from adrefine.prediction.model import Model

PATIENCE = 10.0  # seconds until a bundle that could not be loaded is tried again
_FIRST = 64  # pixels a side of a first photo
_Stamp = tuple[str, int, int, int] | None


@dataclass(frozen=True)
class Loaded:
    """A model and what identifies it.

    Attributes:
        name: of its folder, such as 0002. sha256: of its bundle.json, which has the hashes of all its files.
    """

    model: Model
    name: str
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """What an answer says of the model behind it."""
        return {"name": self.name, "sha256": self.sha256[:16]}


class Current:
    """The bundle in `folder`, which may be a link. Its methods may be called by several threads.

    Attributes:
        loads, failures: how often one was loaded, or could not be. problem: why not, "" if it could.

    Raises:
        UserError: there is no bundle, or a damaged one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.loads, self.failures, self.problem = folder, 0, 0, ""
        self._lock = threading.Lock()
        self._again = 0.0
        self._seen = self._stamp()
        self._loaded = self._load()

    def get(self) -> Loaded:
        """The model of the bundle that is there now. While there is none, or a damaged one, the last good
        one stays in use."""
        with self._lock:
            stamp = self._stamp()
            tried = stamp == self._seen and (not self.problem or time.monotonic() < self._again)
            if stamp is not None and not tried:
                self._seen = stamp
                self._change()
            return self._loaded

    def _change(self) -> None:
        try:
            self._loaded, self.problem = self._load(), ""
        except (UserError, OSError, ValueError, RuntimeError) as error:  # torch says RuntimeError of damage
            self.problem, self._again = str(error), time.monotonic() + PATIENCE
            self.failures += 1
            print(f"adrefine: the model stays {self._loaded.name}: {self.problem}", file=sys.stderr)
        else:
            print(f"The model is now {self._loaded.name}.", flush=True)

    def _load(self) -> Loaded:
        """`load` compares every file with its hash: it may be only half copied. A first photo, which takes
        long, goes through before one waits for it."""
        folder = self.folder.resolve()
        loaded = Loaded(models.load(folder), folder.name, sha256_file(folder / FILE))
        loaded.model.predict(Image.new("L", (_FIRST, _FIRST)))
        self.loads += 1
        return loaded

    def _stamp(self) -> _Stamp:
        """What differs once another bundle is there: bundle.json is what is written last."""
        folder = os.path.realpath(self.folder)
        try:
            status = os.stat(os.path.join(folder, FILE))
        except OSError:
            return None
        return folder, status.st_ino, status.st_mtime_ns, status.st_size
