"""Servers of models that a company runs itself or rents: what speaks OpenAI's format, as vLLM does, and Ollama.

Where they are, and which models each has, is what config.yaml says of them. Formats: vLLM's "OpenAI-Compatible Server"
(its errors are `ErrorResponse` of vllm/entrypoints/openai/protocol.py), and Ollama's docs/api.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus

from local.outside import openai_format
from local.outside.completion import Completion, Model, Prompt, count_tokens, embedding
from local.outside.exchange import Answer, ApiError, Request, Target, same
from local.outside.records import Json, Usage

OLLAMA = ("ollama", "ollama_chat")
"""LiteLLM's prefixes for Ollama, which has a format of its own."""

_PATH = re.compile(r"(?:/[\w.-]+)*/(?P<operation>chat/completions|responses|embeddings)")
_OPERATIONS = {f"/api/{operation}": operation for operation in ("chat", "generate", "embed", "show")}
_DIMENSIONS = 1024
_DURATIONS = dict.fromkeys(("total_duration", "load_duration", "prompt_eval_duration", "eval_duration"), 1_000_000)
_CREATED = "2026-01-01T00:00:00.000000Z"


@dataclass(frozen=True)
class Server:
    """A server: its host and port, whether it speaks HTTP without TLS, LiteLLM's prefix for it, and its models.

    `keyed` is whether it asks for a key.
    """

    host: str
    port: int
    plain: bool
    provider: str
    models: frozenset[str]
    keyed: bool


class _AtServer:
    """Answers for one server, with the one key if it asks for one."""

    def __init__(self, server: Server, api_key: str) -> None:
        self.name = server.provider
        self._server, self._api_key = server, api_key
        self._model = Model()

    def serves(self, host: str) -> bool:
        """Return whether the host is the server's."""
        return host == self._server.host


class CompatibleServer(_AtServer):
    """Answers for one server that speaks OpenAI's format; of what it does not know in a request it takes no notice."""

    def target(self, request: Request) -> Target:
        """Return the operation and the model."""
        match = _PATH.fullmatch(request.path)
        if request.method != "POST" or not match:
            raise ApiError(404)
        body = request.json()
        return Target(match["operation"], str(body.get("model") or ""), streamed=bool(body.get("stream")))

    def answer(self, request: Request, target: Target) -> Answer:
        """Answer one call, with the key as bearer token if the server asks for one; it tells nothing of a cache."""
        if self._server.keyed and not same(request.bearer, self._api_key):
            raise ApiError(401)
        if target.model not in self._server.models:
            raise ApiError(404, message=f"The model `{target.model}` does not exist.")
        needed = "messages" if target.operation == "chat/completions" else "input"
        if needed not in request.json():
            raise ApiError(
                400, message=f"[{{'type': 'missing', 'loc': ('body', '{needed}'), 'msg': 'Field required'}}]"
            )
        return openai_format.answer_of(self._model, request, target, caches=False)

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:  # it sends no Retry-After
        """Return vLLM's error document."""
        if error.status == 401:
            return Answer.of_json({"error": "Unauthorized"}, status=401)
        phrase = HTTPStatus(error.status).phrase
        kind = "NotFoundError" if error.status == 404 else f"{phrase.title().replace(' ', '')}Error"
        found = {"message": error.message or phrase, "type": kind, "param": None, "code": error.status}
        return Answer.of_json({"error": found}, status=error.status)


class OllamaServer(_AtServer):
    """Answers for one Ollama, which has no keys of its own: one is asked for by what stands before it."""

    def target(self, request: Request) -> Target:
        """Return the operation and the model; what is asked for a text is streamed unless the request says no."""
        operation = _OPERATIONS.get(request.path)
        if request.method != "POST" or operation is None:
            raise ApiError(404, message="404 page not found")
        body = request.json()
        streamed = operation in ("chat", "generate") and body.get("stream") is not False
        # What tells of a model, and asks it nothing, is no call of it.
        model = "" if operation == "show" else str(body.get("model") or "")
        return Target(operation, model, streamed=streamed)

    def answer(self, request: Request, target: Target) -> Answer:
        """Answer one call of a model that is there."""
        if self._server.keyed and not same(request.bearer, self._api_key):
            raise ApiError(401, message="unauthorized")
        body = request.json()
        name = str(body.get("model") or body.get("name") or "")
        if name not in self._server.models:
            raise ApiError(404, message=f"model '{name}' not found")
        if target.operation == "show":
            return Answer.of_json({"template": "{{ .Tools }}", "model_info": {"llama.context_length": 131072}})
        if target.operation == "embed":
            return _embed(name, body)
        given = body if target.operation == "chat" else {"messages": [{"role": "user", "content": body["prompt"]}]}
        schema = body.get("format")
        prompt = replace(
            openai_format.chat_prompt(name, {"messages": given["messages"], "tools": given.get("tools")}),
            max_tokens=(body.get("options") or {}).get("num_predict"),
            prefixes=(),
            schema=schema if isinstance(schema, dict) else None,
        )
        completion, usage = self._model.answer(request.host, prompt)
        lines = _lines(target.operation, prompt, completion, usage)
        if target.streamed:
            chunks = [f"{json.dumps(line)}\n".encode() for line in lines]
            return Answer(200, {"content-type": "application/x-ndjson"}, chunks, usage)
        return Answer.of_json(_whole(target.operation, lines, completion), usage=usage)

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:  # it sends no Retry-After
        """Return Ollama's error document."""
        return Answer.of_json({"error": error.message or HTTPStatus(error.status).phrase}, status=error.status)


def _lines(operation: str, prompt: Prompt, completion: Completion, usage: Usage) -> Iterator[Json]:
    """Yield the pieces of an answer; the last one has no text, and the counts."""
    head = {"model": prompt.model, "created_at": _CREATED}
    if call := completion.tool_call:
        calls = [{"function": {"name": call.name, "arguments": call.arguments}}]
        yield {**head, **_part(operation, "", tool_calls=calls), "done": False}
    else:
        yield from ({**head, **_part(operation, piece), "done": False} for piece in completion.chunks())
    counts = {"prompt_eval_count": usage.input_tokens, "eval_count": usage.output_tokens}
    reason = "length" if completion.finish == "length" else "stop"
    yield {**head, **_part(operation, ""), "done": True, "done_reason": reason, **_DURATIONS, **counts}


def _part(operation: str, text: str, **more: object) -> Json:
    return {"message": {"role": "assistant", "content": text, **more}} if operation == "chat" else {"response": text}


def _whole(operation: str, lines: Iterable[Json], completion: Completion) -> Json:
    """Return the last piece with the whole answer in it."""
    *pieces, last = lines
    if operation == "chat" and completion.tool_call:
        return {**last, "message": pieces[0]["message"]}
    return {**last, **_part(operation, completion.text)}


def _embed(model: str, body: Json) -> Answer:
    given = body["input"]
    texts = given if isinstance(given, list) else [given]
    usage = Usage(sum(count_tokens(text) for text in texts))
    vectors = [embedding(text, _DIMENSIONS) for text in texts]
    answer = {"model": model, "embeddings": vectors, "prompt_eval_count": usage.input_tokens}
    return Answer.of_json(answer, usage=usage)
