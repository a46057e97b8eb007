"""On whose bill a deployment is, by LiteLLM's names for it."""

import pytest
from usage.bill_providers import BILLED, OWN, TOOLS, provider_of, title_of, why_not_compared


@pytest.mark.parametrize(
    ("deployment", "hosts", "provider"),
    [
        ("bedrock/us.anthropic.claude-opus-5-5", (), "bedrock"),
        ("bedrock_converse/zai.glm-5", (), "bedrock"),
        ("azure/gpt-6.1-sol", {"acme.openai.azure.com"}, "azure"),
        ("azure_ai/deepseek-v4", {"acme.services.ai.azure.com"}, "azure"),
        ("azure_ai/claude-opus-5-5", {"acme.services.ai.azure.com"}, "azure_ai"),
        ("vertex_ai/gemini-4-argon", (), "vertex_ai"),
        ("openai/gpt-5.5", (), "openai"),
        ("openai/gpt-5.5", {"api.openai.com"}, "openai"),
        ("openai/gpt-5.5", {"eu.api.openai.com"}, "openai"),
        ("openai/llama-4", {"llm.internal"}, OWN),
        ("openai/llama-4", {"openai.com.example.com"}, OWN),
        ("openai/gpt-5.5", {"llm.internal", "api.openai.com"}, "openai"),
        ("hosted_vllm/llama-4", {"llm.internal"}, OWN),
        ("ollama/llama-4", {"llm.internal"}, OWN),
        ("anthropic/claude-opus-5-5", (), "anthropic"),
        ("anthropic/claude-opus-5-5", {"proxy.example.com"}, OWN),
        ("gemini/gemini-4-argon", (), "gemini"),
        ("mistral/mistral-large-latest", (), "mistral"),
        ("mistral/mistral-large-latest", {"llm.internal"}, OWN),
        ("MCP: wiki-search", (), TOOLS),
        ("unknown", (), TOOLS),
        ("cohere/command-r", (), "cohere"),
    ],
)
def test_the_bill_of_a_deployment(deployment: str, hosts: tuple[str, ...], provider: str) -> None:
    assert provider_of(deployment, hosts) == provider


@pytest.mark.parametrize(
    ("accounts", "provider"),
    [
        ((), "bedrock"),
        ({"111111111111"}, "bedrock"),  # a role of its own account
        ({"111111111111", "222222222222"}, "bedrock"),
        ({"222222222222"}, "bedrock_elsewhere"),
    ],
)
def test_bedrock_is_on_the_bill_of_the_account_that_calls_it(accounts: tuple[str, ...], provider: str) -> None:
    assert provider_of("bedrock/zai.glm-5", (), accounts, account="111111111111") == provider


def test_each_has_a_title_and_a_reason_if_it_is_not_compared() -> None:
    titles = {title_of(provider) for provider in BILLED}
    assert len(titles) == len(BILLED)
    for provider, billed in BILLED.items():
        assert not (billed.setting and billed.why_not)
        assert provider == "bedrock" or why_not_compared(provider)
    assert title_of("cohere") == "cohere"
