"""OpenAI's own formats, which others speak too (Azure, Bedrock, Mistral, vLLM): chat, responses, embeddings.

Field names and events: OpenAI's API reference; the content filters and the first chunk with no choices: Azure OpenAI's.
"""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import replace

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
from local.outside.json_schema import openai_problem
from local.outside.prompt_cache import implicit_prefix
from local.outside.records import Json, Usage
from local.outside.told import Event, Turn

CREATED = 1_760_000_000
"""The time of every answer, so that the same request has the same answer."""
# The first whose prompt cache charges for writes.
_CACHE_WRITES_SINCE = (5, 6)
_SSE = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
_FILTERED = {kind: {"filtered": False, "severity": "safe"} for kind in ("hate", "self_harm", "sexual", "violence")}


def answer_of(model: Model, request: Request, target: Target, *, azure: bool = False, caches: bool = True) -> Answer:
    """Answer a request for one of the three; `target.operation` says which.

    `azure` is whether contents are filtered as Azure does, `caches` whether a prompt's beginning is cached.
    """
    body = request.json()
    if target.operation == "embeddings":
        return embeddings_answer(target.model, body, 3072 if "3-large" in target.model else 1536)
    if target.operation == "responses":
        prompt = responses_prompt(body) if caches else replace(responses_prompt(body), prefixes=())
        completion, usage = model.answer(request.host, prompt)
        return responses_answer(prompt, completion, usage, body)
    prompt = chat_prompt(target.model, body) if caches else replace(chat_prompt(target.model, body), prefixes=())
    completion, usage = model.answer(request.host, prompt)
    return chat_answer(prompt, completion, usage, body, azure=azure)


def chat_prompt(model: str, body: Json) -> Prompt:
    """Read a chat completion's request."""
    messages = body["messages"]
    text = join_texts(messages)
    choice = body.get("tool_choice")
    functions = [tool["function"] for tool in body.get("tools") or [] if tool.get("type") == "function"]
    prompt = Prompt(
        model=model,
        text=text,
        turn=Turn.of(_chat_events(messages)),
        tools=tuple(_tool(function) for function in functions if choice != "none"),
        forced_tool=choice["function"]["name"] if isinstance(choice, dict) else "*" if choice == "required" else "",
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        prefixes=implicit_prefix(text, "30m" if _charges_cache_writes(model) else "free"),
        images=_count_parts(messages, "image_url"),
        thinks=_thinks(body.get("reasoning_effort")),
        schema=_chat_schema(body.get("response_format"), messages),
    )
    _check_choice(prompt, choice, tools=bool(body.get("tools")))
    return prompt


def _chat_events(messages: list[Json]) -> Iterator[Event]:
    for message in messages:
        if message["role"] == "user":
            yield "asked", own_text(message.get("content"))
        elif message["role"] == "tool":
            yield "result", result_text(message.get("content"))
        elif message["role"] == "assistant":
            yield "called" if message.get("tool_calls") else "answered", ""


def _check_choice(prompt: Prompt, choice: object, *, tools: bool) -> None:
    """Refuse a choice without tools, and one of a tool that there is not, as OpenAI's API does."""
    if choice is not None and not tools:
        message = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
        raise ApiError(400, code="invalid_request_error", message=message)
    if not prompt.knows_forced_tool():
        message = f"Tool choice '{prompt.forced_tool}' not found in 'tools' parameter."
        raise ApiError(400, code="invalid_request_error", message=message)


def _chat_schema(wanted: Json | None, messages: list[Json]) -> Json | None:
    """Return the schema that a `response_format` asks for, if it does."""
    silent = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
    definition = (wanted or {}).get("json_schema") or {}
    return _asked_for(wanted, definition, "response_format.json_schema", messages, silent)


def _asked_for(wanted: Json | None, definition: Json, place: str, messages: list[Json], silent: str) -> Json | None:
    """Return the schema that a format asks for, if it does, and refuse it as OpenAI does.

    `silent` is what is said where JSON is asked for and no message has the word.
    """
    if wanted is None or wanted["type"] == "text":
        return None
    if wanted["type"] == "json_object":
        if "json" not in join_texts(messages).lower():
            raise ApiError(400, code="invalid_request_error", message=silent)
        return JSON_MODE
    if wanted["type"] != "json_schema":
        message = f"Invalid value: '{wanted['type']}'. Supported values are: 'json_object', 'json_schema', and 'text'."
        raise ApiError(400, code="invalid_value", message=message)
    return _schema(definition, place)


