"""Every constant of training, in one table, with where it comes from.

What a user may set is in `contract/config.py`; this is the rest, and the rules by which a run
that is shorter than 30,000 steps stretches or shrinks it.
"""

from dataclasses import dataclass, field
from typing import Any

from splat_trainer.contract import TrainConfig

KERBL = "Kerbl et al. 2023 and its code, arguments/__init__.py"
GSPLAT = "gsplat 1.5.3, examples/simple_trainer.py"
ADC = "gsplat 1.5.3, strategy/default.py; Kerbl et al. 2023, section 5.2"
ABSGS = "Ye et al. 2024 (AbsGS); gsplat 1.5.3, examples/benchmarks"
MCMC = "Kheradmand et al. 2024 (3DGS as MCMC); gsplat 1.5.3, strategy/mcmc.py"
OURS = "measured here, docs/benchmarks.md"

FULL_RUN = 30_000
"""The run that the field's constants were made for, in steps."""


def _constant(value: Any, source: str) -> Any:
    return field(default=value, metadata={"source": source})


@dataclass(frozen=True)
class Schedule:
    """The constants of one run. Steps count from 1; lengths are relative to the scene's scale."""

    iterations: int

    # What is minimised.
    ssim_weight: float = _constant(0.2, KERBL)
    opacity_weight: float = _constant(0.0, MCMC)  # of the mean opacity; 0.01 with mcmc
    scale_weight: float = _constant(0.0, MCMC)  # of the mean standard deviation; 0.01 with mcmc

    # Adam's steps. Those of the means are times the scene's scale.
    means_lr: float = _constant(1.6e-4, KERBL)
    means_lr_final: float = _constant(1.6e-6, KERBL)  # reached exponentially at the last step
    quats_lr: float = _constant(1e-3, KERBL)
    scales_lr: float = _constant(5e-3, KERBL)
    opacities_lr: float = _constant(5e-2, GSPLAT)
    sh0_lr: float = _constant(2.5e-3, KERBL)
    shN_lr: float = _constant(2.5e-3 / 20, KERBL)  # noqa: N815 - the field's name
    adam_betas: tuple[float, float] = _constant((0.9, 0.999), KERBL)
    adam_epsilon: float = _constant(1e-15, KERBL)
    visible_only: bool = _constant(False, KERBL)  # step what the view shows, leave the rest

    # The first Gaussians.
    initial_opacity: float = _constant(0.1, KERBL)  # 0.5 with mcmc
    initial_scale: float = _constant(1.0, KERBL)  # of the neighbours' distance; 0.1 with mcmc
    largest_initial_scale: float = _constant(0.1, OURS)  # stray points far from all others

    # The spherical harmonics gain a degree every so many steps.
    sh_interval: int = _constant(1000, KERBL)

    # When Gaussians are added and removed.
    densify_from: int = _constant(500, KERBL)
    densify_until: int = _constant(15_000, KERBL)
    densify_every: int = _constant(100, KERBL)

    # default and absgrad: grow what moves on screen, drop what is transparent or too large.
    grow_gradient: float = _constant(2e-4, ADC)  # 8e-4 with absgrad
    split_scale: float = _constant(0.01, ADC)
    split_shrink: float = _constant(1.6, ADC)
    prune_opacity: float = _constant(0.005, ADC)
    prune_scale: float = _constant(0.1, ADC)
    reset_every: int = _constant(3000, ADC)
    reset_opacity: float = _constant(0.01, ADC)

    # mcmc: move the dead to where the living are, and shake what is transparent.
    relocate_opacity: float = _constant(0.005, MCMC)
    growth: float = _constant(1.05, MCMC)  # of the count, at every densification
    noise: float = _constant(5e5, MCMC)  # times the learning rate of the means

    def sh_degree(self, step: int, degree: int) -> int:
        """The degree that step `step` draws with, at most `degree`."""
        return min(degree, (step - 1) // self.sh_interval)

    def means_lr_at(self, step: int) -> float:
        """The learning rate of the means at a step, to be multiplied by the scene's scale."""
        progress = (step - 1) / max(1, self.iterations)
        return float(self.means_lr * (self.means_lr_final / self.means_lr) ** progress)

    def densifies(self, step: int) -> bool:
        """Whether Gaussians are added and removed after this step."""
        return self.densify_from < step < self.densify_until and step % self.densify_every == 0

    def resets_opacity(self, step: int) -> bool:
        """Whether opacities are reset after this step.

        The last reset leaves the densification at least one more interval to clear away what
        stays transparent: a reset that nothing follows only costs quality.
        """
        return step % self.reset_every == 0 and step + self.densify_every < self.densify_until


def schedule_for(config: TrainConfig) -> Schedule:
    """The constants for a run: the field's, its early milestones pulled in for a short run."""
    iterations = config.iterations
    values: dict[str, Any] = {
        "iterations": iterations,
        "densify_until": config.densify_until_iteration,
        "densify_every": config.densification_interval,
        # A full run spends a tenth of its steps below degree 3; half of a short one may.
        "sh_interval": max(1, min(1000, iterations // 6)),
        "densify_from": min(500, config.densify_until_iteration // 5),
    }
    match config.strategy:
        case "absgrad":
            values |= {"grow_gradient": 8e-4}
        case "mcmc":
            values |= {
                "opacity_weight": 0.01,
                "scale_weight": 0.01,
                "initial_opacity": 0.5,
                "initial_scale": 0.1,
            }
        case "default":
            pass
    return Schedule(**values)
