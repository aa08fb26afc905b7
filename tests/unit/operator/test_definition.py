"""An installed CRD that is not the operator's own: what is told, and what is written anyhow."""

import asyncio
import copy
import json
import logging
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from splat_operator.act import ApiClient, ApiError, Definition
from splat_operator.api.crd import custom_resource_definition, root_schema
from splat_operator.api.drift import fitted, lacking

from .builders import RESULT, job, pod, status_of, terminated, training

OWN = root_schema()
OF_STATUS = OWN["properties"]["status"]


def older(*gone: str) -> dict[str, Any]:
    """The operator's schema without some fields, such as status.phase, or values: phase=Queued."""
    schema = copy.deepcopy(OWN)
    for path in gone:
        names, _, value = path.partition("=")
        at, parents = schema, names.split(".")
        for name in parents[:-1]:
            at = at["properties"][name]
            at = at.get("items", at)
        if value:
            at["properties"][parents[-1]]["enum"].remove(value)
            continue
        del at["properties"][parents[-1]]
        at["required"] = [name for name in at.get("required", []) if name != parents[-1]]
    return schema


def a_status() -> dict[str, Any]:
    """A status with all that an end tells."""
    asked = training(qualityGate={"minPsnr": 20})
    return status_of(asked, job(asked), pod(**terminated(0, json.dumps(RESULT))))


def test_the_operators_own_lacks_nothing_and_takes_all() -> None:
    assert lacking(OWN, OWN) == ()
    assert fitted(a_status(), OF_STATUS) == a_status()


@pytest.mark.parametrize(
    "gone",
    ["spec.checkpoint.where", "status.gpuSeconds", "status.outputs.sha256", "status.phase=Queued"],
)
def test_each_field_and_value_that_is_missing_is_named(gone: str) -> None:
    told = gone.replace("outputs.", "outputs[].")
    assert lacking(older(gone), OWN) == (told,)
    assert lacking(OWN, older(gone)) == ()  # one that has more than the operator's is well


def test_a_field_of_another_type_is_named() -> None:
    other = copy.deepcopy(OWN)
    other["properties"]["status"]["properties"]["attempts"]["type"] = "string"
    assert lacking(other, OWN) == ("status.attempts as integer",)


def test_what_is_missing_is_left_out_and_the_rest_is_written() -> None:
    schema = older("status.gpuSeconds", "status.outputs.sha256")["properties"]["status"]
    status = {**a_status(), "gpuSeconds": 5}
    kept = fitted(status, schema)
    assert "gpuSeconds" not in kept
    assert {**kept, "gpuSeconds": 5} == status


def test_an_item_whose_key_is_not_taken_goes_as_a_whole() -> None:
    schema = older("status.conditions.type=KernelsReady")["properties"]["status"]
    kept = fitted(a_status(), schema)["conditions"]
    assert [one["type"] for one in kept] == ["Accepted", "Scheduled", "Running", "Succeeded"]


LEAVES = sorted(OF_STATUS["properties"])


@given(st.sets(st.sampled_from(LEAVES)))
def test_what_fits_lacks_nothing_of_what_is_installed(gone: set[str]) -> None:
    schema = older(*(f"status.{name}" for name in gone))["properties"]["status"]
    kept = fitted(a_status(), schema)
    assert kept == {name: value for name, value in a_status().items() if name not in gone}


class Documents:
    """A server that gives the OpenAPI documents of one installed schema after the other."""

    def __init__(self, *installed: dict[str, Any]) -> None:
        self._installed = list(installed)
        self.asked = 0

    def application(self) -> web.Application:
        """Give the web application."""
        application = web.Application()
        application.router.add_get("/openapi/v3/apis/splatting.dev/v1alpha1", self._give)
        return application

    async def _give(self, request: web.Request) -> web.Response:
        schema = self._installed[min(self.asked, len(self._installed) - 1)]
        self.asked += 1
        kind = {"group": "splatting.dev", "version": "v1alpha1", "kind": "SplatTraining"}
        schema = {**schema, "x-kubernetes-group-version-kind": [kind]}
        reference = {"allOf": [{"$ref": "#/components/schemas/io.k8s.ObjectMeta"}]}
        schema["properties"] = {**schema["properties"], "metadata": reference}
        other = {"type": "object"}
        document = {"components": {"schemas": {"a.Status": other, "dev.SplatTraining": schema}}}
        return web.json_response(document)


def look(application: web.Application, times: int = 1) -> tuple[Definition, list[bool]]:
    async def run() -> tuple[Definition, list[bool]]:
        async with TestServer(application) as server, aiohttp.ClientSession() as session:
            definition = Definition(ApiClient(session, str(server.make_url("/"))), settle=0)
            return definition, [await definition.look() for _ in range(times)]

    return asyncio.run(run())


def test_the_operators_own_definition_has_no_fault() -> None:
    definition, changed = look(Documents(OWN).application())
    assert (definition.fault, changed) == ("", [False])
    status = a_status()
    assert definition.fitted(status) is status


def test_an_older_one_is_told_with_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    definition, changed = look(Documents(older("spec.suspend", "status.gpu")).application(), 2)
    assert changed == [True, False]
    assert definition.lacking == ("spec.suspend", "status.gpu")
    (told,) = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert told == definition.fault
    assert "lacks spec.suspend, status.gpu: apply the CRD of the operator's version" in told
    assert "gpu" not in definition.fitted({**a_status(), "gpu": "H200"})


def test_one_that_is_being_replaced_is_no_fault() -> None:
    definition, changed = look(Documents(older("status.gpu"), OWN).application())
    assert (definition.fault, changed) == ("", [False])


def test_once_it_is_replaced_all_is_written_again() -> None:
    old = older("status.gpu")
    definition, changed = look(Documents(old, old, OWN).application(), 2)
    assert changed == [True, True]
    assert definition.fault == ""
    assert definition.fitted(a_status()) == a_status()


def test_where_the_document_may_not_be_read_nothing_is_known_and_all_is_written() -> None:
    definition, changed = look(web.Application())
    assert (definition.fault, changed) == ("", [False])
    assert definition.fitted(a_status()) == a_status()


def test_a_status_that_is_refused_has_the_definition_looked_at_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = ApiError(500, "", ".status.gpu: field not declared in schema")
    documents = Documents(OWN, older("status.gpu"))

    async def run() -> Definition:
        async with (
            TestServer(documents.application()) as server,
            aiohttp.ClientSession() as session,
        ):
            definition = Definition(ApiClient(session, str(server.make_url("/"))), settle=0)
            changed = asyncio.Event()
            definition.changed = changed.set
            async with definition.looked_at():
                while documents.asked == 0:
                    await asyncio.sleep(0.01)
                definition.refused(error)
                definition.refused(error)
                await asyncio.wait_for(changed.wait(), 30)
            return definition

    assert asyncio.run(run()).lacking == ("status.gpu",)
    told = [record.message for record in caplog.records if "is refused" in record.message]
    assert len(told) == 1
    assert ".status.gpu: field not declared in schema" in told[0]


def test_the_generated_definition_is_the_one_compared() -> None:
    (version,) = custom_resource_definition()["spec"]["versions"]
    assert version["schema"]["openAPIV3Schema"] == OWN
