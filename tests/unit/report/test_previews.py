from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from splat_trainer.report.preview_files import is_preview, preview_file
from splat_trainer.report.previews import PreviewWriter, spread
from tests.unit.report import runs


def test_a_preview_holds_the_photo_left_of_the_render(tmp_path: Path) -> None:
    photo = np.full((48, 64, 3), (200, 10, 10), dtype=np.uint8)
    render = np.full((48, 64, 3), (10, 10, 200), dtype=np.uint8)
    writer = PreviewWriter(tmp_path / "previews", ["a.png"])
    writer.add("a.png", photo, render)
    writer.previews()
    [file] = (tmp_path / "previews").iterdir()
    pixels = np.asarray(Image.open(file), dtype=int)
    assert np.abs(pixels[:, :60] - (200, 10, 10)).max() < 12
    assert np.abs(pixels[:, -60:] - (10, 10, 200)).max() < 12


def test_only_a_handful_is_written(tmp_path: Path) -> None:
    names = [f"{i:03}.jpg" for i in range(40)]
    writer = PreviewWriter(tmp_path, names, count=5)
    for name in names:
        writer.add(name, runs.photo(1), runs.photo(2))
    kept = [preview.name for preview in writer.previews()]
    assert len(list(tmp_path.iterdir())) == 5
    assert (kept[0], kept[-1], len(kept)) == ("000.jpg", "039.jpg", 5)


def test_a_large_view_is_shrunk_for_the_page_alone(tmp_path: Path) -> None:
    writer = PreviewWriter(tmp_path, ["large.png"])
    writer.add("large.png", runs.photo(1, 1_000, 2_000), runs.photo(2, 1_000, 2_000))
    [preview] = writer.previews()
    (tmp_path / "embedded.jpg").write_bytes(preview.render)
    assert Image.open(tmp_path / "embedded.jpg").size == (900, 450)
    assert Image.open(tmp_path / "0000-large.jpg").size == (4_008, 1_000)


def test_a_folder_that_cannot_be_written_is_told_in_the_end(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    writer = PreviewWriter(taken, ["a.png"])
    writer.add("a.png", runs.photo(1), runs.photo(2))
    with pytest.raises(FileExistsError):
        writer.previews()


@given(st.text(min_size=1, max_size=300))
def test_no_name_of_a_view_leads_out_of_the_folder(name: str) -> None:
    file = preview_file(3, name)
    assert file.startswith("0003")
    assert "/" not in file
    assert ".." not in file
    assert len(file) < 100
    assert is_preview(file)


@pytest.mark.parametrize(
    "name", ["mine.jpg", "12.jpg", "0001-a.png", "0001-a/0001-b.jpg", "0001 a.jpg", "IMG_0001.jpg"]
)
def test_other_files_are_none_of_ours(name: str) -> None:
    assert not is_preview(name)


def test_the_files_of_what_was_kept_are_told(tmp_path: Path) -> None:
    writer = PreviewWriter(tmp_path, ["a b.png", "never rendered.png"])
    writer.add("a b.png", runs.photo(1), runs.photo(2))
    writer.previews()
    assert writer.files() == ("0000-a-b.jpg",)
    assert [path.name for path in tmp_path.iterdir()] == ["0000-a-b.jpg"]


@pytest.mark.parametrize(("total", "count"), [(0, 6), (1, 6), (6, 6), (7, 6), (100, 6)])
def test_the_chosen_views_are_spread_evenly(total: int, count: int) -> None:
    chosen = [index for index, _ in spread([str(i) for i in range(total)], count)]
    assert len(chosen) == min(total, count)
    assert len(set(chosen)) == len(chosen)
    gaps = np.diff(chosen)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1
