"""container/records.py: what is told of a call, from records as LiteLLM makes them."""

import types
from collections.abc import Mapping
from typing import Any

import pytest

from container import records
from container.records import Attempt

Json = dict[str, Any]

PROMPT = "a prompt that is nobody's business"
ALWAYS = {
    *("kind", "user", "team", "key", "model", "deployment", "provider", "region", "call_type", "call_id"),
    *("streamed", "provider_request_id", "outcome"),
}
TOKENS = {
    *("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens"),
    "cost",
}


def payload(**changes: Any) -> Json:  # noqa: ANN401
    """LiteLLM's StandardLoggingPayload of an answered call, with prompts wherever it may have some."""
    return {
        "id": "chatcmpl-1",
        "litellm_call_id": "d0fce946-16dc-4472-8e81-c662a2514f77",
        "call_type": "acompletion",
        "stream": None,
        "status": "success",
        "custom_llm_provider": "bedrock",
        "startTime": 1000.0,
        "endTime": 1002.5,
        "completionStartTime": 1002.5,
        "model": "bedrock/us.anthropic.claude-sonnet-5-5",
        "model_group": "claude-sonnet-5-5",
        "api_base": "https://bedrock-runtime.us-east-2.amazonaws.com/model/us.anthropic.claude-sonnet-5-5/converse",
        "metadata": metadata() | {"usage_object": CONVERSE, "requester_metadata": {"headers": {"x-prompt": PROMPT}}},
        "response_cost": 0.0125,
        "prompt_tokens": 1501,
        "completion_tokens": 41,
        "total_tokens": 1542,
        "request_tags": ["region:us-east-2", f"User-Agent: {PROMPT}"],
        "messages": [{"role": "user", "content": PROMPT}],
        "response": {"choices": [{"message": {"content": PROMPT}}]},
        "model_parameters": {"tools": [{"function": {"description": PROMPT}}]},
        "hidden_params": {
            "additional_headers": {"llm_provider-x-amzn-requestid": "f53579b8-1898"},
            "litellm_overhead_time_ms": 8.3599,
        },
        "error_str": PROMPT,
        "error_information": {"error_code": "", "error_class": "", "error_message": PROMPT, "traceback": PROMPT},
        **changes,
    }


def metadata(**changes: Any) -> Json:  # noqa: ANN401
    """What LiteLLM knows of the caller."""
    return {
        "user_api_key_user_id": "ana@example.com",
        "user_api_key_team_id": "platform",
        "user_api_key_team_alias": "Platform",
        "user_api_key_alias": "laptop",
        "user_api_key_user_spend": 24.9875,
        "user_api_key_user_max_budget": 100.0,
        "spend_logs_metadata": {"note": PROMPT},
        **changes,
    }


def usage(prompt: Json, completion: Json, **more: Any) -> Json:  # noqa: ANN401
    """LiteLLM's usage object, of which each provider fills other fields."""
    return {"prompt_tokens_details": prompt, "completion_tokens_details": completion, **more}


CONVERSE = usage(
    {"cached_tokens": 0, "cache_write_tokens": 1500, "cache_creation_tokens": 1500, "text_tokens": 1},
    {"reasoning_tokens": 7, "text_tokens": 34},
    cache_creation_input_tokens=1500,
    cache_read_input_tokens=0,
)


def saving(payload: Mapping[str, Any]) -> float:
    """In the place of LiteLLM's own arithmetic."""
    return -0.0000825 if payload["model"] else 0.0


def succeeded(payload: Json, attempt: Attempt | None) -> Json:
    """The record of an answered attempt."""
    return records.succeeded(payload, attempt, saving=saving)


def broken(payload: Json, error: object, attempt: Attempt | None, *, streamed: bool) -> Json:
    """The record of an attempt that failed after its answer had begun."""
    return records.broken(payload, error, attempt, streamed=streamed, saving=saving)


class ProviderError(Exception):
    """An error as LiteLLM's exceptions are: it quotes, and keeps the provider's answer."""

    def __init__(self, status: int, headers: Json | None = None, *, code: object = None) -> None:
        super().__init__(f"AzureException - cannot read {PROMPT}")
        self.status_code, self.code, self.message = status, code, PROMPT
        self.response = types.SimpleNamespace(headers=headers or {})


