"""Which line of a bill is of which model: names as they are on the clouds' bills, beside ids as they are in LiteLLM."""

import pytest
from usage.bill_lines import fits, is_everywhere, model_id, profile_arn

PAIRS = [
    # Anthropic
    ("Claude Sonnet 4.5", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("Claude Sonnet 4", "us.anthropic.claude-sonnet-4-20250514-v1:0"),
    ("Claude 3 Haiku", "anthropic.claude-3-haiku-20240307-v1:0"),
    ("Claude3Haiku", "anthropic.claude-3-haiku-20240307-v1:0"),
    ("Claude 3.5 Sonnet", "anthropic.claude-3-5-sonnet-20240620-v1:0"),
    ("Claude 3.5 Sonnet v2", "us.anthropic.claude-3-5-sonnet-20241022-v2:0"),
    ("Claude4.6Opus", "us.anthropic.claude-opus-4-6-v1"),
    ("Claude 4.6 Opus", "us.anthropic.claude-opus-4-6-v1"),
    ("Claude Opus 5.5", "global.anthropic.claude-opus-5-5"),
    ("Claude Opus 5", "us.anthropic.claude-opus-5"),
    ("anthropic.claude-opus-4-8", "us.anthropic.claude-opus-4-8"),
    # Amazon
    ("Nova2.0Lite", "us.amazon.nova-2-lite-v1:0"),
    ("NovaLite", "amazon.nova-lite-v1:0"),
    ("NovaPro", "apac.amazon.nova-pro-v1:0"),
    ("NovaSonic2.0", "amazon.nova-2-sonic-v1:0"),
    ("TitanEmbeddingV2-Text", "amazon.titan-embed-text-v2:0"),
    ("TitanEmbeddingsG1-Text", "amazon.titan-embed-text-v1"),
    ("AmazonRerank-v1", "amazon.rerank-v1:0"),
    # Meta
    ("Llama3-70B", "meta.llama3-70b-instruct-v1:0"),
    ("Llama3-1-70B", "us.meta.llama3-1-70b-instruct-v1:0"),
    ("Llama3-3-70B", "us.meta.llama3-3-70b-instruct-v1:0"),
    ("Llama4-Maverick-17B", "us.meta.llama4-maverick-17b-instruct-v1:0"),
    # Mistral
    ("Mistral7B", "mistral.mistral-7b-instruct-v0:2"),
    ("Mixtral8x7B", "mistral.mixtral-8x7b-instruct-v0:1"),
    ("MistralLarge2407", "mistral.mistral-large-2407-v1:0"),
    ("PixtralLarge2502", "us.mistral.pixtral-large-2502-v1:0"),
    ("mistral.ministral-3-14b-instruct", "mistral.ministral-3-14b-instruct"),
    # OpenAI on Bedrock
    ("gpt-oss-120b", "openai.gpt-oss-120b-1:0"),
    ("openai.gpt-oss-20b", "openai.gpt-oss-20b"),
    ("openai.gpt-5.5", "openai.gpt-5.5"),
    ("OpenAI GPT-5.6 Terra", "openai.gpt-5.6-terra"),
    # Cohere
    ("Cohere Embed 4 Model", "us.cohere.embed-v4:0"),
    ("Cohere Embed Model 3 - English", "cohere.embed-english-v3"),
    ("Cohere Embed Model 3 - Multilingual", "cohere.embed-multilingual-v3"),
    ("Cohere Rerank v3.5", "cohere.rerank-v3-5:0"),
    ("Cohere Command R", "cohere.command-r-v1:0"),
    ("Cohere Command R+", "cohere.command-r-plus-v1:0"),
    # Others on Bedrock
    ("DeepSeek-R1", "us.deepseek.r1-v1:0"),
    ("DeepSeek V3.1", "deepseek.v3.1"),
    ("Gemma 3 12B IT", "google.gemma-3-12b-it"),
    ("Jamba 1.5 Large", "ai21.jamba-1-5-large-v1:0"),
    ("minimax.minimax-m2.1", "minimax.minimax-m2.1"),
    ("moonshotai.kimi-k3", "in.moonshotai.kimi-k3"),
    ("nvidia.nemotron-nano-9b-v2", "nvidia.nemotron-nano-9b-v2"),
    ("Palmyra X5", "us.writer.palmyra-x5-v1:0"),
    ("Qwen3-32B", "qwen.qwen3-32b-v1:0"),
    ("xai.grok-4.6", "xai.grok-4.6"),
    ("zai.glm-5", "zai.glm-5"),
    ("zai.glm-4.7-flash", "zai.glm-4.7-flash"),
    # Azure
    ("6.1 sol", "gpt-6.1-sol"),
    ("5.6 luna", "gpt-5.6-luna-2026-07-09"),
    ("gpt 4.1 nano", "gpt-4.1-nano"),
    ("gpt 4o", "gpt-4o-2024-11-20"),
    ("gpt 4o mini", "gpt-4o-mini"),
    ("5.1 codex", "gpt-5.1-codex"),
    ("5.1 codex mini", "gpt-5.1-codex-mini"),
    ("o3", "o3"),
    ("o3 pro", "o3-pro"),
    ("text embedding 3 large", "text-embedding-3-large"),
    ("text embedding 3 small", "text-embedding-3-small"),
    # Google
    ("Gemini 2.5 Flash", "gemini-2.5-flash"),
    ("Gemini 2.5 Flash Lite", "gemini-2.5-flash-lite-preview-09-2025"),
    ("Gemini 2.5 Pro", "gemini-2.5-pro"),
    ("Gemini 3 Pro", "gemini-3-pro-preview"),
    ("Gemini 4 Argon", "gemini-4-argon"),
]


@pytest.mark.parametrize(("name", "model"), PAIRS)
def test_a_line_is_of_its_model_and_of_no_other(name: str, model: str) -> None:
    assert {other for _, other in PAIRS if fits(name, other)} == {other for own, other in PAIRS if own == name}
    assert fits(name, model)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("GPT 5 mini", "gpt-5"),
        ("GPT 5", "gpt-5-mini"),
        ("gpt 4.5", "gpt-5.4"),
        ("gpt 35 turbo", "gpt-5"),
        ("Llama3-1-70B-LatencyOptimized", "meta.llama3-1-70b-instruct-v1:0"),
        ("Guardrail-ContentPolicyUnitsConsumed", "us.amazon.nova-lite-v1:0"),
        ("", "gpt-5"),
    ],
)
def test_another_version_or_variant_is_another_model(name: str, model: str) -> None:
    assert not fits(name, model)


def test_ids_of_deployments() -> None:
    arn = "arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/a1b2c3"
    assert model_id("bedrock/us.anthropic.claude-opus-5-5") == "us.anthropic.claude-opus-5-5"
    assert model_id("bedrock/converse/zai.glm-5") == "zai.glm-5"
    assert model_id("azure/gpt-6.1-sol") == "gpt-6.1-sol"
    assert model_id(f"bedrock/{arn}") == ""
    assert model_id("bedrock/arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-pro-v1:0") == (
        "us.amazon.nova-pro-v1:0"
    )
    assert profile_arn(f"bedrock/converse/{arn}") == arn
    assert profile_arn("bedrock/us.anthropic.claude-opus-5-5") == ""
    assert is_everywhere("bedrock/global.anthropic.claude-opus-5-5")
    assert not is_everywhere("bedrock/us.anthropic.claude-opus-5-5")
