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
