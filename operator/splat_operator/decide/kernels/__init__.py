"""Compiled kernels: where a training finds them, who compiles them, and when it must wait."""

from splat_operator.decide.kernels.actions import warm_up_actions
from splat_operator.decide.kernels.plan import KernelPlan, KernelSource, kernel_plan
from splat_operator.decide.kernels.state import KernelState, kernel_state
from splat_operator.decide.kernels.used import kernels_used

__all__ = [
    "KernelPlan",
    "KernelSource",
    "KernelState",
    "kernel_plan",
    "kernel_state",
    "kernels_used",
    "warm_up_actions",
]
