"""A config.yaml, and what stacks/litellm_config derives from it and refuses."""

import copy
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks import CHECKOUT
from stacks.company import EXAMPLE
from stacks.litellm_config import BEDROCK_ACTIONS, CORE_SECRETS, ConfigError, LiteLlmConfig, load_config

CONFIG = EXAMPLE / "config.yaml"
INSTALLED = next(CHECKOUT.glob(".tools/litellm/lib/python*/site-packages/litellm"), None)

VARIABLES = {
    "AZURE_API_BASE": "https://acme.openai.azure.com/",
    "DD_ENV": "dev",
    "DD_SERVICE": "litellm-gateway",
    "DD_SITE": "ap1.datadoghq.com",
    "DD_SOURCE": "litellm",
    "SMTP_HOST": "email-smtp.ap-northeast-1.amazonaws.com",
    "SMTP_PORT": "587",
    "SMTP_SENDER_EMAIL": "gateway@example.com",
    "SMTP_TLS": "True",
    "TRUSTED_PROXY_RANGES": "10.0.0.0/16",
    "VERTEXAI_LOCATION": "global",
    "VERTEXAI_PROJECT": "example-1234",
}

CLAUDE = "bedrock/us.anthropic.claude-sonnet-5-5"
SMALLEST: dict[str, Any] = {
    "model_list": [
        {"model_name": "claude", "litellm_params": {"model": CLAUDE, "aws_region_name": "us-west-2"}},
        {
            "model_name": "gpt",
            "litellm_params": {
                "model": "azure/gpt-6-luna",
                "api_base": "os.environ/AZURE_API_BASE",
                "api_key": "os.environ/AZURE_API_KEY",
            },
        },
    ],
    "litellm_settings": {
        "request_timeout": 600,
        "budget_exceeded_status_code": 400,
        "callbacks": ["budgets.refusals"],
    },
    "general_settings": {"database_connection_pool_limit": 10, "disable_budget_reservation": True},
}

