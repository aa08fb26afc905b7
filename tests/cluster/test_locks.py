"""Locks keep one process at a time, also when the file is removed under those who wait."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.cluster.locks import Lock, locked


def test_those_who_wait_for_a_removed_lock_still_go_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        for _ in range(20):
            with locked(path, remove=True):
                inside.append(number)
                most.append(len(inside))
                inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(most) == {1}
    assert not path.exists()


def test_a_shared_lock_knows_whether_it_is_the_only_one(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "lock", shared=True), Lock(tmp_path / "lock", shared=True)
    assert not first.only_holder()

    second.release()

    assert first.only_holder()
    first.release(remove=True)
