"""Bedrock's resources by the emulated CloudFormation: made, versioned, and refused as Bedrock refuses them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.aws import REGION, Emulator
from local.outside.guardrails import regex
from local.ports import free_ports
from tests.unit.local.test_emulator import OWN, aws, deploy, get_att
from tests.unit.local.test_functions import resource

MODEL = "anthropic.claude-haiku-5-5"
SOURCE = f"arn:aws:bedrock:{REGION}:{OWN}:inference-profile/us.{MODEL}"


def guardrail(*regexes: dict[str, str], name: str = "g", **entity: str) -> dict[str, Any]:
    policy: dict[str, Any] = {"PiiEntitiesConfig": [{"Type": "EMAIL", "Action": "ANONYMIZE"} | entity]}
    if regexes:
        policy["RegexesConfig"] = [
            {"Name": f"R{number}", "Action": "ANONYMIZE"} | r for number, r in enumerate(regexes)
        ]
    return resource(
        "AWS::Bedrock::Guardrail",
        Name=name,
        BlockedInputMessaging="no",
        BlockedOutputsMessaging="no",
        SensitiveInformationPolicyConfig=policy,
    )


def profile(source: str = SOURCE, name: str = "p") -> dict[str, Any]:
    return resource(
        "AWS::Bedrock::ApplicationInferenceProfile",
        InferenceProfileName=name,
        ModelSource={"CopyFrom": source},
        Tags=[{"Key": "team", "Value": "a"}],
    )


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    emulator = Emulator(port=free_ports(1)[0], state=tmp_path_factory.mktemp("emulator"))
    emulator.start()
    yield emulator
    emulator.stop()


def test_a_guardrail_and_its_versions_are_made_and_found(emulator: Emulator) -> None:
    version = resource(
        "AWS::Bedrock::GuardrailVersion", GuardrailIdentifier=get_att("G", "GuardrailId"), Description="one"
    )
    outputs = {
        "Id": get_att("G", "GuardrailId"),
        "Version": get_att("V", "Version"),
        "Arn": get_att("G", "GuardrailArn"),
    }
    pattern = {"Pattern": r"\x{3012}[0-9]{7}"}
    made = deploy(emulator, "guardrail", {"G": guardrail(pattern), "V": version}, outputs)
    assert made["Arn"] == f"arn:aws:bedrock:{REGION}:{OWN}:guardrail/{made['Id']}"
    assert made["Version"] == "1"
    found = aws(emulator, "bedrock").get_guardrail(guardrailIdentifier=made["Id"], guardrailVersion="1")
    policy = found["sensitiveInformationPolicy"]
    assert policy["piiEntities"] == [{"type": "EMAIL", "action": "ANONYMIZE"}]
    assert [each["name"] for each in policy["regexes"]] == ["R0"]


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        (guardrail(Action="MASK"), "must satisfy enum"),
        (guardrail(Type="MY_NUMBER"), "must satisfy enum"),
        (guardrail(name="a name"), "must satisfy pattern"),
        (guardrail({"Pattern": "(?<!a)b"}), "not supported"),
        (guardrail({"Pattern": "x" * 501}), "length between 1 and 500"),
        (guardrail(*({"Pattern": "a"} for _ in range(11))), "length between 1 and 10"),
        (guardrail({"Pattern": "(a"}), "not valid"),
        (guardrail({"Pattern": "a"}, {"Pattern": "b", "Name": "R0"}), "R0 twice"),
        (profile(SOURCE.replace(REGION, "eu-west-1")), "source is invalid"),
        (profile(SOURCE.replace("us.", "jp.")), "does not exist"),
        (profile(f"arn:aws:bedrock:{REGION}::foundation-model/anthropic.claude-none"), "does not exist"),
        (profile(name="a--b"), "must satisfy pattern"),
    ],
)
def test_what_bedrock_refuses_fails_the_deployment(emulator: Emulator, refused: dict[str, Any], reason: str) -> None:
    with pytest.raises(AssertionError, match=reason):
        deploy(emulator, f"refused-{abs(hash(str(refused)))}", {"R": refused})


def test_a_profile_is_made_and_goes_with_its_stack(emulator: Emulator) -> None:
    made = deploy(emulator, "profile", {"P": profile(name="kept")}, {"Arn": get_att("P", "InferenceProfileArn")})
    bedrock = aws(emulator, "bedrock")
    found = bedrock.get_inference_profile(inferenceProfileIdentifier=made["Arn"].rpartition("/")[2])
    assert found["models"] == [{"modelArn": SOURCE}]
    assert bedrock.list_tags_for_resource(resourceARN=made["Arn"])["tags"]
    with pytest.raises(AssertionError, match="exists already"):
        deploy(emulator, "profile-again", {"P": profile(name="kept")})
    aws(emulator, "cloudformation").delete_stack(StackName="profile")
    aws(emulator, "cloudformation").get_waiter("stack_delete_complete").wait(
        StackName="profile", WaiterConfig={"Delay": 1, "MaxAttempts": 300}
    )
    with pytest.raises(ClientError, match="ResourceNotFound"):
        bedrock.get_inference_profile(inferenceProfileIdentifier=made["Arn"].rpartition("/")[2])


def test_a_version_is_made_anew_when_the_definition_changes_and_the_one_before_goes(emulator: Emulator) -> None:
    def template(description: str) -> dict[str, Any]:
        version = resource(
            "AWS::Bedrock::GuardrailVersion", GuardrailIdentifier=get_att("G", "GuardrailId"), Description=description
        )
        return {"G": guardrail(name="versioned"), "V": version}

    outputs = {"Id": get_att("G", "GuardrailId"), "Version": get_att("V", "Version")}
    made = deploy(emulator, "versioned", template("one"), outputs)
    cloudformation = aws(emulator, "cloudformation")
    wanted = {"Resources": template("two"), "Outputs": {key: {"Value": value} for key, value in outputs.items()}}
    cloudformation.update_stack(StackName="versioned", TemplateBody=json.dumps(wanted))
    cloudformation.get_waiter("stack_update_complete").wait(
        StackName="versioned", WaiterConfig={"Delay": 1, "MaxAttempts": 300}
    )
    (stack,) = cloudformation.describe_stacks(StackName="versioned")["Stacks"]
    after = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    assert after == {"Id": made["Id"], "Version": "2"}
    with pytest.raises(ClientError, match="ResourceNotFound"):
        aws(emulator, "bedrock").get_guardrail(guardrailIdentifier=made["Id"], guardrailVersion="1")


def test_a_character_beyond_ascii_may_be_written_by_its_number() -> None:
    assert regex(r"[\x{FF10}-\x{FF19}]+").fullmatch("１２３")  # noqa: RUF001
