"""What the simulated world is told of a company's config.yaml."""

import json
from pathlib import Path

import pytest

from local.models import credentials_of, deployments, profiles, servers
from local.outside.bills import Deployment
from local.outside.credentials import Credentials
from local.outside.servers import Server
from stacks import CHECKOUT
from stacks.litellm_config import Address, LiteLlmConfig, load_config
from stacks.litellm_config.providers import BY_NAME, PROVIDERS, _of_api
from stacks.litellm_config.rules import models

ARN = "arn:aws:bedrock:eu-central-1:111111111111:application-inference-profile/a1b2c3d4"
CONFIG = f"""
model_list:
  - model_name: tagged
    litellm_params: {{model: bedrock/eu.anthropic.claude-sonnet-5-5, model_id: "{ARN}", aws_region_name: eu-central-1}}
  - model_name: plain
    litellm_params: {{model: bedrock/eu.anthropic.claude-sonnet-5-5, aws_region_name: eu-west-1}}
  - model_name: renamed
    litellm_params:
      model: azure/ours
      api_base: os.environ/EAST_BASE
      api_key: os.environ/EAST_API_KEY
      api_version: "2025-04-01-preview"
    model_info: {{base_model: azure/gpt-6-luna}}
  - model_name: dearer
    litellm_params:
      model: azure/responses/gpt-6-luna
      api_base: https://acme-west.openai.azure.com
      api_key: os.environ/WEST_API_KEY
      output_cost_per_token: 0.005
  - model_name: gemini
    litellm_params:
      model: vertex_ai/gemini-3.8-flash
      vertex_project: acme-llm
      vertex_location: europe-west1
      vertex_credentials: os.environ/OUR_VERTEX_CREDENTIALS
  - model_name: claude
    litellm_params: {{model: anthropic/claude-sonnet-5-5, api_key: os.environ/OUR_CLAUDE_KEY}}
  - model_name: foundry
    litellm_params:
      model: azure_ai/grok-4.7
      api_base: https://acme.services.ai.azure.com
      api_key: os.environ/FOUNDRY_API_KEY
  - model_name: house
    litellm_params: {{model: hosted_vllm/qwen3, api_base: os.environ/VLLM_BASE}}
    model_info: &price {{input_cost_per_token: 2.0e-07, output_cost_per_token: 4.0e-07}}
  - model_name: house-large
    litellm_params: {{model: openai/qwen3-max, api_base: os.environ/VLLM_BASE, api_key: os.environ/VLLM_KEY}}
    model_info: *price
  - model_name: rented
    litellm_params: {{model: openai/ours, api_base: https://llm.rented.example/v1, api_key: os.environ/RENTED_KEY}}
    model_info: *price
  - model_name: llama
    litellm_params: {{model: ollama_chat/llama4, api_base: "http://ollama.acme.internal:11434"}}
    model_info: *price
  - model_name: changing
    litellm_params:
      model: vertex_ai/gemini-4-argon
      vertex_project: acme-llm
      vertex_location: global
      vertex_credentials: os.environ/OUR_VERTEX_CREDENTIALS
    model_info: {{prices_from: {{"2026-12-01": {{input_cost_per_token: 4.0e-06}}}}}}
general_settings: {{database_connection_pool_limit: 10}}
litellm_settings: {{request_timeout: 600, callbacks: [prices.dated]}}
"""
VARIABLES = {"EAST_BASE": "https://acme-east.openai.azure.com", "VLLM_BASE": "http://vllm.acme.internal:8000/v1"}
SERVERS = {Address("vllm.acme.internal", 8000): True, Address("ollama.acme.internal", 11434): True}
OWN = Deployment("", {"input_cost_per_token": 2.0e-07, "output_cost_per_token": 4.0e-07})


@pytest.fixture
def config(tmp_path: Path) -> LiteLlmConfig:
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG)
    return load_config(file, provided=VARIABLES, servers=SERVERS)


