"""What the chart says of itself to those who list charts."""

import tomllib
from typing import Any

import pytest
import yaml

from splat_operator.api import SplatTrainingSpec, names
from tests.unit.chart.conftest import CHART

CHART_YAML: dict[str, Any] = yaml.safe_load((CHART / "Chart.yaml").read_text())
ANNOTATIONS: dict[str, str] = CHART_YAML["annotations"]


def listed(annotation: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(ANNOTATIONS[f"artifacthub.io/{annotation}"])
    return found


def test_the_images_that_it_names_are_of_the_packages_version() -> None:
    package = tomllib.loads((CHART.parents[1] / "pyproject.toml").read_text())["project"]
    assert CHART_YAML["appVersion"] == package["version"]


def test_the_definition_that_it_tells_of_is_the_one_it_brings() -> None:
    (crd,) = listed("crds")
    assert crd["kind"] == names.KIND
    assert crd["version"] == names.VERSION
    assert crd["name"] == f"{names.PLURAL}.{names.GROUP}"


@pytest.mark.parametrize("example", listed("crdsExamples"))
def test_its_example_is_one_that_the_operator_understands(example: dict[str, Any]) -> None:
    assert (example["apiVersion"], example["kind"]) == (names.API_VERSION, names.KIND)
    SplatTrainingSpec.model_validate(example["spec"])


def test_its_changes_are_told_in_the_words_of_artifact_hub() -> None:
    kinds = {"added", "changed", "deprecated", "removed", "fixed", "security"}
    assert {change["kind"] for change in listed("changes")} <= kinds
