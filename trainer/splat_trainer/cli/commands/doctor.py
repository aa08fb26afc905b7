"""`splat-trainer doctor`: whether this machine can train, and why not."""

import json
from dataclasses import asdict

from splat_trainer.cli.diagnosis.finding import Finding, Verdict
from splat_trainer.cli.diagnosis.gpu import capability, look_for_gpu
from splat_trainer.cli.diagnosis.kernels import look_for_kernels
from splat_trainer.cli.diagnosis.own_kernels import look_at_own_kernels
from splat_trainer.cli.diagnosis.surroundings import (
    look_at_machine,
    look_at_packages,
    look_at_s3,
    look_at_scratch,
    look_at_space,
    look_at_versions,
)
from splat_trainer.cli.invocation import Invocation

_SIGNS = {Verdict.OK: "ok   ", Verdict.NOTE: "note ", Verdict.FAULT: "FAULT"}


def run(invocation: Invocation) -> int:
    """Print the findings; 0 if nothing keeps a training from working, else 1."""
    arguments = invocation.arguments
    gpu = look_for_gpu(arguments.device)
    findings = [gpu]
    if arguments.device != "cpu":
        gpu_wanted = gpu.verdict is Verdict.OK or arguments.device == "cuda"
        kernels = look_for_kernels(invocation.environ, gpu_wanted, capability())
        findings.append(kernels)
        if capability() and kernels.verdict is Verdict.OK:
            findings.append(look_at_own_kernels())
    findings += [
        look_at_packages(),
        look_at_versions(),
        look_at_machine(),
        look_at_space(arguments.output, "output"),
        look_at_scratch(),
        look_at_s3(invocation.environ),
    ]
    can_train = all(finding.verdict is not Verdict.FAULT for finding in findings)
    if arguments.json:
        print(json.dumps({"canTrain": can_train, "findings": [asdict(f) for f in findings]}))
    else:
        print(*map(_line, findings), sep="\n")
    return 0 if can_train else 1


def _line(finding: Finding) -> str:
    return f"{_SIGNS[finding.verdict]}  {finding.name:<13} {finding.detail}"
