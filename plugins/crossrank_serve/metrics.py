"""What ``/metrics`` tells Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from crossrank_serve.feature_cache import FeatureCache

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters of one server.

    Parameters
    ----------
    cache
        Whose size and hits are shown.
    pending
        Returns how many requests wait or are scored.
    """

    def __init__(self, cache: FeatureCache, pending: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "crossrank_requests", "Answered requests", ("route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "crossrank_request_seconds",
            "From the first byte to the answer",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.batches = Histogram(
            "crossrank_batch_requests",
            "Requests that were scored together",
            buckets=SIZES,
            registry=self.registry,
        )
        self.documents = Counter(
            "crossrank_documents", "Documents that were scored", registry=self.registry
        )
        self.left_out = Counter(
            "crossrank_stages_left_out", "Stages without time", ("stage",), registry=self.registry
        )
        self.registry.register(_State(cache, pending))

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self.requests.labels(route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Return everything as Prometheus reads it."""
        return generate_latest(self.registry)


class _State(Collector):
    """What is the case when it is asked for."""

    def __init__(self, cache: FeatureCache, pending: Callable[[], int]) -> None:
        self._cache = cache
        self._pending = pending

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the present values."""
        cache = self._cache
        for name, about, value in (
            ("crossrank_pending_requests", "Requests that wait or are scored", self._pending()),
            ("crossrank_cached_items", "Encoded items that are kept", len(cache)),
            ("crossrank_cached_bytes", "What they take", cache.used),
            ("crossrank_cache_hits", "Items that were known", cache.hits),
            ("crossrank_cache_misses", "Items that were encoded", cache.misses),
        ):
            yield GaugeMetricFamily(name, about, value=value)
