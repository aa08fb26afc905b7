from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splat_trainer.cli.config_file import SIZE_LIMIT_BYTES, read_config_file
from splat_trainer.contract import ExitCode, TrainerError

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_


def refusal(path: Path) -> str:
    with pytest.raises(TrainerError) as caught:
        read_config_file(path)
    assert caught.value.exit_code is ExitCode.CONFIG
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", '{"maxSide": 800, "sh_degree": 2}'),
        ("a.yaml", "maxSide: 800\nsh_degree: 2\n"),
        ("a.yml", "max_side: 800\nshDegree: 2\n"),
    ],
)
def test_json_and_yaml_with_either_spelling_are_read(write: Write, name: str, content: str) -> None:
    assert read_config_file(write(name, content)) == {"max_side": 800, "sh_degree": 2}


def test_an_empty_file_sets_nothing(write: Write) -> None:
    assert read_config_file(write("a.yaml", "# nothing yet\n")) == {}


def test_an_unknown_setting_is_refused_with_the_one_that_was_meant(write: Write) -> None:
    assert "'iteratons'; did you mean iterations?" in refusal(write("a.yaml", "iteratons: 5"))


def test_an_unknown_setting_like_no_other_points_to_the_list(write: Write) -> None:
    assert "--print-schema" in refusal(write("a.yaml", "zzz: 5"))


def test_one_setting_in_two_spellings_is_refused(write: Write) -> None:
    assert "max_side twice" in refusal(write("a.yaml", "maxSide: 1\nmax_side: 2"))


@pytest.mark.parametrize(
    ("name", "content"), [("a.yaml", "seed: 1\nseed: 2"), ("a.json", '{"seed": 1, "seed": 2}')]
)
def test_a_key_that_stands_twice_is_refused(write: Write, name: str, content: str) -> None:
    assert "'seed' stands twice" in refusal(write(name, content))


def test_broken_json_is_refused_with_its_line(write: Write) -> None:
    assert "not JSON at line 2" in refusal(write("a.json", '{"seed": 1,\n oops}'))


def test_broken_yaml_is_refused_with_its_line(write: Write) -> None:
    assert "not YAML at line 2" in refusal(write("a.yaml", "seed: 1\n  sh: [}"))


def test_yaml_that_would_run_code_is_refused(write: Write) -> None:
    refusal(write("a.yaml", "seed: !!python/object/apply:os.system ['true']"))


def test_a_list_is_refused(write: Write) -> None:
    assert "list, not a mapping" in refusal(write("a.json", "[1]"))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "absent.yaml")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    refusal(tmp_path)


def test_a_file_of_another_kind_is_refused(write: Write) -> None:
    assert "not UTF-8 text at byte 0" in refusal(write("a.yaml", b"\xff\xfe\x00"))
    assert "larger than" in refusal(write("b.yaml", b"#" * (SIZE_LIMIT_BYTES + 1)))


def test_deep_nesting_is_refused(write: Write) -> None:
    refusal(write("a.json", "[" * 100_000))
    refusal(write("a.yaml", "[" * 5_000))


@given(st.binary(max_size=200), st.sampled_from([".json", ".yaml"]))
def test_no_bytes_lead_to_anything_but_settings_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, ending: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{ending}"
    path.write_bytes(content)
    try:
        settings = read_config_file(path)
    except TrainerError as error:
        assert "\n" not in error.message
    else:
        assert isinstance(settings, dict)
