"""Anthropic's own format, its Messages API, which Claude speaks at Anthropic, Azure, Bedrock and Vertex AI.

Bedrock's Converse has some of its words: what both need is public here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from local.outside.completion import Completion, Prompt, Tool, join_texts, pieces, result_text, strings
from local.outside.exchange import Answer, ApiError
from local.outside.json_schema import anthropic_problem
from local.outside.prompt_cache import check_marks, marked_prefixes
from local.outside.records import Json, Usage
from local.outside.told import Event, Turn

# Claude of this year takes no forced tool: "What's new in Claude Sonnet 5.5" and its kin, "Forced tool use is not
# supported"; the models are those with `supports_forced_tool_use: false` in LiteLLM's price list.
_UNFORCED = re.compile(r"claude-(?:fable-5-1|mythos-5-1|opus-5-5|sonnet-5-5)\b")
SIGNED = "c2lnbmF0dXJl"  # what the providers sign a thought with, to recognise it in the next request


def messages_prompt(model: str, body: Json) -> Prompt:
    """Read a request of Anthropic's Messages API."""
    messages = body["messages"]
    blocks = [*_blocks(body.get("system", [])), *(b for message in messages for b in _blocks(message["content"]))]
    check_marks([block.get("cache_control") for block in [*body.get("tools", []), *blocks]])
    choice = body.get("tool_choice", {})
    offered = [tool for tool in body.get("tools", []) if tool.get("type", "custom") == "custom"]
    prompt = Prompt(
        model=model,
        text=join_texts(blocks),
        turn=Turn.of(_events(messages)),
        tools=tuple(Tool(tool["name"], tool["input_schema"]) for tool in offered if choice.get("type") != "none"),
        forced_tool=choice.get("name", "*") if choice.get("type") in ("any", "tool") else "",
        max_tokens=body.get("max_tokens"),
        prefixes=marked_prefixes(blocks, "cache_control", strings),
        images=sum(block.get("type") == "image" for block in blocks),
        thinks=thinks(body.get("thinking")),
        schema=_schema((body.get("output_config") or {}).get("format")) or inlined_schema(blocks),
    )
    if problem := tools_problem(prompt):
        raise ApiError(400, message=problem)
    return prompt


def _events(messages: list[Json]) -> Iterator[Event]:
    for message in messages:
        blocks = _blocks(message["content"])
        kinds = [block.get("type") for block in blocks]
        if message["role"] == "assistant":
            yield "called" if "tool_use" in kinds else "answered", ""
        elif message["role"] == "user":
            for block in blocks:
                if block.get("type") == "tool_result":
                    yield "result", result_text(block.get("content", ""))
                elif "text" in block:
                    yield "asked", block["text"]


def _schema(wanted: Json | None) -> Json | None:
    """Return the schema of an `output_config.format`, refused as Anthropic does: "Structured outputs"."""
    if wanted is None:
        return None
    if wanted.get("type") != "json_schema":
        raise ApiError(400, message="output_config.format.type: Input should be 'json_schema'")
    if "schema" not in wanted:
        raise ApiError(400, message="output_config.format.schema: Field required")
    if problem := anthropic_problem(wanted["schema"]):
        raise ApiError(400, message=f"output_config.format.schema: {problem}")
    schema: Json = wanted["schema"]
    return schema


def inlined_schema(blocks: list[Json]) -> Json | None:
    """Return the schema that is the whole last text of a prompt.

    So LiteLLM asks a model of Bedrock's for which it knows no other way
    (`convert_bedrock_invoke_output_format_to_inline_schema`), and the model does as it is asked.
    """
    text = blocks[-1].get("text") if blocks else None
    if not isinstance(text, str) or not text.startswith("{"):
        return None
    try:
        schema = json.loads(text)
    except ValueError:
        return None
    return schema if "properties" in schema and schema.get("type") == "object" else None


def tools_problem(prompt: Prompt) -> str:
    """Return what is wrong with the tools of a request or the choice of one, in Anthropic's words, or "".

    API reference, "Create a Message"; "Extended thinking", tool use.
    """
    for number, tool in enumerate(prompt.tools):
        place, kind = f"tools.{number}.custom.input_schema", tool.schema.get("type")
        if {"oneOf", "allOf", "anyOf"} & tool.schema.keys():
            return f"{place}: input_schema does not support oneOf, allOf, or anyOf at the top level"
        if kind != "object":
            return f"{place}.type: {'Field required' if kind is None else 'Input should be ' + repr('object')}"
    if not prompt.forced_tool:
        return ""
    if _UNFORCED.search(prompt.model):
        return 'tool_choice: type "tool" and "any" are not supported for this model.'
    if prompt.forced_tool == "*" and not prompt.tools:
        return "tool_choice.any may only be specified while providing tools"
    if not prompt.knows_forced_tool():
        return f"Tool '{prompt.forced_tool}' not found in provided tools"
    return "Thinking may not be enabled when tool_choice forces tool use." if prompt.thinks else ""


