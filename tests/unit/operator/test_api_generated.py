"""The CRD, its reference page and the page of reasons are what the models say."""

import re
from pathlib import Path
from typing import Any

import pytest

from splat_operator.api import ConditionType, SplatTrainingStatus
from splat_operator.api.crd import custom_resource_definition, spec_schema
from splat_operator.api.generate import generated
from splat_operator.api.spec import NOT_IN_TRAINING
from splat_operator.decide import MEANINGS, Reason
from splat_operator.decide.document import DOCUMENT_PATH, decision_document
from splat_trainer import contract

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("path", [path.relative_to(ROOT) for path in generated(ROOT)], ids=str)
def test_the_generated_file_is_what_the_models_give(path: Path) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == generated(ROOT)[ROOT / path], (
        "run python -m splat_operator.api.generate"
    )


def test_the_page_of_reasons_is_what_the_table_gives() -> None:
    assert (ROOT / DOCUMENT_PATH).read_text(encoding="utf-8") == decision_document(), (
        "run python -m splat_operator.decide.document"
    )


def fields(schema: dict[str, Any], path: str = "") -> dict[str, dict[str, Any]]:
    found = {}
    for name, field in schema.get("properties", {}).items():
        found[f"{path}.{name}"] = field
        found |= fields(field, f"{path}.{name}")
        found |= fields(field.get("items", {}), f"{path}.{name}[]")
    return found


def openapi() -> dict[str, Any]:
    (version,) = custom_resource_definition()["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


def test_every_field_is_described() -> None:
    undescribed = [
        path
        for path, field in fields(openapi()).items()
        if path != ".metadata" and not field.get("description", "").endswith(".")
    ]
    assert undescribed == []


def test_a_rule_on_what_has_an_empty_default_holds_before_its_fields_are_filled_in() -> None:
    """The API server refuses the whole definition otherwise: "no such key"."""
    unguarded = [
        (path, rule["rule"], name)
        for path, field in fields(openapi()).items()
        if field.get("default") == {}
        for rule in field.get("x-kubernetes-validations", [])
        for name in re.findall(r"self\.(\w+)", rule["rule"])
        if f"has(self.{name})" not in rule["rule"]
    ]
    assert unguarded == []


def test_every_field_of_the_trainers_configuration_can_be_set() -> None:
    told = set(spec_schema()["properties"]["training"]["properties"])
    known = {field.alias for field in contract.TrainConfig.model_fields.values()}
    assert told == known - set(NOT_IN_TRAINING)


def test_the_spec_has_no_floats() -> None:
    assert [path for path, one in fields(openapi()).items() if one.get("type") == "number"] == []


def test_what_shapes_the_run_is_immutable_and_the_switches_are_not() -> None:
    schema = spec_schema()
    fixed = {
        name
        for name, field in schema["properties"].items()
        if any(
            one["message"].startswith(f"{name} cannot be changed")
            for one in field.get("x-kubernetes-validations", [])
        )
    }
    assert set(schema["properties"]) - fixed == {
        "suspend",
        "maxRetries",
        "startDeadlineSeconds",
        "activeDeadlineSeconds",
        "ttlSecondsAfterFinished",
    }


def test_uninstalling_the_chart_keeps_the_definition() -> None:
    annotations = custom_resource_definition()["metadata"]["annotations"]
    assert annotations["helm.sh/resource-policy"] == "keep"


def test_every_reason_of_the_trainer_is_a_reason_of_the_status() -> None:
    told_by_trainer = {reason.value for reason in contract.Reason}
    assert told_by_trainer <= {reason.value for reason in Reason}


def test_every_reason_has_its_meaning_and_its_advice() -> None:
    assert set(MEANINGS) == set(Reason)
    for reason, meaning in MEANINGS.items():
        assert meaning.when.endswith("."), reason
        assert meaning.advice.endswith("."), reason
        assert len(reason) <= 64


def test_conditions_are_a_map_by_type() -> None:
    conditions = fields(openapi())[".status.conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    assert conditions["items"]["properties"]["type"]["enum"] == list(ConditionType)


def test_a_status_may_be_partial() -> None:
    assert SplatTrainingStatus.model_validate({}).phase is None
