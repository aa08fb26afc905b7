"""What Prometheus is told of compiled kernels."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from splat_trainer.contract import KernelsDocument, KernelsOutcome

_BUILD_BUCKETS = (1, 10, 30, 60, 120, 300, 600, 1200, 2400)

CacheBytes = Callable[[], Iterable[tuple[str, str, int]]]
"""Gives namespace, cache and size of each cache."""


class KernelMetrics:
    """Counts of trainings by where their kernels came from, and of builds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._used = Counter(
            "splat_training_kernels",
            "Trainings that ended, by where their kernels came from: Cache and Image are hits, "
            "Compiled is a miss.",
            ["source"],
            registry=registry,
        )
        self._saved = Counter(
            "splat_training_kernels_saved_seconds",
            "Compiling that trainings were spared, by the time that the cache's own builds took.",
            registry=registry,
        )
        self._builds = Counter(
            "splat_kernels_builds",
            "Jobs' pods that filled a cache and ended: Built, Hit (it was full already), Failed.",
            ["outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "splat_kernels_build_seconds",
            "What compiling into a cache took.",
            buckets=_BUILD_BUCKETS,
            registry=registry,
        )

    def watch_caches(self, cache_bytes: CacheBytes) -> None:
        """Tell the caches' sizes whenever somebody asks."""
        self._registry.register(_CacheCollector(cache_bytes))

    def used(self, kernels: Mapping[str, Any]) -> None:
        """A training ended; `kernels` is its `status.kernels`, empty where no pod told."""
        if kernels:
            self._used.labels(source=kernels["source"]).inc()
            self._saved.inc(kernels.get("secondsSaved", 0))

    def build_ended(self, document: KernelsDocument | None) -> None:
        """A pod that compiles came to its end; one without a document died."""
        outcome = document.outcome if document else KernelsOutcome.FAILED
        self._builds.labels(outcome=outcome.value).inc()
        if document and outcome is KernelsOutcome.BUILT and document.build_seconds is not None:
            self._seconds.observe(document.build_seconds)


class _CacheCollector(Collector):
    def __init__(self, cache_bytes: CacheBytes) -> None:
        self._cache_bytes = cache_bytes

    def collect(self) -> Iterable[Metric]:
        sizes = GaugeMetricFamily(
            "splat_kernels_cache_bytes",
            "Size of a kernel cache, as its newest Job told.",
            labels=["namespace", "cache"],
        )
        for namespace, cache, size in self._cache_bytes():
            sizes.add_metric([namespace, cache], size)
        yield sizes
