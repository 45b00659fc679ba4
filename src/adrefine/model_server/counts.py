"""What /metrics tells: Prometheus text (https://prometheus.io/docs/instrumenting/exposition_formats)."""

from __future__ import annotations

from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from adrefine.model_server.current import Current

TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Counts:
    """Counters of one server.

    Args:
        paths: that are told one by one; all others are one.
    """

    def __init__(self, paths: Collection[str]) -> None:
        self.paths = frozenset(paths)
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "adrefine_requests", "Answers by path and status", ["path", "code"], registry=registry
        )
        self.verdicts = Counter("adrefine_verdicts", "Photos by verdict", ["verdict"], registry=registry)
        self.whole = Histogram(
            "adrefine_request_seconds",
            "From a photo's first byte to its answer",
            buckets=_SECONDS,
            registry=registry,
        )
        self.model = Histogram(
            "adrefine_prediction_seconds",
            "Decoding and scoring a photo, without waiting",
            buckets=_SECONDS,
            registry=registry,
        )
        self.under_way = Gauge(
            "adrefine_requests_under_way", "Photos that wait or are scored", registry=registry
        )
        self._info = Gauge("adrefine_model_info", "The model in use", ["name", "sha256"], registry=registry)
        self._loads = Gauge("adrefine_model_loads", "Bundles loaded since the start", registry=registry)
        self._failures = Gauge(
            "adrefine_model_load_failures", "Bundles that could not be loaded", registry=registry
        )
        for verdict in ("good", "defective", "unreadable"):
            self.verdicts.labels(verdict)

    def answered(self, path: str, code: int) -> None:
        """An answer was sent."""
        self.requests.labels(path if path in self.paths else "other", str(code)).inc()

    def text(self, current: Current) -> bytes:
        """All of it, with the model that is in use."""
        self._info.clear()
        loaded = current.get().as_json()
        self._info.labels(loaded["name"], loaded["sha256"]).set(1)
        self._loads.set(current.loads)
        self._failures.set(current.failures)
        return generate_latest(self.registry)
