"""The tools, each with what is set in it: files with their contents, and lines for a shell."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ops.clients.models import Maker, Models

KEY: Final = "LLM_GATEWAY_KEY"
"""The variable with a person's key, from which every tool takes it: no file of a tool has a key."""


@dataclass(frozen=True)
class Block:
    """Something to be put somewhere: a file, or lines for a shell."""

    place: str  # the file's path on a person's machine; "" for lines of a shell
    language: str  # of the block in Markdown
    content: str


@dataclass(frozen=True)
class Tool:
    """A tool, as it is set up for a gateway."""

    name: str  # in lower case, without blanks: of files, and in JSON
    title: str
    maker: Maker | None  # whose models it is made for; None if it takes any
    blocks: Callable[[str, Models], list[Block]]

    def works(self, models: Models) -> bool:
        """Whether the gateway has a model for it."""
        return bool(models.of(self.maker) if self.maker else models.chat)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _shell(*lines: str) -> Block:
    return Block("", "sh", "".join(f"{line}\n" for line in lines))


def _claude_code(url: str, models: Models) -> list[Block]:
    """https://code.claude.com/docs/en/settings (managed settings, apiKeyHelper) and …/model-config (the variables)."""
    environment = {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_MODEL": models.claude("sonnet"),
        "ANTHROPIC_DEFAULT_OPUS_MODEL": models.claude("opus"),
        "ANTHROPIC_DEFAULT_SONNET_MODEL": models.claude("sonnet"),
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": models.claude("haiku"),
        # Of versions before there was the variable above.
        "ANTHROPIC_SMALL_FAST_MODEL": models.claude("haiku"),
        # No telemetry, error reports or updates past the gateway.
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    settings = {"apiKeyHelper": f"printenv {KEY}", "env": environment}
    return [Block("/etc/claude-code/managed-settings.json", "json", _json(settings))]


def _codex(url: str, models: Models) -> list[Block]:
    """https://developers.openai.com/codex/config-reference: a provider of one's own speaks HTTP, not WebSocket."""
    content = f"""\
model = "{models.main("gpt")}"
review_model = "{models.main("gpt")}"
model_provider = "llm-gateway"
check_for_update_on_startup = false

[model_providers.llm-gateway]
name = "LLM gateway"
base_url = "{url}/v1"
env_key = "{KEY}"
wire_api = "responses"

[analytics]
enabled = false
"""
    return [Block("~/.codex/config.toml", "toml", content)]


def _gemini_cli(url: str, models: Models) -> list[Block]:
    """https://github.com/google-gemini/gemini-cli, docs/reference/configuration.md.

    Without a kind of sign-in in the settings, an address of one's own makes headless runs end with "Invalid auth method
    selected" (0.61.0).
    """
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "general": {"enableAutoUpdate": False},
        "privacy": {"usageStatisticsEnabled": False},
    }
    environment = (
        f"export GOOGLE_GEMINI_BASE_URL={url}",
        f'export GEMINI_API_KEY="${KEY}"',
        f"export GEMINI_MODEL={models.main('gemini')}",
    )
    return [Block("~/.gemini/settings.json", "json", _json(settings)), _shell(*environment)]


def _opencode(url: str, models: Models) -> list[Block]:
    """https://opencode.ai/docs/providers: Claude by Anthropic's format, in which it marks what is to be cached."""

    def provider(name: str, package: str, chosen: tuple[str, ...]) -> dict[str, Any]:
        options = {"baseURL": f"{url}/v1", "apiKey": f"{{env:{KEY}}}"}
        return {"npm": package, "name": name, "options": options, "models": {one: {"name": one} for one in chosen}}

    claude = tuple(one.name for one in models.chat if one.maker == "claude")
    others = tuple(one.name for one in models.chat if one.maker != "claude")
    providers = {}
    if claude:
        providers["llm-gateway-claude"] = provider("LLM gateway, Claude", "@ai-sdk/anthropic", claude)
    if others:
        providers["llm-gateway"] = provider("LLM gateway", "@ai-sdk/openai-compatible", others)

    def named(model: str) -> str:
        return f"llm-gateway{'-claude' if model in claude else ''}/{model}"

    settings = {
        "$schema": "https://opencode.ai/config.json",
        "model": named(models.main()),
        "small_model": named(models.small()),
        "enabled_providers": [*providers],
        "provider": providers,
        "autoupdate": False,
        "share": "disabled",
    }
    return [Block("~/.config/opencode/opencode.json", "json", _json(settings))]


