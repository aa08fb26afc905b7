"""Whether gsplat's CUDA kernels would load or have to be compiled; loads and compiles nothing."""

from collections.abc import Mapping

from splat_trainer.cli.diagnosis.finding import Finding, Verdict
from splat_trainer.contract import TrainerError, environment
from splat_trainer.kernels.architectures import Capability
from splat_trainer.kernels.ensure import find_kernels, on_miss
from splat_trainer.kernels.extension import installed_gsplat, runtime_here
from splat_trainer.kernels.find import Search
from splat_trainer.kernels.places import named_store
from splat_trainer.kernels.toolchain import find_toolchain

_NAME = "CUDA kernels"


def look_for_kernels(
    environ: Mapping[str, str], gpu_wanted: bool, gpu: Capability | None = None
) -> Finding:
    """Say where the kernels would come from; their lack is a fault where a GPU is to be used.

    `gpu` is the compute capability to look for; None takes kernels for any GPU.
    """
    missing = Verdict.FAULT if gpu_wanted else Verdict.NOTE
    try:
        search = Search(runtime_here(installed_gsplat()), gpu)
        found = next(find_kernels(search, environ), None)
        passed_over = "; ".join(search.refusals)
        if found:
            but = f" (passed over: {passed_over})" if passed_over else ""
            return Finding(_NAME, Verdict.OK, f"ready: {found.key or found.library}{but}")
        named = named_store(environ)
        why = f"{named}: {search.why_not()}; " if named else ""
        if on_miss(environ) == "fail":
            return Finding(
                _NAME, missing, f"{why}{environment.KERNELS_ON_MISS} says not to compile"
            )
        compilers = find_toolchain(environ, cuda=True).identity
    except TrainerError as error:
        return Finding(_NAME, missing, error.message)
    return Finding(
        _NAME, Verdict.NOTE, f"{why}would be compiled at start, which takes minutes, by {compilers}"
    )
