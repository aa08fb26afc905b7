"""The pictures in the documentation are drawn from the transcripts beside them."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from deploy.pictures import PICTURES, draw

TRANSCRIPTS = sorted(PICTURES.glob("*.txt"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_a_picture_is_up_to_date_and_shows_every_word(path: Path) -> None:
    transcript = path.read_text()
    picture = path.with_suffix(".svg").read_text()
    assert picture == draw(transcript, path.stem), "run: python -m deploy.pictures"
    shown = "".join(ElementTree.fromstring(picture).itertext()).replace("\xa0", " ")  # noqa: S314
    for word in transcript.split():
        assert word in shown


def test_a_picture_fetches_nothing_and_is_small() -> None:
    for path in PICTURES.iterdir():
        assert path.stat().st_size < 200_000, path.name
        if path.suffix == ".svg":
            text = path.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
            assert "http" not in text
