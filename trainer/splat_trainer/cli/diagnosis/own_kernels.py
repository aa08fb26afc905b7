"""Whether our own kernels compile, or are found compiled, and compute what they should."""

from splat_trainer.cli.diagnosis.finding import Finding, Verdict
from splat_trainer.contract import TrainerError

_NAME = "own kernels"


def look_at_own_kernels() -> Finding:
    """Compile and check them on the GPU, whose gsplat kernels are ready.

    One that is not used is no fault: plain PyTorch does its work, slower.
    """
    import torch  # noqa: PLC0415 - seconds, and it may be missing

    from splat_trainer.kernels.own.fill import fill_for_this_gpu  # noqa: PLC0415
    from splat_trainer.rasterize.choose import make_rasterizer  # noqa: PLC0415 - imports torch
    from splat_trainer.train.own_kernels import check_own_kernels, told  # noqa: PLC0415

    device = torch.device("cuda")
    try:
        kernels = check_own_kernels(make_rasterizer(device), device)
    except TrainerError as error:
        return Finding(_NAME, Verdict.FAULT, error.message)
    all_used = all(kernel.in_use for kernel in kernels)
    found = fill_for_this_gpu()
    where = f"compiled before: {found}" if found else "compiled here"
    return Finding(_NAME, Verdict.OK if all_used else Verdict.NOTE, f"{told(kernels)}, {where}")
