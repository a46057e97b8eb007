"""What the stack makes of Bedrock's: the guardrail with its version, the inference profiles, and who may use them."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import assertions
from aws_cdk import aws_ecs as ecs

from stacks import CHECKOUT
from stacks.company import load
from stacks.gateway.bedrock import BedrockResources
from stacks.settings import Bedrock, Environment, InferenceProfile, PersonalData
from stacks.settings.bedrock import KINDS

BASE = load(CHECKOUT / "tests" / "companies" / "two-accounts").environments["prod"]
EVERYTHING = ("PERSONAL_DATA_GUARDRAIL_ID", "PERSONAL_DATA_GUARDRAIL_VERSION", "A_INFERENCE_PROFILE")


def made(bedrock: Bedrock, referred: tuple[str, ...] = EVERYTHING) -> tuple[assertions.Template, BedrockResources]:
    """A stack with these resources and a task that may use what is referred to."""
    environment: Environment = BASE.model_copy(update={"bedrock": bedrock})
    place = cdk.Environment(account=environment.account, region=environment.region)
    stack = cdk.Stack(cdk.App(), "Stack", env=place)
    resources = BedrockResources(stack, "Bedrock", environment=environment)
    resources.permit(ecs.FargateTaskDefinition(stack, "Task"), referred)
    return assertions.Template.from_stack(stack), resources


def of(template: assertions.Template, kind: str) -> dict[str, Any]:
    return {name: each["Properties"] for name, each in template.find_resources(kind).items()}


def statements(template: assertions.Template) -> list[dict[str, Any]]:
    return [
        each for policy in of(template, "AWS::IAM::Policy").values() for each in policy["PolicyDocument"]["Statement"]
    ]


def test_without_the_settings_nothing_is_made() -> None:
    template, resources = made(Bedrock())
    assert resources.variables == {}
    assert statements(template) == []
    assert of(template, "AWS::Bedrock::Guardrail") == {}


def test_the_guardrail_masks_and_blocks_nothing() -> None:
    template, resources = made(Bedrock(personal_data=PersonalData()))
    ((name, guardrail),) = of(template, "AWS::Bedrock::Guardrail").items()
    assert guardrail["Name"] == "litellm-prod-personal-data"
    policy = guardrail["SensitiveInformationPolicyConfig"]
    actions = {each["Action"] for each in (*policy["PiiEntitiesConfig"], *policy["RegexesConfig"])}
    assert actions == {"ANONYMIZE"}
    assert "CrossRegionConfig" not in guardrail  # texts stay in the region
    assert statements(template) == [
        {
            "Action": "bedrock:ApplyGuardrail",
            "Effect": "Allow",
            "Resource": {"Fn::GetAtt": [name, "GuardrailArn"]},
        }
    ]
    assert resources.variables.keys() == {"PERSONAL_DATA_GUARDRAIL_ID", "PERSONAL_DATA_GUARDRAIL_VERSION"}


def test_another_definition_makes_another_version() -> None:
    versions = [
        of(made(Bedrock(personal_data=PersonalData(kinds=kinds)))[0], "AWS::Bedrock::GuardrailVersion")
        for kinds in (KINDS, ("email",), KINDS)
    ]
    assert versions[0] == versions[2] != versions[1]


def test_a_kind_of_no_form_of_its_own_has_no_empty_list() -> None:
    template, _ = made(Bedrock(personal_data=PersonalData(kinds=("residence_card",))))
    (guardrail,) = of(template, "AWS::Bedrock::Guardrail").values()
    assert guardrail["SensitiveInformationPolicyConfig"].keys() == {"RegexesConfig"}


def test_a_profile_is_of_a_profile_or_of_a_model() -> None:
    geographic = InferenceProfile(name="a", model="jp.anthropic.claude-sonnet-5-5", tags={"team": "a"})
    plain = InferenceProfile(name="b", model="amazon.titan-embed-text-v2:0")
    template, resources = made(Bedrock(inference_profiles=(geographic, plain)))
    found = of(template, "AWS::Bedrock::ApplicationInferenceProfile")
    by_name = {each["InferenceProfileName"]: each for each in found.values()}
    prefix = ["arn:", {"Ref": "AWS::Partition"}]
    assert by_name["litellm-prod-a"]["ModelSource"]["CopyFrom"]["Fn::Join"][1] == [
        *prefix,
        f":bedrock:{BASE.region}:{BASE.account}:inference-profile/jp.anthropic.claude-sonnet-5-5",
    ]
    assert by_name["litellm-prod-b"]["ModelSource"]["CopyFrom"]["Fn::Join"][1] == [
        *prefix,
        f":bedrock:{BASE.region}::foundation-model/amazon.titan-embed-text-v2:0",
    ]
    assert {"Key": "team", "Value": "a"} in by_name["litellm-prod-a"]["Tags"]
    # Only what config.yaml refers to may be called: here the first.
    (statement,) = statements(template)
    (name,) = (name for name, each in found.items() if each["InferenceProfileName"] == "litellm-prod-a")
    assert statement["Resource"] == {"Fn::GetAtt": [name, "InferenceProfileArn"]}
    assert statement["Action"] == ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]
    assert resources.variables.keys() == {"A_INFERENCE_PROFILE", "B_INFERENCE_PROFILE"}


def test_the_roles_name_begins_as_others_are_told() -> None:
    """`Environment.task_role` is what CloudFormation makes of the stack's name and of the role's logical id."""
    template, _ = made(Bedrock(personal_data=PersonalData()))
    (role,) = template.find_resources("AWS::IAM::Role")
    stack, _, logical_id = BASE.task_role.rpartition("-")
    assert stack == "litellm-prod-gateway"
    assert role.startswith(logical_id.rstrip("*"))
