"""Gaussians of any size, place and colour, for what must hold of all of them."""

from dataclasses import dataclass

from hypothesis import strategies as st

from splat_trainer.gaussians.gaussians import Gaussians
from tests.unit.rasterize.scenes import random_gaussians


@dataclass(frozen=True)
class Scattered:
    """How to make them: what is drawn at random, and small enough to be shown."""

    count: int
    seed: int
    degree: int
    size: float
    away: float
    scales: float
    quats: float
    opacities: float

    def gaussians(self) -> Gaussians:
        """Make them."""
        plain = random_gaussians(self.count, seed=self.seed, degree=self.degree).detach()
        return plain.replacing(
            means=plain.means * self.size + self.away,
            scales=plain.scales * self.scales,
            quats=plain.quats * self.quats,
            opacities=plain.opacities * self.opacities,
        )


SCATTERED = st.builds(
    Scattered,
    count=st.integers(1, 600),
    seed=st.integers(0, 1000),
    degree=st.integers(0, 3),
    size=st.sampled_from([1e-4, 1.0, 30.0, 1e4]),
    away=st.sampled_from([0.0, -3.0, 1000.0]),
    scales=st.sampled_from([0.1, 1.0, 5.0]),
    quats=st.sampled_from([1e-3, 1.0, 50.0]),
    opacities=st.sampled_from([0.1, 1.0, 20.0]),
)
"""Scenes from a ten-thousandth to ten thousand units wide."""
