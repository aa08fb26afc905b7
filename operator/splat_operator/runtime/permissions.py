"""What the operator may do: the RBAC rules that the chart grants, and no more.

The chart's test compares its rendered roles with these; the tests on a cluster run the
operator under them, so that a rule that is missing shows.
"""

from typing import Any

Rule = dict[str, Any]

TRAINING_RULES: tuple[Rule, ...] = (
    # Watched. Never created, changed or deleted: only its status is the operator's.
    {
        "apiGroups": ["splatting.dev"],
        "resources": ["splattrainings"],
        "verbs": ["get", "list", "watch"],
    },
    {
        "apiGroups": ["splatting.dev"],
        "resources": ["splattrainings/status"],
        "verbs": ["patch"],
    },
    # An ownerReference with blockOwnerDeletion needs it where the admission plugin
    # OwnerReferencesPermissionEnforcement is on (OpenShift).
    {
        "apiGroups": ["splatting.dev"],
        "resources": ["splattrainings/finalizers"],
        "verbs": ["update"],
    },
    # Server-side apply creates with `create` and `patch` together.
    {
        "apiGroups": ["batch"],
        "resources": ["jobs"],
        "verbs": ["get", "list", "watch", "create", "patch", "delete"],
    },
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
    # Listed to learn why the Job controller gets no pod, which stands nowhere else.
    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "list"]},
    # How a kernel cache can be mounted.
    {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["get"]},
)
"""In every namespace whose trainings are served: a ClusterRole, or a Role in each."""

CLAIM_RULES: tuple[Rule, ...] = (
    {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["create"]},
)
"""Beside them, where the operator makes the claims of kernel caches itself."""

CLUSTER_RULES: tuple[Rule, ...] = (
    # Who posts progress: TokenReview has no namespace.
    {
        "apiGroups": ["authentication.k8s.io"],
        "resources": ["tokenreviews"],
        "verbs": ["create"],
    },
)
"""In a ClusterRole, where progress is posted, also if only named namespaces are served."""

NODE_RULES: tuple[Rule, ...] = (
    {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
)
"""Beside them, where the labels of nodes tell for which GPUs kernels are compiled."""


def progress_rules(secret: str) -> tuple[Rule, ...]:
    """In a Role in the operator's own namespace: certificates. `create` is bound to no name."""
    return (
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": [secret],
            "verbs": ["get", "update"],
        },
    )


def lease_rules(lease: str) -> tuple[Rule, ...]:
    """In the same Role, where replicas elect a leader."""
    return (
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "resourceNames": [lease],
            "verbs": ["get", "update"],
        },
    )
