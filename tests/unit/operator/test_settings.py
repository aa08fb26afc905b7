"""Flags and environment variables of the operator."""

import pytest

from splat_operator.runtime.settings import SettingsError, read_settings

ENOUGH = {"SPLAT_OPERATOR_TRAINER_IMAGE": "t:1", "SPLAT_OPERATOR_NAMESPACE": "splat-system"}


def test_environment_variables_set_what_no_flag_does() -> None:
    read = read_settings(
        ["--workers", "3"],
        {**ENOUGH, "SPLAT_OPERATOR_WORKERS": "7", "SPLAT_OPERATOR_HTTP_PORT": "9"},
    )
    assert (read.workers, read.http_port, read.trainer_image) == (3, 9, "t:1")


def test_an_empty_variable_sets_nothing() -> None:
    assert read_settings([], {**ENOUGH, "SPLAT_OPERATOR_WORKERS": " "}).workers == 48


def test_namespaces_are_separated_by_commas() -> None:
    read = read_settings([], {**ENOUGH, "SPLAT_OPERATOR_NAMESPACES": "a, b,"})
    assert read.namespaces == ("a", "b")


@pytest.mark.parametrize(
    ("argv", "environ", "words"),
    [
        ([], {}, "SPLAT_OPERATOR_TRAINER_IMAGE"),
        ([], {"SPLAT_OPERATOR_TRAINER_IMAGE": "t"}, "--namespace"),
        (["--workers", "many"], ENOUGH, "--workers"),
        (["--progress-url", "http://plain"], ENOUGH, "--progress-url"),
        (["--progress-url", "https://host/path"], ENOUGH, "--progress-url"),
        (["--kernel-cache-path", "a/../../b"], ENOUGH, "--kernel-cache-path"),
        (["--kernel-cache-path", "/b"], ENOUGH, "--kernel-cache-path"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(
    argv: list[str], environ: dict[str, str], words: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        read_settings(argv, environ)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
