"""The security contexts of our pods: restricted (Pod Security Standards), with a read-only root."""

from splat_operator.decide.decision import Manifest

USER = 10001
"""The trainer image's user and group."""


def pod_security() -> Manifest:
    """Give the pod's security context."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        # A volume of a million files is not walked through at each start.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Manifest:
    """Give a container's security context."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
