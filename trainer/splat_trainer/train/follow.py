"""A follower's part of a training: the steps, without what lies between them."""

import torch

from splat_trainer.distributed.crew import Follower
from splat_trainer.distributed.rank import Rank
from splat_trainer.rasterize.choose import make_rasterizer
from splat_trainer.train.checkpoint import load_checkpoint
from splat_trainer.train.device import device_of, use_cores_we_have
from splat_trainer.train.memory import out_of_memory_error
from splat_trainer.train.milestones import saves_after
from splat_trainer.train.training import Training


def follow(follower: Follower, rank: Rank) -> None:
    """Train with rank 0 to the end, or until it stops, and stay until it is gone.

    Raises:
        TrainerError: OutOfGpuMemory and the like, of this rank.
        PeerLost: another rank is gone.
    """
    device = device_of(rank)
    use_cores_we_have(device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.zeros(1, device=device)  # its context, while rank 0 reads the capture
    begin, scene = follower.wait_for_begin()
    checkpoint = load_checkpoint(begin.resume) if begin.resume else None
    training: Training | None = None
    try:
        rasterizer = make_rasterizer(device)
        exchange = follower.assemble(begin, device)
        training = Training(
            scene,
            begin.config,
            begin.schedule,
            device=device,
            rasterizer=rasterizer,
            checkpoint=checkpoint,
            exchange=exchange,
        )
        while training.step < begin.config.iterations:
            if exchange.stops(training.step, wanted=False):
                training.settle()  # as rank 0 does, for the checkpoint that it writes then
                break
            before = training.step
            training.advance()
            if saves_after(before, training.step, begin.config):
                training.settle()
        follower.wait_for_the_end()
    except torch.OutOfMemoryError as error:
        trained = training.gaussians_trained if training else 0
        raise out_of_memory_error(device, trained, begin.config.target_gaussians) from error
