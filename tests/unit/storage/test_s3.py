"""Captures on S3 and outputs to S3, by a real server."""

import hashlib
import os
from pathlib import Path

import pytest

from splat_trainer.capture.load import load_scene
from splat_trainer.cli.workspace import open_scratch
from splat_trainer.contract import Reason, TrainConfig, TrainerError
from splat_trainer.storage import fetch_capture, open_output
from tests.s3_server import S3Server
from tests.unit.capture.small_model import write_small_capture
from tests.unit.storage.relay import failing_relay
from tests.unit.storage.test_archives import FILES, contents, packed


def upload(s3: S3Server, files: dict[str, bytes], bucket: str = "captures") -> None:
    for name, data in files.items():
        path = s3.root / bucket / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def test_a_capture_under_a_prefix_is_fetched_whole(s3: S3Server, tmp_path: Path) -> None:
    upload(s3, {f"scenes/a/{name}": data for name, data in FILES.items()})
    upload(s3, {"scenes/ab/images/other.png": b"of a neighbour whose name begins alike"})
    told: list[tuple[int, int]] = []
    folder = fetch_capture(
        "s3://captures/scenes/a", tmp_path, on_bytes=lambda done, total: told.append((done, total))
    )
    assert contents(folder) == FILES
    total = sum(map(len, FILES.values()))
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_whoever_is_told_of_bytes_can_end_the_fetching(s3: S3Server, tmp_path: Path) -> None:
    upload(s3, {f"images/{number:03}.jpg": bytes(100) for number in range(60)})

    def refuse(done: int, total: int) -> None:
        raise TrainerError(Reason.NO_GPU, "it would be of no use")

    with pytest.raises(TrainerError, match="of no use"):
        fetch_capture("s3://captures", tmp_path, on_bytes=refuse)
    assert len(list(tmp_path.rglob("*.jpg"))) < 60


def test_a_fetched_capture_loads(s3: S3Server, tmp_path: Path) -> None:
    write_small_capture(s3.root / "captures")
    scene = load_scene(fetch_capture("s3://captures", tmp_path), TrainConfig())
    assert len(scene.train_views) == 2


def test_the_one_folder_around_a_capture_is_stepped_into(s3: S3Server, tmp_path: Path) -> None:
    upload(s3, {f"up/scene/{name}": data for name, data in FILES.items()})
    folder = fetch_capture("s3://captures/up/", tmp_path)
    assert contents(folder) == FILES


def test_videos_and_databases_are_left_where_they_are(s3: S3Server, tmp_path: Path) -> None:
    upload(s3, {**FILES, "clip.MP4": b"video", "database.db": b"features"})
    assert contents(fetch_capture("s3://captures", tmp_path)) == FILES


@pytest.mark.parametrize("suffix", ["zip", "tar.gz"])
def test_an_archive_on_s3_is_fetched_and_unpacked(
    suffix: str, s3: S3Server, tmp_path: Path
) -> None:
    upload(s3, {f"scenes/a.{suffix}": packed(tmp_path / f"a.{suffix}", FILES).read_bytes()})
    folder = fetch_capture(f"s3://captures/scenes/a.{suffix}", tmp_path / "scratch")
    assert contents(folder) == FILES
    assert [p for p in (tmp_path / "scratch").rglob("*") if p.name.startswith("archive-")] == []


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a"])
def test_a_fault_in_what_was_fetched_names_where_it_came_from(
    name: str, s3: S3Server, tmp_path: Path
) -> None:
    files = {**FILES, "sparse/0/images.bin": b"", "sparse/0/points3D.bin": b""}
    if name == "a":
        upload(s3, {f"scenes/a/{file}": data for file, data in files.items()})
    else:
        upload(s3, {f"scenes/{name}": packed(tmp_path / name, files).read_bytes()})
    with pytest.raises(TrainerError) as caught, open_scratch() as scratch:
        load_scene(fetch_capture(f"s3://captures/scenes/{name}", scratch), TrainConfig())
    assert caught.value.reason is Reason.INVALID_CAPTURE
    assert f"s3://captures/scenes/{name}/sparse/0/" in caught.value.message
    assert "splat-trainer-" not in caught.value.message


