"""The model behind every simulated provider: one deterministic answer, and one rule for counting tokens.

- Tokens of a text: its characters divided by four, rounded up. A prompt's text is all its texts (system prompt,
  messages, tool calls and tool results; neither tool definitions nor media) joined with one line feed each. An image
  is `IMAGE_TOKENS`, whatever its size.
- The answer begins with `COMPLETION_PHRASE`, then has a number made from model and prompt and up to 23 filler words:
  the same request has the same text, and no answer repeats a word of its prompt but the last result of a tool in this
  turn, of which it has the first `RESULT_CHARACTERS`.
- A tool is called if the request demands one, or if the prompt's own words say so (`local/outside/told.py`).
- `say backwards: …` has the rest of its line said the other way round: what a prompt must not have, an answer can.
- Where a request asks for a JSON Schema the answer is a value of it (`local/outside/json_schema.py`).
- The model thinks first if the request turns thinking on in its format. It thinks for 64 to 319 tokens, which are
  output, and shows fewer, as with the providers: what is shown is a summary, what is billed is the whole.
- What of a prompt is cached is told in `prompt_cache`. Images are not.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from local.outside.exchange import ApiError
from local.outside.json_schema import UnfitSchemaError, value
from local.outside.prompt_cache import CHARACTERS_PER_TOKEN, Prefix, PromptCache, count
from local.outside.records import Json, Usage
from local.outside.told import Told, Turn

IMAGE_TOKENS = 1120
"""What Gemini 3 and later count for an image at the default resolution; the others count by its width and height."""
COMPLETION_PHRASE = "Answer of the simulated provider"
RESULT_CHARACTERS = 1000
JSON_MODE: Json = {"type": "object", "properties": {"answer": {"type": "string"}}}
"""What is answered where a request asks for JSON without a schema."""
SCHEMA_TOOL = "json_tool_call"
"""What LiteLLM calls the tool by which it asks for a schema where it knows no other way (RESPONSE_FORMAT_TOOL_NAME of
its constants). A model that takes no `tool_choice` gets it as the one tool there is, and calls it."""
_BACKWARDS = re.compile(r"say backwards: (.+)", re.IGNORECASE)
_FILLER = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel")
_CHUNK_CHARACTERS = 16
# Under these keys of a message are texts, or parts with texts; media are under others.
_TEXT_KEYS = {
    *("arguments", "content", "input", "output", "parts", "text"),
    *("function", "functionCall", "functionResponse", "toolResult", "toolUse", "tool_calls"),
}
# Objects under these are what a tool is given or gives: they count as their JSON.
_JSON_KEYS = {"args", "input", "json", "response"}


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call: its name and the JSON Schema of its arguments.

    A `custom` one, of OpenAI's, is given a text and no JSON: what its arguments have as `input`.
    """

    name: str
    schema: Json
    custom: bool = False


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model's wish to have a tool called."""

    name: str
    arguments: Json
    number: str
    custom: bool = False

    def arguments_json(self) -> str:
        """Return the arguments as OpenAI and Anthropic stream them."""
        return str(self.arguments.get("input", "")) if self.custom else json.dumps(self.arguments)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request to a model, whatever the provider's format.

    `forced_tool` is a tool's name, or "*" for any. `prefixes` are those that its cache is asked for, the shortest
    first. `schema` is what the answer's text has to fit.
    """

    model: str
    text: str
    turn: Turn = field(default_factory=Turn)
    tools: tuple[Tool, ...] = ()
    forced_tool: str = ""
    max_tokens: int | None = None
    prefixes: tuple[Prefix, ...] = ()
    images: int = 0
    thinks: bool = False
    schema: Json | None = None

    def knows_forced_tool(self) -> bool:
        """Return whether the tool that is demanded, if one is, is among the tools."""
        return self.forced_tool in ("", *("*" for _ in self.tools), *(tool.name for tool in self.tools))


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's answer: a text or a tool call, and what is shown of the thoughts before it."""

    text: str
    tool_call: ToolCall | None
    finish: Literal["stop", "length", "tool"]
    thoughts: str = ""
    reasoning_tokens: int = 0
    # Of each answer its own, as with the providers: LiteLLM counts a second answer with the same id as the first.
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def output_tokens(self) -> int:
        """Return the answer's tokens by the rule of this module, thoughts included."""
        return self.reasoning_tokens + count_tokens(self.tool_call.arguments_json() if self.tool_call else self.text)

    def chunks(self) -> list[str]:
        """Return the text, or the tool call's arguments as JSON, in the pieces that a stream carries."""
        whole = self.tool_call.arguments_json() if self.tool_call else self.text
        return pieces(whole)


