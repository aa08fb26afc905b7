"""Write deploy/splat-operator.yaml: `python -m deploy.plain_manifests HELM`.

For those without Helm. It is what the chart renders with its default values, in namespace
splat-system, less what only Helm reads and its test.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

NAMESPACE = "splat-system"
TARGET = Path(__file__).parent / "splat-operator.yaml"
CHART = Path(__file__).parents[1] / "charts" / "splat-operator"

_HEADER = """\
# Generated from charts/splat-operator by `python -m deploy.plain_manifests`; change the chart.
#
#   kubectl apply --server-side -f splat-operator.yaml
#
# Before that, put the names of your images in place of splat-operator and splat-trainer.
"""
_HELM_ONLY = {"helm.sh/chart", "helm.sh/resource-policy", "app.kubernetes.io/managed-by"}


def plain_manifests(rendered: str) -> str:
    """Turn what `helm template` printed into manifests to apply; order and content stay."""
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": NAMESPACE,
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        },
    }
    objects = [namespace, *(_without_helm(o) for o in yaml.safe_load_all(rendered) if o)]
    return _HEADER + "".join(
        "---\n" + yaml.safe_dump(o, sort_keys=False, allow_unicode=True, width=100) for o in objects
    )


def render(helm: str) -> str:
    """Give what `helm template` makes of the chart with its default values."""
    return subprocess.run(
        [helm, "template", "splat-operator", str(CHART), "--namespace", NAMESPACE, "--no-hooks"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def _without_helm(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_helm(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _without_helm(item) for key, item in value.items() if key not in _HELM_ONLY}
    return {key: item for key, item in kept.items() if not (key == "annotations" and not item)}


if __name__ == "__main__":
    TARGET.write_text(plain_manifests(render(sys.argv[1])), encoding="utf-8")
