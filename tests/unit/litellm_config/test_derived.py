"""What follows from a config.yaml: the permissions of the task's role, hosts, secrets, access groups."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks import CHECKOUT
from stacks.litellm_config import ConfigError, load_config
from tests.unit.litellm_config.documents import CLAUDE, VARIABLES, Load, bedrock, changed, permitted

INSTALLED = next(CHECKOUT.glob(".tools/litellm/lib/python*/site-packages/litellm"), None)


def test_no_bedrock_permission_without_a_bedrock_model(load: Load) -> None:
    document = changed()
    del document["model_list"][0]
    config = load(document)
    assert config.bedrock_regions == ()
    assert permitted(config) == {}


@pytest.mark.parametrize(
    ("document", "arns"),
    [
        pytest.param(
            bedrock("bedrock/amazon.titan-embed-text-v2:0", "us-east-2"),
            ["arn:aws:bedrock:us-east-2::foundation-model/amazon.titan-embed-text-v2:0"],
            id="a foundation model in its region only",
        ),
        pytest.param(
            bedrock("bedrock/converse/us.amazon.nova-2-lite-v1:0", "us-west-2"),
            [
                "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-2-lite-v1:0",
                "arn:aws:bedrock:us-east-2::foundation-model/amazon.nova-2-lite-v1:0",
                "arn:aws:bedrock:us-west-2:111122223333:inference-profile/us.amazon.nova-2-lite-v1:0",
                "arn:aws:bedrock:us-west-2::foundation-model/amazon.nova-2-lite-v1:0",
            ],
            id="a geographic profile in the calling region, its model wherever it routes to",
        ),
        pytest.param(
            bedrock("bedrock/us.anthropic.claude-sonnet-5-5", "us-west-1"),
            [
                "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-5-5",
                "arn:aws:bedrock:us-east-2::foundation-model/anthropic.claude-sonnet-5-5",
                "arn:aws:bedrock:us-west-1:111122223333:inference-profile/us.anthropic.claude-sonnet-5-5",
                "arn:aws:bedrock:us-west-1::foundation-model/anthropic.claude-sonnet-5-5",
                "arn:aws:bedrock:us-west-2::foundation-model/anthropic.claude-sonnet-5-5",
            ],
            id="the calling region too",
        ),
        pytest.param(
            bedrock("bedrock/jp.anthropic.claude-sonnet-5-5", "ap-northeast-1"),
            [
                "arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/jp.anthropic.claude-sonnet-5-5",
                "arn:aws:bedrock:ap-northeast-1::foundation-model/anthropic.claude-sonnet-5-5",
                "arn:aws:bedrock:ap-northeast-3::foundation-model/anthropic.claude-sonnet-5-5",
            ],
            id="Japan",
        ),
        pytest.param(
            bedrock("bedrock/invoke/global.anthropic.claude-sonnet-5-5", "ap-northeast-1"),
            [
                "arn:aws:bedrock:::foundation-model/anthropic.claude-sonnet-5-5",
                "arn:aws:bedrock:ap-northeast-1:111122223333:inference-profile/global.anthropic.claude-sonnet-5-5",
                "arn:aws:bedrock:ap-northeast-1::foundation-model/anthropic.claude-sonnet-5-5",
            ],
            id="a global profile has its model's ARN without region",
        ),
        pytest.param(
            changed(
                model_list=[
                    {
                        "model_name": "m",
                        "litellm_params": {
                            "model": "bedrock/jp.anthropic.claude-sonnet-5-5",
                            "model_id": "arn:aws:bedrock:ap-northeast-1:111122223333:application-inference-profile/a1",
                            "aws_region_name": "ap-northeast-1",
                        },
                    }
                ]
            ),
            [
                "arn:aws:bedrock:ap-northeast-1:111122223333:application-inference-profile/a1",
                "arn:aws:bedrock:ap-northeast-1::foundation-model/anthropic.claude-sonnet-5-5",
                "arn:aws:bedrock:ap-northeast-3::foundation-model/anthropic.claude-sonnet-5-5",
            ],
            id="an application inference profile as model_id",
        ),
        pytest.param(
            bedrock(
                "bedrock/converse/arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/a1",
                "us-east-1",
                model_info={"base_model": "bedrock/amazon.nova-2-lite-v1:0"},
            ),
            [
                "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/a1",
                "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-2-lite-v1:0",
            ],
            id="an application inference profile as model",
        ),
        pytest.param(
            bedrock("bedrock/converse/arn:aws:bedrock:us-east-1:111122223333:provisioned-model/ab12", "us-east-1"),
            ["arn:aws:bedrock:us-east-1:111122223333:provisioned-model/ab12"],
            id="provisioned throughput",
        ),
        pytest.param(
            bedrock("bedrock/llama/arn:aws:bedrock:us-east-1:111122223333:imported-model/ab12", "us-east-1"),
            ["arn:aws:bedrock:us-east-1:111122223333:imported-model/ab12"],
            id="an imported model in the format of another",
        ),
        pytest.param(
            bedrock("bedrock/nova/arn:aws:bedrock:us-east-1:111122223333:custom-model-deployment/ab12", "us-east-1"),
            ["arn:aws:bedrock:us-east-1:111122223333:custom-model-deployment/ab12"],
            id="a customized model",
        ),
        pytest.param(
            bedrock("bedrock/us-east-1/anthropic.claude-haiku-5-5", "us-east-1"),
            ["arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-haiku-5-5"],
            id="a region in the path",
        ),
        pytest.param(
            bedrock("bedrock/in.moonshotai.kimi-k3", "ap-south-1"),
            [
                "arn:aws:bedrock:ap-south-1:111122223333:inference-profile/in.moonshotai.kimi-k3",
                "arn:aws:bedrock:ap-south-1::foundation-model/moonshotai.kimi-k3",
                "arn:aws:bedrock:ap-south-2::foundation-model/moonshotai.kimi-k3",
            ],
            id="India",
        ),
        pytest.param(
            bedrock("bedrock/ca.amazon.nova-lite-v1:0", "ca-central-1"),
            [
                "arn:aws:bedrock:ca-central-1:111122223333:inference-profile/ca.amazon.nova-lite-v1:0",
                "arn:aws:bedrock:ca-central-1::foundation-model/amazon.nova-lite-v1:0",
                "arn:aws:bedrock:ca-west-1::foundation-model/amazon.nova-lite-v1:0",
            ],
            id="Canada",
        ),
    ],
)
def test_bedrock_resources_are_exact(load: Load, document: dict[str, Any], arns: list[str]) -> None:
    found = permitted(load(document))
    assert list(found["bedrock:InvokeModel"]) == list(found["bedrock:InvokeModelWithResponseStream"]) == arns


def test_the_regions_own_name_is_taken_where_the_file_leaves_it_to_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(bedrock("bedrock/eu.anthropic.claude-sonnet-5-5", "os.environ/AWS_REGION")))
    config = load_config(file, region="eu-west-3")
    assert config.bedrock_regions == ("eu-west-3",)
    assert "bedrock-runtime.eu-west-3.amazonaws.com" in config.hosts({})
    arns = permitted(config)["bedrock:InvokeModel"]
    assert "arn:aws:bedrock:eu-west-3:111122223333:inference-profile/eu.anthropic.claude-sonnet-5-5" in arns
    with pytest.raises(ConfigError, match="cannot be called from 'us-east-1'"):
        load_config(file, region="us-east-1")


@pytest.mark.parametrize(
    "parameters",
    [
        {"aws_access_key_id": "os.environ/OTHER_ACCESS_KEY", "aws_secret_access_key": "os.environ/OTHER_SECRET_KEY"},
        {"api_key": "os.environ/BEDROCK_API_KEY"},
    ],
    ids=["keys of another account", "a key of Bedrock's"],
)
def test_the_role_is_permitted_nothing_for_what_is_called_with_other_credentials(
    load: Load, parameters: dict[str, str]
) -> None:
    document = bedrock(CLAUDE, "us-west-2")
    document["model_list"][0]["litellm_params"] |= parameters
    config = load(document)
    assert permitted(config) == {}
    assert config.hosts({}) == ("bedrock-runtime.us-west-2.amazonaws.com",)
    assert {name.removeprefix("os.environ/") for name in parameters.values()} <= set(config.secrets)


GUARDRAIL = "arn:aws:bedrock:us-west-2:111122223333:guardrail/abc123"


@pytest.mark.parametrize("named", ["abc123", GUARDRAIL])
def test_a_guardrail_that_a_call_names_may_be_applied(load: Load, named: str) -> None:
    document = bedrock(CLAUDE, "us-west-2")
    document["model_list"][0]["litellm_params"]["guardrailConfig"] = {
        "guardrailIdentifier": named,
        "guardrailVersion": "1",
    }
    assert permitted(load(document))["bedrock:ApplyGuardrail"] == (GUARDRAIL,)


def test_a_guardrail_of_litellms_own_may_be_applied_without_a_model_of_bedrocks(load: Load) -> None:
    parameters = {
        "guardrail": "bedrock",
        "mode": "during_call",
        "guardrailIdentifier": "abc123",
        "guardrailVersion": "1",
        "aws_region_name": "us-west-2",
    }
    document = changed(guardrails=[{"guardrail_name": "content", "litellm_params": parameters}])
    del document["model_list"][0]
    config = load(document)
    assert permitted(config) == {"bedrock:ApplyGuardrail": (GUARDRAIL,)}
    assert "bedrock-runtime.us-west-2.amazonaws.com" in config.hosts(VARIABLES)


def test_no_guardrail_needs_no_permission(load: Load) -> None:
    assert "bedrock:ApplyGuardrail" not in permitted(load(changed()))


def test_an_application_of_entra_id_signs_in_elsewhere(load: Load) -> None:
    entra = {"tenant_id": "t", "client_id": "c", "client_secret": "os.environ/AZURE_CLIENT_SECRET", "api_key": None}
    document = changed()
    parameters = document["model_list"][1]["litellm_params"] | entra
    document["model_list"][1]["litellm_params"] = {key: value for key, value in parameters.items() if value}
    config = load(document)
    assert "login.microsoftonline.com" in config.hosts(VARIABLES)
    assert "AZURE_CLIENT_SECRET" in config.secrets


def test_a_credential_of_the_list_is_the_entrys(load: Load) -> None:
    values = {"api_base": "https://acme-east.openai.azure.com", "api_key": "os.environ/EAST_API_KEY"}
    document = changed(
        credential_list=[{"credential_name": "east", "credential_values": values, "credential_info": {}}]
    )
    document["model_list"][1]["litellm_params"] = {"model": "azure/gpt-6-luna", "litellm_credential_name": "east"}
    config = load(document)
    assert "acme-east.openai.azure.com" in config.hosts({})
    assert "EAST_API_KEY" in config.secrets


def test_access_groups_are_offered_too(load: Load) -> None:
    assert load(changed(gpt__model_info={"access_groups": ["beta", "research"]})).access_groups == {"beta", "research"}


OPUS, SONNET = "anthropic.claude-opus-5-5", "anthropic.claude-sonnet-4-6"
COUNTED: list[tuple[dict[str, Any], str, str, str]] = [
    # By LiteLLM's list with another model, which is asked in another region of the same part of the world.
    (bedrock("bedrock/us.anthropic.claude-sonnet-5-5", "us-west-2"), OPUS, "us-east-1", "of a profile"),
    (bedrock("bedrock/anthropic.claude-haiku-5-5", "us-east-2"), OPUS, "us-east-1", "of a model"),
    (bedrock("bedrock/converse/us.anthropic.claude-opus-5-5", "us-west-2"), OPUS, "us-east-1", "with a route"),
    (bedrock("bedrock/global.anthropic.claude-opus-5-5", "ap-northeast-1"), OPUS, "us-east-1", "of a global profile"),
    # Not out of its part of the world.
    (bedrock("bedrock/anthropic.claude-sonnet-5-5", "eu-west-1"), OPUS, "eu-west-1", "elsewhere"),
    # With itself.
    (bedrock("bedrock/jp.anthropic.claude-sonnet-4-6", "ap-northeast-1"), SONNET, "ap-northeast-1", "with itself"),
    (bedrock("bedrock/us.anthropic.claude-next", "us-west-2"), "anthropic.claude-next", "us-west-2", "not listed"),
    (
        bedrock(
            "bedrock/arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.anthropic.claude-sonnet-4-6",
            "us-east-1",
        ),
        SONNET,
        "us-east-1",
        "of a profile's ARN",
    ),
    (
        bedrock(
            "bedrock/converse/arn:aws:bedrock:us-west-2:111122223333:application-inference-profile/a1",
            "us-west-2",
            model_info={"base_model": "bedrock/us.anthropic.claude-sonnet-5-5"},
        ),
        OPUS,
        "us-east-1",
        "of a base model",
    ),
    # As the entry says.
    (
        bedrock(
            CLAUDE,
            "us-west-2",
            model_info={"token_count_model": {"model": "us.anthropic.claude-sonnet-4-6", "region": "eu-west-1"}},
        ),
        SONNET,
        "eu-west-1",
        "as the entry says",
    ),
    (
        bedrock(CLAUDE, "us-west-2", model_info={"token_count_model": {"model": "us.anthropic.claude-sonnet-4-6"}}),
        SONNET,
        "us-west-2",
        "as the entry says, in its own region",
    ),
]


@pytest.mark.parametrize(
    ("document", "model", "region"), [case[:3] for case in COUNTED], ids=[case[3] for case in COUNTED]
)
def test_tokens_are_counted_with_a_model_that_bedrock_counts_for(
    load: Load, document: dict[str, Any], model: str, region: str
) -> None:
    found = {action: arns for action, arns in permitted(load(document)).items() if action.endswith("CountTokens")}
    assert found == {
        "bedrock:CountTokens": (f"arn:aws:bedrock:{region}::foundation-model/{model}",),
        "bedrock-mantle:CountTokens": (f"arn:aws:bedrock-mantle:{region}:111122223333:project/default",),
    }


@pytest.mark.parametrize(
    "document",
    [
        bedrock("bedrock/us.amazon.nova-2-lite-v1:0", "us-east-1"),
        bedrock("bedrock/converse/arn:aws:bedrock:us-east-1:111122223333:provisioned-model/ab12", "us-east-1"),
    ],
    ids=["another maker's", "an ARN that does not tell it"],
)
def test_bedrock_counts_for_anthropics_models_only(load: Load, document: dict[str, Any]) -> None:
    assert not [action for action in permitted(load(document)) if action.endswith("CountTokens")]


@pytest.mark.skipif(INSTALLED is None, reason="LiteLLM is not installed in .tools/litellm; `make setup` installs it")
def test_litellm_goes_on_to_mantle_only_where_counting_is_permitted() -> None:
    """Refused by IAM, it would not: both permissions are needed."""
    assert INSTALLED
    source = (INSTALLED / "llms" / "bedrock" / "count_tokens" / "bedrock_token_counter.py").read_text()
    assert "_RUNTIME_FALLBACK_STATUSES: Final = frozenset({400, 404})" in source


ROLE = "arn:aws:iam::222233334444:role/bedrock-caller"


def test_a_role_of_another_account_is_assumed_and_calls_there(load: Load) -> None:
    document = bedrock(CLAUDE, "us-west-2")
    document["model_list"][0]["litellm_params"] |= {"aws_role_name": ROLE, "aws_external_id": "acme"}
    config = load(document)
    assert config.permissions(partition="aws", account="111122223333") == ((("sts:AssumeRole",), (ROLE,)),)
    (role,) = config.assumed_roles
    (trusted,) = role.trust("111122223333", "task-*")["Statement"]
    assert trusted["Principal"] == {"AWS": "arn:aws:iam::111122223333:root"}
    assert trusted["Condition"] == {
        "ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/task-*"},
        "StringEquals": {"sts:ExternalId": ["acme"]},
    }
    del document["model_list"][0]["litellm_params"]["aws_role_name"]
    assert role.permissions == load(document).permissions(partition="aws", account="222233334444")


def test_a_role_that_one_entry_assumes_without_an_external_id_is_not_asked_for_it(load: Load) -> None:
    document = bedrock(CLAUDE, "us-west-2")
    first = document["model_list"][0]["litellm_params"]
    first |= {"aws_role_name": ROLE, "aws_external_id": "acme"}
    second = {key: value for key, value in first.items() if key != "aws_external_id"}
    document["model_list"].append({"model_name": "second", "litellm_params": second})
    (role,) = load(document).assumed_roles
    assert "StringEquals" not in role.trust("111122223333", "task-*")["Statement"][0]["Condition"]


def test_tags_are_permitted_on_both_sides(load: Load) -> None:
    document = bedrock(CLAUDE, "us-west-2")
    tags = [{"Key": "team", "Value": "research"}]
    document["model_list"][0]["litellm_params"] |= {"aws_role_name": ROLE, "aws_session_tags": tags}
    config = load(document)
    permitted = config.permissions(partition="aws", account="111122223333")
    assert [actions for actions, _ in permitted] == [("sts:AssumeRole",), ("sts:TagSession",)]
    (role,) = config.assumed_roles
    assert [each["Action"] for each in role.trust("111122223333", "task-*")["Statement"]] == [
        "sts:AssumeRole",
        "sts:TagSession",
    ]


def test_a_guardrail_of_another_account_is_asked_by_its_role(load: Load) -> None:
    parameters = {
        "guardrail": "bedrock",
        "mode": "pre_call",
        "guardrailIdentifier": "abc123",
        "guardrailVersion": "1",
        "aws_region_name": "us-west-2",
        "aws_role_name": ROLE,
    }
    document = changed(guardrails=[{"guardrail_name": "content", "litellm_params": parameters}])
    del document["model_list"][0]
    config = load(document)
    assert config.permissions(partition="aws", account="111122223333") == ((("sts:AssumeRole",), (ROLE,)),)
    (role,) = config.assumed_roles
    arn = "arn:aws:bedrock:us-west-2:222233334444:guardrail/abc123"
    assert role.permissions == ((("bedrock:ApplyGuardrail",), (arn,)),)


def test_a_role_that_keys_assume_takes_no_permission(load: Load) -> None:
    document = bedrock(CLAUDE, "us-west-2")
    keys = {"aws_access_key_id": "os.environ/OTHER_ACCESS_KEY", "aws_secret_access_key": "os.environ/OTHER_SECRET_KEY"}
    document["model_list"][0]["litellm_params"] |= {"aws_role_name": ROLE, **keys}
    config = load(document)
    assert config.permissions(partition="aws", account="111122223333") == ()
    assert config.assumed_roles == ()
