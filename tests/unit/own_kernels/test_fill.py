"""Triton's cache is filled from builds that fit and are sound, and from nothing else."""

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from splat_trainer.contract import KernelsSource
from splat_trainer.kernels.collect import collect
from splat_trainer.kernels.find import Search
from splat_trainer.kernels.ingredients import Ingredients, OwnIngredients
from splat_trainer.kernels.own.archive import ARCHIVE, ArchiveError, pack, unpack
from splat_trainer.kernels.own.fill import fill
from splat_trainer.kernels.own.identity import own_ingredients
from splat_trainer.kernels.store import Store
from tests.unit.kernels import builds
from tests.unit.kernels.stand_in import splat_trainer

pytest.importorskip("triton", reason="Triton is not installed")

FOLDER = "EOy86jDUj7P_nWxZStMtt-7gi6"


def cache_of_triton(folder: Path, binary: bytes = b"machine code") -> Path:
    """What Triton leaves in its cache for a kernel, and for its launcher."""
    kernel, launcher = folder / FOLDER, folder / "pgWZgnTJJV1Q0hyPusI02b"
    files = {"k.ttir": b"text", "k.cubin": binary, "k.json": b"{}"}
    for at in (kernel, launcher):
        at.mkdir(parents=True)
    for name, content in files.items():
        (kernel / name).write_bytes(content)
    group = {"child_paths": {name: str(kernel / name) for name in files}}
    (kernel / "__grp__k.json").write_text(json.dumps(group))
    (launcher / "__triton_launcher.cpython-312-x86_64-linux-gnu.so").write_bytes(b"launcher")
    return folder


def put(root: Path, scratch: Path, *, of: dict[str, str] | None = None) -> str:
    """Put a build of this trainer's kernels, or `of` other ones, into a store; gives its key."""
    here = own_ingredients(["8.6", "9.0+PTX"])
    assert here
    scratch.mkdir(parents=True)
    pack(cache_of_triton(scratch / "triton"), scratch / ARCHIVE)
    root.mkdir(exist_ok=True)
    made_of = here.model_copy(update=of)
    return Store(root).put(made_of, [scratch / ARCHIVE], 9.0).key


def filled(root: Path, home: Path, gpu: tuple[int, int] = (9, 0)) -> str | None:
    environ = {"SPLAT_KERNELS_DIR": str(root), "HOME": str(home)}
    return fill({**environ, "TRITON_CACHE_DIR": str(home / "triton")}, gpu)


def test_triton_finds_in_its_own_folder_what_launches_read(tmp_path: Path) -> None:
    key = put(tmp_path / "store", tmp_path / "scratch")
    assert filled(tmp_path / "store", tmp_path) == key
    kernel = tmp_path / "triton" / FOLDER
    assert sorted(one.name for one in kernel.iterdir()) == ["__grp__k.json", "k.cubin", "k.json"]
    group = json.loads((kernel / "__grp__k.json").read_text())
    paths = {name: str(kernel / name) for name in ("k.cubin", "k.json")}
    assert group == {"child_paths": paths}
    assert (kernel / "k.cubin").read_bytes() == b"machine code"
    assert len(list((tmp_path / "triton").glob("*/*.so"))) == 1


def test_what_triton_has_compiled_itself_stays(tmp_path: Path) -> None:
    put(tmp_path / "store", tmp_path / "scratch")
    cache_of_triton(tmp_path / "triton", b"its own")
    filled(tmp_path / "store", tmp_path)
    assert (tmp_path / "triton" / FOLDER / "k.cubin").read_bytes() == b"its own"


@pytest.mark.parametrize(
    "other", [{"triton": "9.9.9"}, {"python": "cpython-399"}, {"own_sources_sha256": "0" * 64}]
)
def test_a_build_of_something_else_is_passed_over(tmp_path: Path, other: dict[str, str]) -> None:
    put(tmp_path / "store", tmp_path / "scratch", of=other)
    assert filled(tmp_path / "store", tmp_path) is None
    assert not (tmp_path / "triton").exists()


def test_a_build_for_other_gpus_is_passed_over(tmp_path: Path) -> None:
    put(tmp_path / "store", tmp_path / "scratch")
    assert filled(tmp_path / "store", tmp_path, (8, 9)) is None
    assert filled(tmp_path / "store", tmp_path, (8, 6)) is not None


