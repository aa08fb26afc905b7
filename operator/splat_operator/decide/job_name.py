"""The Job's name, which makes that there is one: whoever creates it again finds it there."""

from splat_operator.world import Training

_UID_DIGITS = 8


def job_name(training: Training) -> str:
    """Give the one name that this training's Job can have.

    The uid's digits keep it from meeting a namesake, or the Job of an earlier SplatTraining of
    the same name that is still being deleted.
    """
    digits = training.uid.replace("-", "")[:_UID_DIGITS]
    return f"{training.name.replace('.', '-')}-{digits}"
