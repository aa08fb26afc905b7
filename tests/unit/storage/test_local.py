"""Captures in folders, outputs in folders."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.storage import fetch_capture, open_output
from splat_trainer.storage.fault import local_fault
from splat_trainer.storage.local import copy_atomically
from tests.unit.unprivileged import unprivileged


def written(folder: Path, data: bytes = b"splat") -> Path:
    path = folder / "made.ply"
    path.write_bytes(data)
    return path


def test_a_folder_is_used_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "capture").mkdir()
    uri = str(tmp_path / "capture")
    assert fetch_capture(uri, tmp_path / "scratch") == tmp_path / "capture"
    assert fetch_capture(f"file://{uri}", tmp_path / "scratch") == tmp_path / "capture"
    assert not (tmp_path / "scratch").exists()


def test_a_capture_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="is not there") as caught:
        fetch_capture(str(tmp_path / "nothing"), tmp_path)
    assert caught.value.reason is Reason.CAPTURE_NOT_FOUND


def test_a_file_that_is_no_archive_is_no_capture(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match=r"\.zip, \.tar") as caught:
        fetch_capture(str(written(tmp_path)), tmp_path)
    assert caught.value.reason is Reason.INVALID_CAPTURE


def test_a_file_is_put_with_its_size_and_digest(tmp_path: Path) -> None:
    output = open_output(str(tmp_path / "out"))
    put = output.put(written(tmp_path), "sub/point_cloud.ply", "ply")
    target = tmp_path / "out" / "sub" / "point_cloud.ply"
    assert target.read_bytes() == b"splat"
    assert target.stat().st_mode & 0o777 == 0o644
    assert put.model_dump(by_alias=False) == {
        "format": "ply",
        "uri": str(target),
        "bytes": 5,
        "sha256": hashlib.sha256(b"splat").hexdigest(),
    }


def test_a_file_put_again_replaces_the_old_one(tmp_path: Path) -> None:
    output = open_output(str(tmp_path / "out"))
    output.put(written(tmp_path, b"old"), "a", "ply")
    output.put(written(tmp_path, b"new"), "a", "ply")
    assert (tmp_path / "out" / "a").read_bytes() == b"new"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]


def test_a_file_that_lies_at_its_place_already_is_only_described(tmp_path: Path) -> None:
    output = open_output(str(tmp_path))
    path = written(tmp_path)
    before = path.stat()
    assert output.put(path, "made.ply", "ply").bytes == 5
    assert path.stat().st_ino == before.st_ino


def test_a_copy_that_fails_half_way_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = written(tmp_path, b"new" * 1000), tmp_path / "target"
    target.write_bytes(b"old")

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(TrainerError, match=r"No space left.*free space there") as caught:
        copy_atomically(source, target, full_disk)
    assert caught.value.reason is Reason.STORAGE_UNAVAILABLE
    assert target.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.ply", "target"]


def test_a_disk_that_fills_is_storage_that_failed(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="No space left") as caught:
        from splat_trainer.storage.fault import local_faults

        with local_faults("write", Path("/dev/full")), Path("/dev/full").open("wb") as full:
            full.write(b"x" * 100_000)
    assert caught.value.reason is Reason.STORAGE_UNAVAILABLE


def test_files_are_got_listed_and_removed(tmp_path: Path) -> None:
    output = open_output(str(tmp_path / "out"))
    assert output.names("checkpoints") == []
    for name in ("checkpoints/b", "checkpoints/a", "other"):
        output.put(written(tmp_path, name.encode()), name, "checkpoint")
    assert output.names("checkpoints") == ["checkpoints/a", "checkpoints/b"]
    assert output.get("checkpoints/b", tmp_path / "back" / "b")
    assert (tmp_path / "back" / "b").read_bytes() == b"checkpoints/b"
    assert not output.get("checkpoints/c", tmp_path / "back" / "c")
    output.delete("checkpoints/b")
    output.delete("checkpoints/b")
    assert output.names("checkpoints") == ["checkpoints/a"]


def test_opening_leaves_no_trace_but_the_folder(tmp_path: Path) -> None:
    open_output(str(tmp_path / "new" / "out"))
    assert list((tmp_path / "new" / "out").iterdir()) == []


def test_an_output_in_a_files_place_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="cannot write") as caught:
        open_output(str(written(tmp_path) / "out"))
    assert caught.value.reason is Reason.INVALID_CONFIGURATION


@pytest.mark.parametrize("place", ["/proc/splat-out", "/sys/splat-out"])
def test_a_place_that_cannot_be_written_is_refused_at_once(place: str) -> None:
    with pytest.raises(TrainerError, match="cannot write") as caught:
        open_output(place)
    assert caught.value.exit_code.value in (66, 78)


@pytest.mark.parametrize(
    ("doing", "reason"),
    [
        ("read", Reason.CAPTURE_NOT_FOUND),
        ("unpack", Reason.CAPTURE_NOT_FOUND),
        ("write", Reason.INVALID_CONFIGURATION),
        ("remove", Reason.INVALID_CONFIGURATION),
    ],
)
def test_what_is_not_there_is_blamed_on_the_capture_only_where_it_is_read(
    doing: str, reason: Reason, tmp_path: Path
) -> None:
    missing = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    fault = local_fault(missing, doing, tmp_path / "nowhere" / "x.spz")
    assert fault.reason is reason
    assert f"cannot {doing} {tmp_path}/nowhere/x.spz" in fault.message


def test_a_folder_without_permission_is_denied(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0o500)
    with (
        unprivileged(),
        pytest.raises(TrainerError, match=r"let user .* write it") as caught,
    ):
        open_output(str(tmp_path / "shut" / "out"))
    assert caught.value.reason is Reason.STORAGE_DENIED


@pytest.mark.parametrize("name", ["../a", "/a", ""])
def test_a_name_that_leads_out_of_the_output_is_refused(name: str, tmp_path: Path) -> None:
    output = open_output(str(tmp_path / "out"))
    for act in (lambda: output.put(written(tmp_path), name, "ply"), lambda: output.delete(name)):
        with pytest.raises(TrainerError, match="leads out of the output"):
            act()
