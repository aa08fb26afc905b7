"""What the benchmark of trainings makes of its rows, and that its ablation names what there is."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ablation import ADDED, PARTS, TOGETHER, ablation
from benchmarks.training_runs import (
    ABLATION_COLUMNS,
    COLUMNS,
    Run,
    Variant,
    in_turn,
    medians,
    table,
    with_differences,
    without_seconds,
)
from splat_trainer.contract import TrainConfig
from splat_trainer.optimize.schedule import Schedule, schedule_for


def row(what: str, psnr: float | None, **more: Any) -> dict[str, Any]:
    return {"scene": "fern", "what": what, "steps": 100, "PSNR": psnr, "train": 1.0, **more}


def test_a_median_of_every_number_stands_with_all_psnrs() -> None:
    rows = [row("a", 30.0, train=5), row("b", 20.0), row("a", 32.0, train=1), row("a", 31.5)]
    first, second = medians(rows)
    assert (first["PSNR"], first["train"], first["runs"], first["steps"]) == (31.5, 1.0, 3, 100)
    assert first["PSNR of all"] == "30.00, 31.50, 32.00"
    assert (second["PSNR"], second["runs"]) == (20.0, 1)


def test_differences_are_to_the_scenes_first_row() -> None:
    rows = [row("base", 30.0), row("more", 30.5), row("none held out", None)]
    rows += [row("base", 20.0, scene="beer"), row("less", 19.0, scene="beer")]
    told = [one["difference"] for one in with_differences(rows)]
    assert told == [0.0, 0.5, None, 0.0, -1.0]


def test_a_table_leaves_out_what_nothing_is_known_of() -> None:
    rows = with_differences(medians([row("base", 30.0), row("more", 30.5)]))
    lines = table(rows, ABLATION_COLUMNS).splitlines()
    assert lines[0] == "| scene | what | runs | PSNR | difference | train |"
    assert lines[3] == "| fern | more | 1 | 30.50 | +0.50 | 1.0 |"


def test_trainings_at_once_tell_nothing_of_speed() -> None:
    names = [name for name, _ in without_seconds(COLUMNS)]
    assert names == [
        *("scene", "what", "steps", "runs", "PSNR", "PSNR of all", "SSIM", "Gaussians", "peak GB")
    ]


def test_repeats_come_in_turn() -> None:
    variants = [Variant("a"), Variant("b")]
    runs = in_turn([Path("x"), Path("y")], variants, 2)
    assert runs[:4] == [Run(Path(c), v) for c in "xy" for v in variants]
    assert runs[4:] == runs[:4]


def test_what_a_variant_says_wins_over_what_all_have() -> None:
    variant = Variant("a", {"iterations": 5}, {"score": "error"})
    over = variant.over({"iterations": 9, "seed": 1}, {"score": "variance", "noise": 0.0})
    assert over.settings == {"iterations": 5, "seed": 1}
    assert over.constants == {"score": "error", "noise": 0.0}


def test_every_variant_of_the_ablation_can_be_trained() -> None:
    names = {field.name for field in fields(Schedule)}
    variants = ablation()
    assert len({variant.name for variant in variants}) == len(variants)
    for variant in variants:
        schedule_for(TrainConfig.model_validate({"iterations": 7000, **variant.settings}))
        assert set(variant.constants) <= names


def test_each_part_differs_from_the_bare_budget_in_itself_alone() -> None:
    variants = {variant.name: variant for variant in ablation()}
    bare = variants["budget, nothing else"].constants
    for name, changes in PARTS.items():
        constants = variants[f"+ {name}"].constants
        differing = {key for key in {*bare, *constants} if bare.get(key) != constants.get(key)}
        assert differing == set(changes)
    together = variants["together"].constants
    assert all(
        together[key] == value
        for name in TOGETHER
        for key, value in PARTS[name].items()
        if value is not None
    )
    assert set(ADDED) <= set(PARTS)


def test_variants_are_chosen_by_the_beginning_of_their_names() -> None:
    assert [one.name for one in ablation(["together", "+ parents"])] == [
        "together",
        "+ parents stay",
    ]
    with pytest.raises(SystemExit, match="no variant 'none'"):
        ablation(["none"])
