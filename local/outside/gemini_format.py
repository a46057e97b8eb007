"""Gemini's own format, which it speaks at Vertex AI and at the Gemini API: content, streams, embeddings.

Formats: the REST references of Vertex AI and of the Gemini API, which take field names in camelCase and in snake_case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from local.outside.completion import (
    JSON_MODE,
    Completion,
    Model,
    Prompt,
    Tool,
    count_tokens,
    embedding,
    join_texts,
    own_text,
    result_text,
)
from local.outside.exchange import Answer, ApiError, Request, Target
from local.outside.prompt_cache import implicit_prefix
from local.outside.records import Json, Usage
from local.outside.told import Event, Turn

ERRORS = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: (
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid"
        " authentication credential.",
    ),
    403: ("PERMISSION_DENIED", "Permission denied on resource project."),
    404: ("NOT_FOUND", "The requested entity was not found."),
    429: ("RESOURCE_EXHAUSTED", "Resource exhausted. Please try again later."),
    499: ("CANCELLED", "The operation was cancelled."),
    500: ("INTERNAL", "Internal error encountered."),
    503: ("UNAVAILABLE", "The service is currently unavailable."),
    504: ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
}
"""What Google says with a status: its name, and a sentence."""


def error_answer(error: ApiError, details: list[Json] | None = None) -> Answer:
    """Return Google's error document; it never says when to try again."""
    status, message = ERRORS.get(error.status, ("UNKNOWN", HTTPStatus(error.status).phrase))
    document: Json = {"code": error.status, "message": error.message or message, "status": error.code or status}
    if details:
        document["details"] = details
    return Answer.of_json({"error": document}, status=error.status)


def content_answer(model: Model, request: Request, target: Target, *, traffic: bool) -> Answer:
    """Answer generateContent, streamed or not; `traffic` is whether the usage tells its kind, as Vertex AI's does."""
    prompt = gemini_prompt(target.model, request.json())
    completion, usage = model.answer(request.host, prompt)
    if target.streamed:
        return _stream(prompt, completion, usage, sse=request.query.get("alt") == "sse", traffic=traffic)
    parts = [*_thought_parts(completion), _answer_part(completion)]
    return Answer.of_json(_content(prompt, completion, usage, parts, traffic=traffic), usage=usage)


def gemini_prompt(model: str, body: Json) -> Prompt:
    """Read a generateContent request; Google takes field names in camelCase and in snake_case."""
    contents = body["contents"]
    text = join_texts([field(body, "systemInstruction") or [], *contents])
    tools = [tool for group in body.get("tools") or [] for tool in field(group, "functionDeclarations") or []]
    calling = field(field(body, "toolConfig") or {}, "functionCallingConfig") or {}
    generation = field(body, "generationConfig") or {}
    thinking = field(generation, "thinkingConfig")
    return Prompt(
        model=model,
        text=text,
        turn=Turn.of(_steps(contents)),
        tools=tuple(_tool(tool) for tool in tools if calling.get("mode") != "NONE"),
        forced_tool=_forced(calling, tools),
        max_tokens=field(generation, "maxOutputTokens"),
        prefixes=implicit_prefix(text),
        images=sum(_is_image(part) for content in contents for part in content["parts"]),
        thinks=thinking is not None and field(thinking, "thinkingBudget") != 0,
        schema=_schema(generation),
    )


def _steps(contents: list[Json]) -> Iterator[Event]:
    for content in contents:
        parts = content["parts"]
        if content.get("role", "user") == "model":
            yield "called" if any(field(part, "functionCall") for part in parts) else "answered", ""
            continue
        for part in parts:
            if given := field(part, "functionResponse"):
                yield "result", result_text(given["response"])
        yield "asked", own_text(parts)


def _tool(declared: Json) -> Tool:
    """Return a declared function, refused as Google does: "Function calling", FunctionDeclaration."""
    name, schema = declared["name"], declared.get("parameters") or field(declared, "parametersJsonSchema") or {}
    if not re.fullmatch(r"[a-zA-Z_][\w.:-]{0,63}", name):
        message = (
            "Invalid function name. Must start with a letter or an underscore. Must be alphameric (a-z, A-Z, 0-9),"
            " underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 64."
        )
        raise ApiError(400, message=message)
    if schema and not {"type", "anyOf", "any_of", "$ref"} & schema.keys():
        message = f"Unable to submit request because `{name}` functionDeclaration `parameters` schema didn't specify"
        raise ApiError(400, message=f"{message} the schema type field.")
    return Tool(name, schema)