def test_a_store_with_gsplats_kernels_alone_fills_nothing(tmp_path: Path) -> None:
    builds.put(Store(tmp_path / "store"), tmp_path / "scratch")
    assert filled(tmp_path / "store", tmp_path) is None


@pytest.mark.parametrize("damage", ["changed", "cut", "gone", "a link"])
def test_a_damaged_build_is_told_and_passed_over(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = put(tmp_path / "store", tmp_path / "scratch")
    archive = tmp_path / "store" / key / ARCHIVE
    content = archive.read_bytes()
    archive.unlink()
    if damage == "changed":
        archive.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
    elif damage == "cut":
        archive.write_bytes(content[:-1])
    elif damage == "a link":
        archive.symlink_to(tmp_path / "scratch" / ARCHIVE)
    assert filled(tmp_path / "store", tmp_path) is None
    assert not (tmp_path / "triton").exists()
    assert f"{key}: {ARCHIVE} " in caplog.text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("../outside/k.cubin", b""),
        ("/etc/passwd", b""),
        (f"{FOLDER}/../../k.cubin", b""),
        ("k.cubin", b""),
        (f"{FOLDER}/.hidden", b""),
        (f"{FOLDER}/__grp__k.json", b"no JSON"),
        (f"{FOLDER}/__grp__k.json", b"[1]"),
        (f"{FOLDER}/__grp__k.json", b'{"child_paths": 1}'),
    ],
)
def test_an_archive_of_something_else_writes_nothing(
    tmp_path: Path, name: str, content: bytes
) -> None:
    with zipfile.ZipFile(tmp_path / ARCHIVE, "w") as archive:
        archive.writestr(name, content)
    with pytest.raises(ArchiveError):
        unpack((tmp_path / ARCHIVE).read_bytes(), tmp_path / "within" / "triton")
    assert [one.name for one in tmp_path.iterdir()] == [ARCHIVE]


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="cannot be read"):
        unpack(b"PK\x03\x04 and no more", tmp_path)


def test_a_manifest_lists_what_is_loaded(tmp_path: Path) -> None:
    here = own_ingredients(["9.0"])
    assert here
    (tmp_path / "other").write_bytes(b"")
    with pytest.raises(ValueError, match=f"it does not list {ARCHIVE}"):
        Store(tmp_path).put(here, [tmp_path / "other"], 1)


def test_keys_of_own_kernels_are_told_from_gsplats() -> None:
    here = own_ingredients(["9.0a", "9.0+PTX", "8.6"])
    assert isinstance(here, OwnIngredients)
    assert here.architectures == ("9.0", "8.6")
    assert here.key.startswith("triton-")
    odd = here.model_copy(update={"triton": "3.2.0+git1_X"})
    Store(Path()).folder(odd.key)  # which takes keys alone
    assert isinstance(builds.ingredients(), Ingredients)


def test_who_looks_for_gsplats_kernels_takes_them_for_no_fault(tmp_path: Path) -> None:
    put(tmp_path / "store", tmp_path / "scratch")
    search = Search(builds.RUNTIME, (9, 0))
    assert list(search.through(tmp_path / "store", KernelsSource.CACHE)) == []
    assert search.refusals == []


def test_the_command_lists_and_verifies_them(tmp_path: Path) -> None:
    key = put(tmp_path / "store", tmp_path / "scratch")
    (listed,), (told,), (sound,) = (
        subprocess.run(
            splat_trainer("kernels", action, "--cache", str(tmp_path / "store"), *flags),
            capture_output=True,
            check=True,
            text=True,
        ).stdout.splitlines()
        for action, *flags in (("list",), ("list", "--json"), ("verify",))
    )
    assert listed.startswith(key)
    assert "8.6 9.0  triton " in listed
    assert json.loads(told)["builds"][0]["architectures"] == ["8.6", "9.0"]
    assert sound == f"{key}  sound"


def test_a_cache_that_is_made_smaller_keeps_them_longest(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    old = put(store.root, tmp_path / "old", of={"triton": "0.1"})
    gsplats = builds.put(store, tmp_path / "scratch", content=bytes(9000)).key
    assert collect(store, store.bytes() - 1, set()) == (gsplats,)
    assert collect(store, 0, set()) == (old,)
