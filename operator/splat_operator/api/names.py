"""The names under which the resource and everything made for it are found."""

GROUP = "splatting.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "SplatTraining"
PLURAL = "splattrainings"
SINGULAR = "splattraining"
SHORT_NAME = "splat"

TRAINING_LABEL = f"{GROUP}/training"
"""On a Job and its pods: the name of the SplatTraining that they belong to."""

KERNELS_LABEL = f"{GROUP}/kernels"
"""On a Job that compiles kernels and on its pods: the Job's name."""

ACCESS_MODES_ANNOTATION = f"{GROUP}/access-modes"
"""On a Job that compiles kernels: how the claim that it fills can be mounted."""

CACHE_ANNOTATION = f"{GROUP}/kernel-cache"
"""On such a Job: the cache that it fills, by its name for people."""

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
"""On every Job of ours and its pods, with MANAGER as its value: what is watched."""

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
"""On a Job: the queue whose admission decides when it may start."""

SUSPENDED_ANNOTATION = f"{GROUP}/suspended"
"""On a training's Job: `true` where the operator has suspended it for the user, else `false`."""

PROGRESS_AUDIENCE = f"{GROUP}/progress"
"""The one audience that a trainer pod's token is good for."""

PROGRESS_CA_ANNOTATION = f"{GROUP}/progress-ca"
"""On a pod: the certificate authority of the progress endpoint, in PEM."""

MANAGER = "splat-operator"
"""Field manager of Jobs and of the status."""

PROGRESS_MANAGER = "splat-operator-progress"
"""Field manager of `status.progress` while a training runs."""

NAME_LIMIT = 52
"""Longest name of a SplatTraining: the Job's name adds 9 characters, a pod's 6 more, and a
label's value ends at 63."""
