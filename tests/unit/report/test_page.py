import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splat_trainer.report.metrics import ViewScore
from splat_trainer.report.page import render_page
from splat_trainer.report.run import RunReport, Setting
from tests.unit.report import runs

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class Tags(HTMLParser):
    """Collects every start tag with its attributes, and all text outside of tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_the_key_figures(tmp_path: Path) -> None:
    text = Tags(render_page(runs.run(tmp_path))).text
    for shown in ("29.41", "0.918", "1,204,512", "7,000", "214.6", "2.37", "NVIDIA H200"):
        assert shown in text


def test_the_page_loads_nothing(tmp_path: Path) -> None:
    page = render_page(runs.run(tmp_path))
    for tag, attributes in Tags(page).tags:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "action", "srcset"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert "url(" not in page
    assert "@import" not in page


def test_the_page_forbids_every_script_but_its_own(tmp_path: Path) -> None:
    page = Tags(render_page(runs.run(tmp_path)))
    policies = [a["content"] for t, a in page.tags if a.get("http-equiv")]
    assert len(policies) == 1
    assert policies[0]
    assert policies[0].startswith("default-src 'none';")
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/]{43}='$", policies[0])


def test_hostile_names_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    capture = runs.metrics().capture.model_copy(update={"source": EVIL})
    run = runs.run(
        tmp_path,
        title=EVIL,
        settings=[Setting(EVIL, EVIL, False, EVIL)],
        metrics=runs.metrics(capture=capture, views=(ViewScore(name=EVIL, psnr=1, ssim=0),)),
        previews=runs.previews(tmp_path, {EVIL: runs.photo(1)}),
    )
    page = Tags(render_page(run))
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert EVIL in page.text


@given(st.text(max_size=40))
def test_any_title_leaves_the_page_whole(
    tmp_path_factory: pytest.TempPathFactory, title: str
) -> None:
    plain = runs.run(tmp_path_factory.getbasetemp(), title="t", previews=())
    named = RunReport(title, plain.finished_at, plain.metrics, plain.settings, plain.curve, ())
    assert len(Tags(render_page(named)).tags) == len(Tags(render_page(plain)).tags)


def test_each_preview_stands_with_its_scores(tmp_path: Path) -> None:
    page = Tags(render_page(runs.run(tmp_path)))
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 4
    assert all((image["src"] or "").startswith("data:image/jpeg;base64,") for image in images)
    assert "28.72 dB, SSIM 0.906" in page.text


def test_a_run_without_held_out_views_says_so(tmp_path: Path) -> None:
    run = runs.run(
        tmp_path, metrics=runs.metrics(psnr=None, ssim=None, views=()), previews=(), curve=()
    )
    text = Tags(render_page(run)).text
    assert "No view was held out" in text
    assert "–" in text
    assert "All held-out views" not in text


def test_a_lens_that_was_fitted_is_told(tmp_path: Path) -> None:
    assert "Lens" not in Tags(render_page(runs.run(tmp_path))).text
    capture = runs.metrics().capture.model_copy(update={"lens": "a lens fitted: used"})
    run = runs.run(tmp_path, metrics=runs.metrics(capture=capture))
    assert "a lens fitted: used" in Tags(render_page(run)).text


def test_gpus_that_trained_together_are_counted(tmp_path: Path) -> None:
    assert "NVIDIA H200" in Tags(render_page(runs.run(tmp_path))).text
    assert "× NVIDIA" not in Tags(render_page(runs.run(tmp_path))).text
    run = runs.run(tmp_path, metrics=runs.metrics(gpus=4))
    assert "on 4 × NVIDIA H200" in Tags(render_page(run)).text  # the header
    assert Tags(render_page(run)).text.count("4 × NVIDIA H200") == 2  # and the facts


def test_a_curve_is_drawn_for_loss_psnr_and_gaussians(tmp_path: Path) -> None:
    page = Tags(render_page(runs.run(tmp_path)))
    labels = [attributes.get("aria-label") for tag, attributes in page.tags if tag == "svg"]
    assert labels == [
        "Loss over training steps",
        "PSNR over training steps",
        "Gaussians over training steps",
    ]


def test_the_page_of_a_long_run_stays_small(tmp_path: Path) -> None:
    run = runs.run(tmp_path, curve=runs.curve(30_000, every=1), previews=())
    assert len(render_page(run)) < 200_000
