"""What a caller is told of a failure, on a stand-in for LiteLLM; tests/e2e/test_completions.py has the real one."""

import asyncio
import sys
import types
from typing import Any

import pytest

from stacks.litellm_config.rules.errors import CALLBACK
from tests.unit.container.loading import loaded, stand_in

NOBODY = "No provider of this gateway has this operation. GET /v1/models tells which models there are."
UNSERVED = "The model does not have this operation."
UNREADABLE = "The request could not be read: its format is not that of this operation."
NO_ROOM = ("The gateway has no room for this request now. Try again later.", 503)
TRACE = (
    '\nTraceback (most recent call last):\n  File "/app/.venv/lib/python3.13/site-packages/litellm/main.py", line 536'
)

# As LiteLLM 1.106.12 has said them.
SEEN = {
    "litellm.PermissionDeniedError: BedrockException - User: arn:aws:sts::111122223333:assumed-role/litellm-dev-"
    "gateway-TaskTaskRole/a1b2 is not authorized to perform: bedrock:InvokeModel on resource: "
    "arn:aws:bedrock:us-west-2:111122223333:imported-model/ab12cd34ef56 because no identity-based policy allows it": (
        "The gateway's role is not permitted this: a model or a guardrail that is not in its config.yaml.",
        403,
    ),
    "OpenAIException - Unmapped prompt format. prompt={'a': 1}. File an issue - https://github.com/": (UNREADABLE, 400),
    "Forbidden. This response id was not issued by this proxy. Set general_settings::allow_unmanaged_response_ids.": (
        "There is no such response of this gateway.",
        500,
    ),
    f"litellm.APIConnectionError: AzureException - Unsupported provider: azure{TRACE}": (UNSERVED, 400),
    f"litellm.APIConnectionError: AzureException - 'str' object has no attribute 'get'{TRACE}": (UNREADABLE, 400),
    "Missing credentials. Please pass an `api_key`, or set the `OPENAI_API_KEY` environment variable.": (NOBODY, 404),
    "'custom_llm_provider' must be set. Either via:\n `Router(assistants_config={…})`": (NOBODY, 404),
    "Only premium users can use this endpoint + please set `LITELLM_LICENSE` in your env.": (
        "This operation needs a licence of LiteLLM, which this gateway does not have.",
        403,
    ),
    "BedrockException: Error converting to valid response block=Expecting value. File an issue if litellm error": (
        "The provider's answer could not be read. Try again later.",
        502,
    ),
    "Unable to get json response - Expecting value, Original Response: <!doctype html><title>Wiki</title>": (
        "The provider's answer could not be read. Try again later.",
        502,
    ),
    "Invalid form payload: [Errno 28] No space left on device": NO_ROOM,
    "Invalid form payload: [Errno 24] Too many open files: '/tmp/tmpq1w2e3'": NO_ROOM,
    "Invalid form payload: [Errno 2] No usable temporary directory found in ['/tmp', '/var/tmp', '/usr/tmp']": NO_ROOM,
    "'>' not supported between instances of 'str' and 'int'": (UNREADABLE, 400),
    "litellm.main.completion() got multiple values for keyword argument 'messages'": (UNREADABLE, 400),
    "litellm.APIConnectionError: Error calling litellm.acompletion for generate_content: litellm.BadRequestError: "
    f"Invalid Message bedrock requires at least one non-system message{TRACE}": (UNREADABLE, 400),
    "Expecting value: line 1 column 1 (char 0)": (UNREADABLE, 400),
    "litellm.APIConnectionError: Unable to determine bedrock embedding provider for model: m" + TRACE: (UNSERVED, 400),
    "Unmapped LLM provider for this endpoint. You passed model=m, custom_llm_provider=anthropic.": (UNSERVED, 400),
    "1 validation error for TokenCountRequest\nmessages\n  Input should be a valid list": (UNREADABLE, 400),
    "AnthropicException - 'content'\nReceived Messages=[{'role': 'user'}]": (UNREADABLE, 400),
    "OpenAIException - Cannot connect to host api.openai.com:443 ssl:<ssl.SSLContext object at 0x7f44>": (
        "The provider could not be reached. Try again later.",
        500,
    ),
    f"litellm.APIConnectionError: list index out of range{TRACE}": (
        "The gateway could not carry out this request. Look whether its format is right; if it is, an operator finds "
        "the reason in the gateway's log.",
        500,
    ),
}


