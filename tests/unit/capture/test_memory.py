"""What memory is free, by the kernel's own files, and captures that would not fit in it."""

from pathlib import Path

import pytest

from splat_trainer.capture.cores import usable_cores
from splat_trainer.capture.load import check_memory
from splat_trainer.capture.memory import available_bytes, readers
from splat_trainer.contract import Reason, TrainerError

GIB = 1 << 30


def machine(folder: Path, free_gib: int) -> Path:
    (folder / "proc").mkdir()
    lines = f"MemTotal: 1 kB\nMemAvailable:  {free_gib * GIB // 1024} kB\n"
    (folder / "proc" / "meminfo").write_text(lines)
    return folder / "proc"


def test_on_a_machine_it_is_what_the_machine_has(tmp_path: Path) -> None:
    assert available_bytes(machine(tmp_path, 5), tmp_path / "none") == 5 * GIB


def test_in_a_container_it_is_what_its_limit_leaves_cached_files_aside(tmp_path: Path) -> None:
    (tmp_path / "cg").mkdir()
    (tmp_path / "cg" / "memory.max").write_text(f"{4 * GIB}\n")
    (tmp_path / "cg" / "memory.current").write_text(f"{3 * GIB}\n")
    (tmp_path / "cg" / "memory.stat").write_text(f"anon 1\ninactive_file {2 * GIB}\n")
    assert available_bytes(machine(tmp_path, 50), tmp_path / "cg") == 3 * GIB


def test_a_container_without_a_limit_has_the_machines(tmp_path: Path) -> None:
    (tmp_path / "cg").mkdir()
    (tmp_path / "cg" / "memory.max").write_text("max\n")
    (tmp_path / "cg" / "memory.current").write_text("1\n")
    assert available_bytes(machine(tmp_path, 5), tmp_path / "cg") == 5 * GIB


def test_the_first_version_of_control_groups_counts_too(tmp_path: Path) -> None:
    (tmp_path / "cg" / "memory").mkdir(parents=True)
    (tmp_path / "cg" / "memory" / "memory.limit_in_bytes").write_text(f"{2 * GIB}\n")
    (tmp_path / "cg" / "memory" / "memory.usage_in_bytes").write_text(f"{GIB}\n")
    assert available_bytes(machine(tmp_path, 5), tmp_path / "cg") == GIB


def test_a_system_that_says_nothing_is_asked_nothing(tmp_path: Path) -> None:
    assert available_bytes(tmp_path / "none", tmp_path / "none") is None
    check_memory([(10_000, 10_000)] * 1000, None, None)


def test_images_that_do_not_fit_are_refused_with_the_side_that_does() -> None:
    sizes = [(4000, 3000)] * 300
    with pytest.raises(TrainerError, match=r"300 images take 10\.1 GiB .* 2\.0 GiB") as caught:
        check_memory(sizes, None, 2 * GIB)
    assert caught.value.reason is Reason.OUT_OF_MEMORY
    side = int(caught.value.message.rpartition(" ")[2])
    assert 1000 < side < 2000
    check_memory(sizes, side, 2 * GIB)


def test_large_images_are_worked_on_by_fewer_threads() -> None:
    assert readers([100]) == usable_cores()
    assert readers([]) == usable_cores()
    assert readers([10**12]) == 1
