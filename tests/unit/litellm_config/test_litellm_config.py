"""A config.yaml, and what stacks/litellm_config makes of it and refuses."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks.company import EXAMPLE
from stacks.litellm_config import CORE_SECRETS, ConfigError, load_config
from tests.unit.litellm_config.documents import SMALLEST, VARIABLES, Load, bedrock, changed, permitted

CONFIG = EXAMPLE / "config.yaml"

# What the file of this repository gives


def test_the_default_config_loads_without_a_warning() -> None:
    config = load_config(CONFIG, provided=VARIABLES, opened=("mcp",))
    assert config.warnings == ()
    assert config.callbacks == (
        *("affinity.conversations", "masking.datadog", "prices.dated", "budgets.refusals", "faults.attributed"),
        "errors.told",
    )
    assert config.licensed_callbacks == ()
    assert config.alerting == ("slack", "email")
    assert config.request_timeout == 300


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
        "WIKI_MCP_TOKEN",
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
        "bedrock-mantle.us-east-1.api.aws",
        "bedrock-runtime.us-east-1.amazonaws.com",
        "bedrock-runtime.us-east-2.amazonaws.com",
        "bedrock-runtime.us-west-2.amazonaws.com",
        "email-smtp.ap-northeast-1.amazonaws.com",
        "hooks.slack.com",
        "http-intake.logs.ap1.datadoghq.com",
        "mcp.example.com",
        "oauth2.googleapis.com",
    )


def test_an_address_has_its_port() -> None:
    found = load_config(CONFIG, provided=VARIABLES).addresses(VARIABLES)
    assert {address.host: address.port for address in found if address.port != 443} == {
        "email-smtp.ap-northeast-1.amazonaws.com": 587
    }


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


def test_no_resource_of_the_default_config_has_a_wildcard() -> None:
    config = load_config(CONFIG, provided=VARIABLES)
    arns = [arn for resources in permitted(config).values() for arn in resources]
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


REST = ["budgets.refusals", "faults.attributed", "errors.told"]
"""The callbacks that every file is asked for."""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"router_settings__disable_cooldowns": None}, "one caller's mistake, as a call that gets 404, leaves a model"),
        ({"litellm_settings__callbacks": [REST[0], REST[2]]}, "nothing leaves out a deployment whose provider"),
        (
            {"router_settings__allowed_fails": 3},
            "router_settings.allowed_fails: with disable_cooldowns LiteLLM does not",
        ),
        ({"router_settings__allowed_fails_policy": {}}, "LiteLLM does not look at it: remove it"),
        ({"litellm_settings__expose_router_debug_in_errors": None}, "tells how models fall back to which"),
        ({"litellm_settings__callbacks": REST[:2]}, "can hold a stack trace, paths and variables' names"),
    ],
)
def test_what_lets_one_caller_hurt_others_or_tells_of_the_inside_is_warned_of(
    load: Load, changes: dict[str, object], words: str
) -> None:
    (warning,) = load(changed(**changes)).warnings
    assert words in warning


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"general_settings__disable_budget_reservation": False}, "counts the tokens of every prompt"),
        ({"general_settings__apply_user_budget_to_team_keys": None}, "may spend as much as they like"),
        ({"litellm_settings__budget_exceeded_status_code": 422}, "is not 400: tools try again"),
        ({"litellm_settings__callbacks": REST[1:]}, "there is no budgets.refusals"),
    ],
)
def test_what_makes_budgets_dear_or_their_end_a_riddle_is_warned_of(
    load: Load, changes: dict[str, object], words: str
) -> None:
    (warning,) = load(changed(**changes)).warnings
    assert words in warning


def test_a_model_without_a_price_is_warned_of(load: Load, tmp_path: Path) -> None:
    (warning,) = load(bedrock("bedrock/us.anthropic.claude-next", "us-west-2")).warnings
    assert re.sub(r"line \d+: ", "", warning) == (
        f"{tmp_path}/config.yaml: model_list entry 1 (m): LiteLLM 1.106.12 knows no price for "
        "bedrock/us.anthropic.claude-next, so its use would cost nothing in reports and budgets; set "
        "model_info.input_cost_per_token and output_cost_per_token, or model_info.base_model."
    )


def several(*models: str, **settings: object) -> dict[str, Any]:
    """A document with each of these models in two regions under one name, and with settings."""
    entries = [
        {"model_name": model, "litellm_params": {"model": model, "aws_region_name": region}}
        for model in models
        for region in ("us-west-2", "us-east-1")
    ]
    return changed(model_list=entries, **settings)


SONNET = "bedrock/us.anthropic.claude-sonnet-5-5"


def test_what_nothing_keeps_together_is_warned_of(load: Load, tmp_path: Path) -> None:
    titan = "bedrock/amazon.titan-embed-text-v2:0"  # has no prompt cache
    document = several(
        *(SONNET, titan),
        router_settings__optional_pre_call_checks=["router_budget_limiting"],
        litellm_settings__success_callback=["affinity.conversations"],  # it would not be asked
    )
    (warning,) = load(document).warnings
    assert re.sub(r"line \d+: ", "", warning) == (
        f"{tmp_path}/config.yaml: model_list: {SONNET} has 2 deployments, each with a prompt cache of its own, "
        "and nothing keeps a conversation with one of them, so that its turns are paid for again in each; add "
        "affinity.conversations to litellm_settings.callbacks."
    )


@pytest.mark.parametrize(
    "document",
    [
        several(SONNET, litellm_settings__callbacks=["affinity.conversations", *REST]),
        several(SONNET, router_settings__optional_pre_call_checks=["session_affinity"]),
        bedrock(SONNET, "us-west-2"),
    ],
)
def test_what_is_kept_together_is_not(load: Load, document: dict[str, Any]) -> None:
    assert load(document).warnings == ()


@pytest.mark.parametrize(
    ("limit", "what"),
    [
        (None, "it is missing, so that a task takes every request that comes"),
        (50, "it is 50"),
        ("50", "it is '50'"),
    ],
)
def test_a_task_that_takes_what_it_cannot_do_is_warned_of(load: Load, limit: object, what: str) -> None:
    """Also of a number of the file's own: tasks would not be added by it."""
    (warning,) = load(changed(general_settings__max_in_flight_requests_per_worker=limit)).warnings
    assert f": general_settings.max_in_flight_requests_per_worker: {what}: write os.environ/MAX_IN_FLIGHT" in warning


