"""Archives from strangers: unpacked where they should be, or refused in one line."""

import io
import os
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.storage.archive import Limits, unpack
from splat_trainer.storage.fetch import fetch_capture

FILES = {"sparse/0/cameras.bin": b"cameras", "images/a.png": b"pixels" * 1000}
SUFFIXES = ("zip", "tar", "tar.gz", "tgz")


def packed(path: Path, files: dict[str, bytes], zip_by: int = zipfile.ZIP_DEFLATED) -> Path:
    """Pack files as the suffix of `path` says."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zip_by) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as archive_:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive_.addfile(info, io.BytesIO(data))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def refused(archive: Path, limits: Limits | None = None) -> str:
    """Unpack, be refused, and see that nothing came to lie outside of the folder."""
    into = archive.parent / "into"
    into.mkdir(exist_ok=True)
    before = set(archive.parent.iterdir())
    with pytest.raises(TrainerError) as caught:
        unpack(archive, into, *([limits] if limits else []))
    assert caught.value.reason is Reason.INVALID_CAPTURE
    assert caught.value.message.isprintable()
    assert str(archive) in caught.value.message
    assert set(archive.parent.iterdir()) == before
    return caught.value.message


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_packed_capture_comes_out_as_it_went_in(suffix: str, tmp_path: Path) -> None:
    archive = packed(tmp_path / f"a.{suffix}", FILES)
    folder = fetch_capture(str(archive), tmp_path / "scratch")
    assert contents(folder) == FILES


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_one_folder_around_a_capture_is_stepped_into(suffix: str, tmp_path: Path) -> None:
    around = {f"my scene/{name}": data for name, data in FILES.items()}
    archive = packed(tmp_path / f"a.{suffix}", {**around, "__MACOSX/x": b"", ".DS_Store": b""})
    folder = fetch_capture(str(archive), tmp_path / "scratch")
    assert folder.name == "my scene"
    assert contents(folder) == FILES


def test_a_folder_packed_by_tar_with_dots_comes_out(tmp_path: Path) -> None:
    (tmp_path / "scene" / "images").mkdir(parents=True)
    (tmp_path / "scene" / "images" / "a.png").write_bytes(b"pixels")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "scene", arcname=".")
    folder = fetch_capture(str(tmp_path / "a.tar"), tmp_path / "scratch")
    assert contents(folder) == {"images/a.png": b"pixels"}


def test_names_that_zip_wrote_in_utf_8_without_saying_so_come_out(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"images/vué_1.png": b"pixels"})
    # Info-ZIP on Linux leaves out the flag (bit 11) that Python sets, in both of its headers.
    data = archive.read_bytes()
    for signature, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = data.index(signature) + at
        flags = struct.unpack_from("<H", data, start)[0]
        assert flags & 0x800
        data = data[:start] + struct.pack("<H", flags & ~0x800) + data[start + 2 :]
    archive.write_bytes(data)
    unpack(archive, tmp_path / "into")
    assert contents(tmp_path / "into") == {"images/vué_1.png": b"pixels"}


def test_names_that_are_no_utf_8_come_out_as_old_programs_wrote_them(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"images/x.png": b"pixels"})
    archive.write_bytes(archive.read_bytes().replace(b"images/x", b"images/\x82"))
    unpack(archive, tmp_path / "into")
    assert contents(tmp_path / "into") == {"images/é.png": b"pixels"}  # code page 437


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_macos_packs_beside_a_folder_hides_it_not(suffix: str, tmp_path: Path) -> None:
    files = {f"cap/{name}": data for name, data in FILES.items()}
    archive = packed(tmp_path / f"a.{suffix}", {"._cap": b"attributes", **files})
    folder = fetch_capture(str(archive), tmp_path / "scratch")
    assert contents(folder) == FILES


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_name_that_no_disk_can_have_is_the_archives_fault(suffix: str, tmp_path: Path) -> None:
    archive = packed(tmp_path / f"a.{suffix}", {"images/" + "x" * 300 + ".png": b"pixels"})
    assert "too long a name" in refused(archive)


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_damaged_member_is_the_archives_fault(method: int, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", method) as opened:
        opened.writestr("images/a.png", os.urandom(4000))
    data = bytearray(archive.read_bytes())
    data[100:1000] = bytes(900)
    archive.write_bytes(data)
    assert "damaged" in refused(archive)


def test_names_with_backslashes_from_windows_become_folders(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.tar", {"images\\a.png": b"pixels"})
    folder = fetch_capture(str(archive), tmp_path / "scratch")
    assert contents(folder) == {"images/a.png": b"pixels"}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "name", ["../evil", "/evil", "images/../../evil", "..\\evil", "C:\\evil", "a/../../../e"]
)
def test_names_that_leave_the_folder_are_refused(suffix: str, name: str, tmp_path: Path) -> None:
    assert "leads out of the folder" in refused(packed(tmp_path / f"a.{suffix}", {name: b"x"}))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_tars_are_refused(kind: bytes, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("images")
        info.type = kind
        info.linkname = "/etc"
        archive.addfile(info)
    assert "'images' is no plain file" in refused(tmp_path / "a.tar")


def test_a_link_and_a_file_through_it_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("images")
        link.type, link.linkname = tarfile.SYMTYPE, ".."
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("images/evil"))
    assert "is no plain file" in refused(tmp_path / "a.tar")


def test_links_in_zips_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("images")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc")
    assert "'images' is no plain file" in refused(tmp_path / "a.zip")


def test_sparse_files_in_tars_are_refused(tmp_path: Path) -> None:
    """A header of GNU tar's old sparse form says 8 GiB of nothing in no bytes."""
    info = tarfile.TarInfo("images/a.png")
    info.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"77777777777\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a.tar").write_bytes(header + bytes(1024))
    assert "no plain file" in refused(tmp_path / "a.tar")


