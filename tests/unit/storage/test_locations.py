"""Locations as people write them, and names that may become paths."""

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.storage.location import (
    S3Location,
    is_archive,
    parse_location,
    relative_name,
)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("out", Path("out")),
        ("/data/a b", Path("/data/a b")),
        ("file:///data/a", Path("/data/a")),
        ("s3://bucket", S3Location("bucket", "")),
        ("s3://bucket/", S3Location("bucket", "")),
        ("s3://bucket/a/b/", S3Location("bucket", "a/b")),
        ("s3://bucket/a/b.zip", S3Location("bucket", "a/b.zip")),
        ("s3://bucket/what?#1", S3Location("bucket", "what?#1")),
    ],
)
def test_locations_are_read_as_they_are_written(uri: str, expected: object) -> None:
    assert parse_location(uri) == expected


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "http://host/a",
        "s3://",
        "s3:///key",
        "file://host/a",
        "s3://u:p@bucket/a",
        "s3://[",
        "\0",
        "c\udce4m/out",
        "file:///c\udce4m/out",
        "s3://bucket/c\udce4m",
    ],
)
def test_other_locations_are_refused_by_name(uri: str) -> None:
    with pytest.raises(TrainerError, match="the location") as caught:
        parse_location(uri)
    assert caught.value.reason is Reason.INVALID_CONFIGURATION
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("uri", ["s3:/bad", "s3:bad", "S3:/bad/a.zip", "file:/data", "https:/host"])
def test_an_address_that_lacks_a_slash_is_no_folder_of_that_name(uri: str) -> None:
    with pytest.raises(TrainerError, match=r"lacks a slash: write (s3|file|https)://") as caught:
        parse_location(uri)
    assert caught.value.reason is Reason.INVALID_CONFIGURATION


def test_a_folder_may_have_a_colon_in_its_name() -> None:
    assert parse_location("./s3:/bad") == Path("./s3:/bad")
    assert parse_location("2026-11-23T12:00/out") == Path("2026-11-23T12:00/out")


@given(st.text())
def test_any_text_is_a_location_or_a_fault(uri: str) -> None:
    try:
        parse_location(uri)
    except TrainerError as error:
        assert error.message.isprintable()


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../a", "a/../../b", "..\\a", "C:\\a", "c:a", "", ".", "/", "a\0b", ".."],
)
def test_names_that_lead_away_are_no_relative_names(name: str) -> None:
    assert relative_name(name) is None


@given(st.text(alphabet="ab./\\:C\0~ ", max_size=12))
def test_a_relative_name_stays_below_where_it_is_put(name: str) -> None:
    path = relative_name(name)
    if path is not None:
        assert not path.is_absolute()
        assert ".." not in path.parts
        assert PurePosixPath("/root", path).is_relative_to("/root")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.zip", True), ("a.TAR.GZ", True), ("a.tgz", True), ("a.tar", True), ("a.rar", False)],
)
def test_archives_go_by_their_names(name: str, expected: bool) -> None:
    assert is_archive(name) is expected
