"""The makers' own SDKs as people use them, with nothing set but what docs/clients.md says: address and key.

Anthropic's and Google's are imported where they are used: each process of a run collects this file, and one runs it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import openai
import pytest

from local.gateway import LocalGateway
from local.outside.completion import COMPLETION_PHRASE, count_tokens
from local.outside.world import OutsideWorld
from tests.e2e.conftest import eventually
from tests.e2e.test_completions import model_calls

if TYPE_CHECKING:
    import anthropic
    from google import genai

CLAUDE, GPT, GEMINI = "claude-sonnet-5-5", "gpt-6.1-sol", "gemini-4-argon"
WEATHER = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}


@pytest.fixture
def key(gateway: LocalGateway, user: str) -> str:
    return gateway.user_key(user)


@pytest.fixture
def google(gateway: LocalGateway, key: str, monkeypatch: pytest.MonkeyPatch) -> genai.Client:
    """Google's SDK. It asks for `/v1/…` by default, where LiteLLM has none of its methods."""
    from google import genai

    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", gateway.url)
    monkeypatch.setenv("GEMINI_API_KEY", key)
    return genai.Client()


@pytest.fixture
def claude(gateway: LocalGateway, key: str, monkeypatch: pytest.MonkeyPatch) -> anthropic.Anthropic:
    import anthropic

    monkeypatch.setenv("ANTHROPIC_BASE_URL", gateway.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    return anthropic.Anthropic(max_retries=0)


@pytest.fixture
def gpt(gateway: LocalGateway, key: str, monkeypatch: pytest.MonkeyPatch) -> openai.OpenAI:
    monkeypatch.setenv("OPENAI_BASE_URL", f"{gateway.url}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", key)
    return openai.OpenAI(max_retries=0)


@pytest.mark.parametrize("model", [GEMINI, CLAUDE, GPT])
def test_googles_sdk(google: genai.Client, outside: OutsideWorld, model: str) -> None:
    plain = google.models.generate_content(model=model, contents="Say hello").text or ""
    pieces = [piece.text or "" for piece in google.models.generate_content_stream(model=model, contents="Say hello")]
    assert plain.startswith(COMPLETION_PHRASE)
    assert "".join(pieces) == plain
    assert len(pieces) > 1
    assert [call.streamed for call in model_calls(outside)] == [False, True]


def test_googles_sdk_and_a_tool(google: genai.Client) -> None:
    tool: Any = {"function_declarations": [{"name": "weather", "description": "Now.", "parameters": WEATHER}]}
    prompt = 'call the tool weather with {"city": "Kyoto"}'
    answer = google.models.generate_content(model=GEMINI, contents=prompt, config={"tools": [tool]})
    (call,) = answer.function_calls or []
    assert (call.name, call.args) == ("weather", {"city": "Kyoto"})


def test_googles_sdk_counts(google: genai.Client, outside: OutsideWorld) -> None:
    """Gemini's tokens by Vertex AI: LiteLLM needs google-genai for it, which its image has."""
    prompt = "Say hello, and count every word of it. " * 20
    assert google.models.count_tokens(model=GEMINI, contents=prompt).total_tokens == count_tokens(prompt)
    assert [call.operation for call in model_calls(outside)] == ["countTokens"]
    assert google.models.count_tokens(model=CLAUDE, contents=prompt).total_tokens == count_tokens(prompt)


def test_what_googles_sdk_does_not_get_is_refused(google: genai.Client) -> None:
    from google.genai import errors

    with pytest.raises(errors.ClientError) as refused:
        google.models.embed_content(model="text-embedding-3-large", contents="Say hello")
    assert refused.value.code == 405


@pytest.mark.parametrize("model", [CLAUDE, GPT, GEMINI])
def test_anthropics_sdk(claude: anthropic.Anthropic, model: str) -> None:
    hello: Any = {"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": "Say hello"}]}
    plain = claude.messages.create(**hello).content[0]
    assert plain.type == "text"
    with claude.messages.stream(**hello) as stream:
        assert stream.get_final_text() == plain.text
    assert plain.text.startswith(COMPLETION_PHRASE)


@pytest.mark.parametrize("model", [CLAUDE, GEMINI])
def test_anthropics_sdk_counts(claude: anthropic.Anthropic, model: str) -> None:
    """As Claude Code does, of any provider's model."""
    prompt = "Say hello, and count every word of it. " * 20
    counted = claude.messages.count_tokens(model=model, messages=[{"role": "user", "content": prompt}])
    assert counted.input_tokens == count_tokens(prompt)


def test_models_in_the_formats_of_openai_and_anthropic(
    gpt: openai.OpenAI, claude: anthropic.Anthropic, gateway: LocalGateway
) -> None:
    """Real names only: what stands for another is not listed."""
    names = {model.name for model in gateway.config.models}
    # One that another test has removed may come back for a moment, when LiteLLM reads the database in the background.
    assert eventually(lambda: {model.id for model in gpt.models.list()} == names)
    assert eventually(lambda: {model.id for model in claude.models.list(limit=1000)} == names)


@pytest.mark.parametrize("model", [GPT, CLAUDE])
def test_the_responses_api(gpt: openai.OpenAI, model: str) -> None:
    plain = gpt.responses.create(model=model, input="Say hello").output_text
    assert plain.startswith(COMPLETION_PHRASE)
    events = list(gpt.responses.create(model=model, input="Say hello", stream=True))
    assert (
        "".join(event.delta for event in events if event.type == "response.output_text.delta").strip() == plain.strip()
    )


# --- Names that tools have built in -----------------------------------------------------------------------------------


@pytest.fixture
def key_for(gateway: LocalGateway, user: str) -> Callable[[str], openai.OpenAI]:
    """OpenAI's SDK with a key that may use one model."""

    def made(model: str) -> openai.OpenAI:
        body = {"user_id": user, "models": [model]}
        key = gateway.api("POST", "/key/generate", json=body).json()["key"]
        return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0)

    return made


def ask(client: openai.OpenAI, model: str) -> str:
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Say hello"}])
    return answer.choices[0].message.content or ""


def test_a_name_that_a_tool_has_built_in_is_the_models(
    gateway: LocalGateway, outside: OutsideWorld, user: str, gpt: openai.OpenAI
) -> None:
    """It is answered and counted by the model behind it."""
    assert ask(gpt, "gemini-2.5-pro").startswith(COMPLETION_PHRASE)
    (call,) = model_calls(outside)
    assert call.model == GEMINI

    def counted() -> set[str]:
        body = {"start_date": "2026-01-01", "end_date": "2036-01-01", "user_id": user}
        days = gateway.api("GET", "/user/daily/activity", params=body).json()["results"]
        return {model for day in days for model in day["breakdown"]["models"]}

    assert eventually(counted) == {f"vertex_ai/{GEMINI}"}


def test_a_key_may_use_a_built_in_name_with_its_model(key_for: Callable[[str], openai.OpenAI]) -> None:
    assert ask(key_for(GEMINI), "gemini-2.5-pro").startswith(COMPLETION_PHRASE)
    with pytest.raises(openai.PermissionDeniedError):
        ask(key_for(GPT), "gemini-2.5-pro")


def test_another_name_is_refused_with_what_to_do(gpt: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="/v1/models"):
        ask(gpt, "gpt-2")