@pytest.mark.parametrize("info", [{"input_cost_per_token": 1e-6}, {"base_model": "azure/gpt-6-luna"}])
def test_a_price_or_a_base_model_of_its_own_is_enough(load: Load, info: dict[str, object]) -> None:
    assert load(changed(gpt__litellm_params__model="azure/our-deployment", gpt__model_info=info)).warnings == ()


# What is refused

REFUSALS = [
    ("a: [", "line 1: not valid YAML: expected the node content, but found '<stream end>'"),
    ("litellm_settings: {}\nlitellm_settings: {}", "line 2: not valid YAML: the key 'litellm_settings' is there twice"),
    ("- a", "top level: it must be a mapping of names to values"),
    (changed(model_lists=[]), "top level: unknown key 'model_lists': did you mean 'model_list'"),
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
        "model_list entry 1 (claude): 'claude-3' does not say whose model it is: begin it with anthropic/, azure/, "
        "azure_ai/, bedrock/, gemini/, hosted_vllm/, mistral/, ollama/, ollama_chat/, openai/ or vertex_ai/",
    ),
    (
        changed(claude__litellm_params__model="cohere/command-a-03-2025"),
        "model_list entry 1 (claude): this gateway has no credentials for cohere: it serves anthropic, azure, "
        "azure_ai, bedrock, gemini, hosted_vllm, mistral, ollama, ollama_chat, openai and vertex_ai, so take the model "
        "from one of them, or add the provider (docs/providers.md, One more)",
    ),
    (
        changed(claude__litellm_params__model="bedrok/us.anthropic.claude-sonnet-5-5"),
        "model_list entry 1 (claude): there is no provider 'bedrok': did you mean 'bedrock'",
    ),
    (
        changed(claude__litellm_params__aws_region="us-west-2"),
        "model_list entry 1 (claude).litellm_params: unknown key 'aws_region': did you mean 'aws_region_name'",
    ),
    (
        changed(claude__litellm_params__aws_region_name=None),
        "model_list entry 1 (claude): a Bedrock entry has no aws_region_name: add the region to call, as in us-west-2, "
        "or os.environ/AWS_REGION for the environment's own",
    ),
    (
        changed(claude__litellm_params__aws_region_name="us-west-9"),
        "model_list entry 1 (claude): aws_region_name 'us-west-9' is not a region: did you mean 'us-west-1'",
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
        changed(claude__litellm_params__model="bedrock/fast/amazon.nova-2-lite-v1:0"),
        "model_list entry 1 (claude): 'fast/amazon.nova-2-lite-v1:0' has an unknown route: write "
        "bedrock/model-id, or bedrock/converse/… or bedrock/invoke/…",
    ),
    (
        bedrock("bedrock/converse/arn:aws:bedrock:us-east-1:1:application-inference-profile/a", "us-east-1"),
        "model_list entry 1 (m): an application inference profile does not tell its model: set model_info.base_model",
    ),
    (
        bedrock(
            "bedrock/converse/arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-2-lite-v1:0", "us-west-2"
        ),
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
        "model_list entry 2 (gpt): litellm_params has no api_base: azure needs it, as in os.environ/AZURE_API_BASE",
    ),
    (
        changed(gpt__litellm_params__model="vertex_ai/gemini-3.8-flash"),
        "model_list entry 2 (gpt): litellm_params has no vertex_project, vertex_location, vertex_credentials: "
        "vertex_ai needs it, as in os.environ/VERTEXAI_PROJECT",
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
        "litellm_settings.callbacks: 'langfuse' is not set up in this gateway: use one of "
        "affinity.conversations, budgets.refusals, errors.told, faults.attributed, masking.datadog, prices.dated, "
        "smtp_email",
    ),
    (
        changed(litellm_settings__callbacks="datadog"),
        "litellm_settings.callbacks: it must be a list, as in [affinity.conversations]",
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
        "litellm_settings.request_timeout: it is not set: add it, a whole number from 1 to 3600, as in 600",
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
    assert re.fullmatch(
        rf"{re.escape(str(tmp_path))}/config\.yaml: (line \d+: )?{re.escape(sentence)}\.", str(refusal.value)
    ), str(refusal.value)


def test_a_providers_variable_that_is_not_set(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"nothing provides AZURE_API_BASE: set providers.azure_api_base of the env"):
        load(changed(), provided=[])


def test_an_implied_variable_that_nothing_provides_is_refused(load: Load) -> None:
    document = changed(litellm_settings__callbacks=["masking.datadog"])
    with pytest.raises(
        ConfigError, match=r"callbacks \(masking.datadog\): nothing provides DD_ENV, DD_SERVICE, DD_SITE, DD_SO"
    ):
        load(document, provided=["AZURE_API_BASE"])


def test_a_providers_address_is_looked_at_where_its_value_is_known(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(changed()))
    with pytest.raises(
        ConfigError, match=r"api_base os.environ/AZURE_API_BASE \(http://a.example\) is not HTTPS on port"
    ):
        load_config(file, provided={"AZURE_API_BASE": "http://a.example"})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: there is no such file"):
        load_config(tmp_path / "none.yaml")


def test_a_plain_secret_is_not_repeated_in_the_message(load: Load) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(changed(gpt__litellm_params__api_key="sk-0123456789"))
    assert "0123456789" not in str(refusal.value)