def test_a_damaged_archive_on_s3_is_named(s3: S3Server) -> None:
    upload(s3, {"scenes/a.zip": b"nothing"})
    with pytest.raises(TrainerError, match="it is damaged") as caught, open_scratch() as scratch:
        fetch_capture("s3://captures/scenes/a.zip", scratch)
    assert caught.value.message.startswith("s3://captures/scenes/a.zip: ")


def test_a_single_object_that_is_no_archive_is_no_capture(s3: S3Server, tmp_path: Path) -> None:
    upload(s3, {"photo.png": b"pixels"})
    with pytest.raises(TrainerError, match="neither a folder nor an archive") as caught:
        fetch_capture("s3://captures/photo.png", tmp_path)
    assert caught.value.reason is Reason.INVALID_CAPTURE


def fetch_fault(uri: str, scratch: Path, **options: str) -> TrainerError:
    with pytest.raises(TrainerError) as caught:
        fetch_capture(uri, scratch, **options)  # type: ignore[arg-type]
    assert caught.value.message.isprintable()
    assert "s3://" in caught.value.message
    return caught.value


def test_a_prefix_with_nothing_under_it_is_not_found(s3: S3Server, tmp_path: Path) -> None:
    error = fetch_fault("s3://captures/nothing/here", tmp_path)
    assert error.reason is Reason.CAPTURE_NOT_FOUND
    assert "holds no files" in error.message


def test_a_bucket_that_is_not_there_is_not_found(s3: S3Server, tmp_path: Path) -> None:
    error = fetch_fault("s3://no-such-bucket/a", tmp_path)
    assert error.reason is Reason.CAPTURE_NOT_FOUND
    assert "the bucket is not there" in error.message


@pytest.mark.parametrize(
    ("variable", "code"),
    [
        ("AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch"),
        ("AWS_ACCESS_KEY_ID", "XAdminUserNotFound"),
    ],
)
def test_wrong_credentials_are_denied_and_not_shown(
    variable: str, code: str, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "wrong-wrong-wrong")
    for error in (
        fetch_fault("s3://captures/a", tmp_path),
        open_fault("s3://captures/out"),
    ):
        assert error.reason is Reason.STORAGE_DENIED
        assert code in error.message
        assert "wrong-wrong" not in error.message


