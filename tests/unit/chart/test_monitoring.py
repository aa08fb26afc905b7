"""The ServiceMonitor, and a dashboard that asks for metrics which the operator really exports."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import promql_parser
import pytest
from prometheus_client.parser import text_string_to_metric_families

from splat_operator.runtime.metrics import Metrics
from splat_operator.world import Training
from splat_trainer.contract import KernelsDocument, KernelsOutcome
from tests.unit.chart.conftest import CHART, Render

DASHBOARD = json.loads((CHART / "dashboards" / "splat-trainings.json").read_text())
FROM_THE_SCRAPE = {"job", "namespace", "pod", "instance"}
"""Labels that Prometheus adds to whatever a ServiceMonitor has it read."""


def expressions() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


@pytest.fixture(scope="module")
def exported() -> Mapping[str, set[str]]:
    """The labels of every sample that the operator exports once all has happened, by name."""
    metrics = Metrics()
    metrics.watch_store(lambda: ["Running"], lambda: {"/apis": 1.0})
    metrics.api_request("PATCH", "/apis/batch/v1/namespaces/red/jobs/garden")
    training = Training("red", "garden", "u", 1, None, created_at=datetime.now(UTC))
    metrics.job_made(training, datetime.now(UTC))
    metrics.reconcile_seconds.observe(0.1)
    metrics.status_written(
        training,
        {
            "phase": "Succeeded",
            "conditions": [{"type": "Succeeded", "reason": "Trained"}],
            "attempts": 1,
            "startTime": "2026-03-01T12:00:00Z",
            "completionTime": "2026-03-01T12:01:00Z",
            "result": {"psnr": "27.5"},
            "gpuSeconds": 60,
            "kernels": {"source": "Cache", "key": "k", "seconds": "0.1", "secondsSaved": 90},
        },
    )
    metrics.kernels.watch_caches(lambda: [("red", "claim kernels", 16_000_000)])
    metrics.kernels.build_ended(
        KernelsDocument(outcome=KernelsOutcome.BUILT, key="k", build_seconds=90.0)
    )
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


def parts(expression: str) -> Iterator[Any]:
    """Every node of a query; ValueError where Prometheus could not read it."""
    found: list[Any] = []
    promql_parser.walk(promql_parser.parse(expression), found.append)
    return iter(found)


def selectors(expression: str) -> list[promql_parser.VectorSelector]:
    return [
        part.vector_selector if isinstance(part, promql_parser.MatrixSelector) else part
        for part in parts(expression)
        if isinstance(part, promql_parser.MatrixSelector | promql_parser.VectorSelector)
    ]


@pytest.mark.parametrize("expression", expressions())
def test_a_panel_asks_for_metrics_and_labels_that_the_operator_exports(
    exported: Mapping[str, set[str]], expression: str
) -> None:
    asked = selectors(expression)
    assert asked
    known: set[str] = set(FROM_THE_SCRAPE)
    for selector in asked:
        name = str(selector.name)
        assert name in exported, f"{name} is not exported"
        known |= exported[name]
        for matcher in selector.matchers.matchers:
            assert matcher.name in known
    for part in parts(expression):
        if isinstance(part, promql_parser.AggregateExpr) and part.modifier:
            assert set(part.modifier.labels) <= known


@pytest.mark.parametrize("expression", expressions())
def test_a_legend_names_labels_that_the_query_keeps(expression: str) -> None:
    (legend,) = {
        target["legendFormat"]
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
        if target["expr"] == expression
    } or {""}
    named = {word.split("}}")[0] for word in legend.split("{{")[1:]}
    kept: set[str] = set()
    for part in parts(expression):
        if isinstance(part, promql_parser.AggregateExpr) and part.modifier:
            kept |= set(part.modifier.labels)
    assert named <= kept


def test_every_metric_of_the_projects_own_is_on_the_dashboard(
    exported: Mapping[str, set[str]],
) -> None:
    asked = {str(selector.name) for one in expressions() for selector in selectors(one)}
    own = {name for name in exported if name.startswith("splat_") and not name.endswith("_created")}
    families = {name.removesuffix("_bucket") for name in asked}
    sums = {f"{name}{end}" for name in families for end in ("_sum", "_count")}
    assert own - asked - sums == set()


def test_it_comes_as_a_config_map_for_grafanas_sidecar_if_wanted(render: Render) -> None:
    assert not render().all("ConfigMap")
    values = {"dashboard": {"enabled": True, "annotations": {"grafana_folder": "Splats"}}}
    found = render(metrics=values).one("ConfigMap", "splat-operator-dashboard")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert found["metadata"]["annotations"] == {"grafana_folder": "Splats"}
    assert json.loads(found["data"]["splat-trainings.json"]) == DASHBOARD


def test_prometheus_is_led_to_the_metrics_of_every_replica(render: Render) -> None:
    assert not render().all("ServiceMonitor")
    values = {"serviceMonitor": {"enabled": True, "interval": "30s", "labels": {"release": "p"}}}
    rendered = render(metrics=values)
    monitor = rendered.one("ServiceMonitor")
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert monitor["metadata"]["labels"]["release"] == "p"
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint == {"port": "metrics", "interval": "30s"}
    service = rendered.one("Service")
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    selector = monitor["spec"]["selector"]["matchLabels"]
    assert selector.items() <= service["metadata"]["labels"].items()
    assert monitor["metadata"]["namespace"] == service["metadata"]["namespace"]