def test_an_answer_in_full() -> None:
    assert succeeded(payload(), Attempt(1000.0)) == {
        "kind": "call",
        "user": "ana@example.com",
        "team": "Platform",
        "key": "laptop",
        "model": "claude-sonnet-5-5",
        "deployment": "bedrock/us.anthropic.claude-sonnet-5-5",
        "provider": "bedrock",
        "region": "us-east-2",
        "outcome": "success",
        "call_type": "acompletion",
        "streamed": False,
        "call_id": "d0fce946-16dc-4472-8e81-c662a2514f77",
        "provider_request_id": "f53579b8-1898",
        "prompt_tokens": 1501,
        "completion_tokens": 41,
        "total_tokens": 1542,
        "cached_tokens": 0,
        "cache_write_tokens": 1500,
        "reasoning_tokens": 7,
        "cost": 0.0125,
        "cache_saved": -0.0000825,  # what was written and has not been read yet
        "seconds": 2.5,
        "overhead_ms": 8.3599,
        "budget_used_percent": 25.0,
    }


@pytest.mark.parametrize(
    ("provider", "details", "expected"),
    [
        ("converse", CONVERSE, (0, 1500, 7)),
        (
            "azure",
            usage({"audio_tokens": 0, "cached_tokens": 1024}, {"reasoning_tokens": 64, "audio_tokens": 0}),
            (1024, 0, 64),
        ),
        (
            "vertex_ai",
            usage({"cached_tokens": 1024, "text_tokens": 476}, {"text_tokens": 41}, cache_read_input_tokens=1024),
            (1024, 0, 0),
        ),
        ("azure that charges for writes", usage({"cached_tokens": 0, "cache_write_tokens": 1024}, {}), (0, 1024, 0)),
        ("vertex_ai without a cache", usage({"cached_tokens": None}, {}, cache_read_input_tokens=None), (0, 0, 0)),
        (
            "anthropic",
            usage({"cached_tokens": 0, "cache_creation_tokens": 1501}, {"reasoning_tokens": 0}),
            (0, 1501, 0),
        ),
        ("embedding", {"prompt_tokens_details": None, "completion_tokens_details": None}, (0, 0, 0)),
        ("nothing", {}, (0, 0, 0)),
    ],
)
def test_tokens_of_each_provider(provider: str, details: Json, expected: tuple[int, int, int]) -> None:
    record = succeeded(payload(metadata=metadata(usage_object=details)), None)
    assert (record["cached_tokens"], record["cache_write_tokens"], record["reasoning_tokens"]) == expected, provider
    assert (record["prompt_tokens"], record["completion_tokens"], record["total_tokens"]) == (1501, 41, 1542)
    assert ("cache_saved" in record) == any(expected[:2])


def test_what_a_cache_saved_is_litellms_figure() -> None:
    assert succeeded(payload(), None)["cache_saved"] == saving(payload())
    assert "cache_saved" not in records.succeeded(payload(), None, saving=lambda _: None)  # nothing prices the model


def test_a_stream_is_measured_from_where_its_attempt_began() -> None:
    """LiteLLM begins later in Anthropic's format, and earlier where it went on in the middle of another stream."""
    late = payload(stream=True, startTime=1001.0, completionStartTime=1001.5)
    record = succeeded(late, Attempt(1000.0))
    assert (record["streamed"], record["seconds"], record["first_token_seconds"]) == (True, 2.5, 1.5)
    assert succeeded(payload(), Attempt(1002.6))["seconds"] == 2.5


def test_of_a_retried_request_no_overhead_is_told() -> None:
    """LiteLLM counts the attempts before as its own time."""
    assert "overhead_ms" not in succeeded(payload(), Attempt(1000.0, retried=True))
    assert "overhead_ms" not in succeeded(
        payload(hidden_params={"additional_headers": None, "litellm_overhead_time_ms": None}), None
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id": "answer-7", "custom_llm_provider": "vertex_ai"}, "answer-7"),
        ({"id": "chatcmpl-made-up-by-litellm"}, "unknown"),
        ({"id": "chatcmpl-made-up-by-litellm", "custom_llm_provider": "ollama_chat"}, "unknown"),
        ({"id": "d0fce946-16dc-4472-8e81-c662a2514f77", "custom_llm_provider": "azure"}, "unknown"),
        ({"hidden_params": {"additional_headers": {"llm_provider-apim-request-id": "a1"}}}, "a1"),
    ],
)
def test_the_providers_number_of_a_request(changes: Json, expected: str) -> None:
    without = {"hidden_params": {"additional_headers": {"llm_provider-server": "uvicorn"}}}
    assert succeeded(payload(**without | changes), None)["provider_request_id"] == expected


