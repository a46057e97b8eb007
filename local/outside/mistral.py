"""Mistral's API: chat completions and embeddings, in OpenAI's format but for a few words of its own.

Formats: Mistral's API reference, "Error glossary" and "Prompt caching". Which models there are is LiteLLM's list
(`price_list`).
"""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from http import HTTPStatus

from local.outside import openai_format
from local.outside.exchange import Answer, ApiError, Request, Target, same
from local.outside.own_api import OwnApi, names
from local.outside.price_list import mode_of
from local.outside.records import Json

HOST = "api.mistral.ai"
_OPERATIONS = {f"/v1/{operation}": operation for operation in ("chat/completions", "embeddings")}


# What a request may have, by operation: API reference, "Chat completion" and "Embeddings". Anything else is refused.
_FIELDS = {
    "chat/completions": names(
        "frequency_penalty guardrails max_tokens messages metadata model n parallel_tool_calls prediction"
        " presence_penalty prompt_cache_key prompt_mode random_seed reasoning_effort response_format safe_prompt"
        " service_tier stop stream temperature tool_choice tools top_p"
    ),
    "embeddings": frozenset(("encoding_format", "input", "metadata", "model", "output_dimension", "output_dtype")),
}
_DIMENSIONS = {"mistral-embed": 1024}
_ERRORS = {
    400: ("invalid_request_error", None, "Bad request"),
    429: ("rate_limited", "1300", "Rate limit exceeded"),
    500: ("server_error", "1000", "Internal server error"),
    503: ("server_error", None, "Service unavailable"),
}


class Mistral(OwnApi):
    """Answers for api.mistral.ai, with the one API key."""

    name = "mistral"
    hosts = (HOST,)

    def target(self, request: Request) -> Target:
        """Return the operation and the model."""
        operation = _OPERATIONS.get(request.path)
        if request.method != "POST" or operation is None:
            raise ApiError(404)
        body = request.json()
        return Target(operation, str(body.get("model") or ""), streamed=bool(body.get("stream")))

    def answer(self, request: Request, target: Target) -> Answer:
        """Answer one call with the key as bearer token."""
        if not same(request.bearer, self._api_key):
            raise ApiError(401)
        body = request.json()
        _check(target, body)
        answer = (
            self._embeddings(target, body) if target.operation == "embeddings" else self._chat(request, target, body)
        )
        return Answer(answer.status, {**answer.headers, **_correlation()}, answer.chunks, answer.usage)

    def _embeddings(self, target: Target, body: Json) -> Answer:
        dimensions = body.get("output_dimension") or _DIMENSIONS.get(target.model, 1536)
        return openai_format.embeddings_answer(target.model, body, dimensions)

    def _chat(self, request: Request, target: Target, body: Json) -> Answer:
        # "any" is Mistral's word for OpenAI's "required".
        given = body | ({"tool_choice": "required"} if body.get("tool_choice") == "any" else {})
        prompt = openai_format.chat_prompt(target.model, given)
        if "prompt_cache_key" not in body:  # without which nothing is cached
            prompt = replace(prompt, prefixes=())
        completion, usage = self._model.answer(request.host, prompt)
        counted = {**given, "stream_options": {"include_usage": True}}
        answer = openai_format.chat_answer(prompt, completion, usage, counted, azure=False)
        return _usage_at_the_end(answer) if target.streamed else answer

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:  # it sends no Retry-After
        """Return Mistral's error document; what its gateway refuses has another one."""
        if error.status in (401, 404):
            document: Json = {"detail": "Unauthorized" if error.status == 401 else "Not Found"}
        else:
            kind, code, message = _ERRORS.get(
                error.status, ("invalid_request_error", None, HTTPStatus(error.status).phrase)
            )
            own = {"type": "invalid_model", "code": "1500"} if error.code == "invalid_model" else {}
            told = {"object": "error", "message": error.message or message, "type": kind, "param": None, "code": code}
            document = {**told, **own}
        return Answer.of_json(document, status=error.status, headers=_correlation())


def _check(target: Target, body: Json) -> None:
    """Refuse what a request lacks or what the API does not take, with 422, and a model that there is not."""
    needed = ("model", "input") if target.operation == "embeddings" else ("model", "messages")
    if missing := [name for name in needed if name not in body]:
        raise ApiError(422, message=f"Field required: {', '.join(missing)}")
    if extra := sorted(body.keys() - _FIELDS[target.operation]):
        raise ApiError(422, message=f"Extra inputs are not permitted: {', '.join(extra)}")
    mode = mode_of("mistral", target.model)
    if mode is None or (target.operation == "embeddings") != (mode == "embedding"):
        raise ApiError(400, code="invalid_model", message=f"Invalid model: {target.model}")


def _usage_at_the_end(answer: Answer) -> Answer:
    """Return a stream whose last piece of the answer has the usage, which OpenAI sends by itself."""
    *chunks, last, usage, done = answer.chunks
    finished, counts = (json.loads(chunk.removeprefix(b"data: ")) for chunk in (last, usage))
    whole = f"data: {json.dumps({**finished, 'usage': counts['usage']})}\n\n".encode()
    return Answer(answer.status, answer.headers, [*chunks, whole, done], answer.usage)


def _correlation() -> dict[str, str]:
    """Return the header with a number of a request."""
    return {"mistral-correlation-id": str(uuid.uuid4())}