def test_deployments_that_are_billed_otherwise_than_their_names(config: LiteLlmConfig) -> None:
    assert deployments(config, VARIABLES) == {
        ("bedrock", "eu-central-1", ARN): Deployment("eu.anthropic.claude-sonnet-5-5"),
        ("azure", "acme-east", "ours"): Deployment("azure/gpt-6-luna"),
        ("azure", "acme-west", "gpt-6-luna"): Deployment("", {"output_cost_per_token": 0.005}),
        ("vertex_ai", "global", "gemini-4-argon"): Deployment(
            prices_from={"2026-12-01": {"input_cost_per_token": 4.0e-06}}
        ),
        # A server is one provider, whichever of LiteLLM's prefixes calls it.
        ("hosted_vllm", "vllm", "qwen3"): OWN,
        ("hosted_vllm", "vllm", "qwen3-max"): OWN,
        ("openai", "llm", "ours"): OWN,
        ("ollama_chat", "ollama", "llama4"): OWN,
    }


def test_servers_are_where_the_entries_say(config: LiteLlmConfig) -> None:
    """What calls its provider's own host is on none of them."""
    assert servers(config, VARIABLES) == (
        Server("vllm.acme.internal", 8000, True, "hosted_vllm", frozenset({"qwen3", "qwen3-max"}), keyed=True),
        Server("llm.rented.example", 443, False, "openai", frozenset({"ours"}), keyed=True),
        Server("ollama.acme.internal", 11434, True, "ollama_chat", frozenset({"llama4"}), keyed=False),
    )


def test_profiles_that_do_not_tell_their_model(config: LiteLlmConfig) -> None:
    assert profiles(config) == {ARN: "eu.anthropic.claude-sonnet-5-5"}


def test_a_key_has_whatever_name_the_company_gives_it(config: LiteLlmConfig) -> None:
    credentials = Credentials.generate()
    names = ("EAST_API_KEY", "WEST_API_KEY", "OUR_VERTEX_CREDENTIALS", "SOMETHING_ELSE_KEY", "SLACK_BOT_TOKEN")
    others = ("OUR_CLAUDE_KEY", "FOUNDRY_API_KEY", "VLLM_KEY", "RENTED_KEY")
    found = credentials_of(config, (*names, *others), credentials, VARIABLES)
    unknown = found.pop("SOMETHING_ELSE_KEY")
    assert found == {
        **dict.fromkeys(("EAST_API_KEY", "WEST_API_KEY"), credentials.azure_api_key),
        "OUR_VERTEX_CREDENTIALS": credentials.vertex_credentials,
        "SLACK_BOT_TOKEN": credentials.slack_bot_token,
        "OUR_CLAUDE_KEY": credentials.anthropic_api_key,
        "FOUNDRY_API_KEY": credentials.azure_api_key,
        **dict.fromkeys(("VLLM_KEY", "RENTED_KEY"), credentials.server_api_key),
    }
    assert len(unknown) == 32


def test_a_provider_that_is_a_row_and_no_more_answers_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In OpenAI's format, at its own host, for its key: the row is that of docs/providers.md."""
    row = _of_api("deepseek", "DeepSeek", "api.deepseek.com")
    for page in ("providers.md", "providers.ja.md"):
        text = (CHECKOUT / "docs" / page).read_text("utf-8")
        assert '_of_api("deepseek", "DeepSeek", "api.deepseek.com")' in text
        assert f'"{row.variables["api_key"]}": Secret(' in text
    monkeypatch.setattr(models, "BY_NAME", {**BY_NAME, "deepseek": row})
    monkeypatch.setattr(models, "PROVIDERS", (*PROVIDERS, "deepseek"))
    file = tmp_path / "config.yaml"
    entry = {"model_name": "m", "litellm_params": {"model": "deepseek/deepseek-chat", "api_key": "os.environ/OUR_KEY"}}
    limits = {"general_settings": {"database_connection_pool_limit": 10}, "litellm_settings": {"request_timeout": 600}}
    file.write_text(json.dumps({"model_list": [entry], **limits}))
    config = load_config(file)
    assert servers(config, {}) == (
        Server("api.deepseek.com", 443, False, "deepseek", frozenset({"deepseek-chat"}), keyed=True),
    )
    credentials = Credentials.generate()
    assert credentials_of(config, ("OUR_KEY",), credentials, {}) == {"OUR_KEY": credentials.server_api_key}
