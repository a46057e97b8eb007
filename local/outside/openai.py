"""OpenAI's own API: chat completions, responses, embeddings and images.

Formats: OpenAI's API reference; its guide "Error codes". Which models there are, and what each is for, is LiteLLM's
list (`price_list`).
"""

from __future__ import annotations

import re
import uuid
from http import HTTPStatus

from local.outside import images, openai_format
from local.outside.exchange import Answer, ApiError, Request, Target, same
from local.outside.own_api import OwnApi, names
from local.outside.price_list import mode_of
from local.outside.records import Json

HOST = "api.openai.com"
REGIONAL = ("eu.api.openai.com", "us.api.openai.com")
"""The hosts of data residency: OpenAI's "Your data", data residency."""
_IMAGES = "images/generations"
_OPERATIONS = {f"/v1/{operation}": operation for operation in ("chat/completions", "responses", "embeddings", _IMAGES)}


# What a request may have, by operation: `CompletionCreateParams`, `ResponseCreateParams`, `EmbeddingCreateParams` and
# `ImageGenerateParams` of OpenAI's SDK 3.54.0. Anything else is refused.
_FIELDS = {
    "chat/completions": names(
        "audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens"
        " messages metadata modalities model moderation n parallel_tool_calls prediction presence_penalty"
        " prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort response_format"
        " safety_identifier seed service_tier stop store stream stream_options temperature tool_choice tools"
        " top_logprobs top_p user verbosity web_search_options"
    ),
    "responses": names(
        "access_programs background background_options context_management conversation include input instructions"
        " max_output_tokens max_tool_calls metadata model moderation parallel_tool_calls previous_response_id"
        " prompt prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier"
        " service_tier store stream stream_options temperature text tool_choice tools top_logprobs top_p truncation"
        " user"
    ),
    "embeddings": frozenset(("dimensions", "encoding_format", "input", "model", "user")),
    _IMAGES: names(
        "background model moderation n output_compression output_format partial_images prompt quality response_format"
        " safety_identifier size stream style user"
    ),
}
_NEEDED = {"chat/completions": ("messages",), "responses": ("input",), "embeddings": ("input",), _IMAGES: ("prompt",)}
_FOR = {"embedding": "embeddings", "image_generation": _IMAGES}
"""The one operation of a model that is for nothing else."""
# Models that think take no `max_tokens`: API reference, "Create chat completion", max_tokens.
_THINKS = re.compile(r"o\d|gpt-[5-9]")
# By status: the error's type and code, and what it says.
_ERRORS = {
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    404: ("invalid_request_error", None, "Not found"),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    503: ("server_error", None, "The engine is currently overloaded, please try again later."),
}


class OpenAI(OwnApi):
    """Answers for api.openai.com, with the one API key."""

    name = "openai"
    hosts = (HOST, *REGIONAL)

    def target(self, request: Request) -> Target:
        """Return the operation and the model."""
        operation = _OPERATIONS.get(request.path)
        if request.method != "POST" or operation is None:
            raise ApiError(404, message=f"Invalid URL ({request.method} {request.path})")
        body = request.json()
        return Target(operation, str(body.get("model") or ""), streamed=bool(body.get("stream")))

    def answer(self, request: Request, target: Target) -> Answer:
        """Answer one call with the key as bearer token."""
        if not request.bearer:
            raise ApiError(401, code="none", message="You didn't provide an API key.")
        if not same(request.bearer, self._api_key):
            raise ApiError(401)
        body = request.json()
        _check(target, body)
        if target.operation == _IMAGES:
            answer = images.openais(body)
        else:
            answer = openai_format.answer_of(self._model, request, target)
        headers = {**answer.headers, "openai-version": "2020-10-01", **request_id()}
        return Answer(answer.status, headers, answer.chunks, answer.usage)

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:
        """Return OpenAI's error document; a 429 says when to try again."""
        kind, code, message = _ERRORS.get(
            error.status, ("invalid_request_error", None, HTTPStatus(error.status).phrase)
        )
        found: Json = {
            "message": error.message or message,
            "type": kind,
            "param": None,
            "code": None if error.code == "none" else error.code or code,
        }
        headers = request_id()
        if error.status == 429:
            headers |= {"retry-after": str(retry_after_seconds), "retry-after-ms": str(retry_after_seconds * 1000)}
        return Answer.of_json({"error": found}, status=error.status, headers=headers)


def _check(target: Target, body: Json) -> None:
    """Refuse a model that there is not or that is for another operation, and what the operation does not take."""
    if not target.model:
        raise ApiError(400, message="you must provide a model parameter")
    for field in sorted(body.keys() - _FIELDS[target.operation]):
        code = "unknown_parameter"
        raise ApiError(400, code=code, message=f"Unknown parameter: '{field}'.")
    for field in _NEEDED[target.operation]:
        if field not in body:
            code = "missing_required_parameter"
            raise ApiError(400, code=code, message=f"Missing required parameter: '{field}'.")
    mode = mode_of("openai", target.model)
    if mode is None:
        message = f"The model `{target.model}` does not exist or you do not have access to it."
        raise ApiError(404, code="model_not_found", message=message)
    if target.operation == "chat/completions" and mode == "responses":
        message = "This model is only supported in v1/responses and not in v1/chat/completions."
        raise ApiError(404, message=message)
    if (target.operation in _FOR.values() or mode in _FOR) and _FOR.get(mode) != target.operation:
        raise ApiError(403, message=f"You are not allowed to use {target.model} here.")
    if target.operation == "chat/completions" and "max_tokens" in body and _THINKS.match(target.model):
        message = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
        raise ApiError(400, code="unsupported_parameter", message=message)


def request_id() -> dict[str, str]:
    """Return the header with a number of a request."""
    return {"x-request-id": f"req_{uuid.uuid4().hex}"}
