"""Anthropic's own API: messages, and the count of a request's tokens.

Formats: Anthropic's API reference, "Create a Message", "Count tokens in a Message" and "Errors". Which models there
are is LiteLLM's list (`price_list`).
"""

from __future__ import annotations

import uuid
from http import HTTPStatus

from local.outside.anthropic_format import messages_answer, messages_prompt, messages_stream
from local.outside.completion import Model, count_tokens
from local.outside.exchange import Answer, ApiError, Request, Target, same
from local.outside.own_api import OwnApi
from local.outside.price_list import mode_of
from local.outside.records import Json

HOST = "api.anthropic.com"
VERSION = "anthropic-version"
_COUNT = "messages/count_tokens"
_PATHS = {"/v1/messages": "messages", "/v1/messages/count_tokens": _COUNT}
# What a request may have: `MessageCreateParamsBase` and `MessageCountTokensParams` of Anthropic's SDK 2.14.0, where the
# beta's parameters are apart. Anything else is refused.
_COUNTED = frozenset(
    {"cache_control", "messages", "model", "output_config", "system", "thinking", "tool_choice", "tools"}
)
_FIELDS = _COUNTED | {
    *("container", "diagnostics", "inference_geo", "max_tokens", "metadata", "service_tier", "speed", "stop_sequences"),
    *("stream", "temperature", "top_k", "top_p", "user_profile_id", "workspace_id"),
}
_OF_BETA = frozenset({"compaction", "context_management", "fallbacks", "mcp_servers", "output_format"})
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_MESSAGES = {
    429: "This request would exceed your organization's rate limit.",
    500: "Internal server error",
    529: "Overloaded",
}


class Anthropic(OwnApi):
    """Answers for api.anthropic.com, with the one API key."""

    name = "anthropic"
    hosts = (HOST,)

    def target(self, request: Request) -> Target:
        """Return the operation and the model."""
        return messages_target(request, "")

    def answer(self, request: Request, target: Target) -> Answer:
        """Answer one call with the key in x-api-key or, as Anthropic's SDK 2.14.0 sends it, as bearer token."""
        given = request.headers.get("x-api-key") or request.bearer
        if not given:
            raise ApiError(401, message="x-api-key header is required")
        if not same(given, self._api_key):
            raise ApiError(401, message="invalid x-api-key")
        check_messages(request, target)
        if mode_of(self.name, target.model) is None:
            raise ApiError(404, message=f"model: {target.model}")
        return answer_messages(self._model, request, target)

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:
        """Return Anthropic's error document; a 429 says when to try again."""
        return messages_error(error, retry_after_seconds)


def messages_target(request: Request, before: str) -> Target:
    """Return the operation and the model of a request in Anthropic's format, whose path has something before it."""
    operation = _PATHS.get(request.path.removeprefix(before)) if request.path.startswith(before) else None
    if request.method != "POST" or operation is None:
        raise ApiError(404, message="Not found")
    body = request.json()
    return Target(operation, str(body.get("model", "")), streamed=bool(body.get("stream")))


def check_messages(request: Request, target: Target) -> None:
    """Refuse a request without its version, without what it must have, or with what the API does not know."""
    if VERSION not in request.headers:
        raise ApiError(400, message=f"{VERSION}: header is required")
    body = request.json()
    counts = target.operation == _COUNT
    for field in ("model", "messages") if counts else ("model", "messages", "max_tokens"):
        if field not in body:
            raise ApiError(400, message=f"{field}: Field required")
    of_beta = _OF_BETA if "anthropic-beta" in request.headers else frozenset[str]()
    for field in sorted(body.keys() - (_COUNTED if counts else _FIELDS) - of_beta):
        raise ApiError(400, message=f"{field}: Extra inputs are not permitted")
    if not body["messages"]:
        raise ApiError(400, message="messages: at least one message is required")


def answer_messages(model: Model, request: Request, target: Target) -> Answer:
    """Answer a request that was checked, with the number by which Anthropic knows it."""
    prompt = messages_prompt(target.model, request.json())
    if target.operation == _COUNT:
        return Answer.of_json({"input_tokens": count_tokens(prompt.text)}, headers=request_id())
    completion, usage = model.answer(request.host, prompt)
    answer = (messages_stream if target.streamed else messages_answer)(prompt, completion, usage)
    return Answer(answer.status, {**answer.headers, **request_id()}, answer.chunks, answer.usage)


def messages_error(error: ApiError, retry_after_seconds: int) -> Answer:
    """Return an error as Anthropic has it."""
    message = error.message or _MESSAGES.get(error.status) or HTTPStatus(error.status).phrase
    headers = request_id()
    kind = {"type": _KINDS.get(error.status, "api_error"), "message": message}
    document: Json = {"type": "error", "error": kind, "request_id": headers["request-id"]}
    if error.status == 429:
        headers["retry-after"] = str(retry_after_seconds)
    return Answer.of_json(document, status=error.status, headers=headers)


def request_id() -> dict[str, str]:
    """Return the header with a number of a request."""
    return {"request-id": f"req_{uuid.uuid4().hex}"}
