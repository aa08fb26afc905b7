"""What Prometheus is told: of trainings, and of the operator itself."""

from collections import Counter as Counted
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from splat_operator.api import Phase
from splat_operator.runtime.kernel_metrics import KernelMetrics
from splat_operator.world import Training
from splat_operator.world.fields import mapping, moment

_TRAIN_BUCKETS = (30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 43_200)
_PSNR_BUCKETS = (10, 15, 18, 20, 22, 24, 26, 28, 30, 32, 34, 38)


class Metrics:
    """The metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.reconcile_seconds = Histogram(
            "splat_operator_reconcile_seconds",
            "Duration of one reconcile.",
            registry=self.registry,
        )
        self.reconcile_errors = Counter(
            "splat_operator_reconcile_errors", "Reconciles that failed.", registry=self.registry
        )
        self.crd_lacking = Gauge(
            "splat_operator_crd_lacking",
            "Fields and values of the operator's CRD that the installed one does not have.",
            registry=self.registry,
        )
        self._api_requests = Counter(
            "splat_operator_api_requests",
            "Requests to the API server, watches not counted.",
            ["method", "resource"],
            registry=self.registry,
        )
        self._job_seconds = Histogram(
            "splat_training_job_made_seconds",
            "From the making of a SplatTraining to that of its Job; whole seconds only.",
            registry=self.registry,
        )
        self._ended = Counter(
            "splat_training_ended",
            "Trainings that came to their end.",
            ["phase", "reason"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "splat_training_seconds",
            "From the trainer's start to its end, retries included.",
            buckets=_TRAIN_BUCKETS,
            registry=self.registry,
        )
        self._psnr = Histogram(
            "splat_training_psnr_db",
            "PSNR over held-out views of trainings that succeeded.",
            buckets=_PSNR_BUCKETS,
            registry=self.registry,
        )
        self._attempts = Counter(
            "splat_training_attempts",
            "Pods that trainings which have ended took.",
            registry=self.registry,
        )
        self._gpu_seconds = Counter(
            "splat_training_gpu_seconds",
            "GPUs times the seconds that pods of trainings which have ended held them.",
            registry=self.registry,
        )
        self._progress_answers = Counter(
            "splat_operator_progress_reports",
            "Progress reports of trainers, by the HTTP status that they were answered with.",
            ["code"],
            registry=self.registry,
        )
        self.progress_age = Histogram(
            "splat_operator_progress_age_seconds",
            "Age of a progress report when the API server had taken it.",
            registry=self.registry,
        )
        self.kernels = KernelMetrics(self.registry)

    def watch_store(
        self, phases: Callable[[], Iterable[str]], watch_ages: Callable[[], Mapping[str, float]]
    ) -> None:
        """Count phases and watch ages whenever somebody asks."""
        self.registry.register(_StoreCollector(phases, watch_ages))

    def watch_news(self, lost: Callable[[], int]) -> None:
        """Count the Events that were never posted whenever somebody asks."""
        self.registry.register(_NewsCollector(lost))

    def api_request(self, method: str, path: str) -> None:
        """A request was sent to the API server."""
        parts = path.strip("/").split("/")
        after = parts[parts.index("namespaces") + 2 :] if "namespaces" in parts else parts[-1:]
        # What follows the resource is a name, and after it perhaps a subresource.
        self._api_requests.labels(method=method, resource="/".join(after[::2])).inc()

    def progress_answered(self, status: int) -> None:
        """A trainer's progress report was answered."""
        self._progress_answers.labels(code=status).inc()

    def job_made(self, training: Training, now: datetime) -> None:
        """A Job was made."""
        if training.created_at and not training.status:
            self._job_seconds.observe(max(0.0, (now - training.created_at).total_seconds()))

    def status_written(self, training: Training, status: Mapping[str, Any]) -> None:
        """A status was written; the end of a training is counted once."""
        if training.finished or status.get("phase") not in (Phase.SUCCEEDED, Phase.FAILED):
            return
        reason = next(
            (one["reason"] for one in status["conditions"] if one["type"] == "Succeeded"), ""
        )
        self._ended.labels(phase=status["phase"], reason=reason).inc()
        self._attempts.inc(status.get("attempts", 0))
        self._gpu_seconds.inc(status.get("gpuSeconds", 0))
        self.kernels.used(mapping(status, "kernels"))
        started, ended = moment(status.get("startTime")), moment(status.get("completionTime"))
        if started and ended:
            self._seconds.observe((ended - started).total_seconds())
        psnr = mapping(status, "result").get("psnr")
        if psnr and status["phase"] == Phase.SUCCEEDED:
            self._psnr.observe(float(psnr))

    def text(self) -> bytes:
        """Give all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class _StoreCollector(Collector):
    def __init__(
        self, phases: Callable[[], Iterable[str]], watch_ages: Callable[[], Mapping[str, float]]
    ) -> None:
        self._phases = phases
        self._watch_ages = watch_ages

    def collect(self) -> Iterable[Metric]:
        counted = Counted(self._phases())
        trainings = GaugeMetricFamily(
            "splat_training_phase", "Trainings by phase.", labels=["phase"]
        )
        for phase in Phase:
            trainings.add_metric([phase.value], counted[phase.value])
        yield trainings
        ages = GaugeMetricFamily(
            "splat_operator_watch_age_seconds",
            "Seconds since a watch was opened last.",
            labels=["path"],
        )
        for path, age in self._watch_ages().items():
            ages.add_metric([path], age)
        yield ages


class _NewsCollector(Collector):
    def __init__(self, lost: Callable[[], int]) -> None:
        self._lost = lost

    def collect(self) -> Iterable[Metric]:
        yield CounterMetricFamily(
            "splat_operator_events_lost", "Events that were never posted.", value=self._lost()
        )