class ApiError(Exception):
    """LiteLLM's: its words are in an attribute, and so is the status."""

    def __init__(self, message: str, status_code: int = 500) -> None:
        super().__init__(message)
        self.message, self.status_code = message, status_code

    def __str__(self) -> str:
        return self.message


class ProxyError(Exception):
    """LiteLLM's ProxyException: the status is text."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message, self.code = message, "500"


class HttpError(Exception):
    def __init__(self, detail: object) -> None:
        self.status_code, self.detail = 500, detail


class AllOutError(ValueError):
    """LiteLLM's RouterRateLimitError."""

    cooldown_time, status_code = 30.0, 429


class RefusedError(Exception):
    """FastAPI's HTTPException."""

    def __init__(self, status_code: int, detail: str) -> None:
        super().__init__()
        self.status_code, self.detail = status_code, detail


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    parts: dict[str, dict[str, Any]] = {
        "fastapi": {"HTTPException": RefusedError},
        "litellm": {},
        "litellm.integrations": {},
        "litellm.integrations.custom_logger": {"CustomLogger": object},
    }
    stand_in(monkeypatch, parts)
    monkeypatch.setitem(sys.modules, "reach", loaded("reach"))
    return loaded("errors")


def told(errors: types.ModuleType, error: Exception) -> Any:  # noqa: ANN401
    module, name = CALLBACK.split(".")
    assert module == errors.__name__
    assert asyncio.run(getattr(errors, name).async_post_call_failure_hook({}, error, None)) is None
    return error


@pytest.mark.parametrize("text", SEEN)
def test_nothing_of_the_inside_is_told(errors: types.ModuleType, text: str) -> None:
    error = told(errors, ApiError(text))
    assert (error.message, error.status_code) == SEEN[text]
    assert str(error) == error.message


@pytest.mark.parametrize("make", [ValueError, ProxyError, HttpError])
def test_wherever_a_route_reads_the_words(errors: types.ModuleType, make: type[Exception]) -> None:
    error = told(errors, make("set the `OPENAI_API_KEY` environment variable"))
    assert (error.message, error.status_code) == (NOBODY, 404)
    assert getattr(error, "detail", NOBODY) == NOBODY
    assert getattr(error, "code", "404") == "404"
    assert "OPENAI" not in f"{error}"


@pytest.mark.parametrize(
    "text",
    [
        "Rejected Request: api_base is not allowed in request body. See general_settings.allow_client_side.",
        "Rejected Request: api_base holds a secret reference, which only a deployment can carry.",
        "'int' object is not iterable",
    ],
)
def test_what_is_found_wrong_with_the_key_is_the_requests_mistake(errors: types.ModuleType, text: str) -> None:
    """LiteLLM would say 401, of which clients tell their users that the key is wrong."""
    instead = asyncio.run(errors.told.async_post_call_failure_hook({}, ValueError(text), None))
    assert isinstance(instead, RefusedError)
    words = "api_base is not for a request to say: the gateway knows where it calls a model. Leave it out."
    if "api_base" not in text:
        words = UNREADABLE
    assert (instead.status_code, instead.detail) == (400, words)


def test_when_to_come_again_is_told_and_no_names_of_deployments(errors: types.ModuleType) -> None:
    error = told(errors, AllOutError("Passed model=m. pre-call-checks=False, cooldown_list=['a1b2']"))
    assert error.message == "The model is busy, or out, at each of its providers. Try again in 30 seconds."
    assert error.status_code == 429


@pytest.mark.parametrize(
    "text",
    [
        "litellm.ContextWindowExceededError: AnthropicException - prompt is too long: 210000 tokens > 200000 maximum",
        "litellm.RateLimitError: BedrockException - Too many requests, please wait before trying again.",
        "litellm.BadRequestError: AzureException - Invalid value for 'tool_choice': must be one of auto, none",
        "Your budget of 100 US dollars is used up. To go on, use another key, or make one under https://llm/ui/.",
    ],
)
def test_what_a_provider_says_of_a_request_is_told(errors: types.ModuleType, text: str) -> None:
    error = told(errors, ApiError(text, 400))
    assert (error.message, error.status_code) == (text, 400)


def test_an_answer_is_given_whatever_is_wrong(errors: types.ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    class SealedError(Exception):
        __slots__ = ()
        message = property(lambda _: TRACE)

    assert told(errors, SealedError())
    assert "could not be looked at" in caplog.text
