"""`splat-trainer kernels`, with a small extension in gsplat's place and a real compiler."""

import json
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from splat_trainer.contract import KernelsDocument, KernelsOutcome, Reason
from splat_trainer.kernels.extension import LIBRARY
from tests.unit.kernels.stand_in import splat_trainer, write_stand_in

needs_compiler = pytest.mark.skipif(
    not shutil.which("c++") or not (Path(sysconfig.get_path("include")) / "Python.h").exists(),
    reason="no C++ compiler, or no headers of Python",
)

LOAD = (
    "from splat_trainer.kernels.ensure import ensure_kernels; use = ensure_kernels(); "
    "from gsplat.cuda._backend import _C; print(_C.answer, use.source, use.key, use.refused)"
)


class Cache:
    """A cache and a package whose kernels go into it."""

    def __init__(self, folder: Path, answer: str = "42") -> None:
        self.folder = folder / "cache"
        self.message = folder / "termination-log"
        self._environ = write_stand_in(folder, answer)

    def kernels(self, action: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self.run(
            splat_trainer("kernels", action, "--cache", str(self.folder), *arguments),
            SPLAT_RESULT_PATH=str(self.message),
        )

    def build(self, *arguments: str) -> KernelsDocument:
        done = self.kernels("build", "--architectures", "9.0", *arguments)
        told = KernelsDocument.model_validate_json(done.stdout.splitlines()[-1])
        assert told == KernelsDocument.model_validate_json(self.message.read_text())
        return told

    def load(self, **environ: str) -> "subprocess.CompletedProcess[str]":
        # Without a compiler to be found: what is loaded was compiled before.
        return self.run(
            [splat_trainer()[0], "-c", LOAD],
            SPLAT_KERNELS_DIR=str(self.folder),
            PATH="/nowhere",
            **environ,
        )

    def run(self, command: list[str], **environ: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            env={**self._environ, **environ},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cache, KernelsDocument]:
    """A cache with one build, and what was told of it; whoever damages it leaves it healed."""
    cache = Cache(tmp_path_factory.mktemp("filled"))
    return cache, cache.build()


@needs_compiler
def test_what_is_built_is_found_again_listed_sound_and_loaded_without_a_compiler(
    filled: tuple[Cache, KernelsDocument],
) -> None:
    cache, built = filled
    assert (built.outcome, built.architectures) == (KernelsOutcome.BUILT, ("9.0",))
    assert built.key is not None
    assert cache.build().outcome is KernelsOutcome.HIT
    listed = json.loads(cache.kernels("list", "--json").stdout)["builds"]
    assert [(one["key"], one["architectures"]) for one in listed] == [(built.key, ["9.0"])]
    assert "sound" in cache.kernels("verify").stdout
    loaded = cache.load(SPLAT_KERNELS_ON_MISS="fail")
    assert loaded.stdout.split() == ["42", "Cache", built.key, "None"], loaded.stderr


@needs_compiler
def test_a_damaged_build_is_refused_then_healed(filled: tuple[Cache, KernelsDocument]) -> None:
    cache, built = filled
    library = cache.folder / str(built.key) / LIBRARY
    library.write_bytes(library.read_bytes()[:-1] + b"\x01")
    refused = cache.load(SPLAT_KERNELS_ON_MISS="fail")
    assert refused.returncode
    assert f"{LIBRARY} is damaged" in refused.stderr
    assert cache.kernels("verify").returncode == 78
    healed = cache.build()
    assert healed.outcome is KernelsOutcome.BUILT
    assert "damaged" in healed.message
    assert cache.kernels("verify").returncode == 0


@needs_compiler
def test_where_compiling_fails_the_document_has_the_compilers_words(tmp_path: Path) -> None:
    cache = Cache(tmp_path, answer="no_such_thing")
    told = cache.build()
    assert (told.outcome, told.reason) == (KernelsOutcome.FAILED, Reason.KERNELS_NOT_COMPILED)
    assert "no_such_thing" in told.message
    assert list(cache.folder.glob("[!.]*")) == []


def test_a_cache_that_cannot_be_written_is_told_with_its_path(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.folder.touch()
    told = cache.build()
    assert told.outcome is KernelsOutcome.FAILED
    assert told.reason in (Reason.STORAGE_DENIED, Reason.KERNELS_NOT_COMPILED)
    assert told.reason is not Reason.STORAGE_DENIED or str(cache.folder) in told.message


def test_what_is_no_architecture_is_the_configurations_fault(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    done = cache.kernels("build", "--architectures", "sm_90")
    assert done.returncode == 78
    assert "'sm_90' is no GPU architecture" in done.stderr or "sm_90" in done.stderr
    assert KernelsDocument.model_validate_json(done.stdout).outcome is KernelsOutcome.FAILED


def test_a_cache_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = Cache(tmp_path).kernels("list")
    assert done.returncode == 78
    assert "is no folder" in done.stderr


def test_a_folder_that_is_no_build_fails_no_verifying_and_stays(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    (cache.folder / "lost+found").mkdir(parents=True)
    assert cache.kernels("verify").returncode == 0
    assert cache.kernels("gc", "--max-bytes", "0").returncode == 0
    assert (cache.folder / "lost+found").is_dir()
