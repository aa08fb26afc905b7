"""The documentation leads to what is there: files, sections, commands of make."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.layout import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if "://" not in target:
                yield page, target


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("page", "target"), list(links()))
def test_a_link_leads_somewhere(page: Path, target: str) -> None:
    file, _, anchor = target.partition("#")
    found = (page.parent / file).resolve() if file else page
    assert found.exists(), f"{page.name}: {target}"
    if anchor:
        assert anchor in anchors(found), f"{page.name}: {target}"


def test_every_command_of_make_that_is_told_of_exists() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    rules = {
        name
        for line in re.findall(r"^([a-z0-9. -]+):", makefile, re.MULTILINE)
        for name in line.split()
    }
    told = {
        name
        for page in PAGES
        for name in re.findall(r"(?:^|`)make ([a-z-]+(?:[0-9.]*[0-9])?)", page.read_text(), re.M)
    }
    assert told
    assert told <= rules