def _blocks(content: str | list[Json]) -> list[Json]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def messages_answer(prompt: Prompt, completion: Completion, usage: Usage) -> Answer:
    """Answer as Anthropic's own API does."""
    return Answer.of_json(message_object(prompt, completion, usage), usage=usage)


def messages_stream(prompt: Prompt, completion: Completion, usage: Usage) -> Answer:
    """Answer in pieces, as Anthropic's own API does."""
    chunks = [
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
        for event in message_events(prompt, completion, usage)
    ]
    return Answer(200, {"content-type": "text/event-stream; charset=utf-8"}, chunks, usage)


def message_object(prompt: Prompt, completion: Completion, usage: Usage) -> Json:
    """Return the message that answers a prompt."""
    block: Json = {"type": "text", "text": completion.text}
    if call := completion.tool_call:
        block = {"type": "tool_use", "id": tool_id(completion), "name": call.name, "input": call.arguments}
    thoughts = {"type": "thinking", "thinking": completion.thoughts, "signature": SIGNED}
    return {
        **_head(prompt, completion),
        "content": [thoughts, block] if completion.thoughts else [block],
        "stop_reason": stop_reason(completion),
        "usage": {**_input_usage(usage), **_output_usage(usage)},
    }


def message_events(prompt: Prompt, completion: Completion, usage: Usage) -> Iterator[Json]:
    """Yield the events of a streamed message."""
    begun = {
        **_head(prompt, completion),
        "content": [],
        "stop_reason": None,
        "usage": {**_input_usage(usage), "output_tokens": 1},
    }
    yield {"type": "message_start", "message": begun}
    for index, (block, deltas) in enumerate(_stream_blocks(completion)):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    stop = {"stop_reason": stop_reason(completion), "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": _output_usage(usage)}
    yield {"type": "message_stop"}


def _stream_blocks(completion: Completion) -> Iterator[tuple[Json, list[Json]]]:
    """Yield each block as a stream announces it, still empty, and what fills it."""
    if completion.thoughts:
        thoughts: list[Json] = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(completion.thoughts)]
        signature = {"type": "signature_delta", "signature": SIGNED}
        yield {"type": "thinking", "thinking": "", "signature": ""}, [*thoughts, signature]
    if call := completion.tool_call:
        block = {"type": "tool_use", "id": tool_id(completion), "name": call.name, "input": {}}
        yield block, [{"type": "input_json_delta", "partial_json": piece} for piece in completion.chunks()]
    else:
        yield {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in completion.chunks()]


def _head(prompt: Prompt, completion: Completion) -> Json:
    return {
        "id": f"msg_{'bdrk_' if 'anthropic.' in prompt.model else ''}{completion.id}",
        "type": "message",
        "role": "assistant",
        "model": prompt.model.rpartition("anthropic.")[2],
        "stop_sequence": None,
    }


def _input_usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation": {f"ephemeral_{lifetime}_input_tokens": tokens for lifetime, tokens in written(usage).items()},
    }


def _output_usage(usage: Usage) -> Json:
    thinking = thinking_count(usage.reasoning_tokens) if usage.reasoning_tokens else {}
    return {"output_tokens": usage.output_tokens, **thinking}


def thinks(setting: Json | None) -> bool:
    """Return whether a setting, such as that of `thinking`, has the model think before it answers."""
    return (setting or {}).get("type") in ("adaptive", "enabled")


def written(usage: Usage) -> dict[str, int]:
    """Return the tokens that were written to the cache, by how long they stay."""
    return {
        "1h": usage.cache_write_1h_tokens,
        "5m": usage.cache_write_tokens - usage.cache_write_1h_tokens,
    }


def thinking_count(reasoning_tokens: int) -> Json:
    """Return what was thought, as a part of what was put out."""
    return {"output_tokens_details": {"thinking_tokens": reasoning_tokens}}


def stop_reason(completion: Completion) -> str:
    """Return why the answer ends, in Anthropic's words, which are Bedrock's too."""
    return {"stop": "end_turn", "length": "max_tokens", "tool": "tool_use"}[completion.finish]


def tool_id(completion: Completion) -> str:
    """Return the id of the answer's tool call."""
    return f"tooluse_{completion.id}"
