"""`spec.output.formats`: what the trainer is asked for, and how the status lists what it wrote."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from splat_operator.api.crd import spec_schema
from splat_operator.api.storage import Output
from splat_trainer.contract import SplatFormat

from .builders import RESULT, S3, finished, job, pod, status_of, terminated, training
from .test_decide_job import container

OUTPUT = {**S3, "uri": "s3://splats/garden"}


def asked_for(*formats: str) -> list[str]:
    output = {"s3": OUTPUT, **({"formats": list(formats)} if formats else {})}
    args: list[str] = container(training(source={"s3": S3}, output=output))["args"]
    return args


def test_the_ply_alone_needs_no_word_to_the_trainer() -> None:
    assert "--formats" not in asked_for()
    assert "--formats" not in asked_for("ply")


@given(st.lists(st.sampled_from(SplatFormat), min_size=1, unique=True))
def test_the_trainer_gets_each_format_once_and_the_ply_first(formats: list[SplatFormat]) -> None:
    args = asked_for(*formats)
    if set(formats) == {SplatFormat.PLY}:
        assert "--formats" not in args
        return
    told = args[args.index("--formats") + 1].split(",")
    assert told[0] == "ply"
    assert sorted(told) == sorted({"ply", *formats})


def test_a_format_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValidationError, match="compressed-ply"):
        Output.model_validate({"s3": OUTPUT, "formats": ["ply", "obj"]})


def test_the_schema_is_a_set_of_the_trainers_formats_with_a_default() -> None:
    field = spec_schema()["properties"]["output"]["properties"]["formats"]
    assert field["items"]["enum"] == list(SplatFormat)
    assert field["x-kubernetes-list-type"] == "set"
    assert (field["minItems"], field["maxItems"]) == (1, len(SplatFormat))
    assert field["default"] == ["ply"]
    assert all(format in field["description"] for format in SplatFormat)


def test_the_status_lists_every_format_with_its_checksum_the_ply_first() -> None:
    written = ["metrics", "spz", "report", "ply", "compressed-ply"]
    outputs = [
        {"format": one, "uri": f"s3://splats/garden/{one}", "bytes": 9, "sha256": "ab" * 32}
        for one in written
    ]
    result = json.dumps(RESULT | {"outputs": outputs})
    told = status_of(
        training(), job(training(), **finished("Complete")), pod(**terminated(0, result, "Done"))
    )
    assert [one["format"] for one in told["outputs"]] == [
        *("ply", "spz", "compressed-ply"),
        *("metrics", "report"),
    ]
    assert all(one["sha256"] == "ab" * 32 and one["bytes"] == 9 for one in told["outputs"])