@pytest.mark.parametrize(
    ("parameters", "deployment", "expected"),
    [
        ({"aws_region_name": "us-west-2"}, "bedrock/us.amazon.nova-2-lite-v1:0", "us-west-2"),
        ({"aws_region_name": "us-west-2", "custom_llm_provider": "bedrock"}, "us.anthropic.claude", "us-west-2"),
        ({"vertex_location": "global"}, "vertex_ai/gemini-4-argon", "global"),
        ({"api_base": "https://example-llm-dev.openai.azure.com"}, "azure/gpt-6-luna", "example-llm-dev"),
        ({"api_base": "https://one.cognitiveservices.azure.com/openai/v1"}, "azure/gpt-6-luna", "one"),
        ({"api_base": "https://one.services.ai.azure.com"}, "azure/gpt-6-luna", "one"),
        ({"api_base": "https://bedrock-runtime.us-east-1.amazonaws.com"}, "bedrock/nova", "us-east-1"),
        (
            {"api_base": "https://aiplatform.googleapis.com/v1/projects/p/locations/europe-west4/publishers/google"},
            "vertex_ai/gemini-4-argon",
            "europe-west4",
        ),
        # A fallback keeps what was meant for the deployment before.
        (
            {"aws_region_name": "us-east-1", "api_base": "https://two.openai.azure.com"},
            "azure/gpt-6.1-sol",
            "two",
        ),
        ({"api_base": None}, "bedrock/nova", "unknown"),
        ({"api_base": None}, "azure/gpt-6-luna", "unknown"),
        ({}, "anthropic/claude-sonnet-5-5", "global"),
        ({"api_base": "https://api.openai.com/v1"}, "openai/gpt-6.1-sol", "global"),
        ({"api_base": "https://eu.api.openai.com/v1"}, "openai/gpt-6.1-sol", "eu"),
        ({"api_base": None}, "gemini/gemini-3.8-flash", "global"),
        ({"api_base": "https://acme.services.ai.azure.com/models"}, "azure_ai/grok-4.7", "acme"),
        ({"api_base": "https://house.eastus2.models.ai.azure.com"}, "azure_ai/house", "house"),
        ({"api_base": "http://vllm-1.corp.internal:8000/v1"}, "hosted_vllm/qwen3", "vllm-1"),
        ({"api_base": "http://10.1.2.3:11434"}, "ollama_chat/llama4", "10.1.2.3"),
        ({"api_base": "http://[broken"}, "openai/other", "global"),
    ],
)
def test_regions(parameters: Json, deployment: str, expected: str) -> None:
    assert records.region(parameters, deployment) == expected


def test_each_attempt_has_the_tag_of_its_own_region_and_no_other() -> None:
    known = {"deployment": "bedrock/nova", "tags": ["mine", "region:mars"]}
    given = known["tags"]
    records.tag_region({"metadata": known, "aws_region_name": "us-east-1"})
    assert known["tags"] == ["mine", "region:us-east-1"]
    records.tag_region({"metadata": known, "aws_region_name": "us-west-2"})
    assert known["tags"] == ["mine", "region:us-west-2"]
    assert given == ["mine", "region:mars"]  # it may be the key's own list


def test_a_callers_own_metadata_stays_as_it_is() -> None:
    """Anthropic would refuse a request with a tag there."""
    own, known = {"user_id": "somebody"}, {"deployment": "azure/gpt-6-luna"}
    records.tag_region({"metadata": own, "litellm_metadata": known, "api_base": "https://two.openai.azure.com"})
    assert own == {"user_id": "somebody"}
    assert known == {"deployment": "azure/gpt-6-luna", "tags": ["region:two"]}
    records.tag_region({"metadata": None})  # a call that no router made


def test_the_region_is_the_tags_and_else_the_hosts() -> None:
    """LiteLLM's own record has no host for some calls, and that of the deployment before for others."""
    assert succeeded(payload(request_tags=["region:us-west-2"]), None)["region"] == "us-west-2"
    assert succeeded(payload(request_tags=["region:unknown"]), None)["region"] == "us-east-2"
    assert succeeded(payload(request_tags=[], api_base=""), None)["region"] == "unknown"
    assert succeeded(payload(request_tags=["region:global"]), None)["region"] == "global"


def refused(error: Exception, **changes: Any) -> Json:  # noqa: ANN401
    """The record of an attempt that a provider refused."""
    known = metadata(
        model_group="gpt-6.1-sol", deployment="azure/gpt-6.1-sol", tags=["region:example-llm-dev"], headers=PROMPT
    )
    request = {
        "model": "azure/gpt-6.1-sol",
        "metadata": known,
        "messages": [{"role": "user", "content": PROMPT}],
        "litellm_call_id": "65595b2c",
        "stream": True,
        **changes,
    }
    call = {"call_type": "acompletion", "custom_llm_provider": "azure", "input": PROMPT}
    return records.failed(request, error, call, seconds=0.25)


