"""Adaptive density control by absolute gradients (Ye et al. 2024, AbsGS).

A large Gaussian over fine detail gets gradients that point to all sides and cancel out; their
absolute values do not, so it is split all the same. The threshold is higher for it.
"""

from splat_trainer.optimize.strategies.default import DefaultStrategy


class AbsgradStrategy(DefaultStrategy):
    """`DefaultStrategy` on the sum of each pixel's absolute gradient."""

    absgrad = True
