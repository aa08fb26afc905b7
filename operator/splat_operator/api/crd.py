"""The CustomResourceDefinition, made from the models."""

from typing import Any

from pydantic.alias_generators import to_camel

from splat_operator.api import names
from splat_operator.api.resource import RULES, rule
from splat_operator.api.schema import Schema, structural_schema
from splat_operator.api.spec import NOT_IN_TRAINING, SplatTrainingSpec
from splat_operator.api.status import SplatTrainingStatus
from splat_trainer.contract.presets import told_defaults

_SUMMARY = (
    "A SplatTraining turns a capture, which is photos and their COLMAP model, into a 3D Gaussian "
    "splat: the operator runs a trainer as a Job and tells here how it goes."
)

COLUMNS: tuple[tuple[str, str, str, int, str], ...] = (
    # name, type, path, priority (1: only with -o wide), description
    ("Phase", "string", ".status.phase", 0, "The state in a word."),
    ("Progress", "string", ".status.progress.percent", 0, "Iterations done."),
    ("Iter/s", "string", ".status.progress.iterationsPerSecond", 0, "Iterations a second."),
    ("PSNR", "string", ".status.progress.psnr", 0, "PSNR in dB."),
    ("Gaussians", "integer", ".status.progress.gaussians", 0, "Gaussians held."),
    ("ETA", "string", ".status.progress.eta", 0, "Training still to go."),
    ("Age", "date", ".metadata.creationTimestamp", 0, "Time since it was made."),
    (
        "Reason",
        "string",
        '.status.conditions[?(@.type=="Succeeded")].reason',
        1,
        "Why it is in this state.",
    ),
    ("Node", "string", ".status.nodeName", 1, "Where it trains."),
    ("Attempts", "integer", ".status.attempts", 1, "Pods started."),
    ("Output", "string", ".status.outputs[0].uri", 1, "The splat."),
)


def spec_schema() -> Schema:
    """Give the schema of `spec`, with the API server's defaults."""
    schema = structural_schema(SplatTrainingSpec)
    properties = schema["properties"]
    properties["training"] = _without_defaults(properties["training"])
    properties["resources"]["default"] = {}
    return schema


def _without_defaults(training: Schema) -> Schema:
    """Tell the trainer's defaults and leave them to it.

    The API server would write them into the resource, where they could not follow a newer
    trainer, and where a default that depends on another field could not be told from a wish.
    """
    told: Schema = {}
    told_by_preset = {to_camel(field): words for field, words in told_defaults().items()}
    for name, field in training["properties"].items():
        if name in NOT_IN_TRAINING:
            continue
        default = told_by_preset.get(name, field.get("default"))
        words = field["description"]
        if default is not None:
            shown = str(default).lower() if isinstance(default, bool) else default
            words = f"{words} Default: {shown}."
        told[name] = {
            **{key: value for key, value in field.items() if key != "default"},
            "description": words,
        }
    return {**training, "properties": told}


def custom_resource_definition() -> dict[str, Any]:
    """Give the CRD as the API server takes it."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{names.PLURAL}.{names.GROUP}",
            "annotations": {
                # Uninstalling the chart must not delete everybody's trainings.
                "helm.sh/resource-policy": "keep"
            },
            "labels": {"app.kubernetes.io/name": "splat-operator"},
        },
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.KIND,
                "listKind": f"{names.KIND}List",
                "plural": names.PLURAL,
                "singular": names.SINGULAR,
                "shortNames": [names.SHORT_NAME],
            },
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": [
                        {
                            "name": name,
                            "type": kind,
                            "jsonPath": path,
                            "description": words,
                            **({"priority": priority} if priority else {}),
                        }
                        for name, kind, path, priority, words in COLUMNS
                    ],
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": root_schema()},
                }
            ],
        },
    }


def root_schema() -> Schema:
    """Give the schema of a whole SplatTraining."""
    return {
        "type": "object",
        "description": _SUMMARY,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"{names.API_VERSION}."},
            "kind": {"type": "string", "description": f"{names.KIND}."},
            "metadata": {"type": "object"},
            "spec": spec_schema(),
            "status": structural_schema(SplatTrainingStatus),
        },
        RULES: [
            rule(
                f"self.metadata.name.size() <= {names.NAME_LIMIT}",
                f"metadata.name has more than {names.NAME_LIMIT} characters: the names of the "
                "Job and its pods are made of it",
            )
        ],
    }