def test_a_refused_attempt_in_full() -> None:
    assert refused(ProviderError(400, {"apim-request-id": "a2"}, code="BadRequest")) == {
        "kind": "call",
        "user": "ana@example.com",
        "team": "Platform",
        "key": "laptop",
        "model": "gpt-6.1-sol",
        "deployment": "azure/gpt-6.1-sol",
        "provider": "azure",
        "region": "example-llm-dev",
        "outcome": "failure",
        "error_code": "400",
        "error_class": "ProviderError",
        "call_type": "acompletion",
        "streamed": True,
        "call_id": "65595b2c",
        "provider_request_id": "a2",
        "seconds": 0.25,
        "budget_used_percent": 24.988,
    }


def test_an_error_without_a_status_has_its_class() -> None:
    record = refused(ConnectionResetError(PROMPT))
    assert (record["error_code"], record["error_class"]) == ("unknown", "ConnectionResetError")


def test_a_refusal_of_litellm_has_its_status_in_code() -> None:
    error = ProviderError(0, code="429")
    del error.status_code
    assert refused(error)["error_code"] == "429"


def test_a_stream_that_broke_has_the_tokens_that_were_counted() -> None:
    record = broken(payload(status="failure"), ConnectionResetError(PROMPT), Attempt(999.5), streamed=True)
    told = {"error_code", "error_class", "seconds", "budget_used_percent", "cache_saved"}
    assert record.keys() == ALWAYS | TOKENS | told
    assert (record["outcome"], record["streamed"], record["seconds"]) == ("failure", True, 3.0)
    nothing = payload(prompt_tokens=0, completion_tokens=0, total_tokens=0, response_cost=0.0)
    assert not broken(nothing, None, None, streamed=False).keys() & (TOKENS | {"cache_saved"})


def test_a_rejected_request_has_the_models_name_if_there_is_one() -> None:
    caller = types.SimpleNamespace(
        user_id="ana@example.com", team_id="platform", team_alias=None, key_alias="laptop", user_spend=101.5
    )
    caller.user_max_budget = 100.0
    request = {"model": "claude-sonnet-5-5", "call_type": "acompletion", "litellm_call_id": "4", "messages": [PROMPT]}
    record = records.rejected(request, ProviderError(429), caller, models={"claude-sonnet-5-5"})
    assert record == {
        **dict.fromkeys(ALWAYS, "unknown"),
        "kind": "rejected",
        "user": "ana@example.com",
        "team": "platform",
        "key": "laptop",
        "model": "claude-sonnet-5-5",
        "outcome": "failure",
        "error_code": "429",
        "error_class": "ProviderError",
        "call_type": "acompletion",
        "streamed": False,
        "call_id": "4",
        "budget_used_percent": 101.5,
    }
    typed = records.rejected(request | {"model": PROMPT}, ProviderError(400), None, models={"claude-sonnet-5-5"})
    assert (typed["model"], typed["user"]) == ("unknown", "unknown")
    assert "budget_used_percent" not in typed


@pytest.mark.parametrize("text", [PROMPT, f"/v1/models/{PROMPT}", "x" * 1000, "", None])
def test_what_a_caller_writes_is_repeated_only_if_it_is_a_name(text: str | None) -> None:
    record = succeeded(payload(call_type=text, litellm_call_id=text, id=text), None)
    assert (record["call_type"], record["call_id"]) == ("unknown", "unknown")


def test_no_record_has_a_text_of_anybodys() -> None:
    for record in (
        succeeded(payload(), None),
        broken(payload(), ProviderError(500), None, streamed=True),
        refused(ProviderError(400)),
        records.rejected({"model": PROMPT, "messages": PROMPT}, ProviderError(400), None, models=set()),
        records.service("postgres", PROMPT, ok=False, seconds=1.0),
    ):
        assert PROMPT not in str(record)


def test_the_rest_is_told_where_a_part_cannot_be_made(caplog: pytest.LogCaptureFixture) -> None:
    nothing = succeeded({}, None)
    assert nothing == {**dict.fromkeys(ALWAYS - {"streamed"}, "unknown"), "kind": "call", "outcome": "success"}
    without_usage = succeeded(payload(prompt_tokens=3, metadata=metadata(usage_object="?")), None)
    assert (without_usage["user"], without_usage["seconds"]) == ("ana@example.com", 2.5)
    assert not without_usage.keys() & TOKENS
    assert "Part of a record for Datadog could not be made" in caplog.text


def test_service_events_and_heartbeats() -> None:
    assert records.service("reset_budget_job", "reset_budget", ok=True, seconds=0.5) == {
        "kind": "service",
        "outcome": "success",
        "call_type": "reset_budget_job:reset_budget",
        "seconds": 0.5,
    }
    failure = records.service("postgres", "update_spend", ok=False, seconds=0.5)
    assert failure["outcome"] == "failure"
    assert records.heartbeat() == {"kind": "heartbeat"}
