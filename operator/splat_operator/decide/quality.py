"""Whether a splat is as good as was asked for."""

from decimal import Decimal

from splat_operator.api.spec import QualityGate
from splat_trainer.contract import ResultDocument


def below_gate(gate: QualityGate, result: ResultDocument) -> bool:
    """Say whether the result misses the gate; one without a PSNR does.

    Compared as it is shown, to two digits: 27.50 asked for and 27.499 measured is a pass.
    """
    if result.psnr is None:
        return True
    return Decimal(f"{result.psnr:.2f}") < Decimal(gate.min_psnr)
