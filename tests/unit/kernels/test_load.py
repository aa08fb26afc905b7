"""Kernels are loaded by path, or refused in one line; a compiler is asked for only without them."""

import importlib
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from splat_trainer.contract import TrainerError, environment
from splat_trainer.contract.result import Reason
from splat_trainer.kernels.load import LIBRARY, ensure_kernels, load_library


def test_a_folder_without_the_library_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(environment.KERNELS_DIR, str(tmp_path))
    with pytest.raises(TrainerError, match="holds no gsplat_cuda") as caught:
        ensure_kernels()
    assert caught.value.reason is Reason.INVALID_CONFIGURATION


@pytest.mark.parametrize("content", [b"", b"no library", b"\x7fELF" + bytes(100)])
def test_a_file_that_is_no_library_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / LIBRARY
    path.write_bytes(content)
    with pytest.raises(TrainerError, match="does not load") as caught:
        load_library(path)
    assert "\n" not in caught.value.message


def test_without_kernels_and_without_a_compiler_that_is_what_it_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(environment.KERNELS_DIR, raising=False)
    backend = importlib.import_module("gsplat.cuda._backend")
    if backend._C is not None:
        pytest.skip("gsplat's kernels are compiled here")
    with pytest.raises(TrainerError, match="no nvcc"):
        ensure_kernels()


EXTENSION = """
#define PY_SSIZE_T_CLEAN
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "gsplat_cuda", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_gsplat_cuda(void) {
    PyObject *made = PyModule_Create(&module);
    PyModule_AddIntConstant(made, "answer", 42);
    return made;
}
"""


def test_gsplat_finds_the_library_that_was_loaded_by_path(tmp_path: Path) -> None:
    source = tmp_path / "extension.c"
    source.write_text(EXTENSION)
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
        "from splat_trainer.kernels.load import ensure_kernels; ensure_kernels(); "
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
