"""Which trainings a benchmark makes, and its tables of them."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]

COLUMNS = (
    ("scene", "{}"),
    ("what", "{}"),
    ("steps", "{:,}"),
    ("runs", "{}"),
    ("PSNR", "{:.2f}"),
    ("PSNR of all", "{}"),
    ("SSIM", "{:.4f}"),
    ("Gaussians", "{:,.0f}"),
    ("steps/s", "{:.0f}"),
    ("peak GB", "{:.2f}"),
    ("start", "{:.1f}"),
    ("load", "{:.1f}"),
    ("prepare", "{:.1f}"),
    ("first step", "{:.1f}"),
    ("train", "{:.1f}"),
    ("evaluate", "{:.1f}"),
    ("export", "{:.1f}"),
    ("all", "{:.1f}"),
)

ABLATION_COLUMNS = (
    ("scene", "{}"),
    ("what", "{}"),
    ("runs", "{}"),
    ("PSNR", "{:.2f}"),
    ("difference", "{:+.2f}"),
    ("SSIM", "{:.4f}"),
    ("Gaussians", "{:,.0f}"),
    ("steps/s", "{:.0f}"),
    ("train", "{:.1f}"),
)


@dataclass(frozen=True)
class Variant:
    """A way to train: settings of the configuration, and constants of its schedule."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)

    def over(self, settings: Mapping[str, Any], constants: Mapping[str, Any]) -> "Variant":
        """This variant where settings and constants of all variants are others."""
        return Variant(self.name, {**settings, **self.settings}, {**constants, **self.constants})


@dataclass(frozen=True)
class Run:
    """One training of a capture."""

    capture: Path
    variant: Variant


def scene_name(capture: Path) -> str:
    """The capture's own name, with that of its model where a model's folder is given."""
    parts = capture.resolve().parts
    return f"{parts[-3]} ({parts[-2]})" if capture.name.isdigit() else capture.name


def medians(rows: Iterable[Row]) -> list[Row]:
    """One row for each scene, variant and count of steps: the median of every number."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["scene"], row["what"], row["steps"]), []).append(row)
    return [_median(group) for group in groups.values()]


def _median(rows: Sequence[Row]) -> Row:
    row: Row = {}
    for name, value in rows[0].items():
        values = [one[name] for one in rows if one.get(name) is not None]
        numeric = values and all(isinstance(one, int | float) for one in values)
        row[name] = statistics.median(values) if numeric else value
    psnrs = sorted(one["PSNR"] for one in rows if one.get("PSNR") is not None)
    row["runs"] = len(rows)
    row["PSNR of all"] = ", ".join(f"{psnr:.2f}" for psnr in psnrs) or None
    row["steps"] = rows[0]["steps"]
    return row


def with_differences(rows: Sequence[Row]) -> list[Row]:
    """Medians with the difference of each PSNR to that of the scene's first row, in dB."""
    first: dict[str, float | None] = {}
    told = []
    for row in rows:
        base = first.setdefault(row["scene"], row.get("PSNR"))
        known = base is not None and row.get("PSNR") is not None
        told.append({**row, "difference": row["PSNR"] - base if known else None})
    return told


def table(rows: Sequence[Row], columns: Sequence[tuple[str, str]] = COLUMNS) -> str:
    """The rows as a Markdown table; a column that is empty everywhere is left out."""
    kept = [
        (name, shape) for name, shape in columns if any(row.get(name) is not None for row in rows)
    ]
    lines = ["| " + " | ".join(name for name, _ in kept) + " |", "|" + "---|" * len(kept)]
    for row in rows:
        cells = ["-" if row.get(name) is None else shape.format(row[name]) for name, shape in kept]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def without_seconds(columns: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The columns that are the same however many trainings run at once."""
    timed = {"steps/s", *(name for name, shape in columns if shape == "{:.1f}")}
    return [column for column in columns if column[0] not in timed]


def in_turn(captures: Sequence[Path], variants: Sequence[Variant], repeat: int) -> list[Run]:
    """Every variant of every capture once, then all again: what drifts, drifts for all."""
    return [
        Run(capture, variant) for _ in range(repeat) for capture in captures for variant in variants
    ]
