"""The file as text: what is refused before any rule looks at it, and the lines that sentences name."""

from pathlib import Path

import pytest

from stacks.litellm_config import ConfigError
from stacks.litellm_config.file import MOST_VALUES, Place, read

TEXT = """\
x-bedrock: &bedrock
  aws_region_name: us-west-2
model_list:
  - model_name: claude
    litellm_params:
      <<: *bedrock
      model: bedrock/us.anthropic.claude-sonnet-5-5
  -
    model_name: 5
router_settings:
  fallbacks: [{claude: [gpt]}]
"""


@pytest.mark.parametrize(
    ("place", "line", "label"),
    [
        ((), 1, "top level"),
        (("model_list",), 3, "model_list"),
        (("model_list", 0), 4, "model_list entry 1 (claude)"),
        (("model_list", 0, "litellm_params", "model"), 7, "model_list entry 1 (claude).litellm_params.model"),
        # What is merged in stands where its anchor is.
        (
            ("model_list", 0, "litellm_params", "aws_region_name"),
            2,
            "model_list entry 1 (claude).litellm_params.aws_region_name",
        ),
        # What is missing is told of where it would be.
        (("model_list", 0, "model_info", "id"), 4, "model_list entry 1 (claude).model_info.id"),
        (("model_list", 1), 9, "model_list entry 2"),
        (("router_settings", "fallbacks", 0, "claude", 0), 11, "router_settings.fallbacks entry 1.claude entry 1"),
        (("general_settings", "master_key"), 1, "general_settings.master_key"),
    ],
)
def test_a_place_has_a_line_and_a_name(tmp_path: Path, place: Place, line: int, label: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(TEXT)
    file = read(path)
    assert file.line(place) == line
    assert file.label(place) == label


BOMB = "a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: &a [*a]", "line 1: not valid YAML: *a contains itself"),
        ("a: &a\n  <<: *a", "line 2: not valid YAML: *a contains itself"),
        (BOMB, f"top level: its anchors unfold into more than {MOST_VALUES:,} values"),
        ("[" * 3000, "top level: it is nested too deeply to be read"),
        ("a: 1\nb: {c: 1, c: 2}", "line 2: not valid YAML: the key 'c' is there twice"),
        ("? [a]\n: b", "line 1: not valid YAML: a key that is no text"),
        ("a: 2026-13-01", "top level: not valid YAML: month must be in 1..12"),
        ("a: 1\n---\nb: 2", "line 2: it has several documents (---): keep the one of LiteLLM"),
        ("", "line 1: top level: it must be a mapping of names to values"),
        (
            "a: \x07",
            "top level: a character that YAML has no place for (special characters are not allowed): write it as UTF-8",
        ),
    ],
)
def test_what_is_no_file_of_settings_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refusal:
        read(path)
    assert str(refusal.value) == f"{path}: {problem}."


def test_a_key_that_is_merged_into_another_is_not_there_twice(tmp_path: Path) -> None:
    """Whatever is read first: the deeper one, which has a key of its own above the merged one, is read last."""
    path = tmp_path / "config.yaml"
    path.write_text("a: &a {x: 1}\nb: {c: {d: &d {<<: *a, x: 2}}}\ne: {<<: *d}\n")
    assert read(path).document["e"] == {"x": 2}
