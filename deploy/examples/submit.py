"""Make a SplatTraining from Python and follow it to its end: `python submit.py garden.yaml`.

With the official client (`pip install kubernetes pyyaml`). Exit code 0: the splat is there. 1: the
training has failed; the last line says why. It is what a script becomes that submitted a job to a
batch service and polled it.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config, watch

GROUP, VERSION, PLURAL = "splatting.dev", "v1alpha1", "splattrainings"


def submit(api: client.CustomObjectsApi, namespace: str, training: dict[str, Any]) -> str:
    """Make the training; gives its name, also where the API server chose it (generateName)."""
    made = api.create_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, training)
    return str(made["metadata"]["name"])


def follow(api: client.CustomObjectsApi, namespace: str, name: str) -> dict[str, Any]:
    """Print what changes; gives the condition Succeeded once it is True or False."""
    last = ""
    while True:  # A watch ends now and then; a new one begins with the resource as it is.
        events = watch.Watch().stream(
            api.list_namespaced_custom_object,
            *(GROUP, VERSION, namespace, PLURAL),
            field_selector=f"metadata.name={name}",
            timeout_seconds=300,
        )
        for event in events:
            status = event["object"].get("status", {})
            progress = status.get("progress", {})
            line = " ".join(
                (
                    name,
                    status.get("phase", ""),
                    progress.get("percent", ""),
                    progress.get("eta", ""),
                )
            )
            if line != last:
                print(line.strip(), flush=True)
                last = line
            for condition in status.get("conditions", ()):
                if condition["type"] == "Succeeded" and condition["status"] != "Unknown":
                    return dict(condition)
            if event["type"] == "DELETED":
                raise SystemExit(f"{name} was deleted")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Make a SplatTraining and follow it to its end.")
    parser.add_argument("manifest", type=Path, help="YAML file with one SplatTraining")
    parser.add_argument("--namespace", default="default")
    given = parser.parse_args()
    config.load_config()  # a kubeconfig, or within a pod its service account
    api = client.CustomObjectsApi()
    name = submit(api, given.namespace, yaml.safe_load(given.manifest.read_text()))
    ended = follow(api, given.namespace, name)
    print(f"{ended['reason']}: {ended['message']}")
    sys.exit(0 if ended["status"] == "True" else 1)


if __name__ == "__main__":
    main()
