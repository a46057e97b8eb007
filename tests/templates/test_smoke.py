"""The smoke test's stack: what the function is given, what it and its key may do, who runs it, and its way in."""

import json
import re
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from stacks.company import config_file, environments, promotion
from stacks.environment_stage import EnvironmentStage
from stacks.gateway.stack import CONTAINER
from stacks.litellm_config import image_version, load_config
from stacks.settings import Environment, Releases
from stacks.smoke import LITELLM_ROUTES, free_providers, providers_to_ask
from tests.templates.conftest import CHECKOUT, WITHOUT_BUNDLING, Template, only, resources, statements
from tests.templates.synthesis import plain, resolved, text
from tests.templates.waf import allows

ENVIRONMENTS = environments()
Templates = dict[str, dict[str, Template]]
in_every_environment = pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
# What lambda/smoke/handler.py asks; the sign-in page's scripts have names of their own in every version.
REQUESTS = (
    *(("GET", "/health/readiness"), ("GET", "/ui/login/"), ("GET", "/litellm/.well-known/litellm-ui-config")),
    ("GET", "/litellm-asset-prefix/_next/static/chunks/0po6dcxc4c7oi.js"),
    *(("GET", "/v1/model/info"), ("GET", "/v2/user/info"), ("POST", "/v1/chat/completions")),
    *(("POST", "/v1/responses"), ("POST", "/v1/embeddings")),
)
NAT_GATEWAY = "198.51.100.7"  # in none of the ranges of the settings
FUNCTION = "10.10.1.5"


def _by_name(template: Template, kind: str) -> dict[str, Any]:
    return {plain(logical_id): properties for logical_id, properties in resources(template, kind).items()}


def _function(template: Template) -> Any:  # noqa: ANN401 - a template is JSON
    return _by_name(template, "AWS::Lambda::Function")["Test"]


def _grants(template: Template, role: str) -> set[tuple[str, str]]:
    """Action and resource of every grant to a role, of a parameter the last part of its name."""
    found = set()
    for policy, statement in statements(template):
        if plain(policy).removesuffix("DefaultPolicy") == role:
            actions, arns = statement["Action"], statement["Resource"]
            for action in actions if isinstance(actions, list) else [actions]:
                for arn in arns if isinstance(arns, list) else [arns]:
                    found.add((action, re.sub(r"^arn:aws:ssm:.*/", "", text(arn))))
    return found


# The function


@in_every_environment
def test_function(templates: Templates, environment: Environment) -> None:
    stacks = templates[environment.name]
    function = _function(stacks["Smoke"])
    assert function["FunctionName"] == f"litellm-{environment.name}-smoke"
    assert (function["Runtime"], function["Architectures"]) == ("python3.14", ["arm64"])
    assert (
        600 <= function["Timeout"] <= 900
    )  # three attempts at each place, then the spend; 15 minutes are Lambda's most
    assert "ReservedConcurrentExecutions" not in function
    assert text(function["LoggingConfig"]["LogGroup"]) == "<TestLogs>"
    log_group = _by_name(stacks["Smoke"], "AWS::Logs::LogGroup")["TestLogs"]
    assert log_group["RetentionInDays"] == environment.log_retention_days
    network = resolved(stacks, function["VpcConfig"])
    assert list(map(text, network["SecurityGroupIds"])) == ["<FunctionsGroup.GroupId>"]
    zones = range(1, len(environment.network.zones) + 1)
    assert list(map(text, network["SubnetIds"])) == [f"<VpcPrivateSubnet{zone}Subnet>" for zone in zones]


@in_every_environment
def test_it_asks_the_public_name_for_the_version_that_is_deployed(
    templates: Templates, environment: Environment
) -> None:
    assert _function(templates[environment.name]["Smoke"])["Environment"]["Variables"] == {
        "PARAMETER_PREFIX": f"/litellm/{environment.name}",
        "KEY": "SMOKE_KEY",
        "GATEWAY_URL": f"https://{environment.domain}",
        "LITELLM_VERSION": image_version(CONTAINER / "Dockerfile"),
        "PROVIDERS": "azure bedrock vertex_ai",
        **({"SLEEP_FUNCTION": f"litellm-{environment.name}-sleep"} if environment.sleep else {}),
    }


