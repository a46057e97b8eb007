"""What a request may not say of where it goes, and what it may."""

import types
from typing import Any

import pytest

from tests.unit.container.loading import loaded, stand_in

CHAT = {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": "custom_llm_provider, aws_region_name"}]}


class RefusedError(Exception):
    def __init__(self, status_code: int, detail: dict[str, str]) -> None:
        super().__init__()
        self.status_code, self.detail = status_code, detail


@pytest.fixture
def reach(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    stand_in(monkeypatch, {"fastapi": {"HTTPException": RefusedError}})
    return loaded("reach")


@pytest.mark.parametrize("call", ["acompletion", "aresponses", "anthropic_messages", "aembedding", "agenerate_content"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("custom_llm_provider", "groq"),
        ("aws_region_name", "eu-west-1"),
        ("aws_access_key_id", "AKIA"),
        ("vertex_location", "europe-west1"),
        ("vertex_project", "another"),
        ("api_key", "sk-own"),
        ("specific_deployment", True),
    ],
)
def test_what_chooses_where_a_call_goes_is_refused(
    reach: types.ModuleType, call: str, name: str, value: object
) -> None:
    """At the root, and wherever else LiteLLM takes parameters of a call from."""
    places: list[dict[str, Any]] = [
        {name: value},
        {"extra_body": {name: value}},
        {"litellm_params": {name: value}},
        {"fallbacks": [{"model": "gpt-6-luna", name: value}]},
    ]
    for place in places:
        with pytest.raises(RefusedError) as refused:
            reach.refuse({**CHAT, **place}, call, lambda _: False)
        assert refused.value.status_code == 400
        assert refused.value.detail["error"].startswith(f"{name} is not for a request to say")


@pytest.mark.parametrize(
    "request_",
    [
        CHAT,
        {**CHAT, "api_key": None, "temperature": 0.5, "user": "ana", "api_version": "2025-04-01-preview"},
        {**CHAT, "metadata": {"aws_region_name": "a tag of theirs"}, "extra_body": {"top_k": 5}},
        {**CHAT, "fallbacks": ["gpt-6-luna", {"model": "nova-2-lite"}]},
        {**CHAT, "extra_body": "text", "litellm_params": None, "fallbacks": "text"},
    ],
)
def test_everything_else_passes(reach: types.ModuleType, request_: dict[str, Any]) -> None:
    reach.refuse(request_, "acompletion", lambda _: True)


def test_files_are_told_their_provider_by_litellm(reach: types.ModuleType) -> None:
    reach.refuse({"custom_llm_provider": "azure"}, "acreate_file", lambda _: True)


GUARDED = {"guardrailConfig": {"guardrailIdentifier": "a1b2c3", "guardrailVersion": "1"}}


@pytest.mark.parametrize("named", [GUARDED, {"guardrailConfig": None}, {"guardrailConfig": {}}])
def test_no_request_takes_off_what_an_entry_is_guarded_by(reach: types.ModuleType, named: dict[str, Any]) -> None:
    """A null would be merged over the entry's as any other value."""
    for place in (named, {"extra_body": named}, {"litellm_params": named}, {"fallbacks": [{"model": "m", **named}]}):
        with pytest.raises(RefusedError) as refused:
            reach.refuse({**CHAT, **place}, "acompletion", lambda _: True)
        assert refused.value.detail["error"].startswith("guardrailConfig is not for a request to say")
        reach.refuse({**CHAT, **place}, "acompletion", lambda _: False)


@pytest.mark.parametrize("call", ["anthropic_messages", "agenerate_content", "agenerate_content_stream"])
def test_a_guarded_model_is_not_asked_where_litellm_leaves_its_guardrail_out(
    reach: types.ModuleType, call: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        reach.refuse(CHAT, call, lambda model: model == CHAT["model"])
    assert refused.value.detail["error"].startswith("This model is guarded in OpenAI's formats alone")
    reach.refuse({**CHAT, "model": "gpt-6-luna"}, call, lambda model: model == CHAT["model"])
    for other in ("acompletion", "aresponses"):
        reach.refuse(CHAT, other, lambda model: model == CHAT["model"])
