"""Kernels are loaded by path, or refused in one line; a compiler is asked for only without them."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import torch

from splat_trainer.contract import TrainerError, environment
from splat_trainer.contract.result import Reason
from splat_trainer.kernels.ensure import ensure_kernels, load_kernels
from splat_trainer.kernels.extension import LIBRARY
from splat_trainer.kernels.load import load_library
from tests.unit.kernels.stand_in import SOURCE


def test_a_folder_without_the_library_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="holds no gsplat_cuda") as caught:
        load_library(tmp_path / LIBRARY)
    assert caught.value.reason is Reason.INVALID_CONFIGURATION


def test_where_compiling_is_forbidden_a_cache_without_kernels_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(environment.KERNELS_DIR, str(tmp_path))
    monkeypatch.setenv(environment.KERNELS_ON_MISS, "fail")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(TrainerError, match=str(tmp_path)) as caught:
        ensure_kernels()
    assert caught.value.reason is Reason.KERNELS_NOT_FOUND


def test_a_policy_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.KERNELS_ON_MISS, "maybe")
    with pytest.raises(TrainerError, match="compile or fail"):
        ensure_kernels()


@pytest.mark.parametrize("content", [b"", b"no library", b"\x7fELF" + bytes(100)])
def test_a_file_that_is_no_library_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / LIBRARY
    path.write_bytes(content)
    with pytest.raises(TrainerError, match="does not load") as caught:
        load_library(path)
    assert "\n" not in caught.value.message


def test_without_kernels_and_without_a_gpu_that_is_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    monkeypatch.delenv(environment.KERNELS_DIR, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(TrainerError, match="no GPU to compile"):
        ensure_kernels()


def test_what_would_have_to_be_compiled_is_not_loaded_and_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(environment.KERNELS_DIR, str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_kernels() is None
    monkeypatch.setenv(environment.KERNELS_ON_MISS, "fail")
    with pytest.raises(TrainerError) as caught:
        load_kernels()
    assert caught.value.reason is Reason.KERNELS_NOT_FOUND


def test_gsplat_finds_the_library_that_was_loaded_by_path(tmp_path: Path) -> None:
    source = tmp_path / "extension.c"
    source.write_text(SOURCE.replace("ANSWER", "42"))
    include = sysconfig.get_path("include")
    if not (Path(include) / "Python.h").exists():
        pytest.skip("Python's headers are not installed")
    built = subprocess.run(
        ["cc", "-shared", "-fPIC", f"-I{include}", str(source), "-o", str(tmp_path / LIBRARY)],
        check=False,
        capture_output=True,
    )
    if built.returncode:
        pytest.skip("no C compiler here")
    program = (
        "from splat_trainer.kernels.ensure import ensure_kernels; ensure_kernels(); "
        "from gsplat.cuda._backend import _C; print(_C.answer)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, environment.KERNELS_DIR: str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "42", done.stderr
