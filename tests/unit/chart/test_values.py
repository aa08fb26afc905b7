"""The values: each is in the schema, each is told of, and a mistake is refused by its name."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from deploy.values_reference import TARGET, settable
from deploy.values_reference import render as render_reference
from tests.unit.chart.conftest import CHART, HelmError, Render

VALUES = (CHART / "values.yaml").read_text()
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def paths(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, child in schema.get("properties", {}).items():
        yield f"{prefix}{name}"
        yield from paths(child, f"{prefix}{name}.")


def value_paths(values: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(values, dict):
        for name, child in values.items():
            yield f"{prefix}{name}"
            yield from value_paths(child, f"{prefix}{name}.")


def test_helm_lints_it_strictly(helm: str) -> None:
    done = subprocess.run(
        [helm, "lint", "--strict", str(CHART)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_schema_and_the_defaults_name_the_same_values() -> None:
    described = set(paths(SCHEMA)) - {"global"}
    free_form = (
        *("resources.requests.", "resources.limits."),
        *("tests.spec.", "metrics.dashboard.labels.", "kernelCache.resources."),
    )
    defaults = {
        path for path in value_paths(yaml.safe_load(VALUES)) if not path.startswith(free_form)
    }
    assert described == defaults


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"replicacount": 2}, "replicacount"),
        ({"image": {"repository": ""}}, "/image/repository"),
        ({"image": {"digest": "sha256:short"}}, "/image/digest"),
        ({"namespaces": ["Not_A_Name"]}, "/namespaces/0"),
        ({"progress": {"port": 70000}}, "/progress/port"),
        ({"kernelCache": {"path": "/absolute"}}, "/kernelCache/path"),
        ({"kernelCache": {"path": "../above"}}, "/kernelCache/path"),
        ({"kernelCache": {"path": "a/../../above"}}, "/kernelCache/path"),
        ({"kernelCache": {"size": 5368709120}}, "/kernelCache/size"),
        ({"kernelCache": {"accessModes": ["ReadOnlyMany"]}}, "/kernelCache/accessModes"),
        ({"kernelCache": {"inImage": True, "claimName": "k"}}, "kernels lie in one place"),
        ({"kernelCache": {"inImage": True, "create": True}}, "kernels lie in one place"),
        ({"kernelCache": {"nodePath": "/k", "create": True}}, "kernels lie in one place"),
        ({"progress": {"port": 8080}, "metrics": {"port": 8080}}, "are the same"),
        ({"podLabels": {"app.kubernetes.io/name": "x"}}, "/podLabels"),
        ({"log": {"level": "loud"}}, "/log/level"),
        ({"workers": 0}, "/workers"),
        ({"tests": {"spec": {"source": {}}}}, "/tests/spec"),
        ({"metrics": {"serviceMonitor": {"interval": "often"}}}, "/metrics/serviceMonitor"),
        ({"topologySpreadConstraints": [{"maxSkew": 1}]}, "/topologySpreadConstraints/0"),
    ],
)
def test_a_mistake_is_refused_by_its_name(
    render: Render, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(HelmError, match=re.escape(words)):
        render(**values)


def test_names_that_yaml_reads_as_something_else_stay_names(render: Render) -> None:
    rendered = render(
        namespaces=["123", "no"],
        fullnameOverride="1e3",
        nameOverride="0x1",
        priorityClassName="123",
        serviceAccount={"name": "456"},
        kernelCache={"create": True, "storageClassName": "no", "path": "gsplat: v1 #2"},
        tests={"storageClassName": "1.5"},
    )
    wanted = ("name", "namespace", "serviceAccountName", "priorityClassName", "storageClassName")
    values = [value for o in rendered.objects + rendered.hooks for value in named(o, wanted)]
    assert {"123", "no", "1e3", "456", "1.5"} <= set(values)
    assert [value for value in values if not isinstance(value, str)] == []
    assert (
        "--kernel-cache-path=gsplat: v1 #2"
        in rendered.one("Deployment", "1e3")["spec"]["template"]["spec"]["containers"][0]["args"]
    )


def named(document: Any, keys: tuple[str, ...]) -> Iterator[Any]:
    """What stands under these keys, at any depth; and all labels."""
    if isinstance(document, list):
        for item in document:
            yield from named(item, keys)
    elif isinstance(document, dict):
        for key, value in document.items():
            if key in keys and not isinstance(value, dict):
                yield value
            if key in ("labels", "matchLabels", "resourceNames"):
                yield from value.values() if isinstance(value, dict) else value
            yield from named(value, keys)


def test_parts_of_a_processor_can_be_asked_for_in_numbers(render: Render) -> None:
    resources = render(resources={"requests": {"cpu": 0.5}}).pod["containers"][0]["resources"]
    assert resources["requests"]["cpu"] == 0.5


def test_every_value_is_told_of_in_words() -> None:
    assert [value.path for value in settable(VALUES) if not value.words] == []


def test_the_charts_readme_is_up_to_date() -> None:
    assert TARGET.read_text() == render_reference(), "run: python -m deploy.values_reference"
