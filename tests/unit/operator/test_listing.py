"""Nothing is decided before all that is there has been seen."""

import pytest

from splat_operator.runtime import listing as module
from splat_operator.runtime.listing import Listing


class Scene:
    """A clock, and whether all lists have ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.listed = False
        monkeypatch.setattr(f"{module.__name__}.time.monotonic", lambda: self.now)
        self.listing = Listing(lambda: self.listed, settle=1.0)


def test_a_list_that_has_ended_is_complete_when_its_objects_have_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(monkeypatch)
    scene.listing.brought()
    scene.now += 10
    assert not scene.listing.complete
    scene.listed = True
    scene.listing.brought()
    assert not scene.listing.complete
    scene.now += 0.9
    scene.listing.brought()
    scene.now += 0.9
    assert not scene.listing.complete
    scene.now += 0.1
    assert scene.listing.complete


def test_an_empty_cluster_is_soon_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    scene.listed = True
    assert not scene.listing.complete
    scene.now += 1
    assert scene.listing.complete


def test_what_is_listed_anew_later_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    scene.listed = True
    scene.listing.brought()
    scene.now += 1
    assert scene.listing.complete
    scene.listing.brought()
    assert scene.listing.complete