def _aider(url: str, models: Models) -> list[Block]:
    """https://aider.chat/docs/llms/openai-compat.html and …/docs/config/aider_conf.html"""
    content = f"""\
openai-api-base: {url}/v1
model: openai/{models.main()}
weak-model: openai/{models.small()}
show-model-warnings: false
check-update: false
analytics-disable: true
"""
    return [Block("~/.aider.conf.yml", "yaml", content), _shell(f'export OPENAI_API_KEY="${KEY}"')]


def _llm(url: str, models: Models) -> list[Block]:
    """https://llm.datasette.io/en/stable/other-models.html, "OpenAI-compatible models"."""
    entries = "".join(
        f"- model_id: gateway/{one.name}\n  model_name: {one.name}\n  api_base: {url}/v1\n  api_key_name: llm-gateway\n"
        for one in models.chat
    )
    return [
        Block("~/.config/io.datasette.llm/extra-openai-models.yaml", "yaml", entries),
        _shell(f'llm keys set llm-gateway --value "${KEY}"', f'llm -m gateway/{models.main()} "Say hello"'),
    ]


def _openai_sdk(url: str, models: Models) -> list[Block]:
    code = f"""\
from openai import OpenAI

client = OpenAI()
answer = client.responses.create(model="{models.main("gpt")}", input="Say hello")
print(answer.output_text)
"""
    environment = _shell(f"export OPENAI_BASE_URL={url}/v1", f'export OPENAI_API_KEY="${KEY}"')
    return [environment, Block("", "python", code)]


def _anthropic_sdk(url: str, models: Models) -> list[Block]:
    code = f"""\
from anthropic import Anthropic

client = Anthropic()
hello = {{"role": "user", "content": "Say hello"}}
answer = client.messages.create(model="{models.main("claude")}", max_tokens=1000, messages=[hello])
print(answer.content[0].text)
"""
    environment = _shell(f"export ANTHROPIC_BASE_URL={url}", f'export ANTHROPIC_API_KEY="${KEY}"')
    return [environment, Block("", "python", code)]


def _google_sdk(url: str, models: Models) -> list[Block]:
    code = f"""\
from google import genai

client = genai.Client()
answer = client.models.generate_content(model="{models.main("gemini")}", contents="Say hello")
print(answer.text)
"""
    environment = _shell(f"export GOOGLE_GEMINI_BASE_URL={url}", f'export GEMINI_API_KEY="${KEY}"')
    return [environment, Block("", "python", code)]


def _curl(url: str, models: Models) -> list[Block]:
    body = json.dumps({"model": models.main(), "messages": [{"role": "user", "content": "Say hello"}]})
    return [
        _shell(
            f"curl {url}/v1/chat/completions \\",
            f'  -H "Authorization: Bearer ${KEY}" \\',
            '  -H "Content-Type: application/json" \\',
            f"  -d '{body}'",
            f'curl {url}/v1/models -H "Authorization: Bearer ${KEY}"',
        )
    ]


TOOLS: Final = (
    Tool("claude-code", "Claude Code", "claude", _claude_code),
    Tool("codex", "Codex", "gpt", _codex),
    Tool("gemini-cli", "Gemini CLI", "gemini", _gemini_cli),
    Tool("opencode", "OpenCode", None, _opencode),
    Tool("aider", "aider", None, _aider),
    Tool("llm", "llm", None, _llm),
    Tool("openai-sdk", "OpenAI's SDK", None, _openai_sdk),
    Tool("anthropic-sdk", "Anthropic's SDK", None, _anthropic_sdk),
    Tool("google-sdk", "Google's SDK", None, _google_sdk),
    Tool("curl", "curl", None, _curl),
)
