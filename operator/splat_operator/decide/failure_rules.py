"""What the Job controller makes of a pod that failed."""

from splat_operator.decide.decision import Manifest
from splat_operator.world import TRAINER_CONTAINER
from splat_trainer.contract import ExitCode

HOPELESS_EXIT_CODES = sorted(
    code.value for code in ExitCode if code is not ExitCode.DONE and not code.retry_helps
)
"""The same run would end the same way: whatever is at fault lies outside of it."""


def failure_rules() -> list[Manifest]:
    """Fail at once where trying again is hopeless; count no eviction, preemption or drain.

    The first rule that matches wins (KEP-3329).
    """
    return [
        {
            "action": "FailJob",
            "onExitCodes": {
                "containerName": TRAINER_CONTAINER,
                "operator": "In",
                "values": HOPELESS_EXIT_CODES,
            },
        },
        {
            "action": "Ignore",
            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
        },
    ]
