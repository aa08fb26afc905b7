"""The Job's name, which makes that there is one: whoever creates it again finds it there."""

from splat_operator.world import Training

_UID_DIGITS = 8


def job_name(training: Training) -> str:
    """Give the one name that this training's Job can have.

    The uid's digits keep it from meeting a namesake, or the Job of an earlier SplatTraining of
    the same name that is still being deleted.
    """
    digits = training.uid.replace("-", "")[:_UID_DIGITS]
    return f"{_stem(training)}-{digits}"


def is_job_name(name: str, training: Training) -> bool:
    """Whether a name is that of a Job of this training, or of an earlier one of the same name."""
    stem, _, digits = name.rpartition("-")
    return stem == _stem(training) and len(digits) == _UID_DIGITS and _is_hexadecimal(digits)


def _stem(training: Training) -> str:
    return training.name.replace(".", "-")


def _is_hexadecimal(digits: str) -> bool:
    return all(digit in "0123456789abcdef" for digit in digits)