def _schema(wanted: Json, place: str) -> Json:
    """Return the schema of a named format, checked as OpenAI checks it: all of it only if it is `strict`."""
    for name in ("name", "schema"):
        if name not in wanted:
            message = f"Missing required parameter: '{place}.{name}'."
            raise ApiError(400, code="missing_required_parameter", message=message)
    if not re.fullmatch(r"[a-zA-Z0-9_-]+", wanted["name"]):
        message = (
            f"Invalid '{place}.name': string does not match pattern."
            " Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
        )
        raise ApiError(400, code="invalid_value", message=message)
    schema: Json = wanted["schema"]
    if problem := openai_problem(schema, strict=bool(wanted.get("strict"))):
        message = f"Invalid schema for response_format '{wanted['name']}': {problem}"
        raise ApiError(400, code="invalid_json_schema", message=message)
    return schema


def _count_parts(messages: list[Json], kind: str) -> int:
    contents = (message.get("content") for message in messages)
    return sum(part.get("type") == kind for parts in contents if isinstance(parts, list) for part in parts)


def _thinks(effort: str | None) -> bool:
    return effort not in (None, "none", "minimal")


def _charges_cache_writes(model: str) -> bool:
    match = re.search(r"gpt-(\d)(?:\.(\d+))?\b", model)
    return match is not None and (int(match[1]), int(match[2] or 0)) >= _CACHE_WRITES_SINCE


def chat_answer(prompt: Prompt, completion: Completion, usage: Usage, body: Json, *, azure: bool) -> Answer:
    """Answer a chat completion, plain or streamed as the request wants it."""
    if body.get("stream"):
        include_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        events = _chat_chunks(prompt, completion, usage if include_usage else None, azure=azure)
        return Answer(200, _SSE, [*(_sse(event) for event in events), b"data: [DONE]\n\n"], usage)
    return Answer.of_json(_chat_object(prompt, completion, usage, azure=azure), usage=usage)


def chat_parts(prompt: Prompt, completion: Completion, usage: Usage, *, streamed: bool) -> list[Json]:
    """Return the answer as JSON or, streamed, each of its chunks, the last with the usage."""
    if streamed:
        return list(_chat_chunks(prompt, completion, usage, azure=False))
    return [_chat_object(prompt, completion, usage, azure=False)]


def _chat_object(prompt: Prompt, completion: Completion, usage: Usage, *, azure: bool) -> Json:
    message: Json = {"role": "assistant", "content": completion.text or None, "refusal": None, "annotations": []}
    if completion.tool_call:
        function = {"name": completion.tool_call.name, "arguments": completion.tool_call.arguments_json()}
        message["tool_calls"] = [{"id": f"call_{completion.id}", "type": "function", "function": function}]
    choice: Json = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(completion)}
    answer = {
        **_chat_head(prompt, completion, "chat.completion"),
        "choices": [choice],
        "usage": _chat_usage(prompt, usage),
    }
    if azure:
        choice["content_filter_results"] = _FILTERED
        answer["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": _FILTERED}]
    return answer


