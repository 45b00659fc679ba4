"""The ranking follows the answers in a thread of its own: with many photos that takes a while."""

from __future__ import annotations

import threading

from adrefine.reviewing.session import Session


class Follower:
    """Brings a session's ranking up to its answers, one photo after the other, while others read it.

    Args:
        lock: whoever reads or changes the session holds it; here it is held for moments alone.

    Attributes:
        steps: photos that the ranking has taken in since the start.
    """

    def __init__(self, lock: threading.RLock) -> None:
        self._idle = threading.Condition(lock)
        self._session: Session | None = None
        self._thread: threading.Thread | None = None
        self.steps = 0

    def follow(self, session: Session) -> None:
        """From now on this session, whose answers may have changed. The caller holds the lock."""
        self._session = session
        if self._thread is None and session.behind():
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def settle(self, patience: float | None = None) -> bool:
        """Wait until the ranking knows all answers, `patience` seconds at most; whether it does."""
        with self._idle:
            return self._idle.wait_for(lambda: self._thread is None, patience)

    def _run(self) -> None:
        try:
            while self._step():
                pass
        except BaseException:
            self._ended()  # so that the next answer tries again
            raise

    def _step(self) -> bool:
        """Take in one photo; whether there was one."""
        with self._idle:
            session = self._session
            behind = session.behind() if session else []
            if session is None or not behind:
                self._ended()  # within the lock: an answer from now on starts another thread
                return False
        session.photos.turn(behind[0])
        with self._idle:
            session.ranked()
            self.steps += 1
        return True

    def _ended(self) -> None:
        with self._idle:
            self._thread = None
            self._idle.notify_all()