@pytest.mark.parametrize("suffix", ["zip", "tar.gz"])
def test_a_bomb_is_stopped_long_before_it_is_unpacked(suffix: str, tmp_path: Path) -> None:
    archive = packed(tmp_path / f"a.{suffix}", {"images/a.png": bytes(20 << 20)})
    assert archive.stat().st_size < 100_000
    said = refused(archive, Limits(ratio=50, ratio_from=1 << 20))
    assert "far more than its own size" in said
    assert sum(len(data) for data in contents(tmp_path / "into").values()) <= 5 << 20


def test_bytes_and_files_are_counted(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.tar", {f"{i}": b"12345678" for i in range(20)})
    assert "far more" in refused(archive, Limits(bytes=100))
    (tmp_path / "second").mkdir()
    archive = packed(tmp_path / "second" / "a.tar", {f"{i}": b"" for i in range(20)})
    assert "more than 10 files" in refused(archive, Limits(files=10))


def test_a_size_in_a_zip_that_lies_is_found_out(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"images/a.png": bytes(1 << 20)})
    data = archive.read_bytes()
    archive.write_bytes(data.replace(struct.pack("<I", 1 << 20), struct.pack("<I", 10)))
    assert "damaged" in refused(archive)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_tar_header_that_would_fill_the_memory_is_refused(kind: bytes, tmp_path: Path) -> None:
    size = 64 << 20
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, size
    with (tmp_path / "a.tar").open("wb") as file:
        file.write(info.tobuf())
        file.truncate(size + 2048)
    tracemalloc.start()
    try:
        said = refused(tmp_path / "a.tar")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert f"a header of {size} bytes" in said
    assert peak < 8 << 20


@pytest.mark.parametrize("zip64", [False, True])
def test_a_zip_directory_that_would_fill_the_memory_is_refused(zip64: bool, tmp_path: Path) -> None:
    size = 80 << 20
    with (tmp_path / "a.zip").open("wb") as file:
        file.truncate(size)
        file.seek(0, os.SEEK_END)
        if zip64:
            end = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, size, 0)
            file.write(end + struct.pack("<4sIQI", b"PK\6\7", 0, size, 1))
        told = 0xFFFFFFFF if zip64 else size
        file.write(struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, told, 0, 0))
    assert f"table of contents alone is {size} bytes" in refused(tmp_path / "a.zip")


def test_an_encrypted_zip_is_named_so(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"a": b"x"})
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    data[6] |= 1
    archive.write_bytes(data)
    assert "is encrypted" in refused(archive)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_one_name_twice_is_refused(suffix: str, tmp_path: Path) -> None:
    archive = packed(tmp_path / f"a.{suffix}", {"a/b": b"1", "a//b": b"2"})
    assert "is there twice" in refused(archive)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_used_as_a_folder_is_refused(suffix: str, tmp_path: Path) -> None:
    archive = packed(tmp_path / f"a.{suffix}", {"a": b"1", "a/b": b"2"})
    assert "is there twice" in refused(archive)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("make", [lambda _: b"", lambda _: b"not an archive" * 100])
def test_what_is_no_archive_is_refused(
    suffix: str, make: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    archive = tmp_path / f"a.{suffix}"
    archive.write_bytes(make(b""))
    refused(archive)


@pytest.mark.parametrize("suffix", ["zip", "tar.gz"])
@pytest.mark.parametrize("tenth", range(1, 10))
def test_an_archive_cut_at_any_tenth_is_refused(suffix: str, tenth: int, tmp_path: Path) -> None:
    noise = {f"images/{i}.png": os.urandom(3000) for i in range(5)}
    archive = packed(tmp_path / f"a.{suffix}", noise)
    data = archive.read_bytes()
    archive.write_bytes(data[: len(data) * tenth // 10])
    assert "damaged" in refused(archive)


@given(
    suffix=st.sampled_from(SUFFIXES),
    zip_by=st.sampled_from([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]),
    changes=st.lists(st.tuples(st.integers(0), st.binary(min_size=1, max_size=8)), max_size=5),
)
@settings(max_examples=150)
def test_any_damage_to_an_archive_is_survived_or_refused(
    suffix: str,
    zip_by: int,
    changes: list[tuple[int, bytes]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    archive = packed(folder / f"a.{suffix}", FILES, zip_by)
    data = bytearray(archive.read_bytes())
    for at, patch in changes:
        start = at % len(data)
        data[start : start + len(patch)] = patch
    archive.write_bytes(data)
    (folder / "into").mkdir()
    try:
        unpack(archive, folder / "into")
    except TrainerError as error:
        assert error.message.isprintable()
    assert {path.name for path in folder.iterdir()} == {archive.name, "into"}
