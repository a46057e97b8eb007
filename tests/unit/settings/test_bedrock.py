"""The settings of what the deployment makes of Bedrock: what is accepted, and what is refused in which sentence."""

from typing import Any

import pytest

from stacks.settings import SettingsError
from stacks.settings.bedrock import KINDS, Bedrock, InferenceProfile
from tests.unit.settings.test_settings import environment

SONNET = "jp.anthropic.claude-sonnet-5-5"


def test_by_default_all_is_masked_in_a_guardrail_and_none_is_made_without() -> None:
    assert Bedrock().variables == ()
    assert Bedrock.model_validate({"personal_data": {}}).personal_data.kinds == KINDS  # type: ignore[union-attr]


def test_a_profiles_name_makes_its_variable() -> None:
    assert InferenceProfile(name="data-eng", model=SONNET).variable == "DATA_ENG_INFERENCE_PROFILE"


@pytest.mark.parametrize(
    ("bedrock", "said"),
    [
        ({"personal_data": {"kinds": ()}}, "kinds"),
        ({"personal_data": {"kinds": ("email", "email")}}, "named twice"),
        ({"personal_data": {"kinds": ("shoe_size",)}}, "kinds"),
        ({"inference_profiles": ({"name": "a--b", "model": SONNET},)}, "no name for an inference profile"),
        ({"inference_profiles": ({"name": "a", "model": "claude"},)}, "no model or inference profile of Bedrock"),
        ({"inference_profiles": ({"name": "a", "model": SONNET},) * 2}, "one name twice"),
        ({"inference_profiles": ({"name": "a", "model": "us.anthropic.claude-sonnet-5-5"},)}, "cannot be called from"),
        ({"inference_profiles": ({"name": "a", "model": SONNET, "tags": {"owner": "x"}},)}, "has the tag owner"),
    ],
)
def test_what_cannot_be_made_is_refused(bedrock: dict[str, Any], said: str) -> None:
    with pytest.raises((SettingsError, ValueError)) as refused:
        environment(bedrock=bedrock, tags={"owner": "sre"})
    assert said in str(refused.value)


@pytest.mark.parametrize("name", ["PERSONAL_DATA_GUARDRAIL_ID", "TEAM_INFERENCE_PROFILE"])
def test_a_variable_that_the_deployment_makes_is_nobody_elses(name: str) -> None:
    with pytest.raises((SettingsError, ValueError), match="gives the task: use another name"):
        environment(variables={name: "x"})
