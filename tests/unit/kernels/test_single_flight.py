"""Many processes want one build: it is made once, whoever of them dies on the way."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.kernels.extension import LIBRARY
from splat_trainer.kernels.lease import Leases, Sighting, Timing, Watch, parse_lease
from splat_trainer.kernels.manifest import Manifest
from splat_trainer.kernels.single_flight import SingleFlight
from splat_trainer.kernels.store import Store
from tests.unit.kernels.builds import ingredients, put

KEY = ingredients().key

_WANTING = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from splat_trainer.kernels.lease import Timing
    from splat_trainer.kernels.single_flight import SingleFlight
    from splat_trainer.kernels.store import Store
    from tests.unit.kernels.builds import ingredients, put

    root, scratch, builds = map(Path, sys.argv[1:])
    store = Store(root)

    def build():
        with builds.open("a") as told:
            told.write("begun\\n")
        time.sleep(0.7)
        manifest = put(store, scratch, content=b"x" * 500_000)
        with builds.open("a") as told:
            told.write("done\\n")
        return manifest

    timing = Timing(beat_seconds=0.1, patience_seconds=3.0, poll_seconds=0.02)
    manifest, built = SingleFlight(store, ingredients().key, timing).obtain(build)
    assert store.verified(manifest.key) == manifest
    print("built" if built else "found")
    """
)


def wanting(folder: Path, name: str) -> "subprocess.Popen[str]":
    """A process that wants the build."""
    root = folder / "cache"
    root.mkdir(exist_ok=True)
    arguments = [str(root), str(folder / name), str(folder / "builds")]
    return subprocess.Popen(
        [sys.executable, "-c", _WANTING, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(folder: Path) -> list[str]:
    path = folder / "builds"
    return path.read_text().split() if path.exists() else []


def test_of_sixteen_processes_on_a_cold_folder_one_builds_and_all_are_served(
    tmp_path: Path,
) -> None:
    processes = [wanting(tmp_path, f"scratch-{number}") for number in range(16)]
    said = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 16, said
    assert sorted(out.strip() for out, _ in said) == ["built"] + ["found"] * 15
    assert told(tmp_path) == ["begun", "done"]


def test_a_builder_killed_at_any_moment_is_replaced_and_leaves_one_sound_build(
    tmp_path: Path,
) -> None:
    moments = [tmp_path / str(number) for number in range(10)]
    for folder in moments:
        folder.mkdir()
    victims = [wanting(folder, "scratch-1") for folder in moments]
    for folder in moments:
        while not told(folder):
            time.sleep(0.01)
    started = time.monotonic()
    for number, victim in enumerate(victims):
        time.sleep(max(0.0, started + number * 0.1 - time.monotonic()))
        victim.kill()
        victim.communicate()
    heirs = [wanting(folder, "scratch-2") for folder in moments]
    for folder, heir in zip(moments, heirs, strict=True):
        out, error = heir.communicate(timeout=30)
        assert heir.returncode == 0, error
        assert told(folder).count("done") <= 1 or out.strip() == "found"
        assert Store(folder / "cache").verified(KEY).key == KEY
        left = [path.name for path in (folder / "cache").iterdir()]
        assert [name for name in left if name.startswith((".new-", ".old-"))] == []


def flight(store: Store) -> SingleFlight:
    return SingleFlight(store, KEY, Timing(0.05, 0.5, 0.02))


def test_a_damaged_build_is_made_again_and_the_damage_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    put(store, tmp_path / "scratch")
    (store.folder(KEY) / LIBRARY).write_bytes(b"kernelz")
    wanted = flight(store)
    manifest, built = wanted.obtain(lambda: put(store, tmp_path / "scratch"))
    assert built
    assert store.verified(KEY) == manifest
    assert wanted.refusal is not None
    assert "damaged" in wanted.refusal


def test_a_holder_that_was_thought_dead_and_cleared_away_takes_the_others_build(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path / "cache")
    store.root.mkdir()

    def stalled() -> Manifest:
        leases = Leases(store.root, KEY)
        heir = leases.take(leases.newest())
        assert heir is not None
        put(store, tmp_path / "scratch")
        heir.done()
        raise FileNotFoundError(2, "No such file or directory", "what the heir has removed")

    manifest, built = flight(store).obtain(stalled)
    assert not built
    assert store.verified(KEY) == manifest


def test_a_file_that_a_build_lacks_is_told_where_nobody_took_over(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    store.root.mkdir()

    def lacking() -> Manifest:
        raise FileNotFoundError(2, "No such file or directory", "a header")

    with pytest.raises(FileNotFoundError):
        flight(store).obtain(lacking)


def test_a_build_that_fails_is_tried_by_the_next_who_comes(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    store.root.mkdir()

    def failing() -> Manifest:
        raise TrainerError(Reason.KERNELS_NOT_COMPILED, "nvcc says no")

    with pytest.raises(TrainerError, match="nvcc says no"):
        flight(store).obtain(failing)
    _, built = flight(store).obtain(lambda: put(store, tmp_path / "scratch"))
    assert built


def test_a_lease_whose_file_is_garbage_is_waited_for_no_longer_than_patience(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path / "cache")
    store.root.mkdir()
    (store.root / f".lease-{KEY}.7").write_bytes(b"\xff" * 100)
    _, built = flight(store).obtain(lambda: put(store, tmp_path / "scratch"))
    assert built


@pytest.mark.parametrize("kind", ["folder", "link", "fifo"])
def test_what_lies_in_a_leases_place_and_is_no_file_is_passed_over(
    kind: str, tmp_path: Path
) -> None:
    store = Store(tmp_path / "cache")
    store.root.mkdir()
    place = store.root / f".lease-{KEY}.1"
    if kind == "folder":
        place.mkdir()
    elif kind == "link":
        place.symlink_to(tmp_path / "elsewhere")
    else:
        os.mkfifo(place)
    _, built = flight(store).obtain(lambda: put(store, tmp_path / "scratch"))
    assert built


@given(st.binary(max_size=5000))
def test_any_lease_is_read_or_taken_for_none(content: bytes) -> None:
    record = parse_lease(content)
    assert record is None or len(record.holder) <= 64


@given(st.lists(st.tuples(st.floats(0.01, 3), st.booleans()), max_size=30))
def test_a_holder_is_given_up_only_when_nothing_new_came_for_as_long_as_patience_lasts(
    looks: list[tuple[float, bool]],
) -> None:
    watch, now, since, beat = Watch(5.0), 0.0, 0.0, 0
    for seconds, beats in [(0.0, True), *looks]:
        now += seconds
        if beats:
            beat, since = beat + 1, now
        sighting = _sighting(beat)
        assert watch.lives(sighting, now) is (now - since < 5.0)


def test_of_two_who_take_over_one_gets_the_lease(tmp_path: Path) -> None:
    first, second = Leases(tmp_path, KEY), Leases(tmp_path, KEY)
    seen = first.newest()
    held = first.take(seen)
    assert held is not None
    assert second.take(seen) is None
    held.done()
    assert first.newest() is None


def test_a_lease_is_seen_where_the_listing_of_the_folder_is_an_old_one(tmp_path: Path) -> None:
    class Stale(Leases):
        def _numbers(self) -> Iterator[int]:
            return iter(())

    held = Leases(tmp_path, KEY).take(None)
    assert held is not None
    seen = Stale(tmp_path, KEY).newest()
    assert seen is not None
    assert seen.number == 1
    held.done()


def _sighting(beat: int) -> Sighting:
    return Sighting(1, f"beat {beat}".encode(), None)