def test_no_credentials_are_denied_with_what_to_set(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    error = fetch_fault("s3://captures/a", tmp_path)
    assert error.reason is Reason.STORAGE_DENIED
    assert "AWS_ACCESS_KEY_ID" in error.message


def test_a_server_that_does_not_answer_is_unavailable(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    error = fetch_fault("s3://captures/a", tmp_path, endpoint="http://127.0.0.1:9")
    assert error.reason is Reason.STORAGE_UNAVAILABLE
    assert error.exit_code == 74
    assert "try again" in error.message


@pytest.mark.parametrize("uri", ["s3://UPPER_case!/a", "s3://ab/a"])
def test_a_name_that_no_bucket_can_have_is_a_fault_of_the_configuration(
    uri: str, s3: S3Server, tmp_path: Path
) -> None:
    assert fetch_fault(uri, tmp_path).exit_code in (66, 78)


def test_an_endpoint_that_is_no_address_is_a_fault_of_the_configuration(
    s3: S3Server, tmp_path: Path
) -> None:
    error = fetch_fault("s3://captures/a", tmp_path, endpoint="not an address")
    assert error.reason is Reason.INVALID_CONFIGURATION


def test_a_capture_larger_than_the_scratch_volume_is_refused_at_once(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    upload(s3, {"a/images/a.png": bytes(1000)})
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    error = fetch_fault("s3://captures/a", tmp_path)
    assert error.reason is Reason.INVALID_CONFIGURATION
    assert "give the scratch volume more room" in error.message


def test_connections_that_break_are_tried_again(s3: S3Server, tmp_path: Path) -> None:
    big = {"images/big.png": os.urandom(3 << 20)}
    upload(s3, big)
    with failing_relay(s3.url, cuts=3, after=200_000) as relay:
        folder = fetch_capture("s3://captures", tmp_path, endpoint=relay.url)
    assert relay.cut == 3
    assert contents(folder) == big


def test_a_network_that_never_mends_is_unavailable(s3: S3Server, tmp_path: Path) -> None:
    upload(s3, {"images/big.png": os.urandom(1 << 20)})
    with failing_relay(s3.url, cuts=10_000, after=200_000) as relay:
        error = fetch_fault("s3://captures", tmp_path, endpoint=relay.url)
    assert error.reason is Reason.STORAGE_UNAVAILABLE
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def open_fault(uri: str, endpoint: str | None = None) -> TrainerError:
    with pytest.raises(TrainerError) as caught:
        open_output(uri, endpoint=endpoint)
    assert caught.value.message.isprintable()
    return caught.value


def test_an_output_is_put_listed_got_and_removed(s3: S3Server, tmp_path: Path) -> None:
    output = open_output("s3://captures/runs/one")
    made = tmp_path / "made"
    made.write_bytes(b"splat")
    put = output.put(made, "point_cloud.ply", "ply")
    assert put.uri == "s3://captures/runs/one/point_cloud.ply"
    assert (put.bytes, put.sha256) == (5, hashlib.sha256(b"splat").hexdigest())
    assert (s3.root / "captures/runs/one/point_cloud.ply").read_bytes() == b"splat"
    output.put(made, "checkpoints/7.pt", "checkpoint")
    assert output.names("checkpoints") == ["checkpoints/7.pt"]
    assert output.get("checkpoints/7.pt", tmp_path / "back" / "7.pt")
    assert (tmp_path / "back" / "7.pt").read_bytes() == b"splat"
    assert not output.get("checkpoints/8.pt", tmp_path / "back" / "8.pt")
    output.delete("checkpoints/7.pt")
    assert output.names("checkpoints") == []


def test_a_large_file_goes_in_parts_and_arrives_whole(s3: S3Server, tmp_path: Path) -> None:
    data = os.urandom(1 << 20) * 40
    (tmp_path / "big").write_bytes(data)
    counts: list[int] = []
    put = open_output("s3://captures/out").put(tmp_path / "big", "big", "ply", counts.append)
    assert sum(counts) == put.bytes == len(data)
    assert put.sha256 == hashlib.sha256((s3.root / "captures/out/big").read_bytes()).hexdigest()


def test_opening_an_output_leaves_no_object(s3: S3Server) -> None:
    output = open_output("s3://captures/out")
    assert list(output.storage.list()) == []


def test_an_output_bucket_that_is_not_there_is_a_fault_of_the_configuration(
    s3: S3Server,
) -> None:
    error = open_fault("s3://no-such-bucket/out")
    assert error.reason is Reason.INVALID_CONFIGURATION
    assert "the bucket is not there" in error.message


def test_names_that_would_leave_the_folder_are_refused() -> None:
    """No server of files can hold such keys, but S3 itself can."""
    from collections.abc import Iterator

    from splat_trainer.storage.base import Entry
    from splat_trainer.storage.fetch import _wanted
    from splat_trainer.storage.local import LocalStorage

    class Keys(LocalStorage):
        def list(self, folder: str = "") -> Iterator[Entry]:
            yield Entry("images/../../evil", 1)

    with pytest.raises(TrainerError, match="leads out of a folder"):
        _wanted(Keys(Path("captures")))
