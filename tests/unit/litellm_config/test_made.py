"""What the deployment makes of Bedrock for the file to refer to, and what is said of a reference that does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks.litellm_config import ConfigError, LiteLlmConfig, load_config
from stacks.litellm_config.made import Made
from tests.unit.litellm_config.documents import VARIABLES, changed

REGION = "ap-northeast-1"
SONNET = "jp.anthropic.claude-sonnet-5-5"
MADE = Made(guardrail=True, profiles={"DATA_ENG_INFERENCE_PROFILE": SONNET})
PROFILE = {
    "model": f"bedrock/{SONNET}",
    "model_id": "os.environ/DATA_ENG_INFERENCE_PROFILE",
    "aws_region_name": "os.environ/AWS_REGION",
}
GUARDRAIL = {
    "guardrail": "bedrock",
    "mode": ["pre_call", "post_call"],
    "guardrailIdentifier": "os.environ/PERSONAL_DATA_GUARDRAIL_ID",
    "guardrailVersion": "os.environ/PERSONAL_DATA_GUARDRAIL_VERSION",
    "aws_region_name": "os.environ/AWS_REGION",
}


def read(
    tmp_path: Path, profile: dict[str, Any] | None = None, guardrail: dict[str, Any] | None = None, made: Made = MADE
) -> LiteLlmConfig:
    guardrails = [{"guardrail_name": "personal-data", "litellm_params": GUARDRAIL | (guardrail or {})}]
    document = changed(guardrails=guardrails)
    document["model_list"][0]["litellm_params"] = PROFILE | (profile or {})
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(document), "utf-8")
    return load_config(path, provided=VARIABLES, region=REGION, made=made)


def test_the_task_gets_the_variables_and_is_permitted_the_models_behind(tmp_path: Path) -> None:
    config = read(tmp_path)
    names = {"DATA_ENG_INFERENCE_PROFILE", "PERSONAL_DATA_GUARDRAIL_ID", "PERSONAL_DATA_GUARDRAIL_VERSION"}
    assert names <= {*config.variables}
    invoked = config.permissions(partition="aws", account="111122223333")[0]
    # Not the profile that it was made of: the application's own is permitted by its ARN, by the stack.
    assert invoked.resources == (
        "arn:aws:bedrock:ap-northeast-1::foundation-model/anthropic.claude-sonnet-5-5",
        "arn:aws:bedrock:ap-northeast-3::foundation-model/anthropic.claude-sonnet-5-5",
    )
    assert config.models[0].listed_as() == SONNET
    assert config.guardrails == ()
    assert not [warning for warning in config.warnings if "bedrock." in warning or "pre_call" in warning]


@pytest.mark.parametrize(
    ("profile", "guardrail", "said"),
    [
        ({"model": "bedrock/jp.anthropic.claude-haiku-5-5"}, {}, f"write bedrock/{SONNET}, by which it is priced"),
        ({"aws_region_name": "ap-northeast-3"}, {}, "is in the environment's region ap-northeast-1"),
        ({"aws_role_name": "arn:aws:iam::222233334444:role/a"}, {}, "is of the environment's own account"),
        ({"model_id": "os.environ/OTHER_INFERENCE_PROFILE"}, {}, "where bedrock.inference_profiles of the environment"),
        ({}, {"guardrailVersion": "1"}, "guardrailVersion is to be os.environ/PERSONAL_DATA_GUARDRAIL_VERSION"),
        ({}, {"aws_region_name": "us-west-2"}, "this guardrail is in the environment's region ap-northeast-1"),
        ({}, {"aws_role_name": "arn:aws:iam::222233334444:role/a"}, "remove aws_role_name"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, profile: dict[str, Any], guardrail: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, profile, guardrail)
    assert said in str(refused.value)


def test_without_the_settings_nothing_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, made=Made())
    lines = str(refused.value).splitlines()
    assert [line.rpartition("nothing provides ")[2].partition(":")[0] for line in lines] == [
        "PERSONAL_DATA_GUARDRAIL_ID",
        "PERSONAL_DATA_GUARDRAIL_VERSION",
        "DATA_ENG_INFERENCE_PROFILE",
    ]


def test_a_guardrail_that_looks_too_late_is_told(tmp_path: Path) -> None:
    config = read(tmp_path, guardrail={"mode": "during_call"})
    assert [warning for warning in config.warnings if "without pre_call no prompt is masked" in warning]


def test_one_for_answers_beside_one_for_prompts_is_none(tmp_path: Path) -> None:
    modes = {"all": GUARDRAIL["mode"], "answers": "post_call"}
    both = [{"guardrail_name": name, "litellm_params": GUARDRAIL | {"mode": mode}} for name, mode in modes.items()]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(changed(guardrails=both)), "utf-8")
    warnings = load_config(path, provided=VARIABLES, region=REGION, made=MADE).warnings
    assert not [warning for warning in warnings if "without pre_call" in warning]


def test_what_is_made_and_not_used_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(changed()), "utf-8")
    warnings = load_config(path, provided=VARIABLES, region=REGION, made=MADE).warnings
    assert [warning for warning in warnings if "nothing is masked" in warning]
    assert [warning for warning in warnings if f"a profile of {SONNET}, and no model is called by it" in warning]
