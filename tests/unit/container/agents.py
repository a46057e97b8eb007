"""What coding agents send, as far as it tells which conversation a request is of.

Recorded on loopback from the npm packages named here, run headless: a first turn, a second one of the same conversation
(resumed), and the first turn of another conversation of the same person in the same folder. Texts are shortened; ids
are made up.
"""

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

LONG = "word " * 300
_A, _B = "62d33732-a642-41a3-88e7-aca0a52d65e1", "c84f4e0e-e376-4e9a-b3f2-8d6cd75dc2b1"
_THREAD_A, _THREAD_B = "01a221db-77c0-7123-a3ed-2d87d4d0ec9d", "01a221db-7ad5-7933-ad37-d2cfc6359e1f"
_SES_A, _SES_B = "ses_dde245d4cffeQ4i67ZZWoa2XsR", "ses_dde243779ffeUYO7HbDC2YdwKM"


@dataclass(frozen=True)
class Sent:
    """A request: its headers and its body."""

    headers: dict[str, str]
    body: Json


@dataclass(frozen=True)
class Agent:
    """A coding agent: where it sends to, and where LiteLLM keeps its notes of a request to there."""

    route: str
    notes: str
    first: Sent
    second: Sent
    other: Sent


def _claude(session: str, *turns: tuple[str, str]) -> Sent:
    headers = {
        "User-Agent": "claude-cli/2.1.332 (external, sdk-cli)",
        "X-Claude-Code-Session-Id": session,
        "x-app": "cli",
    }
    user_id = f'{{"device_id":"a10d4d87","account_uuid":"","session_id":"{session}"}}'
    reminder = {"type": "text", "text": f"<system-reminder>\n# gitStatus\n{LONG}</system-reminder>"}
    messages: list[Json] = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in turns]
    messages[0]["content"].insert(0, reminder)
    messages[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
    messages.insert(1, {"role": "system", "content": "# Environment"})
    system = [{"type": "text", "text": "You are a Claude agent.", "cache_control": {"type": "ephemeral"}}]
    body = {"model": "claude-sonnet-5-5", "system": system, "messages": messages, "metadata": {"user_id": user_id}}
    return Sent(headers, body)


def _codex(thread: str, *turns: tuple[str, str]) -> Sent:
    headers = {
        "user-agent": "codex_exec/0.171.0 (Debian 12.0.0; x86_64) xterm (codex_exec; 0.171.0)",
        "originator": "codex_exec",
        "session-id": thread,
        "thread-id": thread,
    }
    tools = {"type": "additional_tools", "role": "developer", "tools": [{"type": "custom", "name": "exec"}]}
    given = [
        ("developer", "You are Codex."),
        ("user", f"<environment_context>\n  <cwd>/work</cwd>\n{LONG}</environment_context>"),
        *turns,
    ]
    said = [
        {
            "type": "message",
            "role": role,
            "content": [{"type": "output_text" if role == "assistant" else "input_text", "text": text}],
        }
        for role, text in given
    ]
    return Sent(headers, {"model": "gpt-6.1-sol", "input": [tools, *said], "prompt_cache_key": thread, "store": False})


def _gemini(*turns: tuple[str, str]) -> Sent:
    headers = {
        "User-Agent": "GeminiCLI-tui/0.61.0/gemini-3.8-flash (linux; x64; terminal)",
        "x-goog-api-client": "google-genai-sdk/1.30.0 gl-node/v24.19.0",
    }
    contents: list[Json] = [{"role": role, "parts": [{"text": text}]} for role, text in turns]
    contents[0]["parts"].insert(0, {"text": f"<session_context>\nToday's date is Saturday.\n{LONG}</session_context>"})
    system = {"parts": [{"text": f"You are Gemini CLI, an autonomous CLI agent. {LONG}"}]}
    return Sent(headers, {"contents": contents, "systemInstruction": system})


def _opencode(session: str, *turns: tuple[str, str]) -> Sent:
    headers = {
        "User-Agent": "opencode/1.18.33 ai-sdk/provider-utils/4.0.23 runtime/bun/1.3.14",
        "x-session-affinity": session,
        "x-session-id": session,
    }
    messages = [{"role": "system", "content": f"You are an AI agent powered by OpenCode. {LONG}"}]
    messages += [{"role": role, "content": text} for role, text in turns]
    return Sent(headers, {"model": "gpt-6.1-sol", "messages": messages})


_FIRST, _ANSWER, _SECOND, _OTHER = ("user", "First of A"), "answer", ("user", "Second of A"), ("user", "First of B")
_BOTH = (_FIRST, ("assistant", _ANSWER), _SECOND)

AGENTS = {
    "claude-code 2.1.332": Agent(
        "/v1/messages", "litellm_metadata", _claude(_A, _FIRST), _claude(_A, *_BOTH), _claude(_B, _OTHER)
    ),
    "codex 0.171.0": Agent(
        "/v1/responses",
        "litellm_metadata",
        _codex(_THREAD_A, _FIRST),
        _codex(_THREAD_A, *_BOTH),
        _codex(_THREAD_B, _OTHER),
    ),
    "gemini-cli 0.61.0": Agent(
        "/v1beta/models/gemini-3.8-flash:streamGenerateContent",
        "metadata",
        _gemini(_FIRST),
        _gemini(_FIRST, ("model", _ANSWER), _SECOND),
        _gemini(_OTHER),
    ),
    "opencode 1.18.33": Agent(
        "/v1/chat/completions",
        "metadata",
        _opencode(_SES_A, _FIRST),
        _opencode(_SES_A, *_BOTH),
        _opencode(_SES_B, _OTHER),
    ),
}