def _chat_chunks(prompt: Prompt, completion: Completion, usage: Usage | None, *, azure: bool) -> Iterator[Json]:
    head = _chat_head(prompt, completion, "chat.completion.chunk")
    if azure:
        filters = [{"prompt_index": 0, "content_filter_results": _FILTERED}]
        yield {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": filters}

    def chunk(delta: Json, finish: str | None = None) -> Json:
        return {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}

    yield chunk({"role": "assistant", "content": None if completion.tool_call else "", "refusal": None})
    if call := completion.tool_call:
        function = {"name": call.name, "arguments": ""}
        first = {"index": 0, "id": f"call_{completion.id}", "type": "function", "function": function}
        yield chunk({"tool_calls": [first]})
    for piece in completion.chunks():
        if completion.tool_call:
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        else:
            yield chunk({"content": piece})
    yield chunk({}, _finish(completion))
    if usage:
        yield {**head, "choices": [], "usage": _chat_usage(prompt, usage)}


def _chat_head(prompt: Prompt, completion: Completion, kind: str) -> Json:
    return {
        "id": f"chatcmpl-{completion.id}",
        "object": kind,
        "created": CREATED,
        "model": prompt.model,
        "system_fingerprint": None,
    }


def _chat_usage(prompt: Prompt, usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {**_cache_usage(prompt, usage), "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens, "audio_tokens": 0},
    }


def _cache_usage(prompt: Prompt, usage: Usage) -> Json:
    written = {"cache_write_tokens": usage.cache_write_tokens} if _charges_cache_writes(prompt.model) else {}
    return {"cached_tokens": usage.cached_tokens, **written}


def _finish(completion: Completion) -> str:
    return "tool_calls" if completion.finish == "tool" else completion.finish


def responses_prompt(body: Json) -> Prompt:
    """Read a request of the Responses API."""
    items = body["input"] if isinstance(body["input"], list) else [{"role": "user", "content": body["input"]}]
    text = join_texts([body.get("instructions") or [], *items])
    choice = body.get("tool_choice")
    offered = [tool for tool in _offered(body.get("tools") or [], items) if tool.get("type") in ("function", "custom")]
    prompt = Prompt(
        model=body["model"],
        text=text,
        turn=Turn.of(_response_steps(items)),
        tools=tuple(_tool(tool, custom=tool["type"] == "custom") for tool in offered if choice != "none"),
        forced_tool=choice.get("name", "*") if isinstance(choice, dict) else "*" if choice == "required" else "",
        max_tokens=body.get("max_output_tokens"),
        prefixes=implicit_prefix(text, "30m" if _charges_cache_writes(body["model"]) else "free"),
        images=_count_parts(items, "input_image"),
        thinks=_thinks((body.get("reasoning") or {}).get("effort")),
        schema=_responses_schema((body.get("text") or {}).get("format"), items),
    )
    if not prompt.knows_forced_tool():
        _check_choice(prompt, choice, tools=True)
    return prompt


def _offered(tools: list[Json], items: list[Json]) -> Iterator[Json]:
    """Yield the tools of a request, and those that an item of it brings, one by one where they come by namespace.

    Codex 0.171.0 has none but these: {"type": "additional_tools", "tools": [{"type": "namespace", "tools": […]}]}
    (`AdditionalTools` and `NamespaceToolParam` in the types of OpenAI's SDK).
    """
    brought = [tool for item in items if item.get("type") == "additional_tools" for tool in item["tools"]]
    for tool in [*tools, *brought]:
        yield from tool["tools"] if tool.get("type") == "namespace" else [tool]


def _response_steps(items: list[Json]) -> Iterator[Event]:
    for item in items:
        kind = item.get("type", "message")
        if kind == "message" and item["role"] == "user":
            yield "asked", own_text(item.get("content"))
        elif kind == "message" and item["role"] == "assistant":
            yield "answered", ""
        elif kind.endswith("_call_output"):
            yield "result", result_text(item.get("output"))
        elif kind.endswith("_call"):
            yield "called", ""


def _responses_schema(wanted: Json | None, items: list[Json]) -> Json | None:
    """Return the schema that a `text.format` asks for, if it does."""
    silent = (
        "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'."
    )
    return _asked_for(wanted, wanted or {}, "text.format", items, silent)


def responses_answer(prompt: Prompt, completion: Completion, usage: Usage, body: Json) -> Answer:
    """Answer a request of the Responses API, plain or streamed as the request wants it."""
    if not body.get("stream"):
        return Answer.of_json(_response(prompt, completion, usage), usage=usage)
    events = _response_events(prompt, completion, usage)
    chunks = [_sse({**event, "sequence_number": number}, event["type"]) for number, event in enumerate(events)]
    return Answer(200, _SSE, chunks, usage)


def _response(prompt: Prompt, completion: Completion, usage: Usage | None) -> Json:
    """Return the response object; the one still in progress without `usage`."""
    length = usage is not None and completion.finish == "length"
    return {
        "id": f"resp_{completion.id}",
        "object": "response",
        "created_at": CREATED,
        "status": "in_progress" if usage is None else "incomplete" if length else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if length else None,
        "instructions": None,
        "metadata": {},
        "model": prompt.model,
        "output": [] if usage is None else [*_reasoning_items(completion), _output_item(completion)],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None if usage is None else _response_usage(prompt, usage),
    }


def _response_usage(prompt: Prompt, usage: Usage) -> Json:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": _cache_usage(prompt, usage),
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _reasoning_items(completion: Completion) -> list[Json]:
    """Return the item that stands for the thoughts, of which OpenAI shows nothing unless asked for a summary."""
    return [{"type": "reasoning", "id": f"rs_{completion.id}", "summary": []}] if completion.reasoning_tokens else []


def _output_item(completion: Completion, *, started: bool = False) -> Json:
    """Return the answer among the output; with `started` as it is when a stream announces it, still empty."""
    status = "in_progress" if started else "completed"
    if call := completion.tool_call:
        return {
            "type": "custom_tool_call" if call.custom else "function_call",
            "id": f"{'ctc' if call.custom else 'fc'}_{completion.id}",
            "call_id": f"call_{completion.id}",
            "name": call.name,
            "input" if call.custom else "arguments": "" if started else call.arguments_json(),
            "status": status,
        }
    return {
        "type": "message",
        "id": f"msg_{completion.id}",
        "role": "assistant",
        "status": status,
        "content": [] if started else [_output_text(completion.text)],
    }


def _output_text(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _response_events(prompt: Prompt, completion: Completion, usage: Usage) -> Iterator[Json]:
    begun, item = _response(prompt, completion, None), _output_item(completion)
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    reasoning = _reasoning_items(completion)
    for thoughts in reasoning:
        yield {"type": "response.output_item.added", "output_index": 0, "item": thoughts}
        yield {"type": "response.output_item.done", "output_index": 0, "item": thoughts}
    index = len(reasoning)
    place = {"output_index": index, "item_id": item["id"]}
    yield {"type": "response.output_item.added", "output_index": index, "item": _output_item(completion, started=True)}
    if call := completion.tool_call:
        kind = "custom_tool_call_input" if call.custom else "function_call_arguments"
        for piece in completion.chunks():
            yield {"type": f"response.{kind}.delta", **place, "delta": piece}
        whole = {"name": call.name, "arguments": call.arguments_json()}
        yield {"type": f"response.{kind}.done", **place, **({"input": whole["arguments"]} if call.custom else whole)}
    else:
        place["content_index"] = 0
        yield {"type": "response.content_part.added", **place, "part": _output_text("")}
        for piece in completion.chunks():
            yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
        yield {"type": "response.output_text.done", **place, "text": completion.text, "logprobs": []}
        yield {"type": "response.content_part.done", **place, "part": _output_text(completion.text)}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}
    done = _response(prompt, completion, usage)
    yield {"type": f"response.{done['status']}", "response": done}


def embeddings_answer(model: str, body: Json, dimensions: int) -> Answer:
    """Answer an embeddings request with vectors of that many dimensions, unless it asks for fewer."""
    given = body["input"]
    texts = given if isinstance(given, list) and not all(isinstance(item, int) for item in given) else [given]
    texts = [text if isinstance(text, str) else json.dumps(text) for text in texts]
    vectors = [embedding(text, body.get("dimensions") or dimensions) for text in texts]
    as_base64 = body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _base64(vector) if as_base64 else vector}
        for index, vector in enumerate(vectors)
    ]
    usage = Usage(sum(count_tokens(text) for text in texts))
    counts = {"prompt_tokens": usage.input_tokens, "total_tokens": usage.input_tokens}
    return Answer.of_json({"object": "list", "model": model, "data": data, "usage": counts}, usage=usage)


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _tool(given: Json, *, custom: bool = False) -> Tool:
    """Return a function or a custom tool, refused as OpenAI does if its schema is none.

    A strict one of the Responses API has the rules of the answer's schema too: "Function calling", strict mode.
    """
    if custom:
        return Tool(given["name"], {"type": "object", "properties": {"input": {"type": "string"}}}, custom=True)
    schema = given.get("parameters") or {}
    if schema and (problem := openai_problem(schema, strict=given.get("strict") is True)):
        message = f"Invalid schema for function '{given['name']}': {problem}"
        raise ApiError(400, code="invalid_function_parameters", message=message)
    return Tool(given["name"], schema)


def _sse(event: Json, name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + f"data: {json.dumps(event)}\n\n".encode()
