"""Capture, output and checkpoints may lie in three object stores, each with its credentials."""

from pathlib import Path

import pytest

from splat_trainer.contract import Reason, TrainerError
from splat_trainer.contract.environment import Place
from splat_trainer.storage import fetch_capture, open_output
from tests.s3_server import ACCESS_KEY, SECRET_KEY, S3Server
from tests.unit.storage.test_archives import FILES, contents
from tests.unit.storage.test_s3 import upload


@pytest.fixture
def elsewhere(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The variables of all places lead to a server that answers nobody."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-another-store")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-another-store")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return s3


def give(monkeypatch: pytest.MonkeyPatch, place: Place, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(place.variable(name), value)


def own(server: S3Server) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL_S3": server.url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    }


@pytest.mark.parametrize("place", [Place.OUTPUT, Place.CHECKPOINTS])
def test_a_place_is_reached_with_what_is_its_own(
    place: Place, elsewhere: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(monkeypatch, place, **own(elsewhere))
    assert open_output("s3://captures/a", place=place).names() == []
    (other,) = {Place.OUTPUT, Place.CHECKPOINTS} - {place}
    with pytest.raises(TrainerError) as caught:
        open_output("s3://captures/a", place=other)
    assert caught.value.reason is Reason.STORAGE_UNAVAILABLE


def test_a_capture_is_fetched_with_what_is_its_own(
    elsewhere: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    upload(elsewhere, {f"a/{name}": data for name, data in FILES.items()})
    give(monkeypatch, Place.DATA, **own(elsewhere))
    assert contents(fetch_capture("s3://captures/a", tmp_path)) == FILES


def test_a_places_own_endpoint_wins_over_the_one_for_all(
    elsewhere: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(monkeypatch, Place.OUTPUT, **own(elsewhere))
    assert open_output("s3://captures/a", endpoint="http://127.0.0.1:9").names() == []


@pytest.mark.parametrize("there", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_of_a_places_credentials_is_not_filled_up_with_anothers(
    there: str, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(monkeypatch, Place.OUTPUT, **{there: ACCESS_KEY})
    with pytest.raises(TrainerError, match=f"SPLAT_OUTPUT_{there} is set and SPLAT_OUTPUT_AWS"):
        open_output("s3://captures/a")
