"""What is due at a step, which all replicas of a run must agree on."""

from splat_trainer.contract import TrainConfig


def crosses(before: int, after: int, every: int) -> bool:
    """Whether a multiple of `every` is after `before`, and not after `after`."""
    return after // every > before // every


def saves_after(before: int, step: int, config: TrainConfig) -> bool:
    """Whether a run that went on from `before` to `step` writes a checkpoint now.

    Not after the last: the splat itself is written then.
    """
    every = config.checkpoint_interval
    return bool(every) and step < config.iterations and crosses(before, step, every)