def _forced(calling: Json, tools: list[Json]) -> str:
    """Return the function that has to be called, "*" for any; as Google does, refuse one that is not declared."""
    if calling and not tools:
        raise ApiError(400, message="Function calling config is set without function_declarations.")
    allowed = field(calling, "allowedFunctionNames") or ["*"]
    if not {"*", *(tool["name"] for tool in tools)} >= set(allowed):
        message = "allowed_function_names should be a subset of the provided function_declarations"
        raise ApiError(400, message=message)
    return str(allowed[0]) if calling.get("mode") == "ANY" else ""


def _schema(generation: Json) -> Json | None:
    """Return the schema that the answer has to fit: REST reference, `GenerationConfig`."""
    as_json = field(generation, "responseMimeType") == "application/json"
    schemas = [found for name in ("responseSchema", "responseJsonSchema") if (found := field(generation, name))]
    if len(schemas) > 1:
        raise ApiError(400, message="response_schema must be omitted when response_json_schema is set.")
    if schemas and not as_json:
        message = "response_mime_type must be set to `application/json` when a response schema is set."
        raise ApiError(400, message=message)
    return schemas[0] if schemas else JSON_MODE if as_json else None


def _is_image(part: Json) -> bool:
    media = field(part, "inlineData") or field(part, "fileData") or {}
    return str(field(media, "mimeType")).startswith("image/")


def field(body: Json, name: str) -> Any:  # noqa: ANN401  # any JSON value
    """Return a field by its name in camelCase, however it is written; None if it is not there."""
    return body.get(name, body.get(re.sub(r"([A-Z])", lambda match: f"_{match[1].lower()}", name)))


def _answer_part(completion: Completion) -> Json:
    if call := completion.tool_call:
        return {"functionCall": {"name": call.name, "args": call.arguments}}
    return {"text": completion.text}


def _thought_parts(completion: Completion) -> list[Json]:
    return [{"text": completion.thoughts, "thought": True}] if completion.thoughts else []


def _content(prompt: Prompt, completion: Completion, usage: Usage | None, parts: list[Json], *, traffic: bool) -> Json:
    """Return a GenerateContentResponse: the whole, or one chunk of a stream, of which only the last has `usage`."""
    candidate: Json = {"index": 0, "content": {"role": "model", "parts": parts}}
    answer: Json = {
        "candidates": [candidate],
        "modelVersion": prompt.model,
        "createTime": "2026-01-01T00:00:00.000000Z",
        "responseId": completion.id,
    }
    if usage:
        candidate["finishReason"] = "MAX_TOKENS" if completion.finish == "length" else "STOP"
        answer["usageMetadata"] = {**_usage_metadata(usage), **({"trafficType": "ON_DEMAND"} if traffic else {})}
    return answer


def _stream(prompt: Prompt, completion: Completion, usage: Usage, *, sse: bool, traffic: bool) -> Answer:
    # Gemini sends a function call whole, never in pieces.
    answer = [_answer_part(completion)] if completion.tool_call else [{"text": piece} for piece in completion.chunks()]
    parts = [*_thought_parts(completion), *answer]
    chunks = [
        json.dumps(_content(prompt, completion, usage if number == len(parts) else None, [part], traffic=traffic))
        for number, part in enumerate(parts, start=1)
    ]
    if sse:
        return Answer(
            200, {"content-type": "text/event-stream"}, [f"data: {c}\r\n\r\n".encode() for c in chunks], usage
        )
    body = [f"{'[' if index == 0 else ','}{chunk}\n".encode() for index, chunk in enumerate(chunks)]
    return Answer(200, {"content-type": "application/json"}, [*body, b"]"], usage)


def _usage_metadata(usage: Usage) -> Json:
    """Return the counts as Gemini gives them: `candidatesTokenCount` without the thoughts."""

    def details(text_tokens: int, image_tokens: int = 0) -> list[Json]:
        counts = (("TEXT", text_tokens), ("IMAGE", image_tokens))
        return [{"modality": modality, "tokenCount": tokens} for modality, tokens in counts if tokens]

    answer = usage.output_tokens - usage.reasoning_tokens
    metadata: Json = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": answer,
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
        "promptTokensDetails": details(usage.input_tokens - usage.image_tokens, usage.image_tokens),
        "candidatesTokensDetails": details(answer),
    }
    if usage.reasoning_tokens:
        metadata["thoughtsTokenCount"] = usage.reasoning_tokens
    if usage.cached_tokens:
        metadata["cachedContentTokenCount"] = usage.cached_tokens
        metadata["cacheTokensDetails"] = details(usage.cached_tokens)
    return metadata


def embed_content_answer(body: Json) -> Answer:
    """Answer embedContent."""
    text = join_texts([body["content"]])
    usage = Usage(count_tokens(text))
    answer = {
        "embedding": {"values": embedding(text, field(body, "outputDimensionality") or 3072)},
        "usageMetadata": {"promptTokenCount": usage.input_tokens, "totalTokenCount": usage.input_tokens},
    }
    return Answer.of_json(answer, usage=usage)
