"""The cache: a build is there whole or not at all, and nothing that was touched is loaded."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splat_trainer.kernels.collect import collect
from splat_trainer.kernels.extension import LIBRARY
from splat_trainer.kernels.manifest import NAME, RefusedError
from splat_trainer.kernels.store import Store
from tests.unit.kernels.builds import ingredients, put


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def test_a_build_is_put_in_its_place_whole(store: Store, tmp_path: Path) -> None:
    manifest = put(store, tmp_path / "scratch")
    assert store.verified(manifest.key) == manifest
    assert sorted(path.name for path in store.root.iterdir()) == [manifest.key]
    assert (store.folder(manifest.key) / LIBRARY).read_bytes() == b"kernels"


def test_the_key_follows_from_all_ingredients() -> None:
    others = [ingredients("8.0"), ingredients("9.0+PTX"), ingredients(torch="2.7.0")]
    assert len({one.key for one in [ingredients(), *others]}) == 4
    assert ingredients().key == ingredients().key


def _cut(folder: Path) -> None:
    os.truncate(folder / LIBRARY, 3)


def _flip(folder: Path) -> None:
    (folder / LIBRARY).write_bytes(b"kernelz")


def _gone(folder: Path) -> None:
    (folder / LIBRARY).unlink()


def _linked(folder: Path) -> None:
    (folder / LIBRARY).rename(folder.parent / "elsewhere")
    (folder / LIBRARY).symlink_to(folder.parent / "elsewhere")


def _piped(folder: Path) -> None:
    (folder / LIBRARY).unlink()
    os.mkfifo(folder / LIBRARY)


def _half_a_manifest(folder: Path) -> None:
    os.truncate(folder / NAME, (folder / NAME).stat().st_size // 2)


def _climbing(folder: Path) -> None:
    text = (folder / NAME).read_text()
    (folder / NAME).write_text(text.replace(f'"{LIBRARY}"', '"../../etc/passwd"'))


def _not_listed(folder: Path) -> None:
    text = (folder / NAME).read_text()
    (folder / NAME).write_text(text.replace(f'"{LIBRARY}"', '"other.so"'))
    shutil.copy(folder / LIBRARY, folder / "other.so")
    (folder / LIBRARY).write_bytes(b"anything")


def _huge_manifest(folder: Path) -> None:
    os.truncate(folder / NAME, 1 << 33)


def _of_another_key(folder: Path) -> None:
    text = (folder / NAME).read_text()
    (folder / NAME).write_text(text.replace('"2.6.0"', '"2.7.0"'))


def _a_link_for_a_folder(folder: Path) -> None:
    aside = folder.parent / "aside"
    folder.rename(aside)
    folder.symlink_to(aside)


@pytest.mark.parametrize(
    "damage",
    [
        *(_cut, _flip, _gone, _linked, _piped, _half_a_manifest, _climbing, _not_listed),
        *(_huge_manifest, _of_another_key, _a_link_for_a_folder),
    ],
)
def test_what_was_touched_is_refused_in_one_line_and_a_new_build_takes_its_place(
    store: Store, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    key = put(store, tmp_path / "scratch").key
    damage(store.folder(key))
    with pytest.raises(RefusedError) as caught:
        store.verified(key)
    assert len(str(caught.value).splitlines()) == 1
    healed = put(store, tmp_path / "scratch")
    assert store.verified(key) == healed


@given(content=st.binary(max_size=300), cut=st.integers(0, 400))
def test_any_manifest_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    store = Store(folder)
    key = put(store, folder / "scratch").key
    written = (store.folder(key) / NAME).read_bytes()
    (store.folder(key) / NAME).write_bytes(written[:cut] + content)
    try:
        assert store.verified(key).key == key
    except RefusedError as refusal:
        assert len(str(refusal).splitlines()) == 1
    finally:
        shutil.rmtree(folder)


def test_a_sound_build_that_is_there_stays_when_a_second_one_comes(
    store: Store, tmp_path: Path
) -> None:
    first = put(store, tmp_path / "scratch", content=b"first")
    second = put(store, tmp_path / "scratch", content=b"second")
    assert second == first
    assert (store.folder(first.key) / LIBRARY).read_bytes() == b"first"


@pytest.mark.parametrize(
    "key",
    [
        *("", ".", "..", "../a", "a/b", ".hidden", "A", "a" * 200, "lost+found", "thesis-2.1"),
        *("gsplat-1.5.3-0123", f"gsplat-1.5.3-{'0' * 31}g", f"../a-{'0' * 32}", "0" * 32),
    ],
)
def test_what_is_no_key_names_no_folder(store: Store, key: str) -> None:
    with pytest.raises(ValueError, match="is no key"):
        store.folder(key)


def test_what_others_keep_in_the_cache_is_neither_counted_nor_removed(
    store: Store, tmp_path: Path
) -> None:
    kept = ["lost+found", "photos", "thesis-2.1", "triton-3.1.0"]
    for name in kept:
        (store.root / name).mkdir(parents=True)
        (store.root / name / "mine").write_bytes(bytes(1000))
    key = put(store, tmp_path / "scratch").key
    assert [entry.key for entry in store.entries()] == [key]
    assert collect(store, 0, set()) == (key,)
    assert store.bytes() == 0
    for name in kept:
        with pytest.raises(ValueError, match="is no key"):
            store.remove(name)
        assert (store.root / name / "mine").is_file()


def test_of_a_cache_that_is_too_large_the_longest_unused_go_but_none_in_use(
    store: Store, tmp_path: Path
) -> None:
    keys = []
    for number, architecture in enumerate(["7.5", "8.0", "8.6", "9.0"]):
        keys.append(put(store, tmp_path / "scratch", ingredients(architecture)).key)
        os.utime(store.folder(keys[-1]) / NAME, (1000 + number, 1000 + number))
    one = store.bytes() // 4
    assert collect(store, 2 * one + 10, {keys[0]}) == (keys[1], keys[2])
    assert [entry.key for entry in store.entries()] == sorted([keys[0], keys[3]])
    store.touch(keys[0])
    assert collect(store, one + 10, set()) == (keys[3],)


def test_a_damaged_build_goes_before_any_that_can_be_used(store: Store, tmp_path: Path) -> None:
    kept = put(store, tmp_path / "scratch", ingredients("8.0")).key
    damaged = put(store, tmp_path / "scratch", ingredients("9.0")).key
    os.utime(store.folder(kept) / NAME, (1000, 1000))
    _half_a_manifest(store.folder(damaged))
    assert collect(store, store.bytes() - 1, set()) == (damaged,)
