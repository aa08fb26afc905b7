"""docs/trainer.md says what is so."""

import re
from pathlib import Path

import pytest

from splat_trainer.cli.parser import build_parser
from splat_trainer.contract import ExitCode, Reason, TrainerError, environment, layout

PAGE = (Path(__file__).parents[3] / "docs" / "trainer.md").read_text()


def rows_of(heading: str) -> list[list[str]]:
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:1] == "|"]
    return rows[2:]


def test_every_exit_code_stands_with_its_reasons() -> None:
    told = {int(row[0]): set(re.findall(r"`(\w+)`", row[2])) for row in rows_of("How a run ends")}
    true: dict[int, set[str]] = {code.value: set() for code in ExitCode}
    for reason in Reason:
        true[TrainerError(reason, "").exit_code.value].add(reason.value)
    assert told == true


def test_whether_trying_again_helps_is_told_truly() -> None:
    told = {int(row[0]): row[3].startswith("yes") for row in rows_of("How a run ends") if row[3:]}
    assert {code.value: code.retry_helps for code in ExitCode if code} == {
        code: helps for code, helps in told.items() if code
    }


def test_every_output_is_named() -> None:
    names = {value for name, value in vars(layout).items() if name.isupper()}
    told = {row[0].strip("`/") for row in rows_of("What a run writes")}
    assert told == names


@pytest.mark.parametrize(
    "variable", [value for name, value in vars(environment).items() if name.isupper()]
)
def test_every_variable_is_named(variable: str) -> None:
    assert any(f"`{variable}`" in row[0] for row in rows_of("Environment"))


def test_every_command_is_shown_and_parses() -> None:
    shown = re.findall(r"^splat-trainer (.+?)(?:\s+#.*)?$", PAGE, flags=re.MULTILINE)
    parsed = {build_parser().parse_args(line.split()).command for line in shown}
    assert parsed == {
        *("doctor", "inspect", "train", "eval", "convert", "synth", "config", "kernels")
    }
