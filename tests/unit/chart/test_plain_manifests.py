"""deploy/splat-operator.yaml is what the chart renders."""

import yaml

from deploy.plain_manifests import TARGET, plain_manifests, render
from tests.unit.chart.conftest import Render


def test_the_file_is_up_to_date(helm: str) -> None:
    assert TARGET.read_text() == plain_manifests(render(helm)), (
        "run: python -m deploy.plain_manifests helm"
    )


def test_it_has_every_object_of_the_chart_and_a_namespace_for_them(render: Render) -> None:
    def names(objects: list[dict[str, str]]) -> set[tuple[str, str]]:
        return {(o["kind"], o["metadata"]["name"]) for o in objects}  # type: ignore[index]

    plain = list(yaml.safe_load_all(TARGET.read_text()))
    assert names(plain) == names(render().objects) | {("Namespace", "splat-system")}


def test_nothing_in_it_speaks_of_helm() -> None:
    assert "helm" not in TARGET.read_text().split("---", maxsplit=1)[1].lower()