@in_every_environment
def test_it_may_read_its_key_and_nothing_else(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Smoke"]
    function = f"arn:aws:lambda:{environment.region}:{environment.account}:function:litellm-{environment.name}-sleep"
    wakes = {("lambda:InvokeFunction", function)} if environment.sleep else set()
    assert _grants(template, "TestServiceRole") == {("ssm:GetParameter", "SMOKE_KEY")} | wakes
    managed = _by_name(template, "AWS::IAM::Role")["TestServiceRole"]["ManagedPolicyArns"]
    assert [text(arn).rpartition("/")[2] for arn in managed] == [
        "AWSLambdaBasicExecutionRole",
        "AWSLambdaVPCAccessExecutionRole",
    ]


# The key


@in_every_environment
def test_key(templates: Templates, environment: Environment) -> None:
    template = templates[environment.name]["Smoke"]
    key = only(template, "Custom::LiteLlmKey")
    assert key["AllowedRoutes"] == list(LITELLM_ROUTES)
    limits = json.loads(key["Limits"])
    config = environment.litellm_config(config_file())
    assert limits == {
        "max_budget": 0.05,
        "budget_duration": "1d",
        "models": sorted({model.name for model in config.models}),
    }
    variables = _by_name(template, "AWS::Lambda::Function")["LiteLlmKeyMake"]["Environment"]["Variables"]
    assert (variables["KEY"], variables["USER_ID"], variables["USER_ROLE"]) == (
        "SMOKE_KEY",
        "smoke-test",
        "internal_user",
    )
    (function,) = (
        resource
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Lambda::Function" and plain(name) == "Test"
    )
    assert "LiteLlmKey" in function["DependsOn"]


@in_every_environment
def test_the_keys_of_others_are_as_they_were(templates: Templates, environment: Environment) -> None:
    """No limits, which would be other keys."""
    for stack in ("Onboarding", "Usage"):
        assert "Limits" not in only(templates[environment.name][stack], "Custom::LiteLlmKey")


# Who runs it


@in_every_environment
def test_the_account_of_the_releases_may_run_it(templates: Templates, environment: Environment) -> None:
    releases = promotion()
    assert releases
    found = resources(templates[environment.name]["Smoke"], "AWS::Lambda::Permission").values()
    assert [(each["Principal"], each["Action"], text(each["FunctionName"])) for each in found] == (
        [(releases.account, "lambda:InvokeFunction", "<Test.Arn>")] if environment.name in releases.environments else []
    )


@pytest.mark.parametrize("promoted", [None, ("stg", "prod")], ids=["no releases", "not of this environment"])
def test_nobody_else_may(promoted: tuple[str, ...] | None) -> None:
    releases = promotion()
    assert releases
    of_others: Releases | None = releases.model_copy(update={"environments": promoted}) if promoted else None
    app = cdk.App(context=json.loads((CHECKOUT / "cdk.json").read_text())["context"] | WITHOUT_BUNDLING)
    stage = EnvironmentStage(app, environment=ENVIRONMENTS["dev"], config_file=config_file(), releases=of_others)
    template = app.synth().get_nested_assembly(f"assembly-{stage.node.id}").get_stack_artifact(stage.smoke.artifact_id)
    assert not resources(template.template, "AWS::Lambda::Permission")


# The way in (the security groups are in test_network.py)


@in_every_environment
@pytest.mark.parametrize("address", [NAT_GATEWAY, FUNCTION], ids=["public", "internal"])
@pytest.mark.parametrize(("method", "path"), REQUESTS, ids=lambda value: str(value))
def test_the_web_acl_lets_its_requests_pass(
    templates: Templates, environment: Environment, method: str, path: str, address: str
) -> None:
    assert not any(IPv4Address(address) in cidr for cidr in environment.ingress.cidrs)
    assert allows(templates[environment.name]["Gateway"], method, path, address)


@pytest.mark.parametrize(("method", "path"), [("GET", "/key/info"), ("POST", "/user/new"), ("GET", "/user/list")])
def test_and_no_others(templates: Templates, method: str, path: str) -> None:
    assert not allows(templates["prod"]["Gateway"], method, path, NAT_GATEWAY)


def test_its_key_is_for_no_more_than_its_requests() -> None:
    assert set(LITELLM_ROUTES) <= {path for _, path in REQUESTS}


# Whom it asks


def test_a_provider_that_shares_all_its_names_is_not_asked(tmp_path: Path) -> None:
    """An answer to a name that two providers share would not tell which of them is well."""
    text_of = config_file().read_text()
    shared = text_of.replace("model_name: gemini-4-argon", "model_name: gpt-6-luna")
    shared = shared.replace("model_name: gemini-3.8-flash", "model_name: gpt-6.1-sol")
    shared = re.sub(r"    (- )?gemini-.*\n", "", shared)  # what falls back to them, and what stands for them
    (tmp_path / "config.yaml").write_text(shared)
    config = load_config(tmp_path / "config.yaml", provided=ENVIRONMENTS["dev"].plain_variables)
    assert providers_to_ask(config) == ["azure", "bedrock"]  # azure: of its embedding model, which is not a chat model
    assert free_providers(config) == []


def test_a_provider_is_free_whose_models_all_have_a_price_of_0(tmp_path: Path) -> None:
    """By config.yaml or LiteLLM's list; one without a price is unknown, and not free."""
    nothing = "{input_cost_per_token: 0, output_cost_per_token: 0}"
    entries = [
        f"{{model_name: a, litellm_params: {{model: hosted_vllm/a, api_base: 'https://a.bc'}}, model_info: {nothing}}}",
        f"{{model_name: b, litellm_params: {{model: mistral/mistral-large-4}}, model_info: {nothing}}}",
        "{model_name: c, litellm_params: {model: mistral/mistral-small-latest}}",
        "{model_name: d, litellm_params: {model: ollama/llama3.1, api_base: 'https://o.bc'}}",
        "{model_name: e, litellm_params: {model: openai/unknown}}",
    ]
    limits = "{database_connection_pool_limit: 10}\nlitellm_settings: {request_timeout: 600}\n"
    text = f"model_list: [{', '.join(entries)}]\ngeneral_settings: {limits}"
    (tmp_path / "config.yaml").write_text(text)
    assert free_providers(load_config(tmp_path / "config.yaml")) == ["hosted_vllm", "ollama"]
