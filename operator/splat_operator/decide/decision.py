"""What a decision is: the actions wanted, the status to show, the Events to tell."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from splat_operator.decide.reasons import Reason
from splat_operator.world import ClaimTemplate

Manifest = dict[str, Any]


@dataclass(frozen=True)
class CreateJob:
    """Make the training's Job."""

    manifest: Manifest


@dataclass(frozen=True)
class CreateWarmUp:
    """Make a Job that compiles kernels, and before it the claim, where a template is given and
    the claim is not there."""

    manifest: Manifest
    claim_name: str = ""
    claim_template: ClaimTemplate | None = None


@dataclass(frozen=True)
class RedoWarmUp:
    """Do a Job that compiles again: delete the one of this uid, then make it anew."""

    create: CreateWarmUp
    uid: str


@dataclass(frozen=True)
class UpdateJob:
    """Change fields of the Job's spec, and annotations of the Job; `uid` keeps a namesake from
    being changed."""

    namespace: str
    name: str
    uid: str
    spec: Mapping[str, Any]
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DeleteJob:
    """Delete the Job and its pods; with `pods_first` it stays until they have ended."""

    namespace: str
    name: str
    uid: str
    pods_first: bool = False


Action = CreateJob | UpdateJob | DeleteJob | CreateWarmUp | RedoWarmUp


@dataclass(frozen=True)
class Event:
    """An Event about the training."""

    reason: Reason
    message: str
    warning: bool


@dataclass(frozen=True)
class Decision:
    """What to do about one training now.

    `status` is None where the one that is written already says it all. `wake_at` is when to
    decide again though nothing happened.
    """

    actions: tuple[Action, ...] = ()
    status: Mapping[str, Any] | None = None
    events: tuple[Event, ...] = ()
    wake_at: datetime | None = None


@dataclass(frozen=True)
class Situation:
    """Where a training is, in a reason and a sentence."""

    reason: Reason
    message: str
    wake_at: datetime | None = None
