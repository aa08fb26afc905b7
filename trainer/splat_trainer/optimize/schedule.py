"""Every constant of training, in one table, with where it comes from.

What a user may set is in `contract/config.py`; this is the rest, and the rules by which a run
that is shorter than 30,000 steps stretches or shrinks it.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from splat_trainer.contract import TrainConfig
from splat_trainer.optimize.preset_constants import constants_of

KERBL = "Kerbl et al. 2023 and its code, arguments/__init__.py"
GSPLAT = "gsplat 1.5.3, examples/simple_trainer.py"
ADC = "gsplat 1.5.3, strategy/default.py; Kerbl et al. 2023, section 5.2"
ABSGS = "Ye et al. 2024 (AbsGS); gsplat 1.5.3, examples/benchmarks"
MCMC = "Kheradmand et al. 2024 (3DGS as MCMC); gsplat 1.5.3, strategy/mcmc.py"
OURS = "measured here, docs/benchmarks.md"
LITEGS = "LiteGS (arXiv 2503.01199), its published settings; parts measured in docs/benchmarks.md"
FASTGS = "FastGS (arXiv 2511.04283), its published settings; not measured alone"
DASH = "Chen et al. 2025 (DashGaussian, arXiv 2503.18402), simplified; docs/benchmarks.md"
GUESS = "chosen without a measurement"


_SHORTEST_FADE = 100
"""Steps between two halvings, at least: in fewer, opacities do not come back from one."""


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
    rates_final: float = _constant(1.0, KERBL)  # factor of the others than the means' at the end
    # Step what the view shows and leave the rest: sparse Adam, as Taming 3DGS has it.
    visible_only: bool = _constant(False, KERBL)

    # Views whose gradients are summed before Adam steps; each is a step of the run. After
    # `late_from`, a share of the run, there may be more of them.
    views_per_step: int = _constant(1, KERBL)
    late_views_per_step: int = _constant(1, FASTGS)
    late_from: float = _constant(0.8, FASTGS)

    # Image sizes: (share of the run, divisor of the sides) until when they are smaller.
    coarse_until: tuple[tuple[float, int], ...] = _constant((), DASH)

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

    # budget: as many as planned, where the picture is wrong.
    budget_density: float = _constant(0.26, OURS)  # of sqrt(points x pixels), the count's cap
    score: Literal["error", "variance"] = _constant("error", GUESS)
    score_opacity_power: float = _constant(2.0, LITEGS)
    keep_parents: bool = _constant(True, LITEGS)  # else two children take a parent's place
    drop_unused: bool = _constant(True, LITEGS)  # what no view of a whole epoch draws
    fade_every: int = _constant(0, LITEGS)  # steps between two halvings of opacities; 0: never
    fade_factor: float = _constant(0.5, LITEGS)
    fade_floor: float = _constant(1 / 128, LITEGS)  # above 1/255, under which nothing is drawn
    fade_restarts: bool = _constant(True, LITEGS)  # Adam forgets all at a halving
    flag_error: float = _constant(0.1, FASTGS)  # of a view's range, above which a pixel is wrong
    consistent_pixels: float = _constant(0.0, FASTGS)  # wrong ones a view, to grow; 0: any
    prune_inconsistent: float = _constant(0.0, FASTGS)  # of the worst score, to stay; 0: all stay

    def sh_degree(self, step: int, degree: int) -> int:
        """The degree that step `step` draws with, at most `degree`."""
        return min(degree, (step - 1) // self.sh_interval)

    def means_lr_at(self, step: int) -> float:
        """The learning rate of the means at a step, to be multiplied by the scene's scale."""
        progress = (step - 1) / max(1, self.iterations)
        return float(self.means_lr * (self.means_lr_final / self.means_lr) ** progress)

    def rates_factor_at(self, step: int) -> float:
        """What the learning rates of all but the means are multiplied by at a step."""
        return float(self.rates_final ** ((step - 1) / max(1, self.iterations)))

    def views_summed_at(self, step: int) -> int:
        """How many views' gradients make one step of Adam at this step of the run."""
        late = step > self.late_from * self.iterations
        return max(self.views_per_step, self.late_views_per_step if late else 1)

    def moves(self, step: int) -> bool:
        """Whether Adam steps after this step's view; at the run's last it always does."""
        return step % self.views_summed_at(step) == 0 or step == self.iterations

    def divisor_at(self, step: int) -> int:
        """What the sides of images are divided by at a step."""
        ends = sorted((end * self.iterations, divisor) for end, divisor in self.coarse_until)
        return next((divisor for end, divisor in ends if step <= end), 1)

    def fades_opacity(self, step: int) -> bool:
        """Whether strategy budget halves opacities after this step.

        They need steps to come back: at least half as many are left as lie between two halvings.
        """
        if self.fade_every <= 0 or step % self.fade_every or step > self.densify_until:
            return False
        return 2 * (self.iterations - step) >= self.fade_every

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
    """The constants for a run: the field's, its early milestones pulled in for a short run.

    What the strategy changes of them wins over the field, and what the preset does over both.
    """
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
        case "budget":
            # LiteGS halves 9 times in 30,000 steps and 3 times in 10,000.
            every = min(2_550, config.densify_until_iteration // 2)
            values |= {"fade_every": every if every >= _SHORTEST_FADE else 0}
        case "default":
            pass
    return Schedule(**values | constants_of(config.preset))
