"""Everything that one decision is made from."""

from dataclasses import dataclass

from splat_operator.world.job import Job
from splat_operator.world.pod import Pod
from splat_operator.world.training import Training


@dataclass(frozen=True, slots=True)
class KernelCacheClaim:
    """A claim with compiled kernels, and the folder in it."""

    claim_name: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Installation:
    """What the operator was installed with, as far as decisions need it."""

    trainer_image: str
    progress_url: str = ""
    """Address of the progress endpoint without a path; empty where there is none."""
    progress_ca: str = ""
    """The endpoint's certificate authority, in PEM."""
    kernel_cache: KernelCacheClaim | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """What the API server answered when the last decision was carried out."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class World:
    """One training, what was made for it, and where it runs.

    `job` is the one that this training controls, `pods` those which that Job controls, oldest
    first.
    """

    installation: Installation
    training: Training
    job: Job | None = None
    pods: tuple[Pod, ...] = ()
    trouble: Trouble | None = None