Load = Callable[..., LiteLlmConfig]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write a document, or text, as config.yaml and load it."""

    def write_and_load(
        document: object, licensed: bool = False, provided: Collection[str] = tuple(VARIABLES)
    ) -> LiteLlmConfig:
        path = tmp_path / "config.yaml"
        path.write_text(document if isinstance(document, str) else yaml.safe_dump(document), "utf-8")
        return load_config(path, provided=provided, licensed=licensed)

    return write_and_load


def changed(**changes: object) -> dict[str, Any]:
    """The smallest document with changes, each named by its path: section__key, or claude__key in that entry."""
    document = copy.deepcopy(SMALLEST)
    for path, value in changes.items():
        *parents, last = path.split("__")
        target: Any = document
        for parent in parents:
            entries = {entry["model_name"]: entry for entry in document["model_list"]}
            target = entries[parent] if parent in entries else target.setdefault(parent, {})
        if value is None:
            del target[last]
        else:
            target[last] = value
    return document


def bedrock(model: str, region: str, **entry: object) -> dict[str, Any]:
    """The smallest document with only this Bedrock model."""
    parameters = {"model": model, "aws_region_name": region}
    return changed(model_list=[{"model_name": "m", "litellm_params": parameters, **entry}])


# What the file of this repository gives


def test_the_default_config_loads_without_a_warning() -> None:
    config = load_config(CONFIG, provided=VARIABLES)
    assert config.warnings == ()
    assert config.callbacks == ("masking.datadog", "prices.dated", "budgets.refusals")
    assert config.licensed_callbacks == ()
    assert config.alerting == ("slack", "email")
    assert config.request_timeout == 600


def test_the_default_config_calls_each_bedrock_model_in_three_regions() -> None:
    config = load_config(CONFIG, provided=VARIABLES)
    regions: dict[str, set[str | None]] = {}
    for model in config.models:
        if model.provider == "bedrock":
            regions.setdefault(model.name, set()).add(model.region)
    assert len(regions) >= 4
    assert set(map(frozenset, regions.values())) == {frozenset({"us-west-2", "us-east-1", "us-east-2"})}
    assert {model.provider for model in config.models} == {"azure", "bedrock", "vertex_ai"}


def test_the_default_config_names_its_secrets_and_variables() -> None:
    config = load_config(CONFIG, provided=VARIABLES)
    assert config.secrets == (
        "AZURE_API_KEY",
        "DATABASE_PASSWORD",
        "DD_API_KEY",
        "LITELLM_MASTER_KEY",
        "LITELLM_SALT_KEY",
        "SLACK_WEBHOOK_URL",
        "SMTP_PASSWORD",
        "SMTP_USERNAME",
        "UI_PASSWORD",
        "VERTEX_CREDENTIALS",
    )
    assert config.variables == tuple(sorted(VARIABLES))


def test_the_default_config_keeps_prompts_inside() -> None:
    document = yaml.safe_load(CONFIG.read_text("utf-8"))
    assert document["litellm_settings"]["turn_off_message_logging"] is True
    assert document["litellm_settings"]["redact_messages_in_exceptions"] is True
    assert document["general_settings"]["store_prompts_in_spend_logs"] is False
    assert "llm_exceptions" not in document["general_settings"]["alert_types"]


def test_hosts_are_the_ones_that_the_task_calls() -> None:
    assert load_config(CONFIG, provided=VARIABLES).hosts(VARIABLES) == (
        "acme.openai.azure.com",
        "aiplatform.googleapis.com",
        "bedrock-runtime.us-east-1.amazonaws.com",
        "bedrock-runtime.us-east-2.amazonaws.com",
        "bedrock-runtime.us-west-2.amazonaws.com",
        "email-smtp.ap-northeast-1.amazonaws.com",
        "hooks.slack.com",
        "http-intake.logs.ap1.datadoghq.com",
        "oauth2.googleapis.com",
    )


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("global", "aiplatform.googleapis.com"),
        ("us-central1", "us-central1-aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
    ],
)
def test_vertex_ai_has_a_host_per_location(location: str, host: str) -> None:
    hosts = load_config(CONFIG, provided=VARIABLES).hosts({**VARIABLES, "VERTEXAI_LOCATION": location})
    assert [name for name in hosts if "aiplatform" in name] == [host]


# What is derived


def test_no_bedrock_permission_without_a_bedrock_model(load: Load) -> None:
    document = changed()
    del document["model_list"][0]
    config = load(document)
    assert config.bedrock_actions == config.bedrock_regions == ()
    assert config.bedrock_resources(partition="aws", account="111122223333") == ()


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
            bedrock("bedrock/invoke/arn:aws:bedrock:us-east-1:111122223333:provisioned-model/ab12", "us-east-1"),
            ["arn:aws:bedrock:us-east-1:111122223333:provisioned-model/ab12"],
            id="provisioned throughput",
        ),
    ],
)
def test_bedrock_resources_are_exact(load: Load, document: dict[str, Any], arns: list[str]) -> None:
    config = load(document)
    assert config.bedrock_actions == BEDROCK_ACTIONS
    assert list(config.bedrock_resources(partition="aws", account="111122223333")) == arns


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
    assert load(document).counting_resources(partition="aws", account="111122223333") == {
        "bedrock:CountTokens": (f"arn:aws:bedrock:{region}::foundation-model/{model}",),
        "bedrock-mantle:CountTokens": (f"arn:aws:bedrock-mantle:{region}:111122223333:project/default",),
    }


@pytest.mark.parametrize(
    "document",
    [
        bedrock("bedrock/us.amazon.nova-2-lite-v1:0", "us-east-1"),
        bedrock("bedrock/invoke/arn:aws:bedrock:us-east-1:111122223333:provisioned-model/ab12", "us-east-1"),
    ],
    ids=["another maker's", "an ARN that does not tell it"],
)
def test_bedrock_counts_for_anthropics_models_only(load: Load, document: dict[str, Any]) -> None:
    assert load(document).counting_resources(partition="aws", account="111122223333") == {}


@pytest.mark.skipif(INSTALLED is None, reason="LiteLLM is not installed in .tools/litellm; `make setup` installs it")
def test_litellm_goes_on_to_mantle_only_where_counting_is_permitted() -> None:
    """Refused by IAM, it would not: both permissions are needed."""
    assert INSTALLED
    source = (INSTALLED / "llms" / "bedrock" / "count_tokens" / "bedrock_token_counter.py").read_text()
    assert "_RUNTIME_FALLBACK_STATUSES: Final = frozenset({400, 404})" in source


def test_no_resource_of_the_default_config_has_a_wildcard() -> None:
    config = load_config(CONFIG, provided=VARIABLES)
    arns = config.bedrock_resources(partition="aws", account="111122223333")
    assert arns
    assert not [arn for arn in arns if "*" in arn]


def test_a_core_secret_is_there_whatever_the_file_says(load: Load) -> None:
    assert set(load(changed()).secrets) == {*CORE_SECRETS, "AZURE_API_KEY"}


def test_a_licensed_callback_brings_its_secrets(load: Load) -> None:
    config = load(changed(litellm_settings__callbacks=["smtp_email"]), licensed=True)
    assert config.licensed_callbacks == ("smtp_email",)
    assert {"LITELLM_LICENSE", "SMTP_USERNAME", "SMTP_PASSWORD"} <= set(config.secrets)


def test_a_variable_that_the_task_always_has_may_be_referred_to(load: Load) -> None:
    config = load(changed(claude__litellm_params__aws_session_name="os.environ/UI_USERNAME"))
    assert config.variables == ("AZURE_API_BASE",)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"general_settings__disable_budget_reservation": False}, "counts the tokens of every prompt"),
        ({"litellm_settings__budget_exceeded_status_code": 422}, "is not 400: tools try again"),
        ({"litellm_settings__callbacks": []}, "has no budgets.refusals"),
    ],
)
def test_what_makes_budgets_dear_or_their_end_a_riddle_is_warned_of(
    load: Load, changes: dict[str, object], words: str
) -> None:
    (warning,) = load(changed(**changes)).warnings
    assert words in warning


def test_a_model_without_a_price_is_warned_of(load: Load, tmp_path: Path) -> None:
    (warning,) = load(bedrock("bedrock/us.anthropic.claude-next", "us-west-2")).warnings
    assert warning == (
        f"{tmp_path}/config.yaml: model_list entry 1 (m): LiteLLM 1.106.12 knows no price for "
        "bedrock/us.anthropic.claude-next, so its use would cost nothing in reports and budgets; set "
        "model_info.input_cost_per_token and output_cost_per_token, or model_info.base_model."
    )


@pytest.mark.parametrize("info", [{"input_cost_per_token": 1e-6}, {"base_model": "azure/gpt-6-luna"}])
def test_a_price_or_a_base_model_of_its_own_is_enough(load: Load, info: dict[str, object]) -> None:
    assert load(changed(gpt__litellm_params__model="azure/our-deployment", gpt__model_info=info)).warnings == ()


# What is refused

REFUSALS = [
    ("a: [", "line 1: not valid YAML: expected the node content, but found '<stream end>'"),
    ("litellm_settings: {}\nlitellm_settings: {}", "line 2: not valid YAML: the key 'litellm_settings' is there twice"),
    ("- a", "top level: it must be a mapping of names to values"),
    (changed(models=[]), "top level: unknown key 'models': did you mean 'model_list'"),
    (
        changed(environment_variables={}),
        "environment_variables: this gateway does not use it: the environment's settings give the task its variables, "
        "so name them there",
    ),
    (changed(model_list=[]), "model_list: it must list at least one model"),
    (changed(model_list=["claude"]), "model_list entry 1: it must be a mapping of names to values"),
    (
        changed(model_list=[{"litellm_params": {}}]),
        "model_list entry 1: it has no model_name: add the name that callers ask for",
    ),
    (
        changed(claude__litellm_param={}),
        "model_list entry 1 (claude): unknown key 'litellm_param': did you mean 'litellm_params'",
    ),
    (
        changed(claude__litellm_params__model=None),
        "model_list entry 1 (claude): litellm_params has no model: add provider/model-id",
    ),
    (
        changed(claude__litellm_params__model="claude-3"),
        "model_list entry 1 (claude): the provider of 'claude-3' is not one of azure, bedrock, vertex_ai: begin it "
        "with one, as in bedrock/…",
    ),
    (
        changed(claude__litellm_params__model="openai/gpt-6"),
        "model_list entry 1 (claude): the provider of 'openai/gpt-6' is not one of azure, bedrock, vertex_ai: begin it "
        "with one, as in bedrock/…",
    ),
    (
        changed(claude__litellm_params__aws_region="us-west-2"),
        "model_list entry 1 (claude).litellm_params: unknown key 'aws_region': did you mean 'aws_region_name'",
    ),
    (
        changed(claude__model_info={"input_cost_per_tokens": 1}),
        "model_list entry 1 (claude).model_info: unknown key 'input_cost_per_tokens': did you mean "
        "'input_cost_per_token'",
    ),
    (
        changed(claude__litellm_params__aws_region_name=None),
        "model_list entry 1 (claude): a Bedrock entry has no aws_region_name: add the region to call, as in us-west-2",
    ),
    (
        changed(claude__litellm_params__aws_region_name="us-west-9"),
        "model_list entry 1 (claude): aws_region_name 'us-west-9' is not a region: did you mean 'us-west-2'",
    ),
    (
        changed(claude__litellm_params__aws_region_name="eu-west-1"),
        "model_list entry 1 (claude): the inference profile 'us.anthropic.claude-sonnet-5-5' cannot be called from "
        "'eu-west-1': use the profile of that geography, or global.anthropic.claude-sonnet-5-5",
    ),
    (
        changed(claude__litellm_params__model="bedrock/uss.anthropic.claude-sonnet-5-5"),
        "model_list entry 1 (claude): 'uss' is not a geography of inference profiles: did you mean 'us'",
    ),
    (
        changed(claude__litellm_params__model="bedrock/claude"),
        "model_list entry 1 (claude): 'claude' is not a Bedrock model id: write it as vendor.model, as in "
        "amazon.nova-2-lite-v1:0",
    ),
    (
        changed(claude__litellm_params__model="bedrock/us-west-2/amazon.nova-2-lite-v1:0"),
        "model_list entry 1 (claude): 'us-west-2/amazon.nova-2-lite-v1:0' has an unknown route: write "
        "bedrock/model-id, or bedrock/converse/… or bedrock/invoke/…",
    ),
    (
        bedrock("bedrock/converse/arn:aws:bedrock:us-east-1:1:application-inference-profile/a", "us-east-1"),
        "model_list entry 1 (m): an application inference profile does not tell its model: set model_info.base_model",
    ),
    (
        bedrock("bedrock/converse/arn:aws:bedrock:us-east-1:1:application-inference-profile/a", "us-west-2"),
        "model_list entry 1 (m): its ARN is in 'us-east-1' but aws_region_name is 'us-west-2': make them equal",
    ),
    (
        bedrock("bedrock/converse/arn:aws:bedrock:us-east-1:1:inference-profile/*", "us-east-1"),
        "model_list entry 1 (m): 'arn:aws:bedrock:us-east-1:1:inference-profile/*' is not the ARN of one Bedrock model "
        "or inference profile: copy it whole",
    ),
    (
        changed(gpt__litellm_params__aws_region_name="us-west-2"),
        "model_list entry 2 (gpt): aws_region_name means nothing to azure: remove it",
    ),
    (
        changed(gpt__litellm_params__api_base=None),
        "model_list entry 2 (gpt): litellm_params has no api_base: azure needs it, as in os.environ/NAME",
    ),
    (
        changed(gpt__litellm_params__model="vertex_ai/gemini-3.8-flash"),
        "model_list entry 2 (gpt): litellm_params has no vertex_project: vertex_ai needs it, as in os.environ/NAME",
    ),
    (
        changed(model_list=[SMALLEST["model_list"][0], SMALLEST["model_list"][0]]),
        "model_list entry 2 (claude): it repeats model_list entry 1 (claude): remove one or change its region or base",
    ),
    (
        changed(router_settings={"num_retires": 3}),
        "router_settings: unknown key 'num_retires': did you mean 'num_retries'",
    ),
    (
        changed(general_settings__cooldown_time=30),
        "general_settings: 'cooldown_time' is not read here: move it to router_settings",
    ),
    (
        changed(litellm_settings__frobnicate=1),
        "litellm_settings: unknown key 'frobnicate': LiteLLM would ignore it, so remove it",
    ),
    (
        changed(router_settings={"fallbacks": [{"claude": ["gtp"]}]}),
        "router_settings.fallbacks: 'gtp' is no model_name: did you mean 'gpt'",
    ),
    (
        changed(litellm_settings__default_fallbacks=["gemini"]),
        "litellm_settings.default_fallbacks: 'gemini' is no model_name: use one of claude, gpt",
    ),
    (
        changed(router_settings={"model_group_alias": {"best": "claud"}}),
        "router_settings.model_group_alias: 'best' stands for 'claud', which is no model_name: did you mean 'claude'",
    ),
    (
        changed(litellm_settings__callbacks=["langfuse"]),
        "litellm_settings.callbacks: 'langfuse' is not set up in this gateway: use one of budgets.refusals, "
        "masking.datadog, prices.dated, smtp_email",
    ),
    (
        changed(litellm_settings__callbacks="datadog"),
        "litellm_settings.callbacks: it must be a list, as in [masking.datadog]",
    ),
    (
        changed(litellm_settings__callbacks=["smtp_email"]),
        "litellm_settings: the callback smtp_email needs a LiteLLM licence in production: remove it "
        "(general_settings.alerting: [email] sends mail without one), or set litellm_license in the environment's "
        "settings",
    ),
    (
        changed(general_settings__alerting=["teams"]),
        "general_settings.alerting: 'teams' is not set up in this gateway: use one of email, slack",
    ),
    (
        changed(litellm_settings__request_timeout=None),
        "litellm_settings.request_timeout: it must be a whole number from 1 to 3600, not None",
    ),
    (
        changed(litellm_settings__request_timeout=6000),
        "litellm_settings.request_timeout: it must be a whole number from 1 to 3600, not 6000",
    ),
    (
        changed(general_settings__database_connection_pool_limit="10"),
        "general_settings.database_connection_pool_limit: it must be a whole number from 1 to 500, not '10'",
    ),
    (
        changed(gpt__litellm_params__api_base="os.environ/AZURE_BASE"),
        "model_list entry 2 (gpt).litellm_params.api_base: nothing provides AZURE_BASE: name it in variables of "
        "the environment in company/environments.py, or, if it is a secret, end its name in one of _KEY, _TOKEN, "
        "_PASSWORD, _SECRET, _CREDENTIALS, _LICENSE, _WEBHOOK_URL",
    ),
    (
        changed(gpt__litellm_params__api_version="os.environ/AZURE_API_VERSION"),
        "model_list entry 2 (gpt).litellm_params.api_version: LiteLLM sets AZURE_API_VERSION itself and would drop "
        "this entry: write the value here",
    ),
    (
        changed(gpt__litellm_params__api_key="os.environ/azure key"),
        "model_list entry 2 (gpt).litellm_params.api_key: 'azure key' is no variable's name: use capitals, digits and "
        "underscores",
    ),
    (
        changed(gpt__litellm_params__api_base="https://os.environ/AZURE_API_BASE"),
        "model_list entry 2 (gpt).litellm_params.api_base: LiteLLM replaces os.environ/NAME only where it is the whole "
        "value: put all of it into one variable",
    ),
    (
        changed(gpt__litellm_params__api_key="0123abcd"),
        "model_list entry 2 (gpt).litellm_params.api_key: a secret in plain text: write os.environ/NAME and put "
        "the value into the secret NAME",
    ),
    (
        changed(general_settings__alert_to_webhook_url={"budget_alerts": "https://hooks.slack.com/services/T/B/x"}),
        "general_settings.alert_to_webhook_url.budget_alerts: a secret in plain text: write os.environ/NAME and put "
        "the value into the secret NAME",
    ),
]


@pytest.mark.parametrize(("document", "sentence"), REFUSALS, ids=[sentence[:60] for _, sentence in REFUSALS])
def test_a_mistake_is_refused_in_one_sentence(load: Load, tmp_path: Path, document: object, sentence: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(document)
    assert str(refusal.value) == f"{tmp_path}/config.yaml: {sentence}."


def test_a_providers_variable_that_is_not_set(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"nothing provides AZURE_API_BASE: set providers.azure_api_base of the env"):
        load(changed(), provided=[])


def test_an_implied_variable_that_nothing_provides_is_refused(load: Load) -> None:
    document = changed(litellm_settings__callbacks=["masking.datadog"])
    with pytest.raises(
        ConfigError, match=r"callbacks \(masking.datadog\): nothing provides DD_ENV, DD_SERVICE, DD_SITE, DD_SO"
    ):
        load(document, provided=["AZURE_API_BASE"])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: there is no such file"):
        load_config(tmp_path / "none.yaml")


def test_a_plain_secret_is_not_repeated_in_the_message(load: Load) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(changed(gpt__litellm_params__api_key="sk-0123456789"))
    assert "0123456789" not in str(refusal.value)
