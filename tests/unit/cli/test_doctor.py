import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import splat_trainer
from splat_trainer.cli.diagnosis import surroundings
from splat_trainer.cli.diagnosis.finding import Verdict
from splat_trainer.cli.diagnosis.kernels import look_for_kernels
from splat_trainer.cli.diagnosis.surroundings import NEEDED_MODULES, look_at_s3, look_at_space
from splat_trainer.kernels.toolchain import find_cuda_home


def doctor(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "splat_trainer.cli", "doctor", *args],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_machine_without_a_gpu_can_train_on_its_cpu() -> None:
    process = doctor()
    assert process.returncode == 0
    assert "training would be slow on the CPU" in process.stdout
    assert "torch" in process.stdout


def test_a_gpu_that_is_wanted_and_missing_is_a_fault() -> None:
    process = doctor("--device", "cuda", "--json")
    assert process.returncode == 1
    document = json.loads(process.stdout)
    assert document["canTrain"] is False
    verdicts = {finding["name"]: finding["verdict"] for finding in document["findings"]}
    assert verdicts["GPU"] == "fault"


def test_secrets_are_named_and_never_shown() -> None:
    secrets = {"AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_ACCESS_KEY_ID": "AKIA1"}
    process = doctor("--device", "cpu", **secrets)
    assert "AWS_SECRET_ACCESS_KEY" in process.stdout
    assert "hunter2" not in process.stdout
    assert "AKIA1" not in process.stdout


def test_no_variable_of_s3_is_told_as_such() -> None:
    assert look_at_s3({"AWS_REGION": ""}).detail == "set: none of its variables"


def test_kernels_in_the_named_folder_are_ready(tmp_path: Path) -> None:
    (tmp_path / "gsplat_cuda.so").touch()
    finding = look_for_kernels({"SPLAT_KERNELS_DIR": str(tmp_path)}, gpu_wanted=True)
    assert finding.verdict is Verdict.OK
    assert str(tmp_path / "gsplat_cuda.so") in finding.detail


def test_a_named_folder_without_kernels_is_a_fault_where_none_may_be_compiled(
    tmp_path: Path,
) -> None:
    environ = {
        "HOME": str(tmp_path),
        "SPLAT_KERNELS_DIR": str(tmp_path),
        "SPLAT_KERNELS_ON_MISS": "fail",
    }
    finding = look_for_kernels(environ, gpu_wanted=True)
    assert finding.verdict is Verdict.FAULT
    assert str(tmp_path) in finding.detail


def test_kernels_that_would_be_compiled_are_no_fault(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    nvcc = tmp_path / "bin" / "nvcc"
    nvcc.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 13.0, V13.0.88'\n")
    nvcc.chmod(0o755)
    environ = {"HOME": str(tmp_path), "CUDA_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    finding = look_for_kernels(environ, gpu_wanted=True)
    assert finding.verdict is Verdict.NOTE
    assert "compiled at start" in finding.detail
    assert "nvcc 13.0.88" in finding.detail


def test_no_kernels_and_no_compiler_is_a_fault_only_with_a_gpu(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "PATH": str(tmp_path)}
    if find_cuda_home(environ):
        pytest.skip("this machine has a CUDA toolkit")
    assert look_for_kernels(environ, gpu_wanted=True).verdict is Verdict.FAULT
    assert look_for_kernels(environ, gpu_wanted=False).verdict is Verdict.NOTE


def test_a_folder_that_is_yet_to_be_made_counts_by_the_one_above(tmp_path: Path) -> None:
    finding = look_at_space(tmp_path / "a" / "b", "output")
    assert finding.verdict in (Verdict.OK, Verdict.NOTE)
    assert str(tmp_path) in finding.detail


def test_a_file_in_the_way_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert look_at_space(tmp_path / "a", "output").verdict is Verdict.FAULT


def test_the_packages_looked_for_are_those_that_the_trainer_imports() -> None:
    source = Path(splat_trainer.__file__).parent
    imported = {
        name.split(".")[0]
        for file in source.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    others = imported - sys.stdlib_module_names - {"splat_trainer"}
    with_others = {"annotated_types", "botocore", "mypy_boto3_s3", "pydantic_core", "triton"}
    optional = {"gsplat"}
    assert others - with_others - optional == set(NEEDED_MODULES)


def test_a_package_that_is_missing_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "NEEDED_MODULES", ("numpy", "no_such_module"))
    finding = surroundings.look_at_packages()
    assert finding.verdict is Verdict.FAULT
    assert finding.detail == "not installed: no_such_module"
