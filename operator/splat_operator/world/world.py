"""Everything that one decision is made from."""

from dataclasses import dataclass, field

from splat_operator.world.job import Job
from splat_operator.world.kernels import KernelCacheSettings, KernelsSeen
from splat_operator.world.pod import Pod
from splat_operator.world.training import Training


@dataclass(frozen=True, slots=True)
class Installation:
    """What the operator was installed with, as far as decisions need it."""

    trainer_image: str
    progress_url: str = ""
    """Address of the progress endpoint without a path; empty where there is none."""
    progress_ca: str = ""
    """The endpoint's certificate authority, in PEM."""
    api_audiences: tuple[str, ...] = ()
    """What the API server calls itself in tokens, as far as the operator's own tells it."""
    kernel_cache: KernelCacheSettings = field(default_factory=KernelCacheSettings)
    definition_fault: str = ""
    """What is wrong with the installed CRD, and what to do; empty where nothing is."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What the API server answered when the last decision was carried out."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class World:
    """One training, what was made for it, and where it runs.

    `job` is the one that this training controls, `pods` those which that Job controls, oldest
    first. `stopping` are pods of an earlier Job of it that have not ended yet. `job_words` is why
    the Job controller gets no pod, in the API server's words, once that was asked for.
    """

    installation: Installation
    training: Training
    job: Job | None = None
    pods: tuple[Pod, ...] = ()
    trouble: Trouble | None = None
    kernels: KernelsSeen = field(default_factory=KernelsSeen)
    stopping: tuple[Pod, ...] = ()
    job_words: str = ""
