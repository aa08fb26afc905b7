"""Events about a training, as `events.k8s.io/v1` takes them."""

from datetime import UTC, datetime
from typing import Any

from splat_operator.api import names
from splat_operator.decide import Event
from splat_operator.world import Training

_NOTE_LIMIT = 1024


def event_body(training: Training, event: Event, instance: str, now: datetime) -> dict[str, Any]:
    """Give one Event; `instance` names the operator's pod."""
    stamp = now.astimezone(UTC)
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            # The API server asks for a name of its own for each; the time makes one.
            "name": f"{training.name}.{int(stamp.timestamp() * 1_000_000):x}",
            "namespace": training.namespace,
        },
        "eventTime": stamp.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "type": "Warning" if event.warning else "Normal",
        "reason": event.reason.value,
        "action": "Reconcile",
        "note": event.message.encode()[:_NOTE_LIMIT].decode(errors="ignore"),
        "regarding": {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "namespace": training.namespace,
            "name": training.name,
            "uid": training.uid,
        },
        "reportingController": f"{names.GROUP}/{names.MANAGER}",
        "reportingInstance": instance,
    }