@dataclass
class Model:
    """The model behind one provider, with its caches."""

    cache: PromptCache = field(default_factory=PromptCache)

    def answer(self, host: str, prompt: Prompt) -> tuple[Completion, Usage]:
        """Answer a prompt, always alike, return the tokens of the call with it, and have its prefixes cached."""
        completion = _complete(prompt)
        # Tools are before the prompt: with others its prefix is another one.
        used = self.cache.use((host, repr(prompt.tools)), prompt.model, prompt.text, prompt.prefixes)
        image_tokens = prompt.images * IMAGE_TOKENS
        usage = Usage(
            input_tokens=count_tokens(prompt.text) + image_tokens,
            output_tokens=completion.output_tokens(),
            cached_tokens=used.read,
            cache_write_tokens=used.written.total() - used.written["free"],
            cache_write_1h_tokens=used.written["1h"],
            reasoning_tokens=completion.reasoning_tokens,
            image_tokens=image_tokens,
        )
        return completion, usage


def count_tokens(text: str) -> int:
    """Return the tokens of a text: its characters divided by four, rounded up."""
    return count(len(text))


def pieces(text: str) -> list[str]:
    """Return a text in the pieces that a stream carries."""
    return [text[start : start + _CHUNK_CHARACTERS] for start in range(0, len(text), _CHUNK_CHARACTERS)]


def _complete(prompt: Prompt) -> Completion:
    digest = _digest(prompt.model, prompt.text)
    number = digest[:12]
    thoughts = f"Thoughts of the simulated provider, number {number}." if prompt.thinks else ""
    reasoning = 64 + int(digest[8:10], 16) if prompt.thinks else 0
    told = _told(prompt)
    call = _call(prompt, told, number)
    if call is not None:
        return Completion("", call, "tool", thoughts, reasoning)
    text = _text(prompt, told, number)
    limit = CHARACTERS_PER_TOKEN * max((prompt.max_tokens or reasoning + len(text)) - reasoning, 0)
    return Completion(text[:limit], None, "stop" if len(text) <= limit else "length", thoughts, reasoning)


def _told(prompt: Prompt) -> Told | None:
    try:
        return prompt.turn.next_call() if prompt.tools else None
    except ValueError as error:
        raise ApiError(400, message=str(error)) from error


def _call(prompt: Prompt, told: Told | None, number: str) -> ToolCall | None:
    """Return the tool call that the request demands or its words ask for, None if there is no such tool."""
    if prompt.forced_tool:
        wanted = prompt.forced_tool if prompt.forced_tool != "*" else told.name if told else ""
    elif told is not None:
        wanted = told.name
    else:
        wanted = SCHEMA_TOOL
    tool = next((tool for tool in prompt.tools if wanted in ("", tool.name)), None)
    if tool is None:
        return None
    arguments = told.arguments if told and told.name in ("", tool.name) else None
    return ToolCall(tool.name, _value(tool.schema) if arguments is None else arguments, number, tool.custom)


def _text(prompt: Prompt, told: Told | None, number: str) -> str:
    if prompt.schema is not None:
        return json.dumps(_value(prompt.schema))
    head = f"{COMPLETION_PHRASE}, number {number}"
    if told is not None:
        return f"{head}: there is no such tool among {', '.join(tool.name for tool in prompt.tools)}."
    if prompt.turn.results:
        return f"{head}, by the tool's result: {prompt.turn.results[-1][:RESULT_CHARACTERS]}"
    if backwards := _BACKWARDS.search(prompt.turn.asked):
        return f"{head}: {backwards[1][::-1]}"
    first, count = int(number[:4], 16), int(number[4:8], 16) % 24
    return f"{head}:{''.join(f' {_FILLER[(first + i) % 8]}' for i in range(count))}."


def _value(schema: Json) -> Any:  # noqa: ANN401  # any JSON value
    try:
        return value(schema)
    except UnfitSchemaError as error:
        raise ApiError(400, message=f"The simulated model makes no value of this JSON Schema: {error}") from error


def embedding(text: str, dimensions: int) -> list[float]:
    """Return the vector of a text: deterministic, of length 1, with that many dimensions."""
    raw = hashlib.shake_256(text.encode()).digest(dimensions)
    centred = [byte - 127.5 for byte in raw]
    length = sum(value * value for value in centred) ** 0.5
    return [value / length for value in centred]


def strings(node: object) -> Iterator[str]:
    """Yield the texts inside a message or a part of one, in any provider's format, without media."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for item in node:
            yield from strings(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in _JSON_KEYS and isinstance(value, dict):
                yield json.dumps(value)
            elif key in _TEXT_KEYS:
                yield from strings(value)


def own_text(content: object) -> str:
    """Return the text that a message's author wrote in it: no tool results."""
    parts = content if isinstance(content, list) else [content]
    texts = (part.get("text") if isinstance(part, dict) else part for part in parts)
    return "\n".join(text for text in texts if isinstance(text, str))


def result_text(content: object) -> str:
    """Return the text of a tool's result: its texts and its JSON; an object with one text is that text."""
    if isinstance(content, dict):
        texts = list(content.values())
        return texts[0] if len(texts) == 1 and isinstance(texts[0], str) else json.dumps(content)
    parts = content if isinstance(content, list) else [content]
    texts = [
        json.dumps(part["json"]) if isinstance(part, dict) and "json" in part else own_text(part) for part in parts
    ]
    return "\n".join(texts)


def join_texts(nodes: Iterable[object]) -> str:
    """Return a prompt's text from its messages or parts, in order."""
    return "\n".join(text for node in nodes for text in strings(node))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
