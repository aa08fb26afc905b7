"""A package in gsplat's place whose extension is a few lines of C++, compiled in a second."""

import os
import sys
from pathlib import Path

SOURCE = """
#define PY_SSIZE_T_CLEAN
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "gsplat_cuda", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_gsplat_cuda(void) {
    PyObject *made = PyModule_Create(&module);
    PyModule_AddIntConstant(made, "answer", ANSWER);
    return made;
}
"""

_BACKEND = """
try:
    from gsplat import csrc as _C
except ImportError:
    _C = None
"""


def write_stand_in(folder: Path, answer: str = "42") -> dict[str, str]:
    """Write the package; gives the environment in which Python finds it first."""
    package = folder / "gsplat"
    (package / "cuda" / "csrc").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "cuda" / "__init__.py").touch()
    (package / "cuda" / "_backend.py").write_text(_BACKEND)
    (package / "cuda" / "ext.cpp").write_text(SOURCE.replace("ANSWER", answer))
    metadata = folder / "gsplat-1.5.3.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: gsplat\nVersion: 1.5.3\n")
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    home = folder / "home"
    home.mkdir()
    scratch = folder / "scratch"
    scratch.mkdir()
    return {
        **os.environ,
        "PYTHONPATH": path,
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "CUDA_VISIBLE_DEVICES": "",
    }


def splat_trainer(*arguments: str) -> list[str]:
    """Give the command line of the trainer."""
    return [sys.executable, "-m", "splat_trainer.cli", *arguments]
