"""Whose models are on whose bill: the providers by their names in LiteLLM, and why a bill is compared with none.

What is compared is as stacks/litellm_config/providers.py has it, with which a test compares this.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Billed:
    """A bill, or why there is none to compare with.

    `setting` is the one of `bill` that says how it is read; without one it is always read. `why_not` is a sentence
    without its end.
    """

    title: str
    setting: str = ""
    why_not: str = ""


BILLED: Final[Mapping[str, Billed]] = {
    "bedrock": Billed("AWS (Bedrock)"),
    "azure": Billed("Azure (OpenAI)", "azure"),
    "vertex_ai": Billed("Google (Vertex AI)", "google"),
    "gemini": Billed("Google (Gemini API)", "gemini"),
    "openai": Billed("OpenAI", "openai"),
    "anthropic": Billed("Anthropic", "anthropic"),
    "bedrock_elsewhere": Billed(
        "AWS (Bedrock in other accounts)", why_not="it is on the bill of the account whose role calls it"
    ),
    # https://platform.claude.com/docs/en/build-with-claude/claude-in-microsoft-foundry
    "azure_ai": Billed(
        "Azure AI Foundry (Claude)",
        why_not="the Azure Marketplace bills it in units of Anthropic's, which are no meters of the Azure resource",
    ),
    "mistral": Billed("Mistral", why_not="Mistral shows what was used in its console alone"),
    "own": Billed(
        "Servers at their own address", why_not="nobody bills their tokens, or somebody who is not known here"
    ),
    "tools": Billed(
        "Tools and pass-through endpoints", why_not="config.yaml says what they cost, and whoever runs them bills it"
    ),
}
"""By name: LiteLLM's for the provider, or for the first of several; or what a part of its models is called here."""

OWN: Final = "own"
TOOLS: Final = "tools"
_TOOL: Final = "MCP: "  # how LiteLLM's rows name a tool of an MCP server
_PASSED: Final = "unknown"  # and what went through a pass-through endpoint
_PREFIXES: Final = {
    "azure_text": "azure",
    "azure_ai": "azure",  # on the same Azure resource, but for Claude
    "bedrock_converse": "bedrock",
    "bedrock_mantle": "bedrock",
    "vertex_ai_beta": "vertex_ai",
    "text-completion-openai": "openai",
    "anthropic_text": "anthropic",
    **dict.fromkeys(
        ("hosted_vllm", "vllm", "ollama", "ollama_chat", "lm_studio", "llamafile", "openai_like", "custom_openai"), OWN
    ),
}
"""LiteLLM's other prefixes (`LlmProviders` in litellm/types/utils.py) of what is in `BILLED`."""

_HOSTS: Final = {"openai": ".openai.com", "anthropic": ".anthropic.com"}
"""Where the providers of these prefixes are; whatever else speaks their format is somebody's own."""


def provider_of(
    deployment: str, hosts: Collection[str] = (), accounts: Collection[str] = (), *, account: str = ""
) -> str:
    """Return on which bill a deployment is, as in `BILLED`; otherwise LiteLLM's name for its provider.

    `hosts` are those that its entries name in `api_base`, `accounts` those whose role they are called with, and
    `account` the environment's own.
    """
    if deployment.startswith(_TOOL) or deployment == _PASSED:
        return TOOLS
    prefix, _, model = deployment.partition("/")
    if prefix == "azure_ai" and "claude" in model.lower():
        return "azure_ai"
    provider = _PREFIXES.get(prefix, prefix)
    if provider == "bedrock" and accounts and account not in accounts:
        return "bedrock_elsewhere"
    domain = _HOSTS.get(provider)
    if domain and hosts and not any(f".{host}".endswith(domain) for host in hosts):
        return OWN
    return provider


def title_of(provider: str) -> str:
    """Return how messages name a provider."""
    return BILLED[provider].title if provider in BILLED else provider


def why_not_compared(provider: str) -> str:
    """Return in a sentence why there is no comparison with a provider's bill, of one whose bill was not read."""
    billed = BILLED.get(provider, Billed(provider, why_not="no interface to its bill is known here"))
    return billed.why_not or f"set bill.{billed.setting} in company/environments.py"
